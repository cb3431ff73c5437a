/* SPDX-License-Identifier: MIT */
/* Reads that share a Sync, on a pool of one connection: one group after the other, and what must not be shared beside them. */
#include "ways.h"

#include "pg/stmt.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURST = 64, GROUP_MAX = 32, ATTEMPTS = 500 };

struct answer {
        sp_status status;
        char code[8];
        char *text; /* of the first cell; NULL: none */
        size_t rows;
};

/** Statements that are submitted at once, by tag, and how they ended. */
struct burst {
        sp_pool *pool;
        sp_queue *queue;
        size_t count;
        struct answer answers[BURST];
};

static void begin(struct burst *burst, const char *const settings[])
{
        *burst = (struct burst){.pool = pool_with(settings)};
        assert_int_equal(sp_queue_new(0, &burst->queue), SP_OK);
}

static void submit(struct burst *burst, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params)
{
        assert_int_equal(sp_pool_query_async(burst->pool, ctx, stmt, params, burst->queue, burst->count++), SP_OK);
}

static void submit_int(struct burst *burst, const sp_stmt *stmt, int64_t n)
{
        sp_params *params = sp_params_new();

        sp_params_add_int(params, n);
        submit(burst, NULL, stmt, params);
        sp_params_free(params);
}

static void clear(struct burst *burst)
{
        for (size_t i = 0; i < BURST; i++)
                free(burst->answers[i].text);
        memset(burst->answers, 0, sizeof burst->answers);
        burst->count = 0;
}

static void keep(struct answer *answer, sp_completion *done)
{
        const sp_result *result = sp_completion_result(done);
        const sp_error *error = sp_completion_error(done);
        const char *cell;
        size_t len;

        answer->status = sp_completion_status(done);
        if (error)
                strncpy(answer->code, sp_error_code(error), sizeof answer->code - 1);
        if (!result)
                return;
        answer->rows = sp_result_rows(result);
        cell = answer->rows ? sp_result_get(result, 0, 0, &len) : NULL;
        answer->text = cell ? strdup(cell) : NULL;
}

static void await(struct burst *burst)
{
        for (size_t taken = 0; taken < burst->count; taken++) {
                sp_completion *done;

                assert_int_equal(sp_queue_wait(burst->queue, &done, 1, -1), 1);
                keep(&burst->answers[sp_completion_tag(done)], done);
                sp_completion_free(done);
        }
}

static void end(struct burst *burst)
{
        clear(burst);
        sp_queue_free(burst->queue);
        sp_pool_free(burst->pool);
}

/* So that it shares what it may. */
static void make_fast(struct burst *burst, const sp_stmt *stmt, int64_t n)
{
        do {
                clear(burst);
                submit_int(burst, stmt, n);
                await(burst);
                assert_int_equal(burst->answers[0].status, SP_OK);
        } while (!sp__stmt_fast(stmt));
        clear(burst);
}

/* How many of the answers from `first` on (every `step`th) begin with the text of answer `i`. */
static size_t alike(const struct burst *burst, size_t i)
{
        size_t n = 0;

        for (size_t k = 0; k < burst->count; k++)
                n += strcmp(burst->answers[k].text, burst->answers[i].text) == 0;
        return n;
}

/* When the transaction began, which ends at the Sync. */
static const char moment[] = "SELECT xact_start::text FROM pg_stat_get_activity(pg_backend_pid()) WHERE $1::int8 > 0";

static void test_reads_share_a_sync_and_writes_have_their_own(void **state)
{
        struct burst burst;
        sp_stmt *read = stmt_of(moment), *write = stmt_of("INSERT INTO groups_log VALUES ($1) RETURNING now()::text");
        bool shared = false;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS groups_log");
        run(&ways[0], burst.pool, "CREATE TABLE groups_log (n int8)");
        make_fast(&burst, read, 1);
        make_fast(&burst, write, 1);
        for (int attempt = 0; attempt < ATTEMPTS && !shared; attempt++) {
                clear(&burst);
                for (size_t i = 0; i < BURST; i++)
                        submit_int(&burst, i % 16 == 15 ? write : read, 1);
                await(&burst);
                for (size_t i = 0; i < BURST; i++) {
                        assert_int_equal(burst.answers[i].status, SP_OK);
                        assert_in_range(alike(&burst, i), 1, i % 16 == 15 ? 1 : GROUP_MAX);
                        shared |= alike(&burst, i) >= 8;
                }
        }
        assert_true(shared);
        run(&ways[0], burst.pool, "DROP TABLE groups_log");
        sp_stmt_unref(read);
        sp_stmt_unref(write);
        end(&burst);
}

static void is_told_apart(struct burst *burst, const char *text)
{
        sp_stmt *read = stmt_of(text);

        make_fast(burst, read, 1);
        clear(burst);
        for (size_t i = 0; i < BURST; i++)
                submit_int(burst, read, 1);
        await(burst);
        for (size_t i = 0; i < BURST; i++) {
                assert_int_equal(burst->answers[i].status, SP_OK);
                assert_int_equal(alike(burst, i), 1);
        }
        clear(burst);
        sp_stmt_unref(read);
}

/* Of a group it would be the time of the first one that came: who has written a row by his own now() would not find it. */
static void test_who_asks_for_the_time_or_its_transaction_is_told_its_own(void **state)
{
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        is_told_apart(&burst, "SELECT now()::text WHERE $1::int8 > 0");
        is_told_apart(&burst, "SELECT CURRENT_TIMESTAMP::text WHERE $1::int8 > 0");
        is_told_apart(&burst, "SELECT txid_current()::text WHERE $1::int8 > 0");
        is_told_apart(&burst, "SELECT pg_catalog.pg_current_xact_id()::text WHERE $1::int8 > 0");
        end(&burst);
}

/* The setting "pool.url=…" of the test's server with an option of the session; to be freed. */
static char *url_with(const char *option)
{
        const char *url = getenv("DATABASE_URL");
        char *setting = NULL;

        assert_true(asprintf(&setting, "pool.url=%s%coptions=-c%%20%s", url, strchr(url, '?') ? '&' : '?', option) > 0);
        return setting;
}

/* They would share the first one's snapshot, in which a write that was confirmed meanwhile is not to be seen. */
static void test_where_a_transaction_has_one_snapshot_none_is_shared(void **state)
{
        static const char *const levels[] = {"default_transaction_isolation%3Drepeatable%5C%20read",
                                             "default_transaction_isolation%3Dserializable"};

        for (int i = 0; i < 2; i++) {
                char *url = url_with(levels[i]);
                struct burst burst;

                begin(&burst, (const char *[]){url, "pool.max=1", NULL});
                is_told_apart(&burst, moment);
                end(&burst);
                free(url);
        }
}

/*
 * A group has read groups_a, and waits for groups_b, which a transaction has locked that then wants groups_a. false: it was
 * another one of the two that was ended, or the group came otherwise.
 */
static bool entangle(struct burst *burst, sp_pool *judge, const sp_stmt *a, const sp_stmt *b)
{
        sp_session *session;
        sp_stmt *lock = stmt_of("LOCK TABLE groups_a");
        sp_result *result = NULL;
        bool met;

        assert_int_equal(sp_pool_acquire(judge, NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, NULL, NULL, NULL), SP_OK);
        session_run(&ways[0], session, "LOCK TABLE groups_b");
        clear(burst);
        for (size_t i = 0; i < BURST; i++)
                submit_int(burst, i < GROUP_MAX / 2 ? a : b, 1);
        while (number(&ways[0], judge,
                      "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'groups_b'::regclass", 0) == 0)
                sched_yield();
        met = sp_session_query(session, NULL, lock, NULL, &result, NULL) == SP_OK;
        sp_session_release(session);
        await(burst);
        for (size_t i = 0; i < BURST; i++)
                assert_string_equal(burst->answers[i].code, "");
        sp_result_free(result);
        sp_stmt_unref(lock);
        /* It was in a group, whether the first one was as well. */
        return met && alike(burst, GROUP_MAX / 4) == 1;
}

/* What the server ends is run again, alone: `settings` say how it comes to that. */
static void is_disentangled(const char *const settings[])
{
        sp_pool *judge = pool_with((const char *[]){"pool.max=2", NULL});
        sp_stmt *a = stmt_of(
                    "SELECT xact_start::text FROM pg_stat_get_activity(pg_backend_pid()), groups_a WHERE $1::int8 > 0"),
                *b = stmt_of("SELECT n::text FROM groups_b WHERE $1::int8 > 0");
        struct burst burst;
        bool met = false;

        run(&ways[0], judge, "DROP TABLE IF EXISTS groups_a, groups_b");
        run(&ways[0], judge, "CREATE TABLE groups_a AS SELECT 1 AS n");
        run(&ways[0], judge, "CREATE TABLE groups_b AS SELECT 1 AS n");
        begin(&burst, settings);
        make_fast(&burst, a, 1);
        make_fast(&burst, b, 1);
        for (int attempt = 0; attempt < ATTEMPTS && !met; attempt++)
                met = entangle(&burst, judge, a, b);
        assert_true(met);
        end(&burst);
        run(&ways[0], judge, "DROP TABLE groups_a, groups_b");
        sp_stmt_unref(a);
        sp_stmt_unref(b);
        sp_pool_free(judge);
}

static void test_a_deadlock_of_a_groups_locks_is_nobodys_error(void **state)
{
        char *url = url_with("deadlock_timeout%3D100");

        is_disentangled((const char *[]){url, "pool.max=1", NULL});
        free(url);
}

/* statement_timeout may end it before the server has looked for a deadlock. */
static void test_a_wait_for_who_waits_for_the_group_is_nobodys_error(void **state)
{
        is_disentangled((const char *[]){"pool.max=1", "pool.statement_timeout=400ms", NULL});
}

static void test_a_lock_that_took_too_long_behind_the_groups_locks_is_nobodys_error(void **state)
{
        char *url = url_with("lock_timeout%3D300");

        is_disentangled((const char *[]){url, "pool.max=1", NULL});
        free(url);
}

static void test_a_failing_read_undoes_no_neighbour(void **state)
{
        sp_stmt *divide = stmt_of("SELECT 10 / $1::int8"), *insert = stmt_of("INSERT INTO groups_log VALUES ($1)");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS groups_log");
        run(&ways[0], burst.pool, "CREATE TABLE groups_log (n int8)");
        make_fast(&burst, divide, 1);
        make_fast(&burst, insert, -1);
        for (int round = 0; round < 20; round++) {
                clear(&burst);
                for (size_t i = 0; i < BURST; i++)
                        submit_int(&burst, i % 16 == 3 ? insert : divide, i % 16 == 9 || i % 16 == 11 ? 0 : 5);
                await(&burst);
                for (size_t i = 0; i < BURST; i++) {
                        const struct answer *answer = &burst.answers[i];

                        if (i % 16 == 3)
                                assert_int_equal(answer->status, SP_OK);
                        else if (i % 16 == 9 || i % 16 == 11)
                                assert_string_equal(answer->code, "22012");
                        else
                                assert_string_equal(answer->text, "2");
                }
                /* Forgotten that it fails, so that it shares again. */
                sp__stmt_part(divide, 0);
        }
        assert_int_equal(number(&ways[0], burst.pool, "SELECT count(*) FROM groups_log WHERE n = 5", 0), 20 * 4);
        run(&ways[0], burst.pool, "DROP TABLE groups_log");
        sp_stmt_unref(divide);
        sp_stmt_unref(insert);
        end(&burst);
}

/* Also where it is said that functions leave nothing in their session: a group shares the transaction. */
static void test_what_a_function_sets_for_its_transaction_reaches_no_neighbour(void **state)
{
        sp_stmt *leave = stmt_of("SELECT groups_leave($1::int8)"),
                *look = stmt_of("SELECT coalesce(current_setting('app.groups', true), ''), $1::int8");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", "pool.reset_functions=false", NULL});
        run(&ways[0], burst.pool,
            "CREATE OR REPLACE FUNCTION groups_leave(n int8) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
            "RETURN set_config('app.groups', n::text, true); END $$");
        make_fast(&burst, leave, 5);
        make_fast(&burst, look, 1);
        for (int round = 0; round < 20; round++) {
                clear(&burst);
                for (size_t i = 0; i < BURST; i++)
                        submit_int(&burst, i % 4 ? look : leave, 5);
                await(&burst);
                for (size_t i = 0; i < BURST; i++)
                        assert_string_equal(burst.answers[i].text, i % 4 ? "" : "5");
        }
        run(&ways[0], burst.pool, "DROP FUNCTION groups_leave");
        sp_stmt_unref(leave);
        sp_stmt_unref(look);
        end(&burst);
}

static void test_a_write_that_hides_among_reads_happens_once_and_is_remembered(void **state)
{
        sp_stmt *stmt = stmt_of("SELECT groups_maybe($1::int8)");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS groups_log");
        run(&ways[0], burst.pool, "CREATE TABLE groups_log (n int8)");
        run(&ways[0], burst.pool,
            "CREATE OR REPLACE FUNCTION groups_maybe(n int8) RETURNS int8 LANGUAGE plpgsql AS $$ BEGIN "
            "IF n % 7 = 0 THEN INSERT INTO groups_log VALUES (n); END IF; RETURN n; END $$");
        make_fast(&burst, stmt, 1);
        assert_true(sp__stmt_reads(stmt));
        for (size_t i = 0; i < BURST; i++)
                submit_int(&burst, stmt, (int64_t)i);
        await(&burst);
        for (size_t i = 0; i < BURST; i++)
                assert_int_equal(strtol(burst.answers[i].text, NULL, 10), i);
        assert_int_equal(number(&ways[0], burst.pool, "SELECT count(*) FROM groups_log", 0), 10);
        assert_int_equal(number(&ways[0], burst.pool, "SELECT count(DISTINCT n) FROM groups_log", 0), 10);
        assert_false(sp__stmt_reads(stmt));
        run(&ways[0], burst.pool, "DROP FUNCTION groups_maybe");
        run(&ways[0], burst.pool, "DROP TABLE groups_log");
        sp_stmt_unref(stmt);
        end(&burst);
}

static void test_a_session_after_reads_may_write_and_finds_the_servers_own_setting(void **state)
{
        sp_stmt *show = stmt_of("SHOW default_transaction_read_only"), *read = stmt_of("SELECT $1::int8");
        sp_session *session;
        struct burst burst;
        sp_result *result;
        size_t len;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        make_fast(&burst, read, 1);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(ways[0].acquire(burst.pool, NULL, &session, NULL), SP_OK);
                session_run(&ways[0], session, "CREATE TEMP TABLE own (n int)");
                assert_int_equal(ways[0].session(session, NULL, show, NULL, &result, NULL), SP_OK);
                assert_string_equal(sp_result_get(result, 0, 0, &len), "off");
                sp_result_free(result);
                sp_session_release(session);
                assert_int_equal(number(&ways[0], burst.pool, "SELECT $1::int8", i), i);
                /* Reads and writes in turn. */
                run(&ways[0], burst.pool, "CREATE TABLE IF NOT EXISTS groups_turn (n int)");
        }
        run(&ways[0], burst.pool, "DROP TABLE groups_turn");
        sp_stmt_unref(show);
        sp_stmt_unref(read);
        end(&burst);
}

static void test_parameters_and_rows_larger_than_every_buffer_pass_in_a_group(void **state)
{
        enum { SIZE = 256 << 10 };
        sp_stmt *echo = stmt_of("SELECT length($1::text), $1::text");
        char *text = malloc(SIZE);
        struct burst burst;

        memset(text, 'x', SIZE);
        begin(&burst, (const char *[]){"pool.max=1", "pool.query_timeout=60s", "pool.statement_timeout=60s", NULL});
        make_fast(&burst, echo, 1);
        for (size_t i = 0; i < BURST; i++) {
                sp_params *params = sp_params_new();

                sp_params_add_text(params, text, SIZE - i);
                submit(&burst, NULL, echo, params);
                sp_params_free(params);
        }
        await(&burst);
        for (size_t i = 0; i < BURST; i++) {
                assert_int_equal(burst.answers[i].status, SP_OK);
                assert_int_equal(strtol(burst.answers[i].text, NULL, 10), SIZE - i);
        }
        free(text);
        sp_stmt_unref(echo);
        end(&burst);
}

static void test_answers_of_no_row_and_of_many_are_told_apart(void **state)
{
        sp_stmt *rows = stmt_of("SELECT generate_series(1, $1::int8)"), *null = stmt_of("SELECT NULL, $1::int8");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        make_fast(&burst, rows, 1);
        make_fast(&burst, null, 1);
        for (size_t i = 0; i < BURST; i++)
                submit_int(&burst, i % 3 ? rows : null, (int64_t)i % 50);
        await(&burst);
        for (size_t i = 0; i < BURST; i++) {
                assert_int_equal(burst.answers[i].status, SP_OK);
                assert_int_equal(burst.answers[i].rows, i % 3 ? i % 50 : 1);
        }
        sp_stmt_unref(rows);
        sp_stmt_unref(null);
        end(&burst);
}

/* Two errors may come for one group: that of a statement, and that of the backend that ends. */
static void test_an_error_and_a_death_in_one_group_are_told_apart(void **state)
{
        sp_stmt *die = stmt_of("SELECT pg_terminate_backend(pg_backend_pid()) WHERE $1::int8 = 13"),
                *divide = stmt_of("SELECT 10 / $1::int8");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        for (int round = 0; round < 10; round++) {
                make_fast(&burst, die, 1);
                sp__stmt_part(divide, 0);
                make_fast(&burst, divide, 1);
                for (size_t i = 0; i < BURST; i++)
                        submit_int(&burst, i == 13 ? die : divide, i == 12 ? 0 : i == 13 ? 13 : 5);
                await(&burst);
                for (size_t i = 0; i < BURST; i++) {
                        if (i == 12)
                                assert_string_equal(burst.answers[i].code, "22012");
                        else if (i != 13 && burst.answers[i].status == SP_OK)
                                assert_string_equal(burst.answers[i].text, "2");
                        else
                                /* It, and perhaps who was behind it each time. */
                                assert_true(burst.answers[i].status == SP_LOST ||
                                            burst.answers[i].status == SP_UNAVAILABLE);
                }
                clear(&burst);
        }
        sp_stmt_unref(die);
        sp_stmt_unref(divide);
        end(&burst);
}

static void test_who_is_cancelled_in_a_group_takes_nobody_along(void **state)
{
        sp_stmt *echo = stmt_of("SELECT $1::int8");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        make_fast(&burst, echo, 1);
        for (int round = 0; round < 50; round++) {
                sp_ctx *ctx = sp_ctx_new(NULL);

                clear(&burst);
                for (size_t i = 0; i < BURST; i++) {
                        sp_params *params = sp_params_new();

                        sp_params_add_int(params, (int64_t)i);
                        submit(&burst, i % 4 ? NULL : ctx, echo, params);
                        sp_params_free(params);
                        if (i == 40)
                                sp_ctx_cancel(ctx);
                        if (i == 40)
                                break;
                }
                await(&burst);
                for (size_t i = 0; i < burst.count; i++) {
                        if (i % 4 == 0 && burst.answers[i].status == SP_CANCELLED)
                                continue;
                        assert_int_equal(burst.answers[i].status, SP_OK);
                        assert_int_equal(strtol(burst.answers[i].text, NULL, 10), i);
                }
                sp_ctx_unref(ctx);
        }
        sp_stmt_unref(echo);
        end(&burst);
}

static void test_a_table_changed_under_groups_heals(void **state)
{
        sp_stmt *all = stmt_of("SELECT * FROM groups_table WHERE $1::int8 > 0"), *echo = stmt_of("SELECT $1::int8");
        struct burst burst;

        sp_pool *other = pool_with(NULL);

        begin(&burst, (const char *[]){"pool.max=1", NULL});
        run(&ways[0], burst.pool, "DROP TABLE IF EXISTS groups_table");
        run(&ways[0], burst.pool, "CREATE TABLE groups_table (n int)");
        run(&ways[0], burst.pool, "INSERT INTO groups_table VALUES (7)");
        for (int round = 0; round < 4; round++) {
                int64_t before = counted(burst.pool, "sugarperf_pool_retries");

                make_fast(&burst, all, 1);
                make_fast(&burst, echo, 1);
                sp__stmt_part(all, 0);
                run(&ways[0], other,
                    round % 2 ? "ALTER TABLE groups_table ALTER n TYPE int USING n::int"
                              : "ALTER TABLE groups_table ALTER n TYPE text");
                for (size_t i = 0; i < BURST; i++)
                        submit_int(&burst, i % 2 ? all : echo, 7);
                await(&burst);
                for (size_t i = 0; i < BURST; i++) {
                        assert_string_equal(burst.answers[i].code, "");
                        assert_string_equal(burst.answers[i].text, "7");
                }
                assert_true(counted(burst.pool, "sugarperf_pool_retries") > before);
                clear(&burst);
        }
        run(&ways[0], burst.pool, "DROP TABLE groups_table");
        sp_pool_free(other);
        sp_stmt_unref(all);
        sp_stmt_unref(echo);
        end(&burst);
}

/* Among many short ones it costs each a little: still it is found, and has a connection to itself from then on. */
static void test_a_statement_that_became_slow_is_found_among_its_neighbours(void **state)
{
        sp_stmt *sleepy = stmt_of("SELECT pg_sleep($1::int8 * 0.02)"), *echo = stmt_of("SELECT $1::int8");
        struct burst burst;

        begin(&burst, (const char *[]){"pool.max=1", "pool.query_timeout=60s", "pool.acquire_timeout=60s", NULL});
        make_fast(&burst, sleepy, 0);
        make_fast(&burst, echo, 1);
        for (int attempt = 0; attempt < ATTEMPTS && sp__stmt_fast(sleepy); attempt++) {
                clear(&burst);
                for (size_t i = 0; i < 32; i++)
                        submit_int(&burst, i == 7 ? sleepy : echo, 1);
                await(&burst);
        }
        assert_false(sp__stmt_fast(sleepy));
        make_fast(&burst, echo, 1);
        sp_stmt_unref(sleepy);
        sp_stmt_unref(echo);
        end(&burst);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_reads_share_a_sync_and_writes_have_their_own),
            cmocka_unit_test(test_who_asks_for_the_time_or_its_transaction_is_told_its_own),
            cmocka_unit_test(test_where_a_transaction_has_one_snapshot_none_is_shared),
            cmocka_unit_test(test_a_deadlock_of_a_groups_locks_is_nobodys_error),
            cmocka_unit_test(test_a_wait_for_who_waits_for_the_group_is_nobodys_error),
            cmocka_unit_test(test_a_lock_that_took_too_long_behind_the_groups_locks_is_nobodys_error),
            cmocka_unit_test(test_what_a_function_sets_for_its_transaction_reaches_no_neighbour),
            cmocka_unit_test(test_a_failing_read_undoes_no_neighbour),
            cmocka_unit_test(test_a_write_that_hides_among_reads_happens_once_and_is_remembered),
            cmocka_unit_test(test_a_session_after_reads_may_write_and_finds_the_servers_own_setting),
            cmocka_unit_test(test_parameters_and_rows_larger_than_every_buffer_pass_in_a_group),
            cmocka_unit_test(test_answers_of_no_row_and_of_many_are_told_apart),
            cmocka_unit_test(test_an_error_and_a_death_in_one_group_are_told_apart),
            cmocka_unit_test(test_who_is_cancelled_in_a_group_takes_nobody_along),
            cmocka_unit_test(test_a_table_changed_under_groups_heals),
            cmocka_unit_test(test_a_statement_that_became_slow_is_found_among_its_neighbours),
        };

        return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
