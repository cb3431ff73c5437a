/* SPDX-License-Identifier: MIT */
/** The cache itself, for the files of this room and for invalidate/. */
#ifndef SP_CACHE_CACHE_H
#define SP_CACHE_CACHE_H

#include "base/random.h"
#include "cache/entry.h"
#include "cache/events.h"
#include "cache/log.h"
#include "cache/slots.h"
#include "cache/store.h"
#include "cache/usage.h"
#include "cache/watcher.h"
#include "core/ctx.h"
#include "key/registry.h"
#include "observe/exposition.h"

#include <sugarperf/cache.h>

enum { SP__FLIGHT_BUCKETS = 1024, SP__NAME_EXTRA = SP__NAMESPACE_MAX + 16 };

/** What is done without Redis. */
enum sp__outage { SP__OUTAGE_LOAD, SP__OUTAGE_FAIL, SP__OUTAGE_STALE };

struct sp_cache {
        atomic_uint refs; /* the owner's, and each flight's: a lease may be given back after the cache is gone */
        atomic_bool gone;
        struct sp__engine *engine;
        bool own_engine;
        int64_t ttl_ms;
        int64_t negative_ms;
        int64_t stale_ms;
        int64_t retry_ms; /* how long a load that failed is not tried again, where something stale stands in */
        int64_t lease_ms;
        int64_t value_max;
        int64_t pack_from;
        int64_t jitter; /* percent */
        enum sp__outage outage;
        enum sp__cache_use use;             /* the most that callers may */
        char prefix[SP__NAMESPACE_MAX + 2]; /* "namespace:" */
        size_t prefix_len;

        struct sp__cache_watcher watcher;

        struct sp__keys *keys;
        _Atomic int
            unsure;        /* above 0: entries were from before what the mirror knows, so tags are asked with the key */
        atomic_bool early; /* some template wants attention before its end */
        atomic_bool raws;  /* some template's keys are raw */
        _Atomic uint64_t declared; /* counts templates: what was made of fewer has not all its tags */
        struct sp__log log;
        struct sp__store *store; /* NULL: none */
        struct sp__events events;
        struct sp__striped *near_hits; /* the store's */

        atomic_bool closed;
        sp__mutex lock; /* before ports' locks, the log's and the mirror's; guards what follows, and flights */
        sp__cond idle;
        size_t
            working; /* calls and steps under way; a lease in its holder's hands is none, nor an untaken completion */
        bool unsubscribed, unheard; /* at the end */
        bool over;                  /* it is being freed: no work is begun any more */
        uint64_t seed;              /* of the flights' table */
        struct sp__slots slots;     /* of loads */
        struct sp__list flights[SP__FLIGHT_BUCKETS];
        struct sp__random random;

        _Atomic int64_t hits; /* in Redis, or handed on by who loaded */
        _Atomic int64_t stales;
        _Atomic int64_t misses;
        _Atomic int64_t errors;
        struct sp__usages usages;
        struct sp__histogram *loads;
        struct sp__histogram *waits; /* for the loads of others */
        struct sp__histogram *seeks; /* what a look-up took that the in-process level did not answer */
};

/** As sp_cache_new(), on an engine that outlives it (NULL: one of its own). */
sp_status sp__cache_new(const sp_config *config, struct sp__engine *engine, sp_cache **out, sp_error **error);
/** Writes the cache's metrics. Any thread. */
void sp__cache_collect(void *cache, struct sp__expo *expo);
/** Its link to Redis; NULL: none. Borrowed. */
struct sp__link *sp__cache_link(sp_cache *cache);
/** The breaker of its Redis; NULL unless `redis.breaker`. Borrowed. */
sp_breaker *sp__cache_breaker(sp_cache *cache);

/** Before anything else of a public call: SP_FORKED, SP_CLOSED, SP_INVALID or SP_LIMIT for the key, SP_CANCELLED. */
sp_status sp__cache_admit(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_error **error);
/** Whether a value of that size may be stored under keys of the template (NULL: none); the same and all else, as an error. */
bool sp__cache_fits(const sp_cache *cache, const sp_template *tmpl, size_t len);
sp_status sp__cache_admit_value(const sp_cache *cache, const sp_template *tmpl, const void *data, size_t len,
                                uint32_t codec, sp_error **error);
/** Work begins and ends: sp_cache_free() waits for it. Any lock but the cache's may be held. Afterwards it may be gone. */
void sp__cache_work(sp_cache *cache);
void sp__cache_rest(sp_cache *cache);
/** The same for work that may come late, of whoever holds a reference: false where the cache is being freed. */
bool sp__cache_enter(sp_cache *cache);
/** Of its memory alone. */
void sp__cache_unref(sp_cache *cache);

struct sp__times;

/** Every ten seconds hits and misses are noted down; from where a look-up is slow anyway. */
void sp__cache_see(sp_cache *cache);
/**
 * What this caller may do with the cache: the least of what configuration, context and an open transaction allow. `apart`: it
 * reads in none of the context's transactions.
 */
enum sp__cache_use sp__cache_use(const sp_cache *cache, const sp_ctx *ctx, bool apart);
/** The times of a template; NULL: the defaults. */
void sp__cache_times(const sp_cache *cache, const sp_template *tmpl, struct sp__times *times);
/** An entry that is there, or may be: how long the last one from before an invalidation may be left. */
void sp__cache_keeps(sp_cache *cache, const struct sp__entry *entry);
/** In [0, 1). */
double sp__cache_unit(sp_cache *cache);
/**
 * The in-process level; a fresh one is counted as a hit. `stale` gets all of one that wants attention but the value, which
 * is `*value`: it is past its time, or is to be loaded anew before that.
 */
enum sp__found sp__cache_find(sp_cache *cache, const void *key, size_t len, sp_value **value, struct sp__item *stale);
/** The entry in Redis gets until `until` (wall clock, ms), and is kept as long as it then is. Nobody waits. */
void sp__cache_extend(sp_cache *cache, const void *key, size_t len, int64_t until);

/** Tags as numbers: of a key itself, of a pattern's text, of a name that a loader chose. */
uint64_t sp__tag_of_key(const void *data, size_t len);
uint64_t sp__tag_of_pattern(const void *data, size_t len);
uint64_t sp__tag_of_name(const void *data, size_t len);
/** A key's own tag and those of the declared patterns that it matches; `tags` has room for SP__TAGS_MAX + 1. */
size_t sp__cache_tags(sp_cache *cache, const void *key, size_t len, uint64_t *tags, const sp_template **tmpl);

/** Whether other programs read and write it as it is: it stands in Redis under no other name, and has nothing beside it. */
bool sp__cache_is_raw(const sp_cache *cache, const void *key, size_t len);
/** What the key, and the lease for it, are called in Redis: the same slot of a cluster. `out` has room for SP__NAME_MAX. */
size_t sp__cache_entry_name(const sp_cache *cache, const void *key, size_t len, char *out);
size_t sp__cache_lease_name(const sp_cache *cache, const void *key, size_t len, char *out);

static inline void sp__count(_Atomic int64_t *counter)
{
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
