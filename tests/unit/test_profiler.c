/* SPDX-License-Identifier: MIT */
/* A profiler loses no run, keeps names and slow log within their limits, and shows a scraper few series. */
#include "../support/child.h"
#include "profile/profiler.h"

#include "base/clock.h"
#include "core/config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/metrics.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static sp_profiler *profiler_of(sp_clock *clock, const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_profiler *profiler = NULL;

        for (; settings[0]; settings += 2)
                assert_int_equal(sp_config_set(config, settings[0], settings[1], NULL), SP_OK);
        assert_int_equal(sp_profiler_new(config, clock, &profiler, NULL), SP_OK);
        sp_config_free(config);
        return profiler;
}

static void ran(sp_profiler *profiler, const char *name, const char *text, int64_t wait_ns, int64_t execute_ns,
                int64_t fetch_ns, sp_status status)
{
        const struct sp__stmt_record record = {.name = name,
                                               .text = text,
                                               .fingerprint = 7,
                                               .pool = "default",
                                               .wait_ns = wait_ns,
                                               .execute_ns = execute_ns,
                                               .fetch_ns = fetch_ns,
                                               .done_ns = SP__SECOND,
                                               .status = status,
                                               .code = ""};

        sp__profiler_record(profiler, &record);
}

static void statement(sp_profiler *profiler, const char *name, int64_t ns)
{
        ran(profiler, name, "SELECT $1", 0, ns, 0, SP_OK);
}

static void test_a_run_is_timed_on_the_clock_that_was_given(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_profiler *profiler = profiler_of(clock, (const char *[]){NULL});
        int64_t start = sp_profiler_start(profiler), quantile;

        sp_clock_advance(clock, 250);
        sp_profiler_finish(profiler, "work", start, SP_OK);
        sp_profiler_finish(profiler, "work", start, SP_TIMEOUT);
        assert_int_equal(sp_profiler_count(profiler, "work"), 2);
        assert_int_equal(sp_profiler_errors(profiler, "work"), 1);
        assert_int_equal(sp_profiler_total_ns(profiler, "work"), 500 * SP__MS);
        quantile = sp_profiler_quantile_ns(profiler, "work", 0.5);
        assert_in_range(quantile, 250 * SP__MS - 4 * SP__MS, 250 * SP__MS + 4 * SP__MS);
        /* A start from the future took no time. */
        sp_profiler_finish(profiler, "odd", INT64_MAX, SP_OK);
        sp_profiler_finish(profiler, "odd", sp_profiler_start(profiler) + 1, SP_OK);
        assert_int_equal(sp_profiler_total_ns(profiler, "odd"), 0);
        sp_profiler_free(profiler);
        sp_clock_free(clock);
}

static void test_an_unknown_name_is_all_zeros(void **state)
{
        sp_profiler *profiler;

        assert_int_equal(sp_profiler_new(NULL, NULL, &profiler, NULL), SP_OK);
        assert_int_equal(sp_profiler_count(profiler, "none"), 0);
        assert_int_equal(sp_profiler_errors(profiler, "none"), 0);
        assert_int_equal(sp_profiler_total_ns(profiler, "none"), 0);
        assert_int_equal(sp_profiler_quantile_ns(profiler, "none", 0.99), 0);
        assert_int_equal(sp_profiler_quantile_ns(profiler, "other", 0.99), 0);
        assert_null(sp_profiler_slow(profiler));
        sp_profiler_free(profiler);
        sp_profiler_free(NULL);
        ran(NULL, "name", "", 1, 1, 1, SP_OK);
}

static void test_names_past_the_limit_count_as_other(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.names", "3", NULL});

        for (const char *name = "abcdeabcde"; *name; name++)
                statement(profiler, (char[]){*name, 0}, 10);
        assert_int_equal(sp_profiler_count(profiler, "a"), 2);
        assert_int_equal(sp_profiler_count(profiler, "c"), 2);
        assert_int_equal(sp_profiler_count(profiler, "d"), 0);
        assert_int_equal(sp_profiler_count(profiler, "other"), 4);
        sp_profiler_free(profiler);
}

static void test_names_that_no_page_could_show_count_as_other(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});

        statement(profiler, "", 10);
        statement(profiler, NULL, 10);
        statement(profiler, "a\xff", 10);
        statement(profiler, "a\xe2\x82", 10);
        assert_int_equal(sp_profiler_count(profiler, "other"), 4);
        sp_profiler_free(profiler);
}

static void test_a_long_name_is_cut_before_a_character(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "0", NULL});
        char name[200];
        sp_slow *slow;

        memset(name, 'n', sizeof name);
        strcpy(name + 126, "€ and more");
        statement(profiler, name, 10);
        slow = sp_profiler_slow(profiler);
        assert_int_equal(strlen(sp_slow_name(slow)), 126);
        assert_int_equal(sp_profiler_count(profiler, name), 1);
        assert_int_equal(sp_profiler_count(profiler, sp_slow_name(slow)), 1);
        sp_slow_free(slow);
        strcpy(name + 125, "€ and more");
        statement(profiler, name, 10);
        name[128] = 0;
        assert_int_equal(sp_profiler_count(profiler, name), 1);
        assert_int_equal(sp_profiler_count(profiler, "other"), 0);
        sp_profiler_free(profiler);
}

static void test_the_slow_log_loses_the_oldest_and_says_how_many(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "0", "profiler.ring", "3", NULL});
        sp_slow *slow;

        for (int round = 1; round <= 2; round++) {
                for (int i = 1; i <= 5; i++)
                        ran(profiler, "name", "SELECT $1", i, 10, 1, SP_OK);
                for (int i = 3; i <= 5; i++) {
                        slow = sp_profiler_slow(profiler);
                        assert_non_null(slow);
                        assert_string_equal(sp_slow_name(slow), "name");
                        assert_string_equal(sp_slow_text(slow), "SELECT $1");
                        assert_int_equal(sp_slow_wait_ns(slow), i);
                        assert_int_equal(sp_slow_duration_ns(slow), i + 11);
                        sp_slow_free(slow);
                }
                assert_null(sp_profiler_slow(profiler));
                assert_int_equal(sp_profiler_slow_missed(profiler), 2 * round);
        }
        statement(profiler, "left in the ring", 10);
        sp_profiler_free(profiler);
        sp_slow_free(NULL);
}

static void test_only_what_reaches_the_threshold_is_slow(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "100ms", NULL});
        sp_slow *slow;

        statement(profiler, "below", 100 * SP__MS - 1);
        ran(profiler, "together", "", 40 * SP__MS, 50 * SP__MS, 10 * SP__MS, SP_SQL);
        slow = sp_profiler_slow(profiler);
        assert_non_null(slow);
        assert_string_equal(sp_slow_name(slow), "together");
        assert_int_equal(sp_slow_duration_ns(slow), 100 * SP__MS);
        sp_slow_free(slow);
        assert_null(sp_profiler_slow(profiler));
        sp_profiler_free(profiler);
}

static void test_a_slow_text_keeps_4096_bytes(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "0", NULL});
        char *text = calloc(1, 10000);
        sp_slow *slow;

        memset(text, 'x', 4095);
        memcpy(text + 4095, "é and more", strlen("é and more"));
        ran(profiler, "name", text, 0, 1, 0, SP_OK);
        slow = sp_profiler_slow(profiler);
        assert_int_equal(strlen(sp_slow_text(slow)), 4095);
        sp_slow_free(slow);
        free(text);
        sp_profiler_free(profiler);
}

enum { THREADS = 8, RECORDS = 5000, NAMES = 100 };

static void name_of(int i, char name[16])
{
        snprintf(name, 16, "name-%d", i);
}

/* Every thread meets every name; some are past the limit; some are slow. */
static void *record(void *arg)
{
        char name[16];

        for (int i = 0; i < RECORDS; i++) {
                name_of(i % NAMES, name);
                ran(arg, name, "SELECT", 1, i % 50 ? 1 : SP__SECOND, 1, i % 10 ? SP_OK : SP_SQL);
                if (i % 100 == 0)
                        sp_slow_free(sp_profiler_slow(arg));
        }
        return NULL;
}

static void test_concurrent_records_lose_nothing(void **state)
{
        sp_profiler *profiler = profiler_of(
            NULL, (const char *[]){"profiler.names", "60", "profiler.ring", "5", "profiler.slow_rate", "0", NULL});
        int64_t runs = 0, errors = 0, known = 0, slow = 0, total = 0;
        pthread_t threads[THREADS];
        char name[16];

        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, record, profiler), 0);
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i <= NAMES; i++) {
                name_of(i, name);
                if (i == NAMES)
                        strcpy(name, "other");
                runs += sp_profiler_count(profiler, name);
                errors += sp_profiler_errors(profiler, name);
                total += sp_profiler_total_ns(profiler, name);
                known += sp_profiler_count(profiler, name) > 0;
        }
        assert_int_equal(runs, THREADS * RECORDS);
        assert_int_equal(errors, THREADS * RECORDS / 10);
        assert_int_equal(known, 61);
        assert_int_equal(total, THREADS * (RECORDS * 3 + RECORDS / 50 * (SP__SECOND - 1)));
        for (sp_slow *entry; (entry = sp_profiler_slow(profiler)); slow++)
                sp_slow_free(entry);
        assert_int_equal(slow, 5);
        sp_profiler_free(profiler);
}

static char *page_of(sp_profiler *profiler, int format)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;

        sp__expo_init(&expo, format);
        sp__profiler_collect(profiler, &expo);
        assert_true(sp__expo_text(&expo, &text));
        sp__expo_free(&expo);
        sp__buf_char(&text, 0);
        return text.data;
}

static void assert_shows(const char *page, const char *text)
{
        if (strstr(page, text))
                return;
        print_error("%s\n", page);
        fail_msg("the page does not show %s", text);
}

static void test_a_page_tells_statements_from_work_and_phases_apart(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_profiler *profiler = profiler_of(clock, (const char *[]){NULL});
        int64_t start = sp_profiler_start(profiler);
        char *page;

        ran(profiler, "by \"id\"", "", 1 * SP__MS, 200 * SP__MS, 2 * SP__MS, SP_SQL);
        sp_clock_advance(clock, 1500);
        sp_profiler_finish(profiler, "page", start, SP_OK);
        page = page_of(profiler, SP_METRICS_PROMETHEUS);
        assert_shows(page, "# TYPE db_client_operation_duration_seconds histogram\n"
                           "db_client_operation_duration_seconds_bucket{db_system_name=\"postgresql\","
                           "db_query_summary=\"by \\\"id\\\"\",le=\"0.0001\"} 0\n");
        assert_shows(page, "db_client_operation_duration_seconds_sum{db_system_name=\"postgresql\","
                           "db_query_summary=\"by \\\"id\\\"\"} 0.203\n");
        assert_shows(page, "sugarperf_statement_errors_total{db_system_name=\"postgresql\","
                           "db_query_summary=\"by \\\"id\\\"\"} 1\n");
        assert_shows(page, "sugarperf_statement_phase_seconds_total{db_system_name=\"postgresql\","
                           "db_query_summary=\"by \\\"id\\\"\",phase=\"wait\"} 0.001\n");
        assert_shows(page, "\",phase=\"execute\"} 0.2\n");
        assert_shows(page, "\",phase=\"fetch\"} 0.002\n");
        assert_shows(page, "sugarperf_work_duration_seconds_sum{name=\"page\"} 1.5\n");
        assert_shows(page, "sugarperf_work_errors_total{name=\"page\"} 0\n");
        assert_shows(page, "# TYPE sugarperf_profiler_slow_total counter\nsugarperf_profiler_slow_total 2\n");
        assert_shows(page, "sugarperf_profiler_slow_missed_total 0\n");
        assert_null(strstr(page, "other"));
        free(page);
        sp_profiler_free(profiler);
        sp_clock_free(clock);
}

/* The count of a statement's series, -1 without one. */
static int64_t shown_count(const char *page, const char *name)
{
        char text[128];
        const char *at;

        snprintf(text, sizeof text, "_count{db_system_name=\"postgresql\",db_query_summary=\"%s\"} ", name);
        at = strstr(page, text);
        return at ? strtoll(at + strlen(text), NULL, 10) : -1;
}

static void test_few_series_stand_for_many_names(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});
        int64_t runs = 0, shown = 0;
        char name[16], *page;

        for (int i = 0; i < NAMES; i++) {
                name_of(i, name);
                statement(profiler, name, (i + 1) * SP__MS);
        }
        page = page_of(profiler, SP_METRICS_PROMETHEUS);
        for (int i = 0; i < NAMES; i++) {
                name_of(i, name);
                if (shown_count(page, name) < 0)
                        continue;
                /* The longest are in front. */
                assert_true(i >= NAMES - SP__PROFILER_SERIES);
                runs += shown_count(page, name);
                shown++;
        }
        assert_int_equal(shown, SP__PROFILER_SERIES);
        assert_int_equal(shown_count(page, "other"), NAMES - SP__PROFILER_SERIES);
        assert_int_equal(runs + shown_count(page, "other"), NAMES);
        free(page);
        sp_profiler_free(profiler);
}

static int64_t other_count(sp_profiler *profiler)
{
        char *page = page_of(profiler, SP_METRICS_PROMETHEUS);
        int64_t count = shown_count(page, "other");

        free(page);
        return count;
}

static void test_other_does_not_fall_when_names_change_sides(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});
        int64_t before = -1;
        char name[16];

        for (int i = 0; i < NAMES; i++) {
                name_of(i, name);
                for (int run = 0; run <= i % 7; run++)
                        statement(profiler, name, i + 1);
        }
        /* One after the other becomes the one that took longest, and drives out another. */
        for (int i = 0; i < NAMES; i++) {
                int64_t now = other_count(profiler);

                assert_true(now >= before);
                /* At most the run that moved it up. */
                assert_true(before < 0 || now <= before + 1);
                before = now;
                name_of(i, name);
                statement(profiler, name, SP__SECOND + i);
        }
        sp_profiler_free(profiler);
}

static sp_value *report_of(sp_profiler *profiler, uint32_t top)
{
        sp_value *value = NULL;

        assert_int_equal(sp_profiler_report(profiler, top, &value), SP_OK);
        assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
        return value;
}

static void assert_reports(sp_profiler *profiler, uint32_t top, const char *text)
{
        sp_value *value = report_of(profiler, top);
        size_t len;

        assert_shows(sp_value_data(value, &len), text);
        sp_value_unref(value);
}

static void of_fingerprint(sp_profiler *profiler, uint64_t fingerprint, const char *code)
{
        const struct sp__stmt_record record = {.name = "name",
                                               .text = fingerprint == 1 ? "SELECT a" : "SELECT b",
                                               .fingerprint = fingerprint,
                                               .pool = "orders",
                                               .execute_ns = (int64_t)fingerprint * SP__MS,
                                               .done_ns = SP__SECOND,
                                               .rows = 3,
                                               .bytes = 100,
                                               .status = *code ? SP_SQL : SP_OK,
                                               .code = code};

        sp__profiler_record(profiler, &record);
}

static void test_texts_that_share_a_name_are_told_apart_and_counted_together(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});
        char *page;

        for (int i = 0; i < 30; i++)
                of_fingerprint(profiler, 1 + (uint64_t)i % 3, "");
        assert_int_equal(sp_profiler_count(profiler, "name"), 30);
        assert_int_equal(sp_profiler_total_ns(profiler, "name"), 60 * SP__MS);
        assert_in_range(sp_profiler_quantile_ns(profiler, "name", 1), 2.9 * SP__MS, 3.1 * SP__MS);
        assert_in_range(sp_profiler_quantile_ns(profiler, "name", 0), .9 * SP__MS, 1.1 * SP__MS);
        page = page_of(profiler, SP_METRICS_PROMETHEUS);
        assert_shows(page, "_count{db_system_name=\"postgresql\",db_query_summary=\"name\"} 30\n");
        assert_shows(page,
                     "sugarperf_statement_rows_total{db_system_name=\"postgresql\",db_query_summary=\"name\"} 90\n");
        free(page);
        assert_reports(profiler, 0,
                       "{\"name\":\"name\",\"count\":10,\"errors\":0,\"totalMs\":10.000,\"meanMs\":1.000,");
        assert_reports(profiler, 0, "\"fingerprint\":\"0000000000000001\",\"text\":\"SELECT a\",\"pool\":\"orders\"");
        assert_reports(profiler, 1,
                       "{\"statements\":[{\"name\":\"name\",\"count\":10,\"errors\":0,\"totalMs\":30.000,");
        assert_reports(profiler, 0, "\"rows\":30,\"bytes\":1000,\"codes\":{}");
        sp_profiler_free(profiler);
}

static void test_errors_count_by_sqlstate_and_the_rest_as_other(void **state)
{
        static const char *const codes[] = {"23505", "57014", "23505", "40001", "42P01", "22012", "08006",  "53300",
                                            "55P03", "0A000", "XX000", "23505", "lower", "123",   "1234567"};
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});

        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                of_fingerprint(profiler, 1, codes[i]);
        assert_int_equal(sp_profiler_errors(profiler, "name"), 15);
        assert_reports(profiler, 0,
                       "\"codes\":{\"23505\":3,\"57014\":1,\"40001\":1,\"42P01\":1,\"22012\":1,\"08006\":1,"
                       "\"53300\":1,\"55P03\":1,\"other\":5}");
        sp_profiler_free(profiler);
}

static void test_a_report_tells_the_last_minutes(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_profiler *profiler = profiler_of(clock, (const char *[]){NULL});

        for (int minute = 0; minute < 40; minute++) {
                for (int i = 0; i <= minute; i++)
                        sp_profiler_finish(profiler, "work", sp_profiler_start(profiler), i ? SP_OK : SP_LOST);
                sp_clock_advance(clock, 60000);
        }
        assert_reports(profiler, 0,
                       "\"minutes\":[{\"count\":40,\"errors\":1,\"totalMs\":0.000},"
                       "{\"count\":39,\"errors\":1,\"totalMs\":0.000},{\"count\":38,");
        sp_clock_advance(clock, 3 * 60000);
        assert_reports(
            profiler, 0,
            "\"minutes\":[{\"count\":0,\"errors\":0,\"totalMs\":0.000},{\"count\":0,\"errors\":0,\"totalMs\":0.000},"
            "{\"count\":0,\"errors\":0,\"totalMs\":0.000},{\"count\":40,");
        sp_profiler_free(profiler);
        sp_clock_free(clock);
}

static void test_a_name_may_have_a_threshold_of_its_own(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "100ms", "profiler.quick.slow",
                                                                   "5ms", "profiler.batch.slow", "1m", NULL});
        sp_slow *slow;

        statement(profiler, "quick", 4 * SP__MS);
        statement(profiler, "batch", 50 * SP__SECOND);
        statement(profiler, "any", 50 * SP__MS);
        assert_null(sp_profiler_slow(profiler));
        statement(profiler, "quick", 5 * SP__MS);
        slow = sp_profiler_slow(profiler);
        assert_non_null(slow);
        assert_string_equal(sp_slow_name(slow), "quick");
        assert_int_equal(sp_slow_execute_ns(slow), 5 * SP__MS);
        assert_string_equal(sp_slow_code(slow), "");
        assert_string_equal(sp_slow_tag(slow), "");
        sp_slow_free(slow);
        statement(profiler, "batch", 60 * SP__SECOND);
        sp_slow_free(sp_profiler_slow(profiler));
        assert_null(sp_profiler_slow(profiler));
        sp_profiler_free(profiler);
}

static void test_slow_runs_that_come_too_fast_are_only_counted(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_profiler *profiler =
            profiler_of(clock, (const char *[]){"profiler.slow", "0", "profiler.slow_rate", "10", NULL});
        int entries = 0;

        sp_clock_advance(clock, 10000);
        for (int i = 0; i < 100; i++)
                sp_profiler_finish(profiler, "work", sp_profiler_start(profiler), SP_OK);
        for (sp_slow *slow; (slow = sp_profiler_slow(profiler)); entries++)
                sp_slow_free(slow);
        assert_int_equal(entries, 10);
        assert_int_equal(sp_profiler_slow_limited(profiler), 90);
        /* One each tenth of a second from then on. */
        for (int i = 0; i < 20; i++) {
                sp_clock_advance(clock, 50);
                sp_profiler_finish(profiler, "work", sp_profiler_start(profiler), SP_OK);
        }
        assert_int_equal(sp_profiler_slow_limited(profiler), 100);
        assert_int_equal(sp_profiler_slow_missed(profiler), 0);
        sp_profiler_free(profiler);
        sp_clock_free(clock);
}

static void test_slow_runs_are_told_through_a_queue(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){NULL});
        sp_completion *done;
        sp_queue *queue;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_profiler_watch_async(profiler, NULL, 0, queue, 5), SP_OK);
        statement(profiler, "fast", 1);
        assert_int_equal(sp_queue_take(queue, &done, 1), 0);
        ran(profiler, "slow", "SELECT $1", 1 * SP__MS, SP__SECOND, 2 * SP__MS, SP_OK);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_string_equal(sp_value_data(sp_completion_value(done), &len),
                            "{\"event\":1,\"missed\":0,\"kind\":\"slow\",\"name\":\"slow\",\"text\":\"SELECT $1\","
                            "\"fingerprint\":\"0000000000000007\",\"pool\":\"default\",\"durationMs\":1003.000,"
                            "\"waitMs\":1.000,\"executeMs\":1000.000,\"fetchMs\":2.000,\"rows\":0,"
                            "\"status\":\"SP_OK\",\"code\":\"\",\"tag\":\"\",\"trace\":\"\",\"scope\":\"\","
                            "\"plan\":\"\"}");
        sp_completion_free(done);
        assert_int_equal(sp_profiler_watch_async(profiler, NULL, 1, queue, 6), SP_OK);
        sp_profiler_free(profiler);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
}

static void test_a_child_process_records_nothing(void **state)
{
        sp_profiler *profiler = profiler_of(NULL, (const char *[]){"profiler.slow", "0", NULL});
        pid_t child;
        int status;

        statement(profiler, "name", 10);
        child = child_fork();
        if (child == 0) {
                statement(profiler, "name", 10);
                statement(profiler, "new", 10);
                _exit(sp_profiler_count(profiler, "name") == 1 && !sp_profiler_slow(profiler) ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        sp_profiler_free(profiler);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_run_is_timed_on_the_clock_that_was_given),
            cmocka_unit_test(test_an_unknown_name_is_all_zeros),
            cmocka_unit_test(test_names_past_the_limit_count_as_other),
            cmocka_unit_test(test_names_that_no_page_could_show_count_as_other),
            cmocka_unit_test(test_a_long_name_is_cut_before_a_character),
            cmocka_unit_test(test_the_slow_log_loses_the_oldest_and_says_how_many),
            cmocka_unit_test(test_only_what_reaches_the_threshold_is_slow),
            cmocka_unit_test(test_a_slow_text_keeps_4096_bytes),
            cmocka_unit_test(test_concurrent_records_lose_nothing),
            cmocka_unit_test(test_a_page_tells_statements_from_work_and_phases_apart),
            cmocka_unit_test(test_few_series_stand_for_many_names),
            cmocka_unit_test(test_other_does_not_fall_when_names_change_sides),
            cmocka_unit_test(test_texts_that_share_a_name_are_told_apart_and_counted_together),
            cmocka_unit_test(test_errors_count_by_sqlstate_and_the_rest_as_other),
            cmocka_unit_test(test_a_report_tells_the_last_minutes),
            cmocka_unit_test(test_a_name_may_have_a_threshold_of_its_own),
            cmocka_unit_test(test_slow_runs_that_come_too_fast_are_only_counted),
            cmocka_unit_test(test_slow_runs_are_told_through_a_queue),
            cmocka_unit_test(test_a_child_process_records_nothing),
        };

        return cmocka_run_group_tests_name("profiler", tests, NULL, NULL);
}
