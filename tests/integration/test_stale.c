/* SPDX-License-Identifier: MIT */
/* What is prepared keeps the types of its parameters: after a change of the schema it is not what the text means any more. */
#include "way.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static const char *const one_connection[] = {"pool.max=1", NULL};

static sp_params *text_of(const char *value)
{
        sp_params *params = sp_params_new();

        assert_int_equal(sp_params_add_text(params, value, strlen(value)), SP_OK);
        return params;
}

static sp_status put(const struct way *way, sp_pool *pool, const char *text, const char *value, sp_error **error)
{
        sp_params *params = text_of(value);
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_status status = way->query(pool, NULL, stmt, params, &result, error);

        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
        return status;
}

static void put_in(const struct way *way, sp_session *session, const char *text, const char *value)
{
        sp_params *params = text_of(value);
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;

        assert_int_equal(way->session(session, NULL, stmt, params, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
}

static const char insert[] = "INSERT INTO stale VALUES ($1)";
static const char zeros[] = "SELECT count(*) FROM stale WHERE v::text = '007'";

/* It was run before, by a name. */
static void table_of(const struct way *way, sp_pool *pool, const char *type, const char *value)
{
        char text[64];

        snprintf(text, sizeof text, "CREATE TABLE stale (v %s)", type);
        run(way, pool, "DROP TABLE IF EXISTS stale");
        run(way, pool, text);
        for (int i = 0; i < 3; i++)
                assert_int_equal(put(way, pool, insert, value, NULL), SP_OK);
}

static void test_what_this_pool_alters_counts_at_once(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL});

        table_of(way, pool, "int", "1");
        run(way, pool, "ALTER TABLE stale ALTER v TYPE text");
        assert_int_equal(put(way, pool, insert, "007", NULL), SP_OK);
        assert_int_equal(number(way, pool, zeros, 0), 1);
        run(way, pool, "DROP TABLE stale");
        sp_pool_free(pool);
}

static void test_what_a_session_alters_counts_there_at_once_and_elsewhere_when_it_commits(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL});
        sp_session *session = session_of(way, pool);

        table_of(way, pool, "int", "1");
        put_in(way, session, insert, "1");
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(way, session, "ALTER TABLE stale ALTER v TYPE text");
        put_in(way, session, insert, "007");
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        assert_int_equal(put(way, pool, insert, "007", NULL), SP_OK);
        assert_int_equal(number(way, pool, zeros, 0), 2);
        sp_session_release(session);
        run(way, pool, "DROP TABLE stale");
        sp_pool_free(pool);
}

static void test_what_was_altered_and_rolled_back_is_not_altered(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection);
        sp_session *session;

        table_of(way, pool, "text", "1");
        session = session_of(way, pool);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(way, session, "ALTER TABLE stale ALTER v TYPE int USING v::int");
        put_in(way, session, insert, "2");
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        put_in(way, session, insert, "007");
        sp_session_release(session);
        assert_int_equal(number(way, pool, zeros, 0), 1);
        run(way, pool, "DROP TABLE stale");
        sp_pool_free(pool);
}

static void set_path(const struct way *way, sp_session *session, const char *sets)
{
        session_run(way, session, sets);
        put_in(way, session, insert, "040");
}

/* The same text is of a table of numbers meanwhile. */
static void test_names_mean_what_the_search_path_says(void **state)
{
        static const char *const sets[] = {"SET LOCAL search_path = stale_else", "SET SCHEMA 'stale_else'",
                                           "SELECT set_config('search_path', 'stale_else', true)"};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection);
        sp_session *session;
        int64_t puts = 0;

        table_of(way, pool, "text", "1");
        run(way, pool, "DROP SCHEMA IF EXISTS stale_else CASCADE");
        run(way, pool, "CREATE SCHEMA stale_else");
        run(way, pool, "CREATE TABLE stale_else.stale (v int)");
        session = session_of(way, pool);
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                put_in(way, session, insert, "007");
                assert_int_equal(sp_session_savepoint(session, NULL, "before", NULL), SP_OK);
                set_path(way, session, sets[i]);
                assert_int_equal(sp_session_rollback_to(session, NULL, "before", NULL), SP_OK);
                put_in(way, session, insert, "007");
                set_path(way, session, sets[i]);
                /* The second one would last. */
                assert_int_equal((i == 1 ? sp_session_rollback : sp_session_commit)(session, NULL, NULL), SP_OK);
                put_in(way, session, insert, "007");
                puts += i == 1 ? 1 : 3;
                assert_int_equal(session_number(way, session, zeros), puts);
        }
        set_path(way, session, "SET search_path = stale_else");
        session_run(way, session, "RESET search_path");
        put_in(way, session, insert, "007");
        sp_session_release(session);
        assert_int_equal(number(way, pool, zeros, 0), puts + 1);
        run(way, pool, "DROP SCHEMA stale_else CASCADE");
        run(way, pool, "DROP TABLE stale");
        sp_pool_free(pool);
}

static void submit(sp_session *session, const char *text, const char *value, sp_queue *queue)
{
        sp_params *params = value ? text_of(value) : NULL;
        sp_stmt *stmt = stmt_of(text);

        assert_int_equal(sp_session_query_async(session, NULL, stmt, params, queue, 1), SP_OK);
        sp_stmt_unref(stmt);
        sp_params_free(params);
}

/* In a transaction that failed it stays prepared for the other table. */
static void test_what_could_not_be_forgotten_is_not_relied_on(void **state)
{
        const struct way *way = &ways[0];
        sp_pool *pool = pool_with(one_connection);
        sp_queue *queue = queue_of();
        sp_completion *done;
        sp_session *session;

        table_of(way, pool, "text", "1");
        run(way, pool, "DROP SCHEMA IF EXISTS stale_else CASCADE");
        run(way, pool, "CREATE SCHEMA stale_else");
        run(way, pool, "CREATE TABLE stale_else.stale (v int)");
        session = session_of(way, pool);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        set_path(way, session, "SET LOCAL search_path = stale_else");
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(way, session, "SELECT 1");
        submit(session, "SELECT 1/0", NULL, queue);
        submit(session, insert, "006", queue);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_status(done), SP_SQL);
                sp_completion_free(done);
        }
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        put_in(way, session, insert, "007");
        sp_session_release(session);
        assert_int_equal(number(way, pool, zeros, 0), 1);
        run(way, pool, "DROP SCHEMA stale_else CASCADE");
        run(way, pool, "DROP TABLE stale");
        sp_queue_free(queue);
        sp_pool_free(pool);
}

static const struct change {
        const char *type, *before, *value;
        const char *does[4];
} changes[] = {
    {"int", "1", "3000000000", {"ALTER TABLE stale ALTER v TYPE bigint"}},
    {"int", "1", "x", {"ALTER TABLE stale ALTER v TYPE text"}},
    {"stale_kind",
     "a",
     "a",
     {"ALTER TYPE stale_kind RENAME TO stale_was", "CREATE TYPE stale_kind AS ENUM ('a', 'b')",
      "ALTER TABLE stale ALTER v TYPE stale_kind USING v::text::stale_kind", "DROP TYPE stale_was"}},
};

static void test_an_error_that_anothers_change_explains_heals(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=4", NULL}), *other = pool_with(one_connection);

        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
                run(way, other, "DROP TABLE IF EXISTS stale");
                run(way, other, "DROP TYPE IF EXISTS stale_kind");
                run(way, other, "CREATE TYPE stale_kind AS ENUM ('a')");
                table_of(way, pool, changes[i].type, changes[i].before);
                for (int n = 0; n < 4 && changes[i].does[n]; n++)
                        run(way, other, changes[i].does[n]);
                assert_int_equal(put(way, pool, insert, changes[i].value, NULL), SP_OK);
        }
        run(way, other, "DROP TABLE stale");
        run(way, other, "DROP TYPE stale_kind");
        sp_pool_free(other);
        sp_pool_free(pool);
}

static void test_a_function_that_was_made_again_is_found(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection), *other = pool_with(one_connection);

        run(way, other, "DROP FUNCTION IF EXISTS stale_of(int)");
        run(way, other, "DROP FUNCTION IF EXISTS stale_of(text)");
        run(way, other, "CREATE FUNCTION stale_of(int) RETURNS int LANGUAGE sql AS 'SELECT 1'");
        assert_int_equal(put(way, pool, "SELECT stale_of($1)", "5", NULL), SP_OK);
        run(way, other, "DROP FUNCTION stale_of(int)");
        run(way, other, "CREATE FUNCTION stale_of(text) RETURNS int LANGUAGE sql AS 'SELECT 2'");
        assert_int_equal(put(way, pool, "SELECT stale_of($1)", "5", NULL), SP_OK);
        run(way, other, "DROP FUNCTION stale_of(text)");
        sp_pool_free(other);
        sp_pool_free(pool);
}

/* In a transaction it is told, and what comes after it is right. */
static void test_after_an_error_in_a_transaction_the_next_one_is_right(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection), *other = pool_with(one_connection);
        sp_params *params = text_of("3000000000");
        sp_stmt *stmt = stmt_of(insert);
        sp_result *result = NULL;
        sp_session *session;

        table_of(way, pool, "int", "1");
        run(way, other, "ALTER TABLE stale ALTER v TYPE bigint");
        session = session_of(way, pool);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(way->session(session, NULL, stmt, params, &result, NULL), SP_SQL);
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        put_in(way, session, insert, "3000000000");
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        sp_session_release(session);
        run(way, pool, "DROP TABLE stale");
        sp_result_free(result);
        sp_stmt_unref(stmt);
        sp_params_free(params);
        sp_pool_free(other);
        sp_pool_free(pool);
}

/* One that is kept, so that what was learned of it is. */
static void test_who_sends_wrong_values_is_not_run_twice_each_time(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(one_connection);
        sp_stmt *stmt = stmt_of("SELECT $1::int8");
        int64_t began = sp__now();

        for (int i = 0; i < 40; i++) {
                sp_params *params = text_of("wrong");
                sp_result *result = NULL;

                assert_int_equal(way->query(pool, NULL, stmt, params, &result, NULL), SP_SQL);
                sp_params_free(params);
        }
        assert_in_range(counted(pool, "sugarperf_pool_retries"), 0, (sp__now() - began) / (1000 * SP__MS) + 1);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void pass(int64_t ns)
{
        int64_t end = sp__now() + ns;

        while (sp__now() < end) {
                /* It is a millisecond. */
        }
}

static void test_what_was_prepared_long_ago_is_prepared_anew(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_age=1ms", NULL});
        sp_pool *other = pool_with(one_connection);

        table_of(way, pool, "int", "1");
        run(way, other, "ALTER TABLE stale ALTER v TYPE text");
        pass(SP__MS);
        assert_int_equal(put(way, pool, insert, "007", NULL), SP_OK);
        assert_int_equal(number(way, pool, zeros, 0), 1);
        run(way, pool, "DROP TABLE stale");
        sp_pool_free(other);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_what_this_pool_alters_counts_at_once),
            BOTH_WAYS(test_what_a_session_alters_counts_there_at_once_and_elsewhere_when_it_commits),
            BOTH_WAYS(test_what_was_altered_and_rolled_back_is_not_altered),
            BOTH_WAYS(test_names_mean_what_the_search_path_says),
            cmocka_unit_test(test_what_could_not_be_forgotten_is_not_relied_on),
            BOTH_WAYS(test_an_error_that_anothers_change_explains_heals),
            BOTH_WAYS(test_a_function_that_was_made_again_is_found),
            BOTH_WAYS(test_after_an_error_in_a_transaction_the_next_one_is_right),
            BOTH_WAYS(test_who_sends_wrong_values_is_not_run_twice_each_time),
            BOTH_WAYS(test_what_was_prepared_long_ago_is_prepared_anew),
        };

        return cmocka_run_group_tests_name("stale", tests, NULL, NULL);
}
