/* SPDX-License-Identifier: MIT */
/* No value of a statement appears in an error, and what helps to find the fault does. */
#include "ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_error *error_of(sp_pool *pool, const char *text, const char *param)
{
        sp_params *params = sp_params_new();
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result = NULL;

        if (param)
                sp_params_add_text(params, param, strlen(param));
        if (sp_pool_query(pool, NULL, stmt, params, &result, &error) == SP_OK)
                fail_msg("%s: no error", text);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        return error;
}

/* Puts `value` wherever the text says %s; %% is a percent sign. */
static void fill_in(const char *text, const char *value, char *out, size_t cap)
{
        size_t len = 0;

        for (; *text && len + strlen(value) + 1 < cap; text++) {
                if (text[0] == '%' && text[1] == 's') {
                        memcpy(out + len, value, strlen(value));
                        len += strlen(value);
                        text++;
                } else {
                        text += text[0] == '%' && text[1] == '%';
                        out[len++] = *text;
                }
        }
        out[len] = 0;
}

static void test_no_error_shows_a_literal_or_a_parameter(void **state)
{
        static const char *const texts[] = {
            "SELECT %s::int4",
            "SELECT %s::date",
            "SELECT %s::uuid",
            "SELECT %s::inet",
            "SELECT %s::jsonb",
            "SELECT %s::regclass",
            "SELECT %s::regtype",
            "SELECT %s::regrole",
            "SELECT %s::regproc",
            "SELECT %s::regconfig",
            "SELECT %s::regnamespace",
            "SELECT nextval(%s)",
            "SELECT current_setting(%s)",
            "SELECT has_table_privilege(%s, 'select')",
            "SELECT to_tsquery('english', %s || ' &&& (')",
            "SELECT 'x' ~ (%s || '[')",
            "SELECT xmlparse(document %s)",
            "SELECT format('%%I %%z', %s::text)",
            "SELECT pg_read_file(%s)",
            "SELECT (%s || '.a.b.c')::regclass",
            "SELECT literal_raise(%s, 'P0001')",
            "SELECT literal_raise(%s, 'U0001')",
            "SELECT literal_raise(%s, 'XX000')",
            "SELECT literal_raise(%s, '22000')",
            "SELECT literal_raise_plain(%s, 'P0001')",
            "SELECT literal_raise_plain(%s, 'U0001')",
            "SELECT literal_raise_plain(%s, '22000')",
            "SELECT literal_raise_plain(%s, '23505')",
            "INSERT INTO literal_rows VALUES (%s)",
            "INSERT INTO literal_rows VALUES (left(%s, 3)), (left(%s, 3))",
        };
        sp_pool *pool = pool_with(NULL);

        run(&ways[0], pool, "DROP TABLE IF EXISTS literal_rows");
        run(&ways[0], pool, "CREATE TABLE literal_rows (name varchar(3) UNIQUE CHECK (name <> 'hun'))");
        run(&ways[0], pool,
            "CREATE OR REPLACE FUNCTION literal_raise(v text, code text) RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'refused: \"%\"', v USING ERRCODE = code; END $$");
        run(&ways[0], pool,
            "CREATE OR REPLACE FUNCTION literal_raise_plain(v text, code text) RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'card % refused', v USING ERRCODE = code; END $$");
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                char literal[160], param[160];

                fill_in(texts[i], "'hunter2'", literal, sizeof literal);
                fill_in(texts[i], "$1::text", param, sizeof param);
                says(error_of(pool, literal, NULL), "statement", "hunter2");
                says(error_of(pool, param, "hunter2"), "statement", "hunter2");
        }
        run(&ways[0], pool, "DROP TABLE literal_rows");
        run(&ways[0], pool, "DROP FUNCTION literal_raise");
        run(&ways[0], pool, "DROP FUNCTION literal_raise_plain");
        sp_pool_free(pool);
}

/* 90210 is a value, wherever a message has it. */
static void test_no_error_shows_a_number_that_is_a_value(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
            {"SELECT set_bit(B'1', %s::int, 1)", "bit index ? out of valid range"},
            {"SELECT lo_unlink(%s::oid)", "large object ? does not exist"},
            {"SELECT get_byte('\\x01'::bytea, %s::int)", "index ? out of valid range"},
            {"SELECT chr((%s::text || '21')::int)", "too large for encoding"},
        };
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char literal[160], param[160];

                fill_in(cases[i].text, "'90210'", literal, sizeof literal);
                fill_in(cases[i].text, "$1::text", param, sizeof param);
                says(error_of(pool, literal, NULL), cases[i].says, "90210");
                says(error_of(pool, param, "90210"), cases[i].says, "90210");
        }
        sp_pool_free(pool);
}

/* Only what a function raised is said to be. */
static void test_what_the_server_says_by_itself_is_not_called_a_functions(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
            {"SELECT (SELECT generate_series(1, 2))", "more than one row returned by a subquery"},
            {"DO $$ BEGIN PERFORM 1; COMMIT; END $$ /* in a transaction */", "invalid transaction termination"},
            {"ROLLBACK TO SAVEPOINT nowhere", "savepoint \"nowhere\" does not exist"},
            {"SELECT pg_read_file('nowhere')", "could not open file"},
        };
        sp_pool *pool = pool_with(NULL);
        sp_session *session;

        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                sp_stmt *stmt = stmt_of(cases[i].text);
                sp_result *result = NULL;
                sp_error *error = NULL;

                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, &error), SP_SQL);
                says(error, cases[i].says, "raised");
                assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
                sp_stmt_unref(stmt);
        }
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_names_of_the_statement_are_told(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
            {"SELECT nowhere FROM pg_class", "\"nowhere\" does not exist"},
            {"SELECT 1 FROM Missing_Table WHERE id = 'hunter2'", "\"missing_table\" does not exist"},
            {"DROP TABLE missing_table", "\"missing_table\" does not exist"},
            {"CREATE TABLE pg_catalog.pg_class (id int)", "\"pg_class\""},
            {"SELECT missing_function('hunter2')", "missing_function(unknown) does not exist"},
            {"INSERT INTO pg_class DEFAULT VALUES", "pg_class"},
            {"SELECT 1/0", "division by zero"},
        };
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                says(error_of(pool, cases[i].text, NULL), cases[i].says, "hunter2");
        sp_pool_free(pool);
}

static void test_what_the_server_said_is_there_for_who_asks(void **state)
{
        sp_pool *pool = pool_with(NULL);
        sp_error *error;

        run(&ways[0], pool, "DROP TABLE IF EXISTS literal_rows");
        run(&ways[0], pool, "CREATE TABLE literal_rows (name text CONSTRAINT literal_key PRIMARY KEY)");
        run(&ways[0], pool, "INSERT INTO literal_rows VALUES ('hunter2')");
        error = error_of(pool, "INSERT INTO literal_rows VALUES ($1)", "hunter2");
        assert_null(strstr(sp_error_message(error), "hunter2"));
        assert_string_equal(sp_error_field(error, 'D'), "Key (name)=(hunter2) already exists.");
        assert_string_equal(sp_error_field(error, 'n'), "literal_key");
        assert_string_equal(sp_error_field(error, 't'), "literal_rows");
        assert_string_equal(sp_error_field(error, 'C'), "23505");
        assert_null(sp_error_field(error, 'c'));
        sp_error_free(error);
        error = error_of(pool, "SELECT nowhere FROM literal_rows", NULL);
        assert_string_equal(sp_error_field(error, 'P'), "8");
        sp_error_free(error);
        run(&ways[0], pool, "DROP TABLE literal_rows");
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_no_error_shows_a_literal_or_a_parameter),
            cmocka_unit_test(test_no_error_shows_a_number_that_is_a_value),
            cmocka_unit_test(test_what_the_server_says_by_itself_is_not_called_a_functions),
            cmocka_unit_test(test_names_of_the_statement_are_told),
            cmocka_unit_test(test_what_the_server_said_is_there_for_who_asks),
        };

        return cmocka_run_group_tests_name("literals", tests, NULL, NULL);
}
