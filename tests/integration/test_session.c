/* SPDX-License-Identifier: MIT */
/* A session is its holder's alone, and nothing of it is left for the next one. */
#include "way.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_what_is_open_is_rolled_back(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_session *session;

        run(way_of(state), pool, "DROP TABLE IF EXISTS session_tx");
        run(way_of(state), pool, "CREATE TABLE session_tx (id int)");
        session = session_of(way_of(state), pool);
        session_run(way_of(state), session, "BEGIN");
        session_run(way_of(state), session, "INSERT INTO session_tx VALUES (1)");
        session_run(way_of(state), session, "COMMIT");
        session_run(way_of(state), session, "BEGIN");
        session_run(way_of(state), session, "INSERT INTO session_tx VALUES (2)");
        sp_session_release(session);
        assert_int_equal(number(way_of(state), pool, "SELECT sum(id) FROM session_tx", 0), 1);
        run(way_of(state), pool, "DROP TABLE session_tx");
        sp_pool_free(pool);
}

static void test_session_state_does_not_reach_the_next_holder(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=7s", NULL});
        sp_session *session = session_of(way_of(state), pool);
        int64_t backend = session_number(way_of(state), session, "SELECT pg_backend_pid()");

        session_run(way_of(state), session, "SET work_mem = '77MB'");
        session_run(way_of(state), session, "CREATE TEMP TABLE left_behind (id int)");
        session_run(way_of(state), session, "SELECT pg_advisory_lock(4711)");
        session_run(way_of(state), session, "LISTEN something");
        sp_session_release(session);
        session = session_of(way_of(state), pool);
        assert_int_equal(session_number(way_of(state), session, "SELECT pg_backend_pid()"), backend);
        assert_int_not_equal(
            session_number(way_of(state), session, "SELECT setting::int FROM pg_settings WHERE name = 'work_mem'"),
            77 * 1024);
        assert_int_equal(
            session_number(way_of(state), session, "SELECT count(*) FROM pg_class WHERE relname = 'left_behind'"), 0);
        assert_int_equal(
            session_number(way_of(state), session, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
        assert_int_equal(session_number(way_of(state), session, "SELECT count(*) FROM pg_listening_channels()"), 0);
        /* The pool's own settings are back in force. */
        assert_int_equal(session_number(way_of(state), session,
                                        "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"),
                         7000);
        sp_session_release(session);
        sp_pool_free(pool);
}

/* A function that leaves what a session can have, and what is then found by whoever has its connection. */
static const char *const leavers[] = {
    "CREATE OR REPLACE FUNCTION session_leave() RETURNS int8 LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM set_config('work_mem', '77MB', false), pg_advisory_lock(4711); LISTEN something; "
    "CREATE TEMP TABLE left_behind (id int); SET ROLE sugar; RETURN 1; END $$",
    "CREATE OR REPLACE PROCEDURE session_leave_by_call() LANGUAGE plpgsql AS $$ BEGIN PERFORM session_leave(); END $$"};

static const char left[] =
    "SELECT (SELECT count(*) FROM pg_settings WHERE name = 'work_mem' AND setting = '78848') + "
    "(SELECT count(*) FROM pg_class WHERE relname = 'left_behind') + (SELECT count(*) FROM pg_listening_channels()) + "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) + "
    "(current_user <> session_user)::int";

static const char *const hidden[] = {"SELECT session_leave()", "CALL session_leave_by_call()",
                                     "DO $$ BEGIN PERFORM session_leave(); END $$",
                                     "WITH x AS (SELECT session_leave() AS n) SELECT n FROM x"};
enum { HIDDEN = sizeof hidden / sizeof *hidden };

static sp_pool *pool_with_leavers(void)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});

        for (size_t i = 0; i < sizeof leavers / sizeof *leavers; i++)
                run(&ways[0], pool, leavers[i]);
        return pool;
}

static void done_with_leavers(sp_pool *pool)
{
        run(&ways[0], pool, "DROP PROCEDURE session_leave_by_call");
        run(&ways[0], pool, "DROP FUNCTION session_leave");
        sp_pool_free(pool);
}

static void test_what_a_function_leaves_does_not_reach_the_next_holder(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_leavers();
        int64_t backend = number(way, pool, "SELECT pg_backend_pid()", 0);

        for (size_t i = 0; i < HIDDEN; i++) {
                sp_session *session = session_of(way, pool);

                session_run(way, session, hidden[i]);
                assert_int_equal(session_number(way, session, left), 5);
                sp_session_release(session);
                session = session_of(way, pool);
                assert_int_equal(session_number(way, session, "SELECT pg_backend_pid()"), backend);
                assert_int_equal(session_number(way, session, left), 0);
                /* What was prepared is still known, on both sides. */
                assert_int_not_equal(session_number(way, session, "SELECT count(*) FROM pg_prepared_statements"), 0);
                sp_session_release(session);
        }
        done_with_leavers(pool);
}

static void test_what_a_function_leaves_does_not_reach_its_neighbours(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_leavers();
        int64_t backend = number(way, pool, "SELECT pg_backend_pid()", 0);

        for (size_t i = 0; i < HIDDEN; i++) {
                run(way, pool, hidden[i]);
                assert_int_equal(number(way, pool, left, 0), 0);
                assert_int_equal(number(way, pool, "SELECT pg_backend_pid()", 0), backend);
        }
        done_with_leavers(pool);
}

/* All on their way at once. */
static void test_what_a_function_leaves_does_not_reach_who_is_behind_it(void **state)
{
        enum { PAIRS = 16 };
        sp_pool *pool = pool_with_leavers();
        sp_stmt *leave = stmt_of(hidden[0]), *look = stmt_of(left);
        sp_queue *queue = queue_of();
        sp_completion *done;
        size_t len;

        run(&ways[0], pool, left);
        for (uint64_t i = 0; i < PAIRS; i++) {
                assert_int_equal(sp_pool_query_async(pool, NULL, leave, NULL, queue, 1), SP_OK);
                assert_int_equal(sp_pool_query_async(pool, NULL, look, NULL, queue, 0), SP_OK);
        }
        for (int i = 0; i < 2 * PAIRS; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                assert_string_equal(sp_result_get(sp_completion_result(done), 0, 0, &len),
                                    sp_completion_tag(done) ? "1" : "0");
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_stmt_unref(leave);
        sp_stmt_unref(look);
        done_with_leavers(pool);
}

static void test_who_is_said_to_leave_nothing_is_not_reset(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.reset_functions=false", NULL});
        sp_session *session;

        run(way, pool, "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$");
        assert_int_equal(number(way, pool, left, 0), 1);
        session = session_of(way, pool);
        session_run(way, session, "DO $$ BEGIN PERFORM pg_advisory_lock(4711); END $$");
        sp_session_release(session);
        assert_int_equal(number(way, pool, left, 0), 2);
        /* What is seen to leave something is reset as ever. */
        session = session_of(way, pool);
        session_run(way, session, "SET work_mem = '77MB'");
        sp_session_release(session);
        assert_int_equal(number(way, pool, left, 0), 0);
        sp_pool_free(pool);
}

/* As ALTER ROLE … SET role gives it, too. */
static void test_the_role_of_the_connection_is_back_in_force(void **state)
{
        static const char *const changes[] = {"SET ROLE test", "SET work_mem = '77MB'",
                                              "DO $$ BEGIN SET ROLE test; END $$"};
        const struct way *way = way_of(state);
        const char *url = getenv("DATABASE_URL");
        char setting[256];
        sp_pool *pool;

        snprintf(setting, sizeof setting, "pool.url=%s%coptions=-c%%20role%%3Dsugar", url,
                 strchr(url, '?') ? '&' : '?');
        pool = pool_with((const char *[]){setting, "pool.max=1", NULL});
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                sp_session *session = session_of(way, pool);

                session_run(way, session, changes[i]);
                sp_session_release(session);
                assert_int_equal(number(way, pool, "SELECT (current_user = 'sugar')::int", 0), 1);
        }
        run(way, pool, changes[2]);
        assert_int_equal(number(way, pool, "SELECT (current_user = 'sugar')::int", 0), 1);
        sp_pool_free(pool);
}

static void test_who_holds_sessions_can_still_query(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=3", "pool.acquire_timeout=1s", NULL});
        sp_session *one = session_of(way_of(state), pool), *two = session_of(way_of(state), pool), *three = NULL;
        sp_error *error = NULL;

        assert_int_equal(way_of(state)->acquire(pool, NULL, &three, &error), SP_TIMEOUT);
        assert_null(three);
        assert_string_equal(sp_error_code(error), "acquire");
        says(error, "pool.max is 3", NULL);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_session_release(one);
        three = session_of(way_of(state), pool);
        sp_session_release(three);
        sp_session_release(two);
        sp_pool_free(pool);
}

static void test_an_aborted_transaction_is_clean_for_the_next(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way_of(state), pool);
        sp_stmt *bad = stmt_of("SELECT 1/0");
        sp_result *result;

        session_run(way_of(state), session, "BEGIN");
        assert_int_equal(way_of(state)->session(session, NULL, bad, NULL, &result, NULL), SP_SQL);
        sp_session_release(session);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_stmt_unref(bad);
        sp_pool_free(pool);
}

static void test_a_cancelled_statement_frees_its_connection(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way_of(state), pool);
        sp_stmt *sleep = stmt_of("SELECT pg_sleep(300)");
        sp_ctx *ctx = ctx_of("30ms");
        sp_result *result;

        assert_int_equal(way_of(state)->session(session, ctx, sleep, NULL, &result, NULL), SP_TIMEOUT);
        sp_session_release(session);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_ctx_unref(ctx);
        sp_stmt_unref(sleep);
        sp_pool_free(pool);
}

static void test_a_lost_connection_ends_the_session_not_the_pool(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_session *session = session_of(way_of(state), pool);
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_error *error = NULL;
        sp_result *result = NULL;
        char text[96];

        snprintf(text, sizeof text, "SELECT pg_terminate_backend(%lld)",
                 (long long)session_number(way_of(state), session, "SELECT pg_backend_pid()"));
        run(way_of(state), pool, text);
        /* Until its end is noticed statements may succeed or be lost on the way; from then on the session says so. */
        while (way_of(state)->session(session, NULL, stmt, NULL, &result, &error) != SP_UNAVAILABLE ||
               !strstr(sp_error_message(error), "another session")) {
                sp_result_free(result);
                sp_error_free(error);
                result = NULL;
                error = NULL;
        }
        says(error, "acquire another session", NULL);
        sp_session_release(session);
        assert_int_equal(number(way_of(state), pool, "SELECT 5", 0), 5);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

/* What the pool had prepared there went along. */
static void test_who_forgets_all_statements_can_still_run_them(void **state)
{
        static const char *const texts[] = {"DEALLOCATE ALL", "DISCARD ALL"};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way, pool);

        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        for (int i = 0; i < 2; i++) {
                session_run(way, session, texts[i]);
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                assert_int_equal(session_number(way, session, "SELECT 5"), 5);
                assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        }
        sp_session_release(session);
        sp_pool_free(pool);
}

/* Of one statement there is room, and in a transaction that failed nothing can be deallocated: later ones do not suffer from it. */
static void test_what_could_not_be_forgotten_harms_no_later_transaction(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statements=1", NULL});
        sp_stmt *divide = stmt_of("SELECT 10 / n FROM session_tx"), *other = stmt_of("SELECT 6");
        sp_session *session = session_of(way, pool);
        sp_result *result = NULL;

        session_run(way, session, "DROP TABLE IF EXISTS session_tx");
        session_run(way, session, "CREATE TABLE session_tx AS SELECT 0 AS n");
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(way->session(session, NULL, divide, NULL, &result, NULL), SP_SQL);
        assert_int_equal(way->session(session, NULL, other, NULL, &result, NULL), SP_SQL);
        sp_session_release(session);
        run(way, pool, "UPDATE session_tx SET n = 5");
        session = session_of(way, pool);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(session_number(way, session, "SELECT 10 / n FROM session_tx"), 2);
        sp_session_release(session);
        run(way, pool, "DROP TABLE session_tx");
        sp_stmt_unref(divide);
        sp_stmt_unref(other);
        sp_pool_free(pool);
}

/* A statement that has to be prepared again does not come behind what was given after it. */
static void test_statements_keep_their_order_whatever_heals(void **state)
{
        static const char *const texts[] = {"DEALLOCATE ALL", "INSERT INTO session_order (n) VALUES (1)",
                                            "INSERT INTO session_order (n) VALUES (2)"};
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_queue *queue = queue_of();
        sp_session *session;

        run(&ways[0], pool, "DROP TABLE IF EXISTS session_order");
        run(&ways[0], pool, "CREATE TABLE session_order (at serial, n int)");
        session = session_of(&ways[0], pool);
        for (int round = 0; round < 20; round++) {
                session_run(&ways[0], session, texts[1]);
                session_run(&ways[0], session, "DELETE FROM session_order");
                for (uint64_t i = 0; i < 3; i++) {
                        sp_stmt *stmt = stmt_of(texts[i]);

                        assert_int_equal(sp_session_query_async(session, NULL, stmt, NULL, queue, i), SP_OK);
                        sp_stmt_unref(stmt);
                }
                for (int i = 0; i < 3; i++) {
                        sp_completion *done;

                        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                        sp_completion_free(done);
                }
                assert_int_equal(session_number(&ways[0], session,
                                                "SELECT count(*) FROM session_order a, session_order b "
                                                "WHERE a.n = 1 AND b.n = 2 AND a.at > b.at"),
                                 0);
        }
        sp_session_release(session);
        run(&ways[0], pool, "DROP TABLE session_order");
        sp_queue_free(queue);
        sp_pool_free(pool);
}

/* Its PREPARE failed with the transaction that what precedes it took back. */
static void test_what_is_behind_a_rollback_does_not_rely_on_what_was_before(void **state)
{
        static const char *const texts[] = {"SELECT 1/0", "SELECT 4", "ROLLBACK", "SELECT 4", "SELECT 1"};
        static const sp_status expected[] = {SP_SQL, SP_SQL, SP_OK, SP_OK, SP_OK};
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_session *session = session_of(&ways[0], pool);
        sp_queue *queue = queue_of();
        sp_completion *done;

        for (int round = 0; round < 2; round++) {
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                for (uint64_t i = 0; i < 5; i++) {
                        sp_stmt *stmt = stmt_of(texts[i]);

                        assert_int_equal(sp_session_query_async(session, NULL, stmt, NULL, queue, i), SP_OK);
                        sp_stmt_unref(stmt);
                }
                for (int i = 0; i < 5; i++) {
                        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                        assert_int_equal(sp_completion_status(done), expected[sp_completion_tag(done)]);
                        sp_completion_free(done);
                }
        }
        assert_int_equal(session_number(&ways[0], session, "SELECT 4"), 4);
        sp_session_release(session);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

/* DISCARD ALL leaves the seed as it is. */
static void test_what_no_reset_takes_back_goes_with_its_connection(void **state)
{
        static const char *const texts[] = {"SELECT setseed(0.5)", "SET seed = 0.5"};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        int64_t pid;

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                sp_session *session = session_of(way, pool);

                pid = session_number(way, session, "SELECT pg_backend_pid()");
                session_run(way, session, texts[i]);
                sp_session_release(session);
                assert_int_not_equal(number(way, pool, "SELECT pg_backend_pid()", 0), pid);
        }
        sp_pool_free(pool);
}

static void test_a_session_that_nobody_took_goes_back(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_completion *done;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        sp_completion_free(done);
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        while (sp_pool_active(pool) == 0)
                sched_yield();
        sp_queue_free(queue);
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
        sp_pool_free(pool);
}

static void test_a_session_without_a_statement_goes_on(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_session *session = session_of(way_of(state), pool);
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(way_of(state)->session(session, NULL, NULL, NULL, &result, NULL), SP_INVALID);
        assert_int_equal(sp_session_query(session, NULL, NULL, NULL, &result, &error), SP_INVALID);
        says(error, "sp_session_query(): stmt is NULL", NULL);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, NULL, &error), SP_INVALID);
        says(error, "sp_session_query(): out is NULL", NULL);
        assert_int_equal(sp_session_query_async(session, NULL, stmt, NULL, NULL, 1), SP_INVALID);
        assert_null(result);
        assert_int_equal(session_number(way_of(state), session, "SELECT 7"), 7);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_who_comes_when_enough_wait_is_told_so(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.waiting=1", "pool.acquire_timeout=20s", NULL});
        sp_session *session = session_of(way, pool);
        sp_queue *queue = queue_of();
        sp_completion *done;

        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 42), SP_OK);
        while (sp_pool_waiting(pool) == 0)
                sched_yield();
        says(fails(way, pool, NULL, "SELECT 1", SP_FULL), "1 callers wait for a connection already (pool.waiting)",
             NULL);
        sp_session_release(session);
        done = queue_completion(queue);
        assert_int_equal(sp_completion_status(done), SP_OK);
        sp_completion_free(done);
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_who_comes_when_enough_wait_is_told_so),
            BOTH_WAYS(test_what_is_open_is_rolled_back),
            BOTH_WAYS(test_session_state_does_not_reach_the_next_holder),
            BOTH_WAYS(test_what_no_reset_takes_back_goes_with_its_connection),
            BOTH_WAYS(test_what_a_function_leaves_does_not_reach_the_next_holder),
            BOTH_WAYS(test_what_a_function_leaves_does_not_reach_its_neighbours),
            cmocka_unit_test(test_what_a_function_leaves_does_not_reach_who_is_behind_it),
            BOTH_WAYS(test_who_is_said_to_leave_nothing_is_not_reset),
            BOTH_WAYS(test_the_role_of_the_connection_is_back_in_force),
            BOTH_WAYS(test_who_holds_sessions_can_still_query),
            BOTH_WAYS(test_an_aborted_transaction_is_clean_for_the_next),
            BOTH_WAYS(test_a_cancelled_statement_frees_its_connection),
            BOTH_WAYS(test_a_lost_connection_ends_the_session_not_the_pool),
            BOTH_WAYS(test_a_session_without_a_statement_goes_on),
            BOTH_WAYS(test_who_forgets_all_statements_can_still_run_them),
            BOTH_WAYS(test_what_could_not_be_forgotten_harms_no_later_transaction),
            cmocka_unit_test(test_statements_keep_their_order_whatever_heals),
            cmocka_unit_test(test_what_is_behind_a_rollback_does_not_rely_on_what_was_before),
            cmocka_unit_test(test_a_session_that_nobody_took_goes_back),
        };

        return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
