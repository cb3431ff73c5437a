/* SPDX-License-Identifier: MIT */
/** The client's parts, for the files of this room. */
#ifndef SP_CLIENT_CLIENT_H
#define SP_CLIENT_CLIENT_H

#include "base/buf.h"
#include "base/thread.h"
#include "client/roster.h"
#include "loop/engine.h"
#include "observe/exposition.h"
#include "profile/inspector.h"

#include <sugarperf/client.h>

struct sp__named_pool {
        char *name; /* NULL: the default one */
        sp_pool *pool;
};

struct sp_client {
        struct sp__engine *engine;
        sp_config *config;
        sp_metrics *metrics;
        sp_profiler *profiler;
        sp_cache *cache;
        sp_redis *redis; /* over the cache's link; NULL: none */
        struct sp__named_pool *pools;
        size_t pool_count;
        struct sp__inspector *inspector;
        struct sp__named_pool *sides; /* the profiler's; `lock` */
        size_t side_count;
        sp__mutex lock; /* guards what follows; taken before a breaker's or a policy's */
        bool closed;
        struct sp__list feeds;
        struct sp__roster breakers;
        struct sp__roster policies; /* as they are once it is closed */
};

/** pools.c: the default pool where it is configured, and those that have a name. */
sp_status sp__client_pools(sp_client *client, sp_error **error);

/** feeds.c: before the cache and the pools end. */
void sp__client_end_feeds(sp_client *client);
/** Their reports, as a JSON array; false: one of them is not well. */
bool sp__client_write_feeds(sp_client *client, struct sp__buf *out);

/** sides.c: the connections that the profiler asks on. */
sp_pool *sp__client_side(void *client, const char *pool, sp_error **error);
/** No new work. */
void sp__client_close_sides(sp_client *client);
/** Before the engine ends. */
void sp__client_shut_sides(sp_client *client);
void sp__client_drop_sides(sp_client *client);

/** breakers.c */
void sp__client_collect_breakers(void *client, struct sp__expo *expo);
/** Under its own name, for good. NULL: nothing to keep. */
sp_status sp__client_keep_breaker(sp_client *client, sp_breaker *breaker);
void sp__client_drop_breakers(sp_client *client);
/** What they report, as a JSON array: those that do not let calls through, then others, SP__BREAKERS_TOLD at most. false: there are of
 * the former. */
enum { SP__BREAKERS_TOLD = 64 };
bool sp__client_write_breakers(sp_client *client, struct sp__buf *out);

/** policies.c */

/** SP_CONFIG: a policy names a breaker that cannot be. */
sp_status sp__client_check_policies(const sp_client *client, sp_error **error);
void sp__client_collect_policies(void *client, struct sp__expo *expo);
/** Before the engine ends: what waits ends with SP_CLOSED, and no policy is made any more. */
void sp__client_shut_policies(sp_client *client);
void sp__client_drop_policies(sp_client *client);

#endif
