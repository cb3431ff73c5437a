/* SPDX-License-Identifier: MIT */
/**
 * A page of metrics being written: families, and under each the samples that any collector adds. Prometheus text 0.0.4
 * or OpenMetrics 1.0. Families stand in the order in which they were first named, samples in the order of their writing.
 *
 *     sp__expo_family(expo, "sugarperf_pool_waits", "counter", "Calls that waited for a connection.");
 *     sp__expo_sample(expo, "_total", (const char *[]){"pool", name, NULL}, waits);
 *
 * One thread at a time. Running out of memory is remembered until sp__expo_text().
 */
#ifndef SP_OBSERVE_EXPOSITION_H
#define SP_OBSERVE_EXPOSITION_H

#include "base/buf.h"
#include "observe/histogram.h"

#include <stdbool.h>

struct sp__expo_family;

struct sp__expo {
        int format; /* SP_METRICS_… */
        bool failed;
        struct sp__expo_family *families;
        size_t count;
        size_t current; /* index + 1; 0: none yet */
};

void sp__expo_init(struct sp__expo *expo, int format);
void sp__expo_free(struct sp__expo *expo);
/** Appends the page; false when memory ran out on the way. Families without samples are left out. */
bool sp__expo_text(const struct sp__expo *expo, struct sp__buf *out);

/**
 * Selects the family that the following samples belong to; type and help are those of its first mention. A counter's
 * name is given without "_total". The texts must outlive the page.
 */
void sp__expo_family(struct sp__expo *expo, const char *name, const char *type, const char *help);
/**
 * `suffix` ("_total" for counters) may be NULL; `labels` are name, value, …, NULL, or NULL for none. No two samples of a
 * family may have the same suffix and labels.
 */
void sp__expo_sample(struct sp__expo *expo, const char *suffix, const char *const labels[], double value);
/** In seconds. */
void sp__expo_buckets(struct sp__expo *expo, const char *const labels[], const struct sp__buckets *buckets);
void sp__expo_histogram(struct sp__expo *expo, const char *const labels[], const struct sp__histogram *histogram);

#endif
