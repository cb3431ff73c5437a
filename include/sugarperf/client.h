/* SPDX-License-Identifier: MIT */
/**
 * @file client.h
 * @brief A client wires pools, cache, breakers, profiler and metrics together.
 *
 *     sp_config *config = sp_config_new();
 *     sp_config_env(config, &error);                       DATABASE_URL, REDIS_URL
 *     sp_client_new(config, &client, &error);
 *     sp_config_free(config);
 *     …
 *     sp_client_close(client);                             no new work; waiters wake with SP_CLOSED
 *     sp_client_drain(client, 5000);                       wait for what runs
 *     sp_client_free(client);
 *
 * Servers are connected to when they are needed: a client can be made while they are down. Queues, values, results and
 * errors outlive their client, and so may sessions and what else is held of a pool (sp_pool_free()); leases must be given back
 * before.
 *
 * Threads: safe from any thread; free it once, last. After fork() a child's calls answer SP_FORKED, and sp_client_free()
 * there closes descriptors without disturbing the parent.
 */
#ifndef SUGARPERF_CLIENT_H
#define SUGARPERF_CLIENT_H

#include <sugarperf/base.h>
#include <sugarperf/breaker.h>
#include <sugarperf/cache.h>
#include <sugarperf/config.h>
#include <sugarperf/feed.h>
#include <sugarperf/metrics.h>
#include <sugarperf/policy.h>
#include <sugarperf/pool.h>
#include <sugarperf/profiler.h>
#include <sugarperf/redis.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_client sp_client;

/** Copies the configuration (NULL: the defaults). SP_CONFIG or SP_INVALID (an invalid URL, its password masked), SP_NOMEM. */
SP_API sp_status sp_client_new(const sp_config *config, sp_client **out, sp_error **error);
SP_API void sp_client_close(sp_client *client);
/** SP_TIMEOUT when something still runs after `timeout_ms`. */
SP_API sp_status sp_client_drain(sp_client *client, int64_t timeout_ms);
SP_API void sp_client_free(sp_client *client);

/** All borrowed: they live as long as the client. `name` NULL is the default pool; NULL for a name that was not configured. */
SP_API sp_pool *sp_client_pool(sp_client *client, const char *name);
SP_API sp_cache *sp_client_cache(sp_client *client);
/** NULL where `redis.url` is not set. */
SP_API sp_redis *sp_client_redis(sp_client *client);
SP_API sp_profiler *sp_client_profiler(sp_client *client);
SP_API sp_metrics *sp_client_metrics(sp_client *client);
/**
 * A change feed (feed.h) from where that pool connects (NULL: the default one), with its metrics among the client's. Borrowed: it ends with
 * sp_client_close(), and the rules' cache should be the client's. SP_NOT_FOUND: no such pool.
 */
SP_API sp_status sp_client_feed(sp_client *client, const char *pool, sp_rules *rules, sp_feed **out, sp_error **error);
/**
 * How all of it is, as JSON, after each part was asked, all at once: within a second, and within the context's deadline.
 *
 *     {"status":"healthy","database":"connected","poolMetrics":{…},                        sp_pool_health(), the default pool
 *      "pools":{"orders":{"status":"unhealthy","database":"disconnected","error":…,…}},    those that have names
 *      "redis":{"status":"connected","latencyMs":0.2},         or "disconnected" and "error"; null where none is configured
 *      "breakers":[{"name","state","failureCount","nextResetTime"}],            64 at most, those not closed in front
 *      "feeds":[…]}                                                                        sp_feed_report()
 *
 * "status" is "unhealthy" where a pool has no database: answer 503. It is "degraded" where Redis, a breaker or a feed is not as
 * it should be: work goes on, so answer 200, or whoever balances load would take away all that still serves. SP_CANCELLED.
 */
SP_API sp_status sp_client_health(sp_client *client, sp_ctx *ctx, sp_value **out);
SP_API sp_status sp_client_health_async(sp_client *client, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * The breaker of that name (NULL: "default"), made on first use with `breaker.<name>.…`. NULL when out of memory, and for what is
 * no name: one is 1 to 128 bytes of printable text in UTF-8.
 */
SP_API sp_breaker *sp_client_breaker(sp_client *client, const char *name);
/**
 * The same breaker, held by a reference of the caller's (sp_breaker_unref()). A breaker that was only ever had this way, and
 * that nobody holds any more, is dropped with its metrics once it rested for `breaker.idle`: for names that come and go.
 * Built-in ones have names too: "pool@host:port/primary", "pool-<name>@…", "redis@…" (`pool.breaker`, `redis.breaker`).
 */
SP_API sp_breaker *sp_client_breaker_ref(sp_client *client, const char *name);
/** The policy of that name, made on first use with `policy.<name>.…`. NULL as for a breaker, and where it was closed before. */
SP_API sp_policy *sp_client_policy(sp_client *client, const char *name);
/** The same policy, held by a reference of the caller's (sp_policy_unref()), and dropped as breakers are (`policy.idle`). */
SP_API sp_policy *sp_client_policy_ref(sp_client *client, const char *name);

#ifdef __cplusplus
}
#endif
#endif
