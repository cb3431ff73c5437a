/* SPDX-License-Identifier: MIT */
/*
 * Whatever a statement carries (literals, parameters, comments, COPY data, what makes it fail, what does not parse) shows in no
 * output of the profiler: report, metrics, slow log, events, findings, plans, spans, advice, what the server counted of all of it,
 * health, errors.
 */
#include "ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "hunter2"

static void clean(const char *where, const char *text)
{
        if (!text || strcasestr(text, SECRET))
                fail_msg("%s shows %s", where, text ? text : "nothing");
}

static void clean_error(const char *where, sp_error *error)
{
        clean(where, error ? sp_error_message(error) : "");
        sp_error_free(error);
}

static void clean_value(const char *where, sp_value *value)
{
        size_t len;

        clean(where, sp_value_data(value, &len));
        assert_true(len > 2);
        sp_value_unref(value);
}

static void run_text(sp_client *client, sp_ctx *ctx, const char *name, const char *text, const char *param)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_stmt *stmt = NULL;

        if (sp_stmt_new(name, text, strlen(text), 0, &stmt, &error) == SP_OK) {
                if (param)
                        sp_params_add_text(params, param, strlen(param));
                sp_pool_query(sp_client_pool(client, NULL), ctx, stmt, params, &result, &error);
                sp_result_free(result);
        }
        clean_error(text, error);
        sp_params_free(params);
        sp_stmt_unref(stmt);
}

static const struct {
        const char *name, *text, *param;
} statements[] = {
    {NULL, "CREATE TABLE IF NOT EXISTS profile_secrets (id int UNIQUE, word text, ok boolean)", NULL},
    {"literals", "SELECT * FROM profile_secrets WHERE word = 'hunter2' AND id IN (1, 2, 3) AND ok", NULL},
    {NULL, "SELECT * FROM profile_secrets WHERE word = E'\\x68unter2 hunter2'", NULL},
    {NULL, "SELECT * FROM profile_secrets WHERE word = $tag$hunter2$tag$ LIMIT 5", NULL},
    {NULL, "SELECT U&'hunter2', B'1', X'1F', 'hunter' 'x', N'hunter2'", NULL},
    {"parameter", "SELECT * FROM profile_secrets WHERE word = $1", SECRET},
    {"comments", "SELECT /* hunter2 */ 1 -- hunter2", NULL},
    {"comment", "/*+ hunter2 */ SELECT word FROM profile_secrets ORDER BY word /* /* hunter2 */ */ LIMIT 1", NULL},
    {"fails", "SELECT 'hunter2'::int", NULL},
    {"fails too", "SELECT $1::int", SECRET},
    {"division", "SELECT length('hunter2') / 0", NULL},
    {NULL, "INSERT INTO profile_secrets VALUES (1, 'hunter2', true)", NULL},
    {NULL, "INSERT INTO profile_secrets VALUES (1, 'hunter2', true)", NULL},
    {NULL, "UPDATE profile_secrets SET word = 'hunter2' WHERE word = 'hunter2'", NULL},
    {NULL, "SELECT * FROM no_such_table WHERE word = 'hunter2'", NULL},
    {NULL, "SELECT 'hunter2", NULL},
    {NULL, "SELEC 'hunter2'", NULL},
    {NULL, "SELECT hunter2 hunter2 hunter2", NULL},
    {NULL, "SELECT 1; SELECT 'hunter2'", NULL},
    {NULL, "DO $$ BEGIN RAISE EXCEPTION 'hunter2'; END $$", NULL},
    {NULL, "CREATE ROLE IF NOT hunter2", NULL},
    {NULL, "SELECT format('%s', 'hunter2') FROM pg_sleep(0.001)", NULL},
    {NULL,
     "WITH a AS (SELECT 'hunter2' AS word) SELECT * FROM a JOIN profile_secrets USING (word) WHERE a.word LIKE "
     "'hunter2%'",
     NULL},
    {NULL, "SELECT * FROM profile_secrets WHERE word BETWEEN 'hunter2' AND 'hunter2z' OR id = -77", NULL},
    {NULL, "SELECT jsonb '{\"hunter2\": 1}' -> 'hunter2', interval '1 day', date 'today'", NULL},
    {NULL, "EXPLAIN SELECT * FROM profile_secrets WHERE word = 'hunter2'", NULL},
};

/* An N+1 whose statement carries a literal besides, and one with its values in the text. */
static void run_unit(sp_client *client)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        char param[32], text[128];

        assert_int_equal(sp_ctx_set(ctx, "scope", "job", NULL), SP_OK);
        for (int i = 0; i < 10; i++) {
                snprintf(param, sizeof param, SECRET "-%d", i);
                run_text(client, ctx, "each",
                         "SELECT id FROM profile_secrets WHERE word = $1 AND word <> 'hunter2' /* hunter2 */", param);
                run_text(client, ctx, "top",
                         "SELECT id FROM profile_secrets WHERE word = $1 AND word <> 'hunter2' LIMIT 1", param);
                run_text(client, ctx, "same", "SELECT id FROM profile_secrets WHERE word = $1 OR word = 'hunter2'",
                         SECRET);
                snprintf(text, sizeof text, "SELECT ok FROM profile_secrets WHERE word = '" SECRET "-%d' AND id <> 7",
                         i);
                run_text(client, ctx, "values in the text", text, NULL);
        }
        sp_ctx_unref(ctx);
}

static void run_copy(sp_client *client)
{
        static const char good[] = "7\thunter2\tt\n", bad[] = "hunter2\thunter2\thunter2\n",
                          text[] = "COPY profile_secrets FROM STDIN";
        sp_stmt *stmt = NULL;

        assert_int_equal(sp_stmt_new("copies", text, sizeof text - 1, 0, &stmt, NULL), SP_OK);
        for (int i = 0; i < 2; i++) {
                const char *data = i ? bad : good;
                sp_error *error = NULL;
                sp_session *session;
                sp_copy *copy = NULL;
                int64_t rows;

                assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OK);
                if (sp_session_copy(session, NULL, stmt, &copy, &error) == SP_OK &&
                    sp_copy_write(copy, NULL, data, strlen(data), &error) == SP_OK)
                        sp_copy_end(copy, NULL, &rows, &error);
                clean_error(text, error);
                sp_copy_free(copy);
                sp_session_release(session);
        }
        sp_stmt_unref(stmt);
}

static void look_at_slow_log(sp_profiler *profiler)
{
        sp_slow *slow;
        int count = 0;

        for (; (slow = sp_profiler_slow(profiler)); count++) {
                clean("slow text", sp_slow_text(slow));
                clean("slow name", sp_slow_name(slow));
                clean("slow plan", sp_slow_plan(slow));
                clean("slow code", sp_slow_code(slow));
                sp_slow_free(slow);
        }
        assert_true(count > 10);
}

/* All events that are kept. */
static void look_at_events(sp_profiler *profiler)
{
        sp_queue *queue;
        sp_completion *done;
        uint64_t seen = 0;
        int findings = 0;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (;;) {
                const char *text;
                sp_ctx *ctx = sp_ctx_new(NULL);

                assert_int_equal(sp_profiler_watch_async(profiler, ctx, seen, queue, 1), SP_OK);
                if (sp_queue_pending(queue) && sp_queue_take(queue, &done, 1) == 0) {
                        sp_ctx_cancel(ctx);
                        sp_queue_wait(queue, &done, 1, -1);
                }
                sp_ctx_unref(ctx);
                if (sp_completion_status(done) != SP_OK) {
                        sp_completion_free(done);
                        break;
                }
                text = sp_value_data(sp_completion_value(done), &len);
                clean("event", text);
                findings += strstr(text, "\"n+1\"") || strstr(text, "\"repeat\"");
                seen = strtoull(text + strlen("{\"event\":"), NULL, 10);
                sp_completion_free(done);
        }
        assert_true(findings >= 4);
        sp_queue_free(queue);
}

static void look_at_plans(sp_profiler *profiler)
{
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
                sp_value *value = NULL;
                sp_error *error = NULL;

                if (!statements[i].name)
                        continue;
                if (sp_profiler_explain(profiler, NULL, statements[i].name, &value, &error) == SP_OK)
                        clean_value("plan", value);
                clean_error(statements[i].name, error);
        }
}

static void look_at_spans(sp_profiler *profiler)
{
        sp_queue *queue;
        sp_completion *done;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_profiler_spans_async(profiler, NULL, 0, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        clean("spans", sp_value_data(sp_completion_value(done), &len));
        sp_completion_free(done);
        sp_queue_free(queue);
}

/* While a transaction is open whose last statement has the secret. */
static void look_at_server(sp_client *client)
{
        static const char text[] = "SELECT /* hunter2 */ length('hunter2')";
        sp_session *session;
        sp_result *result = NULL;
        sp_value *value = NULL;
        sp_error *error = NULL;
        sp_stmt *begin = stmt_of("BEGIN"), *stmt = stmt_of(text);

        assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_query(session, NULL, begin, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        if (sp_profiler_server(sp_client_profiler(client), NULL, NULL, &value, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        assert_non_null(strstr(sp_value_data(value, &(size_t){0}), "\"text\":\"SELECT length(?)\""));
        clean_value("server", value);
        sp_session_release(session);
        sp_stmt_unref(begin);
        sp_stmt_unref(stmt);
}

static void test_no_secret_shows(void **state)
{
        sp_config *config =
            config_with((const char *[]){"profiler.slow=0", "profiler.slow_rate=0", "profiler.plan_every=1ms", NULL});
        sp_ctx *traced = sp_ctx_new(NULL), *spans = sp_ctx_new(NULL);
        sp_client *client = NULL;
        sp_profiler *profiler;
        sp_queue *queue;
        sp_value *value = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        profiler = sp_client_profiler(client);
        /* Where the server has loaded it. */
        if (getenv("SP_TEST_STATEMENTS"))
                run_text(client, NULL, NULL, "CREATE EXTENSION pg_stat_statements", NULL);
        sp_ctx_set(traced, "trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL);
        sp_ctx_set(traced, "tag", "secrets", NULL);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_profiler_spans_async(profiler, spans, 0, queue, 1), SP_OK);
        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
                        run_text(client, round ? traced : NULL, statements[i].name, statements[i].text,
                                 statements[i].param);
        }
        run_copy(client);
        run_unit(client);
        look_at_plans(profiler);
        look_at_events(profiler);
        look_at_slow_log(profiler);
        assert_int_equal(sp_profiler_report(profiler, 0, &value), SP_OK);
        clean_value("report", value);
        for (int format = 0; format < 2; format++) {
                assert_int_equal(sp_metrics_text(sp_client_metrics(client), format, &value), SP_OK);
                clean_value("metrics", value);
        }
        if (sp_profiler_advise(profiler, NULL, NULL, &value, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        clean_value("advice", value);
        look_at_spans(profiler);
        look_at_server(client);
        assert_int_equal(sp_client_health(client, NULL, &value), SP_OK);
        clean_value("health", value);
        sp_ctx_cancel(spans);
        sp_ctx_unref(spans);
        sp_ctx_unref(traced);
        sp_queue_free(queue);
        run_text(client, NULL, NULL, "DROP TABLE profile_secrets", NULL);
        sp_client_free(client);
        sp_config_free(config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_secret_shows)};

        return cmocka_run_group_tests_name("profile secrets", tests, NULL, NULL);
}
