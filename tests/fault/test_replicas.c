/* SPDX-License-Identifier: MIT */
/*
 * Reads go to a streaming replica, but not while it is too far behind, away, or behind what their unit of work wrote. The
 * replica's replay is paused, and it is killed. SP_TEST_SERVERS names the set that may be harmed.
 */
#include "../integration/ways.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct way *way_of(void **state)
{
        return *state;
}

static void control(const char *verb, const char *server)
{
        char command[256];

        snprintf(command, sizeof command, "python3 tests/support/servers.py ctl %s %s", verb, server);
        assert_int_equal(system(command), 0);
}

static sp_pool *pool_of(const char *lag, const char *more)
{
        char replicas[200], allowed[64];

        snprintf(replicas, sizeof replicas, "pool.replicas=%s", getenv("SP_TEST_PG_REPLICA"));
        snprintf(allowed, sizeof allowed, "pool.replica_lag=%s", lag);
        return pool_with((const char *[]){replicas, allowed, more, NULL});
}

static sp_pool *pool_on(const char *variable)
{
        char url[200];

        snprintf(url, sizeof url, "pool.url=%s", getenv(variable));
        return pool_with((const char *[]){url, NULL});
}

/* Its first cell, in this context. */
static int64_t ask(const struct way *way, sp_pool *pool, sp_ctx *ctx, const char *text, uint32_t flags)
{
        sp_error *error = NULL;
        sp_result *result;
        int64_t value = 0;
        sp_stmt *stmt;
        size_t len;

        assert_int_equal(sp_stmt_new(NULL, text, strlen(text), flags, &stmt, NULL), SP_OK);
        if (way->query(pool, ctx, stmt, NULL, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        if (sp_result_rows(result) > 0)
                value = strtoll(sp_result_get(result, 0, 0, &len), NULL, 10);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        return value;
}

static bool on_replica(const struct way *way, sp_pool *pool, sp_ctx *ctx)
{
        return ask(way, pool, ctx, "SELECT pg_is_in_recovery()::int", 0) == 1;
}

static void await_replica(const struct way *way, sp_pool *pool, sp_ctx *ctx)
{
        while (!on_replica(way, pool, ctx))
                sched_yield();
}

static void await_primary(const struct way *way, sp_pool *pool, sp_ctx *ctx)
{
        while (on_replica(way, pool, ctx))
                sched_yield();
}

static void pause_replay(bool paused)
{
        sp_pool *replica = pool_on("SP_TEST_PG_REPLICA");

        run(&ways[0], replica, paused ? "SELECT pg_wal_replay_pause()" : "SELECT pg_wal_replay_resume()");
        while (paused && number(&ways[0], replica, "SELECT (pg_get_wal_replay_pause_state() = 'paused')::int", 0) == 0)
                sched_yield();
        sp_pool_free(replica);
}

static void write_row(const struct way *way, sp_pool *pool, sp_ctx *ctx)
{
        ask(way, pool, ctx, "INSERT INTO copies VALUES (1)", 0);
}

static int64_t rows(const struct way *way, sp_pool *pool, sp_ctx *ctx)
{
        return ask(way, pool, ctx, "SELECT count(*) FROM copies", 0);
}

static void test_reads_go_to_the_replica_and_nothing_else(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("1s", NULL);
        sp_ctx *ctx = sp_ctx_new(NULL), *child;
        sp_session *session;

        await_replica(way, pool, NULL);
        write_row(way, pool, NULL);
        assert_int_equal(ask(way, pool, NULL, "SELECT pg_is_in_recovery()::int", SP_STMT_WRITE), 0);
        assert_int_equal(way->acquire(pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(session_number(way, session, "SELECT pg_is_in_recovery()::int"), 0);
        sp_session_release(session);
        assert_int_equal(sp_ctx_set(ctx, "reads", "primary", NULL), SP_OK);
        child = sp_ctx_new(ctx);
        assert_false(on_replica(way, pool, child));
        assert_int_equal(sp_ctx_set(child, "reads", "replica", NULL), SP_OK);
        await_replica(way, pool, child);
        assert_int_equal(sp_ctx_set(child, "reads", "elsewhere", NULL), SP_INVALID);
        sp_ctx_unref(child);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

static void test_reads_stay_with_the_primary_when_told(void **state)
{
        sp_pool *pool = pool_of("1s", "pool.reads=primary");

        for (int i = 0; i < 100; i++)
                assert_false(on_replica(way_of(state), pool, NULL));
        sp_pool_free(pool);
}

static void test_a_read_that_writes_goes_to_the_primary_after_all(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("1s", NULL);
        int64_t before;

        await_replica(way, pool, NULL);
        before = ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE);
        for (int i = 0; i < 3; i++)
                ask(way, pool, NULL, "SELECT writes_a_copy()", 0);
        assert_int_equal(ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE), before + 3);
        /* Its connections are kept: it is a replica, and was never meant to take writes. */
        await_replica(way, pool, NULL);
        sp_pool_free(pool);
}

static void test_a_replica_that_falls_behind_is_not_read_from(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("200ms", NULL);

        await_replica(way, pool, NULL);
        pause_replay(true);
        write_row(way, pool, NULL);
        await_primary(way, pool, NULL);
        /* And so it stays. */
        for (int i = 0; i < 200; i++)
                assert_false(on_replica(way, pool, NULL));
        pause_replay(false);
        await_replica(way, pool, NULL);
        sp_pool_free(pool);
}

static void test_a_unit_of_work_reads_what_it_wrote(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("200ms", NULL);

        await_replica(way, pool, NULL);
        for (int i = 0; i < 100; i++) {
                sp_ctx *unit = sp_ctx_new(NULL), *writer = sp_ctx_new(unit), *reader = sp_ctx_new(unit);
                int64_t before = ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE);

                write_row(way, pool, writer);
                assert_int_equal(rows(way, pool, reader), before + 1);
                /* In the end it is the replica that has it. */
                if (i % 25 == 0) {
                        await_replica(way, pool, reader);
                        assert_int_equal(rows(way, pool, reader), before + 1);
                }
                sp_ctx_unref(reader);
                sp_ctx_unref(writer);
                sp_ctx_unref(unit);
        }
        sp_pool_free(pool);
}

static void test_it_does_so_while_replay_is_paused(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("0", NULL);
        sp_ctx *ctx = sp_ctx_new(NULL), *session_ctx = sp_ctx_new(NULL);
        sp_stmt *insert = stmt_of("INSERT INTO copies VALUES (1)");
        sp_session *session;
        sp_result *result;
        int64_t before, past;

        await_replica(way, pool, NULL);
        pause_replay(true);
        before = ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE);
        past = rows(way, pool, NULL);
        assert_true(past <= before);
        write_row(way, pool, ctx);
        for (int i = 0; i < 50; i++)
                assert_int_equal(rows(way, pool, ctx), before + 1);
        /* Who has no part in it, and any lag will do for, reads the replica's past. */
        assert_int_equal(rows(way, pool, NULL), past);
        /* A write in a session counts. */
        assert_int_equal(way->acquire(pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(way->session(session, session_ctx, insert, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_session_release(session);
        assert_int_equal(rows(way, pool, session_ctx), before + 2);
        pause_replay(false);
        await_replica(way, pool, ctx);
        assert_int_equal(rows(way, pool, ctx), before + 2);
        sp_stmt_unref(insert);
        sp_ctx_unref(session_ctx);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

struct load {
        sp_pool *pool;
        atomic_uint started;
        atomic_bool stop;
        atomic_int wrong, done;
};

static void *load_body(void *arg)
{
        struct load *load = arg;
        const struct way *way = &ways[atomic_fetch_add(&load->started, 1) % WAYS];
        sp_stmt *stmt = stmt_of("SELECT count(*) FROM copies");

        while (!atomic_load(&load->stop)) {
                sp_result *result = NULL;
                sp_error *error = NULL;

                if (way->query(load->pool, NULL, stmt, NULL, &result, &error) != SP_OK) {
                        printf("# %s\n", sp_error_message(error));
                        atomic_fetch_add(&load->wrong, 1);
                }
                atomic_fetch_add(&load->done, 1);
                sp_error_free(error);
                sp_result_free(result);
        }
        sp_stmt_unref(stmt);
        return NULL;
}

static void more_reads(struct load *load)
{
        int goal = atomic_load(&load->done) + 200;

        while (atomic_load(&load->done) < goal)
                sched_yield();
}

enum { READERS = 8 };

static void test_a_replica_that_dies_costs_no_read_its_answer(void **state)
{
        struct load load = {.pool = pool_of("500ms", NULL)};
        pthread_t threads[READERS];

        await_replica(&ways[0], load.pool, NULL);
        for (size_t i = 0; i < READERS; i++)
                pthread_create(&threads[i], NULL, load_body, &load);
        more_reads(&load);
        control("kill", "replica");
        more_reads(&load);
        await_primary(&ways[0], load.pool, NULL);
        control("start", "replica");
        await_replica(&ways[0], load.pool, NULL);
        more_reads(&load);
        atomic_store(&load.stop, true);
        for (size_t i = 0; i < READERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&load.wrong), 0);
        sp_pool_free(load.pool);
}

static void test_a_pool_ends_with_its_replicas(void **state)
{
        for (int i = 0; i < 20; i++) {
                sp_pool *pool = pool_of("20ms", NULL);
                sp_queue *queue;
                sp_completion *done;
                sp_stmt *stmt = stmt_of("SELECT 1");

                assert_int_equal(sp_queue_new(0, &queue), SP_OK);
                if (i % 2)
                        await_replica(&ways[1], pool, NULL);
                assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 1), SP_OK);
                sp_pool_free(pool);
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                sp_completion_free(done);
                sp_queue_free(queue);
                sp_stmt_unref(stmt);
        }
}

static int begin(void **state)
{
        sp_pool *pool = pool_on("SP_TEST_PG");

        run(&ways[0], pool, "CREATE TABLE copies (n int)");
        run(&ways[0], pool,
            "CREATE FUNCTION writes_a_copy() RETURNS int LANGUAGE sql AS 'INSERT INTO copies VALUES (2) RETURNING n'");
        sp_pool_free(pool);
        pool = pool_on("SP_TEST_PG_REPLICA");
        while (number(&ways[0], pool, "SELECT count(*) FROM pg_proc WHERE proname = 'writes_a_copy'", 0) == 0)
                sched_yield();
        sp_pool_free(pool);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_reads_go_to_the_replica_and_nothing_else),
            BOTH_WAYS(test_reads_stay_with_the_primary_when_told),
            BOTH_WAYS(test_a_read_that_writes_goes_to_the_primary_after_all),
            BOTH_WAYS(test_a_replica_that_falls_behind_is_not_read_from),
            BOTH_WAYS(test_a_unit_of_work_reads_what_it_wrote),
            BOTH_WAYS(test_it_does_so_while_replay_is_paused),
            cmocka_unit_test(test_a_replica_that_dies_costs_no_read_its_answer),
            cmocka_unit_test(test_a_pool_ends_with_its_replicas),
        };

        return cmocka_run_group_tests_name("replicas", tests, begin, NULL);
}
