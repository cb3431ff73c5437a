/* SPDX-License-Identifier: MIT */
/** A part of the in-process level, with a bound of its own: which entries it has, and which of them go when it is full. */
#ifndef SP_CACHE_SHARD_H
#define SP_CACHE_SHARD_H

#include "base/stripe.h"
#include "base/thread.h"
#include "cache/marks.h"
#include "cache/mirror.h"
#include "cache/sketch.h"
#include "cache/table.h"
#include "cache/share.h"

struct sp__shard {
        _Alignas(64) struct sp__table table;
        _Atomic unsigned era;      /* of heat.h */
        _Atomic uint64_t declared; /* how many templates were known to all that is here */

        _Alignas(64) sp__mutex lock; /* guards what follows, and changes of the table */
        uint64_t e;                  /* of the log: all that is here is of it */
        int64_t base;                /* what kept->since counts from */
        int64_t max;
        int64_t window_bytes;
        int64_t main_bytes;
        size_t main_count;
        struct sp__marks newest; /* of the window, oldest first; so is main */
        struct sp__marks main;
        struct sp__sketch sketch;
        struct sp__share window;
        int64_t evictions;

        const struct sp__mirror *mirror; /* whose bytes are a part of the bound of all shards */
        const struct sp__striped *hits;  /* of all shards */
        unsigned shards;
        int64_t adds;         /* since it was last seen whether it is time for something */
        int64_t hits_seen;    /* up to then */
        int64_t window_asked; /* hits and adds since the window was judged */
        int64_t window_hits;
        int64_t era_asked; /* since the era began */
};

static inline unsigned sp__shard_era(const struct sp__shard *shard)
{
        return atomic_load_explicit(&((struct sp__shard *)(uintptr_t)shard)->era, memory_order_relaxed);
}

bool sp__shard_init(struct sp__shard *shard, int64_t max, uint64_t seed, unsigned index, unsigned shards,
                    const struct sp__mirror *mirror, const struct sp__striped *hits);
void sp__shard_destroy(struct sp__shard *shard);

/* With the lock held. */

/** All that counts against the bound. */
int64_t sp__shard_bytes(const struct sp__shard *shard);
/** Of that, what stands beside the entries: with its part of what is known of the log. */
int64_t sp__shard_beside(const struct sp__shard *shard);
/** Its key is not there. Then shrinks to the bound; so it may be gone at once. */
void sp__shard_add(struct sp__shard *shard, uint64_t hash, struct sp__kept *kept);
/** `kept` takes the place of `former`, also in its queue. */
void sp__shard_replace(struct sp__shard *shard, uint64_t hash, struct sp__kept *former, struct sp__kept *kept);
void sp__shard_drop(struct sp__shard *shard, uint64_t hash, struct sp__kept *kept);
void sp__shard_clear(struct sp__shard *shard);

#endif
