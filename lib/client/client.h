/* SPDX-License-Identifier: MIT */
/** The client's parts, for the files of this room. */
#ifndef SP_CLIENT_CLIENT_H
#define SP_CLIENT_CLIENT_H

#include "base/thread.h"
#include "loop/engine.h"

#include <sugarperf/client.h>

struct sp__named_pool {
        char *name; /* NULL: the default one */
        sp_pool *pool;
};

struct sp__named_breaker {
        struct sp__named_breaker *next;
        sp_breaker *breaker;
};

struct sp_client {
        struct sp__engine *engine;
        sp_config *config;
        sp_metrics *metrics;
        sp_profiler *profiler;
        sp_cache *cache;
        struct sp__named_pool *pools;
        size_t pool_count;
        sp__mutex lock; /* guards the list of breakers, which only grows */
        struct sp__named_breaker *breakers;
};

/** pools.c: the default pool where it is configured, and those that have a name. */
sp_status sp__client_pools(sp_client *client, sp_error **error);

#endif
