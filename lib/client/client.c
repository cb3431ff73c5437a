/* SPDX-License-Identifier: MIT */
/* Wires the parts, and takes them down in order. */
#include "client/client.h"

#include "cache/cache.h"
#include "core/config.h"
#include "core/error.h"
#include "observe/registry.h"
#include "pg/pool_internal.h"
#include "profile/profiler.h"
#include "redis/redis.h"

#include <stdlib.h>

static void collect_profiler(void *profiler, struct sp__expo *expo)
{
        sp__profiler_collect(profiler, expo);
}

static void cached(void *profiler, const sp_pool *pool, const sp_stmt *stmt, enum sp__cache_outcome outcome)
{
        sp__profiler_cached(profiler, pool->name, stmt, outcome);
}

static sp_status cache_new(sp_client *client, sp_error **error)
{
        const struct sp__cache_watcher watcher = {.asked = cached, .arg = client->profiler};
        sp_status status = sp__cache_new(client->config, client->engine, &client->cache, error);

        if (status == SP_OK && sp__config_int(client->config, "profiler", NULL, "enabled"))
                sp__cache_watch(client->cache, &watcher);
        return status;
}

static sp_status keep_breaker(void *client, sp_breaker *breaker)
{
        return sp__client_keep_breaker(client, breaker);
}

/* The breakers of the parts, and what shows of all. */
static sp_status guards_new(sp_client *client, sp_error **error)
{
        struct sp__link *link = sp__cache_link(client->cache);
        sp_status status = link ? sp__link_watch_breakers(link, keep_breaker, client) : SP_OK;

        for (size_t i = 0; i < client->pool_count && status == SP_OK; i++)
                status = sp__pool_each_breaker(client->pools[i].pool, keep_breaker, client);
        if (status == SP_OK && sp__metrics_add(client->metrics, sp__client_collect_breakers, client) &&
            sp__metrics_add(client->metrics, sp__client_collect_policies, client))
                return SP_OK;
        return sp__fail(error, SP_NOMEM, "out of memory");
}

static sp_status inspector_new(sp_client *client, sp_error **error)
{
        const struct sp__sides sides = {.side = sp__client_side, .arg = client};

        client->inspector = sp__inspector_new(&sides);
        if (!client->inspector)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__profiler_attach(client->profiler, client->inspector);
        return SP_OK;
}

static sp_status parts_new(sp_client *client, const sp_config *config, sp_error **error)
{
        sp_status status = sp__engine_new(&client->engine, error);

        if (status != SP_OK)
                return status;
        client->config = sp__config_copy(config);
        client->metrics = sp__metrics_new(client->config);
        if (!client->config || !client->metrics)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__client_check_policies(client, error);
        if (status == SP_OK)
                status = sp_profiler_new(client->config, NULL, &client->profiler, error);
        if (status == SP_OK)
                status = inspector_new(client, error);
        if (status == SP_OK && !sp__metrics_add(client->metrics, collect_profiler, client->profiler))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                status = sp__client_pools(client, error);
        if (status == SP_OK)
                status = cache_new(client, error);
        if (status == SP_OK && sp__cache_link(client->cache) &&
            !(client->redis = sp__redis_over(client->engine, sp__cache_link(client->cache))))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK && !sp__metrics_add(client->metrics, sp__cache_collect, client->cache))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                status = guards_new(client, error);
        return status;
}

sp_status sp_client_new(const sp_config *config, sp_client **out, sp_error **error)
{
        sp_client *client;
        sp_status status;

        SP__NEED(out, error);
        client = calloc(1, sizeof *client);
        if (!client)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__mutex_init(&client->lock);
        sp__list_init(&client->feeds);
        sp__roster_init(&client->breakers);
        sp__roster_init(&client->policies);
        status = parts_new(client, config, error);
        if (status != SP_OK) {
                sp_client_free(client);
                return status;
        }
        *out = client;
        return SP_OK;
}

void sp_client_close(sp_client *client)
{
        if (!client || !client->engine || sp__engine_forked(client->engine))
                return;
        sp__client_end_feeds(client);
        sp__client_shut_policies(client);
        sp_redis_close(client->redis);
        sp_cache_close(client->cache);
        sp__client_close_sides(client);
        for (size_t i = 0; i < client->pool_count; i++)
                sp_pool_close(client->pools[i].pool);
}

sp_status sp_client_drain(sp_client *client, int64_t timeout_ms)
{
        int64_t deadline = sp__after_ms(sp__now(), timeout_ms);
        sp_status status = SP_OK;

        SP__NEED(client, NULL);
        if (sp__engine_forked(client->engine))
                return SP_FORKED;
        for (size_t i = 0; i < client->pool_count && status == SP_OK; i++) {
                int64_t left = deadline == SP__FOREVER ? -1 : (deadline - sp__now()) / SP__MS;

                status = sp_pool_drain(client->pools[i].pool, deadline == SP__FOREVER || left > 0 ? left : 0);
        }
        return status;
}

/* In a child: what the parent's threads left half done is left alone. */
static void drop(sp_client *client)
{
        sp_cache_free(client->cache);
        for (size_t i = 0; i < client->pool_count; i++)
                sp__pool_drop(client->pools[i].pool);
        for (size_t i = 0; i < client->side_count; i++)
                sp__pool_drop(client->sides[i].pool);
        sp__engine_free(client->engine);
}

static void destroy(sp_client *client)
{
        sp_metrics_free(client->metrics);
        for (size_t i = 0; i < client->pool_count; i++) {
                sp__pool_destroy(client->pools[i].pool);
                free(client->pools[i].name);
        }
        free(client->pools);
        sp__client_drop_sides(client);
        sp__client_drop_policies(client);
        sp__client_drop_breakers(client);
        sp_profiler_free(client->profiler);
        sp__redis_drop(client->redis);
        sp_config_free(client->config);
        sp__mutex_destroy(&client->lock);
        free(client);
}

void sp_client_free(sp_client *client)
{
        if (!client)
                return;
        if (client->engine && sp__engine_forked(client->engine)) {
                drop(client);
                return;
        }
        /* A pool's callers may be the cache's steps, and both need the engine to their end. */
        sp_client_close(client);
        if (client->metrics)
                sp__metrics_remove(client->metrics, client->cache);
        sp_cache_free(client->cache);
        sp__client_shut_sides(client);
        for (size_t i = 0; i < client->pool_count; i++)
                sp__pool_shut(client->pools[i].pool);
        sp__engine_free(client->engine);
        destroy(client);
}

sp_cache *sp_client_cache(sp_client *client)
{
        return client ? client->cache : NULL;
}

sp_redis *sp_client_redis(sp_client *client)
{
        return client ? client->redis : NULL;
}

sp_profiler *sp_client_profiler(sp_client *client)
{
        return client ? client->profiler : NULL;
}

sp_metrics *sp_client_metrics(sp_client *client)
{
        return client ? client->metrics : NULL;
}
