/* SPDX-License-Identifier: MIT */
/* When something is due: what can be said, and when that is. */
#include "cache/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* "2026-02-19 13:10:05" in UTC. */
static int64_t at(const char *text)
{
        struct tm tm = {0};

        assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
        return (int64_t)timegm(&tm) * 1000;
}

static void expect(const char *when, const char *after, const char *due)
{
        struct sp__cron cron;
        sp_error *error = NULL;
        int64_t next;

        if (sp__cron_parse(when, &cron, &error) != SP_OK)
                fail_msg("%s: %s", when, sp_error_message(error));
        next = sp__cron_next(&cron, at(after));
        if (next != at(due))
                fail_msg("%s after %s: %lld, not %lld", when, after, (long long)next, (long long)at(due));
}

static void test_times_in_words(void **state)
{
        expect("hourly", "2026-02-19 13:10:05", "2026-02-19 14:00:00");
        expect("@daily", "2026-02-19 13:10:05", "2026-02-20 00:00:00");
        expect("weekly", "2026-02-19 13:10:05", "2026-02-22 00:00:00");
        expect("monthly", "2026-02-19 13:10:05", "2026-03-01 00:00:00");
        expect("yearly", "2026-02-19 13:10:05", "2027-01-01 00:00:00");
        expect("daily 03:30", "2026-02-19 03:29:59", "2026-02-19 03:30:00");
        expect("daily 03:30", "2026-02-19 03:30:00", "2026-02-20 03:30:00");
        expect("every 90s", "2026-02-19 00:00:00", "2026-02-19 00:01:30");
        expect("every 1h", "2026-02-19 13:59:59", "2026-02-19 14:00:00");
}

static void test_times_in_fields(void **state)
{
        expect("* * * * *", "2026-02-19 13:10:05", "2026-02-19 13:11:00");
        expect("*/15 * * * *", "2026-02-19 13:10:05", "2026-02-19 13:15:00");
        expect("5/20 * * * *", "2026-02-19 13:26:00", "2026-02-19 13:45:00");
        expect("0 9-17/4 * * *", "2026-02-19 13:10:05", "2026-02-19 17:00:00");
        expect("0,30 8 * * mon-fri", "2026-02-20 08:30:00", "2026-02-23 08:00:00");
        expect("0 0 1 jan *", "2026-02-19 13:10:05", "2027-01-01 00:00:00");
        expect("0 0 * * 7", "2026-02-19 13:10:05", "2026-02-22 00:00:00");
        expect("0 0 29 2 *", "2026-02-19 13:10:05", "2028-02-29 00:00:00");
        expect("0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00");
        expect("59 23 31 12 *", "2026-02-19 13:10:05", "2026-12-31 23:59:00");
        /* Two restricted days: either will do. */
        expect("0 0 13 * fri", "2026-02-19 13:10:05", "2026-02-20 00:00:00");
        expect("0 0 13 * fri", "2026-03-07 00:00:00", "2026-03-13 00:00:00");
        /* What begins with a star restricts nothing for that: both have to. */
        expect("0 0 */2 * mon", "2026-02-19 13:10:05", "2026-02-23 00:00:00");
        expect("0 0 */2 * mon", "2026-02-23 00:00:00", "2026-03-09 00:00:00");
        expect("0 0 *,1 * mon", "2026-02-19 13:10:05", "2026-02-23 00:00:00");
        expect("0 0 29 2 */7", "2032-03-01 00:00:00", "2060-02-29 00:00:00");
        expect("0 0 1-9 * */2", "2026-02-19 13:10:05", "2026-03-01 00:00:00");
        expect("0 0 1-9 * */2", "2026-03-01 00:00:00", "2026-03-03 00:00:00");
}

static void test_a_start_comes_by_itself(void **state)
{
        struct sp__cron cron;

        assert_int_equal(sp__cron_parse("start", &cron, NULL), SP_OK);
        assert_true(cron.start);
        assert_int_equal(sp__cron_next(&cron, 0), -1);
}

static void test_what_is_no_time_is_refused_with_a_reason(void **state)
{
        static const struct {
                const char *when;
                const char *says;
        } rows[] = {
            {"", "minute"},
            {"60 * * * *", "minute"},
            {"* 24 * * *", "hour"},
            {"* * 0 * *", "day of the month"},
            {"* * * 13 *", "month"},
            {"* * * foo *", "month"},
            {"* * * * 8", "day of the week"},
            {"* * * *", "day of the week"},
            {"* * * * * *", "five fields"},
            {"5-1 * * * *", "minute"},
            {"*/0 * * * *", "minute"},
            {"1x * * * *", "minute"},
            {"0 0 30 2 *", "no such day"},
            {"every 1", "duration"},
            {"every day", "duration"},
            {"daily 25:00", "03:30"},
            {"daily 3:30pm", "03:30"},
            {"soon", "minute"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_error *error = NULL;
                struct sp__cron cron;

                if (sp__cron_parse(rows[i].when, &cron, &error) != SP_INVALID)
                        fail_msg("\"%s\" was taken", rows[i].when);
                if (!strstr(sp_error_message(error), rows[i].says))
                        fail_msg("\"%s\": %s", rows[i].when, sp_error_message(error));
                sp_error_free(error);
        }
        assert_int_equal(sp__cron_parse(NULL, &(struct sp__cron){0}, NULL), SP_INVALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_times_in_words),
            cmocka_unit_test(test_times_in_fields),
            cmocka_unit_test(test_a_start_comes_by_itself),
            cmocka_unit_test(test_what_is_no_time_is_refused_with_a_reason),
        };

        return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
