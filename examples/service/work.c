/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, WAIT_MS = 200 };
static const int64_t second = 1000000000;

struct work *work_new(struct service *service, struct http_call *call, const char *name)
{
        struct work *work = calloc(1, sizeof *work);

        if (!work || !(work->params = sp_params_new())) {
                free(work);
                http_error(call, 503, sp_status_text(SP_NOMEM));
                return NULL;
        }
        work->service = service;
        work->call = call;
        work->name = name;
        work->started = sp_profiler_start(service->profiler);
        return work;
}

void work_free(struct work *work)
{
        if (work->lease)
                sp_lease_release(work->lease);
        sp_ctx_unref(work->ctx);
        sp_params_free(work->params);
        sp_targets_free(work->targets);
        sp_row_free(work->row);
        free(work->reply);
        free(work->own);
        free(work);
}

uint64_t work_tag(const struct work *work)
{
        return (uint64_t)(uintptr_t)work;
}

static void report_slow(sp_profiler *profiler)
{
        sp_slow *slow;

        while ((slow = sp_profiler_slow(profiler))) {
                fprintf(stderr, "slow: %s took %.1f ms\n", sp_slow_name(slow), (double)sp_slow_duration_ns(slow) / 1e6);
                sp_slow_free(slow);
        }
}

void *work_run(void *arg)
{
        struct service *service = arg;
        sp_completion *batch[BATCH];
        int64_t reported = 0, now;
        size_t count;

        while (!atomic_load(&service->stopping) || sp_queue_pending(service->queue)) {
                count = sp_queue_wait(service->queue, batch, BATCH, WAIT_MS);
                for (size_t i = 0; i < count; i++) {
                        struct work *work = (struct work *)(uintptr_t)sp_completion_tag(batch[i]);

                        work->next(work, batch[i]);
                        sp_completion_free(batch[i]);
                }
                now = sp_profiler_start(service->profiler);
                if (!count || now - reported > second) {
                        report_slow(service->profiler);
                        reported = now;
                }
        }
        return NULL;
}

void work_param(struct work *work, const char *text)
{
        if (text)
                sp_params_add_text(work->params, text, strlen(text));
        else
                sp_params_add_null(work->params);
}

/* It goes into the cache, which must not be filled from a replica's past. */
sp_ctx *work_ctx(struct work *work)
{
        if (!work->ctx && (work->ctx = sp_ctx_new(work->service->ctx))) {
                sp_ctx_set(work->ctx, "unit", "own", NULL);
                sp_ctx_set(work->ctx, "scope", work->name, NULL);
                sp_ctx_set(work->ctx, "reads", "primary", NULL);
        }
        return work->ctx;
}

sp_status work_ask(struct work *work, const sp_stmt *stmt, void (*next)(struct work *, sp_completion *))
{
        struct service *service = work->service;
        sp_status status = sp_breaker_acquire(service->breaker, &work->permit);

        if (status != SP_OK)
                return status;
        work->asked = sp_profiler_start(service->profiler);
        work->next = next;
        status = sp_pool_query_async(service->pool, work_ctx(work), stmt, work->params, service->queue, work_tag(work));
        if (status != SP_OK)
                sp_breaker_release(service->breaker, work->permit);
        return status;
}

sp_status work_asked(struct work *work, const sp_completion *completion)
{
        const sp_error *error = sp_completion_error(completion);
        sp_status status = sp_completion_status(completion);
        int outcome = sp_breaker_classify(status, error ? sp_error_code(error) : "");

        sp_breaker_record(work->service->breaker, work->permit, outcome,
                          sp_profiler_start(work->service->profiler) - work->asked);
        if (outcome == SP_OUTCOME_FAILURE)
                fprintf(stderr, "%s: %s\n", work->name, error ? sp_error_message(error) : sp_status_text(status));
        return status;
}

struct http_call *work_take_call(struct work *work, unsigned status)
{
        struct http_call *call = work->call;

        if (call)
                sp_profiler_finish(work->service->profiler, work->name, work->started,
                                   status < 500 ? SP_OK : SP_UNAVAILABLE);
        work->call = NULL;
        return call;
}

void work_answer(struct work *work, unsigned status, const char *source, struct http_body body)
{
        struct http_call *call = work_take_call(work, status);

        if (call)
                http_answer(call, status, source, body);
        else if (body.release)
                body.release(body.owner);
}

const char *work_cell(const sp_completion *completion, size_t column)
{
        size_t len;

        return sp_result_get(sp_completion_result(completion), 0, column, &len);
}

static void value_release(void *value)
{
        sp_value_unref(value);
}

void work_answer_value(struct work *work, const char *source, sp_value *value)
{
        struct http_body body = {.release = value_release, .owner = sp_value_ref(value)};

        body.data = sp_value_data(value, &body.len);
        work_answer(work, 200, source, body);
}

void work_answer_error(struct work *work, unsigned status, const char *text)
{
        char line[256];
        int len = snprintf(line, sizeof line, "{\"error\":\"%.200s\"}\n", text);

        work_answer(work, status, NULL, (struct http_body){.data = line, .len = (size_t)len});
}

void work_answer_failure(struct work *work, sp_status status)
{
        work_answer_error(work, 503, sp_status_text(status));
}
