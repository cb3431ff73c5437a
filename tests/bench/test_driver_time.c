/* SPDX-License-Identifier: MIT */
/* Quantiles of the drivers' times are within a bucket of the truth, from nanoseconds to minutes. */
#include "driver_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void near(double value, double wanted)
{
        if (value < wanted * 0.99 - 1 || value > wanted * 1.01 + 1)
                fail_msg("%f is not near %f", value, wanted);
}

static void test_quantiles_of_known_times(void **state)
{
        struct driver_times *times = calloc(1, sizeof *times);

        assert_non_null(times);
        for (uint64_t ns = 1; ns <= 100000; ns++)
                driver_times_add(times, ns, 1);
        near(driver_times_quantile(times, 0.5), 50000);
        near(driver_times_quantile(times, 0.99), 99000);
        near(driver_times_quantile(times, 1), 100000);
        near(driver_times_quantile(times, 0.0005), 50);
        free(times);
}

static void test_every_size_of_time_finds_its_bucket(void **state)
{
        struct driver_times *times = calloc(1, sizeof *times);

        assert_non_null(times);
        for (uint64_t ns = 1; ns < UINT64_C(1) << 40; ns = ns * 3 + 1) {
                *times = (struct driver_times){0};
                driver_times_add(times, ns, 5);
                assert_int_equal(times->total, 5);
                near(driver_times_quantile(times, 0.5), (double)ns);
        }
        driver_times_add(times, UINT64_MAX, 1);
        assert_int_equal(times->buckets[DRIVER_TIMES_BUCKETS - 1], 1);
        free(times);
}

static void test_callers_add_up(void **state)
{
        struct driver_times *all = calloc(2, sizeof *all);

        assert_non_null(all);
        assert_true(driver_times_quantile(all, 0.5) == 0);
        driver_times_add(&all[0], 1000, 3);
        driver_times_add(&all[1], 9000, 1);
        driver_times_merge(&all[0], &all[1]);
        assert_int_equal(all[0].total, 4);
        near(driver_times_quantile(&all[0], 0.5), 1000);
        near(driver_times_quantile(&all[0], 1), 9000);
        free(all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_quantiles_of_known_times),
            cmocka_unit_test(test_every_size_of_time_finds_its_bucket),
            cmocka_unit_test(test_callers_add_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
