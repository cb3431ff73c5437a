/* SPDX-License-Identifier: MIT */
/**
 * Log-linear histogram of nanoseconds, after HdrHistogram (Gil Tene): 32 buckets an octave from 1 us to 2^42 ns (73
 * minutes), 32 ns wide below; longer ones count as the longest, shorter than 0 as 0. A value that it gives back is the
 * middle of its bucket: off by at most 1/64 (1.6 %), by 16 ns below 1 us. 8.5 kB each.
 *
 * Threads: any may record and read at once, without locks. A read beside records sees each of them or not yet.
 */
#ifndef SP_OBSERVE_HISTOGRAM_H
#define SP_OBSERVE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sp__histogram;

/** NULL when out of memory. */
struct sp__histogram *sp__histogram_new(void);
void sp__histogram_free(struct sp__histogram *histogram);
void sp__histogram_record(struct sp__histogram *histogram, int64_t ns);
/** Where such a value counts, for one thread at a time that keeps the sum anyhow, under a lock. */
_Atomic int64_t *sp__histogram_bucket(struct sp__histogram *histogram, int64_t ns);
/** Walks the buckets: 0.3 us. */
int64_t sp__histogram_count(const struct sp__histogram *histogram);
/** Nanoseconds, exact. */
int64_t sp__histogram_sum(const struct sp__histogram *histogram);
/** The value at rank ceil(q * count) of those recorded; `q` in 0–1, 0 when there are none. */
int64_t sp__histogram_quantile(const struct sp__histogram *histogram, double q);
/** Of several as one; at most SP__MERGED. */
enum { SP__MERGED = 16 };
int64_t sp__histogram_quantile_of(const struct sp__histogram *const histograms[], size_t number, double q);

/** The upper bounds that scrapers see; what exceeds the last counts in one bucket more. */
enum { SP__BOUNDS = 16 };
extern const int64_t sp__bounds_ns[SP__BOUNDS];

/** A histogram as scrapers see it. Counts are a bucket's own, not cumulative. */
struct sp__buckets {
        int64_t counts[SP__BOUNDS + 1];
        int64_t sum_ns;
};

/** A value within 1/64 of a bound may count on its other side. */
void sp__histogram_buckets(const struct sp__histogram *histogram, struct sp__buckets *out);

#endif
