/* SPDX-License-Identifier: MIT */
/* The traps of libpq and of pools, by name, each as a real case. */
#include "../support/child.h"
#include "way.h"

#include "broken_pg.h"
#include "pg/stmt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BURST = 64 };

/* Statements that are given at once, and their answers in the order of submission. */
struct burst {
        sp_pool *pool;
        sp_queue *queue;
        uint64_t count;
        sp_completion *answers[256];
};

static void give(struct burst *burst, const sp_stmt *stmt, const sp_params *params)
{
        assert_int_equal(sp_pool_query_async(burst->pool, NULL, stmt, params, burst->queue, burst->count++), SP_OK);
}

static void give_int(struct burst *burst, const sp_stmt *stmt, int64_t n)
{
        sp_params *params = sp_params_new();

        sp_params_add_int(params, n);
        give(burst, stmt, params);
        sp_params_free(params);
}

static void await(struct burst *burst)
{
        for (uint64_t i = 0; i < burst->count; i++) {
                sp_completion *done;

                assert_int_equal(sp_queue_wait(burst->queue, &done, 1, -1), 1);
                burst->answers[sp_completion_tag(done)] = done;
        }
}

static void forget(struct burst *burst)
{
        for (uint64_t i = 0; i < burst->count; i++)
                sp_completion_free(burst->answers[i]);
        burst->count = 0;
}

static struct burst burst_on(const char *const settings[])
{
        return (struct burst){.pool = pool_with(settings), .queue = queue_of()};
}

static void burst_end(struct burst *burst)
{
        forget(burst);
        sp_queue_free(burst->queue);
        sp_pool_free(burst->pool);
}

/* So that it is pipelined with others. */
static sp_stmt *fast_stmt(struct burst *burst, const char *text)
{
        sp_stmt *stmt = stmt_of(text);

        do {
                give_int(burst, stmt, 1);
                await(burst);
                forget(burst);
        } while (!sp__stmt_fast(stmt));
        return stmt;
}

static const char *const one_connection[] = {
    "pool.max=1", "pool.min=0", "pool.acquire_timeout=20s", "pool.query_timeout=60s", "pool.statement_timeout=60s",
    NULL};

static void syncs_isolate(void **state)
{
        struct burst burst = burst_on(one_connection);
        sp_stmt *insert, *fails;

        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS traps_log");
        run(&ways[0], burst.pool, "CREATE TABLE traps_log (n int8)");
        insert = fast_stmt(&burst, "INSERT INTO traps_log VALUES ($1)");
        fails = fast_stmt(&burst, "SELECT 10 / ($1::int8)");
        run(&ways[0], burst.pool, "DELETE FROM traps_log");
        for (int i = 0; i < BURST; i++) {
                give_int(&burst, insert, i);
                give_int(&burst, fails, i % 2);
        }
        await(&burst);
        for (int i = 0; i < BURST; i++) {
                assert_int_equal(sp_completion_status(burst.answers[2 * i]), SP_OK);
                assert_int_equal(sp_completion_status(burst.answers[2 * i + 1]), i % 2 ? SP_OK : SP_SQL);
        }
        assert_int_equal(number(&ways[0], burst.pool, "SELECT count(*) FROM traps_log", 0), BURST);
        run(&ways[0], burst.pool, "DROP TABLE traps_log");
        sp_stmt_unref(insert);
        sp_stmt_unref(fails);
        burst_end(&burst);
}

static const char *text_of(sp_completion *done)
{
        size_t len;

        assert_int_equal(sp_completion_status(done), SP_OK);
        return sp_result_get(sp_completion_result(done), 0, 0, &len);
}

/* When the transaction began, which ends at the Sync: most of them differ in nothing. */
static void reads_share_syncs(void **state)
{
        struct burst burst = burst_on(one_connection);
        sp_stmt *read =
            fast_stmt(&burst, "SELECT xact_start::text FROM pg_stat_get_activity(pg_backend_pid()) WHERE $1::int8 > 0");
        int syncs;

        do {
                forget(&burst);
                for (int i = 0; i < BURST; i++)
                        give_int(&burst, read, 1);
                await(&burst);
                syncs = 1;
                for (int i = 1; i < BURST; i++)
                        syncs += strcmp(text_of(burst.answers[i]), text_of(burst.answers[i - 1])) != 0;
        } while (syncs > BURST / 4);
        sp_stmt_unref(read);
        burst_end(&burst);
}

static void evicts_without_libpq_17(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statements=3", NULL});
        char text[64];

        for (int i = 0; i < 20; i++) {
                snprintf(text, sizeof text, "SELECT %d + $1::int8", i);
                assert_int_equal(number(way_of(state), pool, text, i), 2 * i);
        }
        assert_in_range(number(way_of(state), pool, "SELECT count(*) FROM pg_prepared_statements", 0), 1, 3);
        sp_pool_free(pool);
}

/* 32 MB go each way, and neither side has room for them. */
static void reads_while_it_writes(void **state)
{
        enum { SIZE = 256 << 10, COUNT = 128 };
        struct burst burst = burst_on(one_connection);
        sp_stmt *echo = fast_stmt(&burst, "SELECT $1::text");
        sp_params *params = sp_params_new();
        char *bytes = malloc(SIZE);

        memset(bytes, 'x', SIZE);
        assert_int_equal(sp_params_add_text(params, bytes, SIZE), SP_OK);
        for (int i = 0; i < COUNT; i++)
                give(&burst, echo, params);
        await(&burst);
        for (int i = 0; i < COUNT; i++)
                assert_int_equal(strlen(text_of(burst.answers[i])), SIZE);
        free(bytes);
        sp_params_free(params);
        sp_stmt_unref(echo);
        burst_end(&burst);
}

/* However many wait for a Sync, the last one needs no successor to be sent. */
static void nothing_stays_in_a_buffer(void **state)
{
        struct burst burst = burst_on(one_connection);
        sp_stmt *read = fast_stmt(&burst, "SELECT $1::int8");

        for (int count = 1; count <= 100; count++) {
                for (int i = 0; i < count; i++)
                        give_int(&burst, read, i);
                await(&burst);
                for (int i = 0; i < count; i++)
                        assert_int_equal(strtoll(text_of(burst.answers[i]), NULL, 10), i);
                forget(&burst);
        }
        sp_stmt_unref(read);
        burst_end(&burst);
}

static void several_statements_are_refused(void **state)
{
        static const char *const texts[] = {"SELECT 1; SELECT 2", "SELECT 1; DROP TABLE x", "BEGIN; COMMIT", ";", ""};
        sp_stmt *stmt = NULL;

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                assert_int_equal(sp_stmt_new(NULL, texts[i], strlen(texts[i]), 0, &stmt, NULL), SP_INVALID);
                assert_null(stmt);
        }
}

static void copy_is_kept_out_of_the_pipeline(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_stmt *out = stmt_of("COPY (SELECT 1) TO STDOUT");
        sp_session *session = session_of(way, pool);
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_stream *stream = NULL;
        sp_value *rows = NULL;
        sp_copy *copy;
        size_t len;

        sp_error_free(fails(way, pool, NULL, "COPY (SELECT 1) TO STDOUT", SP_UNSUPPORTED));
        assert_int_equal(way->session(session, NULL, out, NULL, &result, NULL), SP_UNSUPPORTED);
        sp_params_add_int(params, 1);
        assert_int_equal(sp_pool_batch(pool, NULL, out, params, &result, NULL), SP_UNSUPPORTED);
        assert_int_equal(sp_pool_stream(pool, NULL, out, NULL, 0, &stream, NULL), SP_INVALID);
        assert_int_equal(sp_session_copy(session, NULL, out, &copy, NULL), SP_OK);
        assert_int_equal(sp_copy_read(copy, NULL, &rows, NULL), SP_OK);
        assert_string_equal(sp_value_data(rows, &len), "1\n");
        sp_value_unref(rows);
        assert_int_equal(sp_copy_end(copy, NULL, NULL, NULL), SP_OK);
        sp_copy_free(copy);
        assert_int_equal(session_number(way, session, "SELECT 3"), 3);
        sp_session_release(session);
        sp_params_free(params);
        sp_stmt_unref(out);
        sp_pool_free(pool);
}

/* Answers of no row, of some, and of commands that have none, in one pipeline. */
static void answers_keep_their_place(void **state)
{
        struct burst burst = burst_on(one_connection);
        sp_stmt *series, *nothing, *fails;

        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS traps_log");
        run(&ways[0], burst.pool, "CREATE TABLE traps_log (n int8)");
        series = fast_stmt(&burst, "SELECT generate_series(1, $1::int8)");
        nothing = fast_stmt(&burst, "UPDATE traps_log SET n = $1");
        fails = fast_stmt(&burst, "SELECT sqrt($1::int8)");
        for (int i = 0; i < BURST; i++) {
                give_int(&burst, series, i % 7);
                give_int(&burst, nothing, i);
                give_int(&burst, fails, -1);
        }
        await(&burst);
        for (int i = 0; i < BURST; i++) {
                const sp_result *rows = sp_completion_result(burst.answers[3 * i]);

                assert_int_equal(sp_result_rows(rows), i % 7);
                assert_int_equal(sp_result_columns(rows), 1);
                assert_int_equal(sp_result_columns(sp_completion_result(burst.answers[3 * i + 1])), 0);
                assert_int_equal(sp_completion_status(burst.answers[3 * i + 2]), SP_SQL);
        }
        run(&ways[0], burst.pool, "DROP TABLE traps_log");
        sp_stmt_unref(series);
        sp_stmt_unref(nothing);
        sp_stmt_unref(fails);
        burst_end(&burst);
}

#define ERROR_OF(length, severity, code) "E\0\0\0" length "S" severity "\0V" severity "\0C" code "\0Mno\0\0"

/* A proxy's error, then the server's last words, and no Sync: each call ends, whether the connection then does or not. */
static void two_errors_do_not_wedge(void **state)
{
        static const char script[] = ERROR_OF("\36", "ERROR", "22012") ERROR_OF("\36", "FATAL", "57P01");

        for (int hangs_up = 0; hangs_up < 2; hangs_up++) {
                struct broken_pg *server = broken_pg_start(script, sizeof script - 1, hangs_up);
                sp_pool *pool = pool_with((const char *[]){
                    broken_pg_url(server), "pool.max=2", "pool.min=0", "pool.query_timeout=500ms",
                    "pool.acquire_timeout=500ms", "pool.statement_timeout=0", "pool.connect_timeout=500ms", NULL});
                sp_stmt *stmt = stmt_of("SELECT 1");

                for (int i = 0; i < 4; i++) {
                        sp_result *result = NULL;

                        assert_int_not_equal(way_of(state)->query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
                        assert_null(result);
                }
                sp_stmt_unref(stmt);
                sp_pool_free(pool);
                broken_pg_stop(server);
        }
}

/* Given up at any moment of its life: what comes next on its connection is nobody's victim. */
static void a_cancel_hits_its_own(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection);
        sp_stmt *nap = stmt_of("SELECT pg_sleep(0.002)");
        sp_queue *queue = queue_of();

        for (int i = 0; i < 200; i++) {
                sp_ctx *ctx = sp_ctx_new(NULL);
                sp_completion *done;

                assert_int_equal(sp_pool_query_async(pool, ctx, nap, NULL, queue, 1), SP_OK);
                for (int k = 0; k < i % 20 * 10; k++)
                        sched_yield();
                sp_ctx_cancel(ctx);
                assert_int_equal(number(way, pool, "SELECT 5 FROM pg_sleep(0.003)", 0), 5);
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                sp_completion_free(done);
                sp_ctx_unref(ctx);
        }
        sp_queue_free(queue);
        sp_stmt_unref(nap);
        sp_pool_free(pool);
}

/* In a transaction of its own; the SQLSTATE, "" for none. */
static void in_transaction(const struct way *way, sp_session *session, const sp_stmt *stmt, const char *code)
{
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(way->session(session, NULL, stmt, NULL, &result, &error), *code ? SP_SQL : SP_OK);
        assert_string_equal(sp_error_code(error), code);
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        sp_result_free(result);
        sp_error_free(error);
}

/* Where nothing can be run again it costs one failure in all, not one a connection, and none for ever. */
static void a_changed_plan_heals(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", NULL}), *other = pool_with(NULL);
        sp_stmt *all = stmt_of("SELECT * FROM traps_plan");
        sp_session *one = session_of(way, pool), *two = session_of(way, pool);
        int64_t backend = session_number(way, one, "SELECT pg_backend_pid()");
        sp_result *result = NULL;

        run(way, pool, "DROP TABLE IF EXISTS traps_plan");
        run(way, pool, "CREATE TABLE traps_plan AS SELECT 1 AS id");
        run(way, pool, "SELECT * FROM traps_plan");
        in_transaction(way, one, all, "");
        in_transaction(way, two, all, "");
        run(way, other, "ALTER TABLE traps_plan ALTER id TYPE text");
        /* Inside a transaction it is for its owner to begin anew. */
        in_transaction(way, one, all, "0A000");
        in_transaction(way, one, all, "");
        in_transaction(way, two, all, "");
        run(way, pool, "SELECT * FROM traps_plan");
        run(way, other, "ALTER TABLE traps_plan ADD COLUMN name text");
        assert_int_equal(way->session(one, NULL, all, NULL, &result, NULL), SP_OK);
        assert_int_equal(sp_result_columns(result), 2);
        assert_int_equal(session_number(way, one, "SELECT pg_backend_pid()"), backend);
        sp_result_free(result);
        sp_session_release(one);
        sp_session_release(two);
        run(way, pool, "DROP TABLE traps_plan");
        sp_stmt_unref(all);
        sp_pool_free(other);
        sp_pool_free(pool);
}

static void state_stays_out_of_lanes(void **state)
{
        static const char *const texts[] = {"SET work_mem = '1MB'",
                                            "CREATE TEMP TABLE traps_temp (n int)",
                                            "SELECT pg_advisory_lock(1)",
                                            "SELECT set_config('work_mem', '1MB', false)",
                                            "LISTEN x",
                                            "BEGIN",
                                            "PREPARE x AS SELECT 1",
                                            "DECLARE x CURSOR WITH HOLD FOR SELECT 1",
                                            "DISCARD ALL",
                                            "SELECT 1 INTO TEMP traps_temp"};
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                says(fails(way_of(state), pool, NULL, texts[i], SP_SESSION), "sp_pool_acquire()", NULL);
        sp_pool_free(pool);
}

static int in_child(const struct way *way, sp_pool *pool, sp_session *session, const sp_stmt *stmt)
{
        sp_result *result = NULL;

        if (way->query(pool, NULL, stmt, NULL, &result, NULL) != SP_FORKED)
                return 1;
        if (sp_session_query(session, NULL, stmt, NULL, &result, NULL) != SP_FORKED)
                return 2;
        sp_session_release(session);
        sp_pool_free(pool);
        return 0;
}

static void nothing_crosses_a_fork(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_session *session = session_of(way_of(state), pool);
        int64_t backend = session_number(way_of(state), session, "SELECT pg_backend_pid()");
        pid_t child = child_fork();
        int status;

        if (child == 0)
                _exit(in_child(&ways[0], pool, session, stmt));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(session_number(way_of(state), session, "SELECT pg_backend_pid()"), backend);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

/* The connection's last statement is still held up when it is released: nobody waits for its clean-up but who comes next. */
static void a_release_does_not_wait(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", "pool.statement_timeout=0", NULL});
        sp_session *holder = session_of(way, pool), *session = session_of(way, pool);
        sp_stmt *lock = stmt_of("SELECT pg_advisory_lock(4712)");
        sp_queue *queue = queue_of();
        sp_completion *done;

        session_run(way, holder, "SELECT pg_advisory_lock(4712)");
        session_run(way, session, "SET work_mem = '77MB'");
        assert_int_equal(sp_session_query_async(session, NULL, lock, NULL, queue, 1), SP_OK);
        sp_session_release(session);
        assert_int_equal(sp_queue_take(queue, &done, 1), 0);
        sp_session_release(holder);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        sp_completion_free(done);
        for (int i = 0; i < 2; i++) {
                holder = session_of(way, pool);
                assert_int_not_equal(
                    session_number(way, holder, "SELECT setting::int FROM pg_settings WHERE name = 'work_mem'"),
                    77 * 1024);
                sp_session_release(holder);
        }
        sp_queue_free(queue);
        sp_stmt_unref(lock);
        sp_pool_free(pool);
}

static bool leads_to_the_server(int fd)
{
        struct sockaddr_in address;
        socklen_t len = sizeof address;

        return getpeername(fd, (struct sockaddr *)&address, &len) == 0 && address.sin_family == AF_INET &&
               ntohs(address.sin_port) == atoi(strrchr(getenv("DATABASE_URL"), ':') + 1);
}

static int option_of(int fd, int level, int name)
{
        int value = -1;
        socklen_t len = sizeof value;

        assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
        return value;
}

static void a_silent_peer_is_noticed(void **state)
{
        /* Nobody else connects, and closes one, meanwhile. */
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.min=0", NULL});
        int found = 0;

        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        for (int fd = 0; fd < 1024; fd++) {
                if (!leads_to_the_server(fd))
                        continue;
                found++;
                assert_int_not_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
                assert_in_range(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 1, 60);
                assert_in_range(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1, 60000);
        }
        assert_true(found > 0);
        sp_pool_free(pool);
}

static const struct trap {
        const char *name;
        void (*test)(void **state);
} traps[] = {
    {"1 a Sync that is shared takes a neighbour's write along", syncs_isolate},
    {"2 a Sync for each read costs a system call each", reads_share_syncs},
    {"3 what only libpq 17 has is not relied on", evicts_without_libpq_17},
    {"4 writing without reading deadlocks", reads_while_it_writes},
    {"5 what is put is not what is sent", nothing_stays_in_a_buffer},
    {"6 a pipeline takes no strings of several statements", several_statements_are_refused},
    {"7 COPY in a pipeline is forbidden but not refused", copy_is_kept_out_of_the_pipeline},
    {"8 NULL ends a query, not the pipeline", answers_keep_their_place},
    {"9 two errors in one group wedge the state machine", two_errors_do_not_wedge},
    {"10 a cancel request names a connection, not a query", a_cancel_hits_its_own},
    {"11 a cached plan changes its result type", a_changed_plan_heals},
    {"12 session state in shared connections", state_stays_out_of_lanes},
    {"13 connections and threads across a fork", nothing_crosses_a_fork},
    {"14 a reset on release costs a round trip", a_release_does_not_wait},
    {"15 a peer that is gone without a word", a_silent_peer_is_noticed},
};

enum { TRAPS = sizeof traps / sizeof *traps };

int main(void)
{
        struct CMUnitTest tests[TRAPS * WAYS] = {0};
        char names[TRAPS * WAYS][96];

        for (int i = 0; i < TRAPS * WAYS; i++) {
                const struct way *way = &ways[i % WAYS];

                snprintf(names[i], sizeof names[i], "trap %s (%s)", traps[i / WAYS].name, way->name);
                tests[i] = (struct CMUnitTest){names[i], traps[i / WAYS].test, NULL, NULL, (void *)(uintptr_t)way};
        }
        return cmocka_run_group_tests_name("traps", tests, NULL, NULL);
}
