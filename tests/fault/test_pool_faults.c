/* SPDX-License-Identifier: MIT */
/* PostgreSQL is stopped, killed and started again under the pool. SP_TEST_SERVERS names the set that may be harmed. */
#include "../integration/way.h"
#include "../support/ctl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool of_a_server_away(sp_status status)
{
        return status == SP_UNAVAILABLE || status == SP_LOST || status == SP_TIMEOUT;
}

/* Until the server answers again: each failure in between must be one of a server that is away. */
static void recovers(const struct way *way, sp_pool *pool)
{
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_result *result = NULL;
        sp_status status;

        while ((status = way->query(pool, NULL, stmt, NULL, &result, NULL)) != SP_OK)
                assert_true(of_a_server_away(status));
        sp_result_free(result);
        sp_stmt_unref(stmt);
}

static void test_a_stopped_server_is_unavailable_and_its_return_is_noticed(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_value *health;

        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        control("stop", "pg");
        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "127.0.0.1", NULL);
        assert_int_equal(sp_pool_health(pool, NULL, &health), SP_OK);
        sp_value_unref(health);
        control("start", "pg");
        recovers(way_of(state), pool);
        sp_pool_free(pool);
}

struct load {
        const struct way *way;
        sp_pool *pool;
        atomic_bool stop;
        atomic_int wrong, answers;
};

static void *load_body(void *arg)
{
        struct load *load = arg;
        sp_stmt *stmt = stmt_of("SELECT $1::int8");

        for (int64_t i = 0; !atomic_load(&load->stop); i++) {
                sp_params *params = sp_params_new();
                sp_result *result = NULL;
                sp_error *error = NULL;
                sp_status status;
                size_t len;
                bool good;

                sp_params_add_int(params, i);
                status = load->way->query(load->pool, NULL, stmt, params, &result, &error);
                good = status == SP_OK ? strtoll(sp_result_get(result, 0, 0, &len), NULL, 10) == i
                                       : of_a_server_away(status);
                if (!good) {
                        printf("# %s: %s\n", sp_status_name(status),
                               error ? sp_error_message(error) : "another's answer");
                        atomic_fetch_add(&load->wrong, 1);
                }
                atomic_fetch_add(&load->answers, 1);
                sp_error_free(error);
                sp_result_free(result);
                sp_params_free(params);
        }
        sp_stmt_unref(stmt);
        return NULL;
}

static void test_a_server_killed_under_load_costs_no_caller_its_answer(void **state)
{
        struct load load = {.way = way_of(state), .pool = pool_with(NULL)};
        pthread_t threads[16];

        for (size_t i = 0; i < 16; i++)
                pthread_create(&threads[i], NULL, load_body, &load);
        while (atomic_load(&load.answers) < 100)
                sched_yield();
        control("kill", "pg");
        control("start", "pg");
        recovers(way_of(state), load.pool);
        control("restart", "pg");
        recovers(way_of(state), load.pool);
        atomic_store(&load.stop, true);
        for (size_t i = 0; i < 16; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&load.wrong), 0);
        assert_int_equal(sp_pool_drain(load.pool, 0), SP_OK);
        assert_int_equal(sp_pool_active(load.pool), 0);
        sp_pool_free(load.pool);
}

/* A notice may come once more, where a connection was lost again before anything was heard on it. */
static void hears(sp_listener *listener, const char *expected)
{
        bool heard = false;

        while (!heard) {
                sp_value *value = NULL;
                const char *text;
                size_t len;

                assert_int_equal(sp_listener_next(listener, NULL, &value, NULL), SP_OK);
                text = sp_value_data(value, &len);
                heard = strstr(text, expected) != NULL;
                if (!heard && !strstr(text, "\"lost\":true"))
                        fail_msg("%s is not %s", text, expected);
                sp_value_unref(value);
        }
}

static void test_a_listener_outlives_the_server(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_listener *listener;

        assert_int_equal(sp_pool_listen(pool, "outlives", &listener, NULL), SP_OK);
        hears(listener, "\"lost\":false");
        for (int i = 0; i < 2; i++) {
                control(i ? "kill" : "stop", "pg");
                control("start", "pg");
                hears(listener, "\"lost\":true");
                recovers(way_of(state), pool);
                run(way_of(state), pool, "SELECT pg_notify('outlives', 'still')");
                hears(listener, "\"payload\":\"still\"");
        }
        sp_listener_free(listener);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_stopped_server_is_unavailable_and_its_return_is_noticed),
            BOTH_WAYS(test_a_server_killed_under_load_costs_no_caller_its_answer),
            BOTH_WAYS(test_a_listener_outlives_the_server),
        };

        return cmocka_run_group_tests_name("pool faults", tests, NULL, NULL);
}
