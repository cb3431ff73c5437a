/* SPDX-License-Identifier: MIT */
/**
 * @file cache.h
 * @brief Cache-aside in two levels, in process and Redis, built on leases.
 *
 * A lookup answers HIT (here is the value), STALE (an expired value that may be used, while someone refreshes it) or LEASE
 * (you load it: fill the lease or release it; everybody else who wants the key waits for you, in every process).
 *
 *     sp_cache_lookup(cache, ctx, key, len, &lookup, &error);
 *     if (sp_lookup_state(lookup) == SP_LOOKUP_LEASE) {
 *             lease = sp_lookup_take_lease(lookup);
 *             … read the database …
 *             sp_lease_fill(lease, ctx, data, size, SP_CODEC_JSON, 0, &error);
 *     }
 *     sp_lookup_free(lookup);
 *
 * sp_cache_query() does all of that for a statement, wholly inside the library. With no Redis configured the cache lives in
 * this process alone. After sp_cache_invalidate() (invalidate.h) returns SP_OK, no read in this process returns the old
 * value; other processes follow within `cache.bound`.
 *
 * Threads: sp_cache is safe from any thread. An sp_lookup and an sp_lease belong to one thread at a time.
 */
#ifndef SUGARPERF_CACHE_H
#define SUGARPERF_CACHE_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/key.h>
#include <sugarperf/params.h>
#include <sugarperf/pool.h>
#include <sugarperf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_cache sp_cache;
typedef struct sp_lookup sp_lookup;
typedef struct sp_lease sp_lease;
typedef struct sp_lookups sp_lookups;

#define SP_TAG_MAX  256   /**< bytes of a tag */
#define SP_TAGS_MAX 16    /**< tags that a loader may give to one entry */
#define SP_KEYS_MAX 10000 /**< keys of one call */

enum { SP_LOOKUP_HIT = 1, SP_LOOKUP_STALE = 2, SP_LOOKUP_LEASE = 3, SP_LOOKUP_BUSY = 4 };

/** A cache without a client; `redis.url` unset: in process alone. */
SP_API sp_status sp_cache_new(const sp_config *config, sp_cache **out, sp_error **error);
/** No new work; callers that wait for somebody's load wake with SP_CLOSED. */
SP_API void sp_cache_close(sp_cache *cache);
SP_API void sp_cache_free(sp_cache *cache);
/** Makes a template (its TTLs and patterns) known. Keys of no declared template have the default TTL and no patterns. */
SP_API sp_status sp_cache_declare(sp_cache *cache, sp_template *tmpl, sp_error **error);

/**
 * What was declared, as JSON: [{"template":"rec:…","ttl_ms":…,"size":…,"max":…,"raw":false,"negative_ms":…,"stale_ms":…,
 * "patterns":["rec:*"]}, …], in the order of the texts. `size` is the estimate, 0 where none was given, as is `max`.
 */
SP_API sp_status sp_cache_templates(const sp_cache *cache, sp_value **out);

/** The in-process level alone: 1 and a reference (sp_value_unref()) on a hit that is proven fresh, else 0. Never blocks. */
SP_API int sp_cache_peek(sp_cache *cache, const void *data, size_t len, sp_value **out);

/**
 * Looks the key up in both levels. Waits while another caller holds the lease, at most until its deadline, when the oldest
 * waiter gets it. With Redis down: see `cache.outage` in the configuration.
 */
SP_API sp_status sp_cache_lookup(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_lookup **out,
                                 sp_error **error);
SP_API sp_status sp_cache_lookup_async(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_queue *queue,
                                       uint64_t tag);
SP_API int sp_lookup_state(const sp_lookup *lookup);
/** HIT and STALE: borrowed, lives as long as the lookup (sp_value_ref() to keep it). LEASE: NULL. */
SP_API sp_value *sp_lookup_value(const sp_lookup *lookup);
/**
 * LEASE, and STALE or HIT when its refresh falls to you (a HIT's before its end, see `refresh` in key.h): the lease, owned by the
 * caller. Else NULL.
 */
SP_API sp_lease *sp_lookup_take_lease(sp_lookup *lookup);
/** Gives a lease back that was not taken. */
SP_API void sp_lookup_free(sp_lookup *lookup);

/** Adds a tag to the entry to come; sp_targets_tag() then invalidates it. SP_LIMIT past SP_TAGS_MAX tags or SP_TAG_MAX bytes each; SP_UNSUPPORTED for raw keys (key.h). */
SP_API sp_status sp_lease_tag(sp_lease *lease, const void *data, size_t len);
/**
 * How long the entry to come is fresh, where the call that fills it does not say; 0: not at all, only who waits gets it. Here as
 * in all other calls more than ten years count as ten years.
 */
SP_API sp_status sp_lease_ttl(sp_lease *lease, int64_t ttl_ms);
/**
 * When the value itself expires (a token): milliseconds since 1970. It is kept no longer, not shortened at random, and never
 * served past it.
 */
SP_API sp_status sp_lease_expires(sp_lease *lease, int64_t unix_ms);
/** Milliseconds until another one may load; -1: never, the lease is of this caller's alone. A loader has no use of more. */
SP_API int64_t sp_lease_remaining(const sp_lease *lease);
/**
 * Stores the value in both levels and ends the lease, whatever the answer. `ttl_ms` 0: sp_lease_ttl()'s, else the template's. SP_LEASE_LOST: the
 * key was invalidated since, or the lease expired; the value is right for the caller but was not stored. SP_LIMIT: it is larger than
 * the template's `max`, else `cache.value_max`. The asynchronous
 * form ends the lease too, also where the submission is refused.
 */
SP_API sp_status sp_lease_fill(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec,
                               int64_t ttl_ms, sp_error **error);
SP_API sp_status sp_lease_fill_async(sp_lease *lease, sp_ctx *ctx, const void *data, size_t len, uint32_t codec,
                                     int64_t ttl_ms, sp_queue *queue, uint64_t tag);
/** Gives the lease back unfilled, without waiting: the oldest waiter becomes the loader. */
SP_API void sp_lease_release(sp_lease *lease);

/** Loads a value in get_or_load(): fill `*out` and return SP_OK, or SP_NOT_FOUND for "there is nothing". */
typedef sp_status (*sp_loader)(void *arg, sp_lease *lease, sp_value **out, sp_error **error);
/**
 * Lookup, and on a lease your loader on your own thread, then fill. A loader must not look up its own key: it would wait for
 * itself, until `cache.lease` is over. Of another key it takes a second of `cache.loads`: where none is left it waits as long.
 * SP_NOT_FOUND for an absent value (negative entry). SP_INVALID: its value can never be stored under that key, as one of another
 * codec than a raw template's.
 * The value is the caller's: sp_value_unref().
 */
SP_API sp_status sp_cache_get_or_load(sp_cache *cache, sp_ctx *ctx, const void *data, size_t len, sp_loader loader,
                                      void *arg, sp_value **out, sp_error **error);

/**
 * Many keys at once: one trip for those that the in-process level has not, one load for those that nobody has.
 *
 *     sp_cache_lookup_many(cache, ctx, keys, &lookups, &error);
 *     for (i = sp_lookups_next(lookups, 0); i < sp_lookups_count(lookups); i = sp_lookups_next(lookups, i + 1))
 *             … collect sp_lookups_key(lookups, i, &len) …
 *     … one statement for all of them; for each row sp_lookups_put(lookups, i, data, len, SP_CODEC_JSON, 0, NULL) …
 *     sp_lookups_fill(lookups, ctx, &error);
 *
 * `keys` are texts, one a key. Nobody waits for another's load while he holds leases of his own, or two callers could wait
 * for each other: such a key is BUSY. Look it up by itself once yours are filled, as sp_cache_get_many() does.
 */
SP_API sp_status sp_cache_lookup_many(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_lookups **out,
                                      sp_error **error);
SP_API sp_status sp_cache_lookup_many_async(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_queue *queue,
                                            uint64_t tag);
SP_API size_t sp_lookups_count(const sp_lookups *lookups);
/** Of the key `index`, in the order of the call. 0 past the end. */
SP_API int sp_lookups_state(const sp_lookups *lookups, size_t index);
/** Borrowed; NULL for LEASE and BUSY, and past the end. */
SP_API sp_value *sp_lookups_value(const sp_lookups *lookups, size_t index);
SP_API const void *sp_lookups_key(const sp_lookups *lookups, size_t index, size_t *len);
/** The first key from `from` on that is yours to load (LEASE, or a value to be refreshed); the count when there is none. */
SP_API size_t sp_lookups_next(const sp_lookups *lookups, size_t from);
/** As sp_lease_tag(), for a key that is yours to load. SP_INVALID for another one. */
SP_API sp_status sp_lookups_tag(sp_lookups *lookups, size_t index, const void *data, size_t len);
/**
 * What such a key's value is; sp_lookups_fill() stores it. One that is larger than the template's `max`, else `cache.value_max`, is
 * right for you and for who waits for it, and is not stored.
 */
SP_API sp_status sp_lookups_put(sp_lookups *lookups, size_t index, const void *data, size_t len, uint32_t codec,
                                int64_t ttl_ms, sp_error **error);
/**
 * Stores what was put, in one trip, and that there is nothing under the other keys that were yours to load. All of them are HIT
 * then. A value whose key was invalidated meanwhile is not stored, but right for you. Ends their leases, whatever the answer: one
 * that timed out goes on to its end, and there is nothing left for another one, or for sp_lookups_give_up().
 */
SP_API sp_status sp_lookups_fill(sp_lookups *lookups, sp_ctx *ctx, sp_error **error);
SP_API sp_status sp_lookups_fill_async(sp_lookups *lookups, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * The load failed: gives back the leases that were not filled, without waiting. 1: all keys but those that are BUSY have a value all
 * the same, which was only to be refreshed and stands in; 0: the caller has to do without.
 */
SP_API int sp_lookups_give_up(sp_lookups *lookups);
/** Gives back the leases that were not filled. A sp_lookups_fill_async() under way, or cancelled, goes on to its end. */
SP_API void sp_lookups_free(sp_lookups *lookups);

/** Loads what sp_lookups_next() names: sp_lookups_put() each that there is. */
typedef sp_status (*sp_many_loader)(void *arg, sp_lookups *lookups, sp_error **error);
/**
 * All of that, with your loader on your own thread: called once for all keys that nobody has, and once more for each that
 * another one was to load and did not. On SP_OK all keys have values (SP_CODEC_ABSENT: nothing).
 */
SP_API sp_status sp_cache_get_many(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_many_loader loader,
                                   void *arg, sp_lookups **out, sp_error **error);

/** How sp_cache_query() makes a value of a result. */
enum {
        SP_QUERY_RESULT = 0, /**< the packed result, SP_CODEC_RESULT */
        SP_QUERY_CELL = 1 /**< the first cell, SP_CODEC_JSON for json types, else SP_CODEC_TEXT; no row: SP_NOT_FOUND */
};

/**
 * Query through the cache: looks the key up, runs the statement on a lease, fills. The value is the caller's. SP_INVALID for a
 * statement that writes or locks, by its text or SP_STMT_WRITE: on a hit it would not run.
 */
SP_API sp_status sp_cache_query(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len,
                                const sp_stmt *stmt, const sp_params *params, uint32_t mode, sp_value **out,
                                sp_error **error);
SP_API sp_status sp_cache_query_async(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const void *data, size_t len,
                                      const sp_stmt *stmt, const sp_params *params, uint32_t mode, sp_queue *queue,
                                      uint64_t tag);

/**
 * Stores a value that nobody loads: what is under the key now, in every process, is invalidated, and what is being loaded for it
 * is not stored. For values whose home is the cache, or that were just written to it; of two that are set at once one
 * remains. It stands under the key's own tags alone. `ttl_ms` 0: the template's, for SP_CODEC_ABSENT its `negative`. In Redis, or not at
 * all: SP_UNAVAILABLE. Where it failed, or the context's time was over first, nothing that is under the key now is served any more.
 */
SP_API sp_status sp_cache_set(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data,
                              size_t len, uint32_t codec, int64_t ttl_ms, sp_error **error);
SP_API sp_status sp_cache_set_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data,
                                    size_t len, uint32_t codec, int64_t ttl_ms, sp_queue *queue, uint64_t tag);
/**
 * What is under the key, if only stale, is fresh for `ttl_ms` from now (0: the template's), but never longer than until an end of
 * its own, see sp_lease_expires(). SP_NOT_FOUND: there is nothing, or no more, or that there is nothing was stored. Less time
 * than it had does not reach copies that other processes keep: sp_cache_set() or sp_cache_delete() does.
 */
SP_API sp_status sp_cache_touch(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, int64_t ttl_ms,
                                sp_error **error);
SP_API sp_status sp_cache_touch_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, int64_t ttl_ms,
                                      sp_queue *queue, uint64_t tag);

/** Lookups that hit (in process or Redis), were stale, missed, failed; the rate is 0–1 and 0 when there was nothing. */
SP_API int64_t sp_cache_hits(const sp_cache *cache);
SP_API int64_t sp_cache_misses(const sp_cache *cache);
SP_API double sp_cache_hit_rate(const sp_cache *cache);
/** The same of the last `window_ms`, up to 15 minutes; as finely as the cache looks at itself, each 10 s while there are misses. */
SP_API double sp_cache_hit_rate_since(sp_cache *cache, int64_t window_ms);
/** The document's JSON: {"cache_hits_total":…,"cache_misses_total":…,"cache_hit_rate":…}; the rate in percent. */
SP_API sp_status sp_cache_report(const sp_cache *cache, sp_value **out);

/**
 * For a service's own tests: all that is kept in process becomes `ms` older at once, as if the time had passed. What is in Redis,
 * leases and deadlines go by the time that it is. SP_INVALID: `ms` is negative.
 */
SP_API sp_status sp_cache_age(sp_cache *cache, int64_t ms);

/**
 * What stands under one of the cache's keys in Redis, as JSON: {"format":2,"codec":3,"epoch":"…","v0":…,"made":…,
 * "fresh_until":…,"kept_until":…,"tags":["…"],"packing":"lz4","bytes":…,"value_bytes":…}; times in ms since 1970, `bytes` as
 * it is stored. SP_NOT_FOUND: it is no entry; SP_UNSUPPORTED: a later library wrote it; SP_PROTOCOL: what is packed is damaged.
 */
SP_API sp_status sp_cache_inspect(const void *data, size_t len, sp_value **out);

#ifdef __cplusplus
}
#endif
#endif
