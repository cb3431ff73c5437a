/* SPDX-License-Identifier: MIT */
/* What is held of a pool outlives it: it answers SP_CLOSED, and is freed as ever. */
#include "way.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static sp_status ask(const struct way *way, sp_session *session, sp_error **error)
{
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_result *result = NULL;
        sp_status status = way->session(session, NULL, stmt, NULL, &result, error);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

static void test_a_session_whose_pool_is_gone_is_closed(void **state)
{
        sp_pool *pool = pool_with(NULL), *other = pool_with(NULL);
        sp_session *idle = session_of(way_of(state), pool), *busy = session_of(way_of(state), pool);
        sp_error *error = NULL;

        run(&ways[0], other, "DROP TABLE IF EXISTS handles_tx");
        run(&ways[0], other, "CREATE TABLE handles_tx (id int)");
        assert_int_equal(sp_session_begin(busy, NULL, NULL, NULL), SP_OK);
        session_run(way_of(state), busy, "INSERT INTO handles_tx VALUES (1)");
        sp_pool_free(pool);
        assert_int_equal(ask(way_of(state), idle, &error), SP_CLOSED);
        sp_error_free(error);
        assert_int_equal(ask(way_of(state), busy, NULL), SP_CLOSED);
        assert_int_equal(sp_session_commit(busy, NULL, NULL), SP_CLOSED);
        /* Which waits for the lock of the transaction, if it were still open. */
        run(&ways[0], other, "TRUNCATE handles_tx");
        sp_session_release(idle);
        sp_session_release(busy);
        run(&ways[0], other, "DROP TABLE handles_tx");
        sp_pool_free(other);
}

static void test_streams_copies_and_listeners_too(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL});
        sp_stmt *rows = stmt_of("SELECT generate_series(1, 100)"), *out = stmt_of("COPY (SELECT 1) TO STDOUT");
        sp_session *session = session_of(way_of(state), pool);
        sp_result *page = NULL;
        sp_value *value = NULL;
        sp_listener *listener;
        sp_stream *stream;
        sp_copy *copy;

        assert_int_equal(sp_pool_stream(pool, NULL, rows, NULL, 10, &stream, NULL), SP_OK);
        assert_int_equal(sp_stream_next(stream, NULL, &page, NULL), SP_OK);
        assert_int_equal(sp_session_copy(session, NULL, out, &copy, NULL), SP_OK);
        assert_int_equal(sp_pool_listen(pool, "handles", &listener, NULL), SP_OK);
        assert_int_equal(sp_listener_next(listener, NULL, &value, NULL), SP_OK);
        sp_pool_free(pool);
        sp_result_free(page);
        sp_value_unref(value);
        assert_int_equal(sp_stream_next(stream, NULL, &page, NULL), SP_CLOSED);
        assert_int_equal(sp_copy_read(copy, NULL, &value, NULL), SP_CLOSED);
        assert_int_equal(sp_copy_end(copy, NULL, NULL, NULL), SP_CLOSED);
        assert_int_equal(sp_listener_next(listener, NULL, &value, NULL), SP_CLOSED);
        /* In an order that nobody would choose. */
        sp_session_release(session);
        sp_copy_free(copy);
        sp_stream_free(stream);
        sp_listener_free(listener);
        sp_stmt_unref(rows);
        sp_stmt_unref(out);
}

static void test_what_lies_in_a_queue_too(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *rows = stmt_of("SELECT generate_series(1, 100)");
        sp_queue *queue = queue_of();
        sp_completion *taken[2];

        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_pool_stream_async(pool, NULL, rows, NULL, 10, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, taken, 1, -1), 1);
        assert_int_equal(sp_queue_wait(queue, taken + 1, 1, -1), 1);
        assert_int_equal(sp_pool_acquire_async(pool, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_pool_drain(pool, -1), SP_OK);
        sp_pool_free(pool);
        sp_completion_free(taken[0]);
        sp_completion_free(taken[1]);
        sp_queue_free(queue);
        sp_stmt_unref(rows);
}

static void test_a_clients_pools_too(void **state)
{
        sp_config *config = config_with(NULL);
        sp_session *session = NULL;
        sp_client *client;

        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        sp_config_free(config);
        session = session_of(way_of(state), sp_client_pool(client, NULL));
        assert_int_equal(ask(way_of(state), session, NULL), SP_OK);
        sp_client_free(client);
        assert_int_equal(ask(way_of(state), session, NULL), SP_CLOSED);
        sp_session_release(session);
}

struct holder {
        const struct way *way;
        sp_session *session;
        atomic_int *asked;
        pthread_t thread;
};

static void *hold(void *arg)
{
        struct holder *holder = arg;
        sp_status status;

        do {
                status = ask(holder->way, holder->session, NULL);
                atomic_fetch_add(holder->asked, 1);
        } while (status == SP_OK);
        sp_session_release(holder->session);
        return (void *)(uintptr_t)(status != SP_CLOSED && status != SP_UNAVAILABLE && status != SP_LOST);
}

static void test_holders_and_the_end_of_the_pool_race(void **state)
{
        enum { ROUNDS = 20, HOLDERS = 4 };

        for (int round = 0; round < ROUNDS; round++) {
                sp_pool *pool = pool_with((const char *[]){"pool.max=8", NULL});
                struct holder holders[HOLDERS];
                atomic_int asked = 0;
                void *wrong;

                for (size_t i = 0; i < HOLDERS; i++)
                        holders[i] = (struct holder){way_of(state), session_of(way_of(state), pool), &asked, 0};
                for (size_t i = 0; i < HOLDERS; i++)
                        pthread_create(&holders[i].thread, NULL, hold, &holders[i]);
                while (atomic_load(&asked) < round * HOLDERS)
                        sched_yield();
                sp_pool_free(pool);
                for (size_t i = 0; i < HOLDERS; i++) {
                        pthread_join(holders[i].thread, &wrong);
                        assert_null(wrong);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_session_whose_pool_is_gone_is_closed),
            BOTH_WAYS(test_a_clients_pools_too),
            BOTH_WAYS(test_holders_and_the_end_of_the_pool_race),
            cmocka_unit_test_prestate(test_streams_copies_and_listeners_too, (void *)(uintptr_t)&ways[0]),
            cmocka_unit_test(test_what_lies_in_a_queue_too),
        };

        return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
