/* SPDX-License-Identifier: MIT */
/**
 * How long a key's value is served, and when it is looked at again before that.
 *
 * In the in-process level an entry's `fresh_until` is when it wants attention, which for most is its end. With `refresh` it is
 * earlier, by a random part of what its load took, after XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic
 * Cache Stampede Prevention, VLDB 2015); but drawn once for each copy that a process has, not at each read, and with one load
 * more, so that who is drawn is done before the end. With `sliding` it is a quarter of that time, when the next use renews it.
 *
 * Pure.
 */
#ifndef SP_CACHE_TIMES_H
#define SP_CACHE_TIMES_H

#include "cache/entry.h"
#include "cache/store.h"
#include "key/template.h"

/** Of a key, from its template or the cache's defaults; ms. */
struct sp__times {
        int64_t ttl;
        int64_t negative;
        int64_t stale;   /* how long it may be served past its end */
        int64_t soft;    /* how long a caller waits for a load before it takes what is stale */
        int64_t hard;    /* how long it waits at all, 0: as its context says */
        int64_t refresh; /* in times of its load, 0: never early */
        int64_t sliding; /* 0: it ends at its time, however much it is used */
};

/** What to do with an entry that wants attention. */
enum sp__attention {
        SP__ATTENTION_REFRESH, /* it is fresh, and to be loaded anew */
        SP__ATTENTION_RENEW,   /* it is fresh, and gets more time */
        SP__ATTENTION_STALE,   /* it is past its time, and may be served */
        SP__ATTENTION_PAST     /* it may not */
};

/** Whether keys of these times ever want attention before their end. */
static inline bool sp__times_early(const struct sp__times *times)
{
        return times->refresh > 0 || times->sliding > 0;
}

/**
 * The times of an entry that is made now and lives for `ttl` ms, both in Redis and in process. `load_ms` is what its load
 * took, `unit` random in [0, 1).
 */
void sp__times_make(const struct sp__times *times, int64_t ttl, bool stale, int64_t load_ms, double unit,
                    struct sp__entry *entry, struct sp__item *item);
/** The times in process of an entry that Redis has. */
void sp__times_find(const struct sp__times *times, const struct sp__entry *entry, double unit, struct sp__item *item);
enum sp__attention sp__times_attend(const struct sp__times *times, const struct sp__item *item, int64_t now);
/** More time for one that slides, from now on. */
void sp__times_renew(const struct sp__times *times, struct sp__item *item, int64_t now);
/** What Redis is told then: the entry's new "fresh until", wall clock. */
int64_t sp__times_slid(const struct sp__times *times);

#endif
