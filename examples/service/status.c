/* SPDX-License-Identifier: MIT */
/* What an operator asks, and does: the library knows the answers. */
#include "work.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void value_release(void *value)
{
        sp_value_unref(value);
}

static void answer_value(struct http_call *call, sp_value *value, const char *type)
{
        struct http_body body = {.type = type, .release = value_release, .owner = value};

        body.data = sp_value_data(value, &body.len);
        http_answer(call, 200, NULL, body);
}

void get_metrics(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        const char *accept = http_header(call, "Accept");
        bool open = accept && strstr(accept, "application/openmetrics-text");
        sp_value *text;

        if (sp_metrics_text(service->metrics, open ? SP_METRICS_OPENMETRICS : SP_METRICS_PROMETHEUS, &text) != SP_OK)
                http_error(call, 503, sp_status_text(SP_NOMEM));
        else
                answer_value(call, text,
                             open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8");
}

void get_cache_metrics(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        sp_value *report;

        if (sp_cache_report(service->cache, &report) != SP_OK)
                http_error(call, 503, sp_status_text(SP_NOMEM));
        else
                answer_value(call, report, NULL);
}

void get_profile(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        sp_value *report;

        if (sp_profiler_report(service->profiler, 20, &report) != SP_OK)
                http_error(call, 503, sp_status_text(SP_NOMEM));
        else
                answer_value(call, report, NULL);
}

/* A degraded service serves on: only what is unhealthy is taken out of the balance. */
static bool serves(const sp_value *health)
{
        size_t len;
        const char *text = sp_value_data(health, &len);
        json_t *report = json_loadb(text, len, 0, NULL);
        const char *status = json_string_value(json_object_get(report, "status"));
        bool good = status && strcmp(status, "unhealthy") != 0;

        json_decref(report);
        return good;
}

static void checked(struct work *work, sp_completion *completion)
{
        sp_value *health = sp_completion_value(completion);

        if (health) {
                struct http_body body = {.release = value_release, .owner = sp_value_ref(health)};

                body.data = sp_value_data(health, &body.len);
                work_answer(work, serves(health) ? 200 : 503, NULL, body);
        } else {
                work_answer_failure(work, sp_completion_status(completion));
        }
        work_free(work);
}

/* What the profiler's own connection was asked for. */
static void told(struct work *work, sp_completion *completion)
{
        sp_value *report = sp_completion_value(completion);

        if (report)
                work_answer_value(work, NULL, report);
        else
                work_answer_failure(work, sp_completion_status(completion));
        work_free(work);
}

/* A submission that was refused. */
static void unasked(struct work *work, sp_status status)
{
        if (status == SP_OK)
                return;
        work_answer_failure(work, status);
        work_free(work);
}

void get_database_health(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = work_new(service, call, "GET /health/database");

        if (!work)
                return;
        work->next = checked;
        unasked(work, sp_pool_health_async(service->pool, work_ctx(work), service->queue, work_tag(work)));
}

void get_health(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = work_new(service, call, "GET /health");

        if (!work)
                return;
        work->next = checked;
        unasked(work, sp_client_health_async(service->client, work_ctx(work), service->queue, work_tag(work)));
}

void get_server(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = work_new(service, call, "GET /profiler/server");

        if (!work)
                return;
        work->next = told;
        unasked(work,
                sp_profiler_server_async(service->profiler, work_ctx(work), NULL, service->queue, work_tag(work)));
}

void get_indexes(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = work_new(service, call, "GET /profiler/indexes");

        if (!work)
                return;
        work->next = told;
        unasked(work,
                sp_profiler_advise_async(service->profiler, work_ctx(work), NULL, service->queue, work_tag(work)));
}

void get_feed_health(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        sp_value *report;

        if (!service->feed)
                http_error(call, 404, "there is no change feed here: FEED=on");
        else if (sp_feed_report(service->feed, &report) != SP_OK)
                http_error(call, 503, sp_status_text(SP_NOMEM));
        else
                answer_value(call, report, NULL);
}

void get_breaker_health(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        sp_value *report;

        if (sp_breaker_report(service->breaker, &report) != SP_OK)
                http_error(call, 503, sp_status_text(SP_NOMEM));
        else
                answer_value(call, report, NULL);
}

static void flushed(struct work *work, sp_completion *completion)
{
        sp_status status = sp_completion_status(completion);
        static const char text[] = "{\"flushed\":true}";

        if (status == SP_OK)
                work_answer(work, 200, NULL, (struct http_body){.data = text, .len = sizeof text - 1});
        else
                work_answer_failure(work, status);
        work_free(work);
}

/* Everything in the namespace, in every process, in one step. */
void post_flush(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = work_new(service, call, "POST /admin/cache/flush");
        sp_status status;

        if (!work)
                return;
        work->targets = sp_targets_new();
        work->next = flushed;
        sp_targets_all(work->targets);
        status = sp_cache_invalidate_async(service->cache, NULL, work->targets, service->queue, work_tag(work));
        if (status != SP_OK) {
                work_answer_failure(work, status);
                work_free(work);
        }
}

void post_breaker(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;

        if (strcmp(id, "reset") == 0)
                sp_breaker_reset(service->breaker);
        else if (strcmp(id, "open") == 0)
                sp_breaker_force(service->breaker, SP_BREAKER_FORCED_OPEN);
        else if (strcmp(id, "disable") == 0)
                sp_breaker_force(service->breaker, SP_BREAKER_DISABLED);
        else {
                http_error(call, 404, "a breaker can be told to reset, open or disable");
                return;
        }
        get_breaker_health(arg, call, id);
}

void post_pool(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        char line[64];
        int max, len;

        if (!http_number(call, "max", 1, 1000, 0, &max) || max == 0 ||
            sp_pool_resize(service->pool, max, NULL) != SP_OK) {
                http_error(call, 400, "max must be a number of connections, 1 to 1000");
                return;
        }
        len = snprintf(line, sizeof line, "{\"max\":%lld}", (long long)sp_pool_max(service->pool));
        http_answer(call, 200, NULL, (struct http_body){.data = line, .len = (size_t)len});
}
