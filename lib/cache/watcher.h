/* SPDX-License-Identifier: MIT */
/** What a cache tells of queries through it to whoever records statements: the client hands it in. */
#ifndef SP_CACHE_WATCHER_H
#define SP_CACHE_WATCHER_H

#include <sugarperf/cache.h>
#include <sugarperf/pool.h>

/** How a query was answered, and that its statement ran for the cache: once for many that missed, and to refresh what was there. */
enum sp__cache_outcome { SP__OUTCOME_HIT, SP__OUTCOME_STALE, SP__OUTCOME_MISS, SP__OUTCOME_LOAD, SP__OUTCOMES };

/** Called on any thread, with no lock held; may be NULL. */
struct sp__cache_watcher {
        void (*asked)(void *arg, const sp_pool *pool, const sp_stmt *stmt, enum sp__cache_outcome outcome);
        void *arg;
};

/** Before the cache is shared. */
void sp__cache_watch(sp_cache *cache, const struct sp__cache_watcher *watcher);

#endif
