/* SPDX-License-Identifier: MIT */
/**
 * The in-process level: entries in shards, bounded by bytes, their values handed out by reference. An entry is served only
 * while the mirror of the log proves it.
 *
 * A hit takes no lock, allocates nothing and writes to no memory that another thread writes to: it finds the entry
 * (cache/table.h), pins its value (core/value.h), and sees by two numbers that it is proven and fresh. All else (a miss, an
 * entry that has to be proven anew, what is stale) takes the shard's lock.
 *
 * What has to go is decided by cache/shard.h. The bytes are all that an entry takes: its memory as the allocator cuts it, its
 * part of the table, of the queues and of what is remembered of keys that left; and what the mirror knows of single tags.
 *
 * Threads: any. A shard's lock comes before the mirror's.
 */
#ifndef SP_CACHE_STORE_H
#define SP_CACHE_STORE_H

#include "base/stripe.h"
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
        bool ends;         /* by itself, at kept_until */
        unsigned tag_count;
        uint64_t tags[SP__STORE_TAGS]; /* its own, its patterns' and its loader's */
        sp_value *value;
};

enum sp__found { SP__FOUND_NOTHING, SP__FOUND_FRESH, SP__FOUND_STALE };

struct sp__store_stats {
        int64_t entries;
        int64_t bytes;
        int64_t beside; /* of them: not in the entries' own memory */
        int64_t hits;
        int64_t evictions;
};

/** `max` in bytes. NULL when out of memory. */
struct sp__store *sp__store_new(int64_t max, struct sp__mirror *mirror);
void sp__store_free(struct sp__store *store);
/**
 * `*value` is a reference. `declared`: entries made with fewer templates do not stand. `stale` (may be NULL) gets all of a
 * stale one, but the value.
 */
enum sp__found sp__store_get(struct sp__store *store, const void *key, size_t len, uint64_t declared, sp_value **value,
                             struct sp__item *stale);
/**
 * Copies a small value, takes a reference to a large one. What is larger than a shard, older than what it has, or not proven
 * now, is not kept.
 */
void sp__store_put(struct sp__store *store, const void *key, size_t len, const struct sp__item *item);
/**
 * What it has and cannot prove, for when nothing can be proven (sp__mirror_doubts()); false: nothing of the kind. The value is a
 * reference.
 */
bool sp__store_recall(struct sp__store *store, const void *key, size_t len, uint64_t declared, struct sp__item *out);
/**
 * Gives what stands there new times, though not to what ends by itself. `grace`: how long after its "fresh until" it ends,
 * where that is before "kept until". false: there is nothing, or that there is nothing.
 */
bool sp__store_extend(struct sp__store *store, const void *key, size_t len, uint64_t declared, int64_t grace,
                      int64_t fresh_until, int64_t kept_until);
/** All of it becomes `ns` older, but for what is kept for ever. */
void sp__store_age(struct sp__store *store, int64_t ns);
void sp__store_drop(struct sp__store *store, const void *key, size_t len);
/** Hits, which its user counts here; eviction goes by them too. */
struct sp__striped *sp__store_hits(struct sp__store *store);
void sp__store_stats(struct sp__store *store, struct sp__store_stats *out);

#endif
