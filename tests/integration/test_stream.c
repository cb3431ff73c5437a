/* SPDX-License-Identifier: MIT */
/* Streams: every row once, in order, in bounded memory, and nothing left behind whenever they end. */
#include "way.h"
#include "../support/sanitized.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static sp_status open_stream(const struct way *way, sp_pool *pool, const char *text, int64_t param, size_t page,
                             sp_stream **out, sp_error **error)
{
        sp_params *params = sp_params_new();
        sp_stmt *stmt = stmt_of(text);
        sp_completion *done;
        sp_queue *queue;
        sp_status status;

        sp_params_add_int(params, param);
        if (!queued(way)) {
                status = sp_pool_stream(pool, NULL, stmt, strchr(text, '$') ? params : NULL, page, out, error);
        } else {
                assert_int_equal(sp_queue_new(0, &queue), SP_OK);
                assert_int_equal(
                    sp_pool_stream_async(pool, NULL, stmt, strchr(text, '$') ? params : NULL, page, queue, 42), SP_OK);
                done = queue_completion(queue);
                status = completion_outcome(done, error);
                if (status == SP_OK)
                        *out = sp_completion_take_stream(done);
                sp_completion_free(done);
                sp_queue_free(queue);
        }
        sp_stmt_unref(stmt);
        sp_params_free(params);
        return status;
}

static sp_stream *stream_of(const struct way *way, sp_pool *pool, const char *text, int64_t param, size_t page)
{
        sp_stream *stream = NULL;
        sp_error *error = NULL;

        if (open_stream(way, pool, text, param, page, &stream, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return stream;
}

static sp_status next(const struct way *way, sp_stream *stream, sp_ctx *ctx, sp_result **out, sp_error **error)
{
        sp_completion *done;
        sp_queue *queue;
        sp_status status;

        if (!queued(way))
                return sp_stream_next(stream, ctx, out, error);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_stream_next_async(stream, ctx, queue, 42), SP_OK);
        done = queue_completion(queue);
        status = completion_outcome(done, error);
        if (status == SP_OK)
                *out = sp_completion_take_result(done);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

/* The numbers of all pages, which must go on from `n`. */
static int64_t count_up_from(const struct way *way, sp_stream *stream, size_t page, int64_t n)
{
        sp_error *error = NULL;
        sp_result *result;
        size_t len;

        for (;;) {
                if (next(way, stream, NULL, &result, &error) != SP_OK)
                        fail_msg("%s", sp_error_message(error));
                if (!result)
                        return n;
                assert_in_range(sp_result_rows(result), 1, page);
                for (size_t i = 0; i < sp_result_rows(result); i++)
                        assert_int_equal(strtoll(sp_result_get(result, i, 0, &len), NULL, 10), ++n);
                sp_result_free(result);
        }
}

static int64_t count_up(const struct way *way, sp_stream *stream, size_t page)
{
        return count_up_from(way, stream, page, 0);
}

static void test_every_row_comes_once(void **state)
{
        static const int64_t counts[] = {0, 1, 9, 10, 11, 100};
        sp_pool *pool = pool_with(NULL);

        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
                sp_stream *stream =
                    stream_of(way_of(state), pool, "SELECT g FROM generate_series(1, $1::int8) g", counts[i], 10);
                sp_result *result = NULL;

                assert_int_equal(count_up(way_of(state), stream, 10), counts[i]);
                assert_int_equal(next(way_of(state), stream, NULL, &result, NULL), SP_OK);
                assert_null(result);
                sp_stream_free(stream);
        }
        sp_pool_free(pool);
}

static void test_a_result_larger_than_memory_passes(void **state)
{
        /* 100 MB. */
        static const char text[] = "SELECT g, repeat('x', 1000) FROM generate_series(1, 100000) g";
        sp_pool *pool = pool_with((const char *[]){"pool.statement_timeout=30s", "pool.query_timeout=30s", NULL});
        sp_stream *stream = stream_of(way_of(state), pool, text, 0, 500);
        struct rusage before, after;

        getrusage(RUSAGE_SELF, &before);
        assert_int_equal(count_up(way_of(state), stream, 500), 100000);
        getrusage(RUSAGE_SELF, &after);
        if (!SANITIZED)
                assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 8 * 1024);
        sp_stream_free(stream);
        sp_pool_free(pool);
}

static void test_the_connection_comes_back_with_the_last_page(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_stream *stream = stream_of(way, pool, "SELECT g FROM generate_series(1, 5) g", 0, 10);
        sp_result *result;

        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        assert_int_equal(number(way, pool, "SELECT count(*) FROM pg_cursors WHERE name = 'sp_stream'", 0), 0);
        sp_stream_free(stream);
        sp_pool_free(pool);
}

static void test_a_stream_may_end_at_any_row(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});

        for (int pages = 0; pages < 3; pages++) {
                sp_stream *stream = stream_of(way, pool, "SELECT g FROM generate_series(1, 100) g", 0, 10);
                sp_result *result;

                for (int i = 0; i < pages; i++) {
                        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
                        sp_result_free(result);
                }
                sp_stream_free(stream);
                assert_int_equal(number(way, pool, "SELECT count(*) FROM pg_cursors WHERE name = 'sp_stream'", 0), 0);
        }
        sp_pool_free(pool);
}

static void test_pages_are_of_one_moment(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_stream *stream;
        sp_result *result;

        run(way, pool, "DROP TABLE IF EXISTS stream_rows");
        run(way, pool, "CREATE TABLE stream_rows AS SELECT g AS n FROM generate_series(1, 30) g");
        stream = stream_of(way, pool, "SELECT n FROM stream_rows ORDER BY n", 0, 10);
        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        run(way, pool, "DELETE FROM stream_rows");
        for (int i = 0; i < 2; i++) {
                assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
                assert_int_equal(sp_result_rows(result), 10);
                sp_result_free(result);
        }
        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
        assert_null(result);
        sp_stream_free(stream);
        run(way, pool, "DROP TABLE stream_rows");
        sp_pool_free(pool);
}

/* Each row that was fetched holds a lock. */
static int64_t fetched(sp_pool *pool)
{
        return number(&ways[0], pool, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4713",
                      0);
}

static void test_one_page_is_fetched_ahead_and_no_more(void **state)
{
        static const char text[] = "SELECT g, pg_advisory_xact_lock_shared(4713, g) FROM generate_series(1, 95) g";
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_stream *stream;
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new(NULL, text, strlen(text), SP_STMT_READ, &stmt, NULL), SP_OK);
        assert_int_equal(sp_pool_stream(pool, NULL, stmt, NULL, 10, &stream, NULL), SP_OK);
        for (int64_t taken = 10; taken <= 90; taken += 10) {
                sp_result *page = NULL;
                int64_t most = taken + 10 < 95 ? taken + 10 : 0;

                assert_int_equal(next(way, stream, NULL, &page, NULL), SP_OK);
                assert_int_equal(sp_result_rows(page), 10);
                sp_result_free(page);
                /* With the last one the transaction ends. */
                while (fetched(pool) != most)
                        poll(NULL, 0, 1);
                for (int i = 0; i < 5; i++)
                        assert_int_equal(fetched(pool), most);
        }
        assert_int_equal(count_up_from(way, stream, 10, 90), 95);
        sp_stream_free(stream);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

static void test_what_cannot_be_streamed_is_refused(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_stream *stream = NULL;
        sp_error *error = NULL;

        assert_int_equal(open_stream(way, pool, "SHOW search_path", 0, 10, &stream, &error), SP_INVALID);
        says(error, "is no query", NULL);
        error = NULL;
        assert_int_equal(open_stream(way, pool, "EXPLAIN SELECT 1", 0, 10, &stream, &error), SP_INVALID);
        says(error, "is no query", NULL);
        error = NULL;
        assert_int_equal(open_stream(way, pool, "DELETE FROM pg_class", 0, 10, &stream, &error), SP_INVALID);
        says(error, "does not only read", NULL);
        error = NULL;
        assert_int_equal(open_stream(way, pool, "SELECT 1", 0, SP_STREAM_PAGE_MAX + 1, &stream, &error), SP_LIMIT);
        says(error, "at most 1000000", NULL);
        assert_null(stream);
        sp_pool_free(pool);
}

static void test_an_error_ends_it(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        static const struct {
                const char *text;
                int pages;
                const char *code;
        } rows[] = {
            {"SELECT g FROM no_such_table", 0, "42P01"},
            {"SELECT 1 / (25 - g) FROM generate_series(1, 100) g", 2, "22012"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_stream *stream = stream_of(way, pool, rows[i].text, 0, 10);
                sp_error *error = NULL;
                sp_result *result = NULL;

                for (int page = 0; page < rows[i].pages; page++) {
                        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
                        sp_result_free(result);
                }
                assert_int_equal(next(way, stream, NULL, &result, &error), SP_SQL);
                assert_string_equal(sp_error_code(error), rows[i].code);
                sp_error_free(error);
                error = NULL;
                assert_int_equal(next(way, stream, NULL, &result, &error), SP_INVALID);
                says(error, "ended with an error", NULL);
                sp_stream_free(stream);
                assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        }
        sp_pool_free(pool);
}

/* The last page, which is fetched ahead, is asked for at the moment at which it comes. */
static void test_the_last_page_comes_whenever_it_is_asked_for(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});

        for (unsigned i = 0; i < 1500; i++) {
                sp_stream *stream = stream_of(way, pool, "SELECT g FROM generate_series(1, 3) g", 0, 2);
                sp_result *page = NULL;

                assert_int_equal(next(way, stream, NULL, &page, NULL), SP_OK);
                assert_int_equal(sp_result_rows(page), 2);
                sp_result_free(page);
                for (int64_t until = sp__now() + i % 200 * 2000; sp__now() < until;)
                        ;
                assert_int_equal(count_up_from(way, stream, 2, 2), 3);
                sp_stream_free(stream);
        }
        sp_pool_free(pool);
}

static void test_a_page_has_a_deadline(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.statement_timeout=0", NULL});
        sp_stream *stream = stream_of(way, pool, "SELECT pg_sleep(g) FROM generate_series(0, 300) g", 0, 2);
        sp_ctx *ctx = ctx_of("100ms");
        sp_result *result = NULL;

        assert_int_equal(next(way, stream, ctx, &result, NULL), SP_TIMEOUT);
        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_INVALID);
        sp_stream_free(stream);
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

static void test_a_lost_connection_ends_it(void **state)
{
        const struct way *way = way_of(state);
        sp_pool *pool = pool_with((const char *[]){"pool.max=2", NULL});
        sp_stream *stream = stream_of(way, pool, "SELECT pg_backend_pid() FROM generate_series(1, 100) g", 0, 10);
        sp_result *result = NULL;
        sp_status status;
        char text[96];
        size_t len;

        assert_int_equal(next(way, stream, NULL, &result, NULL), SP_OK);
        snprintf(text, sizeof text, "SELECT pg_terminate_backend(%s)", (const char *)sp_result_get(result, 0, 0, &len));
        sp_result_free(result);
        run(way, pool, text);
        while ((status = next(way, stream, NULL, &result, NULL)) == SP_OK)
                sp_result_free(result);
        assert_true(status == SP_LOST || status == SP_UNAVAILABLE);
        sp_stream_free(stream);
        assert_int_equal(number(way, pool, "SELECT 5", 0), 5);
        sp_pool_free(pool);
}

static void test_a_stream_that_nobody_took_goes_back(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", NULL});
        sp_stmt *stmt = stmt_of("SELECT g FROM generate_series(1, 100) g");
        sp_completion *done;
        sp_stream *stream;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_stream_async(pool, NULL, stmt, NULL, 10, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        sp_completion_free(done);
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
        /* Freed while its page is under way, of which there is one at a time. */
        assert_int_equal(sp_pool_stream(pool, NULL, stmt, NULL, 10, &stream, NULL), SP_OK);
        assert_int_equal(sp_stream_next_async(stream, NULL, queue, 2), SP_OK);
        assert_int_equal(sp_stream_next_async(stream, NULL, queue, 3), SP_OK);
        sp_stream_free(stream);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                sp_completion_free(done);
        }
        assert_int_equal(number(&ways[0], pool, "SELECT 5", 0), 5);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_one_page_is_fetched_ahead_and_no_more),
            BOTH_WAYS(test_every_row_comes_once),
            BOTH_WAYS(test_a_result_larger_than_memory_passes),
            BOTH_WAYS(test_the_connection_comes_back_with_the_last_page),
            BOTH_WAYS(test_a_stream_may_end_at_any_row),
            BOTH_WAYS(test_pages_are_of_one_moment),
            BOTH_WAYS(test_what_cannot_be_streamed_is_refused),
            BOTH_WAYS(test_an_error_ends_it),
            BOTH_WAYS(test_the_last_page_comes_whenever_it_is_asked_for),
            BOTH_WAYS(test_a_page_has_a_deadline),
            BOTH_WAYS(test_a_lost_connection_ends_it),
            cmocka_unit_test(test_a_stream_that_nobody_took_goes_back),
        };

        return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
