/* SPDX-License-Identifier: MIT */
/**
 * What is counted of look-ups that the in-process level did not answer, for each template, and hits over a time.
 *
 * A hit in process counts for the cache; to know its template would cost more than the hit, so one of 64 is looked at and
 * counts for as many.
 *
 * Threads: any.
 */
#ifndef SP_CACHE_USAGE_H
#define SP_CACHE_USAGE_H

#include "base/thread.h"

#include <stdatomic.h>
#include <sugarperf/key.h>

enum { SP__USAGES = 64, SP__SIGHTS = 96, SP__SAMPLE_BITS = 6, SP__SAMPLE = 1 << SP__SAMPLE_BITS };

enum sp__used {
        SP__USED_MEMORY, /* found in process: about */
        SP__USED_HIT,    /* found in Redis, or held */
        SP__USED_SHARED, /* another caller loaded it meanwhile */
        SP__USED_STALE,
        SP__USED_MISS,
        SP__USED_LOAD,      /* loads that ended with a value */
        SP__USED_FAILED,    /* … that ended without */
        SP__USED_TOO_LARGE, /* … with one that was not stored */
        SP__USED_KINDS
};

struct sp__usage {
        _Atomic(const sp_template *) tmpl; /* NULL in the first: keys of none, and what comes after the last place */
        _Atomic int64_t counts[SP__USED_KINDS];
        _Atomic int64_t load_ns;
};

struct sp__usages {
        sp__mutex lock;
        atomic_size_t used; /* 1 at least */
        struct sp__usage all[SP__USAGES];

        /* Hits and misses as they were, the oldest first from `next` on. */
        struct sp__sight {
                int64_t at;
                int64_t hits;
                int64_t misses;
        } sights[SP__SIGHTS];
        size_t next;
        _Atomic int64_t seen_at;
};

void sp__usages_init(struct sp__usages *usages);
void sp__usages_destroy(struct sp__usages *usages);
/** The template's, NULL's: the first. */
struct sp__usage *sp__usages_of(struct sp__usages *usages, const sp_template *tmpl);

static inline void sp__usage_count(struct sp__usage *usage, enum sp__used kind)
{
        if (usage)
                atomic_fetch_add_explicit(&usage->counts[kind], 1, memory_order_relaxed);
}

/** Whether the hit after so many others is one of those that are looked at. Not each 64th: callers have rhythms too. */
static inline bool sp__usage_samples(int64_t before)
{
        return ((uint64_t)before + 1) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SP__SAMPLE_BITS) == 0;
}

static inline void sp__usage_sample(struct sp__usage *usage)
{
        atomic_fetch_add_explicit(&usage->counts[SP__USED_MEMORY], SP__SAMPLE, memory_order_relaxed);
}

/** Whether it is time to look again, 10 s after the last time. */
bool sp__usages_due(const struct sp__usages *usages, int64_t now);
void sp__usages_see(struct sp__usages *usages, int64_t now, int64_t hits, int64_t misses);
/** Share of hits among what came since the last sight that is at least so old, else since the first one. */
double sp__usages_rate(struct sp__usages *usages, int64_t now, int64_t window, int64_t hits, int64_t misses);

#endif
