/* SPDX-License-Identifier: MIT */
/* Rows that a caller tells of invalidate what rules say, and nothing else; "all" is the namespace. */
#include "desk.h"

#include <stdlib.h>
#include <string.h>

static void test_a_row_invalidates_what_its_rules_say(void **state)
{
        struct desk desk;

        desk_begin(&desk, state);
        desk_put(&desk, "1");
        desk_put(&desk, "2");
        assert_int_equal(desk_tell(&desk, desk_row("items", SP_ROW_UPDATE, "1"), NULL), SP_OK);
        assert_false(desk_has(&desk, "1"));
        assert_true(desk_has(&desk, "2"));
        assert_int_equal(desk_tell(&desk, desk_row("nobody_s", SP_ROW_UPDATE, "2"), NULL), SP_OK);
        assert_true(desk_has(&desk, "2"));
        assert_int_equal(desk_tell(&desk, desk_row("lists", SP_ROW_DELETE, NULL), NULL), SP_OK);
        assert_false(desk_has(&desk, "2"));
        desk_end(&desk);
}

static void test_a_row_that_does_not_tell_enough_is_an_error(void **state)
{
        struct desk desk;
        sp_error *error = NULL;

        desk_begin(&desk, state);
        assert_int_equal(desk_tell(&desk, desk_row("items", SP_ROW_INSERT, NULL), &error), SP_INVALID);
        says(error, "test:1 needs the column \"id\"", NULL);
        desk_end(&desk);
}

static void test_odd_ids_invalidate_exactly_themselves(void **state)
{
        static const char *const ids[] = {"*", "a:b", "]", "{x}", "%2A"};
        static const char *const parts[] = {"%2A", "a%3Ab", "%5D", "%7Bx%7D", "%252A"};
        enum { ODD = 5 };
        char *long_id = malloc(10240), long_part[66] = "~";
        struct desk desk;

        desk_begin(&desk, state);
        memset(long_id, 'x', 10239);
        long_id[10239] = 0;
        for (int i = 0; i < ODD; i++)
                desk_put(&desk, parts[i]);
        desk_put(&desk, "plain");
        for (int i = 0; i < ODD; i++) {
                assert_int_equal(desk_tell(&desk, desk_row("items", SP_ROW_DELETE, ids[i]), NULL), SP_OK);
                for (int k = 0; k < ODD; k++)
                        assert_int_equal(desk_has(&desk, parts[k]), k > i);
        }
        {
                sp_value *value = NULL;
                sp_row *row = desk_row("items", SP_ROW_DELETE, long_id);
                const char *at;
                size_t len;

                assert_int_equal(sp_rules_explain(desk.rules, row, &value, NULL), SP_OK);
                at = strstr(sp_value_data(value, &len), ":item:~");
                assert_non_null(at);
                memcpy(long_part, at + 6, 65);
                sp_value_unref(value);
                sp_row_free(row);
        }
        desk_put(&desk, long_part);
        assert_int_equal(desk_tell(&desk, desk_row("items", SP_ROW_DELETE, long_id), NULL), SP_OK);
        assert_false(desk_has(&desk, long_part));
        assert_true(desk_has(&desk, "plain"));
        free(long_id);
        desk_end(&desk);
}

static void test_all_is_the_namespace_and_no_other(void **state)
{
        struct desk desk, neighbour;
        sp_targets *targets = sp_targets_new();

        desk_begin(&desk, state);
        desk_begin(&neighbour, state);
        desk_put(&desk, "1");
        desk_put(&desk, "2");
        desk_put(&neighbour, "1");
        assert_int_equal(sp_targets_all(targets), SP_OK);
        assert_int_equal(desk.way->invalidate(desk.cache, NULL, targets, NULL), SP_OK);
        assert_false(desk_has(&desk, "1"));
        assert_false(desk_has(&desk, "2"));
        assert_true(desk_has(&neighbour, "1"));
        desk_put(&desk, "1");
        assert_true(desk_has(&desk, "1"));
        sp_targets_free(targets);
        desk_end(&neighbour);
        desk_end(&desk);
}

static void test_all_outdates_a_load_that_is_under_way(void **state)
{
        struct desk desk;
        sp_targets *targets = sp_targets_new();
        char name[TEXT_MAX];
        sp_lease *lease;

        desk_begin(&desk, state);
        lease = lease_of(desk.way, desk.cache, desk_key(&desk, "1", name));
        assert_int_equal(sp_targets_all(targets), SP_OK);
        assert_int_equal(desk.way->invalidate(desk.cache, NULL, targets, NULL), SP_OK);
        fill_text(desk.way, lease, "old");
        assert_false(desk_has(&desk, "1"));
        sp_targets_free(targets);
        desk_end(&desk);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            ALL_WAYS(test_a_row_invalidates_what_its_rules_say),
            ALL_WAYS(test_a_row_that_does_not_tell_enough_is_an_error),
            ALL_WAYS(test_odd_ids_invalidate_exactly_themselves),
            ALL_WAYS(test_all_is_the_namespace_and_no_other),
            ALL_WAYS(test_all_outdates_a_load_that_is_under_way),
        };

        return cmocka_run_group_tests_name("invalidate", tests, NULL, NULL);
}
