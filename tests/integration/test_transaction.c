/* SPDX-License-Identifier: MIT */
/* Transactions: all or nothing, whatever fails in them, and no statement outside of the one that it was meant for. */
#include "way.h"

#include "pg/pool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verb { BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ROLLBACK_TO, RELEASE };

static sp_status submit(sp_session *session, enum verb verb, const char *words, sp_queue *queue)
{
        switch (verb) {
        case BEGIN:
                return sp_session_begin_async(session, NULL, words, queue, 42);
        case COMMIT:
                return sp_session_commit_async(session, NULL, queue, 42);
        case ROLLBACK:
                return sp_session_rollback_async(session, NULL, queue, 42);
        case SAVEPOINT:
                return sp_session_savepoint_async(session, NULL, words, queue, 42);
        case ROLLBACK_TO:
                return sp_session_rollback_to_async(session, NULL, words, queue, 42);
        default:
                return sp_session_release_savepoint_async(session, NULL, words, queue, 42);
        }
}

static sp_status block(sp_session *session, enum verb verb, const char *words, sp_error **error)
{
        switch (verb) {
        case BEGIN:
                return sp_session_begin(session, NULL, words, error);
        case COMMIT:
                return sp_session_commit(session, NULL, error);
        case ROLLBACK:
                return sp_session_rollback(session, NULL, error);
        case SAVEPOINT:
                return sp_session_savepoint(session, NULL, words, error);
        case ROLLBACK_TO:
                return sp_session_rollback_to(session, NULL, words, error);
        default:
                return sp_session_release_savepoint(session, NULL, words, error);
        }
}

static sp_status tx(const struct way *way, sp_session *session, enum verb verb, const char *words, sp_error **error)
{
        sp_queue *queue;
        sp_status status;

        if (!queued(way))
                return block(session, verb, words, error);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(submit(session, verb, words, queue), SP_OK);
        status = queue_outcome(queue, error);
        sp_queue_free(queue);
        return status;
}

static void good(const struct way *way, sp_session *session, enum verb verb, const char *words)
{
        sp_error *error = NULL;

        if (tx(way, session, verb, words, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
}

static sp_error *bad(const struct way *way, sp_session *session, enum verb verb, const char *words, sp_status status)
{
        sp_error *error = NULL;

        assert_int_equal(tx(way, session, verb, words, &error), status);
        return error;
}

static sp_status attempt(const struct way *way, sp_session *session, sp_ctx *ctx, const char *text, sp_error **error)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_status status = way->session(session, ctx, stmt, NULL, &result, error);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

static void test_begin_goes_with_the_first_statement(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL});
        sp_session *session = session_of(way, pool);
        int64_t pid = session_number(way, session, "SELECT pg_backend_pid()");
        static const char open[] =
            "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state LIKE '%in transaction'";

        good(way, session, BEGIN, NULL);
        assert_int_equal(number(way, pool, open, pid), 0);
        session_run(way, session, "SELECT 1");
        assert_int_equal(number(way, pool, open, pid), 1);
        good(way, session, COMMIT, NULL);
        assert_int_equal(number(way, pool, open, pid), 0);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_options_reach_the_server(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        static const struct {
                const char *options;
                const char *proof;
        } rows[] = {
            {"serializable read only deferrable", "SELECT (current_setting('transaction_isolation') = 'serializable' "
                                                  "AND current_setting('transaction_read_only') = "
                                                  "'on' AND current_setting('transaction_deferrable') = 'on')::int"},
            {"Repeatable  Read, not deferrable",
             "SELECT (current_setting('transaction_isolation') = 'repeatable read')::int"},
            {" read committed\tread write ",
             "SELECT (current_setting('transaction_isolation') = 'read committed')::int"},
            {"", "SELECT (current_setting('transaction_isolation') = 'read committed')::int"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                good(way, session, BEGIN, rows[i].options);
                assert_int_equal(session_number(way, session, rows[i].proof), 1);
                good(way, session, ROLLBACK, NULL);
        }
        says(bad(way, session, BEGIN, "serialisable", SP_INVALID), "unknown transaction option \"serialisable\"", NULL);
        says(bad(way, session, BEGIN, "read", SP_INVALID), "unknown transaction option \"read\"", NULL);
        says(bad(way, session, BEGIN, "read only read write", SP_INVALID), "\"read write\"", NULL);
        says(bad(way, session, BEGIN, "read only; DROP TABLE x", SP_INVALID), "unknown", NULL);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_a_commit_of_a_failed_transaction_is_an_error(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        sp_error *error;

        good(way, session, BEGIN, NULL);
        assert_int_equal(attempt(way, session, NULL, "SELECT 1/0", NULL), SP_SQL);
        error = bad(way, session, COMMIT, NULL, SP_SQL);
        assert_string_equal(sp_error_code(error), "25P02");
        says(error, "rolled back", NULL);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        says(bad(way, session, COMMIT, NULL, SP_INVALID), "no transaction is open", NULL);
        good(way, session, ROLLBACK, NULL);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_begin_and_end_with_nothing_between(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);

        good(way, session, BEGIN, NULL);
        says(bad(way, session, BEGIN, NULL, SP_INVALID), "open already", NULL);
        good(way, session, COMMIT, NULL);
        good(way, session, BEGIN, NULL);
        good(way, session, ROLLBACK, NULL);
        good(way, session, BEGIN, NULL);
        session_run(way, session, "SELECT 1");
        says(bad(way, session, BEGIN, NULL, SP_INVALID), "open already", NULL);
        good(way, session, ROLLBACK, NULL);
        good(way, session, BEGIN, NULL);
        sp_session_release(session);
        /* What was begun is not the next holder's. */
        session = session_of(way, pool);
        session_run(way, session, "SELECT 1");
        says(bad(way, session, COMMIT, NULL, SP_INVALID), "no transaction is open", NULL);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_savepoints_take_back_what_came_after(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        static const char name[] = "a \"quoted\"; DROP TABLE tx_save; --";
        char far[SP_SAVEPOINT_MAX + 2];

        run(way, pool, "DROP TABLE IF EXISTS tx_save");
        run(way, pool, "CREATE TABLE tx_save (id int)");
        good(way, session, BEGIN, NULL);
        good(way, session, SAVEPOINT, "first");
        session_run(way, session, "INSERT INTO tx_save VALUES (1)");
        good(way, session, SAVEPOINT, name);
        session_run(way, session, "INSERT INTO tx_save VALUES (2)");
        assert_int_equal(attempt(way, session, NULL, "SELECT 1/0", NULL), SP_SQL);
        good(way, session, ROLLBACK_TO, name);
        session_run(way, session, "INSERT INTO tx_save VALUES (4)");
        good(way, session, RELEASE, "first");
        assert_int_equal(attempt(way, session, NULL, "SELECT 5", NULL), SP_OK);
        good(way, session, COMMIT, NULL);
        assert_int_equal(number(way, pool, "SELECT sum(id) FROM tx_save", 0), 5);
        says(bad(way, session, SAVEPOINT, "", SP_LIMIT), "1 to 63 bytes", NULL);
        memset(far, 'x', sizeof far - 1);
        far[sizeof far - 1] = 0;
        says(bad(way, session, SAVEPOINT, far, SP_LIMIT), "1 to 63 bytes", NULL);
        says(bad(way, session, SAVEPOINT, "outside", SP_SQL), "SAVEPOINT", NULL);
        run(way, pool, "DROP TABLE tx_save");
        sp_session_release(session);
        sp_pool_free(pool);
}

/* As a standby would refuse a mode, or a cancel request that hits BEGIN itself. */
static void spoil_begin(sp_session *session)
{
        free(session->lead->items[0].text);
        session->lead->items[0].text = strdup("BEGIN READ NOTHING");
}

static void test_nothing_runs_outside_a_transaction_that_did_not_begin(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        sp_error *error = NULL;

        run(way, pool, "DROP TABLE IF EXISTS tx_begin");
        run(way, pool, "CREATE TABLE tx_begin (id int)");
        good(way, session, BEGIN, NULL);
        spoil_begin(session);
        assert_int_equal(attempt(way, session, NULL, "INSERT INTO tx_begin VALUES (1)", NULL), SP_SQL);
        assert_int_equal(attempt(way, session, NULL, "INSERT INTO tx_begin VALUES (2)", &error), SP_UNAVAILABLE);
        says(error, "its transaction did not begin", NULL);
        sp_session_release(session);
        assert_int_equal(number(way, pool, "SELECT count(*) FROM tx_begin", 0), 0);
        run(way, pool, "DROP TABLE tx_begin");
        sp_pool_free(pool);
}

/* Nobody waits in between: what follows the first statement waits for its answer. */
static void test_a_pipelined_transaction_is_whole(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_stmt *one = stmt_of("INSERT INTO tx_pipe VALUES (1)"), *two = stmt_of("INSERT INTO tx_pipe VALUES (2)");
        sp_completion *done[4];
        sp_session *session;
        sp_queue *queue;
        size_t n = 0;

        run(way, pool, "DROP TABLE IF EXISTS tx_pipe");
        run(way, pool, "CREATE TABLE tx_pipe (id int)");
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int broken = 0; broken <= 1; broken++) {
                session = session_of(way, pool);
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                if (broken)
                        spoil_begin(session);
                assert_int_equal(sp_session_query_async(session, NULL, one, NULL, queue, 1), SP_OK);
                assert_int_equal(sp_session_query_async(session, NULL, two, NULL, queue, 2), SP_OK);
                assert_int_equal(sp_session_rollback_async(session, NULL, queue, 3), SP_OK);
                assert_int_equal(sp_session_query_async(session, NULL, two, NULL, queue, 4), SP_OK);
                sp_session_release(session);
                for (n = 0; n < 4;)
                        n += sp_queue_wait(queue, done + n, 4 - n, -1);
                for (size_t i = 0; i < 4; i++) {
                        assert_int_equal(sp_completion_tag(done[i]), i + 1);
                        assert_int_equal(sp_completion_status(done[i]), !broken  ? SP_OK
                                                                        : i == 0 ? SP_SQL
                                                                                 : SP_UNAVAILABLE);
                        sp_completion_free(done[i]);
                }
                assert_int_equal(number(way, pool, "SELECT sum(id) FROM tx_pipe", 0), 2);
        }
        run(way, pool, "DROP TABLE tx_pipe");
        sp_queue_free(queue);
        sp_stmt_unref(one);
        sp_stmt_unref(two);
        sp_pool_free(pool);
}

/* The statement that carries BEGIN is cancelled before it is sent: the next one carries it. */
static void test_begin_outlives_a_statement_that_was_never_sent(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        sp_ctx *ctx = sp_ctx_new(NULL);

        sp_ctx_cancel(ctx);
        good(way, session, BEGIN, NULL);
        assert_int_equal(attempt(way, session, ctx, "SELECT 1", NULL), SP_CANCELLED);
        session_run(way, session, "SELECT 1");
        good(way, session, COMMIT, NULL);
        sp_ctx_unref(ctx);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void *cancel_it(void *ctx)
{
        sp_ctx_cancel(ctx);
        return NULL;
}

static bool has_load(sp_session *session, bool cancelled)
{
        bool yes;

        sp__lock(&session->pool->lock);
        yes = session->conn->load > 0 && session->conn->cancelled == cancelled;
        sp__unlock(&session->pool->lock);
        return yes;
}

/* The statement had its connection, and BEGIN with it, but was cancelled before a byte was written. */
static void test_no_transaction_outlives_a_statement_that_ended_on_its_way(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(&ways[0], pool);
        struct sp__port *port = &session->conn->port;
        sp_stmt *one = stmt_of("SELECT 1");
        sp_queue *queue = queue_of();
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_error *error = NULL;
        pthread_t thread;

        good(&ways[0], session, BEGIN, NULL);
        /* So that it comes no further. */
        sp__lock(&port->lock);
        assert_int_equal(sp_session_query_async(session, ctx, one, NULL, queue, 42), SP_OK);
        while (!has_load(session, false))
                sched_yield();
        assert_int_equal(pthread_create(&thread, NULL, cancel_it, ctx), 0);
        while (!has_load(session, true))
                sched_yield();
        sp__unlock(&port->lock);
        pthread_join(thread, NULL);
        assert_int_equal(queue_outcome(queue, NULL), SP_CANCELLED);
        assert_int_equal(attempt(&ways[0], session, NULL, "SELECT 1", NULL), SP_SQL);
        assert_int_equal(sp_session_commit(session, NULL, &error), SP_SQL);
        says(error, "ended before it was sent", NULL);
        session_run(&ways[0], session, "SELECT 1");
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
        sp_stmt_unref(one);
        sp_session_release(session);
        sp_pool_free(pool);
}

/* Whether the pool says that a statement, whose time is over, is worth another try. */
static bool worth_a_try(const struct way *way, sp_pool *pool, const char *text)
{
        sp_ctx *ctx = ctx_of("60ms");
        sp_error *error = fails(way, pool, ctx, text, SP_TIMEOUT);
        bool worth = sp_error_retryable(error);

        sp_error_free(error);
        sp_ctx_unref(ctx);
        return worth;
}

static void test_what_may_have_taken_effect_is_not_worth_another_try(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_error *error = NULL;
        sp_session *session;
        sp_ctx *ctx;

        run(way, pool, "DROP TABLE IF EXISTS tx_late");
        run(way, pool, "CREATE TABLE tx_late (id int)");
        assert_false(worth_a_try(way, pool, "INSERT INTO tx_late SELECT 1 FROM pg_sleep(20)"));
        /* The connection is free again. */
        run(way, pool, "SELECT 1");
        assert_true(worth_a_try(way, pool, "SELECT pg_sleep(20)"));
        session = session_of(way, pool);
        /* It was never sent. */
        assert_true(worth_a_try(way, pool, "INSERT INTO tx_late VALUES (2)"));
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(way, session,
                    "CREATE FUNCTION pg_temp.nap() RETURNS trigger LANGUAGE plpgsql AS "
                    "'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'");
        session_run(way, session,
                    "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON tx_late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
                    "EXECUTE FUNCTION pg_temp.nap()");
        session_run(way, session, "INSERT INTO tx_late VALUES (3)");
        ctx = ctx_of("60ms");
        assert_int_equal(sp_session_commit(session, ctx, &error), SP_TIMEOUT);
        assert_false(sp_error_retryable(error));
        sp_error_free(error);
        sp_ctx_unref(ctx);
        sp_session_release(session);
        run(way, pool, "DROP TABLE tx_late");
        sp_pool_free(pool);
}

/* Nor was a byte of the savepoint written: a rollback to it would go too far. */
static void test_nothing_comes_behind_a_savepoint_that_ended_on_its_way(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(&ways[0], pool);
        struct sp__port *port = &session->conn->port;
        sp_queue *queue = queue_of(), *next = queue_of();
        sp_stmt *one = stmt_of("SELECT 1");
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_error *error = NULL;
        pthread_t thread;

        good(&ways[0], session, BEGIN, NULL);
        session_run(&ways[0], session, "SELECT 1");
        sp__lock(&port->lock);
        assert_int_equal(sp_session_savepoint_async(session, ctx, "x", queue, 42), SP_OK);
        while (!has_load(session, false))
                sched_yield();
        assert_int_equal(sp_session_query_async(session, NULL, one, NULL, next, 42), SP_OK);
        assert_int_equal(pthread_create(&thread, NULL, cancel_it, ctx), 0);
        while (!has_load(session, true))
                sched_yield();
        sp__unlock(&port->lock);
        pthread_join(thread, NULL);
        assert_int_equal(queue_outcome(queue, NULL), SP_CANCELLED);
        assert_int_equal(queue_outcome(next, NULL), SP_SQL);
        assert_int_equal(sp_session_commit(session, NULL, &error), SP_SQL);
        says(error, "ended before it was sent", NULL);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
        sp_queue_free(next);
        sp_stmt_unref(one);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_a_late_cancel_never_hits_the_next_statement(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);
        sp_stmt *nap = stmt_of("SELECT pg_sleep(0.003)");
        int early = 0;

        for (int i = 0; i < 60; i++) {
                sp_ctx *ctx = ctx_of(i % 3 == 0 ? "2ms" : i % 3 == 1 ? "3ms" : "4ms");
                sp_error *error = NULL;
                sp_result *result = NULL;
                sp_status status = way->session(session, ctx, nap, NULL, &result, NULL);

                early += status == SP_TIMEOUT;
                sp_result_free(result);
                assert_true(status == SP_OK || status == SP_TIMEOUT);
                result = NULL;
                if (way->session(session, NULL, nap, NULL, &result, &error) != SP_OK)
                        fail_msg("%d: %s", i, sp_error_message(error));
                sp_result_free(result);
                sp_ctx_unref(ctx);
        }
        assert_true(early > 0);
        sp_stmt_unref(nap);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_a_cancel_never_hits_a_pipelined_neighbour(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);
        sp_stmt *nap = stmt_of("SELECT pg_sleep(0.2)"), *night = stmt_of("SELECT pg_sleep(300)");
        sp_ctx *ctx = ctx_of("30ms");
        sp_completion *done[2];
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_session_query_async(session, NULL, nap, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_session_query_async(session, ctx, night, NULL, queue, 2), SP_OK);
        for (size_t n = 0; n < 2;)
                n += sp_queue_wait(queue, done + n, 2 - n, -1);
        assert_int_equal(sp_completion_tag(done[0]), 2);
        assert_int_equal(sp_completion_status(done[0]), SP_TIMEOUT);
        assert_int_equal(sp_completion_status(done[1]), SP_OK);
        /* Once it is alone it is ended, well before the night is over. */
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_completion_free(done[0]);
        sp_completion_free(done[1]);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
        sp_stmt_unref(nap);
        sp_stmt_unref(night);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_what_waits_for_a_cancel_has_its_own_deadline(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);
        sp_ctx *ctx = ctx_of("20ms");
        sp_error *error = NULL;

        assert_int_equal(attempt(way, session, ctx, "SELECT pg_sleep(300)", NULL), SP_TIMEOUT);
        /* Its time is over already. */
        assert_int_equal(attempt(way, session, ctx, "SELECT 1", &error), SP_TIMEOUT);
        sp_error_free(error);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_ctx_unref(ctx);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_what_waits_when_the_connection_dies_is_told(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);
        sp_stmt *night = stmt_of("SELECT pg_sleep(300)"), *next = stmt_of("SELECT 1");
        sp_completion *done[3];
        sp_queue *queue;
        char text[96];

        snprintf(text, sizeof text, "SELECT pg_terminate_backend(%lld)",
                 (long long)session_number(way, session, "SELECT pg_backend_pid()"));
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_query_async(session, NULL, night, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_session_query_async(session, NULL, next, NULL, queue, 2), SP_OK);
        assert_int_equal(sp_session_commit_async(session, NULL, queue, 3), SP_OK);
        sp_session_release(session);
        run(way, pool, text);
        for (size_t n = 0; n < 3;)
                n += sp_queue_wait(queue, done + n, 3 - n, -1);
        for (size_t i = 0; i < 3; i++) {
                sp_status status = sp_completion_status(done[i]);

                assert_true(status == SP_LOST || status == SP_UNAVAILABLE);
                sp_completion_free(done[i]);
        }
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_queue_free(queue);
        sp_stmt_unref(night);
        sp_stmt_unref(next);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_begin_goes_with_the_first_statement),
            BOTH_WAYS(test_options_reach_the_server),
            BOTH_WAYS(test_a_commit_of_a_failed_transaction_is_an_error),
            BOTH_WAYS(test_begin_and_end_with_nothing_between),
            BOTH_WAYS(test_savepoints_take_back_what_came_after),
            BOTH_WAYS(test_nothing_runs_outside_a_transaction_that_did_not_begin),
            BOTH_WAYS(test_a_pipelined_transaction_is_whole),
            BOTH_WAYS(test_begin_outlives_a_statement_that_was_never_sent),
            cmocka_unit_test(test_no_transaction_outlives_a_statement_that_ended_on_its_way),
            BOTH_WAYS(test_what_may_have_taken_effect_is_not_worth_another_try),
            cmocka_unit_test(test_nothing_comes_behind_a_savepoint_that_ended_on_its_way),
            BOTH_WAYS(test_a_late_cancel_never_hits_the_next_statement),
            BOTH_WAYS(test_a_cancel_never_hits_a_pipelined_neighbour),
            BOTH_WAYS(test_what_waits_for_a_cancel_has_its_own_deadline),
            BOTH_WAYS(test_what_waits_when_the_connection_dies_is_told),
        };

        return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
