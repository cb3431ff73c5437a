/* SPDX-License-Identifier: MIT */
/** The cache's calls in their blocking and their asynchronous form, with Redis and without: one suite runs over all. */
#ifndef CACHE_WAYS_H
#define CACHE_WAYS_H

#include "ways.h"

#include <sugarperf/cache.h>
#include <sugarperf/invalidate.h>

struct cache_way {
        const char *name;
        bool redis;
        sp_status (*lookup)(sp_cache *, sp_ctx *, const void *, size_t, sp_lookup **, sp_error **);
        sp_status (*fill)(sp_lease *, sp_ctx *, const void *, size_t, uint32_t, int64_t, sp_error **);
        sp_status (*query)(sp_cache *, sp_pool *, sp_ctx *, const void *, size_t, const sp_stmt *, const sp_params *,
                           uint32_t, sp_value **, sp_error **);
        sp_status (*invalidate)(sp_cache *, sp_ctx *, const sp_targets *, sp_error **);
        sp_status (*set)(sp_cache *, sp_ctx *, const void *, size_t, const void *, size_t, uint32_t, int64_t,
                         sp_error **);
        sp_status (*touch)(sp_cache *, sp_ctx *, const void *, size_t, int64_t, sp_error **);
        sp_status (*lookup_many)(sp_cache *, sp_ctx *, const sp_params *, sp_lookups **, sp_error **);
        sp_status (*fill_many)(sp_lookups *, sp_ctx *, sp_error **);
};

enum { CACHE_WAYS = 4 };
extern const struct cache_way cache_ways[CACHE_WAYS];

/** A cache with these settings ("name=value", NULL at the end; may be NULL). */
sp_cache *cache_with(const struct cache_way *way, const char *const settings[]);
/** A key that no other test has. */
const char *fresh_key(const char *prefix, char *buf, size_t cap);

/** Declares a template on a cache; `patterns` as settings, may be NULL. */
void declare(sp_cache *cache, const char *text, const char *options, const char *const patterns[]);
/** A context with one setting. */
sp_ctx *ctx_set(const char *name, const char *value);

/** The state that a look-up of this key finds; a lease is given back. */
int state_of(const struct cache_way *way, sp_cache *cache, const char *key);
/** The text under a key, "" for a lease (given back), owned: free(). */
char *text_of(const struct cache_way *way, sp_cache *cache, const char *key);
/** Looks up, expects a lease. */
sp_lease *lease_of(const struct cache_way *way, sp_cache *cache, const char *key);
sp_status fill_text(const struct cache_way *way, sp_lease *lease, const char *text);
/** Looks up, expects a lease, fills it. */
void put_text(const struct cache_way *way, sp_cache *cache, const char *key, const char *text);
sp_status drop_key(const struct cache_way *way, sp_cache *cache, const char *key, sp_error **error);
sp_status drop_tag(const struct cache_way *way, sp_cache *cache, const char *tag);
sp_status drop_pattern(const struct cache_way *way, sp_cache *cache, const char *pattern, const char *param,
                       sp_error **error);

#endif
