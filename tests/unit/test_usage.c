/* SPDX-License-Identifier: MIT */
/* Hits over a time, and what is counted for each template. */
#include "cache/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void near(double got, double expected)
{
        if (got < expected - 1e-9 || got > expected + 1e-9)
                fail_msg("%f, not %f", got, expected);
}

static void test_a_window_forgets_what_came_before(void **state)
{
        static struct sp__usages usages;
        int64_t now;

        sp__usages_init(&usages);
        now = usages.sights[0].at;
        near(sp__usages_rate(&usages, now, 60 * SP__SECOND, 0, 0), 0);
        near(sp__usages_rate(&usages, now + SP__SECOND, 60 * SP__SECOND, 1, 3), .25);
        assert_false(sp__usages_due(&usages, now + SP__SECOND));
        /* A minute of misses, then one of hits. */
        for (int i = 1; i <= 12; i++) {
                now += 10 * SP__SECOND;
                assert_true(sp__usages_due(&usages, now));
                sp__usages_see(&usages, now, i > 6 ? (i - 6) * 10 : 0, i > 6 ? 60 : i * 10);
        }
        near(sp__usages_rate(&usages, now, 60 * SP__SECOND, 60, 60), 1);
        near(sp__usages_rate(&usages, now, 120 * SP__SECOND, 60, 60), .5);
        near(sp__usages_rate(&usages, now, 90 * SP__SECOND, 60, 60), 60. / 90);
        /* Longer than is remembered: since the first. */
        near(sp__usages_rate(&usages, now, 3600 * SP__SECOND, 60, 60), .5);
        for (int i = 0; i < 2 * SP__SIGHTS; i++) {
                now += 10 * SP__SECOND;
                sp__usages_see(&usages, now, 60 + i, 60);
        }
        near(sp__usages_rate(&usages, now, 3600 * SP__SECOND, 60 + 2 * SP__SIGHTS, 60), 1);
        sp__usages_destroy(&usages);
}

static void test_templates_are_told_apart_until_there_are_too_many(void **state)
{
        static struct sp__usages usages;
        static char memory[SP__USAGES + 1];

        sp__usages_init(&usages);
        assert_ptr_equal(sp__usages_of(&usages, NULL), &usages.all[0]);
        for (int i = 0; i <= SP__USAGES; i++) {
                const sp_template *tmpl = (const sp_template *)(const void *)&memory[i];
                struct sp__usage *usage = sp__usages_of(&usages, tmpl);

                assert_ptr_equal(usage, &usages.all[i < SP__USAGES - 1 ? i + 1 : 0]);
                assert_ptr_equal(usage, sp__usages_of(&usages, tmpl));
        }
        sp__usage_count(NULL, SP__USED_HIT);
        sp__usages_destroy(&usages);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_window_forgets_what_came_before),
            cmocka_unit_test(test_templates_are_told_apart_until_there_are_too_many),
        };

        return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
