/* SPDX-License-Identifier: MIT */
#include "read.h"

#include <stdio.h>
#include <string.h>

static void fail(struct work *work, sp_status status)
{
        const char *fallback = work->reading->fallback;

        if (!work->call) /* a refresh in the background */
                return;
        if (fallback)
                sp_counter_add(work->reading->fallbacks, 1);
        if (fallback)
                work_answer(work, 200, "fallback", (struct http_body){.data = fallback, .len = strlen(fallback)});
        else
                work_answer_failure(work, status);
}

static void finish(struct work *work, sp_completion *completion)
{
        work_free(work);
}

static void absent(struct work *work)
{
        const struct reading *reading = work->reading;

        work_answer_error(work, reading->status ? reading->status : 404, reading->absent);
}

/* What the statement says of the entry to come, and the request. */
static void describe(struct work *work, const sp_result *result)
{
        const char *tag;
        size_t len;

        if (work->expires_ms)
                sp_lease_expires(work->lease, work->expires_ms);
        for (size_t i = 1; i < sp_result_columns(result); i++) {
                if (strcmp(sp_result_name(result, i), "tag") == 0 && (tag = sp_result_get(result, 0, i, &len)))
                        sp_lease_tag(work->lease, tag, len);
        }
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
                absent(work);
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
        describe(work, result);
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
                absent(work);
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
        return work->key_len ||
               sp_key_format(work->reading->tmpl, work->params, work->key, sizeof work->key, &work->key_len) == SP_OK;
}

void read_key(struct work *work, const char *text)
{
        work_param(work, text);
        key_build(work);
        sp_params_clear(work->params);
}

void read_run(struct work *work)
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

struct work *read_new(struct service *service, struct http_call *call, const struct reading *reading)
{
        struct work *work = work_new(service, call, reading->name);

        if (work)
                work->reading = reading;
        return work;
}

static void queried(struct work *work, sp_completion *completion)
{
        sp_status status = sp_completion_status(completion);

        if (status == SP_OK)
                work_answer_value(work, NULL, sp_completion_value(completion));
        else if (status == SP_NOT_FOUND)
                absent(work);
        else
                fail(work, status);
        work_free(work);
}

void read_query(struct work *work)
{
        struct service *service = work->service;
        sp_status status = SP_INVALID;

        work->next = queried;
        if (key_build(work))
                status = sp_cache_query_async(service->cache, service->pool, work_ctx(work), work->key, work->key_len,
                                              work->reading->stmt, work->params, SP_QUERY_CELL, service->queue,
                                              work_tag(work));
        if (status == SP_OK)
                return;
        fail(work, status);
        work_free(work);
}

void read_by_id(struct service *service, struct http_call *call, const struct reading *reading, const char *id)
{
        struct work *work = read_new(service, call, reading);

        if (!work)
                return;
        work_param(work, id);
        read_run(work);
}

void read_list(struct service *service, struct http_call *call, const struct reading *reading, const char *id)
{
        struct work *work;
        int limit;

        if (!http_number(call, "limit", 1, 100, 10, &limit)) {
                http_error(call, 400, "limit must be a number from 1 to 100");
                return;
        }
        work = read_new(service, call, reading);
        if (!work)
                return;
        work_param(work, id);
        sp_params_add_int(work->params, limit);
        read_run(work);
}

static void unknown_word(struct http_call *call, const char *name, const char *const words[])
{
        char line[200];
        int len = snprintf(line, sizeof line, "the query needs %s, one of", name);

        for (size_t i = 0; words[i] && len < (int)sizeof line; i++)
                len += snprintf(line + len, sizeof line - (size_t)len, "%s %s", i ? "," : "", words[i]);
        http_error(call, 400, line);
}

void read_by_word(struct service *service, struct http_call *call, const struct reading *reading, const char *id,
                  const char *name, const char *const words[])
{
        const char *word = http_query(call, name);
        struct work *work;

        for (size_t i = 0; words[i] && word; i++) {
                if (strcmp(word, words[i]) != 0)
                        continue;
                work = read_new(service, call, reading);
                if (!work)
                        return;
                work_param(work, id);
                work_param(work, word);
                read_run(work);
                return;
        }
        unknown_word(call, name, words);
}
