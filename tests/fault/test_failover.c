/* SPDX-License-Identifier: MIT */
/*
 * The primary dies and its replica is promoted; later a server refuses writes while its connections stand. The pool finds who
 * takes writes, without being told. SP_TEST_SERVERS names the set that may be harmed.
 */
#include "../integration/ways.h"
#include "../support/ctl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int port_of(const char *variable)
{
        return atoi(strrchr(getenv(variable), ':') + 1);
}

/* Both servers in one URL, the replica first. */
static sp_pool *pool_on_both(const char *wanted, const char *max)
{
        char url[200], wants[64];

        snprintf(url, sizeof url, "pool.url=postgresql://test:test@127.0.0.1:%d,127.0.0.1:%d/test",
                 port_of("SP_TEST_PG_REPLICA"), port_of("SP_TEST_PG"));
        snprintf(wants, sizeof wants, "pool.target_session_attrs=%s", wanted);
        return pool_with((const char *[]){url, wants, max, NULL});
}

static sp_pool *pool_on(const char *variable)
{
        char url[200];

        snprintf(url, sizeof url, "pool.url=%s", getenv(variable));
        return pool_with((const char *[]){url, NULL});
}

static int64_t place_of(sp_pool *pool)
{
        return number(&ways[0], pool, "SELECT current_setting('port')::int8", 0);
}

struct load {
        sp_pool *pool;
        atomic_uint started;
        atomic_bool stop;
        atomic_int wrong, done, failed;
};

static bool of_a_server_away(sp_status status)
{
        return status == SP_UNAVAILABLE || status == SP_LOST || status == SP_TIMEOUT;
}

static void *write_body(void *arg)
{
        struct load *load = arg;
        const struct way *way = &ways[atomic_fetch_add(&load->started, 1) % WAYS];
        sp_stmt *stmt = stmt_of("INSERT INTO failover VALUES (1)");

        while (!atomic_load(&load->stop)) {
                sp_result *result = NULL;
                sp_error *error = NULL;
                sp_status status = way->query(load->pool, NULL, stmt, NULL, &result, &error);

                if (status != SP_OK && !of_a_server_away(status)) {
                        printf("# %s: %s\n", sp_status_name(status), error ? sp_error_message(error) : "");
                        atomic_fetch_add(&load->wrong, 1);
                }
                if (status == SP_OK)
                        atomic_fetch_add(&load->done, 1);
                else
                        atomic_fetch_add(&load->failed, 1);
                sp_error_free(error);
                sp_result_free(result);
        }
        sp_stmt_unref(stmt);
        return NULL;
}

/* Until so many more writes are through. */
static void more_writes(struct load *load, int count)
{
        int goal = atomic_load(&load->done) + count;

        while (atomic_load(&load->done) < goal)
                sched_yield();
}

enum { WRITERS = 8 };

static void test_a_promoted_replica_is_found_under_load(void **state)
{
        struct load load = {.pool = pool_on_both("primary", "pool.max=20")};
        sp_pool *standby = pool_on_both("standby", "pool.max=20");
        pthread_t threads[WRITERS];

        run(&ways[0], load.pool, "CREATE TABLE failover (n int)");
        assert_int_equal(place_of(load.pool), port_of("SP_TEST_PG"));
        assert_int_equal(place_of(standby), port_of("SP_TEST_PG_REPLICA"));
        while (number(&ways[0], standby, "SELECT count(*) FROM pg_class WHERE relname = 'failover'", 0) == 0)
                sched_yield();
        for (size_t i = 0; i < WRITERS; i++)
                pthread_create(&threads[i], NULL, write_body, &load);
        more_writes(&load, 100);
        control("kill", "pg");
        control("promote", "replica");
        more_writes(&load, 100);
        atomic_store(&load.stop, true);
        for (size_t i = 0; i < WRITERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(place_of(load.pool), port_of("SP_TEST_PG_REPLICA"));
        assert_int_equal(atomic_load(&load.wrong), 0);
        sp_pool_free(load.pool);
        sp_pool_free(standby);
}

/* Who wanted a standby does not stay with what became a primary. The one above promoted it. */
static void test_a_connection_to_a_promoted_standby_is_given_up(void **state)
{
        sp_pool *pool = pool_on_both("standby", "pool.max=20");

        says(fails(&ways[0], pool, NULL, "SELECT 1", SP_UNAVAILABLE), "standby", NULL);
        sp_pool_free(pool);
}

/* Both take writes now. What one of them refuses, as its operator said, the other one does: no call fails. */
static void test_a_server_that_refuses_writes_is_left_without_a_failure(void **state)
{
        struct load load = {.pool = pool_on_both("read-write", "pool.max=20")};
        sp_pool *chief;
        pthread_t threads[WRITERS];

        control("start", "pg");
        chief = pool_on("SP_TEST_PG_REPLICA");
        assert_int_equal(place_of(load.pool), port_of("SP_TEST_PG_REPLICA"));
        for (size_t i = 0; i < WRITERS; i++)
                pthread_create(&threads[i], NULL, write_body, &load);
        more_writes(&load, 100);
        run(&ways[0], chief, "ALTER SYSTEM SET default_transaction_read_only = on");
        run(&ways[0], chief, "SELECT pg_reload_conf()");
        while (place_of(load.pool) != port_of("SP_TEST_PG"))
                sched_yield();
        more_writes(&load, 100);
        atomic_store(&load.stop, true);
        for (size_t i = 0; i < WRITERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&load.failed), 0);
        assert_int_equal(place_of(load.pool), port_of("SP_TEST_PG"));
        sp_pool_free(load.pool);
        sp_pool_free(chief);
}

/* A read-only transaction is the caller's own wish. */
static void test_a_read_only_transaction_costs_no_connection(void **state)
{
        sp_pool *pool = pool_on_both("read-write", "pool.max=1");
        sp_stmt *insert = stmt_of("INSERT INTO failover VALUES (1)");
        sp_session *session;
        sp_result *result;
        int64_t process;

        assert_int_equal(ways[0].acquire(pool, NULL, &session, NULL), SP_OK);
        process = session_number(&ways[0], session, "SELECT pg_backend_pid()");
        session_run(&ways[0], session, "BEGIN READ ONLY");
        assert_int_equal(ways[0].session(session, NULL, insert, NULL, &result, NULL), SP_SQL);
        sp_session_release(session);
        assert_int_equal(number(&ways[0], pool, "SELECT pg_backend_pid()", 0), process);
        sp_stmt_unref(insert);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_promoted_replica_is_found_under_load),
            cmocka_unit_test(test_a_connection_to_a_promoted_standby_is_given_up),
            cmocka_unit_test(test_a_server_that_refuses_writes_is_left_without_a_failure),
            cmocka_unit_test(test_a_read_only_transaction_costs_no_connection),
        };

        return cmocka_run_group_tests_name("failover", tests, NULL, NULL);
}
