/* SPDX-License-Identifier: MIT */
/* An operation ends once, whoever comes first, and a context's end reaches everything below it once. */
#include "core/error.h"
#include "work.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { ROUNDS = 3000, MANY = 64 };

struct race {
        sp__op *op;
        sp_ctx *ctx;
        pthread_barrier_t *start;
        int wins;
};

static void *answer_body(void *arg)
{
        struct race *race = arg;

        pthread_barrier_wait(race->start);
        race->wins += work_answer(race->op);
        sp__op_unref(race->op);
        return NULL;
}

static void test_of_many_who_end_it_one_wins(void **state)
{
        for (int round = 0; round < 300; round++) {
                struct work_counts counts = {0};
                sp__op *op = work_new(&counts, NULL);
                struct race races[4];
                pthread_barrier_t start;
                pthread_t threads[4];
                int wins = 0;

                pthread_barrier_init(&start, NULL, 4);
                for (size_t i = 0; i < 4; i++) {
                        races[i] = (struct race){.op = sp__op_ref(op), .start = &start};
                        pthread_create(&threads[i], NULL, answer_body, &races[i]);
                }
                for (size_t i = 0; i < 4; i++) {
                        pthread_join(threads[i], NULL);
                        wins += races[i].wins;
                }
                sp__op_unref(op);
                pthread_barrier_destroy(&start);
                assert_int_equal(wins, 1);
                assert_int_equal(counts.told, 1);
                assert_int_equal(counts.settled, 1);
                assert_int_equal(counts.destroyed, 1);
        }
}

static int freed;

static void count_free(void *what)
{
        freed += *(int *)what;
}

static void test_what_comes_second_is_freed(void **state)
{
        struct work_counts counts = {0};
        sp__op *op = work_new(&counts, NULL);
        struct sp__batch done;
        int one = 1, two = 10;

        freed = 0;
        sp__batch_init(&done);
        assert_true(sp__op_yield(op, SP__YIELD_VALUE, &one, count_free, &done));
        assert_false(sp__op_yield(op, SP__YIELD_VALUE, &two, count_free, &done));
        assert_false(sp__op_fail(op, SP_TIMEOUT, sp__error_new(SP_TIMEOUT, NULL, "late"), &done));
        assert_int_equal(freed, 10);
        assert_int_equal(counts.told, 0);
        sp__batch_deliver(&done);
        assert_int_equal(counts.told, 1);
        assert_int_equal(op->status, SP_OK);
        sp__op_unref(op);
        assert_int_equal(freed, 11);
}

static void test_a_batch_tells_in_the_order_of_settling(void **state)
{
        struct work_counts counts = {0};
        sp_completion *out[3];
        struct sp__batch done;
        sp_queue *queue;
        sp__op *ops[3];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp__batch_init(&done);
        for (uint64_t i = 0; i < 3; i++) {
                ops[i] = work_new(&counts, NULL);
                assert_int_equal(sp__op_to_queue(ops[i], queue, i), SP_OK);
        }
        for (size_t i = 0; i < 3; i++)
                sp__op_fail(ops[(i + 1) % 3], SP_TIMEOUT, NULL, &done);
        sp__batch_deliver(&done);
        for (size_t i = 0; i < 3; i++)
                sp__op_unref(ops[i]);
        assert_int_equal(sp_queue_take(queue, out, 3), 3);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(sp_completion_tag(out[i]), (i + 1) % 3);
                sp_completion_free(out[i]);
        }
        assert_int_equal(counts.destroyed, 3);
        sp_queue_free(queue);
}

static void test_what_ended_before_it_was_registered_leaves_nothing_behind(void **state)
{
        struct work_counts counts = {0};
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp__op *op = work_new(&counts, ctx);

        /* A timer was first. */
        work_answer(op);
        assert_int_equal(sp__op_enlist(op), SP_OK);
        sp__op_unref(op);
        assert_int_equal(counts.destroyed, 1);
        sp_ctx_cancel(ctx);
        assert_int_equal(counts.cancels, 0);
        sp_ctx_unref(ctx);
}

static void test_a_refused_submission_tells_nobody(void **state)
{
        struct work_counts counts = {0};
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_queue *queue;
        sp__op *op;

        assert_int_equal(sp_queue_new(1, &queue), SP_OK);
        op = work_new(&counts, ctx);
        assert_int_equal(sp__op_to_queue(op, queue, 1), SP_OK);
        assert_int_equal(sp__op_enlist(op), SP_OK);
        sp__op_abandon(op);
        assert_int_equal(sp_queue_pending(queue), 0);
        sp_ctx_cancel(ctx);
        op = work_new(&counts, ctx);
        assert_int_equal(sp__op_enlist(op), SP_CANCELLED);
        sp__op_abandon(op);
        assert_int_equal(counts.told + counts.cancels, 0);
        assert_int_equal(counts.destroyed, 2);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
}

static void test_a_refusal_that_has_something_to_say_comes_through_the_queue(void **state)
{
        sp_completion *done;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(1, &queue), SP_OK);
        assert_int_equal(sp__op_refuse(queue, 1, SP_CLOSED, sp__error_new(SP_CLOSED, NULL, "closed")), SP_CLOSED);
        assert_int_equal(sp__op_refuse(queue, 1, SP_INVALID, NULL), SP_INVALID);
        assert_int_equal(sp_queue_pending(queue), 0);
        assert_int_equal(sp__op_refuse(queue, 7, SP_LIMIT, sp__error_new(SP_LIMIT, NULL, "the key is long")), SP_OK);
        assert_int_equal(sp__op_refuse(queue, 8, SP_LIMIT, sp__error_new(SP_LIMIT, NULL, "another")), SP_FULL);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_tag(done), 7);
        assert_int_equal(sp_completion_status(done), SP_LIMIT);
        assert_string_equal(sp_error_message(sp_completion_error(done)), "the key is long");
        sp_completion_free(done);
        sp_queue_free(queue);
}

static void test_a_child_ends_no_later_than_its_parent(void **state)
{
        sp_ctx *parent = sp_ctx_new(NULL), *child, *late;

        assert_int_equal(sp_ctx_remaining(parent), -1);
        assert_int_equal(sp_ctx_set(parent, "timeout", "soon", NULL), SP_INVALID);
        assert_int_equal(sp_ctx_set(parent, "timeout", "10m", NULL), SP_OK);
        assert_int_equal(sp_ctx_set(parent, "tag", "parent", NULL), SP_OK);
        child = sp_ctx_new(parent);
        assert_true(sp__ctx_deadline(child) == sp__ctx_deadline(parent));
        assert_int_equal(sp_ctx_set(child, "timeout", "12h", NULL), SP_OK);
        assert_true(sp__ctx_deadline(child) == sp__ctx_deadline(parent));
        assert_int_equal(sp_ctx_set(child, "timeout", "1s", NULL), SP_OK);
        assert_true(sp__ctx_deadline(child) < sp__ctx_deadline(parent));
        assert_string_equal(sp__ctx_tag(child), "parent");
        assert_null(sp__ctx_trace(child));
        assert_int_equal(sp_ctx_set(child, "trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL),
                         SP_OK);
        assert_int_equal(sp_ctx_set(child, "trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", NULL),
                         SP_INVALID);
        assert_null(sp__ctx_trace(parent));
        sp_ctx_cancel(parent);
        late = sp_ctx_new(parent);
        assert_true(sp_ctx_cancelled(child));
        assert_true(sp_ctx_cancelled(late));
        /* The parent lives as long as its children. */
        sp_ctx_unref(parent);
        sp_ctx_unref(late);
        assert_string_equal(sp__ctx_tag(child), "parent");
        sp_ctx_unref(child);
}

static void *cancel_body(void *arg)
{
        struct race *race = arg;

        pthread_barrier_wait(race->start);
        sp_ctx_cancel(race->ctx);
        return NULL;
}

static void test_cancelling_races_with_answers_and_each_is_told_once(void **state)
{
        for (int round = 0; round < ROUNDS / 10; round++) {
                struct work_counts counts = {0};
                sp_ctx *parent = sp_ctx_new(NULL), *child = sp_ctx_new(parent);
                pthread_barrier_t start;
                struct race race = {.ctx = parent, .start = &start};
                pthread_t thread;
                sp__op *ops[MANY];

                for (size_t i = 0; i < MANY; i++) {
                        ops[i] = work_new(&counts, i % 2 ? parent : child);
                        assert_int_equal(sp__op_enlist(ops[i]), SP_OK);
                }
                pthread_barrier_init(&start, NULL, 2);
                pthread_create(&thread, NULL, cancel_body, &race);
                pthread_barrier_wait(&start);
                for (size_t i = 0; i < MANY; i++) {
                        work_answer(ops[i]);
                        sp__op_unref(ops[i]);
                }
                sp_ctx_unref(child);
                pthread_join(thread, NULL);
                sp_ctx_unref(parent);
                pthread_barrier_destroy(&start);
                assert_int_equal(counts.told, MANY);
                assert_int_equal(counts.settled, MANY);
                assert_int_equal(counts.destroyed, MANY);
        }
}

static void test_cancelling_races_with_children_that_come_and_go(void **state)
{
        for (int round = 0; round < ROUNDS / 10; round++) {
                struct work_counts counts = {0};
                sp_ctx *parent = sp_ctx_new(NULL);
                pthread_barrier_t start;
                struct race race = {.ctx = parent, .start = &start};
                pthread_t thread;
                int refused = 0;

                pthread_barrier_init(&start, NULL, 2);
                pthread_create(&thread, NULL, cancel_body, &race);
                pthread_barrier_wait(&start);
                for (size_t i = 0; i < MANY; i++) {
                        sp_ctx *child = sp_ctx_new(parent);
                        sp__op *op = work_new(&counts, child);

                        sp_ctx_unref(child);
                        if (sp__op_enlist(op) == SP_OK) {
                                work_answer(op);
                                sp__op_unref(op);
                        } else {
                                sp__op_abandon(op);
                                refused++;
                        }
                }
                pthread_join(thread, NULL);
                sp_ctx_unref(parent);
                pthread_barrier_destroy(&start);
                assert_int_equal(counts.told, MANY - refused);
                assert_int_equal(counts.destroyed, MANY);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_of_many_who_end_it_one_wins),
            cmocka_unit_test(test_what_comes_second_is_freed),
            cmocka_unit_test(test_a_batch_tells_in_the_order_of_settling),
            cmocka_unit_test(test_what_ended_before_it_was_registered_leaves_nothing_behind),
            cmocka_unit_test(test_a_refused_submission_tells_nobody),
            cmocka_unit_test(test_a_refusal_that_has_something_to_say_comes_through_the_queue),
            cmocka_unit_test(test_a_child_ends_no_later_than_its_parent),
            cmocka_unit_test(test_cancelling_races_with_answers_and_each_is_told_once),
            cmocka_unit_test(test_cancelling_races_with_children_that_come_and_go),
        };

        return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
