/* SPDX-License-Identifier: MIT */
/* What a service counts stands on the page as a scraper takes it, however many series are asked for and from whatever threads. */
#include "../support/child.h"
#include "observe/registry.h"

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

static sp_metrics *metrics_of(const char *series)
{
        sp_config *config = sp_config_new();
        sp_metrics *metrics = NULL;

        if (series)
                assert_int_equal(sp_config_set(config, "metrics.series", series, NULL), SP_OK);
        assert_int_equal(sp_metrics_new(config, &metrics, NULL), SP_OK);
        sp_config_free(config);
        return metrics;
}

/* "method", "card", …, NULL */
static sp_params *labels_of(const char *const words[])
{
        sp_params *labels = sp_params_new();

        for (; *words; words++)
                assert_int_equal(sp_params_add_text(labels, *words, strlen(*words)), SP_OK);
        return labels;
}

static sp_counter *counter_of(sp_metrics *metrics, const char *name, const char *const words[])
{
        sp_params *labels = words ? labels_of(words) : NULL;
        sp_counter *counter = NULL;
        sp_error *error = NULL;

        if (sp_metrics_counter(metrics, name, "Orders taken.", labels, &counter, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_params_free(labels);
        return counter;
}

static void assert_page(sp_metrics *metrics, int format, const char *expected)
{
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_metrics_text(metrics, format, &value), SP_OK);
        assert_string_equal(sp_value_data(value, &len), expected);
        sp_value_unref(value);
}

static void test_each_kind_stands_on_the_page(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        sp_counter *card = counter_of(metrics, "shop_orders", (const char *[]){"method", "card", "shop", "1", NULL});
        sp_gauge *stock = NULL;
        sp_histogram *times = NULL;
        sp_value *page = NULL;
        const char *text;
        size_t len;

        sp_counter_add(card, 2);
        sp_counter_add(card, 0);
        sp_counter_add(card, -7);
        counter_of(metrics, "shop_orders_total", (const char *[]){"shop", "1", "method", "a\"b\\c\nd", NULL});
        assert_int_equal(sp_metrics_gauge(metrics, "shop_stock", "What is left.", NULL, &stock, NULL), SP_OK);
        sp_gauge_set(stock, 4);
        sp_gauge_add(stock, -1.5);
        assert_page(metrics, SP_METRICS_PROMETHEUS,
                    "# HELP shop_orders_total Orders taken.\n"
                    "# TYPE shop_orders_total counter\n"
                    "shop_orders_total{method=\"card\",shop=\"1\"} 2\n"
                    "shop_orders_total{method=\"a\\\"b\\\\c\\nd\",shop=\"1\"} 0\n"
                    "# HELP shop_stock What is left.\n"
                    "# TYPE shop_stock gauge\n"
                    "shop_stock 2.5\n");
        assert_int_equal(sp_metrics_histogram(metrics, "shop_order_seconds", "Time of an order.", NULL, &times, NULL),
                         SP_OK);
        sp_histogram_record(times, 3000000);
        sp_histogram_record(times, 3000000);
        sp_histogram_record(times, -1);
        assert_int_equal(sp_histogram_count(times), 3);
        assert_in_range(sp_histogram_quantile_ns(times, .9), 3000000 * 63 / 64, 3000000 * 65 / 64);
        assert_int_equal(sp_metrics_text(metrics, SP_METRICS_OPENMETRICS, &page), SP_OK);
        text = sp_value_data(page, &len);
        assert_non_null(strstr(text, "# TYPE shop_orders counter\nshop_orders_total{method=\"card\",shop=\"1\"} 2\n"));
        assert_non_null(
            strstr(text, "# TYPE shop_order_seconds histogram\nshop_order_seconds_bucket{le=\"0.0001\"} 1\n"));
        assert_non_null(strstr(text, "shop_order_seconds_bucket{le=\"0.005\"} 3\n"));
        assert_non_null(strstr(text, "shop_order_seconds_sum 0.006\nshop_order_seconds_count 3\n# EOF\n"));
        sp_value_unref(page);
        sp_metrics_free(metrics);
}

static void test_the_same_series_is_the_same_handle(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        sp_counter *one = counter_of(metrics, "orders", (const char *[]){"a", "1", "b", "2", NULL});
        char value[200];

        assert_ptr_equal(counter_of(metrics, "orders_total", (const char *[]){"b", "2", "a", "1", NULL}), one);
        assert_ptr_not_equal(counter_of(metrics, "orders", (const char *[]){"a", "2", "b", "1", NULL}), one);
        assert_ptr_not_equal(counter_of(metrics, "orders", (const char *[]){"a", "1", "b", "", NULL}), one);
        /* Values that begin alike, and such that differ past what is kept. */
        assert_ptr_not_equal(counter_of(metrics, "orders", (const char *[]){"a", "12", "b", "", NULL}),
                             counter_of(metrics, "orders", (const char *[]){"a", "1", "b", "2", NULL}));
        memset(value, 'x', sizeof value);
        value[199] = 0;
        one = counter_of(metrics, "orders", (const char *[]){"a", value, "b", "2", NULL});
        value[150] = 'y';
        assert_ptr_equal(counter_of(metrics, "orders", (const char *[]){"a", value, "b", "2", NULL}), one);
        value[127] = 'y';
        assert_ptr_not_equal(counter_of(metrics, "orders", (const char *[]){"a", value, "b", "2", NULL}), one);
        sp_metrics_free(metrics);
}

static void test_past_the_limit_all_share_one(void **state)
{
        sp_metrics *metrics = metrics_of("3");
        char user[16];

        for (int i = 0; i < 5000; i++) {
                snprintf(user, sizeof user, "user-%d", i);
                sp_counter_add(counter_of(metrics, "logins", (const char *[]){"user", user, NULL}), 1);
        }
        /* What was there before stays what it is. */
        sp_counter_add(counter_of(metrics, "logins", (const char *[]){"user", "user-1", NULL}), 1);
        sp_counter_add(counter_of(metrics, "others", (const char *[]){"user", "user-9", NULL}), 1);
        assert_page(metrics, SP_METRICS_PROMETHEUS,
                    "# HELP logins_total Orders taken.\n"
                    "# TYPE logins_total counter\n"
                    "logins_total{user=\"user-0\"} 1\n"
                    "logins_total{user=\"user-1\"} 2\n"
                    "logins_total{user=\"user-2\"} 1\n"
                    "logins_total{user=\"other\"} 4997\n"
                    "# HELP others_total Orders taken.\n"
                    "# TYPE others_total counter\n"
                    "others_total{user=\"user-9\"} 1\n"
                    "# HELP sugarperf_metrics_limited_total Times that a series past metrics.series was asked for.\n"
                    "# TYPE sugarperf_metrics_limited_total counter\n"
                    "sugarperf_metrics_limited_total 4997\n");
        sp_metrics_free(metrics);
}

static void test_ten_thousand_series_are_found_again(void **state)
{
        enum { SERIES = 10000 };
        static sp_counter *counters[SERIES];
        sp_metrics *metrics = metrics_of("10000");
        char id[16];

        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < SERIES; i++) {
                        sp_counter *counter;

                        snprintf(id, sizeof id, "%d", i);
                        counter = counter_of(metrics, "hits", (const char *[]){"id", id, NULL});
                        assert_true(round == 0 || counter == counters[i]);
                        counters[i] = counter;
                }
        }
        sp_metrics_free(metrics);
}

static void refuses(sp_metrics *metrics, const char *name, const char *help, const char *const words[], const char *why)
{
        sp_params *labels = labels_of(words);
        sp_error *error = NULL;
        sp_gauge *gauge = NULL;

        if (sp_metrics_gauge(metrics, name, help, labels, &gauge, &error) != SP_INVALID)
                fail_msg("%s was taken", name);
        if (!strstr(sp_error_message(error), why))
                fail_msg("\"%s\" does not hold \"%s\"", sp_error_message(error), why);
        assert_null(gauge);
        sp_error_free(error);
        sp_params_free(labels);
}

static void test_what_no_scraper_takes_is_refused(void **state)
{
        static const char *const names[] = {"", "1a", "a-b", "a b", "größe", "a\n", "a{", NULL};
        static const char *const taken[] = {"sugarperf_x", "db_client_x", "cache_hits", "x_total",   "x_bucket",
                                            "x_count",     "x_sum",       "x_info",     "x_created", NULL};
        static const char *const labels[] = {"", "1a", "a-b", "a:b", "__name__", "le", "quantile", NULL};
        const char *const none[] = {NULL};
        sp_metrics *metrics = metrics_of(NULL);
        sp_histogram *histogram = NULL;
        sp_gauge *gauge = NULL;
        sp_error *error = NULL;
        sp_params *params = sp_params_new();

        for (size_t i = 0; names[i]; i++)
                refuses(metrics, names[i], "Help.", none, "a metric's name");
        for (size_t i = 0; taken[i]; i++)
                refuses(metrics, taken[i], "Help.", none, "the library's");
        for (size_t i = 0; labels[i]; i++)
                refuses(metrics, "good", "Help.", (const char *[]){labels[i], "1", NULL}, "the name of a label");
        refuses(metrics, "good", "", none, "the help of");
        refuses(metrics, "good", "two\nlines", none, "the help of");
        refuses(metrics, "good", "a\\b", none, "the help of");
        refuses(metrics, "good", "\xff", none, "the help of");
        refuses(metrics, "good", "Help.", (const char *[]){"a", NULL}, "pairs");
        refuses(metrics, "good", "Help.", (const char *[]){"a", "1", "a", "2", NULL}, "twice");
        refuses(metrics, "good", "Help.",
                (const char *[]){"a", "", "b", "", "c", "", "d", "", "e", "", "f", "", "g", "", "h", "", "i", "", NULL},
                "pairs");
        sp_params_add_text(params, "a", 1);
        sp_params_add_null(params);
        assert_int_equal(sp_metrics_gauge(metrics, "good", "Help.", params, &gauge, NULL), SP_INVALID);
        sp_params_free(params);
        assert_int_equal(sp_metrics_histogram(metrics, "x_ms", "Help.", NULL, &histogram, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "must end in _seconds"));
        sp_error_free(error);
        /* None of them is there by half. */
        assert_page(metrics, SP_METRICS_PROMETHEUS, "");
        assert_int_equal(sp_metrics_gauge(metrics, "good", "Help.", NULL, &gauge, NULL), SP_OK);
        refuses(metrics, "good", "Help.", (const char *[]){"a", "1", NULL}, "other labels");
        assert_int_equal(sp_metrics_counter(metrics, "good", "Help.", NULL, &(sp_counter *){NULL}, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "of another kind"));
        sp_error_free(error);
        sp_metrics_free(metrics);
}

static void test_metrics_have_a_limit(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        sp_counter *counter = NULL;
        char name[16];

        for (int i = 0; i < 500; i++) {
                snprintf(name, sizeof name, "m%d", i);
                counter_of(metrics, name, NULL);
        }
        assert_int_equal(sp_metrics_counter(metrics, "one_more", "Help.", NULL, &counter, NULL), SP_LIMIT);
        counter_of(metrics, "m499", NULL);
        sp_metrics_free(metrics);
}

enum { THREADS = 8, ROUNDS = 20000 };

static void *count(void *arg)
{
        sp_metrics *metrics = arg;
        sp_params *labels = labels_of((const char *[]){"from", "all", NULL});
        sp_counter *counter = NULL;
        sp_gauge *gauge = NULL;
        sp_histogram *times = NULL;

        assert_int_equal(sp_metrics_counter(metrics, "works", "Work.", labels, &counter, NULL), SP_OK);
        assert_int_equal(sp_metrics_gauge(metrics, "sum", "Sum.", labels, &gauge, NULL), SP_OK);
        assert_int_equal(sp_metrics_histogram(metrics, "work_seconds", "Work.", labels, &times, NULL), SP_OK);
        sp_params_free(labels);
        for (int i = 0; i < ROUNDS; i++) {
                sp_counter_add(counter, 1);
                sp_gauge_add(gauge, 1);
                sp_histogram_record(times, i);
        }
        return NULL;
}

static void test_threads_count_all_while_it_is_read(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        pthread_t threads[THREADS];
        sp_params *labels = labels_of((const char *[]){"from", "all", NULL});
        sp_histogram *times = NULL;
        sp_gauge *gauge = NULL;

        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, count, metrics), 0);
        for (int i = 0; i < 20; i++) {
                sp_value *page = NULL;

                assert_int_equal(sp_metrics_text(metrics, SP_METRICS_PROMETHEUS, &page), SP_OK);
                sp_value_unref(page);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(sp_counter_value(counter_of(metrics, "works", (const char *[]){"from", "all", NULL})),
                         THREADS * ROUNDS);
        assert_int_equal(sp_metrics_gauge(metrics, "sum", "Sum.", labels, &gauge, NULL), SP_OK);
        assert_true(sp_gauge_value(gauge) == THREADS * ROUNDS);
        assert_int_equal(sp_metrics_histogram(metrics, "work_seconds", "Work.", labels, &times, NULL), SP_OK);
        assert_int_equal(sp_histogram_count(times), THREADS * ROUNDS);
        sp_params_free(labels);
        sp_metrics_free(metrics);
}

static atomic_long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_aligned_alloc(align, size);
}

static void test_counting_takes_no_memory(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        long before = atomic_load(&allocations);
        sp_counter *counter = counter_of(metrics, "orders", NULL);
        sp_histogram *times = NULL;
        sp_gauge *gauge = NULL;

        assert_int_equal(sp_metrics_histogram(metrics, "order_seconds", "Orders.", NULL, &times, NULL), SP_OK);
        assert_int_equal(sp_metrics_gauge(metrics, "stock", "Stock.", NULL, &gauge, NULL), SP_OK);
        assert_true(atomic_load(&allocations) > before);
        before = atomic_load(&allocations);
        for (int i = 0; i < 10000; i++) {
                sp_counter_add(counter, 1);
                sp_gauge_set(gauge, i);
                sp_gauge_add(gauge, 1);
                sp_histogram_record(times, i * 1000LL);
        }
        assert_int_equal(atomic_load(&allocations), before);
        sp_metrics_free(metrics);
}

static void test_a_child_gets_no_series(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        sp_counter *counter = counter_of(metrics, "orders", NULL);
        pid_t child = child_fork();
        int status;

        if (child == 0) {
                sp_counter_add(counter, 1);
                _exit(sp_metrics_counter(metrics, "orders", "Orders.", NULL, &counter, NULL) == SP_FORKED ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(sp_counter_value(counter), 0);
        sp_metrics_free(metrics);
}

static void test_none_of_them_needs_a_handle(void **state)
{
        sp_counter_add(NULL, 1);
        sp_gauge_set(NULL, 1);
        sp_gauge_add(NULL, 1);
        sp_histogram_record(NULL, 1);
        assert_int_equal(sp_counter_value(NULL), 0);
        assert_true(sp_gauge_value(NULL) == 0);
        assert_int_equal(sp_histogram_count(NULL), 0);
        assert_int_equal(sp_histogram_quantile_ns(NULL, .5), 0);
        sp_metrics_free(NULL);
        assert_int_equal(sp_metrics_new(NULL, NULL, NULL), SP_INVALID);
}

static void names(sp_status status, sp_error **error, const char *said)
{
        assert_int_equal(status, SP_INVALID);
        assert_string_equal(sp_error_message(*error), said);
        sp_error_free(*error);
        *error = NULL;
}

static void test_a_missing_argument_is_named_with_the_call(void **state)
{
        sp_metrics *metrics = metrics_of(NULL);
        sp_counter *counter = NULL;
        sp_gauge *gauge = NULL;
        sp_error *error = NULL;

        names(sp_metrics_counter(NULL, "a", "A.", NULL, &counter, &error), &error,
              "sp_metrics_counter(): metrics is NULL");
        names(sp_metrics_gauge(metrics, NULL, "A.", NULL, &gauge, &error), &error, "sp_metrics_gauge(): name is NULL");
        names(sp_metrics_counter(metrics, "a", NULL, NULL, &counter, &error), &error,
              "sp_metrics_counter(): help is NULL");
        names(sp_metrics_histogram(metrics, "a_seconds", "A.", NULL, NULL, &error), &error,
              "sp_metrics_histogram(): out is NULL");
        assert_null(counter);
        assert_null(gauge);
        sp_metrics_free(metrics);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_each_kind_stands_on_the_page),
            cmocka_unit_test(test_the_same_series_is_the_same_handle),
            cmocka_unit_test(test_past_the_limit_all_share_one),
            cmocka_unit_test(test_ten_thousand_series_are_found_again),
            cmocka_unit_test(test_what_no_scraper_takes_is_refused),
            cmocka_unit_test(test_metrics_have_a_limit),
            cmocka_unit_test(test_threads_count_all_while_it_is_read),
            cmocka_unit_test(test_counting_takes_no_memory),
            cmocka_unit_test(test_a_child_gets_no_series),
            cmocka_unit_test(test_none_of_them_needs_a_handle),
            cmocka_unit_test(test_a_missing_argument_is_named_with_the_call),
        };

        return cmocka_run_group_tests_name("own", tests, NULL, NULL);
}
