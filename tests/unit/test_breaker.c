/* SPDX-License-Identifier: MIT */
/* The breaker opens after failures in a row, lets one probe decide, is never wedged, and is moved by no late result. */
#include "base/buf.h"
#include "base/random.h"
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

struct rig {
        sp_clock *clock;
        sp_breaker *breaker;
};

static struct rig rig_new(const char *failures)
{
        struct rig rig = {.clock = sp_clock_new()};
        sp_config *config = sp_config_new();

        assert_int_equal(sp_config_set(config, "breaker.pay.failures", failures, NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "breaker.pay.open_time", "1s", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, "pay", rig.clock, &rig.breaker, NULL), SP_OK);
        sp_config_free(config);
        return rig;
}

static void rig_free(struct rig *rig)
{
        sp_breaker_unref(rig->breaker);
        sp_clock_free(rig->clock);
}

/*
 * A script, one letter a step: s f i acquire and record success, failure, ignored; a acquire and keep; S F record, I and r
 * release the oldest kept permit, d record it once more; ! an acquire that is refused; a digit advances by so many hundred
 * milliseconds; C O H expect a state. The threshold is 3.
 */
static void play(struct rig *rig, const char *script)
{
        uint64_t kept[64], permit;
        size_t first = 0, last = 0;

        for (const char *at = script; *at; at++) {
                const char *outcome = strchr("sfi", *at), *late = strchr("SFI", *at), *state = strchr("COH", *at);
                bool good = true;

                if (outcome) {
                        good = sp_breaker_acquire(rig->breaker, &permit) == SP_OK;
                        sp_breaker_record(rig->breaker, permit, (int)(outcome - "sfi"), 1);
                } else if (late)
                        sp_breaker_record(rig->breaker, kept[first++], (int)(late - "SFI"), 1);
                else if (state)
                        good = sp_breaker_state(rig->breaker) == (int)(state - "COH");
                else if (*at == 'a')
                        good = sp_breaker_acquire(rig->breaker, &kept[last++]) == SP_OK;
                else if (*at == '!')
                        good = sp_breaker_acquire(rig->breaker, &permit) == SP_OPEN;
                else if (*at == 'r')
                        sp_breaker_release(rig->breaker, kept[first++]);
                else if (*at == 'd')
                        sp_breaker_record(rig->breaker, kept[first - 1], BAD, 1);
                else if (*at >= '0' && *at <= '9')
                        sp_clock_advance(rig->clock, (*at - '0') * 100);
                if (!good)
                        fail_msg("%s: step %zu, '%c', state %s", script, (size_t)(at - script), *at,
                                 sp_breaker_state_name(sp_breaker_state(rig->breaker)));
        }
}

static void test_the_table_of_states(void **state)
{
        static const char *const scripts[] = {
            "C",
            "ffC",    /* below the threshold of 3 */
            "fffO!",  /* opens */
            "ffsffC", /* a success starts the count again */
            "ffiifO", /* ignored ones do not */
            "iiiiiiC",
            "fffO 9 O! 1 H",         /* 900 ms, then 1,000 */
            "fff 55 H s C ff C",     /* a probe that succeeds closes, and the count is 0 */
            "fff 55 H f O! 9 O 1 H", /* one that fails opens for the whole time again */
            "fff 55 a!!H S C",       /* one probe */
            "fff 55 a!r a!F O",      /* released: the next is let through */
            "fff 55 a!I a!S C",      /* ignored: likewise */
            "fff 55 ii H s C",
            "fff 55 a! 9 ! 1 H a ! F H S C", /* never back: after an open time the next; the old one's result is late */
            "fff 55 a 91 S H s C",           /* late is late, also when nobody asked in between */
            "aa fff O F O 55 H S H s C",     /* results of CLOSED do nothing in OPEN and HALF_OPEN */
            "aaa ff f O 55 s C FFF C",       /* nor in the CLOSED that follows */
            "aaaa FFF O S O",                /* a late success does not close */
            "aaa FddddC",                    /* a permit counts once */
            "fff 55 aFd O! 55 H",            /* a probe's too */
            "a ff 99999 F O",                /* no deadline in CLOSED */
        };

        for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
                struct rig rig = rig_new("3");

                play(&rig, scripts[i]);
                rig_free(&rig);
        }
}

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
            {SP_SQL, "53300", BAD},
            {SP_SQL, "57014", BAD},
            {SP_SQL, "57P01", BAD},
            {SP_SQL, "58030", BAD},
            {SP_SQL, "XX001", BAD},
            {SP_SQL, "22012", NEUTRAL},
            {SP_SQL, "23505", NEUTRAL},
            {SP_SQL, "25P02", NEUTRAL},
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
            {SP_REDIS, "LOADING", BAD},
            {SP_REDIS, "OOM", BAD},
            {SP_REDIS, "READONLY", BAD},
            {SP_REDIS, "BUSY", BAD},
            {SP_REDIS, "MASTERDOWN", BAD},
            {SP_REDIS, "CLUSTERDOWN", BAD},
            {SP_REDIS, "TRYAGAIN", BAD},
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

/* The rules of the header, naively: every permit is remembered with the era that it was given in. */
struct model {
        int64_t now;
        int state;
        int64_t failures, until, rejected;
        int era;
        int64_t calls[3];
        int probe; /* index of its permit, -1: none */
        int64_t probe_until;
};

struct given {
        uint64_t permit;
        int era;
        bool done;
};

enum { GIVEN = 512, EVENTS = 250000 };

static void model_era(struct model *model, int state)
{
        model->state = state;
        model->era++;
        model->probe = -1;
        if (state == SP_BREAKER_OPEN)
                model->until = model->now + OPEN_MS;
        if (state == SP_BREAKER_CLOSED)
                model->failures = 0;
}

static void model_advance(struct model *model, int64_t ms)
{
        model->now += ms;
        if (model->state == SP_BREAKER_OPEN && model->now >= model->until)
                model_era(model, SP_BREAKER_HALF_OPEN);
        if (model->probe >= 0 && model->now >= model->probe_until)
                model->probe = -1;
}

static bool model_acquire(struct model *model, int index)
{
        if (model->state == SP_BREAKER_OPEN || (model->state == SP_BREAKER_HALF_OPEN && model->probe >= 0)) {
                model->rejected++;
                return false;
        }
        if (model->state == SP_BREAKER_HALF_OPEN) {
                model->probe = index;
                model->probe_until = model->now + OPEN_MS;
        }
        return true;
}

static void model_record(struct model *model, struct given *given, int index, int outcome, int threshold)
{
        bool probe = model->state == SP_BREAKER_HALF_OPEN && model->probe == index;

        if (given->done)
                return;
        given->done = true;
        model->calls[outcome]++;
        if (probe) {
                model->probe = -1;
                model->failures += outcome == BAD;
                if (outcome != NEUTRAL)
                        model_era(model, outcome == OK ? SP_BREAKER_CLOSED : SP_BREAKER_OPEN);
        } else if (model->state == SP_BREAKER_CLOSED && given->era == model->era) {
                if (outcome != NEUTRAL)
                        model->failures = outcome == OK ? 0 : model->failures + 1;
                if (model->failures >= threshold)
                        model_era(model, SP_BREAKER_OPEN);
        }
}

static void agree(const struct rig *rig, const struct model *model)
{
        assert_int_equal(sp_breaker_state(rig->breaker), model->state);
        assert_int_equal(sp_breaker_failures(rig->breaker), model->failures);
        assert_int_equal(sp_breaker_next_attempt(rig->breaker),
                         model->state == SP_BREAKER_OPEN ? model->until - model->now : 0);
        assert_int_equal(sp__breaker_rejected(rig->breaker), model->rejected);
        for (int i = OK; i <= NEUTRAL; i++)
                assert_int_equal(sp__breaker_calls(rig->breaker, i), model->calls[i]);
}

/* Threshold 3; runs of bad luck, so that every state is long and often visited. */
static void test_it_does_what_the_model_does_under_random_events(void **state)
{
        static struct given given[GIVEN];
        struct sp__random random = {sp__random_seed()};
        struct model model = {.probe = -1};
        struct rig rig = rig_new("3");
        int visits[3] = {0}, count = 0;

        print_message("# seed %" PRIu64 "\n", random.state);
        for (int event = 0; event < EVENTS; event++) {
                uint64_t dice = sp__random_next(&random), pick = sp__random_next(&random);
                int luck = (event / 1000) % 3, slot;

                if (dice % 100 < 40) {
                        uint64_t permit = 77;

                        slot = count % GIVEN;
                        if (model_acquire(&model, count)) {
                                assert_int_equal(sp_breaker_acquire(rig.breaker, &permit), SP_OK);
                                assert_true(permit < UINT64_C(1) << 53);
                                given[slot] = (struct given){permit, model.era, false};
                                count++;
                        } else {
                                assert_int_equal(sp_breaker_acquire(rig.breaker, &permit), SP_OPEN);
                                assert_int_equal(permit, 77);
                        }
                } else if (dice % 100 < 85 && count > 0) {
                        /* Mostly a recent permit, at times any, so that late and second results are common. */
                        int reach = pick % 4 ? 4 : GIVEN, outcome = (int)((pick >> 8) % 3);

                        if (outcome != NEUTRAL && luck != 2)
                                outcome = luck == 0 ? BAD : OK;
                        slot = count - 1 - (int)((pick >> 16) % (uint64_t)(count < reach ? count : reach));
                        model_record(&model, &given[slot % GIVEN], slot, outcome, 3);
                        if (outcome == NEUTRAL && pick & 1)
                                sp_breaker_release(rig.breaker, given[slot % GIVEN].permit);
                        else
                                sp_breaker_record(rig.breaker, given[slot % GIVEN].permit, outcome, 1);
                } else {
                        int64_t ms = (int64_t)(pick % 8 ? pick % 300 : pick % 3000);

                        sp_clock_advance(rig.clock, ms);
                        model_advance(&model, ms);
                }
                agree(&rig, &model);
                visits[model.state]++;
        }
        for (int i = 0; i < 3; i++)
                assert_true(visits[i] > EVENTS / 100);
        rig_free(&rig);
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
        for (int i = 1; i < 100; i += 2)
                sp_breaker_record(rig.breaker, permits[i], BAD, 1);
        assert_int_equal(sp_breaker_failures(rig.breaker), SP__PERMITS / 2 + 50);
        sp_breaker_record(rig.breaker, 0, BAD, 1);
        sp_breaker_record(rig.breaker, permits[SP__PERMITS + 99] + 1, BAD, 1);
        sp_breaker_record(rig.breaker, UINT64_MAX, BAD, 1);
        assert_int_equal(sp_breaker_failures(rig.breaker), SP__PERMITS / 2 + 50);
        sp_breaker_record(rig.breaker, permits[SP__PERMITS + 99], 99, 1);
        assert_int_equal(sp__breaker_calls(rig.breaker, NEUTRAL), 100);
        free(permits);
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
                calls += sp__breaker_calls(race.rig.breaker, i);
        assert_int_equal(sp__breaker_rejected(race.rig.breaker), atomic_load(&race.refused));
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
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"successful\"} 1\n",
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"failed\"} 3\n",
            "sugarperf_circuitbreaker_calls_total{name=\"pay\",kind=\"ignored\"} 2\n",
            "sugarperf_circuitbreaker_not_permitted_calls_total{name=\"pay\"} 2\n",
        };
        struct rig rig = rig_new("3");
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;

        play(&rig, "siifffO!!");
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
        child = fork();
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
            cmocka_unit_test(test_the_table_of_states),
            cmocka_unit_test(test_defaults_are_the_document_s),
            cmocka_unit_test(test_the_report_has_the_document_s_fields),
            cmocka_unit_test(test_whose_fault_an_error_is),
            cmocka_unit_test(test_it_does_what_the_model_does_under_random_events),
            cmocka_unit_test(test_a_permit_counts_once_among_many_in_flight_and_old_ones_still_count),
            cmocka_unit_test(test_one_probe_however_many_threads_ask),
            cmocka_unit_test(test_no_call_is_lost_or_counted_twice_between_threads),
            cmocka_unit_test(test_metrics_tell_state_calls_and_refusals),
            cmocka_unit_test(test_a_child_of_a_fork_is_refused),
        };

        return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
