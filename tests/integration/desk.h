/* SPDX-License-Identifier: MIT */
/** A service with a cache, rules and a pool, by any way of its calls (cache_ways.h). */
#ifndef DESK_H
#define DESK_H

#include "cache_ways.h"

enum { TEXT_MAX = 512 };

/** Its keys begin with a name that no other test has. */
struct desk {
        const struct cache_way *way;
        char name[40];
        sp_cache *cache;
        sp_rules *rules;
        sp_pool *pool;
};

/** Rules: "items(id) when title -> NAME:item:{id}:full, tag NAME" and "lists -> NAME:item:*". */
void desk_begin(struct desk *desk, void **state);
void desk_end(struct desk *desk);
/** Of the same namespace, as another process's. */
sp_cache *desk_another_cache(struct desk *desk);
/** NAME:item:PART:full, which is returned. */
const char *desk_key(const struct desk *desk, const char *part, char *out);
void desk_put(struct desk *desk, const char *part);
bool desk_has(struct desk *desk, const char *part);
/** `id` NULL: without one. */
sp_row *desk_row(const char *table, int change, const char *id);
/** By the blocking call or the queue, as the way says. Frees the row. */
sp_status desk_tell(struct desk *desk, sp_row *row, sp_error **error);

#define DESK_WAY(test, i)                                                                                              \
        {                                                                                                              \
#test " (" #i ")", test, NULL, NULL, (void *)(uintptr_t)&cache_ways[i]                                 \
        }
#define ALL_WAYS(test) DESK_WAY(test, 0), DESK_WAY(test, 1), DESK_WAY(test, 2), DESK_WAY(test, 3)

#endif
