/* SPDX-License-Identifier: MIT */
#include "redis/stats.h"

#include <stdlib.h>

struct sp__redis_stats *sp__redis_stats_new(void)
{
        struct sp__redis_stats *stats = calloc(1, sizeof *stats);

        if (!stats)
                return NULL;
        atomic_init(&stats->refs, 1);
        stats->trips = sp__histogram_new();
        if (stats->trips)
                return stats;
        free(stats);
        return NULL;
}

struct sp__redis_stats *sp__redis_stats_ref(struct sp__redis_stats *stats)
{
        atomic_fetch_add_explicit(&stats->refs, 1, memory_order_relaxed);
        return stats;
}

void sp__redis_stats_unref(struct sp__redis_stats *stats)
{
        if (!stats || atomic_fetch_sub_explicit(&stats->refs, 1, memory_order_acq_rel) != 1)
                return;
        sp__histogram_free(stats->trips);
        free(stats);
}

static double read_counter(const _Atomic int64_t *counter)
{
        return (double)atomic_load_explicit((_Atomic int64_t *)(uintptr_t)counter, memory_order_relaxed);
}

void sp__redis_stats_collect(const struct sp__redis_stats *stats, struct sp__expo *expo)
{
        static const char *const labels[] = {"db_system_name", "redis", NULL};

        sp__expo_family(expo, "db_client_operation_duration_seconds", "histogram",
                        "Time of a statement: waiting for a connection, executing and fetching.");
        sp__expo_histogram(expo, labels, stats->trips);
        sp__expo_family(expo, "sugarperf_redis_connections", "gauge", "Connections to Redis that stand.");
        sp__expo_sample(expo, NULL, NULL, read_counter(&stats->standing));
        sp__expo_family(expo, "sugarperf_redis_connects", "counter", "Connections to Redis that came to stand.");
        sp__expo_sample(expo, "_total", NULL, read_counter(&stats->connected));
        sp__expo_family(expo, "sugarperf_redis_failures", "counter",
                        "Connections to Redis that were lost, and attempts that failed.");
        sp__expo_sample(expo, "_total", NULL, read_counter(&stats->lost));
        sp__expo_family(expo, "sugarperf_redis_redirects", "counter",
                        "Commands that a node of a cluster sent to another one.");
        sp__expo_sample(expo, "_total", NULL, read_counter(&stats->redirected));
}
