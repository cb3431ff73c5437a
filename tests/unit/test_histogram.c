/* SPDX-License-Identifier: MIT */
/* A histogram keeps every record and stays within the error that its header states. */
#include "observe/histogram.h"

#include "base/clock.h"
#include "base/random.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { VALUES = 20000, THREADS = 8, RECORDS = 20000 };

static int compare(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return x < y ? -1 : x > y;
}

static void assert_near(int64_t exact, int64_t got)
{
        int64_t allowed = exact / 64 > 16 ? exact / 64 : 16;

        if (llabs(got - exact) > allowed)
                fail_msg("%lld is more than 1/64 from %lld", (long long)got, (long long)exact);
}

static void test_quantiles_of_random_values_are_within_a_64th(void **state)
{
        static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
        struct sp__histogram *histogram = sp__histogram_new();
        int64_t *values = malloc(VALUES * sizeof *values);
        struct sp__random random = {sp__random_seed()};
        int64_t sum = 0;

        print_message("# seed %llu\n", (unsigned long long)random.state);
        assert_non_null(histogram);
        assert_non_null(values);
        for (size_t i = 0; i < VALUES; i++) {
                /* As many of each magnitude, from nanoseconds to an hour. */
                values[i] = (int64_t)exp(sp__random_unit(&random) * log(3600e9));
                sum += values[i];
                sp__histogram_record(histogram, values[i]);
        }
        qsort(values, VALUES, sizeof *values, compare);
        for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
                double rank = ceil(quantiles[i] * VALUES);

                assert_near(values[rank < 1 ? 0 : (size_t)rank - 1], sp__histogram_quantile(histogram, quantiles[i]));
        }
        assert_int_equal(sp__histogram_count(histogram), VALUES);
        assert_int_equal(sp__histogram_sum(histogram), sum);
        free(values);
        sp__histogram_free(histogram);
}

static void test_each_magnitude_and_its_neighbours_come_back(void **state)
{
        for (int bit = 0; bit < 42; bit++) {
                for (int64_t ns = ((int64_t)1 << bit) - 1; ns <= ((int64_t)1 << bit) + 1; ns++) {
                        struct sp__histogram *histogram = sp__histogram_new();

                        sp__histogram_record(histogram, ns);
                        assert_near(ns, sp__histogram_quantile(histogram, 0.5));
                        sp__histogram_free(histogram);
                }
        }
}

static void test_what_lies_outside_counts_at_the_ends(void **state)
{
        struct sp__histogram *histogram = sp__histogram_new();

        assert_int_equal(sp__histogram_quantile(histogram, 0.5), 0);
        sp__histogram_record(histogram, -5);
        assert_near(0, sp__histogram_quantile(histogram, 1));
        sp__histogram_record(histogram, INT64_MAX / 2);
        assert_near((int64_t)1 << 42, sp__histogram_quantile(histogram, 1));
        assert_near(0, sp__histogram_quantile(histogram, NAN));
        assert_near(0, sp__histogram_quantile(histogram, -1));
        assert_near((int64_t)1 << 42, sp__histogram_quantile(histogram, 2));
        assert_int_equal(sp__histogram_count(histogram), 2);
        assert_int_equal(sp__histogram_sum(histogram), INT64_MAX / 2);
        sp__histogram_free(histogram);
        sp__histogram_free(NULL);
}

static void test_scrapers_buckets_hold_every_record(void **state)
{
        struct sp__histogram *histogram = sp__histogram_new();
        struct sp__buckets buckets;

        for (size_t i = 0; i < SP__BOUNDS; i++) {
                sp__histogram_record(histogram, sp__bounds_ns[i] * 9 / 10);
                sp__histogram_record(histogram, sp__bounds_ns[i] * 11 / 10);
        }
        sp__histogram_buckets(histogram, &buckets);
        assert_int_equal(buckets.counts[0], 1);
        for (size_t i = 1; i < SP__BOUNDS; i++)
                assert_int_equal(buckets.counts[i], 2);
        assert_int_equal(buckets.counts[SP__BOUNDS], 1);
        assert_int_equal(buckets.sum_ns, sp__histogram_sum(histogram));
        sp__histogram_free(histogram);
}

static void *record(void *arg)
{
        for (int64_t i = 0; i < RECORDS; i++)
                sp__histogram_record(arg, i * 1000);
        return NULL;
}

static void test_concurrent_records_lose_nothing(void **state)
{
        struct sp__histogram *histogram = sp__histogram_new();
        pthread_t threads[THREADS];

        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, record, histogram), 0);
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(sp__histogram_count(histogram), THREADS * RECORDS);
        assert_int_equal(sp__histogram_sum(histogram), (int64_t)THREADS * RECORDS * (RECORDS - 1) / 2 * 1000);
        sp__histogram_free(histogram);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_quantiles_of_random_values_are_within_a_64th),
            cmocka_unit_test(test_each_magnitude_and_its_neighbours_come_back),
            cmocka_unit_test(test_what_lies_outside_counts_at_the_ends),
            cmocka_unit_test(test_scrapers_buckets_hold_every_record),
            cmocka_unit_test(test_concurrent_records_lose_nothing),
        };

        return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
