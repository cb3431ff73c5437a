/* SPDX-License-Identifier: MIT */
/* Callers that give up, let go, close or ask for too much at the worst moment: each is answered once, and the pool stays whole. */
#include "way.h"

#include "base/clock.h"
#include "base/random.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_status take_one(sp_queue *queue)
{
        sp_completion *done;
        sp_status status;

        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        status = sp_completion_status(done);
        sp_completion_free(done);
        return status;
}

static void becomes_idle(sp_pool *pool)
{
        while (sp_pool_active(pool) > 0)
                sched_yield();
        assert_int_equal(sp_pool_waiting(pool), 0);
}

static void test_a_session_goes_back_behind_the_statements_it_was_given(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_stmt *begin = stmt_of("BEGIN"), *insert = stmt_of("INSERT INTO pressure_tx VALUES (1)"),
                *commit = stmt_of("COMMIT");
        sp_queue *queue = queue_of();

        run(&ways[0], pool, "DROP TABLE IF EXISTS pressure_tx");
        run(&ways[0], pool, "CREATE TABLE pressure_tx (id int)");
        for (int i = 0; i < 200; i++) {
                sp_session *session = session_of(way_of(state), pool);

                assert_int_equal(sp_session_query_async(session, NULL, begin, NULL, queue, 1), SP_OK);
                assert_int_equal(sp_session_query_async(session, NULL, insert, NULL, queue, 2), SP_OK);
                if (i % 2)
                        assert_int_equal(sp_session_query_async(session, NULL, commit, NULL, queue, 3), SP_OK);
                sp_session_release(session);
                for (int n = 0; n < 2 + i % 2; n++)
                        assert_int_equal(take_one(queue), SP_OK);
        }
        assert_int_equal(number(&ways[0], pool, "SELECT count(*) FROM pressure_tx", 0), 100);
        becomes_idle(pool);
        run(&ways[0], pool, "DROP TABLE pressure_tx");
        sp_queue_free(queue);
        sp_stmt_unref(begin);
        sp_stmt_unref(insert);
        sp_stmt_unref(commit);
        sp_pool_free(pool);
}

static void test_who_waits_for_a_session_holds_up_no_statement(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", "pool.acquire_timeout=20s", NULL});
        sp_session *one = session_of(way_of(state), pool), *two = session_of(way_of(state), pool);
        sp_queue *queue = queue_of();

        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        while (sp_pool_waiting(pool) == 0)
                sched_yield();
        /* Never ran, so nobody knows that it is fast. */
        assert_int_equal(number(way_of(state), pool, "SELECT 40 + 2", 0), 42);
        assert_int_equal(number(way_of(state), pool, "SELECT 40 + 3", 0), 43);
        assert_int_equal(sp_pool_waiting(pool), 1);
        sp_session_release(one);
        assert_int_equal(take_one(queue), SP_OK);
        sp_session_release(two);
        becomes_idle(pool);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

/* Ends a backend of the pool named so once its statement has run for a while. */
struct killer {
        sp_pool *pool;
        const char *text;
};

static void *killer_body(void *arg)
{
        struct killer *killer = arg;

        while (number(&ways[0], killer->pool, killer->text, 0) == 0)
                sched_yield();
        return NULL;
}

static void test_a_read_whose_connection_dies_late_has_its_wait_anew(void **state)
{
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=1", "pool.application_name=pressure-late", "pool.acquire_timeout=1s",
                                       "pool.statement_timeout=0", "pool.query_timeout=60s", NULL});
        struct killer killer = {
            pool_with(NULL), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                             "'pressure-late' AND state = 'active' AND now() - query_start > interval '1.2s'"};
        pthread_t thread;

        pthread_create(&thread, NULL, killer_body, &killer);
        assert_int_equal(number(way_of(state), pool, "SELECT 7 FROM pg_sleep(1.6)", 0), 7);
        pthread_join(thread, NULL);
        sp_pool_free(killer.pool);
        sp_pool_free(pool);
}

static void test_dead_connections_cost_no_caller_his_answer(void **state)
{
        enum { COUNT = 12 };
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=12", "pool.min=0", "pool.application_name=pressure-dead", NULL});
        sp_pool *killer = pool_with(NULL);
        sp_session *sessions[COUNT - 1];

        for (int i = 0; i < COUNT - 1; i++)
                sessions[i] = session_of(way_of(state), pool);
        for (int i = 0; i < COUNT - 1; i++)
                session_run(way_of(state), sessions[i], "SELECT 1");
        for (int i = 0; i < COUNT - 1; i++)
                sp_session_release(sessions[i]);
        run(&ways[0], killer,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pressure-dead'");
        while (number(&ways[0], killer,
                      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pressure-dead'", 0) > 0)
                sched_yield();
        assert_int_equal(number(way_of(state), pool, "SELECT 6", 0), 6);
        sp_pool_free(killer);
        sp_pool_free(pool);
}

static void test_a_refused_connection_is_tried_again_while_others_work(void **state)
{
        sp_pool *admin = pool_with(NULL), *pool;
        sp_stmt *busy = stmt_of("SELECT pg_sleep(30)");
        sp_queue *queue = queue_of();
        sp_ctx *ctx = sp_ctx_new(NULL);
        char url[512];

        run(&ways[0], admin, "DROP ROLE IF EXISTS pressure");
        run(&ways[0], admin, "CREATE ROLE pressure LOGIN PASSWORD 'sweet' CONNECTION LIMIT 1");
        snprintf(url, sizeof url, "pool.url=postgresql://pressure:sweet%s", strchr(getenv("DATABASE_URL"), '@'));
        pool = pool_with((const char *[]){url, "pool.max=4", "pool.acquire_timeout=20s", "pool.query_timeout=20s",
                                          "pool.statement_timeout=0", NULL});
        assert_int_equal(sp_pool_query_async(pool, ctx, busy, NULL, queue, 1), SP_OK);
        while (number(&ways[0], admin, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pressure'", 0) == 0)
                sched_yield();
        while (sp_pool_active(pool) == 0)
                sched_yield();
        assert_int_equal(sp_pool_query_async(pool, ctx, busy, NULL, queue, 2), SP_OK);
        while (sp_pool_waiting(pool) == 0)
                sched_yield();
        /* It is refused meanwhile, and would not be served before the first one ends. */
        run(&ways[0], admin, "SELECT pg_sleep(0.3)");
        run(&ways[0], admin, "ALTER ROLE pressure CONNECTION LIMIT 5");
        while (sp_pool_active(pool) < 2)
                sched_yield();
        sp_ctx_cancel(ctx);
        assert_int_equal(take_one(queue), SP_CANCELLED);
        assert_int_equal(take_one(queue), SP_CANCELLED);
        sp_queue_free(queue);
        sp_ctx_unref(ctx);
        sp_stmt_unref(busy);
        sp_pool_free(pool);
        run(&ways[0], admin, "DROP ROLE pressure");
        sp_pool_free(admin);
}

static void test_a_statement_past_its_deadline_is_not_sent(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_ctx *ctx;

        run(&ways[0], pool, "DROP TABLE IF EXISTS pressure_late");
        run(&ways[0], pool, "CREATE TABLE pressure_late (id int)");
        ctx = ctx_of("0ms");
        for (int i = 0; i < 200; i++)
                sp_error_free(fails(way_of(state), pool, ctx, "INSERT INTO pressure_late VALUES (1)", SP_TIMEOUT));
        sp_ctx_cancel(ctx);
        sp_ctx_unref(ctx);
        assert_int_equal(number(&ways[0], pool, "SELECT count(*) FROM pressure_late", 0), 0);
        run(&ways[0], pool, "DROP TABLE pressure_late");
        sp_pool_free(pool);
}

/* pool.query_timeout is for calls that have none. */
static void test_a_callers_deadline_may_be_longer_than_the_pools(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.query_timeout=100ms", "pool.statement_timeout=0", NULL});
        sp_stmt *stmt = stmt_of("SELECT 7 FROM pg_sleep(0.3)");
        sp_ctx *ctx = ctx_of("60s");
        sp_result *result = NULL;

        sp_error_free(fails(way_of(state), pool, NULL, "SELECT pg_sleep(0.3)", SP_TIMEOUT));
        assert_int_equal(way_of(state)->query(pool, ctx, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_ctx_unref(ctx);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void count_in(sp_queue *queue, char *seen, size_t count, int statuses[32])
{
        sp_completion *batch[64];

        for (size_t got = 0; got < count;) {
                size_t n = sp_queue_wait(queue, batch, 64, -1);

                for (size_t i = 0; i < n; i++, got++) {
                        assert_false(seen[sp_completion_tag(batch[i])]++);
                        statuses[-sp_completion_status(batch[i])]++;
                        sp_completion_free(batch[i]);
                }
        }
}

static void test_a_thousand_cancelled_as_they_are_answered_come_back_once(void **state)
{
        enum { COUNT = 1000, ROUNDS = 10 };
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=8", "pool.acquire_timeout=20s", "pool.query_timeout=20s", NULL});
        sp_stmt *stmt = stmt_of("SELECT $1::int8");
        sp_params *params = sp_params_new();
        sp_queue *queue = queue_of();

        sp_params_add_int(params, 1);
        for (int round = 0; round < ROUNDS; round++) {
                sp_ctx *parent = sp_ctx_new(NULL);
                char seen[COUNT] = {0};
                int statuses[32] = {0};

                for (int i = 0; i < COUNT; i++) {
                        sp_ctx *ctx = i % 2 ? sp_ctx_new(parent) : sp_ctx_ref(parent);

                        assert_int_equal(sp_pool_query_async(pool, ctx, stmt, params, queue, (uint64_t)i), SP_OK);
                        sp_ctx_unref(ctx);
                }
                for (int i = 0; i < round * 20; i++)
                        sched_yield();
                sp_ctx_cancel(parent);
                sp_ctx_unref(parent);
                count_in(queue, seen, COUNT, statuses);
                assert_int_equal(statuses[0] + statuses[-SP_CANCELLED], COUNT);
                assert_int_equal(sp_pool_drain(pool, 0), SP_OK);
        }
        becomes_idle(pool);
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

/* Callers that go on until they are refused. */
struct callers {
        const struct way *way;
        sp_pool *pool;
        sp_stmt *stmt;
        atomic_int inside, answers, wrong;
};

static void *callers_body(void *arg)
{
        struct callers *callers = arg;
        sp_status status = SP_OK;

        while (status == SP_OK) {
                sp_result *result = NULL;

                atomic_fetch_add(&callers->inside, 1);
                status = callers->way->query(callers->pool, NULL, callers->stmt, NULL, &result, NULL);
                atomic_fetch_add(&callers->answers, 1);
                sp_result_free(result);
        }
        if (status != SP_CLOSED)
                atomic_fetch_add(&callers->wrong, 1);
        return NULL;
}

static void test_close_races_with_callers(void **state)
{
        for (int round = 0; round < 10; round++) {
                struct callers callers = {.way = way_of(state),
                                          .pool = pool_with((const char *[]){"pool.max=4", NULL}),
                                          .stmt = stmt_of("SELECT 1")};
                pthread_t threads[32];

                for (size_t i = 0; i < 32; i++)
                        pthread_create(&threads[i], NULL, callers_body, &callers);
                while (atomic_load(&callers.answers) < 50)
                        sched_yield();
                sp_pool_close(callers.pool);
                assert_int_equal(sp_pool_drain(callers.pool, -1), SP_OK);
                for (size_t i = 0; i < 32; i++)
                        pthread_join(threads[i], NULL);
                assert_int_equal(atomic_load(&callers.wrong), 0);
                sp_stmt_unref(callers.stmt);
                sp_pool_free(callers.pool);
        }
}

static void *one_call(void *arg)
{
        struct callers *callers = arg;
        sp_result *result = NULL;
        sp_status status;

        atomic_fetch_add(&callers->inside, 1);
        status = sp_pool_query(callers->pool, NULL, callers->stmt, NULL, &result, NULL);
        if (status != SP_OK && status != SP_CLOSED)
                atomic_fetch_add(&callers->wrong, 1);
        sp_result_free(result);
        atomic_fetch_add(&callers->answers, 1);
        return NULL;
}

/* None is still to come: on a busy machine some may have been answered already. */
static bool all_came(const struct callers *callers, int64_t count)
{
        int64_t answers = (int64_t)atomic_load(&callers->answers);

        return answers + sp_pool_active(callers->pool) + sp_pool_waiting(callers->pool) >= count;
}

static void test_a_pool_is_freed_behind_the_last_caller(void **state)
{
        for (int round = 0; round < 10; round++) {
                struct callers callers = {.pool = pool_with((const char *[]){"pool.max=4", NULL}),
                                          .stmt = stmt_of("SELECT pg_sleep(0.05)")};
                pthread_t threads[8];

                for (size_t i = 0; i < 8; i++)
                        pthread_create(&threads[i], NULL, one_call, &callers);
                while (!all_came(&callers, 8))
                        sched_yield();
                sp_pool_free(callers.pool);
                for (size_t i = 0; i < 8; i++)
                        pthread_join(threads[i], NULL);
                assert_int_equal(atomic_load(&callers.wrong), 0);
                sp_stmt_unref(callers.stmt);
        }
}

static void *small_body(void *arg)
{
        struct callers *callers = arg;

        while (!atomic_load(&callers->inside)) {
                if (number(callers->way, callers->pool, "SELECT 3", 0) != 3)
                        atomic_fetch_add(&callers->wrong, 1);
        }
        return NULL;
}

static void test_a_huge_parameter_and_a_huge_result_pass_among_small_ones(void **state)
{
        enum { SIZE = 48 << 20 };
        const char *const settings[] = {"pool.max=2", "pool.query_timeout=60s", "pool.statement_timeout=60s",
                                        "pool.acquire_timeout=60s", NULL};
        struct callers callers = {.way = way_of(state), .pool = pool_with(settings)};
        sp_stmt *stmt = stmt_of("SELECT $1::text");
        sp_params *params = sp_params_new();
        char *text = malloc(SIZE);
        pthread_t threads[4];

        memset(text, 'x', SIZE);
        assert_int_equal(sp_params_add_text(params, text, SIZE), SP_OK);
        for (size_t i = 0; i < 4; i++)
                pthread_create(&threads[i], NULL, small_body, &callers);
        for (int i = 0; i < 2; i++) {
                sp_result *result = NULL;
                size_t len = 0;

                assert_int_equal(way_of(state)->query(callers.pool, NULL, stmt, params, &result, NULL), SP_OK);
                assert_non_null(sp_result_get(result, 0, 0, &len));
                assert_int_equal(len, SIZE);
                sp_result_free(result);
        }
        atomic_store(&callers.inside, 1);
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&callers.wrong), 0);
        free(text);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(callers.pool);
}

/* Sessions and statements of many threads, cancelled at random: afterwards nothing is held. */
static void *mixed_body(void *arg)
{
        struct callers *callers = arg;
        struct sp__random random = {(uint64_t)atomic_fetch_add(&callers->inside, 1) + sp__random_seed()};
        sp_stmt *slow = stmt_of("SELECT pg_sleep(0.005)");

        for (int i = 0; i < 40; i++) {
                sp_ctx *ctx = sp_ctx_new(NULL);
                sp_session *session = NULL;
                sp_result *result = NULL;
                char timeout[16];

                snprintf(timeout, sizeof timeout, "%dms", (int)(sp__random_next(&random) % 30));
                sp_ctx_set(ctx, "timeout", timeout, NULL);
                if (callers->way->acquire(callers->pool, ctx, &session, NULL) == SP_OK) {
                        callers->way->session(session, ctx, slow, NULL, &result, NULL);
                        sp_result_free(result);
                        result = NULL;
                        sp_session_release(session);
                }
                callers->way->query(callers->pool, ctx, slow, NULL, &result, NULL);
                sp_result_free(result);
                sp_ctx_unref(ctx);
        }
        sp_stmt_unref(slow);
        return NULL;
}

static void test_nothing_is_held_after_a_storm_of_sessions(void **state)
{
        struct callers callers = {.way = way_of(state),
                                  .pool = pool_with((const char *[]){"pool.max=4", "pool.acquire_timeout=20s", NULL})};
        sp_session *sessions[3];
        pthread_t threads[12];

        for (size_t i = 0; i < 12; i++)
                pthread_create(&threads[i], NULL, mixed_body, &callers);
        for (size_t i = 0; i < 12; i++)
                pthread_join(threads[i], NULL);
        becomes_idle(callers.pool);
        for (size_t i = 0; i < 3; i++)
                sessions[i] = session_of(way_of(state), callers.pool);
        assert_int_equal(number(way_of(state), callers.pool, "SELECT 8", 0), 8);
        for (size_t i = 0; i < 3; i++)
                sp_session_release(sessions[i]);
        becomes_idle(callers.pool);
        sp_pool_free(callers.pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_session_goes_back_behind_the_statements_it_was_given),
            BOTH_WAYS(test_who_waits_for_a_session_holds_up_no_statement),
            BOTH_WAYS(test_a_read_whose_connection_dies_late_has_its_wait_anew),
            BOTH_WAYS(test_dead_connections_cost_no_caller_his_answer),
            BOTH_WAYS(test_a_statement_past_its_deadline_is_not_sent),
            BOTH_WAYS(test_a_callers_deadline_may_be_longer_than_the_pools),
            BOTH_WAYS(test_close_races_with_callers),
            BOTH_WAYS(test_a_huge_parameter_and_a_huge_result_pass_among_small_ones),
            BOTH_WAYS(test_nothing_is_held_after_a_storm_of_sessions),
            cmocka_unit_test(test_a_refused_connection_is_tried_again_while_others_work),
            cmocka_unit_test(test_a_thousand_cancelled_as_they_are_answered_come_back_once),
            cmocka_unit_test(test_a_pool_is_freed_behind_the_last_caller),
        };

        return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
