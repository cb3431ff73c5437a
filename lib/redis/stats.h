/* SPDX-License-Identifier: MIT */
/** What is counted of a link, however many connections it has. Any threads. */
#ifndef SP_REDIS_STATS_H
#define SP_REDIS_STATS_H

#include "observe/exposition.h"

#include <stdatomic.h>
#include <stdint.h>

struct sp__redis_stats {
        atomic_uint refs;
        struct sp__histogram *trips; /* from handing a trip to its connection until its answer */
        _Atomic int64_t connected;   /* connections that stood */
        _Atomic int64_t lost;        /* connections and attempts that failed */
        _Atomic int64_t redirected;  /* commands that a cluster's node sent elsewhere */
        _Atomic int64_t standing;
};

/** With one reference; NULL when out of memory. */
struct sp__redis_stats *sp__redis_stats_new(void);
struct sp__redis_stats *sp__redis_stats_ref(struct sp__redis_stats *stats);
void sp__redis_stats_unref(struct sp__redis_stats *stats);
void sp__redis_stats_collect(const struct sp__redis_stats *stats, struct sp__expo *expo);

#endif
