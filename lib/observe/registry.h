/* SPDX-License-Identifier: MIT */
/**
 * Who has something to show. Each part of the product adds a collector; a scrape asks them in the order of adding.
 *
 * Threads: any. The registry's mutex is held while collectors run, so that one is not called any more once
 * sp__metrics_remove() returned. A collector may take its part's locks, but nobody may add, remove or scrape under
 * those.
 */
#ifndef SP_OBSERVE_REGISTRY_H
#define SP_OBSERVE_REGISTRY_H

#include "observe/exposition.h"

#include <sugarperf/metrics.h>

/** NULL when out of memory. As sp_metrics_new(). */
sp_metrics *sp__metrics_new(const sp_config *config);
/** false when out of memory. */
bool sp__metrics_add(sp_metrics *metrics, void (*collect)(void *arg, struct sp__expo *expo), void *arg);
/** All collectors that were added with `arg`. */
void sp__metrics_remove(sp_metrics *metrics, void *arg);

#endif
