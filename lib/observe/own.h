/* SPDX-License-Identifier: MIT */
/**
 * What a service counts itself: families, each with a bounded number of series, which are found by their labels and live as long as
 * this. Counting takes no lock.
 *
 * Threads: any.
 */
#ifndef SP_OBSERVE_OWN_H
#define SP_OBSERVE_OWN_H

#include "base/thread.h"
#include "observe/exposition.h"

#include <sugarperf/metrics.h>

enum sp__own_kind { SP__OWN_COUNTER, SP__OWN_GAUGE, SP__OWN_HISTOGRAM };

enum { SP__OWN_FAMILIES = 500, SP__OWN_VALUE_MAX = 128 };

struct sp__own_family;
struct sp__series;

struct sp__own {
        sp__mutex lock; /* what follows; a leaf */
        struct sp__own_family *first, *last;
        size_t count;
        struct sp__series **buckets; /* of all series; a power of two, or none */
        size_t size, filled;
        uint64_t seed;
        size_t most;     /* series of a family */
        int64_t limited; /* asked for past that */
};

/** What is asked for. */
struct sp__own_wanted {
        enum sp__own_kind kind;
        const char *name;
        const char *help;
        const sp_params *labels;
};

void sp__own_init(struct sp__own *own, size_t most);
void sp__own_destroy(struct sp__own *own);
sp_status sp__own_take(struct sp__own *own, const struct sp__own_wanted *wanted, struct sp__series **out,
                       sp_error **error);
void sp__own_collect(struct sp__own *own, struct sp__expo *expo);

/** By the series' kind. */
sp_counter *sp__series_counter(struct sp__series *series);
sp_gauge *sp__series_gauge(struct sp__series *series);
sp_histogram *sp__series_histogram(struct sp__series *series);

#endif
