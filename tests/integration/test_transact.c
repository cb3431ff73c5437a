/* SPDX-License-Identifier: MIT */
/* sp_pool_transact(): all or nothing, and again where the server asks for it, but not without end. */
#include "way.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static sp_status do_text(sp_session *session, const char *text, sp_error **error)
{
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_status status = sp_session_query(session, NULL, stmt, NULL, &result, error);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

/* A rival changes the row between the transaction's look and its own change, `rivalries` times. */
struct work {
        sp_pool *pool;
        int calls, rivalries;
        sp_status answer;
};

static sp_status contend(void *arg, sp_session *session, sp_error **error)
{
        struct work *work = arg;
        sp_status status = do_text(session, "SELECT n FROM transact WHERE id = 1", error);

        if (work->calls++ < work->rivalries)
                run(&ways[0], work->pool, "UPDATE transact SET n = n + 100 WHERE id = 1");
        if (status == SP_OK)
                status = do_text(session, "UPDATE transact SET n = n + 1 WHERE id = 1", error);
        return status == SP_OK ? work->answer : status;
}

static sp_pool *pool_with_row(const char *const settings[])
{
        sp_pool *pool = pool_with(settings);

        run(&ways[0], pool, "DROP TABLE IF EXISTS transact");
        run(&ways[0], pool, "CREATE TABLE transact (id int PRIMARY KEY, n int)");
        run(&ways[0], pool, "INSERT INTO transact VALUES (1, 0)");
        return pool;
}

static void done(sp_pool *pool)
{
        run(&ways[0], pool, "DROP TABLE transact");
        sp_pool_free(pool);
}

static void test_a_serialization_failure_is_tried_again(void **state)
{
        sp_pool *pool = pool_with_row(NULL);
        struct work work = {.pool = pool, .rivalries = 2};
        sp_error *error = NULL;

        if (sp_pool_transact(pool, NULL, "repeatable read", contend, &work, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        assert_int_equal(work.calls, 3);
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 2);
        assert_int_equal(number(&ways[0], pool, "SELECT n FROM transact", 0), 201);
        done(pool);
}

static void test_it_is_not_tried_without_end(void **state)
{
        sp_pool *pool = pool_with_row((const char *[]){"pool.tx_attempts=3", NULL});
        struct work work = {.pool = pool, .rivalries = 1000};
        sp_error *error = NULL;

        assert_int_equal(sp_pool_transact(pool, NULL, "repeatable read", contend, &work, &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "40001");
        assert_int_equal(work.calls, 3);
        assert_int_equal(number(&ways[0], pool, "SELECT n FROM transact", 0), 300);
        sp_error_free(error);
        done(pool);
}

static sp_status deadlock(void *arg, sp_session *session, sp_error **error)
{
        int *calls = arg;

        if ((*calls)++ > 0)
                return SP_OK;
        return do_text(session, "DO $$BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = '40P01'; END$$", error);
}

static void test_a_deadlock_is_tried_again(void **state)
{
        sp_pool *pool = pool_with(NULL);
        int calls = 0;

        assert_int_equal(sp_pool_transact(pool, NULL, NULL, deadlock, &calls, NULL), SP_OK);
        assert_int_equal(calls, 2);
        sp_pool_free(pool);
}

struct reading {
        sp_stmt *stmt;
        int calls;
};

static sp_status read_all(void *arg, sp_session *session, sp_error **error)
{
        struct reading *reading = arg;
        sp_result *result = NULL;
        sp_status status = sp_session_query(session, NULL, reading->stmt, NULL, &result, error);

        reading->calls++;
        sp_result_free(result);
        return status;
}

static void test_what_the_pool_had_prepared_before_a_change_is_tried_again(void **state)
{
        sp_pool *pool = pool_with_row((const char *[]){"pool.max=1", NULL}), *other = pool_with(NULL);
        struct reading reading = {.stmt = stmt_of("SELECT * FROM transact")};

        assert_int_equal(sp_pool_transact(pool, NULL, NULL, read_all, &reading, NULL), SP_OK);
        run(&ways[0], other, "ALTER TABLE transact ADD COLUMN more int");
        assert_int_equal(sp_pool_transact(pool, NULL, NULL, read_all, &reading, NULL), SP_OK);
        assert_int_equal(reading.calls, 3);
        sp_stmt_unref(reading.stmt);
        sp_pool_free(other);
        done(pool);
}

/* For loops of the caller's own, the bindings' among them; also where the error that he sees is the COMMIT's. */
static void test_the_error_of_what_was_prepared_before_a_change_says_so(void **state)
{
        sp_pool *pool = pool_with_row((const char *[]){"pool.max=1", NULL}), *other = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT * FROM transact");
        sp_queue *queue = queue_of();
        sp_completion *answer;
        sp_result *result = NULL;
        sp_session *session;
        sp_error *error = NULL;
        size_t len;

        assert_int_equal(sp_pool_query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        run(&ways[0], other, "ALTER TABLE transact ADD COLUMN more int");
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, &error), SP_SQL);
        assert_true(sp_error_retryable(error));
        assert_int_equal(sp_pool_retry_pause(pool, error, 1), 0);
        assert_int_equal(sp_pool_retry_async(pool, NULL, sp_error_code(error), 1, queue, 42), SP_OK);
        sp_error_free(error);
        answer = queue_completion(queue);
        assert_memory_equal(sp_value_data(sp_completion_value(answer), &len), "true", 4);
        sp_completion_free(answer);
        assert_int_equal(sp_session_commit(session, NULL, &error), SP_SQL);
        assert_int_equal(sp_pool_retry_pause(pool, error, 1), 0);
        sp_error_free(error);
        /* The next transaction that fails does so by itself. */
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        stmt = stmt_of("SELECT 1/0");
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_SQL);
        assert_int_equal(sp_session_commit(session, NULL, &error), SP_SQL);
        assert_int_equal(sp_pool_retry_pause(pool, error, 1), -1);
        sp_error_free(error);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        sp_queue_free(queue);
        sp_pool_free(other);
        done(pool);
}

static sp_status divide(void *arg, sp_session *session, sp_error **error)
{
        ++*(int *)arg;
        return do_text(session, "SELECT 1/0", error);
}

static void test_other_failures_are_not(void **state)
{
        sp_pool *pool = pool_with_row(NULL);
        struct work work = {.pool = pool, .answer = SP_NOT_FOUND};
        sp_error *error = NULL;
        int calls = 0;

        assert_int_equal(sp_pool_transact(pool, NULL, NULL, divide, &calls, &error), SP_SQL);
        assert_int_equal(calls, 1);
        sp_error_free(error);
        error = NULL;
        /* What the work did is taken back when it says so, also without an error of its own. */
        assert_int_equal(sp_pool_transact(pool, NULL, NULL, contend, &work, &error), SP_NOT_FOUND);
        says(error, "work failed", NULL);
        assert_int_equal(work.calls, 1);
        assert_int_equal(number(&ways[0], pool, "SELECT n FROM transact", 0), 0);
        error = NULL;
        assert_int_equal(sp_pool_transact(pool, NULL, "no such", contend, &work, &error), SP_INVALID);
        says(error, "unknown transaction option", NULL);
        assert_int_equal(work.calls, 1);
        done(pool);
}

static void test_the_pause_ends_with_the_context(void **state)
{
        sp_pool *pool = pool_with_row((const char *[]){"pool.tx_backoff=60s", "pool.tx_attempts=50", NULL});
        struct work work = {.pool = pool, .rivalries = 1000};
        sp_ctx *ctx = ctx_of("300ms");
        sp_error *error = NULL;
        sp_status status = sp_pool_transact(pool, ctx, "repeatable read", contend, &work, &error);

        /* The pause is longer than what is left (then the failure itself is the answer), or its time ends in a statement. */
        assert_true(status == SP_SQL || status == SP_TIMEOUT);
        sp_error_free(error);
        sp_ctx_unref(ctx);
        done(pool);
}

static sp_status outlast(void *arg, sp_session *session, sp_error **error)
{
        sp_status status = do_text(session, "UPDATE transact SET n = 7", error);

        return status == SP_OK ? do_text(session, "SELECT pg_sleep(0.05)", error) : status;
}

static void test_work_that_outlasts_its_context_is_undone(void **state)
{
        sp_pool *pool = pool_with_row(NULL);
        sp_ctx *ctx = ctx_of("25ms");
        sp_error *error = NULL;

        assert_int_equal(sp_pool_transact(pool, ctx, NULL, outlast, NULL, &error), SP_TIMEOUT);
        sp_error_free(error);
        sp_ctx_unref(ctx);
        assert_int_not_equal(number(&ways[0], pool, "SELECT n FROM transact", 0), 7);
        done(pool);
}

static void test_pauses_are_bounded_and_end(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.tx_attempts=20", "pool.tx_backoff=10ms", NULL});
        sp_error *error = NULL, *other = NULL;
        int calls = 0;
        bool paused = false;

        calls = 0;
        assert_int_equal(sp_pool_transact(pool, NULL, NULL, divide, &calls, &other), SP_SQL);
        error = fails(&ways[0], pool, NULL, "DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END$$", SP_SQL);
        for (int64_t i = 1; i < 20; i++) {
                int64_t pause = sp_pool_retry_pause(pool, error, i);

                assert_in_range(pause, 0, i < 7 ? 10 << (i - 1) : 640);
                paused |= pause > 0;
        }
        assert_true(paused);
        assert_int_equal(sp_pool_retry_pause(pool, error, 20), -1);
        assert_int_equal(sp_pool_retry_pause(pool, error, 0), -1);
        assert_int_equal(sp_pool_retry_pause(pool, NULL, 1), -1);
        assert_int_equal(sp_pool_retry_pause(pool, other, 1), -1);
        sp_error_free(error);
        sp_error_free(other);
        sp_pool_free(pool);
}

static sp_status add(void *arg, sp_session *session, sp_error **error)
{
        sp_status status = do_text(session, "SELECT n FROM transact WHERE id = 1", error);

        return status == SP_OK ? do_text(session, "UPDATE transact SET n = n + 1 WHERE id = 1", error) : status;
}

static void *adder(void *arg)
{
        for (int i = 0; i < 10; i++) {
                if (sp_pool_transact(arg, NULL, "serializable", add, NULL, NULL) != SP_OK)
                        return arg;
        }
        return NULL;
}

static void test_rivals_all_succeed(void **state)
{
        sp_pool *pool = pool_with_row((const char *[]){"pool.tx_attempts=100", "pool.tx_backoff=1ms", NULL});
        pthread_t threads[4];
        void *failed;

        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, adder, pool), 0);
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], &failed);
                assert_null(failed);
        }
        assert_int_equal(number(&ways[0], pool, "SELECT n FROM transact", 0), 40);
        done(pool);
}

/* Whether the transaction is to be made again, as a loop of one's own asks. */
static sp_status asked_again(sp_pool *pool, sp_ctx *ctx, const char *code, int64_t attempt, bool *again)
{
        sp_queue *queue;
        sp_completion *done;
        sp_status status;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        status = sp_pool_retry_async(pool, ctx, code, attempt, queue, 42);
        if (status == SP_OK) {
                done = queue_completion(queue);
                status = sp_completion_status(done);
                if (status == SP_OK)
                        *again = strcmp(sp_value_data(sp_completion_value(done), &len), "true") == 0;
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        return status;
}

static void test_a_loop_of_ones_own_is_told_when(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.tx_attempts=3", "pool.tx_backoff=1ms", NULL});
        bool again = false;

        assert_int_equal(asked_again(pool, NULL, "40001", 1, &again), SP_OK);
        assert_true(again);
        assert_int_equal(asked_again(pool, NULL, "40P01", 2, &again), SP_OK);
        assert_true(again);
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 2);
        assert_int_equal(asked_again(pool, NULL, "40001", 3, &again), SP_OK);
        assert_false(again);
        again = true;
        assert_int_equal(asked_again(pool, NULL, "23505", 1, &again), SP_OK);
        assert_false(again);
        again = true;
        assert_int_equal(asked_again(pool, NULL, NULL, 1, &again), SP_OK);
        assert_false(again);
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 2);
        sp_pool_close(pool);
        assert_int_equal(asked_again(pool, NULL, "40001", 1, &again), SP_CLOSED);
        sp_pool_free(pool);
}

static void test_such_a_pause_ends_with_its_context(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.tx_attempts=50", "pool.tx_backoff=1m", NULL});
        sp_ctx *ctx = sp_ctx_new(NULL), *late = ctx_of("1ms");
        sp_completion *done;
        sp_queue *queue;
        bool again = true;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_retry_async(pool, ctx, "40001", 49, queue, 42), SP_OK);
        sp_ctx_cancel(ctx);
        done = queue_completion(queue);
        assert_int_equal(sp_completion_status(done), SP_CANCELLED);
        sp_completion_free(done);
        assert_int_equal(asked_again(pool, ctx, "40001", 1, &again), SP_CANCELLED);
        /* An hour at most, of which less than a millisecond may be drawn, but hardly. */
        assert_int_equal(asked_again(pool, late, "40001", 49, &again), SP_OK);
        assert_false(again);
        sp_queue_free(queue);
        sp_ctx_unref(ctx);
        sp_ctx_unref(late);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_serialization_failure_is_tried_again),
            cmocka_unit_test(test_it_is_not_tried_without_end),
            cmocka_unit_test(test_a_deadlock_is_tried_again),
            cmocka_unit_test(test_what_the_pool_had_prepared_before_a_change_is_tried_again),
            cmocka_unit_test(test_the_error_of_what_was_prepared_before_a_change_says_so),
            cmocka_unit_test(test_other_failures_are_not),
            cmocka_unit_test(test_the_pause_ends_with_the_context),
            cmocka_unit_test(test_work_that_outlasts_its_context_is_undone),
            cmocka_unit_test(test_pauses_are_bounded_and_end),
            cmocka_unit_test(test_rivals_all_succeed),
            cmocka_unit_test(test_a_loop_of_ones_own_is_told_when),
            cmocka_unit_test(test_such_a_pause_ends_with_its_context),
        };

        return cmocka_run_group_tests_name("transact", tests, NULL, NULL);
}
