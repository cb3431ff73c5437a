/* SPDX-License-Identifier: MIT */
#include "ways.h"

#include "base/buf.h"
#include "core/error.h"
#include "observe/exposition.h"
#include "pg/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for the one completion of a queue of its own. */
sp_completion *queue_completion(sp_queue *queue)
{
        sp_completion *done = NULL;

        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_tag(done), 42);
        assert_int_equal(sp_queue_pending(queue), 0);
        return done;
}

sp_status completion_outcome(sp_completion *done, sp_error **error)
{
        sp_status status = sp_completion_status(done);

        if (status != SP_OK && error)
                *error = sp__error_copy(sp_completion_error(done));
        return status;
}

sp_status queue_outcome(sp_queue *queue, sp_error **error)
{
        sp_completion *done = queue_completion(queue);
        sp_status status = completion_outcome(done, error);

        sp_completion_free(done);
        return status;
}

static sp_status refused(sp_queue *queue, sp_status status, sp_error **error)
{
        assert_int_equal(sp_queue_pending(queue), 0);
        sp_queue_free(queue);
        return sp__fail(error, status, "%s", sp_status_text(status));
}

static sp_status take_result(sp_queue *queue, sp_result **out, sp_error **error)
{
        sp_completion *done = queue_completion(queue);
        sp_status status = completion_outcome(done, error);

        if (status == SP_OK)
                *out = sp_completion_take_result(done);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

static sp_queue *queue_new(void)
{
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        return queue;
}

static sp_status queue_query(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                             sp_error **error)
{
        sp_queue *queue = queue_new();
        sp_status status = sp_pool_query_async(pool, ctx, stmt, params, queue, 42);

        return status == SP_OK ? take_result(queue, out, error) : refused(queue, status, error);
}

static sp_status queue_session(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                               sp_result **out, sp_error **error)
{
        sp_queue *queue = queue_new();
        sp_status status = sp_session_query_async(session, ctx, stmt, params, queue, 42);

        return status == SP_OK ? take_result(queue, out, error) : refused(queue, status, error);
}

static sp_status queue_acquire(sp_pool *pool, sp_ctx *ctx, sp_session **out, sp_error **error)
{
        sp_queue *queue = queue_new();
        sp_status status = sp_pool_acquire_async(pool, ctx, queue, 42);
        sp_completion *done;

        if (status != SP_OK)
                return refused(queue, status, error);
        done = queue_completion(queue);
        status = completion_outcome(done, error);
        if (status == SP_OK)
                *out = sp_completion_take_session(done);
        sp_completion_free(done);
        sp_queue_free(queue);
        return status;
}

const struct way ways[WAYS] = {
    {"blocking", sp_pool_query, sp_pool_acquire, sp_session_query},
    {"queue", queue_query, queue_acquire, queue_session},
};

sp_config *config_with(const char *const settings[])
{
        static const char *const limits[] = {"pool.statement_timeout", "pool.connect_timeout", "pool.acquire_timeout"};
        sp_config *config = sp_config_new();
        char name[128];
        sp_error *error = NULL;

        assert_int_equal(sp_config_env(config, &error), SP_OK);
        /* A busy machine may take longer than the defaults: tests of the limits set their own. */
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
                assert_int_equal(sp_config_set(config, limits[i], "20s", &error), SP_OK);
        for (size_t i = 0; settings && settings[i]; i++) {
                const char *equals = strchr(settings[i], '=');

                snprintf(name, sizeof name, "%.*s", (int)(equals - settings[i]), settings[i]);
                if (sp_config_set(config, name, equals + 1, &error) != SP_OK)
                        fail_msg("%s", sp_error_message(error));
        }
        return config;
}

sp_pool *pool_with(const char *const settings[])
{
        sp_config *config = config_with(settings);
        sp_error *error = NULL;
        sp_pool *pool;

        if (sp_pool_new(config, NULL, &pool, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return pool;
}

sp_stmt *stmt_of(const char *text)
{
        sp_error *error = NULL;
        sp_stmt *stmt;

        if (sp_stmt_new(NULL, text, strlen(text), 0, &stmt, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        return stmt;
}

sp_ctx *ctx_of(const char *timeout)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, "timeout", timeout, NULL), SP_OK);
        return ctx;
}

static int64_t first_cell(sp_result *result)
{
        size_t len;
        const char *text = sp_result_get(result, 0, 0, &len);
        int64_t value = text ? strtoll(text, NULL, 10) : -1;

        sp_result_free(result);
        return value;
}

int64_t number(const struct way *way, sp_pool *pool, const char *text, int64_t param)
{
        sp_params *params = sp_params_new();
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result;

        sp_params_add_int(params, param);
        if (way->query(pool, NULL, stmt, strchr(text, '$') ? params : NULL, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        sp_params_free(params);
        sp_stmt_unref(stmt);
        return first_cell(result);
}

void run(const struct way *way, sp_pool *pool, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result;

        if (way->query(pool, NULL, stmt, NULL, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        sp_result_free(result);
        sp_stmt_unref(stmt);
}

int64_t session_number(const struct way *way, sp_session *session, const char *text)
{
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result;

        if (way->session(session, NULL, stmt, NULL, &result, &error) != SP_OK)
                fail_msg("%s: %s", text, sp_error_message(error));
        sp_stmt_unref(stmt);
        return first_cell(result);
}

void session_run(const struct way *way, sp_session *session, const char *text)
{
        session_number(way, session, text);
}

sp_error *fails(const struct way *way, sp_pool *pool, sp_ctx *ctx, const char *text, sp_status status)
{
        sp_stmt *stmt = stmt_of(text);
        sp_error *error = NULL;
        sp_result *result = NULL;
        sp_status got = way->query(pool, ctx, stmt, NULL, &result, &error);

        if (got != status)
                fail_msg("%s: %s, not %s (%s)", text, sp_status_name(got), sp_status_name(status),
                         error ? sp_error_message(error) : "");
        assert_null(result);
        sp_stmt_unref(stmt);
        return error;
}

void says(sp_error *error, const char *text, const char *never)
{
        assert_non_null(error);
        if (!strstr(sp_error_message(error), text))
                fail_msg("\"%s\" does not say \"%s\"", sp_error_message(error), text);
        if (never && strstr(sp_error_message(error), never))
                fail_msg("\"%s\" says \"%s\"", sp_error_message(error), never);
        assert_null(strchr(sp_error_message(error), '\n'));
        sp_error_free(error);
}

int64_t counted(sp_pool *pool, const char *counter)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;
        const char *at;
        char name[128];
        int64_t value;

        sp__expo_init(&expo, SP_METRICS_PROMETHEUS);
        sp__pool_collect(pool, &expo);
        assert_true(sp__expo_text(&expo, &text));
        sp__buf_char(&text, 0);
        snprintf(name, sizeof name, "\n%s_total{", counter);
        at = strstr(text.data, name);
        assert_non_null(at);
        value = strtoll(strchr(at, '}') + 1, NULL, 10);
        sp__expo_free(&expo);
        sp__buf_free(&text);
        return value;
}
