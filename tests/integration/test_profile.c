/* SPDX-License-Identifier: MIT */
/*
 * The profiler on a real server: the naive service's N+1 is found with its cure, the cured one is not; slow statements come
 * with who asked; plans are shapes; nothing of a statement's values shows anywhere.
 */
#include "ways.h"

#include "base/buf.h"
#include "profile/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A client on the test's server, with "name=value" settings. */
static sp_client *client_with(const char *const settings[])
{
        sp_config *config = config_with(settings);
        sp_client *client = NULL;
        sp_error *error = NULL;

        if (sp_client_new(config, &client, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return client;
}

static sp_stmt *named(const char *name, const char *text)
{
        sp_stmt *stmt = NULL;

        assert_int_equal(sp_stmt_new(name, text, strlen(text), 0, &stmt, NULL), SP_OK);
        return stmt;
}

/* Runs it with one text parameter (NULL: none); the rows, to be freed. */
static sp_result *ask(sp_client *client, sp_ctx *ctx, const sp_stmt *stmt, const char *param)
{
        sp_params *params = sp_params_new();
        sp_result *result = NULL;
        sp_error *error = NULL;

        if (param)
                sp_params_add_text(params, param, strlen(param));
        if (sp_pool_query(sp_client_pool(client, NULL), ctx, stmt, params, &result, &error) != SP_OK)
                fail_msg("%s: %s", sp_stmt_name(stmt), sp_error_message(error));
        sp_params_free(params);
        return result;
}

static void ask_text(sp_client *client, const char *text)
{
        sp_stmt *stmt = named("prepare", text);

        sp_result_free(ask(client, NULL, stmt, NULL));
        sp_stmt_unref(stmt);
}

static char *report_of(sp_client *client)
{
        sp_value *value = NULL;
        size_t len;
        char *copy;

        assert_int_equal(sp_profiler_report(sp_client_profiler(client), 0, &value), SP_OK);
        copy = strdup(sp_value_data(value, &len));
        sp_value_unref(value);
        return copy;
}

static void shows(const char *text, const char *what)
{
        if (!text || !strstr(text, what))
                fail_msg("%s does not show %s", text ? text : "nothing", what);
}

static sp_ctx *scope_of(const char *name)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, "scope", name, NULL), SP_OK);
        return ctx;
}

#define LIST "SELECT id, title FROM profile_contents ORDER BY score DESC, id LIMIT 10"
#define NAMES                                                                                                          \
        "SELECT name FROM profile_tags JOIN profile_links ON tag_id = profile_tags.id WHERE content_id = $1 ORDER BY " \
        "name"

static void make_tables(sp_client *client)
{
        ask_text(client, "DROP TABLE IF EXISTS profile_contents, profile_tags, profile_links");
        ask_text(client, "CREATE TABLE profile_contents AS SELECT 'content-' || i AS id, 'title ' || i AS title,"
                         " i % 97 AS score FROM generate_series(1, 5000) i");
        ask_text(
            client,
            "CREATE TABLE profile_tags AS SELECT 'tag-' || i AS id, 'name ' || i AS name FROM generate_series(0, 9) i");
        ask_text(client, "CREATE TABLE profile_links AS SELECT id AS content_id, 'tag-' || n AS tag_id"
                         " FROM profile_contents, generate_series(0, 2) n");
        ask_text(client, "ANALYZE");
}

/* As examples/recommendation/naive.c answers a request. */
static void naive(sp_client *client, const sp_stmt *list, const sp_stmt *names)
{
        sp_ctx *ctx = scope_of("GET /recommendations (naive)");
        sp_result *contents = ask(client, ctx, list, NULL);

        for (size_t i = 0; i < sp_result_rows(contents); i++) {
                size_t len;
                sp_ctx *child = sp_ctx_new(ctx);

                sp_result_free(ask(client, child, names, sp_result_get(contents, i, 0, &len)));
                sp_ctx_unref(child);
        }
        sp_result_free(contents);
        sp_ctx_unref(ctx);
}

/* The statement that the finding gave, once. */
static void cured(sp_client *client, const sp_stmt *list, const char *instead)
{
        sp_ctx *ctx = scope_of("GET /recommendations (cured)");
        sp_result *contents = ask(client, ctx, list, NULL), *names;
        sp_stmt *all = named("namesOfAll", instead);
        struct sp__buf ids = SP__BUF_INIT;
        size_t len;

        for (size_t i = 0; i < sp_result_rows(contents); i++)
                sp__buf_format(&ids, "%s%s", i ? "," : "{", (const char *)sp_result_get(contents, i, 0, &len));
        sp__buf_char(&ids, '}');
        sp__buf_char(&ids, 0);
        names = ask(client, ctx, all, ids.data);
        assert_int_equal(sp_result_rows(names), 30);
        assert_string_equal(sp_result_name(names, 0), "content_id");
        sp__buf_free(&ids);
        sp_result_free(names);
        sp_result_free(contents);
        sp_stmt_unref(all);
        sp_ctx_unref(ctx);
}

static void test_the_naive_service_is_found_out_and_its_cure_works(void **state)
{
        static const char instead[] = "SELECT content_id, name FROM profile_tags JOIN profile_links ON tag_id = "
                                      "profile_tags.id WHERE content_id = ANY($1) ORDER BY name";
        sp_client *client = client_with((const char *[]){NULL});
        sp_stmt *list = named("topContents", LIST), *names = named("tagsOf", NAMES);
        char *report, *found;

        make_tables(client);
        for (int i = 0; i < 3; i++)
                naive(client, list, names);
        report = report_of(client);
        found = strstr(report, "\"findings\":");
        shows(found,
              "[{\"kind\":\"n+1\",\"place\":\"GET /recommendations (naive)\",\"name\":\"tagsOf\",\"text\":\"" NAMES
              "\"");
        shows(found, "\"runs\":10,\"distinct\":10,");
        shows(found, instead);
        shows(found, "\"units\":3,\"most\":10,");
        assert_null(strstr(found + 20, "\"kind\":\"repeat\""));
        free(report);
        for (int i = 0; i < 3; i++)
                cured(client, list, instead);
        report = report_of(client);
        assert_null(strstr(report, "(cured)"));
        free(report);
        sp_stmt_unref(list);
        sp_stmt_unref(names);
        sp_client_free(client);
}

static void test_a_statement_s_record_counts_rows_bytes_and_errors(void **state)
{
        sp_client *client = client_with((const char *[]){NULL});
        sp_stmt *series = named("series", "SELECT generate_series(1, 100)"), *bad = named("bad", "SELECT 1 / $1::int4");
        sp_params *params = sp_params_new();
        sp_result *result;
        char *report;

        for (int i = 0; i < 3; i++)
                sp_result_free(ask(client, NULL, series, NULL));
        sp_params_add_int(params, 0);
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, bad, params, &result, NULL), SP_SQL);
        report = report_of(client);
        shows(report, "\"rows\":300,\"bytes\":");
        assert_null(strstr(report, "\"rows\":300,\"bytes\":0"));
        shows(report, "\"codes\":{\"22012\":1}");
        free(report);
        sp_params_free(params);
        sp_stmt_unref(series);
        sp_stmt_unref(bad);
        sp_client_free(client);
}

static void test_a_slow_statement_comes_with_who_asked(void **state)
{
        static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        sp_client *client = client_with((const char *[]){"profiler.nap.slow=20ms", NULL});
        sp_profiler *profiler = sp_client_profiler(client);
        sp_stmt *nap = named("nap", "SELECT pg_sleep($1::float8)");
        sp_ctx *ctx = scope_of("GET /nap");
        sp_completion *done;
        sp_queue *queue;
        sp_slow *slow;
        size_t len;

        assert_int_equal(sp_ctx_set(ctx, "tag", "night shift", NULL), SP_OK);
        assert_int_equal(sp_ctx_set(ctx, "trace", trace, NULL), SP_OK);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_profiler_watch_async(profiler, NULL, 0, queue, 42), SP_OK);
        sp_result_free(ask(client, ctx, nap, "0.05"));
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        shows(sp_value_data(sp_completion_value(done), &len),
              "\"kind\":\"slow\",\"name\":\"nap\",\"text\":\"SELECT pg_sleep($1::float8)\"");
        shows(sp_value_data(sp_completion_value(done), &len),
              "\"tag\":\"night "
              "shift\",\"trace\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\",\"scope\":\"GET /nap\"");
        sp_completion_free(done);
        slow = sp_profiler_slow(profiler);
        assert_non_null(slow);
        assert_string_equal(sp_slow_tag(slow), "night shift");
        assert_string_equal(sp_slow_trace(slow), trace);
        assert_int_equal(sp_slow_rows(slow), 1);
        assert_true(sp_slow_duration_ns(slow) >= 50 * 1000000LL);
        sp_slow_free(slow);
        sp_ctx_unref(ctx);
        sp_stmt_unref(nap);
        sp_client_free(client);
        sp_queue_free(queue);
}

/* A sampled trace's statements are spans under its parent; others are none. */
static void ask_under(sp_client *client, const char *trace, const sp_stmt *stmt)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, "trace", trace, NULL), SP_OK);
        sp_result_free(ask(client, ctx, stmt, "x"));
        sp_ctx_unref(ctx);
}

static void test_statements_of_a_sampled_trace_are_spans(void **state)
{
        sp_client *client = client_with((const char *[]){NULL});
        sp_stmt *one = named("one", "SELECT 'hunter2', $1::text"), *bad = named("bad", "SELECT 1 / $1::int4");
        sp_ctx *sampled = sp_ctx_new(NULL), *not_sampled = sp_ctx_new(NULL), *child = sp_ctx_new(sampled);
        sp_completion *done;
        sp_result *none;
        sp_queue *queue;
        const char *text, *behind;
        sp_params *zero = sp_params_new();
        size_t len;

        sp_params_add_int(zero, 0);
        assert_int_equal(sp_ctx_set(sampled, "trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL),
                         SP_OK);
        assert_int_equal(
            sp_ctx_set(not_sampled, "trace", "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", NULL), SP_OK);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp_result_free(ask(client, sampled, one, "before anybody watches"));
        assert_int_equal(sp_profiler_spans_async(sp_client_profiler(client), NULL, 0, queue, 42), SP_OK);
        sp_result_free(ask(client, not_sampled, one, "x"));
        sp_result_free(ask(client, NULL, one, "x"));
        ask_under(client, "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", one);
        ask_under(client, "00-00000000000000000000000000000000-00f067aa0ba902b7-01", one);
        ask_under(client, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", one);
        assert_int_equal(sp_queue_take(queue, &done, 1), 0);
        sp_result_free(ask(client, child, one, "x"));
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        text = sp_value_data(sp_completion_value(done), &len);
        shows(text,
              "{\"event\":1,\"missed\":0,\"spans\":[{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"");
        shows(text, "\"parentSpanId\":\"00f067aa0ba902b7\",\"name\":\"one\",\"kind\":3,\"startTimeUnixNano\":\"1");
        shows(text, "{\"key\":\"db.query.text\",\"value\":{\"stringValue\":\"SELECT ?, $1::text\"}}");
        shows(text, "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"127.0.0.1\"}}");
        behind = strstr(text, "\"status\":{}}");
        assert_string_equal(behind, "\"status\":{}}]}");
        sp_completion_free(done);
        for (int i = 0; i < 1100; i++)
                assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), sampled, bad, zero, &none, NULL), SP_SQL);
        assert_int_equal(sp_profiler_spans_async(sp_client_profiler(client), NULL, 1, queue, 42), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        text = sp_value_data(sp_completion_value(done), &len);
        shows(text, "{\"event\":1101,\"missed\":76,\"spans\":[");
        shows(text, "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"22012\"}}");
        shows(text, "\"status\":{\"code\":2}}");
        sp_completion_free(done);
        assert_int_equal(sp_profiler_spans_async(sp_client_profiler(client), not_sampled, 1101, queue, 42), SP_OK);
        assert_int_equal(sp_profiler_spans_async(sp_client_profiler(client), NULL, 1101, queue, 43), SP_OK);
        sp_ctx_cancel(not_sampled);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_status(done), SP_CANCELLED);
        sp_completion_free(done);
        sp_client_free(client);
        assert_int_equal(sp_queue_take(queue, &done, 1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_ctx_unref(child);
        sp_ctx_unref(sampled);
        sp_ctx_unref(not_sampled);
        sp_params_free(zero);
        sp_stmt_unref(one);
        sp_stmt_unref(bad);
        sp_queue_free(queue);
}

static char *plan_of(sp_client *client, const char *name)
{
        sp_value *value = NULL;
        sp_error *error = NULL;
        size_t len;
        char *copy;

        if (sp_profiler_explain(sp_client_profiler(client), NULL, name, &value, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        copy = strdup(sp_value_data(value, &len));
        sp_value_unref(value);
        return copy;
}

static void test_a_plan_is_a_shape_as_of_now(void **state)
{
        sp_client *client = client_with((const char *[]){"pool.max=1", NULL});
        sp_stmt *one =
            named("oneContent", "SELECT title FROM profile_contents WHERE id = $1 AND title <> 'hunter2' LIMIT 1");
        char *plan;

        make_tables(client);
        sp_result_free(ask(client, NULL, one, "content-7"));
        plan = plan_of(client, "oneContent");
        shows(plan, "{\"name\":\"oneContent\"");
        shows(plan, "\"plan\":\"Limit > Seq Scan on profile_contents\",\"cost\":");
        assert_null(strstr(plan, "hunter2"));
        free(plan);
        ask_text(client, "CREATE INDEX profile_contents_id ON profile_contents (id)");
        plan = plan_of(client, "oneContent");
        shows(plan, "Index Scan on profile_contents using profile_contents_id");
        free(plan);
        sp_stmt_unref(one);
        sp_client_free(client);
}

static void refuses(sp_client *client, const char *name, sp_status expected)
{
        sp_value *value = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_profiler_explain(sp_client_profiler(client), NULL, name, &value, &error), expected);
        assert_null(value);
        sp_error_free(error);
}

/* What would write is not even planned. */
static void test_only_reads_are_explained(void **state)
{
        sp_client *client = client_with((const char *[]){NULL});
        sp_profiler *alone;
        sp_value *value;
        sp_stmt *show;

        make_tables(client);
        ask_text(client, "UPDATE profile_contents SET score = score WHERE id = 'content-1'");
        refuses(client, "prepare", SP_UNSUPPORTED);
        refuses(client, "never ran", SP_NOT_FOUND);
        refuses(client, "other", SP_UNSUPPORTED);
        show = named("show", "SHOW work_mem");
        sp_result_free(ask(client, NULL, show, NULL));
        refuses(client, "show", SP_UNSUPPORTED);
        sp_stmt_unref(show);
        sp_client_free(client);
        assert_int_equal(sp_profiler_new(NULL, NULL, &alone, NULL), SP_OK);
        assert_int_equal(sp_profiler_explain(alone, NULL, "x", &value, NULL), SP_UNSUPPORTED);
        assert_int_equal(sp_profiler_advise(alone, NULL, NULL, &value, NULL), SP_UNSUPPORTED);
        sp_profiler_free(alone);
}

/* A lock holds up the planner too: the question ends, says by which setting, and nobody's work was held up. */
static void test_a_plan_that_waits_is_given_up(void **state)
{
        sp_client *client = client_with((const char *[]){"profiler.explain_timeout=50ms", NULL});
        sp_stmt *one = named("one", "SELECT title FROM profile_contents LIMIT 1"), *begin = named("begin", "BEGIN"),
                *lock = named("lock", "LOCK TABLE profile_contents");
        sp_result *result = NULL;
        sp_value *value = NULL;
        sp_error *error = NULL;
        sp_session *session;

        make_tables(client);
        sp_result_free(ask(client, NULL, one, NULL));
        assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OK);
        assert_int_equal(sp_session_query(session, NULL, begin, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        assert_int_equal(sp_session_query(session, NULL, lock, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        assert_int_equal(sp_profiler_explain(sp_client_profiler(client), NULL, "one", &value, &error), SP_TIMEOUT);
        shows(sp_error_message(error), "profiler.explain_timeout");
        sp_error_free(error);
        sp_session_release(session);
        sp_stmt_unref(one);
        sp_stmt_unref(begin);
        sp_stmt_unref(lock);
        sp_client_free(client);
}

/* A slow statement's plan is looked at beside the work, and stands in its next entry. */
static void test_plans_of_slow_statements_are_sampled(void **state)
{
        sp_client *client = client_with((const char *[]){"profiler.plan_every=1h", "profiler.napping.slow=1ms", NULL});
        sp_profiler *profiler = sp_client_profiler(client);
        sp_stmt *nap = named("napping", "SELECT pg_sleep(0.01) FROM profile_tags LIMIT 1");
        bool seen = false;

        make_tables(client);
        for (int i = 0; i < 500 && !seen; i++) {
                sp_slow *slow;

                sp_result_free(ask(client, NULL, nap, NULL));
                while ((slow = sp_profiler_slow(profiler))) {
                        seen |= strcmp(sp_slow_plan(slow), "Limit > Seq Scan on profile_tags") == 0;
                        sp_slow_free(slow);
                }
        }
        assert_true(seen);
        sp_stmt_unref(nap);
        sp_client_free(client);
}

static void test_what_is_asked_ends_with_its_client(void **state)
{
        sp_client *client = client_with((const char *[]){"profiler.explain_timeout=10m", NULL});
        sp_stmt *one = named("one", "SELECT 1");
        sp_completion *done[3];
        sp_queue *queue;
        size_t count = 0;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp_result_free(ask(client, NULL, one, NULL));
        for (int i = 0; i < 3; i++)
                assert_int_equal(sp_profiler_explain_async(sp_client_profiler(client), NULL, "one", queue, 42), SP_OK);
        sp_client_close(client);
        while (count < 3)
                count += sp_queue_wait(queue, done + count, 3 - count, -1);
        for (size_t i = 0; i < count; i++) {
                sp_status status = sp_completion_status(done[i]);

                assert_true(status == SP_OK || status == SP_CLOSED);
                sp_completion_free(done[i]);
        }
        assert_int_equal(sp_profiler_explain_async(sp_client_profiler(client), NULL, "one", queue, 42), SP_CLOSED);
        sp_stmt_unref(one);
        sp_client_free(client);
        sp_queue_free(queue);
}

/* One query for its cell, through the queue or not. */
static void through(sp_client *client, sp_ctx *ctx, const sp_stmt *stmt, const char *key, bool queued)
{
        sp_cache *cache = sp_client_cache(client);
        sp_pool *pool = sp_client_pool(client, NULL);
        sp_queue *queue = NULL;
        sp_value *value = NULL;

        if (!queued) {
                assert_int_equal(
                    sp_cache_query(cache, pool, ctx, key, strlen(key), stmt, NULL, SP_QUERY_CELL, &value, NULL), SP_OK);
                sp_value_unref(value);
                return;
        }
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_cache_query_async(cache, pool, ctx, key, strlen(key), stmt, NULL, SP_QUERY_CELL, queue, 42),
                         SP_OK);
        assert_int_equal(queue_outcome(queue, NULL), SP_OK);
        sp_queue_free(queue);
}

static void test_queries_through_the_cache_are_told_by_their_outcome(void **state)
{
        sp_client *client = client_with(NULL), *off = client_with((const char *[]){"profiler.enabled=false", NULL});
        sp_stmt *one = named("through", "SELECT 'hunter2'"), *warm = named("warm", "SELECT 2");
        sp_ctx *bypass = sp_ctx_new(NULL);
        sp_value *page = NULL;
        char key[64], other[64], *report;
        size_t len;

        snprintf(key, sizeof key, "profile:through:%d", (int)getpid());
        snprintf(other, sizeof other, "profile:warm:%d", (int)getpid());
        assert_int_equal(sp_ctx_set(bypass, "cache", "bypass", NULL), SP_OK);
        for (int i = 0; i < 4; i++)
                through(client, NULL, one, key, i % 2);
        through(client, bypass, one, key, false);
        through(client, bypass, one, key, true);
        /* Another process loaded it: here it never ran. */
        through(off, NULL, warm, other, false);
        through(client, NULL, warm, other, true);
        report = report_of(client);
        shows(report, "\"cache\":{\"hit\":3,\"stale\":0,\"miss\":3,\"load\":3}");
        shows(report, "{\"name\":\"warm\",\"count\":0,");
        shows(report, "\"cache\":{\"hit\":1,\"stale\":0,\"miss\":0,\"load\":0}");
        assert_null(strstr(report, "hunter2"));
        free(report);
        assert_int_equal(sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &page), SP_OK);
        shows(sp_value_data(page, &len), "sugarperf_statement_cache_total{db_system_name=\"postgresql\",db_query_"
                                         "summary=\"through\",result=\"hit\"} "
                                         "3\n");
        sp_value_unref(page);
        report = report_of(off);
        assert_null(strstr(report, "warm"));
        free(report);
        sp_ctx_unref(bypass);
        sp_stmt_unref(one);
        sp_stmt_unref(warm);
        sp_client_free(client);
        sp_client_free(off);
}

/* However its answer came: behind its own PREPARE, or behind another statement's. */
static void test_what_the_server_works_is_execution_and_no_fetch(void **state)
{
        sp_client *client = client_with((const char *const[]){"profiler.slow=0", NULL});
        sp_stmt *one = named("one", "SELECT 1"), *sleeper = named("sleeper", "SELECT pg_sleep(0.2)");
        const sp_stmt *both[] = {one, sleeper};
        sp_session *session = NULL;
        sp_completion *done;
        sp_queue *queue;
        sp_slow *slow;
        int slept = 0;

        sp_result_free(ask(client, NULL, sleeper, NULL));
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OK);
        for (uint64_t i = 0; i < 2; i++)
                assert_int_equal(sp_session_query_async(session, NULL, both[i], NULL, queue, i), SP_OK);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                sp_completion_free(done);
        }
        while ((slow = sp_profiler_slow(sp_client_profiler(client)))) {
                if (strcmp(sp_slow_name(slow), "sleeper") == 0) {
                        assert_true(sp_slow_execute_ns(slow) >= 200000000);
                        slept++;
                }
                sp_slow_free(slow);
        }
        assert_int_equal(slept, 2);
        sp_session_release(session);
        sp_queue_free(queue);
        sp_stmt_unref(one);
        sp_stmt_unref(sleeper);
        sp_client_free(client);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_the_server_works_is_execution_and_no_fetch),
            cmocka_unit_test(test_the_naive_service_is_found_out_and_its_cure_works),
            cmocka_unit_test(test_a_statement_s_record_counts_rows_bytes_and_errors),
            cmocka_unit_test(test_a_slow_statement_comes_with_who_asked),
            cmocka_unit_test(test_statements_of_a_sampled_trace_are_spans),
            cmocka_unit_test(test_a_plan_is_a_shape_as_of_now),
            cmocka_unit_test(test_only_reads_are_explained),
            cmocka_unit_test(test_a_plan_that_waits_is_given_up),
            cmocka_unit_test(test_plans_of_slow_statements_are_sampled),
            cmocka_unit_test(test_what_is_asked_ends_with_its_client),
            cmocka_unit_test(test_queries_through_the_cache_are_told_by_their_outcome),
        };

        return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
