/* SPDX-License-Identifier: MIT */
/* A breaker's name, what it does as time passes, and when nobody needs it any more. */
#include "breaker_play.h"
#include "core/watch.h"
#include "guard/breaker.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { OK = SP_OUTCOME_SUCCESS, BAD = SP_OUTCOME_FAILURE, OPEN_MS = 1000 };

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

static void test_one_rule_for_names(void **state)
{
        static const char *const good[] = {
            "a", "pay ments", "db1.example:5432", "z\xc3\xbcrich", "\xe4\xb8\xad", "\xf0\x9f\x99\x82"};
        static const char *const bad[] = {"",      "a\nb",     "a\tb",         "\x1b[0m",  "a\x7f",       "a\xff",
                                          "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xc2\x85", "\xe2\x80\xa8"};
        char longest[130];
        sp_breaker *breaker = NULL;
        sp_error *error = NULL;

        memset(longest, 'x', sizeof longest);
        longest[128] = 0;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                assert_int_equal(sp_breaker_new(NULL, good[i], NULL, &breaker, NULL), SP_OK);
                assert_string_equal(sp_breaker_name(breaker), good[i]);
                sp_breaker_unref(breaker);
        }
        assert_int_equal(sp_breaker_new(NULL, longest, NULL, &breaker, NULL), SP_OK);
        sp_breaker_unref(breaker);
        breaker = NULL;
        longest[128] = 'x';
        longest[129] = 0;
        assert_int_equal(sp_breaker_new(NULL, longest, NULL, &breaker, NULL), SP_INVALID);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                assert_int_equal(sp_breaker_new(NULL, bad[i], NULL, &breaker, &error), SP_INVALID);
                assert_non_null(strstr(sp_error_message(error), "the name of a breaker is 1 to 128 bytes"));
                sp_error_free(error);
                error = NULL;
        }
        assert_null(breaker);
}

static void test_a_breaker_named_like_a_host_is_configured_by_its_name(void **state)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;
        uint64_t permit;

        assert_int_equal(sp_config_set(config, "breaker.db1.example:5432.failures", "1", NULL), SP_OK);
        assert_true(sp_config_set(config, "pool.db1.example.max", "1", NULL) != SP_OK);
        assert_int_equal(sp_breaker_new(config, "db1.example:5432", NULL, &breaker, NULL), SP_OK);
        assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
        sp_breaker_record(breaker, permit, BAD, 1);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_OPEN);
        sp_breaker_unref(breaker);
        sp_config_free(config);
}

static void test_no_breaker_is_refused(void **state)
{
        sp_breaker *breaker = NULL;
        sp_value *value = NULL;
        uint64_t permit = 7;

        assert_int_equal(sp_breaker_new(NULL, "a", NULL, NULL, NULL), SP_INVALID);
        assert_int_equal(sp_breaker_acquire(NULL, &permit), SP_INVALID);
        sp_breaker_record(NULL, 1, OK, 1);
        sp_breaker_release(NULL, 1);
        sp_breaker_reset(NULL);
        assert_null(sp_breaker_ref(NULL));
        assert_int_equal(sp_breaker_force(NULL, SP_BREAKER_OPEN), SP_INVALID);
        assert_int_equal(sp_breaker_watch(NULL, NULL, 0, NULL, 0), SP_INVALID);
        assert_int_equal(sp_breaker_report(NULL, &value), SP_INVALID);
        assert_int_equal(sp_breaker_stats(NULL, &value), SP_INVALID);
        assert_string_equal(sp_breaker_name(NULL), "");
        assert_int_equal(sp_breaker_state(NULL) + sp_breaker_failures(NULL) + sp_breaker_next_attempt(NULL), 0);
        assert_int_equal(sp_breaker_calls(NULL, OK) + sp_breaker_rejected(NULL) + sp_breaker_in_flight(NULL), 0);
        assert_int_equal(sp_breaker_changes(NULL), 0);
        assert_int_equal(sp_breaker_new(NULL, "a", NULL, &breaker, NULL), SP_OK);
        assert_int_equal(sp_breaker_acquire(breaker, NULL), SP_INVALID);
        assert_int_equal(sp_breaker_stats(breaker, NULL), SP_INVALID);
        assert_int_equal(sp_breaker_report(breaker, NULL), SP_INVALID);
        assert_int_equal(sp_breaker_in_flight(breaker), 0);
        sp_breaker_unref(breaker);
}

/* Between open_time and that lengthened by the jitter, and not always the same. */
static void test_jitter_spreads_the_open_time(void **state)
{
        int64_t least = INT64_MAX, most = 0;

        for (int i = 0; i < 100; i++) {
                struct rig rig = rig_new_with((const char *const[]){"failures", "1", "jitter", "50", NULL});
                int64_t next;

                play(&rig, "fO");
                next = sp_breaker_next_attempt(rig.breaker);
                assert_in_range(next, OPEN_MS, OPEN_MS * 3 / 2);
                least = next < least ? next : least;
                most = next > most ? next : most;
                rig_free(&rig);
        }
        assert_true(most - least > OPEN_MS / 10);
}

static void test_a_call_that_takes_the_limit_is_slow(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){"failures", "0", "slow_rate", "100", "minimum", "2", NULL});
        uint64_t permit;

        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_breaker_state(rig.breaker), SP_BREAKER_CLOSED);
                assert_int_equal(sp_breaker_acquire(rig.breaker, &permit), SP_OK);
                sp_breaker_record(rig.breaker, permit, OK, SLOW_NS / 2);
        }
        assert_int_equal(sp_breaker_state(rig.breaker), SP_BREAKER_OPEN);
        rig_free(&rig);
}

static void test_a_window_of_time_empties_while_nobody_calls(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){"failures", "0", "failure_rate", "90", "minimum", "2",
                                                            "window", "time", "window_time", "1s", NULL});
        struct sp__breaker_view view;

        play(&rig, "sf");
        sp__breaker_look(rig.breaker, &view);
        assert_int_equal(view.window.calls, 2);
        assert_true(view.rated);
        sp_clock_advance(rig.clock, 1100);
        sp__breaker_look(rig.breaker, &view);
        assert_int_equal(view.window.calls, 0);
        assert_false(view.rated);
        rig_free(&rig);
}

static void test_a_window_of_calls_that_was_emptied_begins_anew(void **state)
{
        struct sp__window window;

        assert_true(sp__window_init(&window, 3, 0));
        sp__window_add(&window, 0, true, true);
        sp__window_clear(&window);
        for (int i = 0; i < 3; i++)
                sp__window_add(&window, 0, i == 0, false);
        assert_int_equal(window.sum.failed, 1);
        sp__window_add(&window, 0, false, false);
        assert_int_equal(window.sum.failed, 0);
        assert_int_equal(window.sum.calls, 3);
        sp__window_free(&window);
}

/* The clock that is read without the lock may be behind: near the end of an open time the exact one decides. */
static void test_the_coarse_clock_keeps_nobody_out_too_long(void **state)
{
        for (int round = 0; round < 20; round++) {
                sp_config *config = sp_config_new();
                sp_breaker *breaker = NULL;
                uint64_t permit = 0;

                assert_int_equal(sp_config_set(config, "breaker.failures", "1", NULL), SP_OK);
                assert_int_equal(sp_config_set(config, "breaker.open_time", "5ms", NULL), SP_OK);
                assert_int_equal(sp_breaker_new(config, NULL, NULL, &breaker, NULL), SP_OK);
                sp_config_free(config);
                assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
                sp_breaker_record(breaker, permit, BAD, 1);
                while (sp_breaker_state(breaker) == SP_BREAKER_OPEN) {}
                assert_int_equal(sp_breaker_acquire(breaker, &permit), SP_OK);
                sp_breaker_unref(breaker);
        }
}

static sp_value *describe(const void *last, uint64_t seen)
{
        const struct sp__latest *change = last;
        char text[64];
        int len = snprintf(text, sizeof text, "%" PRIu64 " after %" PRIu64, change->number, seen);

        return sp_value_new(text, (size_t)len, SP_CODEC_TEXT);
}

static const struct sp__watched changes = {
    .size = sizeof(struct sp__latest), .keep = sp__latest_keep, .describe = describe};

static void test_an_older_change_that_is_told_late_is_no_news(void **state)
{
        struct sp__latest first = {1, SP_BREAKER_CLOSED, SP_BREAKER_OPEN},
                          second = {2, SP_BREAKER_OPEN, SP_BREAKER_HALF_OPEN};
        struct sp__watchers *watchers = sp__watchers_new(&changes);
        sp_completion *none;
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp__watchers_tell(watchers, &second);
        sp__watchers_tell(watchers, &first);
        assert_int_equal(sp__watchers_add(watchers, NULL, 0, queue, 1), SP_OK);
        hears(queue, 1, "2 after 0");
        assert_int_equal(sp__watchers_add(watchers, NULL, 2, queue, 2), SP_OK);
        sp__watchers_tell(watchers, &first);
        assert_int_equal(sp_queue_take(queue, &none, 1), 0);
        sp__watchers_end(watchers);
        sp__watchers_unref(watchers);
        sp_completion_free(heard(queue, 2, SP_CLOSED));
        sp_queue_free(queue);
}

/* Whoever still has a watch of an owner that was closed meanwhile must not wait for ever with the next one. */
static void test_what_is_closed_has_no_next_change(void **state)
{
        struct sp__watchers *watchers = sp__watchers_new(&changes);
        sp_completion *first;
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp__watchers_add(watchers, NULL, 0, queue, 1), SP_OK);
        sp__watchers_end(watchers);
        first = heard(queue, 1, SP_CLOSED);
        assert_int_equal(sp__watchers_add(watchers, NULL, 0, queue, 2), SP_OK);
        sp_completion_free(heard(queue, 2, SP_CLOSED));
        sp_completion_free(first);
        sp__watchers_unref(watchers);
        sp_queue_free(queue);
}

/* Whatever it would open on: nothing here. */
static void test_metrics_only_rates_without_being_told_to(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){NULL});
        sp_value *value = NULL;
        size_t len;

        play(&rig, ">M 70*s 20*f 10*z");
        assert_int_equal(sp_breaker_stats(rig.breaker, &value), SP_OK);
        assert_non_null(
            strstr(sp_value_data(value, &len), "\"windowCalls\":100,\"failureRate\":0.2000,\"slowRate\":0.1000}"));
        sp_value_unref(value);
        rig_free(&rig);
}

/* `breaker.idle` is 10s; the registry looks when a script is over, and 10 s later. */
static bool rests_after(struct rig *rig, const char *script)
{
        play(rig, script);
        sp__breaker_idle(rig->breaker);
        sp_clock_advance(rig->clock, 9999);
        assert_false(sp__breaker_idle(rig->breaker));
        sp_clock_advance(rig->clock, 1);
        return sp__breaker_idle(rig->breaker);
}

static void test_what_rests_and_what_does_not(void **state)
{
        static const struct {
                const char *script;
                bool rests;
        } cases[] = {
            {"s", true},          {"f", true},   {"a", true},   {"fff O 9", true}, {"fff 55 H a", true},
            {"fff 55 H f", true}, {">X", false}, {">D", false}, {">M s", false},   {">X >C", true},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct rig rig =
                    rig_new_with((const char *const[]){"failures", "3", "idle", "10s", "open_time", "1s", NULL});

                if (rests_after(&rig, cases[i].script) != cases[i].rests)
                        fail_msg("%s", cases[i].script);
                rig_free(&rig);
        }
}

static void test_whatever_moves_its_calls_is_use(void **state)
{
        static const char *const uses[] = {"S", "r", "s", "a"};

        for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
                struct rig rig = rig_new_with((const char *const[]){"failures", "3", "idle", "10s", NULL});

                assert_true(rests_after(&rig, "a"));
                assert_true(sp__breaker_idle(rig.breaker));
                play(&rig, uses[i]);
                assert_false(sp__breaker_idle(rig.breaker));
                rig_free(&rig);
        }
}

/* Long past its open time an open breaker that nobody asks rests; one that refuses does not. */
static void test_one_that_was_left_open_rests_in_the_end(void **state)
{
        struct rig rig = rig_new_with((const char *const[]){"failures", "1", "idle", "1s", "open_time", "1m", NULL});

        play(&rig, "fO");
        for (int i = 0; i < 59; i++) {
                sp_clock_advance(rig.clock, 1000);
                assert_false(sp__breaker_idle(rig.breaker));
        }
        sp_clock_advance(rig.clock, 1000);
        assert_true(sp__breaker_idle(rig.breaker));
        rig_free(&rig);
        rig = rig_new_with((const char *const[]){"idle", "1s", "mode", "forced_open", NULL});
        sp__breaker_idle(rig.breaker);
        sp_clock_advance(rig.clock, 1000);
        assert_true(sp__breaker_idle(rig.breaker));
        play(&rig, "!");
        assert_false(sp__breaker_idle(rig.breaker));
        rig_free(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_one_rule_for_names),
            cmocka_unit_test(test_a_breaker_named_like_a_host_is_configured_by_its_name),
            cmocka_unit_test(test_no_breaker_is_refused),
            cmocka_unit_test(test_jitter_spreads_the_open_time),
            cmocka_unit_test(test_a_call_that_takes_the_limit_is_slow),
            cmocka_unit_test(test_a_window_of_time_empties_while_nobody_calls),
            cmocka_unit_test(test_a_window_of_calls_that_was_emptied_begins_anew),
            cmocka_unit_test(test_the_coarse_clock_keeps_nobody_out_too_long),
            cmocka_unit_test(test_an_older_change_that_is_told_late_is_no_news),
            cmocka_unit_test(test_what_is_closed_has_no_next_change),
            cmocka_unit_test(test_metrics_only_rates_without_being_told_to),
            cmocka_unit_test(test_what_rests_and_what_does_not),
            cmocka_unit_test(test_whatever_moves_its_calls_is_use),
            cmocka_unit_test(test_one_that_was_left_open_rests_in_the_end),
        };

        return cmocka_run_group_tests_name("breaker life", tests, NULL, NULL);
}
