/* SPDX-License-Identifier: MIT */
/* COPY: all of it or nothing, and the session (or at least the pool) as it was before. */
#include "way.h"
#include "../support/sanitized.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PIECE = 1 << 20, PIECES = 64 };

static sp_pool *pool_with_table(const char *const settings[])
{
        sp_pool *pool = pool_with(settings);

        run(&ways[0], pool, "DROP TABLE IF EXISTS copied");
        run(&ways[0], pool, "CREATE TABLE copied (id int, name text)");
        return pool;
}

static void done_with(sp_pool *pool)
{
        run(&ways[0], pool, "DROP TABLE copied");
        sp_pool_free(pool);
}

static sp_status copy_begin(const struct way *way, sp_session *session, const char *text, sp_copy **out,
                            sp_error **error)
{
        sp_stmt *stmt = stmt_of(text);
        sp_completion *done;
        sp_queue *queue;
        sp_status status;

        if (!queued(way)) {
                status = sp_session_copy(session, NULL, stmt, out, error);
        } else {
                queue = queue_of();
                assert_int_equal(sp_session_copy_async(session, NULL, stmt, queue, 42), SP_OK);
                done = queue_completion(queue);
                status = completion_outcome(done, error);
                if (status == SP_OK)
                        *out = sp_completion_take_copy(done);
                sp_completion_free(done);
                sp_queue_free(queue);
        }
        sp_stmt_unref(stmt);
        return status;
}

static sp_copy *copy_of(const struct way *way, sp_session *session, const char *text)
{
        sp_error *error = NULL;
        sp_copy *copy = NULL;

        if (copy_begin(way, session, text, &copy, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        return copy;
}

static sp_status copy_write(const struct way *way, sp_copy *copy, sp_ctx *ctx, const char *data, size_t len,
                            sp_error **error)
{
        sp_queue *queue;
        sp_status status;

        if (!queued(way))
                return sp_copy_write(copy, ctx, data, len, error);
        queue = queue_of();
        assert_int_equal(sp_copy_write_async(copy, ctx, data, len, queue, 42), SP_OK);
        status = queue_outcome(queue, error);
        sp_queue_free(queue);
        return status;
}

static void copy_text(const struct way *way, sp_copy *copy, const char *text)
{
        sp_error *error = NULL;

        if (copy_write(way, copy, NULL, text, strlen(text), &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
}

static sp_status copy_read(const struct way *way, sp_copy *copy, sp_ctx *ctx, sp_value **out, sp_error **error)
{
        sp_completion *done;
        sp_queue *queue;
        sp_status status;

        if (!queued(way))
                return sp_copy_read(copy, ctx, out, error);
        queue = queue_of();
        assert_int_equal(sp_copy_read_async(copy, ctx, queue, 42), SP_OK);
        done = queue_completion(queue);
        status = completion_outcome(done, error);
        if (status == SP_OK)
                *out = sp_value_ref(sp_completion_value(done));
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

static sp_status copy_end(const struct way *way, sp_copy *copy, int64_t *rows, sp_error **error)
{
        sp_completion *done;
        sp_queue *queue;
        sp_status status;
        size_t len;

        if (!queued(way))
                return sp_copy_end(copy, NULL, rows, error);
        queue = queue_of();
        assert_int_equal(sp_copy_end_async(copy, NULL, queue, 42), SP_OK);
        done = queue_completion(queue);
        status = completion_outcome(done, error);
        if (status == SP_OK)
                *rows = strtoll(sp_value_data(sp_completion_value(done), &len), NULL, 10);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

static int64_t ended(const struct way *way, sp_copy *copy)
{
        sp_error *error = NULL;
        int64_t rows = -1;

        if (copy_end(way, copy, &rows, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_copy_free(copy);
        return rows;
}

static void test_data_goes_in_and_out(void **state)
{
        static const char data[] = "1\tone\n2\ttwo\n3\t\\N\n";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=1", NULL});
        sp_session *session;
        sp_value *value;
        sp_copy *copy;
        char all[64] = "";
        size_t len;

        /* A connection that was a lane of reads may refuse to write. */
        for (int i = 0; i < 10; i++)
                number(way, pool, "SELECT count(*) FROM copied", 0);
        session = session_of(way, pool);
        copy = copy_of(way, session, "COPY copied FROM STDIN");
        /* Cut anywhere. */
        for (const char *at = data; *at; at++)
                assert_int_equal(copy_write(way, copy, NULL, at, 1, NULL), SP_OK);
        assert_int_equal(ended(way, copy), 3);
        assert_int_equal(session_number(way, session, "SELECT sum(id) FROM copied"), 6);
        copy = copy_of(way, session, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT");
        while (copy_read(way, copy, NULL, &value, NULL) == SP_OK && value) {
                strncat(all, sp_value_data(value, &len), sizeof all - 1 - strlen(all));
                sp_value_unref(value);
        }
        assert_string_equal(all, data);
        assert_int_equal(copy_read(way, copy, NULL, &value, NULL), SP_OK);
        assert_null(value);
        assert_int_equal(ended(way, copy), 3);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_session_release(session);
        done_with(pool);
}

static void test_a_copy_is_part_of_its_transaction(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table(NULL);
        sp_session *session = session_of(way, pool);

        for (int keep = 0; keep <= 1; keep++) {
                sp_copy *copy;

                assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                copy = copy_of(way, session, "COPY copied FROM STDIN");
                copy_text(way, copy, "1\tone\n");
                assert_int_equal(ended(way, copy), 1);
                assert_int_equal(
                    keep ? sp_session_commit(session, NULL, NULL) : sp_session_rollback(session, NULL, NULL), SP_OK);
                assert_int_equal(number(way, pool, "SELECT count(*) FROM copied", 0), keep);
        }
        sp_session_release(session);
        done_with(pool);
}

static void test_what_is_wrong_with_the_data_is_told_at_the_end(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table(NULL);
        sp_session *session = session_of(way, pool);
        sp_copy *copy = copy_of(way, session, "COPY copied FROM STDIN");
        sp_error *error = NULL;
        int64_t rows;

        copy_text(way, copy, "1\tone\nsecret\ttwo\n3\tthree\n");
        assert_int_equal(copy_end(way, copy, &rows, &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "22P02");
        says(error, "invalid input syntax", "secret");
        error = NULL;
        assert_int_equal(copy_end(way, copy, &rows, &error), SP_INVALID);
        says(error, "ended with an error", NULL);
        sp_copy_free(copy);
        assert_int_equal(session_number(way, session, "SELECT count(*) FROM copied"), 0);
        error = NULL;
        assert_int_equal(copy_begin(way, session, "COPY no_such_table FROM STDIN", &copy, &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "42P01");
        sp_error_free(error);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_session_release(session);
        done_with(pool);
}

/* Behind rows that came with it: whoever asks next is told, once. */
static void test_a_copy_that_fails_half_way_tells_the_servers_error(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way, pool);

        for (int reads = 0; reads < 2; reads++) {
                sp_copy *copy =
                    copy_of(way, session, "COPY (SELECT 10 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT");
                sp_error *error = NULL;
                sp_value *value;
                int64_t rows;

                assert_int_equal(copy_read(way, copy, NULL, &value, NULL), SP_OK);
                sp_value_unref(value);
                assert_int_equal(
                    reads ? copy_read(way, copy, NULL, &value, &error) : copy_end(way, copy, &rows, &error), SP_SQL);
                assert_string_equal(sp_error_code(error), "22012");
                sp_error_free(error);
                error = NULL;
                assert_int_equal(copy_read(way, copy, NULL, &value, &error), SP_INVALID);
                says(error, "ended with an error", NULL);
                sp_copy_free(copy);
                assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        }
        sp_session_release(session);
        sp_pool_free(pool);
}

static void test_what_is_given_up_leaves_nothing(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(way, pool);
        int64_t backend = session_number(way, session, "SELECT pg_backend_pid()");
        sp_copy *copy;

        for (int i = 0; i < 20; i++) {
                copy = copy_of(way, session, "COPY copied FROM STDIN");
                if (i % 2)
                        copy_text(way, copy, "1\tone\n2\tt");
                sp_copy_free(copy);
                assert_int_equal(session_number(way, session, "SELECT pg_backend_pid()"), backend);
        }
        copy = copy_of(way, session, "COPY copied FROM STDIN");
        copy_text(way, copy, "1\tone\n");
        sp_session_release(session);
        sp_copy_free(copy);
        assert_int_equal(number(way, pool, "SELECT count(*) FROM copied", 0), 0);
        done_with(pool);
}

static void test_a_reader_that_goes_away_costs_only_its_connection(void **state)
{
        static const char text[] = "COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 100000) g) TO STDOUT";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=2", NULL});
        sp_session *session = session_of(way, pool);
        sp_copy *copy = copy_of(way, session, text);
        sp_value *value;
        int64_t rows;
        sp_error *error = NULL;

        /* Somebody does not read on: all others go on. */
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        assert_int_equal(copy_read(way, copy, NULL, &value, NULL), SP_OK);
        sp_value_unref(value);
        assert_int_equal(copy_end(way, copy, &rows, &error), SP_INVALID);
        says(error, "rows are left", NULL);
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_copy_free(copy);
        sp_session_release(session);
        session = session_of(way, pool);
        assert_int_equal(session_number(way, session, "SELECT 5"), 5);
        sp_session_release(session);
        done_with(pool);
}

/* Its connection ends while its holder still lets go of it: whoever comes next gets one that stands. */
static void test_after_one_that_was_left_the_next_session_works(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=2", NULL});

        for (int i = 0; i < 100; i++) {
                sp_session *session = session_of(way, pool);
                sp_copy *copy = copy_of(way, session, "COPY (SELECT generate_series(1, 100000)) TO STDOUT");

                sp_copy_free(copy);
                sp_session_release(session);
                session = session_of(way, pool);
                assert_int_equal(session_number(way, session, "SELECT 5"), 5);
                sp_session_release(session);
        }
        done_with(pool);
}

static void test_memory_is_bounded(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.statement_timeout=60s", "pool.query_timeout=60s", NULL});
        sp_session *session = session_of(way, pool);
        char *piece = malloc(PIECE);
        struct rusage before, after;
        int64_t bytes = 0;
        sp_value *value;
        sp_copy *copy;
        size_t len;

        memset(piece, 'x', PIECE);
        piece[PIECE - 1] = '\n';
        memcpy(piece, "1\t", 2);
        getrusage(RUSAGE_SELF, &before);
        copy = copy_of(way, session, "COPY copied FROM STDIN");
        for (int i = 0; i < PIECES; i++)
                assert_int_equal(copy_write(way, copy, NULL, piece, PIECE, NULL), SP_OK);
        assert_int_equal(ended(way, copy), PIECES);
        copy = copy_of(way, session, "COPY copied TO STDOUT");
        while (copy_read(way, copy, NULL, &value, NULL) == SP_OK && value) {
                sp_value_data(value, &len);
                bytes += (int64_t)len;
                sp_value_unref(value);
        }
        assert_int_equal(bytes, (int64_t)PIECE * PIECES);
        assert_int_equal(ended(way, copy), PIECES);
        getrusage(RUSAGE_SELF, &after);
        if (!SANITIZED)
                assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 16 * 1024);
        free(piece);
        sp_session_release(session);
        done_with(pool);
}

static void test_nothing_else_runs_meanwhile(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table(NULL);
        sp_session *session = session_of(way, pool);
        sp_copy *copy = copy_of(way, session, "COPY copied FROM STDIN"), *other = NULL;
        sp_stmt *stmt = stmt_of("SELECT 1"), *plain = stmt_of("COPY copied FROM STDIN");
        sp_result *result = NULL;
        sp_error *error = NULL;

        assert_int_equal(way->session(session, NULL, stmt, NULL, &result, &error), SP_INVALID);
        says(error, "a COPY is under way", NULL);
        error = NULL;
        assert_int_equal(sp_session_commit(session, NULL, &error), SP_INVALID);
        says(error, "a COPY is under way", NULL);
        assert_int_equal(copy_begin(way, session, "COPY copied FROM STDIN", &other, NULL), SP_INVALID);
        assert_int_equal(ended(way, copy), 0);
        error = NULL;
        assert_int_equal(copy_begin(way, session, "SELECT 1", &other, &error), SP_INVALID);
        says(error, "is not a COPY", NULL);
        error = NULL;
        assert_int_equal(copy_begin(way, session, "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'", &other, &error),
                         SP_INVALID);
        says(error, "no COPY from STDIN", NULL);
        error = NULL;
        assert_int_equal(way->session(session, NULL, plain, NULL, &result, &error), SP_UNSUPPORTED);
        says(error, "sp_session_copy()", NULL);
        assert_null(other);
        /* Begun behind a statement of which nobody waits for the answer. */
        copy = copy_of(way, session, "COPY copied TO STDOUT");
        error = NULL;
        assert_int_equal(copy_write(way, copy, NULL, "x", 1, &error), SP_INVALID);
        says(error, "does not take data", NULL);
        sp_copy_free(copy);
        sp_stmt_unref(stmt);
        sp_stmt_unref(plain);
        sp_session_release(session);
        done_with(pool);
}

static void test_a_late_call_ends_the_connection(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_session *session = session_of(way, pool);
        static const char text[] = "COPY (SELECT CASE g WHEN 100 THEN pg_sleep(300)::text ELSE repeat('x', 1000) END "
                                   "FROM generate_series(1, 200) g) TO STDOUT";
        sp_copy *copy = copy_of(way, session, text);
        sp_ctx *ctx = ctx_of("200ms");
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_status status;
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_value *value = NULL;

        while ((status = copy_read(way, copy, ctx, &value, &error)) == SP_OK)
                sp_value_unref(value);
        assert_int_equal(status, SP_TIMEOUT);
        says(error, "no progress", NULL);
        assert_int_equal(copy_read(way, copy, NULL, &value, NULL), SP_INVALID);
        sp_copy_free(copy);
        assert_int_equal(way->session(session, NULL, stmt, NULL, &result, NULL), SP_UNAVAILABLE);
        sp_session_release(session);
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_ctx_unref(ctx);
        sp_stmt_unref(stmt);
        done_with(pool);
}

static void test_a_lost_connection_is_told(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=3", NULL});
        char text[96], row[1024];

        memset(row, 'x', sizeof row);
        memcpy(row, "1\t", 2);
        row[sizeof row - 1] = '\n';
        for (int i = 0; i < 3; i++) {
                sp_session *session = session_of(way, pool);
                sp_error *error = NULL;
                sp_status status = SP_OK;
                int64_t rows;
                sp_copy *copy;

                snprintf(text, sizeof text, "SELECT pg_terminate_backend(%lld, 900)",
                         (long long)session_number(way, session, "SELECT pg_backend_pid()"));
                copy = copy_of(way, session, "COPY copied FROM STDIN");
                run(way, pool, text);
                for (int n = 0; status == SP_OK && n < 3 * i; n++)
                        status = copy_write(way, copy, NULL, row, sizeof row, NULL);
                if (status == SP_OK)
                        status = copy_end(way, copy, &rows, &error);
                assert_true(status == SP_LOST || status == SP_SQL);
                sp_error_free(error);
                sp_copy_free(copy);
                sp_session_release(session);
        }
        assert_int_equal(number(way, pool, "SELECT count(*) FROM copied", 0), 0);
        done_with(pool);
}

static void test_a_copy_that_nobody_took_is_given_up(void **state)
{
        sp_pool *pool = pool_with_table((const char *[]){"pool.max=1", NULL});
        sp_session *session = session_of(&ways[0], pool);
        sp_stmt *stmt = stmt_of("COPY copied FROM STDIN"), *sleep = stmt_of("SELECT pg_sleep(0.05)");
        sp_queue *queue = queue_of();
        sp_completion *done[3];
        sp_copy *copy;

        /* It begins once what is in flight has ended, and what comes behind it waits until it was given up. */
        assert_int_equal(sp_session_query_async(session, NULL, sleep, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_session_copy_async(session, NULL, stmt, queue, 2), SP_OK);
        for (size_t n = 0; n < 2;)
                n += sp_queue_wait(queue, done + n, 2 - n, -1);
        assert_int_equal(sp_completion_status(done[0]), SP_OK);
        copy = sp_completion_take_copy(done[1]);
        assert_non_null(copy);
        sp_completion_free(done[0]);
        sp_completion_free(done[1]);
        sp_copy_free(copy);
        assert_int_equal(session_number(&ways[0], session, "SELECT 5"), 5);
        /* Freed while a write is under way. */
        assert_int_equal(sp_session_copy(session, NULL, stmt, &copy, NULL), SP_OK);
        assert_int_equal(sp_copy_write_async(copy, NULL, "1\tone\n", 6, queue, 3), SP_OK);
        sp_copy_free(copy);
        assert_int_equal(sp_queue_wait(queue, done, 1, -1), 1);
        sp_completion_free(done[0]);
        sp_session_release(session);
        assert_int_equal(number(&ways[0], pool, "SELECT count(*) FROM copied", 0), 0);
        /* Never taken from its completion. */
        session = session_of(&ways[0], pool);
        assert_int_equal(sp_session_copy_async(session, NULL, stmt, queue, 4), SP_OK);
        sp_session_release(session);
        assert_int_equal(sp_queue_wait(queue, done, 1, -1), 1);
        sp_completion_free(done[0]);
        assert_int_equal(number(&ways[0], pool, "SELECT count(*) FROM copied", 0), 0);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_stmt_unref(sleep);
        done_with(pool);
}

/* Where large bytes are wanted as they are: half of what their text takes. */
static void test_bytes_are_copied_in_binary_form(void **state)
{
        static const char text[] = "COPY (SELECT decode(repeat('00ff', 100), 'hex')) TO STDOUT (FORMAT binary)";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_session *session = session_of(way, pool);
        sp_copy *copy = copy_of(way, session, text);
        char all[1024];
        int64_t rows = 0;
        sp_value *value = NULL;
        size_t len = 0, n;

        while (copy_read(way, copy, NULL, &value, NULL) == SP_OK && value) {
                const char *data = sp_value_data(value, &n);

                assert_true(len + n <= sizeof all);
                memcpy(all + len, data, n);
                len += n;
                sp_value_unref(value);
                value = NULL;
        }
        /* A header of 19 bytes; a row of one field, its length and bytes; the end. */
        assert_int_equal(len, 19 + 2 + 4 + 200 + 2);
        assert_memory_equal(all, "PGCOPY\n\377\r\n\0", 11);
        for (size_t i = 0; i < 200; i++)
                assert_int_equal((unsigned char)all[25 + i], i % 2 ? 0xff : 0);
        assert_int_equal(copy_end(way, copy, &rows, NULL), SP_OK);
        assert_int_equal(rows, 1);
        sp_copy_free(copy);
        sp_session_release(session);
        sp_pool_free(pool);
}

/* Waits on the server for longer than the pool's statements may take. */
static void dawdle(void)
{
        sp_pool *pool = pool_with((const char *[]){"pool.statement_timeout=20s", NULL});

        run(&ways[0], pool, "SELECT pg_sleep(0.3)");
        sp_pool_free(pool);
}

static int64_t limit_ms(const struct way *way, sp_session *session)
{
        return session_number(way, session, "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'");
}

static void test_a_copy_takes_as_long_as_its_data(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with_table((const char *[]){"pool.statement_timeout=100ms", NULL});
        sp_session *session = session_of(way, pool);

        for (int open = 0; open < 2; open++) {
                sp_copy *copy;
                int64_t rows = 0;

                if (open) {
                        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
                        session_run(way, session, "SET LOCAL statement_timeout = '120ms'");
                }
                copy = copy_of(way, session, "COPY copied FROM STDIN -- rows");
                copy_text(way, copy, "1\tone\n");
                dawdle();
                copy_text(way, copy, "2\ttwo\n");
                assert_int_equal(copy_end(way, copy, &rows, NULL), SP_OK);
                assert_int_equal(rows, 2);
                sp_copy_free(copy);
                assert_int_equal(limit_ms(way, session), open ? 120 : 100);
        }
        assert_int_equal(sp_session_rollback(session, NULL, NULL), SP_OK);
        assert_int_equal(limit_ms(way, session), 100);
        sp_session_release(session);
        assert_int_equal(number(way, pool, "SELECT count(*) FROM copied", 0), 2);
        done_with(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_copy_takes_as_long_as_its_data),
            BOTH_WAYS(test_bytes_are_copied_in_binary_form),
            BOTH_WAYS(test_data_goes_in_and_out),
            BOTH_WAYS(test_a_copy_is_part_of_its_transaction),
            BOTH_WAYS(test_what_is_wrong_with_the_data_is_told_at_the_end),
            BOTH_WAYS(test_a_copy_that_fails_half_way_tells_the_servers_error),
            BOTH_WAYS(test_what_is_given_up_leaves_nothing),
            BOTH_WAYS(test_a_reader_that_goes_away_costs_only_its_connection),
            BOTH_WAYS(test_after_one_that_was_left_the_next_session_works),
            BOTH_WAYS(test_memory_is_bounded),
            BOTH_WAYS(test_nothing_else_runs_meanwhile),
            BOTH_WAYS(test_a_late_call_ends_the_connection),
            BOTH_WAYS(test_a_lost_connection_is_told),
            cmocka_unit_test(test_a_copy_that_nobody_took_is_given_up),
        };

        return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
