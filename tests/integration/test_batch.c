/* SPDX-License-Identifier: MIT */
/* Many sets of parameters at once, all or none; arrays as parameters; the rows of many keys from one query. */
#include "ways.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_status batch_queue(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                             sp_error **error)
{
        sp_completion *done;
        sp_queue *queue;
        sp_status status;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_batch_async(pool, ctx, stmt, params, queue, 7), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        status = sp_completion_status(done);
        if (status == SP_OK)
                *out = sp_completion_take_result(done);
        else
                assert_null(error);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

static sp_params *numbers(int64_t from, int64_t count)
{
        sp_params *params = sp_params_new();

        for (int64_t i = 0; i < count; i++) {
                assert_int_equal(sp_params_add_int(params, from + i), SP_OK);
                assert_int_equal(sp_params_next(params), SP_OK);
        }
        assert_int_equal(sp_params_sets(params), count);
        return params;
}

static sp_pool *pool_and_table(const char *columns)
{
        sp_pool *pool = pool_with(NULL);
        char text[256];

        run(&ways[0], pool, "DROP TABLE IF EXISTS batch");
        snprintf(text, sizeof text, "CREATE TABLE batch (%s)", columns);
        run(&ways[0], pool, text);
        return pool;
}

static void drop(sp_pool *pool)
{
        run(&ways[0], pool, "DROP TABLE batch");
        sp_pool_free(pool);
}

static int64_t rows_of(sp_pool *pool)
{
        return number(&ways[0], pool, "SELECT count(*) FROM batch", 0);
}

static void test_each_set_has_its_rows(void **state)
{
        sp_pool *pool = pool_and_table("id int8 PRIMARY KEY, twice int8");
        sp_stmt *stmt = stmt_of("INSERT INTO batch VALUES ($1::int8, $1::int8 * 2) RETURNING id, twice");
        sp_params *params = numbers(10, 5);
        sp_result *result;
        int64_t value;

        for (int way = 0; way < 2; way++) {
                assert_int_equal((way ? batch_queue : sp_pool_batch)(pool, NULL, stmt, params, &result, NULL), SP_OK);
                assert_int_equal(sp_result_sets(result), 5);
                assert_int_equal(sp_result_affected(result), 5);
                for (size_t i = 0; i < 5; i++) {
                        assert_int_equal(sp_result_rows(sp_result_set(result, i)), 1);
                        assert_int_equal(sp_result_int(sp_result_set(result, i), 0, 1, &value, NULL), SP_OK);
                        assert_int_equal(value, (int64_t)(10 + i) * 2);
                }
                assert_null(sp_result_set(result, 5));
                assert_int_equal(sp_result_rows(result), 1);
                sp_result_free(result);
                run(&ways[0], pool, "DELETE FROM batch");
        }
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

static void test_an_error_names_its_set_and_leaves_nothing(void **state)
{
        sp_pool *pool = pool_and_table("id int8 PRIMARY KEY");
        sp_stmt *stmt = stmt_of("INSERT INTO batch VALUES ($1 % 7)");
        sp_params *params = numbers(0, 20);
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "23505");
        says(error, "set 7: ", NULL);
        assert_null(result);
        assert_int_equal(batch_queue(pool, NULL, stmt, params, &result, NULL), SP_SQL);
        assert_int_equal(rows_of(pool), 0);
        sp_params_free(params);
        /* What a deferred constraint finds in the end is no set's, and leaves nothing, too. */
        run(&ways[0], pool, "ALTER TABLE batch DROP CONSTRAINT batch_pkey");
        run(&ways[0], pool, "ALTER TABLE batch ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED");
        params = numbers(0, 20);
        error = NULL;
        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "23505");
        says(error, "", "set 7");
        assert_int_equal(rows_of(pool), 0);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

static void test_a_statement_that_is_wrong_names_no_set(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT nothing FROM nowhere WHERE id = $1");
        sp_params *params = numbers(0, 3);
        sp_result *result;
        sp_error *error = NULL;

        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, &error), SP_SQL);
        says(error, "nowhere", "set 0");
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void refused(sp_pool *pool, const sp_stmt *stmt, const sp_params *params, sp_status status, const char *why)
{
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, &error), status);
        says(error, why, NULL);
        assert_int_equal(batch_queue(pool, NULL, stmt, params, &result, NULL), status);
        assert_null(result);
}

static void test_sets_that_make_no_sense_are_refused(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT $1::text");
        sp_params *params = sp_params_new();
        sp_result *result;
        sp_error *error = NULL;

        refused(pool, stmt, params, SP_INVALID, "no set");
        sp_params_add_text(params, "a", 1);
        sp_params_next(params);
        sp_params_add_text(params, "b", 1);
        sp_params_add_text(params, "c", 1);
        refused(pool, stmt, params, SP_INVALID, "set 1 has 2 parameters, and the first one has 1");
        assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, &error), SP_INVALID);
        says(error, "sp_pool_batch()", NULL);
        sp_params_clear(params);
        sp_params_add_text(params, "a", 1);
        sp_params_next(params);
        sp_params_add_text(params, "a\0b", 3);
        refused(pool, stmt, params, SP_INVALID, "set 1: parameter $1");
        sp_params_clear(params);
        sp_params_begin_array(params);
        error = NULL;
        assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, &error), SP_INVALID);
        says(error, "was not ended", NULL);
        sp_params_free(params);
        params = numbers(0, SP_BATCH_MAX + 1);
        refused(pool, stmt, params, SP_LIMIT, "65535");
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_a_batch_in_a_transaction_is_part_of_it(void **state)
{
        sp_pool *pool = pool_and_table("id int8 PRIMARY KEY");
        sp_stmt *stmt = stmt_of("INSERT INTO batch VALUES ($1)");
        sp_params *params = numbers(0, 3), *twice = numbers(2, 3);
        sp_session *session;
        sp_result *result;

        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_batch(session, NULL, stmt, params, &result, NULL), SP_OK);
        assert_int_equal(sp_result_sets(result), 3);
        sp_result_free(result);
        assert_int_equal(sp_session_batch(session, NULL, stmt, twice, &result, NULL), SP_SQL);
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        assert_int_equal(rows_of(pool), 0);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        assert_int_equal(sp_session_batch(session, NULL, stmt, params, &result, NULL), SP_OK);
        sp_result_free(result);
        assert_int_equal(sp_session_commit(session, NULL, NULL), SP_OK);
        assert_int_equal(rows_of(pool), 3);
        assert_int_equal(sp_session_batch(session, NULL, stmt, twice, &result, NULL), SP_SQL);
        assert_int_equal(rows_of(pool), 3);
        sp_session_release(session);
        sp_params_free(params);
        sp_params_free(twice);
        sp_stmt_unref(stmt);
        drop(pool);
}

/* More than all buffers on the way hold, both ways at once. */
static void test_a_large_batch_does_not_stall(void **state)
{
        enum { SETS = 10000, SIZE = 2000 };
        sp_pool *pool = pool_with((const char *[]){"pool.query_timeout=60s", "pool.statement_timeout=60s", NULL});
        sp_stmt *stmt = stmt_of("SELECT $1::text");
        sp_params *params = sp_params_new();
        sp_result *result;
        char text[SIZE];
        size_t len;

        memset(text, 'x', sizeof text);
        for (int i = 0; i < SETS; i++) {
                snprintf(text, sizeof text, "%d ", i);
                text[strlen(text)] = 'x';
                assert_int_equal(sp_params_add_text(params, text, sizeof text), SP_OK);
                assert_int_equal(sp_params_next(params), SP_OK);
        }
        for (int way = 0; way < 2; way++) {
                assert_int_equal((way ? batch_queue : sp_pool_batch)(pool, NULL, stmt, params, &result, NULL), SP_OK);
                assert_int_equal(sp_result_sets(result), SETS);
                for (size_t i = 0; i < SETS; i++) {
                        const char *back = sp_result_get(sp_result_set(result, i), 0, 0, &len);

                        assert_int_equal(len, SIZE);
                        assert_int_equal(atoll(back), i);
                }
                sp_result_free(result);
        }
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_a_connection_that_dies_in_a_batch_leaves_all_or_nothing(void **state)
{
        sp_pool *pool = pool_and_table("id int8");
        sp_stmt *stmt = stmt_of("INSERT INTO batch SELECT CASE WHEN $1::int8 = 5 THEN "
                                "pg_terminate_backend(pg_backend_pid())::int ELSE $1::int8 END");
        sp_params *params = numbers(0, 10);
        sp_result *result;

        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, NULL), SP_LOST);
        assert_int_equal(batch_queue(pool, NULL, stmt, params, &result, NULL), SP_LOST);
        assert_int_equal(rows_of(pool), 0);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

static void test_a_deadline_ends_the_whole_batch(void **state)
{
        sp_pool *pool = pool_and_table("id int8");
        sp_stmt *stmt = stmt_of("INSERT INTO batch SELECT $1::int8 FROM pg_sleep(0.05)");
        sp_params *params = numbers(0, 200);
        sp_ctx *ctx = ctx_of("100ms");
        sp_result *result;

        assert_int_equal(sp_pool_batch(pool, ctx, stmt, params, &result, NULL), SP_TIMEOUT);
        while (sp_pool_active(pool) > 0)
                sched_yield();
        assert_int_equal(rows_of(pool), 0);
        sp_ctx_unref(ctx);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

static void test_a_changed_table_heals_a_batch(void **state)
{
        sp_pool *pool = pool_and_table("id int8, a int8"), *other = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT * FROM batch WHERE id = $1");
        sp_params *params = numbers(0, 3);
        sp_result *result;

        run(&ways[0], pool, "INSERT INTO batch SELECT n, n FROM generate_series(0, 2) AS n");
        for (size_t columns = 2; columns < 4; columns++) {
                assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, NULL), SP_OK);
                assert_int_equal(sp_result_columns(sp_result_set(result, 2)), columns);
                sp_result_free(result);
                run(&ways[0], other, columns == 2 ? "ALTER TABLE batch ADD b text" : "ALTER TABLE batch ADD c text");
        }
        sp_pool_free(other);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

/* Each array comes back as it was sent: what the server takes for its elements is what was added. */
static void echo(sp_pool *pool, const sp_params *params, const char *type, const char *const texts[], size_t count)
{
        char text[128];
        sp_stmt *stmt;
        sp_result *result, *array;
        sp_error *error = NULL;
        size_t len;

        snprintf(text, sizeof text, "SELECT $1::%s[], cardinality($1::%s[])", type, type);
        stmt = stmt_of(text);
        if (sp_pool_query(pool, NULL, stmt, params, &result, &error) != SP_OK)
                fail_msg("%s: %s", type, sp_error_message(error));
        assert_int_equal(sp_result_array(result, 0, 0, &array, NULL), SP_OK);
        assert_int_equal(sp_result_rows(array), count);
        for (size_t i = 0; i < count; i++) {
                const char *cell = sp_result_get(array, i, 0, &len);

                assert_string_equal(cell ? cell : "\1", texts[i]);
        }
        sp_result_free(array);
        sp_result_free(result);
        sp_stmt_unref(stmt);
}

static void test_arrays_arrive_as_they_were_made(void **state)
{
        static const char *const texts[] = {"",      "NULL",     "null", "a\"b", "c\\d",  "\\",    "\"",
                                            "{x,y}", " g ",      "a\nb", "\t",   "€日本", "'",     "$1",
                                            ",",     "\\\"\\\\", "}",    "--",   "\x7f",  "\\x41", "[1:2]={1}"};
        static const char *const ints[] = {"9223372036854775807", "-9223372036854775808", "0", "\1"};
        static const char *const doubles[] = {"0.1", "1.7976931348623157e+308", "-5e-324", "Infinity", "NaN"};
        static const char *const bools[] = {"t", "f", "\1"};
        static const char *const bytes[] = {"\\x00ff5c22", "\\x"};
        static const char *const uuids[] = {"00112233-4455-6677-8899-aabbccddeeff"};
        sp_pool *pool = pool_with(NULL);
        sp_params *params = sp_params_new();

        sp_params_begin_array(params);
        echo(pool, (sp_params_end_array(params), params), "text", NULL, 0);
        sp_params_clear(params);
        sp_params_begin_array(params);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                sp_params_add_text(params, texts[i], strlen(texts[i]));
        assert_int_equal(sp_params_begin_array(params), SP_INVALID);
        assert_int_equal(sp_params_next(params), SP_INVALID);
        assert_int_equal(sp_params_end_array(params), SP_OK);
        assert_int_equal(sp_params_end_array(params), SP_INVALID);
        assert_int_equal(sp_params_count(params), 1);
        echo(pool, params, "text", texts, sizeof texts / sizeof *texts);
        sp_params_clear(params);
        sp_params_begin_array(params);
        sp_params_add_int(params, INT64_MAX);
        sp_params_add_int(params, INT64_MIN);
        sp_params_add_int(params, 0);
        sp_params_add_null(params);
        sp_params_end_array(params);
        echo(pool, params, "int8", ints, 4);
        sp_params_clear(params);
        sp_params_begin_array(params);
        sp_params_add_double(params, 0.1);
        sp_params_add_double(params, 1.7976931348623157e308);
        sp_params_add_double(params, -5e-324);
        sp_params_add_double(params, INFINITY);
        sp_params_add_double(params, NAN);
        sp_params_end_array(params);
        echo(pool, params, "float8", doubles, 5);
        sp_params_clear(params);
        sp_params_begin_array(params);
        sp_params_add_bool(params, true);
        sp_params_add_bool(params, false);
        sp_params_add_null(params);
        sp_params_end_array(params);
        echo(pool, params, "bool", bools, 3);
        sp_params_clear(params);
        sp_params_begin_array(params);
        sp_params_add_bytes(params, "\0\377\\\"", 4);
        sp_params_add_bytes(params, "", 0);
        sp_params_end_array(params);
        echo(pool, params, "bytea", bytes, 2);
        sp_params_clear(params);
        sp_params_begin_array(params);
        sp_params_add_text(params, uuids[0], strlen(uuids[0]));
        sp_params_end_array(params);
        echo(pool, params, "uuid", uuids, 1);
        sp_params_free(params);
        sp_pool_free(pool);
}

static void test_one_query_serves_many_keys(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT n % 100 AS id, n FROM generate_series(0, 999) AS n "
                                "WHERE (n % 100)::text = ANY($1::text[]) AND n % 100 <> 13 ORDER BY n");
        sp_params *params = sp_params_new();
        sp_result *result;
        char id[16];

        sp_params_begin_array(params);
        for (int i = 0; i < 50; i++)
                sp_params_add_text(params, id, (size_t)snprintf(id, sizeof id, "%d", i));
        sp_params_end_array(params);
        assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, NULL), SP_OK);
        assert_int_equal(sp_result_rows(result), 490);
        for (int64_t i = 0; i < 50; i++) {
                size_t len = (size_t)snprintf(id, sizeof id, "%" PRId64, i), rows = sp_result_rows(result);
                int64_t found = 0, value;

                for (size_t row = 0; (row = sp_result_find(result, 0, id, len, row)) < rows; row++, found++) {
                        assert_int_equal(sp_result_int(result, row, 1, &value, NULL), SP_OK);
                        assert_int_equal(value, i + found * 100);
                }
                assert_int_equal(found, i == 13 ? 0 : 10);
        }
        assert_int_equal(sp_result_find(result, 1, "142", 3, 0), sp_result_find(result, 1, "142", 3, 10));
        assert_int_equal(sp_result_find(result, 2, "1", 1, 0), 490);
        assert_int_equal(sp_result_find(result, 0, "", 0, 0), 490);
        sp_result_free(result);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_one_statement_updates_many_rows(void **state)
{
        sp_pool *pool = pool_and_table("id text PRIMARY KEY, score float8");
        sp_stmt *stmt = stmt_of("UPDATE batch SET score = new.score "
                                "FROM unnest($1::text[], $2::float8[]) AS new(id, score) WHERE batch.id = new.id");
        sp_params *params = sp_params_new();
        sp_result *result;
        char id[16];

        run(&ways[0], pool, "INSERT INTO batch SELECT 'id-' || n, 0 FROM generate_series(0, 999) AS n");
        sp_params_begin_array(params);
        for (int i = 0; i < 500; i++)
                sp_params_add_text(params, id, (size_t)snprintf(id, sizeof id, "id-%d", i));
        sp_params_end_array(params);
        sp_params_begin_array(params);
        for (int i = 0; i < 500; i++)
                sp_params_add_double(params, i + .5);
        sp_params_end_array(params);
        assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, NULL), SP_OK);
        assert_int_equal(sp_result_affected(result), 500);
        sp_result_free(result);
        assert_int_equal(
            number(&ways[0], pool, "SELECT count(*) FROM batch WHERE score = substr(id, 4)::float8 + 0.5", 0), 500);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        drop(pool);
}

static void test_packed_sets_and_arrays_are_what_they_say(void **state)
{
        /* Two sets of an array of 2 and an int. */
        static const char packed[] = "\2\0\2\0\2\0\0\0"
                                     "a\2\0\0\0t\1\0\0\0xt\377\377\377\377t\1\0\0\0"
                                     "1"
                                     "a\0\0\0\0t\1\0\0\0"
                                     "2";
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT cardinality($1::text[]) * 10 + $2::int4");
        sp_params *params = sp_params_new();
        sp_result *result;
        int64_t value;

        assert_int_equal(sp_params_load(params, packed, sizeof packed - 1), SP_OK);
        assert_int_equal(sp_params_sets(params), 2);
        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, NULL), SP_OK);
        assert_int_equal(sp_result_int(sp_result_set(result, 0), 0, 0, &value, NULL), SP_OK);
        assert_int_equal(value, 21);
        assert_int_equal(sp_result_int(sp_result_set(result, 1), 0, 0, &value, NULL), SP_OK);
        assert_int_equal(value, 2);
        sp_result_free(result);
        for (size_t len = 0; len < sizeof packed - 1; len++)
                assert_int_equal(sp_params_load(params, packed, len), SP_INVALID);
        assert_int_equal(sp_params_load(params, "\1\0\1\0a\1\0\0\0a\0\0\0\0", 14), SP_INVALID);
        assert_int_equal(sp_params_load(params, "\2\0\0\0\377\377\377\377", 8), SP_INVALID);
        assert_int_equal(sp_params_load(params, "\1\0\1\0a\377\377\377\377", 9), SP_INVALID);
        assert_int_equal(sp_params_count(params), 0);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_each_set_has_its_rows),
            cmocka_unit_test(test_an_error_names_its_set_and_leaves_nothing),
            cmocka_unit_test(test_a_statement_that_is_wrong_names_no_set),
            cmocka_unit_test(test_sets_that_make_no_sense_are_refused),
            cmocka_unit_test(test_a_batch_in_a_transaction_is_part_of_it),
            cmocka_unit_test(test_a_large_batch_does_not_stall),
            cmocka_unit_test(test_a_connection_that_dies_in_a_batch_leaves_all_or_nothing),
            cmocka_unit_test(test_a_deadline_ends_the_whole_batch),
            cmocka_unit_test(test_a_changed_table_heals_a_batch),
            cmocka_unit_test(test_arrays_arrive_as_they_were_made),
            cmocka_unit_test(test_one_query_serves_many_keys),
            cmocka_unit_test(test_one_statement_updates_many_rows),
            cmocka_unit_test(test_packed_sets_and_arrays_are_what_they_say),
        };

        /* A program may have a locale whose decimal point is a comma; where there is none, C's. */
        setlocale(LC_NUMERIC, "de_DE.UTF-8");
        return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
