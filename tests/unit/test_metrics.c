/* SPDX-License-Identifier: MIT */
/* A page of metrics is what a scraper accepts, whatever names contain and whoever adds to a family. */
#include "../support/child.h"
#include "observe/registry.h"

#include "base/clock.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_page(sp_metrics *metrics, int format, const char *expected)
{
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_metrics_text(metrics, format, &value), SP_OK);
        assert_int_equal(sp_value_codec(value), SP_CODEC_TEXT);
        assert_string_equal(sp_value_data(value, &len), expected);
        assert_int_equal(len, strlen(expected));
        sp_value_unref(value);
}

static void pool_collect(void *arg, struct sp__expo *expo)
{
        const char *const labels[] = {"pool", arg, NULL};

        sp__expo_family(expo, "sp_waits", "counter", "Calls that waited.");
        sp__expo_sample(expo, "_total", labels, 9007199254740991.0);
        sp__expo_family(expo, "sp_used_ratio", "gauge", "Used of all.");
        sp__expo_sample(expo, NULL, labels, 0.1);
}

static void test_collectors_share_a_family(void **state)
{
        sp_metrics *metrics = sp__metrics_new(NULL);

        assert_non_null(metrics);
        assert_true(sp__metrics_add(metrics, pool_collect, (char[]){"a"}));
        assert_true(sp__metrics_add(metrics, pool_collect, (char[]){"b"}));
        assert_page(metrics, SP_METRICS_PROMETHEUS,
                    "# HELP sp_waits_total Calls that waited.\n"
                    "# TYPE sp_waits_total counter\n"
                    "sp_waits_total{pool=\"a\"} 9007199254740991\n"
                    "sp_waits_total{pool=\"b\"} 9007199254740991\n"
                    "# HELP sp_used_ratio Used of all.\n"
                    "# TYPE sp_used_ratio gauge\n"
                    "sp_used_ratio{pool=\"a\"} 0.1\n"
                    "sp_used_ratio{pool=\"b\"} 0.1\n");
        assert_page(metrics, SP_METRICS_OPENMETRICS,
                    "# HELP sp_waits Calls that waited.\n"
                    "# TYPE sp_waits counter\n"
                    "sp_waits_total{pool=\"a\"} 9007199254740991\n"
                    "sp_waits_total{pool=\"b\"} 9007199254740991\n"
                    "# HELP sp_used_ratio Used of all.\n"
                    "# TYPE sp_used_ratio gauge\n"
                    "sp_used_ratio{pool=\"a\"} 0.1\n"
                    "sp_used_ratio{pool=\"b\"} 0.1\n"
                    "# EOF\n");
        sp_metrics_free(metrics);
}

static void names_collect(void *arg, struct sp__expo *expo)
{
        const char *const *name = arg;

        sp__expo_family(expo, "sp_named", "gauge", "Names from outside.");
        for (; *name; name++)
                sp__expo_sample(expo, NULL, (const char *[]){"name", *name, "kind", "x", NULL}, 1);
}

static void test_label_values_are_escaped_and_valid(void **state)
{
        const char *names[] = {"a\"b\\c\nd", "größe €😀", "\xff\xc3(\xe2\x82", "\xc0\xaf\xed\xa0\x80", "", NULL};
        sp_metrics *metrics = sp__metrics_new(NULL);

        sp__metrics_add(metrics, names_collect, names);
        assert_page(metrics, SP_METRICS_PROMETHEUS,
                    "# HELP sp_named Names from outside.\n"
                    "# TYPE sp_named gauge\n"
                    "sp_named{name=\"a\\\"b\\\\c\\nd\",kind=\"x\"} 1\n"
                    "sp_named{name=\"größe €😀\",kind=\"x\"} 1\n"
                    "sp_named{name=\"��(��\",kind=\"x\"} 1\n"
                    "sp_named{name=\"�����\",kind=\"x\"} 1\n"
                    "sp_named{name=\"\",kind=\"x\"} 1\n");
        sp_metrics_free(metrics);
}

static void numbers_collect(void *arg, struct sp__expo *expo)
{
        static const double numbers[] = {0, -3, 1e15, 0x1.0p62, 0.5, 1.0 / 3, 1e-7, -0.0025, NAN, INFINITY, -INFINITY};

        sp__expo_sample(expo, NULL, NULL, 1);
        sp__expo_family(expo, "sp_empty", "gauge", "Without samples.");
        sp__expo_family(expo, "sp_number", "gauge", "Numbers.");
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                sp__expo_sample(expo, NULL, NULL, numbers[i]);
}

static void test_numbers_read_back_in_any_locale(void **state)
{
        static const char *const locales[] = {"C", "de_DE.UTF-8", "fa_IR.UTF-8"};
        sp_metrics *metrics = sp__metrics_new(NULL);

        sp__metrics_add(metrics, numbers_collect, NULL);
        for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
                /* Not every machine has them. */
                setlocale(LC_NUMERIC, locales[i]);
                assert_page(metrics, SP_METRICS_PROMETHEUS,
                            "# HELP sp_number Numbers.\n"
                            "# TYPE sp_number gauge\n"
                            "sp_number 0\n"
                            "sp_number -3\n"
                            "sp_number 1000000000000000\n"
                            "sp_number 4.611686018427388e+18\n"
                            "sp_number 0.5\n"
                            "sp_number 0.3333333333333333\n"
                            "sp_number 1e-07\n"
                            "sp_number -0.0025\n"
                            "sp_number NaN\n"
                            "sp_number +Inf\n"
                            "sp_number -Inf\n");
        }
        setlocale(LC_NUMERIC, "C");
        sp_metrics_free(metrics);
}

static void times_collect(void *arg, struct sp__expo *expo)
{
        sp__expo_family(expo, "sp_load_seconds", "histogram", "Loads.");
        sp__expo_histogram(expo, (const char *[]){"cache", "c", NULL}, arg);
}

#define BUCKETS(one, five, ten)                                                                                        \
        "# HELP sp_load_seconds Loads.\n"                                                                              \
        "# TYPE sp_load_seconds histogram\n"                                                                           \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.0001\"} 1\n"                                                        \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.00025\"} 1\n"                                                       \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.0005\"} 1\n"                                                        \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.001\"} 1\n"                                                         \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.0025\"} 2\n"                                                        \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.005\"} 2\n"                                                         \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.01\"} 2\n"                                                          \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.025\"} 2\n"                                                         \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.05\"} 2\n"                                                          \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.1\"} 2\n"                                                           \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.25\"} 2\n"                                                          \
        "sp_load_seconds_bucket{cache=\"c\",le=\"0.5\"} 2\n"                                                           \
        "sp_load_seconds_bucket{cache=\"c\",le=\"" one "\"} 2\n"                                                       \
        "sp_load_seconds_bucket{cache=\"c\",le=\"2.5\"} 2\n"                                                           \
        "sp_load_seconds_bucket{cache=\"c\",le=\"" five "\"} 2\n"                                                      \
        "sp_load_seconds_bucket{cache=\"c\",le=\"" ten "\"} 2\n"                                                       \
        "sp_load_seconds_bucket{cache=\"c\",le=\"+Inf\"} 3\n"                                                          \
        "sp_load_seconds_sum{cache=\"c\"} 20.00205\n"                                                                  \
        "sp_load_seconds_count{cache=\"c\"} 3\n"

static void test_histograms_are_cumulative_seconds(void **state)
{
        struct sp__histogram *histogram = sp__histogram_new();
        sp_metrics *metrics = sp__metrics_new(NULL);

        sp__histogram_record(histogram, 50000);
        sp__histogram_record(histogram, 2 * SP__MS);
        sp__histogram_record(histogram, 20 * SP__SECOND);
        sp__metrics_add(metrics, times_collect, histogram);
        assert_page(metrics, SP_METRICS_PROMETHEUS, BUCKETS("1", "5", "10"));
        assert_page(metrics, SP_METRICS_OPENMETRICS, BUCKETS("1.0", "5.0", "10.0") "# EOF\n");
        sp_metrics_free(metrics);
        sp__histogram_free(histogram);
}

static void test_an_unknown_format_is_refused(void **state)
{
        sp_metrics *metrics = sp__metrics_new(NULL);
        sp_value *untouched = NULL;

        assert_int_equal(sp_metrics_text(metrics, 2, &untouched), SP_INVALID);
        assert_int_equal(sp_metrics_text(metrics, -1, &untouched), SP_INVALID);
        assert_int_equal(sp_metrics_text(NULL, SP_METRICS_PROMETHEUS, &untouched), SP_INVALID);
        assert_null(untouched);
        assert_page(metrics, SP_METRICS_PROMETHEUS, "");
        assert_page(metrics, SP_METRICS_OPENMETRICS, "# EOF\n");
        sp_metrics_free(metrics);
        sp_metrics_free(NULL);
}

static void test_a_child_process_is_told_so(void **state)
{
        sp_metrics *metrics = sp__metrics_new(NULL);
        pid_t child = child_fork();
        int status;

        if (child == 0) {
                sp_value *value;

                _exit(sp_metrics_text(metrics, SP_METRICS_PROMETHEUS, &value) == SP_FORKED ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        sp_metrics_free(metrics);
}

/* A collector's owner: what the collector finds while it is called. */
struct owner {
        atomic_bool alive;
        atomic_bool called_dead;
};

static void owner_collect(void *arg, struct sp__expo *expo)
{
        struct owner *owner = arg;

        if (!atomic_load(&owner->alive))
                atomic_store(&owner->called_dead, true);
}

static void *scrape(void *arg)
{
        for (int i = 0; i < 2000; i++) {
                sp_value *value;

                if (sp_metrics_text(arg, SP_METRICS_PROMETHEUS, &value) == SP_OK)
                        sp_value_unref(value);
        }
        return NULL;
}

static void test_a_removed_collector_is_not_called_again(void **state)
{
        sp_metrics *metrics = sp__metrics_new(NULL);
        struct owner owner = {false, false};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, scrape, metrics), 0);
        for (int i = 0; i < 2000; i++) {
                atomic_store(&owner.alive, true);
                assert_true(sp__metrics_add(metrics, owner_collect, &owner));
                sp__metrics_remove(metrics, &owner);
                atomic_store(&owner.alive, false);
        }
        pthread_join(thread, NULL);
        assert_false(atomic_load(&owner.called_dead));
        sp_metrics_free(metrics);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_collectors_share_a_family),
            cmocka_unit_test(test_label_values_are_escaped_and_valid),
            cmocka_unit_test(test_numbers_read_back_in_any_locale),
            cmocka_unit_test(test_histograms_are_cumulative_seconds),
            cmocka_unit_test(test_an_unknown_format_is_refused),
            cmocka_unit_test(test_a_child_process_is_told_so),
            cmocka_unit_test(test_a_removed_collector_is_not_called_again),
        };

        return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
