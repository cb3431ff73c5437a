/* SPDX-License-Identifier: MIT */
/* What comes at a bad moment: an end of a transaction whose time is over, a COPY behind what is held back. */
#include "way.h"

#include <sched.h>
#include <stdlib.h>

enum verb { COMMIT, ROLLBACK };

static sp_status end_under(const struct way *way, sp_session *session, sp_ctx *ctx, enum verb verb)
{
        sp_queue *queue;
        sp_status status;

        if (!queued(way))
                return verb == COMMIT ? sp_session_commit(session, ctx, NULL) : sp_session_rollback(session, ctx, NULL);
        queue = queue_of();
        status = verb == COMMIT ? sp_session_commit_async(session, ctx, queue, 42)
                                : sp_session_rollback_async(session, ctx, queue, 42);
        if (status == SP_OK)
                status = queue_outcome(queue, NULL);
        sp_queue_free(queue);
        return status;
}

static sp_status attempt(const struct way *way, sp_session *session, sp_ctx *ctx, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_status status = way->session(session, ctx, stmt, NULL, &result, NULL);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

static void test_an_end_whose_time_is_over_is_told_and_leaves_the_transaction(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);

        for (enum verb verb = COMMIT; verb <= ROLLBACK; verb++) {
                sp_ctx *late = ctx_of("5ms"), *cancelled = ctx_of("60s");

                sp_ctx_cancel(cancelled);
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                assert_int_equal(attempt(way, session, NULL, "CREATE TABLE never (id int)"), SP_OK);
                assert_int_equal(end_under(way, session, cancelled, verb), SP_CANCELLED);
                assert_int_equal(attempt(way, session, late, "SELECT pg_sleep(300)"), SP_TIMEOUT);
                assert_int_equal(end_under(way, session, late, verb), SP_TIMEOUT);
                assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
                sp_ctx_unref(late);
                sp_ctx_unref(cancelled);
        }
        assert_int_equal(session_number(way, session, "SELECT count(*) FROM pg_class WHERE relname = 'never'"), 0);
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_a_commit_cancelled_while_it_is_answered_has_one_answer(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_queue *queue = queue_of();
        sp_completion *done;

        for (unsigned i = 0; i < 200; i++) {
                sp_session *session = session_of(&ways[0], pool);
                sp_ctx *ctx = ctx_of("60s");
                sp_status status;

                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                assert_int_equal(session_number(&ways[0], session, "SELECT 5"), 5);
                assert_int_equal(sp_session_commit_async(session, ctx, queue, 42), SP_OK);
                for (unsigned turn = 0; turn < i; turn++)
                        sched_yield();
                sp_ctx_cancel(ctx);
                done = queue_completion(queue);
                status = sp_completion_status(done);
                assert_true(status == SP_OK || status == SP_CANCELLED);
                sp_completion_free(done);
                sp_ctx_unref(ctx);
                sp_session_release(session);
        }
        assert_int_equal(sp_queue_wait(queue, &done, 1, 0), 0);
        sp_queue_free(queue);
        sp_pool_free(pool);
}

/* What was held back behind a BEGIN is sent by the engine, which must not ask for its turn for ever. */
static void test_a_copy_held_back_with_a_statement_waits_for_it(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(&ways[0], pool);
        sp_stmt *sleep = stmt_of("SELECT pg_sleep(0.02)"), *stmt = stmt_of("COPY (SELECT 5) TO STDOUT");
        sp_queue *queue = queue_of();
        sp_completion *done;
        sp_copy *copy = NULL;

        assert_int_equal(sp_session_query_async(session, NULL, sleep, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_session_begin_async(session, NULL, NULL, queue, 2), SP_OK);
        assert_int_equal(sp_session_query_async(session, NULL, sleep, NULL, queue, 3), SP_OK);
        assert_int_equal(sp_session_copy_async(session, NULL, stmt, queue, 4), SP_OK);
        while (!copy) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, 20000), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                copy = sp_completion_take_copy(done);
                sp_completion_free(done);
        }
        sp_copy_free(copy);
        sp_session_release(session);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_stmt_unref(sleep);
        sp_pool_free(pool);
}

/* Who gave up a COPY before it began has nothing that he could end. */
static void test_behind_a_copy_that_was_given_up_the_session_goes_on(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL});
        sp_stmt *stmt = stmt_of("COPY turn_locked FROM STDIN");
        sp_session *session, *locker;
        sp_queue *queue = queue_of();
        sp_ctx *ctx = sp_ctx_new(NULL);

        run(way, pool, "DROP TABLE IF EXISTS turn_locked");
        run(way, pool, "CREATE TABLE turn_locked (id int)");
        session = session_of(way, pool);
        locker = session_of(way, pool);
        session_run(way, locker, "BEGIN");
        session_run(way, locker, "LOCK turn_locked");
        assert_int_equal(sp_session_copy_async(session, ctx, stmt, queue, 42), SP_OK);
        while (number(way, pool,
                      "SELECT count(*) FROM pg_locks WHERE relation = 'turn_locked'::regclass AND NOT granted", 0) == 0)
                sched_yield();
        sp_ctx_cancel(ctx);
        assert_int_equal(queue_outcome(queue, NULL), SP_CANCELLED);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_session_release(locker);
        sp_session_release(session);
        run(way, pool, "DROP TABLE turn_locked");
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_an_end_whose_time_is_over_is_told_and_leaves_the_transaction),
            cmocka_unit_test(test_a_commit_cancelled_while_it_is_answered_has_one_answer),
            cmocka_unit_test(test_a_copy_held_back_with_a_statement_waits_for_it),
            BOTH_WAYS(test_behind_a_copy_that_was_given_up_the_session_goes_on),
        };

        return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
