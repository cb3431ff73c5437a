/* SPDX-License-Identifier: MIT */
/* Every caller gets exactly one answer, its own, whatever the others do. */
#include "../support/child.h"
#include "way.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_an_answer_has_rows_names_types_and_a_packed_form(void **state)
{
        static const char text[] = "SELECT 1::int4 AS one, NULL::text AS nothing, 'x'::text AS \"x y\"";
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of(text);
        const char *packed;
        sp_result *result;
        size_t len;

        assert_int_equal(way_of(state)->query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
        assert_int_equal(sp_result_rows(result), 1);
        assert_int_equal(sp_result_columns(result), 3);
        assert_string_equal(sp_result_name(result, 2), "x y");
        assert_null(sp_result_name(result, 3));
        assert_int_equal(sp_result_type(result, 0), 23);
        assert_string_equal(sp_result_get(result, 0, 0, &len), "1");
        assert_null(sp_result_get(result, 0, 1, &len));
        assert_null(sp_result_get(result, 1, 0, &len));
        assert_string_equal(sp_result_command(result), "SELECT 1");
        packed = sp_result_pack(result, &len);
        assert_int_equal(packed[0], 1);
        assert_int_equal(sp__get_u16(packed + 2), 3);
        assert_int_equal(sp__get_u32(packed + 4), 1);
        assert_int_equal(sp__get_u16(packed + 16), strlen("SELECT 1"));
        assert_memory_equal(packed + len - 1, "x", 1);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_an_error_has_its_sqlstate_and_no_values(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_error *error = fails(way_of(state), pool, NULL, "SELECT 'hunter2'::int4", SP_SQL);

        assert_string_equal(sp_error_code(error), "22P02");
        assert_false(sp_error_retryable(error));
        says(error, "invalid input syntax", "hunter2");
        says(fails(way_of(state), pool, NULL, "SELECT nothing", SP_SQL), "\"nothing\" does not exist", NULL);
        says(fails(way_of(state), pool, NULL, "SELECT 1/0", SP_SQL), "division by zero", NULL);
        assert_int_equal(number(way_of(state), pool, "SELECT 7", 0), 7);
        sp_pool_free(pool);
}

static void test_text_with_a_zero_byte_is_refused_not_cut(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT $1::int4, $2::text");
        sp_params *params = sp_params_new();
        sp_result *result = NULL;

        sp_params_add_int(params, 1);
        sp_params_add_text(params, "admin\0x", 7);
        assert_int_equal(way_of(state)->query(pool, NULL, stmt, params, &result, NULL), SP_INVALID);
        assert_null(result);
        sp_params_clear(params);
        sp_params_add_int(params, 1);
        sp_params_add_text(params, "admin", 5);
        assert_int_equal(way_of(state)->query(pool, NULL, stmt, params, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_what_needs_a_session_is_refused(void **state)
{
        static const char *const texts[] = {"BEGIN", "SET work_mem = '1MB'", "LISTEN x", "SELECT pg_advisory_lock(1)",
                                            "CREATE TEMP TABLE t (id int)"};
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                sp_error_free(fails(way_of(state), pool, NULL, texts[i], SP_SESSION));
        sp_error_free(fails(way_of(state), pool, NULL, "COPY pg_class TO STDOUT", SP_UNSUPPORTED));
        sp_pool_free(pool);
}

static void test_a_deadline_ends_the_call_and_the_pool_goes_on(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=2s", NULL});
        sp_ctx *ctx;

        /* Connected before the time runs. */
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        ctx = ctx_of("50ms");
        says(fails(way_of(state), pool, ctx, "SELECT pg_sleep(30)", SP_TIMEOUT), "was not answered within", NULL);
        sp_ctx_unref(ctx);
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        says(fails(way_of(state), pool, NULL, "SELECT pg_sleep(30)", SP_TIMEOUT), "statement timeout", NULL);
        assert_int_equal(number(way_of(state), pool, "SELECT 2", 0), 2);
        sp_pool_free(pool);
}

static void test_each_call_that_ends_at_its_deadline_is_counted(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=20ms", NULL});
        sp_stmt *one = stmt_of("SELECT 1");
        sp_session *session;
        sp_result *result;
        int64_t first;
        sp_ctx *ctx;

        /* The first connection may take longer than that. */
        while (way_of(state)->query(pool, NULL, one, NULL, &result, NULL) != SP_OK)
                ;
        sp_result_free(result);
        sp_stmt_unref(one);
        first = counted(pool, "db_client_connection_timeouts");
        ctx = ctx_of("50ms");
        sp_error_free(fails(way_of(state), pool, ctx, "SELECT pg_sleep(30)", SP_TIMEOUT));
        sp_ctx_unref(ctx);
        assert_int_equal(counted(pool, "db_client_connection_timeouts"), first + 1);
        while (way_of(state)->acquire(pool, NULL, &session, NULL) != SP_OK)
                ;
        /* Who waits for it meanwhile has pool.acquire_timeout. */
        for (int i = 0; i < 2; i++) {
                int64_t before = counted(pool, "db_client_connection_timeouts");

                sp_error_free(fails(&ways[i], pool, NULL, "SELECT 1", SP_TIMEOUT));
                assert_int_equal(counted(pool, "db_client_connection_timeouts"), before + 1);
        }
        sp_session_release(session);
        sp_pool_free(pool);
}

static void *cancel_soon(void *arg)
{
        sp_pool *pool = ((void **)arg)[0];

        /* Not before it runs. */
        while (sp_pool_active(pool) == 0)
                sched_yield();
        sp_ctx_cancel(((void **)arg)[1]);
        return NULL;
}

static void test_cancelling_a_context_ends_what_runs_under_it(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_ctx *parent = sp_ctx_new(NULL), *ctx = sp_ctx_new(parent);
        pthread_t thread;

        pthread_create(&thread, NULL, cancel_soon, (void *[]){pool, parent});
        says(fails(way_of(state), pool, ctx, "SELECT pg_sleep(300)", SP_CANCELLED), "cancelled", NULL);
        pthread_join(thread, NULL);
        sp_error_free(fails(way_of(state), pool, ctx, "SELECT 1", SP_CANCELLED));
        /* The server was told, so that its only connection is free again. */
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        sp_ctx_unref(ctx);
        sp_ctx_unref(parent);
        sp_pool_free(pool);
}

struct crowd {
        const struct way *way;
        sp_pool *pool;
        atomic_int wrong;
};

static void ask(struct crowd *crowd, sp_stmt *stmt, int64_t n)
{
        sp_params *params = sp_params_new();
        sp_error *error = NULL;
        sp_result *result;
        sp_status status;
        size_t len;

        sp_params_add_int(params, n);
        status = crowd->way->query(crowd->pool, NULL, stmt, params, &result, &error);
        sp_params_free(params);
        if (status == SP_OK) {
                if (n % 5 == 0 || strtoll(sp_result_get(result, 0, 0, &len), NULL, 10) != 10 / (n % 5) + n)
                        atomic_fetch_add(&crowd->wrong, 1);
                sp_result_free(result);
        } else if (status != SP_SQL || n % 5 != 0 || strcmp(sp_error_code(error), "22012") != 0) {
                atomic_fetch_add(&crowd->wrong, 1);
        }
        sp_error_free(error);
}

static void *crowd_body(void *arg)
{
        sp_stmt *stmt = stmt_of("SELECT 10 / ($1::int4 % 5) + $1::int4");

        for (int64_t i = 0; i < 200; i++)
                ask(arg, stmt, i + (int64_t)(uintptr_t)&i % 1000);
        sp_stmt_unref(stmt);
        return NULL;
}

static void test_one_callers_error_touches_nobody_else(void **state)
{
        struct crowd crowd = {.way = way_of(state), .pool = pool_with(NULL)};
        pthread_t threads[32];

        for (size_t i = 0; i < 32; i++)
                pthread_create(&threads[i], NULL, crowd_body, &crowd);
        for (size_t i = 0; i < 32; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&crowd.wrong), 0);
        assert_true(sp_pool_active(crowd.pool) == 0);
        sp_pool_free(crowd.pool);
}

static void test_many_in_flight_from_one_thread_each_come_back_once(void **state)
{
        enum { COUNT = 5000 };
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT $1::int4");
        char *seen = calloc(COUNT, 1);
        sp_completion *batch[64];
        sp_queue *queue;
        size_t got = 0;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int i = 0; i < COUNT; i++) {
                sp_params *params = sp_params_new();

                sp_params_add_int(params, i);
                assert_int_equal(sp_pool_query_async(pool, NULL, stmt, params, queue, (uint64_t)i), SP_OK);
                sp_params_free(params);
        }
        while (got < COUNT) {
                size_t n = sp_queue_wait(queue, batch, 64, -1), len;

                for (size_t i = 0; i < n; i++, got++) {
                        uint64_t tag = sp_completion_tag(batch[i]);

                        assert_int_equal(sp_completion_status(batch[i]), SP_OK);
                        assert_int_equal(atoi(sp_result_get(sp_completion_result(batch[i]), 0, 0, &len)), tag);
                        assert_false(seen[tag]++);
                        sp_completion_free(batch[i]);
                }
        }
        assert_int_equal(sp_queue_pending(queue), 0);
        free(seen);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_a_full_queue_refuses_and_promises_nothing(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_completion *done;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(2, &queue), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 2), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 3), SP_FULL);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                sp_completion_free(done);
        }
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, NULL, queue, 4), SP_OK);
        /* Freed with one pending: it is dropped with what it carries. */
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_an_unreachable_server_is_named(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.url=postgresql://app:hunter2@127.0.0.1:1/db", NULL});

        for (int i = 0; i < 3; i++)
                says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "127.0.0.1", "hunter2");
        sp_pool_free(pool);
}

/* Another attempt would end the same way: nobody is told to make one, and each is told what to change. */
static void test_what_no_retry_mends_says_what_does(void **state)
{
        static const struct {
                const char *user, *rest;
                sp_status status;
                const char *code, *says;
        } cases[] = {
            {"sugar:hunter2", "/test", SP_AUTH, "28P01", "check the user and the password in pool.url"},
            {"nobody:hunter2", "/test", SP_AUTH, "28P01", "check the user and the password in pool.url"},
            {"sugar", "/test", SP_AUTH, "", "set pool.password"},
            {"test:test", "/no_such_database", SP_UNAVAILABLE, "3D000",
             "database \"no_such_database\" does not exist: name another one in pool.url or pool.database"},
            {"test:test", "/test?sslmode=require", SP_UNAVAILABLE, "", "check sslmode in pool.url"},
            {"test:test", "/test?options=-c%20no_such_thing%3Don", SP_UNAVAILABLE, "42704", "check the options"},
        };
        const char *at = strchr(getenv("DATABASE_URL"), '@') + 1;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char url[512];
                sp_error *error;
                sp_pool *pool;

                snprintf(url, sizeof url, "pool.url=postgresql://%s@%.*s%s", cases[i].user, (int)strcspn(at, "/"), at,
                         cases[i].rest);
                pool = pool_with((const char *[]){url, "pool.connect_timeout=20s", "pool.acquire_timeout=60s", NULL});
                error = fails(way_of(state), pool, NULL, "SELECT 1", cases[i].status);
                assert_false(sp_error_retryable(error));
                assert_string_equal(sp_error_code(error), cases[i].code);
                says(error, cases[i].says, "hunter2");
                sp_pool_free(pool);
        }
}

static void test_a_url_that_is_none_is_refused_without_showing_it(void **state)
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;
        sp_pool *pool = NULL;

        assert_int_equal(sp_config_set(config, "pool.url", "postgresql://app:hunter2@db:port/x%zz", NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, &error), SP_INVALID);
        assert_null(pool);
        says(error, "pool.url", "hunter2");
        sp_config_free(config);
}

static void test_statements_beyond_the_prepared_limit_still_run(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statements=3", NULL});
        char text[64];

        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 8; i++) {
                        snprintf(text, sizeof text, "SELECT $1::int8 + %d", i);
                        assert_int_equal(number(way_of(state), pool, text, 100), 100 + i);
                }
        }
        assert_true(number(way_of(state), pool, "SELECT count(*) FROM pg_prepared_statements", 0) <= 3);
        sp_pool_free(pool);
        pool = pool_with((const char *[]){"pool.max=1", "pool.statements=0", NULL});
        assert_int_equal(number(way_of(state), pool, "SELECT $1::int8", 5), 5);
        assert_int_equal(number(way_of(state), pool, "SELECT count(*) FROM pg_prepared_statements", 0), 0);
        sp_pool_free(pool);
}

static void test_a_changed_table_heals_the_prepared_statement(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL}), *other = pool_with(NULL);

        run(way_of(state), pool, "DROP TABLE IF EXISTS healing");
        run(way_of(state), pool, "CREATE TABLE healing (id int)");
        run(way_of(state), pool, "INSERT INTO healing VALUES (1)");
        run(way_of(state), pool, "SELECT * FROM healing");
        run(way_of(state), other, "ALTER TABLE healing ALTER id TYPE text");
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 0);
        run(way_of(state), pool, "SELECT * FROM healing");
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 1);
        run(way_of(state), pool, "DROP TABLE healing");
        sp_pool_free(other);
        sp_pool_free(pool);
}

static void test_connections_that_the_server_ends_are_replaced(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.application_name=victim", NULL});
        sp_pool *killer = pool_with(NULL);

        for (int i = 0; i < 10; i++) {
                assert_int_equal(number(way_of(state), pool, "SELECT $1::int4", i), i);
                run(way_of(state), killer,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
                /* A read runs again by itself when its connection turns out to be dead. */
                assert_int_equal(number(way_of(state), pool, "SELECT $1::int4", -i), -i);
        }
        sp_pool_free(killer);
        sp_pool_free(pool);
}

static void test_a_write_whose_connection_dies_is_lost_not_repeated(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.application_name=victim2", NULL});
        sp_error *error;

        /* A sequence remembers each run, also those that were rolled back. */
        run(way_of(state), pool, "CREATE TABLE IF NOT EXISTS lost_write (n int8, killed bool, waited text)");
        run(way_of(state), pool, "CREATE SEQUENCE IF NOT EXISTS lost_write_runs");
        run(way_of(state), pool, "ALTER SEQUENCE lost_write_runs RESTART");
        error =
            fails(way_of(state), pool, NULL,
                  "INSERT INTO lost_write SELECT nextval('lost_write_runs'), pg_terminate_backend(pg_backend_pid()), "
                  "pg_sleep(60)::text",
                  SP_LOST);
        assert_false(sp_error_retryable(error));
        says(error, "outcome is unknown", NULL);
        assert_int_equal(number(way_of(state), pool, "SELECT last_value FROM lost_write_runs", 0), 1);
        sp_pool_free(pool);
}

static void test_the_servers_time_limit_is_named(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.statement_timeout=200ms", "pool.query_timeout=60s", NULL});

        says(fails(way_of(state), pool, NULL, "SELECT pg_sleep(60)", SP_TIMEOUT), "pool.statement_timeout", NULL);
        sp_pool_free(pool);
}

static void test_close_wakes_those_that_wait_and_refuses_new_work(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_stmt *slow = stmt_of("SELECT pg_sleep(1)"), *quick = stmt_of("SELECT 1");
        sp_completion *batch[8];
        int statuses[3] = {0};
        sp_queue *queue;
        size_t got = 0;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, NULL, slow, NULL, queue, 0), SP_OK);
        while (sp_pool_active(pool) == 0)
                sched_yield();
        assert_int_equal(sp_pool_query_async(pool, NULL, quick, NULL, queue, 1), SP_OK);
        while (sp_pool_waiting(pool) == 0)
                sched_yield();
        sp_pool_close(pool);
        assert_int_equal(sp_pool_query_async(pool, NULL, quick, NULL, queue, 2), SP_CLOSED);
        while (got < 2) {
                size_t n = sp_queue_wait(queue, batch, 8, -1);

                for (size_t i = 0; i < n; i++, got++) {
                        statuses[sp_completion_tag(batch[i])] = sp_completion_status(batch[i]);
                        sp_completion_free(batch[i]);
                }
        }
        assert_int_equal(statuses[0], SP_OK);
        assert_int_equal(statuses[1], SP_CLOSED);
        assert_int_equal(sp_pool_drain(pool, 1000), SP_OK);
        sp_queue_free(queue);
        sp_stmt_unref(slow);
        sp_stmt_unref(quick);
        sp_pool_free(pool);
}

static int in_child(sp_pool *pool, sp_queue *queue, sp_stmt *stmt)
{
        sp_result *result;
        sp_value *value;

        if (sp_pool_query(pool, NULL, stmt, NULL, &result, NULL) != SP_FORKED)
                return 1;
        if (sp_pool_query_async(pool, NULL, stmt, NULL, queue, 1) != SP_FORKED)
                return 2;
        if (sp_pool_health(pool, NULL, &value) != SP_FORKED)
                return 3;
        sp_pool_free(pool);
        sp_queue_free(queue);
        return 0;
}

static void test_a_forked_child_is_refused_and_leaves_the_parents_sessions(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_stmt *stmt = stmt_of("SELECT pg_backend_pid()");
        int64_t backend = number(way_of(state), pool, "SELECT pg_backend_pid()", 0);
        sp_queue *queue;
        int status;
        pid_t child;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        child = child_fork();
        if (child == 0)
                _exit(in_child(pool, queue, stmt));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(number(way_of(state), pool, "SELECT pg_backend_pid()", 0), backend);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

/* Everything at once, and every caller still gets one answer that makes sense. */
struct storm {
        sp_pool *pool;
        const struct way *way;
        uint64_t seed;
        atomic_int wrong, answers;
};

static bool sensible(int kind, sp_status status, sp_result *result, int64_t n)
{
        size_t len;

        switch (kind) {
        case 0:
                return status == SP_OK && strtoll(sp_result_get(result, 0, 0, &len), NULL, 10) == n;
        case 1:
                return status == SP_SQL;
        case 2:
                return status == SP_TIMEOUT;
        default:
                /* Its own backend, ended by itself: a read is tried again until its tries are up. */
                return status == SP_LOST;
        }
}

static void *storm_body(void *arg)
{
        static const char *const texts[] = {"SELECT $1::int8", "SELECT 1 / ($1::int8 - $1::int8)",
                                            "SELECT pg_sleep(3), $1::int8",
                                            "SELECT pg_terminate_backend(pg_backend_pid()), $1::int8"};
        struct storm *storm = arg;
        struct sp__random random = {storm->seed ^ (uint64_t)(uintptr_t)&random};

        for (int i = 0; i < 60; i++) {
                uint64_t dice = sp__random_next(&random) % 100;
                int kind = dice < 90 ? 0 : dice < 96 ? 1 : dice < 98 ? 2 : 3;
                sp_stmt *stmt = stmt_of(texts[kind]);
                sp_params *params = sp_params_new();
                sp_ctx *ctx = kind == 2 ? ctx_of("20ms") : NULL;
                sp_result *result = NULL;
                sp_status status;

                sp_params_add_int(params, i);
                status = storm->way->query(storm->pool, ctx, stmt, params, &result, NULL);
                if (!sensible(kind, status, result, i)) {
                        printf("# kind %d: %s\n", kind, sp_status_name(status));
                        atomic_fetch_add(&storm->wrong, 1);
                }
                atomic_fetch_add(&storm->answers, 1);
                sp_result_free(result);
                sp_ctx_unref(ctx);
                sp_params_free(params);
                sp_stmt_unref(stmt);
        }
        return NULL;
}

static void test_every_caller_gets_one_answer_in_a_storm(void **state)
{
        struct storm storm = {.pool = pool_with((const char *[]){"pool.max=8", "pool.query_timeout=30s",
                                                                 "pool.acquire_timeout=30s", NULL}),
                              .way = way_of(state),
                              .seed = sp__random_seed()};
        pthread_t threads[24];

        printf("# seed %llu\n", (unsigned long long)storm.seed);
        for (size_t i = 0; i < 24; i++)
                pthread_create(&threads[i], NULL, storm_body, &storm);
        for (size_t i = 0; i < 24; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&storm.answers), 24 * 60);
        assert_int_equal(atomic_load(&storm.wrong), 0);
        assert_int_equal(sp_pool_drain(storm.pool, 0), SP_OK);
        assert_int_equal(number(way_of(state), storm.pool, "SELECT 9", 0), 9);
        sp_pool_free(storm.pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_an_answer_has_rows_names_types_and_a_packed_form),
            BOTH_WAYS(test_an_error_has_its_sqlstate_and_no_values),
            BOTH_WAYS(test_text_with_a_zero_byte_is_refused_not_cut),
            BOTH_WAYS(test_what_needs_a_session_is_refused),
            BOTH_WAYS(test_a_deadline_ends_the_call_and_the_pool_goes_on),
            BOTH_WAYS(test_each_call_that_ends_at_its_deadline_is_counted),
            BOTH_WAYS(test_cancelling_a_context_ends_what_runs_under_it),
            BOTH_WAYS(test_one_callers_error_touches_nobody_else),
            BOTH_WAYS(test_an_unreachable_server_is_named),
            BOTH_WAYS(test_what_no_retry_mends_says_what_does),
            BOTH_WAYS(test_statements_beyond_the_prepared_limit_still_run),
            BOTH_WAYS(test_a_changed_table_heals_the_prepared_statement),
            BOTH_WAYS(test_connections_that_the_server_ends_are_replaced),
            BOTH_WAYS(test_a_write_whose_connection_dies_is_lost_not_repeated),
            BOTH_WAYS(test_the_servers_time_limit_is_named),
            BOTH_WAYS(test_a_forked_child_is_refused_and_leaves_the_parents_sessions),
            BOTH_WAYS(test_every_caller_gets_one_answer_in_a_storm),
            cmocka_unit_test(test_many_in_flight_from_one_thread_each_come_back_once),
            cmocka_unit_test(test_a_full_queue_refuses_and_promises_nothing),
            cmocka_unit_test(test_a_url_that_is_none_is_refused_without_showing_it),
            cmocka_unit_test(test_close_wakes_those_that_wait_and_refuses_new_work),
        };

        return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
