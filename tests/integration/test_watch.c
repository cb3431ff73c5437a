/* SPDX-License-Identifier: MIT */
/* What a pool shows of itself, and what it tells those that watch it. */
#include "way.h"

#include "pg/pool_internal.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next event; its number. */
static uint64_t hears(sp_pool *pool, uint64_t seen, char text[512])
{
        sp_queue *queue = queue_of();
        sp_completion *done;
        size_t len;

        assert_int_equal(sp_pool_watch_async(pool, NULL, seen, queue, 5), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        snprintf(text, 512, "%s", (const char *)sp_value_data(sp_completion_value(done), &len));
        sp_completion_free(done);
        sp_queue_free(queue);
        return strtoull(text + strlen("{\"event\":"), NULL, 10);
}

static void holds(const char *text, const char *what)
{
        if (!strstr(text, what))
                fail_msg("%s does not hold %s", text, what);
}

static void test_callers_that_wait_are_told_once_a_crowd(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=60s", NULL});
        sp_queue *queue = queue_of();
        sp_completion *done;
        uint64_t seen = 0;
        char text[512];

        for (int round = 0; round < 2; round++) {
                sp_session *held = session_of(&ways[0], pool);

                for (int64_t i = 0; i < 8; i++) {
                        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
                        while (sp_pool_waiting(pool) <= i)
                                sched_yield();
                        assert_int_equal(atomic_load(&pool->counts.crowds), round + (i >= 5));
                }
                assert_int_equal(hears(pool, seen, text), seen + 1);
                seen++;
                holds(text, "\"missed\":0,\"kind\":\"waiting\",\"pool\":\"default\"");
                holds(text, "\"connections\":1,\"sessions\":1,\"max\":1}");
                sp_session_release(held);
                for (int i = 0; i < 8; i++) {
                        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                        sp_completion_free(done);
                }
        }
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static void test_a_session_that_does_not_come_back_is_told_with_its_place(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.leak_after=300ms", NULL});
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_session *session, *other;
        uint64_t seen;
        char text[512];

        assert_int_equal(sp_ctx_set(ctx, "tag", "checkout", NULL), SP_OK);
        assert_int_equal(way_of(state)->acquire(pool, ctx, &session, NULL), SP_OK);
        sp_ctx_unref(ctx);
        seen = hears(pool, 0, text);
        holds(text, "\"kind\":\"leak\",\"pool\":\"default\",\"heldMs\":");
        holds(text, "\"tag\":\"checkout\"");
        holds(text, "\"place\":\"test-watch(");
        other = session_of(way_of(state), pool);
        assert_int_equal(hears(pool, seen, text), seen + 1);
        assert_null(strstr(text, "tag"));
        assert_int_equal(atomic_load(&pool->counts.leaks), 2);
        sp_session_release(session);
        sp_session_release(other);
        sp_pool_free(pool);
}

static void test_who_hears_late_is_told_what_he_missed(void **state)
{
        struct sp__watchers *news = sp__watchers_new(&sp__news);
        sp_queue *queue = queue_of();
        sp_completion *done[3];
        sp_ctx *ctx = sp_ctx_new(NULL);
        size_t len;

        for (int i = 1; i <= 40; i++) {
                struct sp__buf body = SP__BUF_INIT;

                sp__buf_format(&body, "\"kind\":%d", i);
                sp__watchers_tell(news, &body);
        }
        assert_int_equal(sp__watchers_add(news, NULL, 3, queue, 1), SP_OK);
        assert_int_equal(sp_queue_take(queue, done, 1), 1);
        assert_string_equal(sp_value_data(sp_completion_value(done[0]), &len), "{\"event\":9,\"missed\":5,\"kind\":9}");
        sp_completion_free(done[0]);
        assert_int_equal(sp__watchers_add(news, NULL, 39, queue, 2), SP_OK);
        assert_int_equal(sp_queue_take(queue, done, 1), 1);
        assert_string_equal(sp_value_data(sp_completion_value(done[0]), &len),
                            "{\"event\":40,\"missed\":0,\"kind\":40}");
        sp_completion_free(done[0]);
        assert_int_equal(sp__watchers_add(news, ctx, 40, queue, 3), SP_OK);
        assert_int_equal(sp__watchers_add(news, NULL, 40, queue, 4), SP_OK);
        sp_ctx_cancel(ctx);
        assert_int_equal(sp_queue_take(queue, done, 3), 1);
        assert_int_equal(sp_completion_status(done[0]), SP_CANCELLED);
        sp_completion_free(done[0]);
        sp__watchers_end(news);
        sp__watchers_unref(news);
        assert_int_equal(sp_queue_take(queue, done, 3), 1);
        assert_int_equal(sp_completion_status(done[0]), SP_CLOSED);
        sp_completion_free(done[0]);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
}

static void test_a_closed_pool_ends_its_watches(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_queue *queue = queue_of();
        sp_completion *done;

        assert_int_equal(sp_pool_watch_async(pool, NULL, 0, queue, 1), SP_OK);
        sp_pool_close(pool);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static void test_health_tells_up_from_down(void **state)
{
        sp_pool *up = pool_with(NULL),
                *down = pool_with((const char *[]){"pool.url=postgresql://a:hunter2@127.0.0.1:1/x", NULL});
        sp_value *value;
        size_t len;

        assert_int_equal(sp_pool_health(up, NULL, &value), SP_OK);
        assert_non_null(
            strstr(sp_value_data(value, &len), "\"status\":\"healthy\",\"database\":\"connected\",\"poolMetrics\""));
        sp_value_unref(value);
        assert_int_equal(sp_pool_health(down, NULL, &value), SP_OK);
        assert_non_null(strstr(sp_value_data(value, &len), "\"status\":\"unhealthy\""));
        assert_null(strstr(sp_value_data(value, &len), "hunter2"));
        sp_value_unref(value);
        sp_pool_free(up);
        sp_pool_free(down);
}

static void test_what_the_pool_shows(void **state)
{
        static const char *const names[] = {
            "db_client_connections{db_client_connection_pool_name=\"default\",state=\"idle\"} 1",
            "db_client_connections{db_client_connection_pool_name=\"default\",state=\"used\"} 1",
            "db_client_connection_max{",
            "db_client_connection_idle_min{",
            "db_client_connection_pending_requests{",
            "db_client_connection_timeouts_total{",
            "db_client_connection_create_time_seconds_count{",
            "db_client_connection_wait_time_seconds_count{",
            "db_client_connection_use_time_seconds_count{",
            "sugarperf_pool_connections_created_total{db_client_connection_pool_name=\"default\"} 2",
            "sugarperf_pool_connections_closed_total{db_client_connection_pool_name=\"default\",reason=\"lifetime\"} 0",
            "sugarperf_pool_sessions_leaked_total{",
            "sugarperf_pool_crowds_total{",
            "sugarperf_pool_pings_total{"};
        sp_pool *pool = pool_with((const char *[]){"pool.min=2", "pool.max=2", NULL});
        sp_session *session = session_of(&ways[0], pool);
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;

        while (sp_pool_idle(pool) < 1)
                sched_yield();
        sp__expo_init(&expo, SP_METRICS_PROMETHEUS);
        sp__pool_collect(pool, &expo);
        assert_true(sp__expo_text(&expo, &text));
        sp__buf_char(&text, 0);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                holds(text.data, names[i]);
        sp__expo_free(&expo);
        sp__buf_free(&text);
        sp_session_release(session);
        sp_pool_free(pool);
}

/* The number behind "name": in a report. */
static double figure(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        if (!at)
                fail_msg("%s has no %s", text, name);
        return strtod(at + strlen(name), NULL);
}

static void advises(sp_pool *pool, char text[1024])
{
        sp_value *value;
        size_t len;

        assert_int_equal(sp_pool_advice(pool, NULL, &value), SP_OK);
        snprintf(text, 1024, "%s", (const char *)sp_value_data(value, &len));
        sp_value_unref(value);
}

static void test_advice_follows_what_was_used(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=40", NULL});
        sp_session *sessions[12];
        char text[1024];

        advises(pool, text);
        holds(text, "\"serverMax\":");
        for (int i = 0; i < 12; i++)
                sessions[i] = session_of(&ways[0], pool);
        /* The others have no weight beside this. */
        run(&ways[0], pool, "SELECT pg_sleep(0.9)");
        run(&ways[0], pool, "SELECT pg_sleep(0.9)");
        advises(pool, text);
        assert_true(figure(text, "\"busy\":{\"mean\":") > 6);
        assert_in_range((int)figure(text, "\"size\":"), 13, 21);
        assert_in_range((int)figure(text, "\"peak\":"), 13, 14);
        assert_true(figure(text, "\"windowMs\":") >= 1700);
        for (int i = 0; i < 12; i++)
                sp_session_release(sessions[i]);
        sp_pool_free(pool);
}

static void test_advice_sees_those_that_wait_and_the_servers_limit(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", "pool.acquire_timeout=60s", "pool.waiting=500", NULL});
        sp_session *session = session_of(&ways[0], pool);
        sp_queue *queue = queue_of();
        sp_completion *done;
        char text[1024];

        for (int i = 0; i < 400; i++)
                assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        while (sp_pool_waiting(pool) < 400)
                sched_yield();
        run(&ways[0], pool, "SELECT pg_sleep(0.9)");
        advises(pool, text);
        holds(text, "\"waited\":40");
        assert_true(figure(text, "\"demand\":{\"mean\":") > 100);
        assert_true(figure(text, "\"size\":") <= figure(text, "\"serverMax\":") - figure(text, "\"serverOthers\":"));
        holds(text, "\"advice\":\"the server has no room");
        sp_session_release(session);
        for (int i = 0; i < 400; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static void test_advice_without_a_server_is_what_was_seen(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.url=postgresql://a:hunter2@127.0.0.1:1/x", NULL});
        sp_queue *queue = queue_of();
        sp_completion *done;
        char text[1024];

        advises(pool, text);
        assert_null(strstr(text, "serverMax"));
        holds(text, "nothing was observed yet");
        assert_int_equal(sp_pool_advice_async(pool, NULL, queue, 3), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        assert_non_null(sp_completion_value(done));
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static void test_the_size_covers_the_load_and_its_bursts(void **state)
{
        static const struct {
                double mean;
                int64_t p95, size;
        } rows[] = {{0, 0, 1}, {.01, 0, 1}, {1, 1, 3}, {1, 9, 9}, {4, 6, 8}, {16, 20, 24}, {100, 118, 120}};

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                assert_int_equal(sp__pool_size(rows[i].mean, rows[i].p95), rows[i].size);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_callers_that_wait_are_told_once_a_crowd),
            BOTH_WAYS(test_a_session_that_does_not_come_back_is_told_with_its_place),
            cmocka_unit_test(test_who_hears_late_is_told_what_he_missed),
            cmocka_unit_test(test_a_closed_pool_ends_its_watches),
            cmocka_unit_test(test_health_tells_up_from_down),
            cmocka_unit_test(test_what_the_pool_shows),
            cmocka_unit_test(test_advice_follows_what_was_used),
            cmocka_unit_test(test_advice_sees_those_that_wait_and_the_servers_limit),
            cmocka_unit_test(test_advice_without_a_server_is_what_was_seen),
            cmocka_unit_test(test_the_size_covers_the_load_and_its_bursts),
        };

        return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
