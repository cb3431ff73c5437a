/* SPDX-License-Identifier: MIT */
/* The breaker opens after failures in a row, lets one probe decide, is never wedged, and is moved by no late result. */
#include "../support/child.h"
#include "base/buf.h"
#include "base/random.h"
#include "breaker_play.h"
#include "guard/breaker.h"
#include "guard/permit.h"
#include "observe/exposition.h"

#include <sugarperf/metrics.h>

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { OK = SP_OUTCOME_SUCCESS, BAD = SP_OUTCOME_FAILURE, NEUTRAL = SP_OUTCOME_IGNORED, OPEN_MS = 1000 };

static void test_defaults_are_the_document_s(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_breaker *breaker = NULL;
        uint64_t permit;

        assert_int_equal(sp_breaker_new(NULL, NULL, clock, &breaker, NULL), SP_OK);
        assert_string_equal(sp_breaker_name(breaker), "default");
        for (int i = 0; i < 5; i++) {
                assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_CLOSED);
                assert_int_equal(sp_breaker_failures(breaker), i);
                assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
                sp_breaker_record(breaker, permit, BAD, 1);
        }
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_OPEN);
        assert_int_equal(sp_breaker_next_attempt(breaker), 60000);
        sp_clock_advance(clock, 59999);
        assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OPEN);
        assert_int_equal(sp_breaker_next_attempt(breaker), 1);
        sp_clock_advance(clock, 1);
        assert_int_equal(sp_breaker_next_attempt(breaker), 0);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_HALF_OPEN);
        sp_breaker_unref(sp_breaker_ref(breaker));
        sp_breaker_unref(breaker);
        sp_breaker_unref(NULL);
        sp_clock_free(clock);
}

static void reports(const sp_breaker *breaker, const char *begins, const char *ends)
{
        sp_value *value = NULL;
        const char *text;
        size_t len;

        assert_int_equal(sp_breaker_report(breaker, &value), SP_OK);
        assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
        text = sp_value_data(value, &len);
        if (strncmp(text, begins, strlen(begins)) != 0 || strcmp(text + len - strlen(ends), ends) != 0)
                fail_msg("%s", text);
        sp_value_unref(value);
}

static void test_the_report_has_the_document_s_fields(void **state)
{
        struct rig rig = rig_new("2");

        reports(rig.breaker, "{\"state\":\"CLOSED\",\"failureCount\":0,\"nextResetTime\":null}", "null}");
        play(&rig, "ffO");
        reports(rig.breaker, "{\"state\":\"OPEN\",\"failureCount\":2,\"nextResetTime\":\"20", "Z\"}");
        play(&rig, "55H");
        reports(rig.breaker, "{\"state\":\"HALF_OPEN\",\"failureCount\":2,\"nextResetTime\":null}", "null}");
        rig_free(&rig);
}

static void test_whose_fault_an_error_is(void **state)
{
        static const struct {
                sp_status status;
                const char *code;
                int outcome;
        } cases[] = {
            {SP_OK, NULL, OK},
            {SP_OK, "", OK},
            {SP_UNAVAILABLE, "", BAD},
            {SP_LOST, NULL, BAD},
            {SP_TIMEOUT, "", BAD},
            {SP_TIMEOUT, NULL, BAD},
            {SP_TIMEOUT, "57014", BAD},
            {SP_TIMEOUT, "acquire", NEUTRAL},
            {SP_PROTOCOL, "", BAD},
            {SP_AUTH, "28P01", BAD},
            {SP_SQL, "08006", BAD},
            {SP_SQL, "08P01", NEUTRAL},
            {SP_SQL, "53300", BAD},
            {SP_SQL, "57014", BAD},
            {SP_SQL, "57P01", BAD},
            {SP_SQL, "58030", BAD},
            {SP_SQL, "XX001", BAD},
            {SP_SQL, "22012", NEUTRAL},
            {SP_SQL, "23505", NEUTRAL},
            {SP_SQL, "25P02", NEUTRAL},
            {SP_SQL, "25006", NEUTRAL},
            {SP_SQL, "3D000", NEUTRAL},
            {SP_SQL, "40001", NEUTRAL},
            {SP_SQL, "40P01", NEUTRAL},
            {SP_SQL, "42P01", NEUTRAL},
            {SP_SQL, "0A000", NEUTRAL},
            {SP_SQL, "55P03", NEUTRAL},
            {SP_SQL, "P0001", NEUTRAL},
            {SP_SQL, "", NEUTRAL},
            {SP_SQL, NULL, NEUTRAL},
            {SP_SQL, "5", NEUTRAL},
            {SP_SQL, "57", NEUTRAL},
            {SP_SQL, "570140", NEUTRAL},
            {SP_REDIS, "LOADING", BAD},
            {SP_REDIS, "OOM", BAD},
            {SP_REDIS, "READONLY", BAD},
            {SP_REDIS, "BUSY", BAD},
            {SP_REDIS, "MASTERDOWN", BAD},
            {SP_REDIS, "CLUSTERDOWN", BAD},
            {SP_REDIS, "TRYAGAIN", BAD},
            {SP_REDIS, "MISCONF", BAD},
            {SP_REDIS, "NOREPLICAS", BAD},
            {SP_REDIS, "MOVED", NEUTRAL},
            {SP_REDIS, "ASK", NEUTRAL},
            {SP_REDIS, "BUSYGROUP", NEUTRAL},
            {SP_REDIS, "WRONGTYPE", NEUTRAL},
            {SP_REDIS, "ERR", NEUTRAL},
            {SP_REDIS, "NOSCRIPT", NEUTRAL},
            {SP_REDIS, NULL, NEUTRAL},
            {SP_CANCELLED, "", NEUTRAL},
            {SP_CLOSED, "", NEUTRAL},
            {SP_FULL, "", NEUTRAL},
            {SP_LEASE_LOST, "", NEUTRAL},
            {SP_NOT_FOUND, "", NEUTRAL},
            {SP_INVALID, "", NEUTRAL},
            {SP_OPEN, "", NEUTRAL},
            {SP_LIMIT, "", NEUTRAL},
            {(sp_status)-99, "", NEUTRAL},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                if (sp_breaker_classify(cases[i].status, cases[i].code) != cases[i].outcome)
                        fail_msg("%s %s", sp_status_name(cases[i].status), cases[i].code ? cases[i].code : "NULL");
        }
}

static void test_what_a_fallback_answers(void **state)
{
        static const struct {
                sp_status status;
                const char *code;
                bool answers;
        } cases[] = {
            {SP_OK, NULL, false},        {SP_UNAVAILABLE, NULL, true},  {SP_LOST, "", true},
            {SP_TIMEOUT, NULL, true},    {SP_TIMEOUT, "acquire", true}, {SP_TIMEOUT, "57014", true},
            {SP_OPEN, NULL, true},       {SP_FULL, NULL, true},         {SP_AUTH, "28P01", true},
            {SP_SQL, "53300", true},     {SP_SQL, "23505", false},      {SP_SQL, "08P01", false},
            {SP_REDIS, "LOADING", true}, {SP_REDIS, "MOVED", false},    {SP_CANCELLED, NULL, false},
            {SP_CLOSED, NULL, false},    {SP_INVALID, NULL, false},     {SP_LIMIT, NULL, false},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                if (sp_breaker_falls_back(cases[i].status, cases[i].code) != cases[i].answers)
                        fail_msg("%s %s", sp_status_name(cases[i].status), cases[i].code ? cases[i].code : "NULL");
        }
}

static void test_a_permit_counts_once_among_many_in_flight_and_old_ones_still_count(void **state)
{
        struct rig rig = rig_new("20000");
        uint64_t *permits = malloc((SP__PERMITS + 100) * sizeof *permits);

        for (int i = 0; i < SP__PERMITS; i++)
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permits[i]), SP_OK);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < SP__PERMITS; i += 2)
                        sp_breaker_record(rig.breaker, permits[i], BAD, 1);
                assert_int_equal(sp_breaker_failures(rig.breaker), SP__PERMITS / 2);
        }
        for (int i = 0; i < 100; i++)
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permits[SP__PERMITS + i]), SP_OK);
        for (int i = 0; i < 99; i++)
                sp_breaker_release(rig.breaker, permits[SP__PERMITS + i]);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 100; i++)
                        sp_breaker_record(rig.breaker, permits[i], BAD, 1);
                assert_int_equal(sp_breaker_failures(rig.breaker), SP__PERMITS / 2 + 50);
        }
        assert_int_equal(sp_breaker_in_flight(rig.breaker), SP__PERMITS / 2 - 50 + 1);
        sp_breaker_record(rig.breaker, 0, BAD, 1);
        sp_breaker_record(rig.breaker, permits[SP__PERMITS + 99] + 1, BAD, 1);
        sp_breaker_record(rig.breaker, UINT64_MAX, BAD, 1);
        assert_int_equal(sp_breaker_failures(rig.breaker), SP__PERMITS / 2 + 50);
        sp_breaker_record(rig.breaker, permits[SP__PERMITS + 99], 99, 1);
        assert_int_equal(sp_breaker_calls(rig.breaker, NEUTRAL), 100);
        free(permits);
        rig_free(&rig);
}

static void pass(sp_breaker *breaker, int calls)
{
        uint64_t permit;

        for (int i = 0; i < calls; i++) {
                assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
                sp_breaker_release(breaker, permit);
        }
}

static void test_a_permit_counts_once_however_many_were_given_since(void **state)
{
        struct rig rig = rig_new("5");
        uint64_t permit;

        for (int round = 1; round <= 3; round++) {
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permit), SP_OK);
                pass(rig.breaker, SP__PERMITS + 1);
                for (int i = 0; i < 10; i++)
                        sp_breaker_record(rig.breaker, permit, BAD, 1);
                assert_int_equal(sp_breaker_failures(rig.breaker), round);
                assert_int_equal(sp_breaker_in_flight(rig.breaker), 0);
                pass(rig.breaker, 1);
                sp_breaker_release(rig.breaker, permit);
                assert_int_equal(sp_breaker_in_flight(rig.breaker), 0);
        }
        rig_free(&rig);
}

/* 100 are lost. Those that many calls follow are given up but for the latest 64, and none of them is in flight for ever. */
static void test_lost_permits_are_given_up(void **state)
{
        struct rig rig = rig_new("5");
        uint64_t permits[100];

        for (int i = 0; i < 100; i++)
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permits[i]), SP_OK);
        pass(rig.breaker, SP__PERMITS);
        assert_int_equal(sp_breaker_in_flight(rig.breaker), SP__PERMITS_OLD);
        for (int i = 0; i < 100; i++)
                sp_breaker_record(rig.breaker, permits[i], OK, 1);
        assert_int_equal(sp_breaker_calls(rig.breaker, OK), SP__PERMITS_OLD);
        assert_int_equal(sp_breaker_in_flight(rig.breaker), 0);
        /* Those of an older state are in flight no more, and are not taken off twice. */
        for (int i = 0; i < 100; i++)
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permits[i]), SP_OK);
        sp_breaker_reset(rig.breaker);
        pass(rig.breaker, SP__PERMITS);
        assert_int_equal(sp_breaker_in_flight(rig.breaker), 0);
        rig_free(&rig);
}

enum { THREADS = 2, ROUNDS = 1000, CALLS = 20000 };

struct race {
        struct rig rig;
        pthread_barrier_t barrier;
        atomic_int probes;
        atomic_int refused;
};

/* Each round begins with an open time that has passed. */
static void *probe_race(void *arg)
{
        struct race *race = arg;

        for (int round = 0; round < ROUNDS; round++) {
                uint64_t permit;

                pthread_barrier_wait(&race->barrier);
                if (sp_breaker_acquire(race->rig.breaker, &permit) == SP_OK)
                        atomic_fetch_add(&race->probes, 1);
                pthread_barrier_wait(&race->barrier);
        }
        return NULL;
}

static void test_one_probe_however_many_threads_ask(void **state)
{
        struct race race = {.rig = rig_new("1")};
        pthread_t threads[THREADS];

        play(&race.rig, "fO");
        pthread_barrier_init(&race.barrier, NULL, THREADS + 1);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, probe_race, &race), 0);
        for (int round = 0; round < ROUNDS; round++) {
                sp_clock_advance(race.rig.clock, OPEN_MS);
                pthread_barrier_wait(&race.barrier);
                pthread_barrier_wait(&race.barrier);
                assert_int_equal(atomic_load(&race.probes), round + 1);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&race.barrier);
        rig_free(&race.rig);
}

static void *call_all(void *arg)
{
        struct race *race = arg;
        struct sp__random random = {sp__random_seed()};
        uint64_t permit;

        for (int i = 0; i < CALLS; i++) {
                uint64_t dice = sp__random_next(&random);

                if (dice % 50 == 0)
                        sp_clock_advance(race->rig.clock, OPEN_MS / 4);
                if (sp_breaker_acquire(race->rig.breaker, &permit) != SP_OK) {
                        atomic_fetch_add(&race->refused, 1);
                        continue;
                }
                sp_breaker_record(race->rig.breaker, permit, (int)((dice >> 8) % 3), 1);
                sp_breaker_record(race->rig.breaker, permit, BAD, 1);
        }
        return NULL;
}

static void test_no_call_is_lost_or_counted_twice_between_threads(void **state)
{
        struct race race = {.rig = rig_new("2")};
        pthread_t threads[THREADS];
        int64_t calls = 0;

        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, call_all, &race), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (int i = OK; i <= NEUTRAL; i++)
                calls += sp_breaker_calls(race.rig.breaker, i);
        assert_int_equal(sp_breaker_rejected(race.rig.breaker), atomic_load(&race.refused));
        assert_int_equal(calls + atomic_load(&race.refused), THREADS * CALLS);
        assert_true(atomic_load(&race.refused) > 0);
        rig_free(&race.rig);
}

static void test_metrics_tell_state_calls_and_refusals(void **state)
{
        static const char *const lines[] = {
            "sugarperf_circuitbreaker_state{name=\"pay\",state=\"closed\"} 0\n",
            "sugarperf_circuitbreaker_state{name=\"pay\",state=\"open\"} 1\n",
            "sugarperf_circuitbreaker_state{name=\"pay\",state=\"half_open\"} 0\n",
            "sugarperf_circuitbreaker_state{name=\"pay\",state=\"metrics_only\"} 0\n",
            "sugarperf_circuitbreaker_in_flight{name=\"pay\"} 0\n",
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"successful\"} 1\n",
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"failed\"} 3\n",
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"ignored\"} 2\n",
            "sugarperf_circuitbreaker_not_permitted_calls_total{name=\"pay\"} 2\n",
            "sugarperf_circuitbreaker_calls_seconds_sum{name=\"pay\",kind=\"successful\"} 2\n",
            "sugarperf_circuitbreaker_calls_seconds_count{name=\"pay\",kind=\"successful\"} 1\n",
        };
        struct rig rig = rig_new("3");
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;

        play(&rig, "ziifffO!!");
        sp__expo_init(&expo, SP_METRICS_PROMETHEUS);
        sp__breaker_collect(rig.breaker, &expo);
        assert_true(sp__expo_text(&expo, &text));
        sp__buf_char(&text, 0);
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                if (!strstr(text.data, lines[i]))
                        fail_msg("not \"%s\" in\n%s", lines[i], text.data);
        }
        sp__buf_free(&text);
        sp__expo_free(&expo);
        rig_free(&rig);
}

static sp_completion *heard(sp_queue *queue, uint64_t tag, sp_status status)
{
        sp_completion *got = NULL;

        assert_int_equal(sp_queue_take(queue, &got, 1), 1);
        assert_int_equal(sp_completion_tag(got), tag);
        assert_int_equal(sp_completion_status(got), status);
        return got;
}

static void hears(sp_queue *queue, uint64_t tag, const char *text)
{
        sp_completion *got = heard(queue, tag, SP_OK);
        size_t len;

        assert_string_equal((const char *)sp_value_data(sp_completion_value(got), &len), text);
        sp_completion_free(got);
}

static void test_a_watch_hears_of_each_change_once_and_of_what_it_missed(void **state)
{
        struct rig rig = rig_new("3");
        sp_queue *queue = NULL;
        sp_completion *none;

        assert_int_equal(sp_queue_new(2, &queue), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 0, queue, 7), SP_OK);
        play(&rig, "ff");
        assert_int_equal(sp_queue_take(queue, &none, 1), 0);
        play(&rig, "f");
        hears(queue, 7, "{\"change\":1,\"state\":\"OPEN\",\"previous\":\"CLOSED\",\"missed\":0}");
        play(&rig, "55 s C");
        assert_int_equal(sp_queue_take(queue, &none, 1), 0);
        assert_int_equal(sp_breaker_changes(rig.breaker), 3);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 1, queue, 8), SP_OK);
        hears(queue, 8, "{\"change\":3,\"state\":\"CLOSED\",\"previous\":\"HALF_OPEN\",\"missed\":1}");
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 3, queue, 9), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 3, queue, 10), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 3, queue, 11), SP_FULL);
        play(&rig, ">D");
        hears(queue, 9, "{\"change\":4,\"state\":\"DISABLED\",\"previous\":\"CLOSED\",\"missed\":0}");
        hears(queue, 10, "{\"change\":4,\"state\":\"DISABLED\",\"previous\":\"CLOSED\",\"missed\":0}");
        play(&rig, ">D"); /* no change */
        assert_int_equal(sp_breaker_changes(rig.breaker), 4);
        rig_free(&rig);
        sp_queue_free(queue);
}

static void test_a_watch_ends_with_its_context_and_with_its_breaker(void **state)
{
        struct rig rig = rig_new("3");
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, ctx, 0, queue, 1), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 0, queue, 2), SP_OK);
        assert_int_equal(sp_breaker_watch(rig.breaker, NULL, 0, NULL, 2), SP_INVALID);
        sp_ctx_cancel(ctx);
        sp_completion_free(heard(queue, 1, SP_CANCELLED));
        assert_int_equal(sp_breaker_watch(rig.breaker, ctx, 0, queue, 3), SP_CANCELLED);
        rig_free(&rig);
        sp_completion_free(heard(queue, 2, SP_CLOSED));
        assert_int_equal(sp_queue_pending(queue), 0);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
}

static void test_stats_show_counts_and_rates(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){"failure_rate", "90", "window_calls", "4", "minimum", "4",
                                                            "slow_rate", "90", "failures", "0", NULL});
        sp_value *value = NULL;
        size_t len;

        play(&rig, "sfia");
        assert_int_equal(sp_breaker_stats(rig.breaker, &value), SP_OK);
        assert_non_null(strstr(sp_value_data(value, &len), "\"failureRate\":null,\"slowRate\":null}"));
        sp_value_unref(value);
        play(&rig, "zz");
        assert_int_equal(sp_breaker_stats(rig.breaker, &value), SP_OK);
        assert_string_equal(sp_value_data(value, &len),
                            "{\"state\":\"CLOSED\",\"failureCount\":0,\"nextResetTime\":null,\"nextAttempt\":0,"
                            "\"inFlight\":1,\"successful\":3,\"failed\":1,\"ignored\":1,\"rejected\":0,"
                            "\"changes\":0,\"windowCalls\":4,\"failureRate\":0.2500,\"slowRate\":0.5000}");
        sp_value_unref(value);
        rig_free(&rig);
}

static void test_a_state_that_is_none_is_refused(void **state)
{
        struct rig rig = rig_new("3");

        assert_int_equal(sp_breaker_force(rig.breaker, -1), SP_INVALID);
        assert_int_equal(sp_breaker_force(rig.breaker, SP_BREAKER_METRICS_ONLY + 1), SP_INVALID);
        assert_string_equal(sp_breaker_state_name(SP_BREAKER_METRICS_ONLY + 1), "UNKNOWN");
        assert_int_equal(sp_breaker_calls(rig.breaker, 3), 0);
        rig_free(&rig);
}

/* The breaker looks at a coarse clock where it refuses without its lock: on the system's clock too it opens and closes. */
static void test_it_opens_and_probes_on_the_system_s_clock(void **state)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;
        uint64_t permit = 0;

        assert_int_equal(sp_config_set(config, "breaker.failures", "1", NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "breaker.open_time", "50ms", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, NULL, NULL, &breaker, NULL), SP_OK);
        sp_config_free(config);
        assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
        sp_breaker_record(breaker, permit, BAD, 1);
        while (sp_breaker_acquire(breaker, &permit) == SP_OPEN) {}
        assert_in_range(sp_breaker_next_attempt(breaker), 0, 50);
        sp_breaker_record(breaker, permit, OK, 1);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_CLOSED);
        assert_true(sp_breaker_rejected(breaker) > 0);
        sp_breaker_unref(breaker);
}

static atomic_long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

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

void *__wrap_realloc(void *data, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_realloc(data, size);
}

/* Also across changes of state, as long as nobody watches. */
static void test_calls_allocate_nothing(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){"failure_rate", "50", "slow_rate", "50", "minimum", "10",
                                                            "window", "time", "window_time", "1s", NULL});
        long before = atomic_load(&allocations);

        play(&rig, "1000*sszi5 fffff O 1000*! 99 s C a r 10*z O 99 f O");
        assert_int_equal(atomic_load(&allocations), before);
        rig_free(&rig);
        assert_true(before > 0);
}

/* Exit status of the child: how many of its checks failed. */
static int child_checks(struct rig *rig)
{
        uint64_t permit = 77;
        int failed = 0;

        failed += sp_breaker_acquire(rig->breaker, &permit) != SP_FORKED;
        failed += permit != 77;
        sp_breaker_record(rig->breaker, 1, BAD, 1);
        failed += sp_breaker_failures(rig->breaker) != 1;
        failed += sp_breaker_state(rig->breaker) != SP_BREAKER_CLOSED;
        rig_free(rig);
        return failed;
}

static void test_a_child_of_a_fork_is_refused(void **state)
{
        struct rig rig = rig_new("3");
        int status;
        pid_t child;

        play(&rig, "faf");
        play(&rig, "sf");
        child = child_fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(child_checks(&rig));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        rig_free(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_defaults_are_the_document_s),
            cmocka_unit_test(test_the_report_has_the_document_s_fields),
            cmocka_unit_test(test_whose_fault_an_error_is),
            cmocka_unit_test(test_what_a_fallback_answers),
            cmocka_unit_test(test_a_permit_counts_once_among_many_in_flight_and_old_ones_still_count),
            cmocka_unit_test(test_a_permit_counts_once_however_many_were_given_since),
            cmocka_unit_test(test_lost_permits_are_given_up),
            cmocka_unit_test(test_one_probe_however_many_threads_ask),
            cmocka_unit_test(test_no_call_is_lost_or_counted_twice_between_threads),
            cmocka_unit_test(test_metrics_tell_state_calls_and_refusals),
            cmocka_unit_test(test_a_watch_hears_of_each_change_once_and_of_what_it_missed),
            cmocka_unit_test(test_a_watch_ends_with_its_context_and_with_its_breaker),
            cmocka_unit_test(test_stats_show_counts_and_rates),
            cmocka_unit_test(test_a_state_that_is_none_is_refused),
            cmocka_unit_test(test_it_opens_and_probes_on_the_system_s_clock),
            cmocka_unit_test(test_calls_allocate_nothing),
            cmocka_unit_test(test_a_child_of_a_fork_is_refused),
        };

        return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
