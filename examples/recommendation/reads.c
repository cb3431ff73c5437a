/* SPDX-License-Identifier: MIT */
/*
 * Reads through the cache. The long way, for what must not fail: look up; on a lease ask the database under the breaker,
 * answer, fill. So the breaker sees the database alone, hits are served while it is open, and everybody else who wants
 * the key waits for our lease. The short way, get_interests(), is the library's query through the cache, in one call.
 */
#include "work.h"

#include <stdio.h>
#include <string.h>

static void fail(struct work *work, sp_status status)
{
        const char *fallback = work->reading->fallback;

        if (!work->call) /* a refresh in the background */
                return;
        if (fallback)
                work_answer(work, 200, "fallback", (struct http_body){.data = fallback, .len = strlen(fallback)});
        else
                work_answer_failure(work, status);
}

static void finish(struct work *work, sp_completion *completion)
{
        work_free(work);
}

/* Ends the work; without a value (NULL) the cache remembers that there is none. */
static void fill(struct work *work, const void *data, size_t len)
{
        sp_lease *lease = work->lease;

        work->lease = NULL;
        work->next = finish;
        if (sp_lease_fill_async(lease, NULL, data, len, data ? SP_CODEC_JSON : SP_CODEC_ABSENT, 0, work->service->queue,
                                work_tag(work)) != SP_OK)
                work_free(work);
}

static void result_release(void *result)
{
        sp_result_free(result);
}

/* The cell is the body, without a copy: the fill has copied it when it returns, then the response owns the result. */
static void succeed(struct work *work, sp_result *result, const void *data, size_t len)
{
        struct http_call *call = work_take_call(work, 200);

        fill(work, data, len);
        if (call)
                http_answer(call, 200, "miss",
                            (struct http_body){.data = data, .len = len, .release = result_release, .owner = result});
        else
                sp_result_free(result);
}

static void miss(struct work *work, sp_result *result)
{
        if (work->call)
                work_answer_error(work, 404, work->reading->missing);
        fill(work, NULL, 0);
        sp_result_free(result);
}

static void loaded(struct work *work, sp_completion *completion)
{
        sp_status status = work_asked(work, completion);
        sp_result *result;
        const void *data;
        size_t len;

        if (status != SP_OK) {
                fail(work, status);
                work_free(work);
                return;
        }
        result = sp_completion_take_result(completion);
        data = sp_result_get(result, 0, 0, &len);
        if (data)
                succeed(work, result, data, len);
        else
                miss(work, result);
}

static void load(struct work *work)
{
        sp_status status = work_ask(work, work->reading->stmt, loaded);

        if (status == SP_OK)
                return;
        fail(work, status);
        work_free(work);
}

static void answer_found(struct work *work, const char *source, sp_value *value)
{
        if (sp_value_codec(value) == SP_CODEC_ABSENT)
                work_answer_error(work, 404, work->reading->missing);
        else
                work_answer_value(work, source, value);
}

static void looked_up(struct work *work, sp_completion *completion)
{
        sp_lookup *lookup = sp_completion_take_lookup(completion);

        if (!lookup) {
                fail(work, sp_completion_status(completion));
                work_free(work);
                return;
        }
        work->lease = sp_lookup_take_lease(lookup);
        if (sp_lookup_state(lookup) != SP_LOOKUP_LEASE)
                answer_found(work, sp_lookup_state(lookup) == SP_LOOKUP_HIT ? "hit" : "stale", sp_lookup_value(lookup));
        sp_lookup_free(lookup);
        /* A stale value may come with a lease: then the refresh falls to us, after the answer. */
        if (work->lease)
                load(work);
        else
                work_free(work);
}

/* The in-process level, without waiting and without leaving this thread. */
static bool peek(struct work *work)
{
        sp_value *value;

        if (!sp_cache_peek(work->service->cache, work->key, work->key_len, &value))
                return false;
        answer_found(work, "hit", value);
        sp_value_unref(value);
        work_free(work);
        return true;
}

static bool key_build(struct work *work)
{
        return sp_key_format(work->reading->key, work->params, work->key, sizeof work->key, &work->key_len) == SP_OK;
}

static void read_through(struct work *work)
{
        struct service *service = work->service;
        sp_status status = key_build(work) ? SP_OK : SP_INVALID;

        if (status == SP_OK && peek(work))
                return;
        work->next = looked_up;
        if (status == SP_OK)
                status = sp_cache_lookup_async(service->cache, NULL, work->key, work->key_len, service->queue,
                                               work_tag(work));
        if (status == SP_OK)
                return;
        fail(work, status);
        work_free(work);
}

static struct work *read_new(struct service *service, struct http_call *call, const struct reading *reading,
                             const char *id)
{
        struct work *work = work_new(service, call, reading->name);

        if (!work)
                return NULL;
        work->reading = reading;
        sp_params_add_text(work->params, id, strlen(id));
        return work;
}

void get_recommendations(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work;
        int limit;

        if (!http_number(call, "limit", 1, 100, 10, &limit)) {
                http_error(call, 400, "limit must be a number from 1 to 100");
                return;
        }
        work = read_new(service, call, &service->recommendations, id);
        if (!work)
                return;
        sp_params_add_int(work->params, limit);
        read_through(work);
}

void get_content(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = read_new(service, call, &service->content, id);

        if (work)
                read_through(work);
}

static void queried(struct work *work, sp_completion *completion)
{
        sp_status status = sp_completion_status(completion);

        if (status == SP_OK)
                work_answer_value(work, NULL, sp_completion_value(completion));
        else
                fail(work, status);
        work_free(work);
}

void get_interests(void *arg, struct http_call *call, const char *id)
{
        struct service *service = arg;
        struct work *work = read_new(service, call, &service->interests, id);
        sp_status status;

        if (!work)
                return;
        work->next = queried;
        status = !key_build(work) ? SP_INVALID
                                  : sp_cache_query_async(service->cache, service->pool, NULL, work->key, work->key_len,
                                                         service->interests.stmt, work->params, SP_QUERY_CELL,
                                                         service->queue, work_tag(work));
        if (status == SP_OK)
                return;
        fail(work, status);
        work_free(work);
}
