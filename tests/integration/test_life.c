/* SPDX-License-Identifier: MIT */
/* How many connections there are, how long they live, and that no caller meets a dead one. */
#include "pg_proxy.h"
#include "way.h"

#include "base/clock.h"
#include "base/random.h"
#include "pg/pool_internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t ended(sp_pool *pool, enum sp__conn_end why)
{
        return atomic_load(&pool->counts.ended[why]);
}

static void becomes_idle(sp_pool *pool, int64_t count)
{
        while (sp_pool_idle(pool) != count || sp_pool_active(pool) > 0)
                sched_yield();
}

static void test_pool_min_is_warm_and_replaced_without_a_caller(void **state)
{
        sp_pool *admin = pool_with(NULL);
        sp_pool *pool =
            pool_with((const char *[]){"pool.min=3", "pool.max=10", "pool.application_name=life-warm", NULL});
        sp_session *sessions[3];

        /* Each was used, so that nobody watches it any more. */
        for (int i = 0; i < 3; i++)
                sessions[i] = session_of(way_of(state), pool);
        for (int i = 0; i < 3; i++)
                session_run(way_of(state), sessions[i], "SELECT 1");
        for (int i = 0; i < 3; i++)
                sp_session_release(sessions[i]);
        becomes_idle(pool, 3);
        /* Those of a pool before may be ending still. */
        while (number(&ways[0], admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'life-warm'",
                      0) != 3)
                sched_yield();
        assert_int_equal(
            number(&ways[0], admin,
                   "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'life-warm'",
                   0),
            3);
        while (ended(pool, SP__END_LOST) < 3 || atomic_load(&pool->counts.created) < 6)
                sched_yield();
        becomes_idle(pool, 3);
        assert_int_equal(atomic_load(&pool->counts.queries), 3);
        assert_int_equal(atomic_load(&pool->counts.created), 6);
        sp_pool_free(pool);
        sp_pool_free(admin);
}

static void test_those_beyond_pool_min_end_when_idle(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=1", "pool.max=5", "pool.idle_timeout=100ms", NULL});
        sp_session *sessions[4];

        for (int i = 0; i < 4; i++)
                sessions[i] = session_of(way_of(state), pool);
        for (int i = 0; i < 4; i++)
                sp_session_release(sessions[i]);
        while (ended(pool, SP__END_IDLE) < 3)
                sched_yield();
        becomes_idle(pool, 1);
        sp_pool_free(pool);
}

static void test_a_connection_has_so_many_uses(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=1", "pool.max_uses=3", NULL});
        int64_t backend = 0;

        for (int i = 0; i < 9; i++) {
                int64_t now = number(way_of(state), pool, "SELECT pg_backend_pid()", 0);

                assert_true(i % 3 == 0 ? now != backend : now == backend);
                backend = now;
        }
        assert_int_equal(ended(pool, SP__END_USES), 3);
        for (int i = 0; i < 3; i++)
                sp_session_release(session_of(way_of(state), pool));
        assert_int_equal(ended(pool, SP__END_USES), 4);
        sp_pool_free(pool);
}

static void test_a_connection_has_its_time(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=2", "pool.max=2", "pool.lifetime=1s", NULL});

        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        while (ended(pool, SP__END_LIFETIME) < 2)
                sched_yield();
        becomes_idle(pool, 2);
        assert_int_equal(atomic_load(&pool->counts.queries), 1);
        sp_pool_free(pool);
}

/* By more than it takes to open them, which would make them differ anyway. */
static void test_lifetimes_differ(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=8", "pool.max=8", "pool.lifetime=30d", NULL});
        const int64_t day = INT64_C(24) * 3600 * SP__SECOND;
        int64_t now, first = INT64_MAX, last = 0;

        run(&ways[0], pool, "SELECT 1");
        becomes_idle(pool, 8);
        now = sp__now();
        for (int i = 0; i < 8; i++) {
                int64_t age = pool->slots[i]->die_at - now;

                assert_in_range(age, 24 * day, 30 * day);
                first = age < first ? age : first;
                last = age > last ? age : last;
        }
        assert_true(last - first > day / 24);
        sp_pool_free(pool);
}

static void fills(sp_pool *pool, const struct way *way, int64_t count)
{
        assert_int_equal(number(way, pool, "SELECT 1", 0), 1);
        becomes_idle(pool, count);
}

/* By the clock that the pool looks at, whose ticks may come late. */
static void is_silent_for(sp_pool *admin, int64_t ns)
{
        int64_t since = sp__now();

        while (sp__now_coarse() < since + ns)
                run(&ways[0], admin, "SELECT pg_sleep(0.002)");
}

static void test_a_silent_connection_is_asked_before_a_write_is_trusted_to_it(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_pool *pool = pool_with((const char *[]){pg_proxy_url(proxy), "pool.min=2", "pool.max=2", "pool.keepalive=0",
                                                   "pool.validate_after=1ms", "pool.connect_timeout=2s", NULL});
        sp_pool *admin = pool_with(NULL);

        run(&ways[0], admin, "DROP TABLE IF EXISTS life_write");
        run(&ways[0], admin, "CREATE TABLE life_write (id int)");
        fills(pool, way_of(state), 2);
        pg_proxy_forget(proxy);
        is_silent_for(admin, SP__MS);
        /* Both connections are gone, and the pool may have no third. */
        run(way_of(state), pool, "INSERT INTO life_write VALUES (1)");
        assert_int_equal(number(&ways[0], admin, "SELECT count(*) FROM life_write", 0), 1);
        while (ended(pool, SP__END_UNANSWERED) < 2)
                sched_yield();
        becomes_idle(pool, 2);
        run(&ways[0], admin, "DROP TABLE life_write");
        sp_pool_free(admin);
        sp_pool_free(pool);
        pg_proxy_stop(proxy);
}

static void test_a_connection_that_answers_its_ping_is_used_again(void **state)
{
        sp_pool *admin = pool_with(NULL);
        sp_pool *pool = pool_with((const char *[]){"pool.min=2", "pool.max=8", "pool.validate_after=1ms", NULL});

        fills(pool, way_of(state), 2);
        for (int i = 0; i < 20; i++) {
                is_silent_for(admin, SP__MS);
                assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        }
        assert_true(atomic_load(&pool->counts.pings) >= 20);
        /* Who waits for a ping counts on it: nothing else was opened. */
        assert_int_equal(atomic_load(&pool->counts.created), 2);
        sp_pool_free(pool);
        sp_pool_free(admin);
}

static void test_idle_connections_are_pinged_and_dead_ones_replaced(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_pool *pool = pool_with((const char *[]){pg_proxy_url(proxy), "pool.min=3", "pool.max=4",
                                                   "pool.validate_after=0", "pool.keepalive=100ms", NULL});

        fills(pool, way_of(state), 3);
        while (atomic_load(&pool->counts.pings) < 4)
                sched_yield();
        assert_int_equal(atomic_load(&pool->counts.created), 3);
        pg_proxy_forget(proxy);
        while (ended(pool, SP__END_UNANSWERED) < 3 || atomic_load(&pool->counts.created) < 6)
                sched_yield();
        assert_int_equal(atomic_load(&pool->counts.queries), 1);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        assert_int_equal(atomic_load(&pool->counts.retries), 0);
        sp_pool_free(pool);
        pg_proxy_stop(proxy);
}

static void test_a_ping_keeps_nobody_beyond_pool_min_alive(void **state)
{
        sp_pool *pool = pool_with(
            (const char *[]){"pool.min=1", "pool.max=4", "pool.idle_timeout=2500ms", "pool.keepalive=1ms", NULL});
        sp_session *sessions[3];

        for (int i = 0; i < 3; i++)
                sessions[i] = session_of(way_of(state), pool);
        for (int i = 0; i < 3; i++)
                sp_session_release(sessions[i]);
        while (ended(pool, SP__END_IDLE) < 2)
                sched_yield();
        assert_true(atomic_load(&pool->counts.pings) > 0);
        sp_pool_free(pool);
}

static void test_a_lane_that_falls_silent_is_given_up(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_pool *pool = pool_with((const char *[]){
            pg_proxy_url(proxy), "pool.min=1", "pool.max=4", "pool.validate_after=0", "pool.keepalive=0",
            "pool.statement_timeout=300ms", "pool.connect_timeout=500ms", "pool.query_timeout=60s", NULL});

        for (int i = 0; i < 20; i++)
                assert_int_equal(number(way_of(state), pool, "SELECT 4", 0), 4);
        becomes_idle(pool, 1);
        pg_proxy_forget(proxy);
        assert_int_equal(number(way_of(state), pool, "SELECT 4", 0), 4);
        assert_int_equal(ended(pool, SP__END_UNANSWERED), 1);
        sp_pool_free(pool);
        pg_proxy_stop(proxy);
}

/* Each set is short, the whole is not; and what a URL allows its statements is not the pool's to cut short. */
static void test_what_takes_long_and_goes_on_is_not_given_up(void **state)
{
        enum { SETS = 45 };
        char url[300];
        sp_pool *pool = pool_with((const char *[]){"pool.statement_timeout=1s", "pool.acquire_timeout=60s",
                                                   "pool.query_timeout=60s", NULL}),
                *own;
        sp_stmt *nap = stmt_of("SELECT pg_sleep(0.1) WHERE $1"), *sleep = stmt_of("SELECT 7 FROM pg_sleep(4.5)");
        sp_params *params = sp_params_new();
        sp_queue *queue = queue_of();
        sp_completion *done;
        sp_result *result;

        snprintf(url, sizeof url, "pool.url=%s?options=-c%%20statement_timeout%%3D60s", getenv("DATABASE_URL"));
        own = pool_with((const char *[]){url, "pool.statement_timeout=1s", "pool.acquire_timeout=60s",
                                         "pool.query_timeout=60s", NULL});
        assert_int_equal(sp_pool_query_async(own, NULL, sleep, NULL, queue, 42), SP_OK);
        for (int i = 0; i < SETS; i++) {
                sp_params_add_bool(params, true);
                sp_params_next(params);
        }
        assert_int_equal(sp_pool_batch(pool, NULL, nap, params, &result, NULL), SP_OK);
        assert_int_equal(sp_result_sets(result), SETS);
        done = queue_completion(queue);
        assert_int_equal(sp_completion_status(done), SP_OK);
        assert_int_equal(ended(pool, SP__END_UNANSWERED) + ended(own, SP__END_UNANSWERED), 0);
        sp_completion_free(done);
        sp_result_free(result);
        sp_params_free(params);
        sp_queue_free(queue);
        sp_stmt_unref(nap);
        sp_stmt_unref(sleep);
        sp_pool_free(own);
        sp_pool_free(pool);
}

static void test_more_connections_serve_those_that_wait(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=1", "pool.acquire_timeout=60s", NULL});
        sp_session *held = session_of(way_of(state), pool);
        sp_queue *queue = queue_of();
        sp_completion *done;
        sp_error *error = NULL;

        assert_int_equal(sp_pool_resize(pool, 0, &error), SP_INVALID);
        says(error, "1–1000", NULL);
        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        while (sp_pool_waiting(pool) == 0)
                sched_yield();
        assert_int_equal(sp_pool_resize(pool, 3, NULL), SP_OK);
        assert_int_equal(sp_pool_max(pool), 3);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        assert_int_equal(sp_pool_active(pool), 2);
        sp_completion_free(done);
        sp_session_release(held);
        becomes_idle(pool, 2);
        assert_int_equal(sp_pool_resize(pool, 1, NULL), SP_OK);
        assert_int_equal(ended(pool, SP__END_RESIZED), 1);
        assert_int_equal(sp_pool_idle(pool), 1);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

struct load {
        const struct way *way;
        sp_pool *pool;
        atomic_bool stop;
        atomic_int answers;
};

static void *load_body(void *arg)
{
        struct load *load = arg;

        for (int64_t i = 0; !atomic_load(&load->stop); i++) {
                sp_session *session;

                assert_int_equal(number(load->way, load->pool, "SELECT $1::int8", i), i);
                if (i % 8 == 0 && load->way->acquire(load->pool, NULL, &session, NULL) == SP_OK)
                        sp_session_release(session);
                atomic_fetch_add(&load->answers, 1);
        }
        return NULL;
}

static void test_resizing_under_load_costs_nobody_an_answer(void **state)
{
        struct load load = {.way = way_of(state),
                            .pool = pool_with((const char *[]){"pool.max=8", "pool.acquire_timeout=60s",
                                                               "pool.query_timeout=60s", NULL})};
        struct sp__random random = {sp__random_seed()};
        pthread_t threads[12];

        printf("# seed %llu\n", (unsigned long long)random.state);
        for (size_t i = 0; i < 12; i++)
                pthread_create(&threads[i], NULL, load_body, &load);
        for (int i = 0; i < 60; i++) {
                int seen = atomic_load(&load.answers);

                assert_int_equal(sp_pool_resize(load.pool, 1 + (int64_t)(sp__random_next(&random) % 12), NULL), SP_OK);
                while (atomic_load(&load.answers) < seen + 20)
                        sched_yield();
        }
        assert_int_equal(sp_pool_resize(load.pool, 2, NULL), SP_OK);
        while (sp_pool_active(load.pool) + sp_pool_idle(load.pool) > 2)
                sched_yield();
        atomic_store(&load.stop, true);
        for (size_t i = 0; i < 12; i++)
                pthread_join(threads[i], NULL);
        becomes_idle(load.pool, 2);
        assert_int_equal(load.pool->busy, 0);
        sp_pool_free(load.pool);
}

static void test_who_waits_longest_is_served_first(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=60s", NULL});
        sp_session *held = session_of(&ways[0], pool);
        sp_queue *queue = queue_of();
        sp_completion *done;

        for (uint64_t i = 0; i < 10; i++) {
                assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, i), SP_OK);
                while (sp_pool_waiting(pool) <= (int64_t)i)
                        sched_yield();
        }
        sp_session_release(held);
        for (uint64_t i = 0; i < 10; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_tag(done), i);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static void becomes_waiting(sp_pool *pool, int64_t n)
{
        while (sp_pool_waiting(pool) != n)
                sched_yield();
}

/* There are no more sessions to be had, but a connection for statements: who wishes for one holds up none that waits behind. */
static void test_a_statement_behind_wishes_is_served(void **state)
{
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=2", "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL});
        sp_session *held = session_of(&ways[0], pool);
        sp_stmt *nap = stmt_of("SELECT 1 FROM pg_sleep(1)"), *next = stmt_of("SELECT 2 FROM pg_sleep(0)");
        sp_queue *naps = queue_of(), *queue = queue_of(), *wishes = queue_of();
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_pool_query_async(pool, NULL, nap, NULL, naps, 42), SP_OK);
        while (sp_pool_active(pool) < 2)
                sched_yield();
        assert_int_equal(sp_pool_acquire_async(pool, ctx, wishes, 42), SP_OK);
        becomes_waiting(pool, 1);
        sp_ctx_cancel(ctx);
        assert_int_equal(queue_outcome(wishes, NULL), SP_CANCELLED);
        assert_int_equal(sp_pool_acquire_async(pool, NULL, wishes, 42), SP_OK);
        becomes_waiting(pool, 1);
        assert_int_equal(sp_pool_query_async(pool, NULL, next, NULL, queue, 42), SP_OK);
        assert_int_equal(queue_outcome(naps, NULL), SP_OK);
        assert_int_equal(queue_outcome(queue, NULL), SP_OK);
        assert_int_equal(sp_pool_waiting(pool), 1);
        sp_session_release(held);
        assert_int_equal(queue_outcome(wishes, NULL), SP_OK);
        sp_ctx_unref(ctx);
        sp_queue_free(naps);
        sp_queue_free(queue);
        sp_queue_free(wishes);
        sp_stmt_unref(nap);
        sp_stmt_unref(next);
        sp_pool_free(pool);
}

static void test_the_latest_idle_connection_is_taken_first(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=5", NULL});
        sp_session *sessions[3];
        int64_t backends[3];

        for (int i = 0; i < 3; i++) {
                sessions[i] = session_of(way_of(state), pool);
                backends[i] = session_number(way_of(state), sessions[i], "SELECT pg_backend_pid()");
        }
        for (int i = 0; i < 3; i++)
                sp_session_release(sessions[i]);
        becomes_idle(pool, 3);
        for (int i = 2; i >= 0; i--) {
                sessions[i] = session_of(way_of(state), pool);
                assert_int_equal(session_number(way_of(state), sessions[i], "SELECT pg_backend_pid()"), backends[i]);
        }
        for (int i = 0; i < 3; i++)
                sp_session_release(sessions[i]);
        sp_pool_free(pool);
}

struct callers {
        sp_pool *pool;
        const struct way *way;
        atomic_bool stop;
};

static void *caller_body(void *arg)
{
        struct callers *callers = arg;
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_result *result;

        while (!atomic_load(&callers->stop)) {
                if (callers->way->query(callers->pool, NULL, stmt, NULL, &result, NULL) == SP_OK)
                        sp_result_free(result);
        }
        sp_stmt_unref(stmt);
        return NULL;
}

static void test_a_server_that_returns_is_not_stampeded(void **state)
{
        enum { THREADS = 16, MIN = 4 };
        struct pg_proxy *proxy = pg_proxy_start();
        struct callers callers = {.way = way_of(state),
                                  .pool = pool_with((const char *[]){pg_proxy_url(proxy), "pool.min=4", "pool.max=16",
                                                                     "pool.acquire_timeout=60s", NULL})};
        sp_stmt *stmt = stmt_of("SELECT 3");
        pthread_t threads[THREADS];
        sp_result *result;
        int64_t since;
        int before;

        fills(callers.pool, way_of(state), MIN);
        for (int i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, caller_body, &callers);
        pg_proxy_refuse(proxy, true);
        before = pg_proxy_came(proxy);
        since = sp__now();
        pg_proxy_cut(proxy);
        while (pg_proxy_came(proxy) < before + MIN + 6)
                sched_yield();
        /* Pauses of at least 25, 50, 100, 200, 400 and then 800 ms lie between the attempts of all together. */
        assert_true(pg_proxy_came(proxy) - before <= MIN + 6 + (sp__now() - since) / (800 * SP__MS));
        pg_proxy_refuse(proxy, false);
        /* An attempt that was refused may still be told. */
        while (callers.way->query(callers.pool, NULL, stmt, NULL, &result, NULL) != SP_OK)
                sched_yield();
        sp_result_free(result);
        sp_stmt_unref(stmt);
        atomic_store(&callers.stop, true);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        sp_pool_free(callers.pool);
        pg_proxy_stop(proxy);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_pool_min_is_warm_and_replaced_without_a_caller),
            BOTH_WAYS(test_those_beyond_pool_min_end_when_idle),
            BOTH_WAYS(test_a_connection_has_so_many_uses),
            cmocka_unit_test_prestate(test_a_connection_has_its_time, (void *)(uintptr_t)&ways[0]),
            cmocka_unit_test(test_lifetimes_differ),
            BOTH_WAYS(test_a_silent_connection_is_asked_before_a_write_is_trusted_to_it),
            BOTH_WAYS(test_a_connection_that_answers_its_ping_is_used_again),
            cmocka_unit_test_prestate(test_idle_connections_are_pinged_and_dead_ones_replaced,
                                      (void *)(uintptr_t)&ways[0]),
            cmocka_unit_test_prestate(test_a_ping_keeps_nobody_beyond_pool_min_alive, (void *)(uintptr_t)&ways[0]),
            BOTH_WAYS(test_a_lane_that_falls_silent_is_given_up),
            cmocka_unit_test(test_what_takes_long_and_goes_on_is_not_given_up),
            BOTH_WAYS(test_more_connections_serve_those_that_wait),
            BOTH_WAYS(test_resizing_under_load_costs_nobody_an_answer),
            cmocka_unit_test(test_who_waits_longest_is_served_first),
            cmocka_unit_test(test_a_statement_behind_wishes_is_served),
            BOTH_WAYS(test_the_latest_idle_connection_is_taken_first),
            cmocka_unit_test_prestate(test_a_server_that_returns_is_not_stampeded, (void *)(uintptr_t)&ways[0]),
        };

        return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
