/* SPDX-License-Identifier: MIT */
/* LISTEN: each message once, in order; and whoever may have missed one is told. */
#include "way.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static sp_status next(const struct way *way, sp_listener *listener, sp_ctx *ctx, char text[256], sp_error **error)
{
        sp_value *value = NULL;
        sp_status status;
        sp_completion *done;
        sp_queue *queue;
        size_t len;

        if (way == &ways[0]) {
                status = sp_listener_next(listener, ctx, &value, error);
        } else {
                assert_int_equal(sp_queue_new(0, &queue), SP_OK);
                assert_int_equal(sp_listener_next_async(listener, ctx, queue, 42), SP_OK);
                done = queue_completion(queue);
                status = completion_outcome(done, error);
                value = sp_value_ref(sp_completion_value(done));
                sp_completion_free(done);
                sp_queue_free(queue);
        }
        if (status == SP_OK) {
                assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
                snprintf(text, 256, "%s", (const char *)sp_value_data(value, &len));
        }
        sp_value_unref(value);
        return status;
}

static void hears(const struct way *way, sp_listener *listener, const char *expected)
{
        sp_error *error = NULL;
        char text[256] = "";

        if (next(way, listener, NULL, text, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        if (!strstr(text, expected))
                fail_msg("%s is not %s", text, expected);
}

static sp_listener *listen_to(const struct way *way, sp_pool *pool, const char *channel)
{
        sp_listener *listener;
        sp_error *error = NULL;

        if (sp_pool_listen(pool, channel, &listener, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        hears(way, listener, "\"notice\":\"listening\",\"lost\":false}");
        return listener;
}

static void hears_notice(const struct way *way, sp_listener *listener, const char *channel, bool lost)
{
        char text[256];

        snprintf(text, sizeof text, "{\"channel\":\"%s\",\"notice\":\"listening\",\"lost\":%s}", channel,
                 lost ? "true" : "false");
        hears(way, listener, text);
}

static void add(const struct way *way, sp_listener *listener, const char *channel)
{
        sp_error *error = NULL;

        if (sp_listener_add(listener, channel, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        hears_notice(way, listener, channel, false);
}

static void notify(sp_pool *pool, const char *channel, const char *payload)
{
        sp_params *params = sp_params_new();
        sp_stmt *stmt = stmt_of("SELECT pg_notify($1, $2)");
        sp_result *result = NULL;
        sp_error *error = NULL;

        sp_params_add_text(params, channel, strlen(channel));
        sp_params_add_text(params, payload, strlen(payload));
        if (sp_pool_query(pool, NULL, stmt, params, &result, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
}

static void test_messages_come_in_order(void **state)
{
        static const char strange[] = "Ev\xc3\xa9nements \"x\"; DROP TABLE y; --";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *one = listen_to(way, pool, strange), *two = listen_to(way, pool, "listen_two");
        char text[64];

        for (int i = 0; i < 50; i++) {
                snprintf(text, sizeof text, "%d", i);
                notify(pool, strange, text);
        }
        notify(pool, "listen_two", "\"quoted\"\n");
        notify(pool, "listen_TWO", "somebody else's");
        notify(pool, "listen_two", "");
        for (int i = 0; i < 50; i++) {
                snprintf(text, sizeof text, "\"payload\":\"%d\",\"pid\":", i);
                hears(way, one, text);
        }
        hears(way, two, "{\"channel\":\"listen_two\",\"payload\":\"\\\"quoted\\\"\\u000a\",\"pid\":");
        hears(way, two, "\"payload\":\"\"");
        sp_listener_free(one);
        sp_listener_free(two);
        sp_pool_free(pool);
}

/* NOTIFY `first` to `first` + 59 to the three channels, in a transaction of its own. */
static void notify_many(const struct way *way, sp_session *session, int first)
{
        char text[256];

        snprintf(text, sizeof text,
                 "SELECT count(pg_notify('listen_many_' || g * g %% 3, g::text)) FROM generate_series(%d, %d) g", first,
                 first + 59);
        session_run(way, session, text);
}

static void test_one_listener_hears_several_channels_in_their_order(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *listener = listen_to(way, pool, "listen_many_0");
        sp_session *sessions[] = {session_of(way, pool), session_of(way, pool)};

        add(way, listener, "listen_many_1");
        add(way, listener, "listen_many_2");
        for (int i = 0; i < 600; i += 60)
                notify_many(way, sessions[i / 60 % 2], i);
        for (int i = 0; i < 600; i++) {
                char text[128];

                snprintf(text, sizeof text, "{\"channel\":\"listen_many_%d\",\"payload\":\"%d\",", i * i % 3, i);
                hears(way, listener, text);
        }
        sp_session_release(sessions[0]);
        sp_session_release(sessions[1]);
        sp_listener_free(listener);
        sp_pool_free(pool);
}

static void test_a_channel_that_was_left_is_not_heard_and_may_be_added_again(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *listener = listen_to(way, pool, "listen_stays"), *fence = listen_to(way, pool, "listen_fence");

        add(way, listener, "listen_left");
        /* It is there already: no notice again. */
        assert_int_equal(sp_listener_add(listener, "listen_left", NULL), SP_OK);
        notify(pool, "listen_left", "before");
        hears(way, listener, "{\"channel\":\"listen_left\",\"payload\":\"before\",");
        notify(pool, "listen_left", "not taken");
        notify(pool, "listen_stays", "w");
        notify(pool, "listen_left", "not taken");
        notify(pool, "listen_fence", "all came");
        hears(way, fence, "all came");
        sp_listener_remove(listener, "listen_left");
        sp_listener_remove(listener, "listen_left");
        sp_listener_remove(listener, "listen_never");
        notify(pool, "listen_left", "meanwhile");
        notify(pool, "listen_stays", "x");
        hears(way, listener, "{\"channel\":\"listen_stays\",\"payload\":\"w\",");
        hears(way, listener, "{\"channel\":\"listen_stays\",\"payload\":\"x\",");
        /* UNLISTEN and LISTEN may both be on their way. */
        for (int i = 0; i < 20; i++) {
                add(way, listener, "listen_left");
                notify(pool, "listen_left", "again");
                hears(way, listener, "{\"channel\":\"listen_left\",\"payload\":\"again\",");
                sp_listener_remove(listener, "listen_left");
        }
        sp_listener_free(listener);
        sp_listener_free(fence);
        while (sp_pool_active(pool) > 0)
                sched_yield();
        sp_pool_free(pool);
}

/* Though the session hears it already, for another one. */
static void test_the_first_of_a_channel_is_its_notice(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *there = listen_to(way, pool, "listen_first"), *comes = listen_to(way, pool, "listen_other");

        for (int i = 0; i < 30; i++) {
                run(way, pool, "SELECT count(pg_notify('listen_first', g::text)) FROM generate_series(1, 20) g");
                add(way, comes, "listen_first");
                sp_listener_remove(comes, "listen_first");
                notify(pool, "listen_other", "last");
                for (char text[256] = ""; !strstr(text, "last");)
                        assert_int_equal(next(way, comes, NULL, text, NULL), SP_OK);
        }
        sp_listener_free(there);
        sp_listener_free(comes);
        sp_pool_free(pool);
}

static void test_a_listener_without_channels_waits_until_it_has_one(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *listener = listen_to(way, pool, "listen_none");
        sp_ctx *late = ctx_of("20ms");
        sp_error *error = NULL;
        sp_completion *done;
        sp_queue *queue;
        char text[256];

        sp_listener_remove(listener, "listen_none");
        assert_int_equal(next(way, listener, late, text, &error), SP_TIMEOUT);
        says(error, "nothing was heard on 0 channels", NULL);
        add(way, listener, "listen_none");
        sp_listener_remove(listener, "listen_none");
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_listener_next_async(listener, NULL, queue, 0), SP_OK);
        sp_pool_close(pool);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_ctx_unref(late);
        sp_listener_free(listener);
        sp_pool_free(pool);
}

/* Of a session that listened by itself; the listener has its connection now. */
static void test_what_came_before_is_not_heard(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", "pool.min=0", NULL});
        sp_session *session = session_of(way, pool);
        sp_listener *listener;

        session_run(way, session, "LISTEN listen_before");
        notify(pool, "listen_before", "old");
        /* It has come by now. */
        assert_int_equal(session_number(way, session, "SELECT 1"), 1);
        sp_session_release(session);
        listener = listen_to(way, pool, "listen_before");
        notify(pool, "listen_before", "new");
        hears(way, listener, "\"payload\":\"new\"");
        sp_listener_free(listener);
        sp_pool_free(pool);
}

static void test_a_pool_is_not_made_too_small_for_its_listeners(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", NULL});
        sp_listener *listener = listen_to(way_of(state), pool, "listen_small");
        sp_error *error = NULL;

        assert_int_equal(sp_pool_resize(pool, 1, &error), SP_INVALID);
        says(error, "its listeners have a connection of their own", NULL);
        assert_int_equal(sp_pool_resize(pool, 2, NULL), SP_OK);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_listener_free(listener);
        assert_int_equal(sp_pool_resize(pool, 1, NULL), SP_OK);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_pool_free(pool);
}

static void test_listeners_share_a_session(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", "pool.min=0", NULL});
        sp_listener *listeners[10];

        /* Of the two connections one is kept from sessions: so all ten have the other. */
        for (int i = 0; i < 10; i++)
                listeners[i] = listen_to(way, pool, i % 2 ? "listen_odd" : "listen_even");
        /* Who stays still hears. */
        for (int i = 2; i < 10; i++)
                sp_listener_free(listeners[i]);
        sp_listener_free(listeners[1]);
        notify(pool, "listen_even", "x");
        hears(way, listeners[0], "\"payload\":\"x\"");
        /* A channel that was left and taken again. */
        listeners[1] = listen_to(way, pool, "listen_odd");
        notify(pool, "listen_odd", "y");
        hears(way, listeners[1], "\"payload\":\"y\"");
        sp_listener_free(listeners[0]);
        sp_listener_free(listeners[1]);
        /* The session goes back with the last of them. */
        while (sp_pool_active(pool) > 0)
                sched_yield();
        sp_pool_free(pool);
}

static void test_a_lost_connection_is_made_again_and_told(void **state)
{
        static const char kill[] =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN \"listen\\_%'";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *one = listen_to(way, pool, "listen_lost"), *two = listen_to(way, pool, "listen_lost");

        add(way, one, "listen_lost_too");
        for (int i = 0; i < 3; i++) {
                assert_true(number(way, pool, kill, 0) > 0);
                hears_notice(way, one, "listen_lost", true);
                hears_notice(way, one, "listen_lost_too", true);
                hears(way, two, "\"notice\":\"listening\",\"lost\":true}");
                notify(pool, "listen_lost", "again");
                hears(way, one, "\"payload\":\"again\"");
                hears(way, two, "\"payload\":\"again\"");
        }
        sp_listener_free(one);
        sp_listener_free(two);
        sp_pool_free(pool);
}

static void test_who_does_not_take_is_bounded(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.statement_timeout=30s", "pool.query_timeout=30s", NULL});
        sp_listener *slow = listen_to(way, pool, "listen_slow"), *quick = listen_to(way, pool, "listen_quick");
        char many[128], text[256];

        snprintf(many, sizeof many, "SELECT count(pg_notify('listen_slow', g::text)) FROM generate_series(1, %d) g",
                 SP_LISTENER_MAX + 10);
        run(way, pool, many);
        notify(pool, "listen_quick", "all were sent");
        hears(way, quick, "all were sent");
        hears_notice(way, slow, "listen_slow", true);
        snprintf(text, sizeof text, "\"payload\":\"%d\"", SP_LISTENER_MAX + 2);
        hears(way, slow, text);
        /* One that hears several channels is told of each. */
        assert_int_equal(sp_listener_add(slow, "listen_slow_too", NULL), SP_OK);
        while (!strstr(text, "\"listen_slow_too\""))
                assert_int_equal(next(way, slow, NULL, text, NULL), SP_OK);
        run(way, pool, many);
        notify(pool, "listen_quick", "all were sent again");
        hears(way, quick, "all were sent again");
        hears_notice(way, slow, "listen_slow", true);
        hears_notice(way, slow, "listen_slow_too", true);
        snprintf(text, sizeof text, "\"payload\":\"%d\"", SP_LISTENER_MAX + 3);
        hears(way, slow, text);
        sp_listener_free(slow);
        sp_listener_free(quick);
        sp_pool_free(pool);
}

static void test_waiting_ends(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_listener *listener = listen_to(way, pool, "listen_end"), *other = listen_to(way, pool, "listen_end");
        sp_ctx *late = ctx_of("20ms"), *cancelled = sp_ctx_new(NULL);
        sp_completion *done[3];
        sp_error *error = NULL;
        sp_queue *queue;
        char text[256];

        assert_int_equal(next(way, listener, late, text, &error), SP_TIMEOUT);
        says(error, "nothing was heard on channel \"listen_end\"", NULL);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_listener_next_async(listener, cancelled, queue, 0), SP_OK);
        sp_ctx_cancel(cancelled);
        assert_int_equal(sp_queue_wait(queue, &done[0], 1, -1), 1);
        assert_int_equal(sp_completion_status(done[0]), SP_CANCELLED);
        sp_completion_free(done[0]);
        assert_int_equal(sp_listener_next_async(listener, cancelled, queue, 0), SP_CANCELLED);
        /* Neither of them took the message away. */
        assert_int_equal(sp_listener_next_async(listener, NULL, queue, 0), SP_OK);
        assert_int_equal(sp_listener_next_async(listener, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_listener_next_async(other, NULL, queue, 2), SP_OK);
        notify(pool, "listen_end", "1");
        for (size_t n = 0; n < 2;)
                n += sp_queue_wait(queue, done + n, 2 - n, -1);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(sp_completion_status(done[i]), SP_OK);
                assert_int_not_equal(sp_completion_tag(done[i]), 1);
                sp_completion_free(done[i]);
        }
        sp_listener_free(listener);
        assert_int_equal(sp_queue_wait(queue, &done[0], 1, -1), 1);
        assert_int_equal(sp_completion_status(done[0]), SP_CLOSED);
        sp_completion_free(done[0]);
        assert_int_equal(sp_listener_next_async(other, NULL, queue, 2), SP_OK);
        sp_pool_close(pool);
        assert_int_equal(sp_queue_wait(queue, &done[0], 1, -1), 1);
        assert_int_equal(sp_completion_status(done[0]), SP_CLOSED);
        sp_completion_free(done[0]);
        assert_int_equal(next(&ways[0], other, NULL, text, NULL), SP_CLOSED);
        sp_listener_free(other);
        sp_queue_free(queue);
        sp_ctx_unref(late);
        sp_ctx_unref(cancelled);
        sp_pool_free(pool);
}

static void test_what_cannot_be_listened_to_is_refused(void **state)
{
        sp_pool *small = pool_with((const char *[]){"pool.max=1", "pool.min=1", NULL}), *pool = pool_with(NULL);
        sp_listener *listener = NULL;
        sp_error *error = NULL;
        char far[SP_CHANNEL_MAX + 2];

        assert_int_equal(sp_pool_listen(small, "x", &listener, &error), SP_INVALID);
        says(error, "pool.max", NULL);
        error = NULL;
        assert_int_equal(sp_pool_listen(pool, "", &listener, &error), SP_LIMIT);
        says(error, "1 to 63 bytes", NULL);
        memset(far, 'x', sizeof far - 1);
        far[sizeof far - 1] = 0;
        assert_int_equal(sp_pool_listen(pool, far, &listener, NULL), SP_LIMIT);
        assert_null(listener);
        assert_int_equal(sp_pool_listen(pool, "x", &listener, NULL), SP_OK);
        assert_int_equal(sp_listener_add(listener, far, NULL), SP_LIMIT);
        sp_pool_close(pool);
        assert_int_equal(sp_listener_add(listener, "y", NULL), SP_CLOSED);
        sp_listener_remove(listener, "x");
        sp_listener_free(listener);
        assert_int_equal(sp_pool_listen(pool, "x", &listener, NULL), SP_CLOSED);
        sp_pool_free(small);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_messages_come_in_order),
            BOTH_WAYS(test_one_listener_hears_several_channels_in_their_order),
            BOTH_WAYS(test_a_channel_that_was_left_is_not_heard_and_may_be_added_again),
            BOTH_WAYS(test_the_first_of_a_channel_is_its_notice),
            BOTH_WAYS(test_a_listener_without_channels_waits_until_it_has_one),
            BOTH_WAYS(test_what_came_before_is_not_heard),
            BOTH_WAYS(test_a_pool_is_not_made_too_small_for_its_listeners),
            BOTH_WAYS(test_listeners_share_a_session),
            BOTH_WAYS(test_a_lost_connection_is_made_again_and_told),
            BOTH_WAYS(test_who_does_not_take_is_bounded),
            BOTH_WAYS(test_waiting_ends),
            cmocka_unit_test(test_what_cannot_be_listened_to_is_refused),
        };

        return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
