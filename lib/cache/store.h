/* SPDX-License-Identifier: MIT */
/**
 * The in-process level: a hash table in shards, bounded by bytes. Values are handed out by reference. An entry is served
 * only while the mirror of the log proves it.
 *
 * Eviction after S3-FIFO (Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023): new entries pass
 * through a small queue, those that were asked for again go on to the main one, and whoever left the small one lately and
 * comes back goes to the main one at once.
 *
 * Threads: any. One shard's lock is held during a call; it comes before the mirror's.
 */
#ifndef SP_CACHE_STORE_H
#define SP_CACHE_STORE_H

#include "cache/mirror.h"

#include <sugarperf/base.h>

struct sp__store;

enum { SP__STORE_TAGS = 40 };

/** What an entry is served by. Times are monotonic ns. */
struct sp__item {
        uint64_t e;
        int64_t v0;
        int64_t fresh_until;
        int64_t kept_until;
        uint64_t declared; /* how many templates were known when the tags were made */
        unsigned tag_count;
        uint64_t tags[SP__STORE_TAGS]; /* its own, its patterns' and its loader's */
        sp_value *value;
};

enum sp__found { SP__FOUND_NOTHING, SP__FOUND_FRESH, SP__FOUND_STALE };

struct sp__store_stats {
        int64_t entries;
        int64_t bytes;
        int64_t evictions;
};

/** `max` in bytes. NULL when out of memory. */
struct sp__store *sp__store_new(int64_t max, struct sp__mirror *mirror);
void sp__store_free(struct sp__store *store);
/**
 * `*value` is a reference. `declared`: entries made with another count of templates do not stand. `stale` (may be NULL)
 * gets all of a stale one, but the value.
 */
enum sp__found sp__store_get(struct sp__store *store, const void *key, size_t len, uint64_t declared, sp_value **value,
                             struct sp__item *stale);
/** Takes a reference to the value. What is larger than the whole store, or older than what it has, is not kept. */
void sp__store_put(struct sp__store *store, const void *key, size_t len, const struct sp__item *item);
/** Gives an entry new times. false: there is none. */
bool sp__store_extend(struct sp__store *store, const void *key, size_t len, int64_t fresh_until, int64_t kept_until);
void sp__store_drop(struct sp__store *store, const void *key, size_t len);
void sp__store_stats(struct sp__store *store, struct sp__store_stats *out);

#endif
