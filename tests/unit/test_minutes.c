/* SPDX-License-Identifier: MIT */
/* What was recorded in the last minutes is all there, whoever turns them. */
#include "base/clock.h"
#include "profile/profiler.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RECORDERS = 4, EACH_MINUTE = 2000, MINUTES = 5 };

static void *record_minutes(void *profiler)
{
        struct sp__stmt_record record = {.name = "name", .text = "SELECT 1", .pool = "default", .code = ""};

        for (int i = 0; i < MINUTES * EACH_MINUTE; i++) {
                record.execute_ns = 1000 + i;
                record.done_ns = i / EACH_MINUTE * 60 * SP__SECOND + SP__SECOND;
                sp__profiler_record(profiler, &record);
        }
        return NULL;
}

static void test_minutes_that_turn_under_several_threads_lose_nothing(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_profiler *profiler = NULL;
        pthread_t threads[RECORDERS];
        sp_value *value = NULL;
        const char *at;
        long count = 0;
        size_t len;

        assert_int_equal(sp_profiler_new(NULL, clock, &profiler, NULL), SP_OK);
        for (int i = 0; i < RECORDERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, record_minutes, profiler), 0);
        for (int i = 0; i < RECORDERS; i++)
                pthread_join(threads[i], NULL);
        sp_clock_advance(clock, MINUTES * 60000 - sp_profiler_start(profiler) / SP__MS);
        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        at = strstr(sp_value_data(value, &len), "\"minutes\":");
        for (int i = 0; i < MINUTES; i++) {
                at = strstr(at, "{\"count\":");
                assert_non_null(at);
                at += strlen("{\"count\":");
                count += strtol(at, NULL, 10);
        }
        assert_int_equal(count, RECORDERS * MINUTES * EACH_MINUTE);
        sp_value_unref(value);
        sp_profiler_free(profiler);
        sp_clock_free(clock);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_minutes_that_turn_under_several_threads_lose_nothing),
        };

        return cmocka_run_group_tests_name("minutes", tests, NULL, NULL);
}
