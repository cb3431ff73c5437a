/* SPDX-License-Identifier: MIT */
/*
 * Statements that share connections, and Syncs: whatever the neighbours do, each caller gets its own answer, no write is lost
 * and none happens twice.
 */
#include "ways.h"

#include "base/random.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 64, ROUNDS = 80, PER_KILL = 40 };

static const char echo[] = "SELECT $1::int8", divide[] = "SELECT 10 / ($1::int8 % 5) + $1::int8",
                  hidden[] = "SELECT lanes_maybe($1::int8)", insert[] = "INSERT INTO lanes_log VALUES ($1::int8)",
                  slow[] = "SELECT $1::int8 FROM pg_sleep(0.004)";

/* What the table must hold of a token afterwards. */
enum fate { NEVER, ONCE, PERHAPS };

struct storm {
        sp_pool *pool;
        atomic_int next, wrong, lost, answered;
        atomic_bool stop;
        uint64_t seed;
        unsigned char fates[CALLERS * ROUNDS];
};

struct caller {
        struct storm *storm;
        const struct way *way;
        int64_t first; /* of its tokens */
        struct sp__random random;
        sp_stmt *echo, *divide, *hidden, *insert, *slow;
};

static void schema(sp_pool *pool)
{
        run(&ways[0], pool, "DROP TABLE IF EXISTS lanes_log");
        run(&ways[0], pool, "CREATE TABLE lanes_log (token bigint)");
        /* Looks like a read, mostly is one. */
        run(&ways[0], pool,
            "CREATE OR REPLACE FUNCTION lanes_maybe(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN "
            "IF n % 3 = 0 THEN INSERT INTO lanes_log VALUES (n); END IF; RETURN n; END $$");
}

static void wrong(struct caller *caller, const char *what, int64_t token, sp_status status, const sp_error *error)
{
        printf("# %s, token %lld: %s %s\n", what, (long long)token, sp_status_name(status),
               error ? sp_error_message(error) : "");
        atomic_fetch_add(&caller->storm->wrong, 1);
}

/* Cancelled once it was submitted: whether before, while or after it runs is chance. */
static sp_status query_and_cancel(struct caller *caller, const sp_stmt *stmt, const sp_params *params, sp_result **out)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_completion *done = NULL;
        sp_status status;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        status = sp_pool_query_async(caller->storm->pool, ctx, stmt, params, queue, 1);
        for (uint64_t n = sp__random_next(&caller->random) % 4; n > 0; n--)
                sched_yield();
        sp_ctx_cancel(ctx);
        if (status == SP_OK) {
                sp_queue_wait(queue, &done, 1, -1);
                status = sp_completion_status(done);
                if (status == SP_OK)
                        *out = sp_completion_take_result(done);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_ctx_unref(ctx);
        return status;
}

static sp_status ask(struct caller *caller, const sp_stmt *stmt, int64_t token, sp_result **out, sp_error **error)
{
        uint64_t dice = sp__random_next(&caller->random) % 16;
        sp_params *params = sp_params_new();
        sp_ctx *ctx = dice == 0 ? ctx_of("2ms") : NULL;
        sp_status status;

        sp_params_add_int(params, token);
        if (dice == 1)
                status = query_and_cancel(caller, stmt, params, out);
        else
                status = caller->way->query(caller->storm->pool, ctx, stmt, params, out, error);
        atomic_fetch_add(&caller->storm->answered, 1);
        sp_params_free(params);
        sp_ctx_unref(ctx);
        return status;
}

/* The caller gave up, which it may at any time. */
static bool gave_up(sp_status status)
{
        return status == SP_TIMEOUT || status == SP_CANCELLED;
}

static bool own(sp_result *result, int64_t expected)
{
        size_t len;
        const char *text = sp_result_rows(result) == 1 ? sp_result_get(result, 0, 0, &len) : NULL;

        return text && strtoll(text, NULL, 10) == expected;
}

static void read_one(struct caller *caller, const sp_stmt *stmt, int64_t token)
{
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status = ask(caller, stmt, token, &result, &error);
        bool fails = stmt == caller->divide && token % 5 == 0;
        int64_t expected = stmt == caller->divide && !fails ? 10 / (token % 5) + token : token;
        bool good = gave_up(status);

        if (status == SP_OK)
                good = !fails && own(result, expected);
        else if (status == SP_SQL)
                good = fails && (!error || strcmp(sp_error_code(error), "22012") == 0);
        /* It may run again, but not for ever. */
        else if (status == SP_LOST || status == SP_UNAVAILABLE)
                good = atomic_fetch_add(&caller->storm->lost, 1) >= 0;
        if (!good)
                wrong(caller, sp_stmt_name(stmt), token, status, error);
        sp_result_free(result);
        sp_error_free(error);
}

static void write_one(struct caller *caller, const sp_stmt *stmt, int64_t token)
{
        unsigned char *fate = &caller->storm->fates[token];
        bool writes = stmt == caller->insert || token % 3 == 0;
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status = ask(caller, stmt, token, &result, &error);

        *fate = NEVER;
        if (status == SP_OK && stmt == caller->hidden && !own(result, token))
                wrong(caller, "another's answer", token, status, error);
        else if (status == SP_OK)
                *fate = writes ? ONCE : NEVER;
        else if (gave_up(status) || status == SP_LOST)
                *fate = writes ? PERHAPS : NEVER;
        else if (status != SP_UNAVAILABLE)
                wrong(caller, sp_stmt_name(stmt), token, status, error);
        sp_result_free(result);
        sp_error_free(error);
}

static void *caller_body(void *arg)
{
        struct storm *storm = arg;
        int number = atomic_fetch_add(&storm->next, 1);
        struct caller caller = {.storm = storm,
                                .way = &ways[number % 2],
                                .first = (int64_t)number * ROUNDS,
                                .random = {storm->seed + (uint64_t)number},
                                .echo = stmt_of(echo),
                                .divide = stmt_of(divide),
                                .hidden = stmt_of(hidden),
                                .insert = stmt_of(insert),
                                .slow = stmt_of(slow)};

        for (int64_t i = 0; i < ROUNDS; i++) {
                int64_t token = caller.first + i;

                switch (sp__random_next(&caller.random) % 12) {
                case 0:
                        read_one(&caller, caller.divide, token);
                        break;
                case 1:
                        read_one(&caller, caller.slow, token);
                        break;
                case 2:
                        write_one(&caller, caller.insert, token);
                        break;
                case 3:
                        /* Forgotten what was learned of it. */
                        sp_stmt_unref(caller.hidden);
                        caller.hidden = stmt_of(hidden);
                        break;
                case 4:
                case 5:
                case 6:
                        write_one(&caller, caller.hidden, token);
                        break;
                default:
                        read_one(&caller, caller.echo, token);
                }
        }
        sp_stmt_unref(caller.echo);
        sp_stmt_unref(caller.divide);
        sp_stmt_unref(caller.hidden);
        sp_stmt_unref(caller.insert);
        sp_stmt_unref(caller.slow);
        return NULL;
}

/* As the callers get on: where a connection takes long to be made, they would not get on at all. */
static void *killer_body(void *arg)
{
        struct storm *storm = arg;
        sp_pool *pool = pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=20s", NULL});

        for (int killed_at = 0; !atomic_load(&storm->stop);) {
                number(&ways[0], pool, "SELECT 1 FROM pg_sleep(0.005)", 0);
                if (atomic_load(&storm->answered) - killed_at < PER_KILL)
                        continue;
                killed_at = atomic_load(&storm->answered);
                number(&ways[0], pool,
                       "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
                       "WHERE application_name = 'lanes-storm' ORDER BY random() LIMIT 1) victim",
                       0);
        }
        sp_pool_free(pool);
        return NULL;
}

static int64_t cell(sp_result *result, size_t row, size_t column)
{
        size_t len;

        return strtoll(sp_result_get(result, row, column, &len), NULL, 10);
}

/* Each write is there as often as its caller was told. */
static void check_fates(struct storm *storm, sp_pool *pool)
{
        sp_stmt *stmt = stmt_of("SELECT token, count(*) FROM lanes_log GROUP BY token");
        unsigned char *found = calloc(CALLERS * ROUNDS, 1);
        sp_result *result;

        assert_int_equal(ways[0].query(pool, NULL, stmt, NULL, &result, NULL), SP_OK);
        for (size_t i = 0; i < sp_result_rows(result); i++)
                found[cell(result, i, 0)] = (unsigned char)cell(result, i, 1);
        for (int i = 0; i < CALLERS * ROUNDS; i++) {
                bool good = storm->fates[i] == PERHAPS ? found[i] <= 1 : found[i] == (storm->fates[i] == ONCE);

                if (!good) {
                        printf("# token %d is there %d times, told %d\n", i, found[i], storm->fates[i]);
                        atomic_fetch_add(&storm->wrong, 1);
                }
        }
        free(found);
        sp_result_free(result);
        sp_stmt_unref(stmt);
}

static void storm_of(const char *const settings[], bool kills)
{
        struct storm *storm = calloc(1, sizeof *storm);
        sp_pool *judge = pool_with(NULL);
        pthread_t threads[CALLERS], killer;

        storm->seed = sp__random_seed();
        printf("# seed %llu\n", (unsigned long long)storm->seed);
        schema(judge);
        storm->pool = pool_with(settings);
        for (size_t i = 0; i < CALLERS; i++)
                pthread_create(&threads[i], NULL, caller_body, storm);
        if (kills)
                pthread_create(&killer, NULL, killer_body, storm);
        for (size_t i = 0; i < CALLERS; i++)
                pthread_join(threads[i], NULL);
        atomic_store(&storm->stop, true);
        if (kills)
                pthread_join(killer, NULL);
        else
                assert_int_equal(atomic_load(&storm->lost), 0);
        assert_int_equal(sp_pool_waiting(storm->pool), 0);
        /* Nothing runs any more when it is gone. */
        sp_pool_free(storm->pool);
        check_fates(storm, judge);
        assert_int_equal(atomic_load(&storm->wrong), 0);
        run(&ways[0], judge, "DROP TABLE lanes_log");
        sp_pool_free(judge);
        free(storm);
}

static void test_every_caller_gets_its_own_answer_and_every_write_happens_once(void **state)
{
        storm_of((const char *[]){"pool.application_name=lanes-storm", "pool.query_timeout=60s",
                                  "pool.acquire_timeout=60s", "pool.statement_timeout=60s", NULL},
                 false);
}

static void test_also_while_backends_are_killed(void **state)
{
        storm_of((const char *[]){"pool.application_name=lanes-storm", "pool.query_timeout=60s",
                                  "pool.acquire_timeout=60s", "pool.statement_timeout=60s", NULL},
                 true);
}

static void test_also_where_all_share_one_connection(void **state)
{
        storm_of((const char *[]){"pool.application_name=lanes-storm", "pool.max=1", "pool.query_timeout=60s",
                                  "pool.acquire_timeout=60s", "pool.statement_timeout=60s", NULL},
                 true);
}

/* Behind a proxy in transaction mode, say. A sequence remembers each run, also those that were rolled back. */
static void test_what_a_function_may_write_is_not_repeated_where_no_write_is_refused(void **state)
{
        static const char text[] = "SELECT lanes_book($1::int8)";
        static const struct {
                const char *statements;
                uint32_t flags;
                int64_t most;
        } rows[] = {{"0", 0, 1}, {"0", SP_STMT_READ, 9}, {"0", SP_STMT_IDEMPOTENT, 9}, {"200", 0, 9}};

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char setting[32];
                sp_pool *pool;
                sp_params *params = sp_params_new();
                sp_result *result;
                sp_stmt *stmt;

                snprintf(setting, sizeof setting, "pool.statements=%s", rows[i].statements);
                pool = pool_with((const char *[]){setting, "pool.max=1", NULL});
                run(&ways[0], pool, "DROP SEQUENCE IF EXISTS lanes_runs");
                run(&ways[0], pool, "CREATE SEQUENCE lanes_runs");
                run(&ways[0], pool,
                    "CREATE OR REPLACE FUNCTION lanes_book(n int8) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
                    "IF current_setting('transaction_read_only') = 'off' THEN PERFORM nextval('lanes_runs'); END IF; "
                    "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60); END $$");
                sp_params_add_int(params, 1);
                assert_int_equal(sp_stmt_new(NULL, text, strlen(text), rows[i].flags, &stmt, NULL), SP_OK);
                assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, NULL), SP_LOST);
                assert_in_range(number(&ways[0], pool, "SELECT last_value FROM lanes_runs", 0), 1, rows[i].most);
                run(&ways[0], pool, "DROP FUNCTION lanes_book");
                run(&ways[0], pool, "DROP SEQUENCE lanes_runs");
                sp_stmt_unref(stmt);
                sp_params_free(params);
                sp_pool_free(pool);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_every_caller_gets_its_own_answer_and_every_write_happens_once),
            cmocka_unit_test(test_also_while_backends_are_killed),
            cmocka_unit_test(test_also_where_all_share_one_connection),
            cmocka_unit_test(test_what_a_function_may_write_is_not_repeated_where_no_write_is_refused),
        };

        return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
