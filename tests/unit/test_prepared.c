/* SPDX-License-Identifier: MIT */
/* The set of prepared statements is a bounded LRU: what it says is there, is there. */
#include "base/random.h"
#include "pg/prepared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STATEMENTS = 40, CAP = 12, STEPS = 20000 };

static sp_stmt *stmts[STATEMENTS];

static int make(void **state)
{
        for (int i = 0; i < STATEMENTS; i++) {
                char text[32];
                int len = snprintf(text, sizeof text, "SELECT %d", i);

                assert_int_equal(sp_stmt_new(NULL, text, (size_t)len, 0, &stmts[i], NULL), SP_OK);
        }
        return 0;
}

static int unmake(void **state)
{
        for (int i = 0; i < STATEMENTS; i++)
                sp_stmt_unref(stmts[i]);
        return 0;
}

/* The reference: oldest first. */
struct model {
        int order[STATEMENTS];
        int count;
};

static int place_of(const struct model *model, int n)
{
        for (int i = 0; i < model->count; i++) {
                if (model->order[i] == n)
                        return i;
        }
        return -1;
}

static void drop(struct model *model, int place)
{
        memmove(model->order + place, model->order + place + 1, (size_t)(model->count - place - 1) * sizeof(int));
        model->count--;
}

static void touch(struct model *model, int n)
{
        int place = place_of(model, n);

        if (place >= 0)
                drop(model, place);
        model->order[model->count++] = n;
}

static bool has(struct sp__prepared *set, int n)
{
        return sp__prepared_look(set, stmts[n], 0) == SP__PREPARED_READY;
}

static void check_has(struct sp__prepared *set, struct model *model, int n)
{
        bool there = place_of(model, n) >= 0;

        assert_int_equal(has(set, n), there);
        if (there)
                touch(model, n);
}

/* Freed places are used first, so a set that lost some evicts only when all places are taken. */
static void check_add(struct sp__prepared *set, struct model *model, int n)
{
        char evicted[SP__STMT_ID];

        sp__prepared_add(set, stmts[n], 0, evicted);
        if (*evicted) {
                assert_string_equal(evicted, stmts[model->order[0]]->id);
                drop(model, 0);
        }
        touch(model, n);
        assert_true(model->count <= CAP);
}

static void test_it_agrees_with_a_plain_list(void **state)
{
        struct sp__random random = {sp__random_seed()};
        struct model model = {.count = 0};
        struct sp__prepared set;

        printf("# seed %llu\n", (unsigned long long)random.state);
        assert_true(sp__prepared_init(&set, CAP));
        for (int i = 0; i < STEPS; i++) {
                int n = (int)(sp__random_next(&random) % STATEMENTS), dice = (int)(sp__random_next(&random) % 100);

                if (dice < 50) {
                        check_has(&set, &model, n);
                } else if (dice < 85) {
                        if (place_of(&model, n) < 0)
                                check_add(&set, &model, n);
                } else if (dice < 99) {
                        int place = place_of(&model, n);

                        assert_int_equal(sp__prepared_remove(&set, stmts[n]), place >= 0);
                        if (place >= 0)
                                drop(&model, place);
                } else {
                        sp__prepared_clear(&set);
                        model.count = 0;
                }
        }
        for (int n = 0; n < STATEMENTS; n++)
                assert_int_equal(has(&set, n), place_of(&model, n) >= 0);
        sp__prepared_free(&set);
}

static void test_a_set_for_none_has_none(void **state)
{
        struct sp__prepared set;

        assert_true(sp__prepared_init(&set, 0));
        assert_false(has(&set, 0));
        assert_false(sp__prepared_remove(&set, stmts[0]));
        sp__prepared_clear(&set);
        sp__prepared_free(&set);
}

static void test_equal_texts_are_prepared_once(void **state)
{
        char evicted[SP__STMT_ID];
        struct sp__prepared set;
        sp_stmt *again;

        assert_int_equal(sp_stmt_new("another", "SELECT 1", 8, SP_STMT_READ, &again, NULL), SP_OK);
        assert_string_equal(again->id, stmts[1]->id);
        assert_string_not_equal(again->id, stmts[2]->id);
        assert_true(sp__prepared_init(&set, 2));
        sp__prepared_add(&set, stmts[1], 0, evicted);
        assert_true((sp__prepared_look(&set, again, 0) == SP__PREPARED_READY));
        sp__prepared_free(&set);
        sp_stmt_unref(again);
}

static void test_what_changed_its_type_is_replaced_wherever_it_stands(void **state)
{
        struct sp__prepared one, two;
        char evicted[SP__STMT_ID];
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new(NULL, "SELECT 77", 9, 0, &stmt, NULL), SP_OK);
        assert_true(sp__prepared_init(&one, 2));
        assert_true(sp__prepared_init(&two, 2));
        sp__prepared_add(&one, stmt, 0, evicted);
        sp__prepared_add(&two, stmt, 0, evicted);
        sp__stmt_replan(stmt, 0);
        /* Who was under way in the former form, too, says nothing new. */
        sp__stmt_replan(stmt, 0);
        assert_false(sp__prepared_look(&one, stmt, 0));
        sp__prepared_add(&one, stmt, 0, evicted);
        assert_string_equal(evicted, stmt->id);
        assert_true(sp__prepared_look(&one, stmt, 0));
        assert_false(sp__prepared_look(&two, stmt, 0));
        assert_true(sp__prepared_remove(&two, stmt));
        sp__prepared_add(&two, stmt, 0, evicted);
        assert_string_equal(evicted, "");
        sp__prepared_free(&one);
        sp__prepared_free(&two);
        sp_stmt_unref(stmt);
}

static void test_what_a_statement_costs_decides_whether_it_is_fast(void **state)
{
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new(NULL, "SELECT 99", 9, 0, &stmt, NULL), SP_OK);
        assert_false(sp__stmt_fast(stmt));
        assert_true(sp_stmt_repeatable(stmt));
        sp__stmt_learn(stmt, 100000);
        assert_true(sp__stmt_fast(stmt));
        /* One slow run is not a slow statement; many are. */
        sp__stmt_learn(stmt, 10000000);
        assert_true(sp__stmt_fast(stmt));
        for (int i = 0; i < 20; i++)
                sp__stmt_learn(stmt, 10000000);
        assert_false(sp__stmt_fast(stmt));
        for (int i = 0; i < 20; i++)
                sp__stmt_learn(stmt, 0);
        assert_true(sp__stmt_fast(stmt));
        sp_stmt_unref(stmt);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, SP_STMT_WRITE, &stmt, NULL), SP_OK);
        assert_false(sp_stmt_repeatable(stmt));
        sp_stmt_unref(stmt);
        assert_int_equal(sp_stmt_new(NULL, "DELETE FROM t", 13, SP_STMT_IDEMPOTENT, &stmt, NULL), SP_OK);
        assert_true(sp_stmt_repeatable(stmt));
        sp_stmt_unref(stmt);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1\0", 9, 0, &stmt, NULL), SP_INVALID);
        assert_int_equal(sp_stmt_new("", "SELECT 1", 8, 0, &stmt, NULL), SP_LIMIT);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 1u << 20, &stmt, NULL), SP_INVALID);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, SP_STMT_READ | SP_STMT_WRITE, &stmt, NULL), SP_INVALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_it_agrees_with_a_plain_list),
            cmocka_unit_test(test_a_set_for_none_has_none),
            cmocka_unit_test(test_equal_texts_are_prepared_once),
            cmocka_unit_test(test_what_changed_its_type_is_replaced_wherever_it_stands),
            cmocka_unit_test(test_what_a_statement_costs_decides_whether_it_is_fast),
        };

        return cmocka_run_group_tests_name("prepared", tests, make, unmake);
}
