/* SPDX-License-Identifier: MIT */
/*
 * Reads go to a streaming replica, but not while it is too far behind, away, or behind what their unit of work wrote. The
 * replica's replay is paused, and it is killed. SP_TEST_SERVERS names the set that may be harmed.
 */
#include "../integration/way.h"
#include "../support/ctl.h"
#include "load.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void test_a_read_that_takes_too_long_is_not_given_to_the_primary_as_well(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("1m", "pool.statement_timeout=20ms");

        await_replica(way, pool, NULL);
        says(fails(way, pool, NULL, "SELECT pg_sleep(60)", SP_TIMEOUT), "pool.statement_timeout", NULL);
        assert_int_equal(counted(pool, "sugarperf_pool_replica_fallbacks"), 0);
        sp_pool_free(pool);
}

/* Its rows are there with its end, not with its beginning. */
static void test_a_unit_of_work_reads_what_it_copied(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("0", NULL);
        sp_stmt *stmt = stmt_of("COPY copies FROM STDIN");
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_session *session;
        sp_copy *copy;
        int64_t before;

        await_replica(way, pool, NULL);
        before = ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE);
        assert_int_equal(way->acquire(pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_copy(session, ctx, stmt, &copy, NULL), SP_OK);
        await_replica(way, pool, ctx);
        pause_replay(true);
        assert_int_equal(sp_copy_write(copy, ctx, "1\n", 2, NULL), SP_OK);
        assert_int_equal(sp_copy_end(copy, ctx, NULL, NULL), SP_OK);
        assert_int_equal(rows(way, pool, ctx), before + 1);
        pause_replay(false);
        sp_copy_free(copy);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_ctx_unref(ctx);
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
        await_replica(way, pool, session_ctx);
        assert_int_equal(rows(way, pool, session_ctx), before + 2);
        sp_stmt_unref(insert);
        sp_ctx_unref(session_ctx);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

/* His transaction is another one's to commit, by a call or as a text, when a replica has all that he wrote but for that. */
static void test_a_unit_of_work_reads_what_was_committed_for_it(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of("0", NULL);
        sp_stmt *insert = stmt_of("INSERT INTO copies VALUES (1)");

        for (int text = 0; text <= 1; text++) {
                sp_ctx *ctx = sp_ctx_new(NULL);
                sp_session *session;
                sp_result *result;
                int64_t before;

                await_replica(way, pool, NULL);
                before = ask(way, pool, NULL, "SELECT count(*) FROM copies", SP_STMT_WRITE);
                assert_int_equal(way->acquire(pool, NULL, &session, NULL), SP_OK);
                session_run(way, session, "BEGIN");
                assert_int_equal(way->session(session, ctx, insert, NULL, &result, NULL), SP_OK);
                sp_result_free(result);
                /* An insert alone need not leave the primary before anything is committed. */
                ask(way, pool, NULL, "SELECT txid_current()", SP_STMT_WRITE);
                await_replica(way, pool, ctx);
                pause_replay(true);
                if (text)
                        session_run(way, session, "COMMIT");
                else
                        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
                assert_int_equal(rows(way, pool, ctx), before + 1);
                pause_replay(false);
                sp_session_release(session);
                sp_ctx_unref(ctx);
        }
        sp_stmt_unref(insert);
        sp_pool_free(pool);
}

static void test_a_replica_that_dies_costs_no_read_its_answer(void **state)
{
        struct load load = {.pool = pool_of("500ms", NULL), .text = "SELECT count(*) FROM copies"};

        await_replica(&ways[0], load.pool, NULL);
        load_begin(&load);
        load_goes_on(&load, 200);
        control("kill", "replica");
        load_goes_on(&load, 200);
        await_primary(&ways[0], load.pool, NULL);
        control("start", "replica");
        await_replica(&ways[0], load.pool, NULL);
        load_goes_on(&load, 200);
        load_end(&load);
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

static void text_on(sp_pool *pool, const char *text, char *out, size_t cap)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result;
        size_t len;

        assert_int_equal(sp_pool_query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
        snprintf(out, cap, "%s", (const char *)sp_result_get(result, 0, 0, &len));
        sp_result_free(result);
        sp_stmt_unref(stmt);
}

static void becomes(sp_pool *pool, const char *text, int64_t value)
{
        while (number(&ways[0], pool, text, 0) != value)
                sched_yield();
}

/* The replica is cut off, the primary goes on and is ahead of it when it is promoted; then the primary comes back as a standby. */
static void diverge(void)
{
        sp_pool *former = pool_on("SP_TEST_PG"), *next = pool_on("SP_TEST_PG_REPLICA");
        char signal[512];
        FILE *file;

        run(&ways[0], next, "ALTER SYSTEM SET primary_conninfo = ''");
        run(&ways[0], next, "SELECT pg_reload_conf()");
        becomes(next, "SELECT count(*) FROM pg_stat_wal_receiver", 0);
        run(&ways[0], former, "INSERT INTO copies SELECT generate_series(1, 10000)");
        text_on(former, "SELECT current_setting('data_directory') || '/standby.signal'", signal, sizeof signal);
        control("promote", "replica");
        becomes(next, "SELECT pg_is_in_recovery()::int", 0);
        sp_pool_free(former);
        sp_pool_free(next);
        control("stop", "pg");
        file = fopen(signal, "w");
        assert_non_null(file);
        fclose(file);
        chmod(signal, 0666);
        control("start", "pg");
}

/* The last of all: nothing is as it was after it. */
static void test_a_replica_with_another_history_is_not_read_from(void **state)
{
        static const char asked[] =
            "SELECT (count(*) > 0)::int FROM pg_stat_activity WHERE application_name = 'diverged' "
            "AND state = 'idle' AND query LIKE '%last_wal_replay%'";
        char primary[200], replicas[200];
        sp_pool *pool, *other;

        diverge();
        other = pool_on("SP_TEST_PG");
        assert_int_equal(number(&ways[0], other, "SELECT pg_is_in_recovery()::int", 0), 1);
        snprintf(primary, sizeof primary, "pool.url=%s", getenv("SP_TEST_PG_REPLICA"));
        snprintf(replicas, sizeof replicas, "pool.replicas=%s", getenv("SP_TEST_PG"));
        pool = pool_with(
            (const char *[]){primary, replicas, "pool.replica_lag=1h", "pool.application_name=diverged", NULL});
        while (number(&ways[0], other, asked, 0) == 0)
                assert_false(on_replica(&ways[0], pool, NULL));
        /* It was asked, is further than the primary, and yet it is not believed. */
        for (int i = 0; i < 200; i++) {
                assert_false(on_replica(&ways[i % WAYS], pool, NULL));
                poll(NULL, 0, 5);
        }
        sp_pool_free(other);
        sp_pool_free(pool);
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
            BOTH_WAYS(test_a_read_that_takes_too_long_is_not_given_to_the_primary_as_well),
            BOTH_WAYS(test_a_replica_that_falls_behind_is_not_read_from),
            BOTH_WAYS(test_a_unit_of_work_reads_what_it_wrote),
            BOTH_WAYS(test_a_unit_of_work_reads_what_was_committed_for_it),
            BOTH_WAYS(test_it_does_so_while_replay_is_paused),
            BOTH_WAYS(test_a_unit_of_work_reads_what_it_copied),
            cmocka_unit_test(test_a_replica_that_dies_costs_no_read_its_answer),
            cmocka_unit_test(test_a_pool_ends_with_its_replicas),
            cmocka_unit_test(test_a_replica_with_another_history_is_not_read_from),
        };

        return cmocka_run_group_tests_name("replicas", tests, begin, NULL);
}
