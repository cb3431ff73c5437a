/* SPDX-License-Identifier: MIT */
/* The trouble that a pool has with what it prepared is its own to mend; what the caller's code raises with the same code is not. */
#include "way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `what` has committed when it fails, with an error that looks like the pool's own. */
static const struct raised {
        const char *code;
        const char *what;
} raised[] = {
    {"26000", "CALL heal_book('26000')"},
    {"42P05", "CALL heal_book('42P05')"},
    {"0A000", "CALL heal_book('0A000')"},
    {"25006", "CALL heal_book('25006')"},
    {"40001", "CALL heal_book('40001')"},
    {"55P03", "CALL heal_book('55P03')"},
    {"40P01", "DO $$ BEGIN INSERT INTO heal_log VALUES (1); COMMIT; RAISE 'x' USING ERRCODE = '40P01'; END $$"},
    {"25006", "CALL heal_read_only()"},
    {"26000", "CALL heal_run('EXECUTE heal_nobody')"},
    {"42P05", "CALL heal_run('PREPARE heal_twice AS SELECT 1')"},
    {"26000", "DO $$ BEGIN INSERT INTO heal_log VALUES (1); COMMIT; RAISE 'x' USING ERRCODE = '26000'; END $$"},
    {"25006", "DO $$ BEGIN INSERT INTO heal_log VALUES (1); COMMIT; RAISE 'x' USING ERRCODE = '25006'; END $$"},
};

enum { RAISED = sizeof raised / sizeof *raised };

/* Messages name what is prepared, as the server's own do. */
static sp_pool *pool_of_bookings(const struct way *way)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.target_session_attrs=read-write", NULL});

        run(way, pool, "DROP TABLE IF EXISTS heal_log");
        run(way, pool, "CREATE TABLE heal_log (n int8)");
        run(way, pool,
            "CREATE OR REPLACE PROCEDURE heal_book(code text) LANGUAGE plpgsql AS $$ DECLARE names text; BEGIN "
            "INSERT INTO heal_log VALUES (1); COMMIT; SELECT string_agg(name, ' ') INTO names FROM "
            "pg_prepared_statements; "
            "RAISE 'cached plan %', names USING ERRCODE = code; END $$");
        run(way, pool,
            "CREATE OR REPLACE PROCEDURE heal_run(text text) LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO heal_log VALUES (1); COMMIT; EXECUTE text; EXECUTE text; END $$");
        run(way, pool,
            "CREATE OR REPLACE PROCEDURE heal_read_only() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO heal_log VALUES "
            "(1); "
            "COMMIT; SET TRANSACTION READ ONLY; INSERT INTO heal_log VALUES (2); END $$");
        return pool;
}

static void done_with_bookings(const struct way *way, sp_pool *pool)
{
        run(way, pool, "DROP PROCEDURE heal_book, heal_run, heal_read_only");
        run(way, pool, "DROP TABLE heal_log");
        sp_pool_free(pool);
}

/* How many rows are there more than one: it was run so many times again. Frees the error. */
static int booked_again(const struct way *way, sp_pool *pool, const char *where, const struct raised *it,
                        sp_error *error)
{
        int again = (int)number(way, pool, "SELECT count(*) FROM heal_log", 0) - 1;
        bool told = error && strcmp(sp_error_code(error), it->code) == 0 && !sp_error_retryable(error);

        if (again || !told)
                print_error("%s, in %s: %d rows, %s%s\n", it->what, where, again + 1,
                            error ? sp_error_code(error) : "OK", sp_error_retryable(error) ? ", worth a retry" : "");
        sp_error_free(error);
        run(way, pool, "TRUNCATE heal_log");
        return told ? again : -1;
}

static sp_error *session_fails(const struct way *way, sp_pool *pool, const char *text)
{
        sp_session *session = session_of(way, pool);
        sp_stmt *stmt = stmt_of(text);
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(way->session(session, NULL, stmt, NULL, &result, &error), SP_SQL);
        sp_session_release(session);
        sp_stmt_unref(stmt);
        return error;
}

static void test_what_has_committed_is_not_run_again_and_its_error_is_told(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of_bookings(way);
        int wrong = 0;

        for (int i = 0; i < RAISED; i++) {
                const struct raised *it = &raised[i];

                wrong += booked_again(way, pool, "the pool", it, fails(way, pool, NULL, it->what, SP_SQL)) != 0;
                wrong += booked_again(way, pool, "a session", it, session_fails(way, pool, it->what)) != 0;
        }
        assert_int_equal(wrong, 0);
        done_with_bookings(way, pool);
}

/* Outside of the transaction that it is given. */
static sp_status book_beside(void *arg, sp_session *session, sp_error **error)
{
        sp_stmt *stmt = stmt_of("CALL heal_book('40001')");
        sp_result *result = NULL;
        sp_status status = sp_pool_query(arg, NULL, stmt, NULL, &result, error);

        sp_stmt_unref(stmt);
        return status;
}

static void test_a_transaction_whose_work_committed_elsewhere_is_not_made_again(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of_bookings(way), *other = pool_with((const char *[]){"pool.max=1", NULL});
        sp_error *error = NULL;

        assert_int_equal(sp_pool_transact(other, NULL, NULL, book_beside, pool, &error), SP_SQL);
        assert_int_equal(booked_again(way, pool, "a transaction", &(struct raised){"40001", "CALL"}, error), 0);
        sp_pool_free(other);
        done_with_bookings(way, pool);
}

/* What one of its procedures committed stays. */
static void test_a_batch_that_has_committed_is_not_worth_a_retry(void **state)
{
        static const char *const codes[] = {"40P01", "40001"};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_of_bookings(way);
        sp_stmt *stmt = stmt_of("CALL heal_book($1)");
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_error *error = NULL;

        for (int i = 0; i < 2; i++) {
                sp_params_add_text(params, codes[i], 5);
                sp_params_next(params);
        }
        assert_int_equal(sp_pool_batch(pool, NULL, stmt, params, &result, &error), SP_SQL);
        assert_int_equal(booked_again(way, pool, "a batch", &(struct raised){"40P01", "CALL"}, error), 0);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        done_with_bookings(way, pool);
}

/* Nothing commits there, so that all of it may be made again. */
static void test_a_procedure_inside_a_transaction_is_worth_a_retry(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_stmt *stmt = stmt_of("CALL heal_lose()");
        sp_session *session;

        run(way, pool,
            "CREATE OR REPLACE PROCEDURE heal_lose() LANGUAGE plpgsql AS $$ BEGIN RAISE 'x' USING ERRCODE = '40001'; "
            "END $$");
        session = session_of(way, pool);
        for (int i = 0; i < 2; i++) {
                sp_result *result = NULL;
                sp_error *error = NULL;

                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                /* As what BEGIN goes with, and behind that. */
                if (i > 0)
                        session_run(way, session, "SELECT 1");
                assert_int_equal(way->session(session, NULL, stmt, NULL, &result, &error), SP_SQL);
                assert_true(sp_error_retryable(error));
                sp_error_free(error);
                assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        }
        sp_session_release(session);
        sp_stmt_unref(stmt);
        run(way, pool, "DROP PROCEDURE heal_lose");
        sp_pool_free(pool);
}

/* A function of a SELECT cannot commit; what it raises is the caller's all the same. */
static void test_what_a_function_raises_is_told(void **state)
{
        static const char *const codes[] = {"26000", "42P05", "0A000"};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});

        run(way, pool,
            "CREATE OR REPLACE FUNCTION heal_raise(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE 'cached plan' USING ERRCODE = code; END $$");
        for (int i = 0; i < 3; i++) {
                char text[64];
                sp_error *error;

                snprintf(text, sizeof text, "SELECT heal_raise('%s')", codes[i]);
                error = fails(way, pool, NULL, text, SP_SQL);
                assert_string_equal(sp_error_code(error), codes[i]);
                sp_error_free(error);
        }
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 0);
        run(way, pool, "DROP FUNCTION heal_raise");
        sp_pool_free(pool);
}

/* The server puts them where it tells of functions otherwise. */
static void test_a_changed_plan_heals_where_errors_tell_parameters(void **state)
{
        const struct way *way = way_of(state);
        const char *url = getenv("DATABASE_URL");
        sp_pool *pool, *other = pool_with(NULL);
        char setting[512];

        snprintf(setting, sizeof setting, "pool.url=%s%coptions=-c%%20log_parameter_max_length_on_error%%3D-1", url,
                 strchr(url, '?') ? '&' : '?');
        pool = pool_with((const char *[]){setting, "pool.max=1", NULL});
        run(way, pool, "DROP TABLE IF EXISTS heal_table");
        run(way, pool, "CREATE TABLE heal_table AS SELECT 7 AS n");
        assert_int_equal(number(way, pool, "SELECT * FROM heal_table WHERE $1::int8 > 0", 1), 7);
        run(way, other, "ALTER TABLE heal_table ALTER n TYPE text");
        assert_int_equal(number(way, pool, "SELECT * FROM heal_table WHERE $1::int8 > 0", 1), 7);
        assert_int_equal(counted(pool, "sugarperf_pool_retries"), 1);
        run(way, pool, "DROP TABLE heal_table");
        sp_pool_free(other);
        sp_pool_free(pool);
}

/* By a function, in the midst of the connection that all share: the next ones are prepared anew. */
static void test_what_a_function_deallocates_is_prepared_anew(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});

        run(way, pool,
            "CREATE OR REPLACE FUNCTION heal_forget() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DEALLOCATE ALL; "
            "RETURN 1; END $$");
        for (int i = 0; i < 3; i++) {
                assert_int_equal(number(way, pool, "SELECT $1::int8 + 1", 1), 2);
                run(way, pool, "SELECT heal_forget()");
                run(way, pool, "DO $$ BEGIN DEALLOCATE ALL; END $$");
        }
        assert_int_equal(number(way, pool, "SELECT $1::int8 + 1", 1), 2);
        run(way, pool, "DROP FUNCTION heal_forget");
        sp_pool_free(pool);
}

/* Whose transaction has failed runs it again as a whole. Behind DO all is prepared anew, and to deallocate it fails before. */
static void test_what_is_deallocated_in_a_transaction_fails_it_once(void **state)
{
        static const struct {
                const char *forget, *code;
        } ways_to[] = {{"SELECT heal_forget()", "26000"}, {"DO $$ BEGIN DEALLOCATE ALL; END $$", "25P02"}};
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way, pool);
        sp_stmt *one = stmt_of("SELECT 1 AS kept");

        session_run(way, session,
                    "CREATE OR REPLACE FUNCTION heal_forget() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DEALLOCATE ALL; "
                    "RETURN 1; END $$");
        for (size_t i = 0; i < 2; i++) {
                sp_result *result = NULL;
                sp_error *error = NULL;

                session_run(way, session, "SELECT 1 AS kept");
                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                session_run(way, session, ways_to[i].forget);
                assert_int_equal(way->session(session, NULL, one, NULL, &result, &error), SP_SQL);
                assert_string_equal(sp_error_code(error), ways_to[i].code);
                sp_error_free(error);
                assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
                session_run(way, session, "SELECT 1 AS kept");
        }
        session_run(way, session, "DROP FUNCTION heal_forget");
        sp_session_release(session);
        sp_stmt_unref(one);
        sp_pool_free(pool);
}

/* What is prepared there stays, under its own name, and is in nobody's way but its own. */
static void test_what_a_function_prepares_is_in_nobodys_way(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_error *error;

        run(way, pool,
            "CREATE OR REPLACE FUNCTION heal_prepare() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            "PREPARE heal_s1 AS SELECT 1; RETURN 1; END $$");
        run(way, pool, "SELECT heal_prepare()");
        assert_int_equal(number(way, pool, "SELECT $1::int8 + 1", 1), 2);
        error = fails(way, pool, NULL, "SELECT heal_prepare()", SP_SQL);
        assert_string_equal(sp_error_code(error), "42P05");
        sp_error_free(error);
        assert_int_equal(number(way, pool, "SELECT $1::int8 + 1", 1), 2);
        run(way, pool, "DROP FUNCTION heal_prepare");
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_what_has_committed_is_not_run_again_and_its_error_is_told),
            BOTH_WAYS(test_a_transaction_whose_work_committed_elsewhere_is_not_made_again),
            BOTH_WAYS(test_a_batch_that_has_committed_is_not_worth_a_retry),
            BOTH_WAYS(test_a_procedure_inside_a_transaction_is_worth_a_retry),
            BOTH_WAYS(test_what_a_function_raises_is_told),
            BOTH_WAYS(test_a_changed_plan_heals_where_errors_tell_parameters),
            BOTH_WAYS(test_what_a_function_deallocates_is_prepared_anew),
            BOTH_WAYS(test_what_is_deallocated_in_a_transaction_fails_it_once),
            BOTH_WAYS(test_what_a_function_prepares_is_in_nobodys_way),
        };

        return cmocka_run_group_tests_name("heal", tests, NULL, NULL);
}
