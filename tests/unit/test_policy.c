/* SPDX-License-Identifier: MIT */
/* A policy: who may call, when, how often again, and that every place, permit and completion comes back exactly once. */
#include "../support/child.h"
#include "policy_play.h"

#include "base/random.h"
#include "guard/budget.h"
#include "guard/limiter.h"
#include "guard/policy.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_without_settings_a_call_is_made_once(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){NULL}, NULL);
        sp_call *call = call_of(policy, NULL);

        assert_string_equal(sp_policy_name(policy), "default");
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_int_equal(sp_ctx_remaining(sp_call_ctx(call)), -1);
        assert_int_equal(sp_call_enter(call, NULL), SP_INVALID);
        assert_false(sp_call_leave(call, BAD, true));
        assert_false(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_call_attempts(call), 1);
        sp_call_free(call);
        sp_call_free(NULL);
        stats_have(policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(sp_policy_ref(policy));
        sp_policy_unref(policy);
        sp_policy_unref(NULL);
}

static void test_retries_are_bounded_in_number(void **state)
{
        sp_policy *policy =
            policy_of((const char *const[]){"policy.attempts", "3", "policy.backoff", "1ms", NULL}, NULL);
        sp_call *call = call_of(policy, NULL);

        for (int attempt = 1; attempt <= 3; attempt++) {
                assert_int_equal(sp_call_enter(call, NULL), SP_OK);
                assert_int_equal(sp_call_leave(call, BAD, true), attempt < 3);
        }
        sp_call_free(call);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_false(sp_call_leave(call, BAD, false));
        sp_call_free(call);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_false(sp_call_leave(call, OK, true));
        sp_call_free(call);
        stats_have(policy, "\"admitted\":5,\"retried\":2");
        sp_policy_unref(policy);
}

static void test_retries_are_bounded_by_the_budget(void **state)
{
        sp_policy *policy =
            policy_of((const char *const[]){"policy.attempts", "2", "policy.backoff", "1ms", "policy.retry_burst", "3",
                                            "policy.retry_rate", "0", "policy.retry_ratio", "50", NULL},
                      NULL);
        int retries = 0;

        for (int i = 0; i < 103; i++) {
                sp_call *call = call_of(policy, NULL);

                assert_int_equal(sp_call_enter(call, NULL), SP_OK);
                if (sp_call_leave(call, BAD, true)) {
                        retries++;
                        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
                        assert_false(sp_call_leave(call, BAD, true));
                }
                sp_call_free(call);
        }
        /* Half of the calls, and what it began with; the first call finds it full. */
        assert_in_range(retries, 53, 54);
        stats_have(policy, retries == 54 ? "\"exhausted\":49" : "\"exhausted\":50");
        sp_policy_unref(policy);
}

static void test_a_retry_that_would_come_too_late_is_not_made(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){"policy.attempts", "100", "policy.backoff", "1d",
                                                            "policy.backoff_max", "1d", "policy.timeout", "1s", NULL},
                                      NULL);
        sp_call *call = call_of(policy, NULL);

        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_in_range(sp_ctx_remaining(sp_call_ctx(call)), 0, 1000);
        while (sp_call_leave(call, BAD, true))
                assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        sp_call_free(call);
        sp_policy_unref(policy);
}

static void test_deadlines_propagate(void **state)
{
        sp_policy *policy =
            policy_of((const char *const[]){"policy.timeout", "1h", "policy.attempt_timeout", "1m", NULL}, NULL);
        sp_ctx *parent = sp_ctx_new(NULL);
        sp_call *call;

        assert_int_equal(sp_ctx_set(parent, "timeout", "30s", NULL), SP_OK);
        call = call_of(policy, parent);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_in_range(sp_ctx_remaining(sp_call_ctx(call)), 0, 30000);
        sp_ctx_cancel(parent);
        assert_true(sp_ctx_cancelled(sp_call_ctx(call)));
        assert_false(sp_call_leave(call, BAD, true));
        sp_call_free(call);
        call = call_of(policy, parent);
        assert_int_equal(sp_call_enter(call, NULL), SP_CANCELLED);
        sp_call_free(call);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_in_range(sp_ctx_remaining(sp_call_ctx(call)), 30000, 60000);
        sp_call_free(call);
        sp_ctx_unref(parent);
        sp_policy_unref(policy);
}

static void test_the_bulkhead_is_first_come_first_served(void **state)
{
        sp_policy *policy =
            policy_of((const char *const[]){"policy.concurrency", "2", "policy.waiting", "3", NULL}, NULL);
        sp_queue *queue = NULL;
        sp_call *calls[6];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (uint64_t i = 0; i < 6; i++) {
                calls[i] = call_of(policy, NULL);
                assert_int_equal(sp_call_enter_async(calls[i], queue, i), SP_OK);
        }
        answered(queue, 0, SP_OK);
        answered(queue, 1, SP_OK);
        answered(queue, 5, SP_FULL);
        nothing_came(queue);
        stats_have(policy, "\"running\":2,\"waiting\":3");
        assert_int_equal(sp_call_enter_async(calls[3], queue, 9), SP_INVALID);
        sp_call_free(calls[3]);
        answered(queue, 3, SP_CANCELLED);
        assert_false(sp_call_leave(calls[1], OK, false));
        answered(queue, 2, SP_OK);
        nothing_came(queue);
        sp_call_free(calls[0]);
        answered(queue, 4, SP_OK);
        stats_have(policy, "\"running\":2,\"waiting\":0");
        for (int i = 0; i < 6; i++) {
                if (i != 0 && i != 3)
                        sp_call_free(calls[i]);
        }
        stats_have(policy, "\"running\":0,\"waiting\":0");
        assert_int_equal(sp_queue_pending(queue), 0);
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

static void test_who_waits_too_long_is_told(void **state)
{
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.concurrency", "1", "policy.waiting", "3", "policy.timeout", "20ms", NULL},
            NULL);
        sp_call *first = call_of(policy, NULL), *second = call_of(policy, NULL), *third = call_of(policy, NULL);
        sp_queue *queue = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_call_enter(first, NULL), SP_OK);
        assert_int_equal(sp_call_enter_async(second, queue, 2), SP_OK);
        assert_int_equal(sp_call_enter(third, &error), SP_TIMEOUT);
        assert_non_null(strstr(sp_error_message(error), "policy \"default\""));
        sp_error_free(error);
        answered(queue, 2, SP_TIMEOUT);
        sp_call_free(first);
        sp_call_free(second);
        sp_call_free(third);
        stats_have(policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

static void test_the_breaker_is_asked_last_and_told_the_outcome(void **state)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;
        sp_policy *policy;
        sp_call *call;

        assert_int_equal(sp_config_set(config, "breaker.failures", "2", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, NULL, NULL, &breaker, NULL), SP_OK);
        sp_config_free(config);
        policy = policy_of((const char *const[]){"policy.attempts", "5", "policy.backoff", "1ms", NULL}, breaker);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_int_equal(sp_breaker_in_flight(breaker), 1);
        assert_true(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_true(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_OPEN);
        assert_int_equal(sp_call_enter(call, NULL), SP_OPEN);
        sp_call_free(call);
        assert_int_equal(sp_breaker_force(breaker, SP_BREAKER_HALF_OPEN), SP_OK);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        sp_call_free(call); /* not left: the probe's place is given back */
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_false(sp_call_leave(call, OK, true));
        sp_call_free(call);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_CLOSED);
        stats_have(policy, "\"open\":1");
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
}

/* Those who wait when the breaker opens are refused one after the other as places become free. */
static void test_an_open_breaker_empties_the_queue(void **state)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;
        sp_queue *queue = NULL;
        sp_policy *policy;
        sp_call *calls[4];

        assert_int_equal(sp_config_set(config, "breaker.failures", "1", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, NULL, NULL, &breaker, NULL), SP_OK);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp_config_free(config);
        policy = policy_of((const char *const[]){"policy.concurrency", "1", "policy.waiting", "5", NULL}, breaker);
        for (uint64_t i = 0; i < 4; i++) {
                calls[i] = call_of(policy, NULL);
                assert_int_equal(sp_call_enter_async(calls[i], queue, i), SP_OK);
        }
        answered(queue, 0, SP_OK);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_false(sp_call_leave(calls[0], BAD, true));
        for (uint64_t i = 1; i < 4; i++)
                answered(queue, i, SP_OPEN);
        for (int i = 0; i < 4; i++)
                sp_call_free(calls[i]);
        stats_have(policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
        sp_queue_free(queue);
}

static void test_the_rate_holds_refused_or_waited_for(void **state)
{
        sp_policy *strict = policy_of((const char *const[]){"policy.rate", "1", "policy.burst", "2", NULL}, NULL);
        sp_policy *patient =
            policy_of((const char *const[]){"policy.rate", "1000", "policy.rate_wait", "1m", NULL}, NULL);
        sp_call *calls[3], *call;

        for (int i = 0; i < 3; i++) {
                calls[i] = call_of(strict, NULL);
                assert_int_equal(sp_call_enter(calls[i], NULL), i < 2 ? SP_OK : SP_FULL);
        }
        for (int i = 0; i < 3; i++)
                sp_call_free(calls[i]);
        stats_have(strict, "\"rateLimited\":1");
        for (int i = 0; i < 5; i++) {
                call = call_of(patient, NULL);
                assert_int_equal(sp_call_enter(call, NULL), SP_OK);
                sp_call_free(call);
        }
        sp_policy_unref(strict);
        sp_policy_unref(patient);
}

static void test_the_limiter_spaces_calls(void **state)
{
        struct sp__limiter limiter;
        int64_t now = 5 * SECOND;

        sp__limiter_init(&limiter, 10, 3);
        for (int i = 0; i < 3; i++)
                assert_true(sp__limiter_take(&limiter, now));
        assert_false(sp__limiter_take(&limiter, now));
        assert_int_equal(sp__limiter_wait(&limiter, now, 0), 100 * MS);
        assert_int_equal(sp__limiter_wait(&limiter, now, 4), 500 * MS);
        assert_false(sp__limiter_take(&limiter, now + 100 * MS - 1));
        assert_true(sp__limiter_take(&limiter, now + 100 * MS));
        assert_true(sp__limiter_take(&limiter, now + 200 * MS));
        assert_false(sp__limiter_take(&limiter, now + 200 * MS));
        for (int i = 0; i < 3; i++)
                assert_true(sp__limiter_take(&limiter, now + 100 * SECOND));
        assert_false(sp__limiter_take(&limiter, now + 100 * SECOND));
        sp__limiter_init(&limiter, 0, 1);
        assert_true(sp__limiter_take(&limiter, now));
        assert_true(sp__limiter_take(&limiter, now));
        assert_int_equal(sp__limiter_wait(&limiter, now, 9), 0);
}

/* What an interval is short of whole nanoseconds is made up for. */
static void test_a_rate_that_does_not_divide_a_second_is_kept_exactly(void **state)
{
        enum { RATE = 7000000, BURST = 5 };
        struct sp__limiter limiter;
        int taken = 0;

        sp__limiter_init(&limiter, RATE, BURST);
        for (int64_t now = 5 * SECOND; now < 5 * SECOND + 2 * MS; now++)
                taken += sp__limiter_take(&limiter, now);
        assert_in_range(taken, RATE / 500 + BURST - 2, RATE / 500 + BURST);
        assert_int_equal(sp__limiter_wait(&limiter, 5 * SECOND, RATE) / MS, 1002);
}

/* However callers come, no second sees more than rate + burst of them. */
static void test_the_limiter_holds_in_every_second(void **state)
{
        enum { CALLS = 20000, RATE = 50, BURST = 7 };
        static int64_t went[CALLS];
        struct sp__random random = {sp__random_seed()};
        struct sp__limiter limiter;
        int64_t now = SECOND;
        int count = 0;

        print_message("# seed %" PRIu64 "\n", random.state);
        sp__limiter_init(&limiter, RATE, BURST);
        for (int i = 0; i < CALLS; i++) {
                int64_t wait = sp__limiter_wait(&limiter, now, 0);

                now += (int64_t)(sp__random_next(&random) % (uint64_t)(i % 100 ? 30 * MS : 2 * SECOND));
                if (sp__random_next(&random) % 2)
                        now += wait;
                if (!sp__limiter_take(&limiter, now))
                        continue;
                went[count++] = now;
                if (count > RATE + BURST)
                        assert_true(went[count - 1] - went[count - 1 - RATE - BURST] >= SECOND);
        }
        assert_true(count > CALLS / 4);
}

static void test_the_budget_gives_a_share_and_some_a_second(void **state)
{
        struct sp__budget budget;
        int64_t now = SECOND;
        int given = 0;

        sp__budget_init(&budget, 20, 10, 100, now);
        while (sp__budget_take(&budget, now))
                given++;
        assert_int_equal(given, 100);
        for (given = 0; given < 5; given++)
                sp__budget_called(&budget);
        assert_true(sp__budget_take(&budget, now));
        assert_false(sp__budget_take(&budget, now));
        assert_false(sp__budget_take(&budget, now + 99 * MS));
        assert_true(sp__budget_take(&budget, now + 100 * MS));
        for (given = 0; sp__budget_take(&budget, now + 1000000 * SECOND);)
                given++;
        assert_int_equal(given, 100);
}

static void test_the_pause_is_a_random_part_of_what_doubles(void **state)
{
        struct sp__random random = {sp__random_seed()};
        int64_t most = 0;

        for (int i = 0; i < 10000; i++) {
                int64_t tries = 1 + i % 8, limit = tries > 4 ? 300 : 25 << (tries - 1);
                int64_t pause = sp__backoff(&random, 25, 300, tries);

                assert_in_range(pause, 0, limit > 300 ? 300 : limit);
                most = pause > most ? pause : most;
        }
        assert_true(most > 250);
}

enum { THREADS = 4, CALLS_EACH = 3000, PLACES = 2 };

struct crowd {
        sp_policy *policy;
        sp_breaker *breaker;
        atomic_int inside, most, made, refused;
};

static void visit(struct crowd *crowd, struct sp__random *random)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_call *call = call_of(crowd->policy, ctx);

        while (sp_call_enter(call, NULL) == SP_OK) {
                int inside = atomic_fetch_add(&crowd->inside, 1) + 1, most = atomic_load(&crowd->most);
                uint64_t dice = sp__random_next(random);

                while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside)) {}
                atomic_fetch_add(&crowd->made, 1);
                atomic_fetch_sub(&crowd->inside, 1);
                if (dice % 16 == 0)
                        break;
                if (!sp_call_leave(call, (dice >> 8) % 4 ? OK : BAD, (dice >> 16) % 2))
                        break;
        }
        sp_call_free(call);
        sp_ctx_unref(ctx);
}

static void *visitor(void *arg)
{
        struct crowd *crowd = arg;
        struct sp__random random = {sp__random_seed()};

        for (int i = 0; i < CALLS_EACH; i++)
                visit(crowd, &random);
        return NULL;
}

static void test_places_and_permits_come_back_from_a_crowd(void **state)
{
        struct crowd crowd = {0};
        pthread_t threads[THREADS];

        assert_int_equal(sp_breaker_new(NULL, NULL, NULL, &crowd.breaker, NULL), SP_OK);
        crowd.policy =
            policy_of((const char *const[]){"policy.concurrency", "2", "policy.waiting", "100", "policy.attempts", "3",
                                            "policy.backoff", "1ms", "policy.backoff_max", "1ms", NULL},
                      crowd.breaker);
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, visitor, &crowd), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_in_range(atomic_load(&crowd.most), 1, PLACES);
        assert_int_equal(sp_breaker_in_flight(crowd.breaker), 0);
        stats_have(crowd.policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(crowd.policy);
        sp_breaker_unref(crowd.breaker);
}

static void test_what_waits_when_the_queue_is_freed_leaves_nothing_behind(void **state)
{
        sp_policy *policy =
            policy_of((const char *const[]){"policy.concurrency", "1", "policy.waiting", "3", NULL}, NULL);
        sp_call *first = call_of(policy, NULL), *second = call_of(policy, NULL);
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(1, &queue), SP_OK);
        assert_int_equal(sp_call_enter(first, NULL), SP_OK);
        assert_int_equal(sp_call_enter_async(second, queue, 1), SP_OK);
        assert_int_equal(sp_call_enter_async(first, queue, 1), SP_FULL);
        sp_queue_free(queue);
        sp_call_free(first);
        stats_have(policy, "\"running\":1,\"waiting\":0");
        sp_call_free(second);
        stats_have(policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(policy);
}

static int child_checks(sp_policy *policy, sp_call *call)
{
        sp_call *made = NULL;
        int failed = 0;

        failed += sp_call_new(policy, NULL, &made, NULL) != SP_FORKED;
        failed += sp_call_enter(call, NULL) != SP_FORKED;
        failed += sp_call_leave(call, BAD, true);
        sp_call_free(call);
        sp_policy_unref(policy);
        return failed;
}

static void test_a_child_of_a_fork_is_refused(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){"policy.attempts", "3", NULL}, NULL);
        sp_call *call = call_of(policy, NULL);
        int status;
        pid_t child;

        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        child = child_fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(child_checks(policy, call));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        sp_call_free(call);
        sp_policy_unref(policy);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_without_settings_a_call_is_made_once),
            cmocka_unit_test(test_retries_are_bounded_in_number),
            cmocka_unit_test(test_retries_are_bounded_by_the_budget),
            cmocka_unit_test(test_a_retry_that_would_come_too_late_is_not_made),
            cmocka_unit_test(test_deadlines_propagate),
            cmocka_unit_test(test_the_bulkhead_is_first_come_first_served),
            cmocka_unit_test(test_who_waits_too_long_is_told),
            cmocka_unit_test(test_the_breaker_is_asked_last_and_told_the_outcome),
            cmocka_unit_test(test_an_open_breaker_empties_the_queue),
            cmocka_unit_test(test_the_rate_holds_refused_or_waited_for),
            cmocka_unit_test(test_the_limiter_spaces_calls),
            cmocka_unit_test(test_a_rate_that_does_not_divide_a_second_is_kept_exactly),
            cmocka_unit_test(test_the_limiter_holds_in_every_second),
            cmocka_unit_test(test_the_budget_gives_a_share_and_some_a_second),
            cmocka_unit_test(test_the_pause_is_a_random_part_of_what_doubles),
            cmocka_unit_test(test_places_and_permits_come_back_from_a_crowd),
            cmocka_unit_test(test_what_waits_when_the_queue_is_freed_leaves_nothing_behind),
            cmocka_unit_test(test_a_child_of_a_fork_is_refused),
        };

        return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
