/* SPDX-License-Identifier: MIT */
/* What a call waits for under a policy, what lets it go on, and that who gives up holds up nobody. */
#include "policy_play.h"

#include "base/random.h"
#include "guard/budget.h"
#include "guard/policy.h"

#include <pthread.h>
#include <stdatomic.h>

struct canceller {
        sp_ctx *ctx;
        pthread_barrier_t barrier;
};

/* What the rate allows goes to those who still wait, however many gave up before their turn. */
static void test_who_stops_waiting_for_the_rate_gives_back_the_turn(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){"policy.rate", "1", "policy.rate_wait", "1d", NULL}, NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_queue *queue = NULL;
        sp_call *calls[40], *last;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        calls[0] = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(calls[0], NULL), SP_OK);
        for (uint64_t i = 1; i < 40; i++) {
                calls[i] = call_of(policy, ctx);
                assert_int_equal(sp_call_enter_async(calls[i], queue, i), SP_OK);
        }
        last = call_of(policy, NULL);
        assert_int_equal(sp_call_enter_async(last, queue, 99), SP_OK);
        nothing_came(queue);
        sp_ctx_cancel(ctx);
        for (int i = 1; i < 40; i++) {
                sp_completion *got = NULL;

                assert_int_equal(sp_queue_wait(queue, &got, 1, 10000), 1);
                assert_int_equal(sp_completion_status(got), SP_CANCELLED);
                sp_completion_free(got);
        }
        answered(queue, 99, SP_OK); /* it was the 40th of the line, 40 seconds */
        for (int i = 0; i < 40; i++)
                sp_call_free(calls[i]);
        sp_call_free(last);
        sp_ctx_unref(ctx);
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

/* As many as come before the deadline wait; the others are told at once, and hold up nobody. */
static void test_who_could_not_go_before_the_deadline_is_refused_at_once(void **state)
{
        enum { CALLS = 105, IN_TIME = 100 };
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.rate", "1", "policy.rate_wait", "1d", "policy.timeout", "99500ms", NULL},
            NULL);
        sp_queue *queue = NULL;
        sp_call *calls[CALLS];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (uint64_t i = 0; i < CALLS; i++) {
                calls[i] = call_of(policy, NULL);
                assert_int_equal(sp_call_enter_async(calls[i], queue, i), SP_OK);
        }
        answered(queue, 0, SP_OK);
        for (uint64_t i = IN_TIME; i < CALLS; i++)
                answered(queue, i, SP_FULL);
        answered(queue, 1, SP_OK);
        for (int i = 0; i < CALLS; i++)
                sp_call_free(calls[i]);
        stats_have(policy, "\"rateLimited\":5");
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

static void test_a_call_that_is_over_is_not_entered_again(void **state)
{
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.attempts", "2", "policy.backoff", "1ms", "policy.concurrency", "1", NULL},
            NULL);
        sp_call *call = call_of(policy, NULL), *other = call_of(policy, NULL);
        sp_queue *queue = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_true(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_false(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_call_enter(call, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "over"));
        sp_error_free(error);
        assert_int_equal(sp_call_enter_async(call, queue, 1), SP_INVALID);
        assert_int_equal(sp_call_attempts(call), 2);
        /* Nor one that was refused. */
        sp_call_free(call);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(other, NULL), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_FULL);
        assert_false(sp_call_leave(other, OK, false));
        assert_int_equal(sp_call_enter(call, NULL), SP_INVALID);
        sp_call_free(call);
        sp_call_free(other);
        sp_queue_free(queue);
        sp_policy_unref(policy);
}

/* A mistake of the caller's is no refusal of the breaker's. */
static void test_entering_a_call_that_runs_is_refused_and_counted_nowhere(void **state)
{
        sp_breaker *breaker = NULL;
        sp_policy *policy;
        sp_call *call;

        assert_int_equal(sp_breaker_new(NULL, NULL, NULL, &breaker, NULL), SP_OK);
        policy = policy_of((const char *const[]){NULL}, breaker);
        call = call_of(policy, NULL);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(sp_call_enter(call, NULL), SP_INVALID);
        assert_int_equal(sp_breaker_rejected(breaker), 0);
        stats_have(policy, "\"open\":0");
        assert_false(sp_call_leave(call, OK, false));
        sp_call_free(call);
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
}

static void test_who_asks_first_is_refused_without_a_call(void **state)
{
        sp_clock *clock = sp_clock_new();
        sp_breaker *breaker = NULL;
        sp_policy *policy;

        assert_int_equal(sp_breaker_new(NULL, NULL, clock, &breaker, NULL), SP_OK);
        policy = policy_of((const char *const[]){NULL}, breaker);
        assert_false(sp_policy_refuses(policy));
        assert_int_equal(sp_breaker_in_flight(breaker), 0);
        sp_breaker_force(breaker, SP_BREAKER_OPEN);
        assert_true(sp_policy_refuses(policy));
        assert_int_equal(sp_breaker_rejected(breaker), 1);
        stats_have(policy, "\"open\":1");
        sp_clock_advance(clock, 60000);
        assert_false(sp_policy_refuses(policy));
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        sp__policy_shut(policy);
        assert_false(sp_policy_refuses(policy)); /* what it is told is that it is closed */
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
        sp_clock_free(clock);
}

/* `attempt_timeout` is an attempt's: asking for the context before it begins, or between two, starts nothing. */
static void test_an_attempt_s_time_begins_when_it_is_entered(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){"policy.attempt_timeout", "1h", "policy.timeout", "2h",
                                                            "policy.attempts", "2", "policy.backoff", "1ms", NULL},
                                      NULL);
        sp_call *call = call_of(policy, NULL);
        sp_ctx *whole = sp_call_ctx(call);

        assert_true(sp_ctx_remaining(whole) > 3600 * 1000);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_ptr_not_equal(sp_call_ctx(call), whole);
        assert_in_range(sp_ctx_remaining(sp_call_ctx(call)), 0, 3600 * 1000);
        assert_true(sp_call_leave(call, BAD, true));
        assert_ptr_equal(sp_call_ctx(call), whole);
        sp_call_free(call);
        sp_policy_unref(policy);
}

/* A policy that ends, or is closed, lets nobody stand in line. */
static void test_a_policy_that_ends_wakes_the_line(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){"policy.rate", "1", "policy.rate_wait", "1d", NULL}, NULL);
        sp_queue *queue = NULL;
        sp_call *calls[3];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (uint64_t i = 0; i < 3; i++) {
                calls[i] = call_of(policy, NULL);
                assert_int_equal(sp_call_enter_async(calls[i], queue, i), SP_OK);
        }
        answered(queue, 0, SP_OK);
        sp__policy_shut(policy);
        answered(queue, 1, SP_CLOSED);
        answered(queue, 2, SP_CLOSED);
        for (int i = 0; i < 3; i++)
                sp_call_free(calls[i]);
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

/* Full jitter: any part of the limit, the smallest and the largest alike. */
static void test_the_pause_is_any_part_of_its_limit(void **state)
{
        struct sp__random random = {sp__random_seed()};
        int low = 0, high = 0;

        for (int i = 0; i < 1000; i++) {
                int64_t pause = sp__backoff(&random, 1000, 1000, 1);

                low += pause < 200;
                high += pause >= 800;
        }
        assert_in_range(low, 100, 300);
        assert_in_range(high, 100, 300);
}

static void test_the_budget_is_full_after_any_long_rest(void **state)
{
        struct sp__budget budget;
        int given = 0;

        sp__budget_init(&budget, 0, 100000, 5, 0);
        while (sp__budget_take(&budget, 0)) {}
        while (sp__budget_take(&budget, INT64_MAX / 2))
                given++;
        assert_int_equal(given, 5);
}

/* Entered again, a call stands among those that pause, for a part of a day, until it is cancelled. */
static void test_a_retry_waits_for_its_pause(void **state)
{
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.attempts", "2", "policy.backoff", "1d", "policy.backoff_max", "1d", NULL},
            NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_call *call = call_of(policy, ctx), *other = call_of(policy, NULL);
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_true(sp_call_leave(call, BAD, true));
        assert_int_equal(sp_call_enter_async(call, queue, 1), SP_OK);
        assert_false(sp__list_empty(&policy->paused));
        assert_int_equal(sp_call_enter(other, NULL), SP_OK); /* which pauses nobody else */
        nothing_came(queue);
        assert_int_equal(sp_call_attempts(call), 1);
        sp_ctx_cancel(ctx);
        answered(queue, 1, SP_CANCELLED);
        sp_call_free(call);
        sp_call_free(other);
        sp_ctx_unref(ctx);
        sp_policy_unref(policy);
        sp_queue_free(queue);
}

static void test_no_attempt_is_made_when_the_deadline_is_over(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){NULL}, NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_call *call;

        assert_int_equal(sp_ctx_set(ctx, "timeout", "1ms", NULL), SP_OK);
        for (int64_t begin = sp__now(); sp__now() - begin < 2 * MS;) {}
        call = call_of(policy, ctx);
        assert_int_equal(sp_call_enter(call, NULL), SP_TIMEOUT);
        assert_int_equal(sp_call_attempts(call), 0);
        sp_call_free(call);
        stats_have(policy, "\"admitted\":0");
        stats_have(policy, "\"timedOut\":1");
        sp_ctx_unref(ctx);
        sp_policy_unref(policy);
}

static void test_who_is_cancelled_or_closed_is_not_told_to_try_again(void **state)
{
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.attempts", "9", "policy.retry_rate", "0", "policy.backoff", "1ms", NULL},
            NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_call *cancelled = call_of(policy, ctx), *closed = call_of(policy, NULL);

        assert_int_equal(sp_call_enter(cancelled, NULL), SP_OK);
        assert_int_equal(sp_call_enter(closed, NULL), SP_OK);
        sp_ctx_cancel(ctx);
        assert_false(sp_call_leave(cancelled, BAD, true));
        sp__policy_shut(policy);
        assert_false(sp_call_leave(closed, BAD, true));
        stats_have(policy, "\"retryTokens\":100");
        sp_call_free(cancelled);
        sp_call_free(closed);
        sp_ctx_unref(ctx);
        sp_policy_unref(policy);
}

static sp_breaker *breaker_of(const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;

        for (size_t i = 0; settings[i]; i += 2)
                assert_int_equal(sp_config_set(config, settings[i], settings[i + 1], NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, NULL, NULL, &breaker, NULL), SP_OK);
        sp_config_free(config);
        return breaker;
}

/* Who would have to wait for a place is refused without waiting. */
static void test_an_open_breaker_refuses_before_anything_is_waited_for(void **state)
{
        sp_breaker *breaker = breaker_of((const char *const[]){NULL});
        sp_policy *policy = policy_of(
            (const char *const[]){"policy.concurrency", "1", "policy.waiting", "9", "policy.rate", "1", NULL}, breaker);
        sp_call *inside = call_of(policy, NULL), *late = call_of(policy, NULL);

        assert_int_equal(sp_call_enter(inside, NULL), SP_OK);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(sp_call_enter(late, NULL), SP_OPEN);
        stats_have(policy, "\"waiting\":0");
        stats_have(policy, "\"rateLimited\":0");
        sp_call_free(late);
        sp_call_free(inside);
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
}

static void test_the_breaker_hears_how_long_an_attempt_took(void **state)
{
        sp_breaker *breaker = breaker_of((const char *const[]){
            "breaker.failures", "0", "breaker.slow", "1ms", "breaker.slow_rate", "100", "breaker.minimum", "1", NULL});
        sp_policy *policy = policy_of((const char *const[]){NULL}, breaker);
        sp_call *call = call_of(policy, NULL);
        int64_t begin;

        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        for (begin = sp__now(); sp__now() - begin < 2 * MS;) {}
        sp_call_leave(call, OK, false);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_OPEN);
        sp_call_free(call);
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
}

static void *cancel_all(void *arg)
{
        struct canceller *canceller = arg;

        pthread_barrier_wait(&canceller->barrier);
        sp_ctx_cancel(canceller->ctx);
        return NULL;
}

/* Cancelled at any moment of its being let in, a call leaves no permit and no place behind. */
static void test_a_call_cancelled_while_it_is_let_in_gives_all_back(void **state)
{
        sp_breaker *breaker = breaker_of((const char *const[]){NULL});
        sp_policy *policy = policy_of((const char *const[]){"policy.concurrency", "1", NULL}, breaker);

        for (int i = 0; i < 2000; i++) {
                struct canceller canceller = {.ctx = sp_ctx_new(NULL)};
                sp_call *call = call_of(policy, canceller.ctx);
                pthread_t thread;

                pthread_barrier_init(&canceller.barrier, NULL, 2);
                assert_int_equal(pthread_create(&thread, NULL, cancel_all, &canceller), 0);
                pthread_barrier_wait(&canceller.barrier);
                for (int spin = i % 50; spin > 0; spin--)
                        atomic_thread_fence(memory_order_seq_cst);
                sp_call_enter(call, NULL);
                pthread_join(thread, NULL);
                sp_call_free(call);
                assert_int_equal(sp_breaker_in_flight(breaker), 0);
                pthread_barrier_destroy(&canceller.barrier);
                sp_ctx_unref(canceller.ctx);
        }
        stats_have(policy, "\"running\":0,\"waiting\":0");
        sp_policy_unref(policy);
        sp_breaker_unref(breaker);
}

static void test_names_are_as_a_breaker_s(void **state)
{
        sp_policy *policy = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_policy_new(NULL, "", NULL, &policy, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "the name of a policy is 1 to 128 bytes"));
        sp_error_free(error);
        assert_int_equal(sp_policy_new(NULL, "a\nb", NULL, &policy, NULL), SP_INVALID);
        assert_null(policy);
}

static void test_no_policy_and_no_call_are_refused(void **state)
{
        sp_policy *policy = policy_of((const char *const[]){NULL}, NULL);
        sp_call *call = NULL;
        sp_value *value = NULL;

        assert_int_equal(sp_policy_new(NULL, NULL, NULL, NULL, NULL), SP_INVALID);
        assert_null(sp_policy_ref(NULL));
        assert_string_equal(sp_policy_name(NULL), "");
        assert_int_equal(sp_policy_stats(NULL, &value), SP_INVALID);
        assert_int_equal(sp_policy_stats(policy, NULL), SP_INVALID);
        assert_int_equal(sp_call_new(NULL, NULL, &call, NULL), SP_INVALID);
        assert_int_equal(sp_call_new(policy, NULL, NULL, NULL), SP_INVALID);
        assert_int_equal(sp_call_enter(NULL, NULL), SP_INVALID);
        assert_int_equal(sp_call_enter_async(NULL, NULL, 1), SP_INVALID);
        assert_null(sp_call_ctx(NULL));
        assert_false(sp_call_leave(NULL, OK, true));
        assert_int_equal(sp_call_attempts(NULL), 0);
        sp_policy_unref(policy);
}

/* No tokens are kept, but what comes in is given. */
static void test_a_budget_that_keeps_nothing_still_gives_its_share(void **state)
{
        struct sp__budget budget;

        sp__budget_init(&budget, 50, 0, 0, SECOND);
        assert_false(sp__budget_take(&budget, SECOND));
        for (int i = 0; i < 10; i++)
                sp__budget_called(&budget);
        assert_true(sp__budget_take(&budget, SECOND));
        assert_false(sp__budget_take(&budget, SECOND));
        sp__budget_init(&budget, 0, 0, 0, SECOND);
        sp__budget_called(&budget);
        assert_false(sp__budget_take(&budget, 100 * SECOND));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_who_stops_waiting_for_the_rate_gives_back_the_turn),
            cmocka_unit_test(test_who_could_not_go_before_the_deadline_is_refused_at_once),
            cmocka_unit_test(test_a_policy_that_ends_wakes_the_line),
            cmocka_unit_test(test_the_pause_is_any_part_of_its_limit),
            cmocka_unit_test(test_the_budget_is_full_after_any_long_rest),
            cmocka_unit_test(test_a_call_that_is_over_is_not_entered_again),
            cmocka_unit_test(test_entering_a_call_that_runs_is_refused_and_counted_nowhere),
            cmocka_unit_test(test_an_attempt_s_time_begins_when_it_is_entered),
            cmocka_unit_test(test_who_asks_first_is_refused_without_a_call),
            cmocka_unit_test(test_a_retry_waits_for_its_pause),
            cmocka_unit_test(test_no_attempt_is_made_when_the_deadline_is_over),
            cmocka_unit_test(test_who_is_cancelled_or_closed_is_not_told_to_try_again),
            cmocka_unit_test(test_an_open_breaker_refuses_before_anything_is_waited_for),
            cmocka_unit_test(test_the_breaker_hears_how_long_an_attempt_took),
            cmocka_unit_test(test_a_call_cancelled_while_it_is_let_in_gives_all_back),
            cmocka_unit_test(test_names_are_as_a_breaker_s),
            cmocka_unit_test(test_no_policy_and_no_call_are_refused),
            cmocka_unit_test(test_a_budget_that_keeps_nothing_still_gives_its_share),
        };

        return cmocka_run_group_tests_name("policy calls", tests, NULL, NULL);
}
