/* SPDX-License-Identifier: MIT */
#include "cache_way.h"

#include "base/random.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for the one completion of a queue; the status and error are handed over. */
static sp_completion *only(sp_queue *queue)
{
        sp_completion *completion = NULL;

        assert_int_equal(sp_queue_wait(queue, &completion, 1, 60000), 1);
        assert_int_equal(sp_completion_tag(completion), 7);
        return completion;
}

static sp_queue *new_queue(void)
{
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        return queue;
}

static sp_status finish(sp_queue *queue, sp_completion *completion, sp_error **error)
{
        sp_status status = sp_completion_status(completion);

        if (error && sp_completion_error(completion))
                *error = sp__error_copy(sp_completion_error(completion));
        sp_completion_free(completion);
        sp_queue_free(queue);
        return status;
}

static sp_status lookup_async(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_lookup **out,
                              sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_lookup_async(cache, ctx, data, len, queue, 7);
        sp_completion *completion;

        if (status != SP_OK) {
                sp_queue_free(queue);
                return status;
        }
        completion = only(queue);
        if (sp_completion_status(completion) == SP_OK)
                *out = sp_completion_take_lookup(completion);
        return finish(queue, completion, error);
}

static sp_status fill_async(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec, int64_t ttl_ms,
                            sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_lease_fill_async(lease, ctx, data, len, codec, ttl_ms, queue, 7);

        if (status == SP_OK)
                return finish(queue, only(queue), error);
        sp_queue_free(queue);
        return status;
}

static sp_status query_async(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len,
                             const sp_stmt *stmt, const sp_params *params, uint32_t mode, sp_value **out,
                             sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_query_async(cache, pool, ctx, data, len, stmt, params, mode, queue, 7);
        sp_completion *completion;

        if (status != SP_OK) {
                sp_queue_free(queue);
                return status;
        }
        completion = only(queue);
        if (sp_completion_status(completion) == SP_OK)
                *out = sp_value_ref(sp_completion_value(completion));
        return finish(queue, completion, error);
}

static sp_status invalidate_async(sp_cache *cache, sp_ctx *ctx, const sp_targets *targets, sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_invalidate_async(cache, ctx, targets, queue, 7);

        if (status == SP_OK)
                return finish(queue, only(queue), error);
        sp_queue_free(queue);
        return status;
}

static sp_status set_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data, size_t len,
                           uint32_t codec, int64_t ttl_ms, sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_set_async(cache, ctx, key, key_len, data, len, codec, ttl_ms, queue, 7);

        if (status == SP_OK)
                return finish(queue, only(queue), error);
        sp_queue_free(queue);
        return status;
}

static sp_status touch_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, int64_t ttl_ms,
                             sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_touch_async(cache, ctx, key, len, ttl_ms, queue, 7);

        if (status == SP_OK)
                return finish(queue, only(queue), error);
        sp_queue_free(queue);
        return status;
}

static sp_status lookup_many_async(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_lookups **out,
                                   sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_cache_lookup_many_async(cache, ctx, keys, queue, 7);
        sp_completion *completion;

        if (status != SP_OK) {
                sp_queue_free(queue);
                return status;
        }
        completion = only(queue);
        if (sp_completion_status(completion) == SP_OK)
                *out = sp_completion_take_lookups(completion);
        return finish(queue, completion, error);
}

static sp_status fill_many_async(sp_lookups *lookups, sp_ctx *ctx, sp_error **error)
{
        sp_queue *queue = new_queue();
        sp_status status = sp_lookups_fill_async(lookups, ctx, queue, 7);

        if (status == SP_OK)
                return finish(queue, only(queue), error);
        sp_queue_free(queue);
        return status;
}

#define BLOCKING                                                                                                       \
        sp_cache_lookup, sp_lease_fill, sp_cache_query, sp_cache_invalidate, sp_cache_set, sp_cache_touch,             \
            sp_cache_lookup_many, sp_lookups_fill
#define ASYNC                                                                                                          \
        lookup_async, fill_async, query_async, invalidate_async, set_async, touch_async, lookup_many_async,            \
            fill_many_async

const struct cache_way cache_ways[CACHE_WAYS] = {
    {"blocking, Redis", true, BLOCKING},
    {"asynchronous, Redis", true, ASYNC},
    {"blocking, in process", false, BLOCKING},
    {"asynchronous, in process", false, ASYNC},
};

sp_cache *cache_with(const struct cache_way *way, const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_cache *cache = NULL;
        sp_error *error = NULL;

        if (way->redis)
                assert_int_equal(sp_config_set(config, "redis.url", getenv("REDIS_URL"), NULL), SP_OK);
        /* A busy machine may take longer than the default. */
        assert_int_equal(sp_config_set(config, "redis.timeout", "5s", NULL), SP_OK);
        for (size_t i = 0; settings && settings[i]; i++) {
                char name[64];
                size_t len = strcspn(settings[i], "=");

                snprintf(name, sizeof name, "%.*s", (int)len, settings[i]);
                assert_int_equal(sp_config_set(config, name, settings[i] + len + 1, NULL), SP_OK);
        }
        if (sp_cache_new(config, &cache, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return cache;
}

void declare(sp_cache *cache, const char *text, const char *options, const char *const patterns[])
{
        sp_template *tmpl = NULL;

        assert_int_equal(sp_template_new(text, options, &tmpl, NULL), SP_OK);
        for (size_t i = 0; patterns && patterns[i]; i++)
                assert_int_equal(sp_template_pattern(tmpl, patterns[i], NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
}

sp_ctx *ctx_set(const char *name, const char *value)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, name, value, NULL), SP_OK);
        return ctx;
}

const char *fresh_key(const char *prefix, char *buf, size_t cap)
{
        snprintf(buf, cap, "%s:%016llx", prefix, (unsigned long long)sp__random_seed());
        return buf;
}

static sp_lookup *look(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_lookup *lookup = NULL;
        sp_error *error = NULL;

        if (way->lookup(cache, NULL, key, strlen(key), &lookup, &error) != SP_OK)
                fail_msg("%s", error ? sp_error_message(error) : "no error");
        return lookup;
}

int state_of(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_lookup *lookup = look(way, cache, key);
        int state = sp_lookup_state(lookup);

        sp_lookup_free(lookup);
        return state;
}

char *text_of(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_lookup *lookup = look(way, cache, key);
        sp_value *value = sp_lookup_value(lookup);
        size_t len = 0;
        char *text = strdup(value ? sp_value_data(value, &len) : "");

        sp_lookup_free(lookup);
        return text;
}

sp_lease *lease_of(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_lookup *lookup = look(way, cache, key);
        sp_lease *lease;

        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_LEASE);
        assert_null(sp_lookup_value(lookup));
        lease = sp_lookup_take_lease(lookup);
        assert_non_null(lease);
        sp_lookup_free(lookup);
        return lease;
}

sp_status fill_text(const struct cache_way *way, sp_lease *lease, const char *text)
{
        return way->fill(lease, NULL, text, strlen(text), SP_CODEC_TEXT, 0, NULL);
}

void put_text(const struct cache_way *way, sp_cache *cache, const char *key, const char *text)
{
        assert_int_equal(fill_text(way, lease_of(way, cache, key), text), SP_OK);
}

static sp_status drop(const struct cache_way *way, sp_cache *cache, sp_targets *targets, sp_error **error)
{
        sp_status status = way->invalidate(cache, NULL, targets, error);

        sp_targets_free(targets);
        return status;
}

sp_status drop_key(const struct cache_way *way, sp_cache *cache, const char *key, sp_error **error)
{
        sp_targets *targets = sp_targets_new();

        assert_int_equal(sp_targets_key(targets, key, strlen(key)), SP_OK);
        return drop(way, cache, targets, error);
}

sp_status drop_tag(const struct cache_way *way, sp_cache *cache, const char *tag)
{
        sp_targets *targets = sp_targets_new();

        assert_int_equal(sp_targets_tag(targets, tag, strlen(tag)), SP_OK);
        return drop(way, cache, targets, NULL);
}

sp_status drop_pattern(const struct cache_way *way, sp_cache *cache, const char *pattern, const char *param,
                       sp_error **error)
{
        sp_targets *targets = sp_targets_new();
        sp_params *params = sp_params_new();

        if (param)
                assert_int_equal(sp_params_add_text(params, param, strlen(param)), SP_OK);
        assert_int_equal(sp_targets_pattern(targets, pattern, params), SP_OK);
        sp_params_free(params);
        return drop(way, cache, targets, error);
}

int run_over_ways(const char *suite, const struct way_test *tests, size_t count, size_t among)
{
        char(*names)[128] = calloc(count * among, sizeof *names);
        struct CMUnitTest *all = calloc(count * among, sizeof *all);
        int failed;

        assert_true(names && all);
        for (size_t i = 0; i < count * among; i++) {
                const struct cache_way *way = &cache_ways[i % among];

                snprintf(names[i], sizeof names[i], "%s, %s", tests[i / among].name, way->name);
                all[i] = (struct CMUnitTest){
                    .name = names[i], .test_func = tests[i / among].run, .initial_state = (void *)(uintptr_t)way};
        }
        failed = _cmocka_run_group_tests(suite, all, count * among, NULL, NULL);
        free(all);
        free(names);
        return failed;
}
