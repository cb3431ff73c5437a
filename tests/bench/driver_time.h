/* SPDX-License-Identifier: MIT */
/* Times in buckets of under 1 % each, as HdrHistogram's: an octave is split in equal parts. */
#ifndef BENCH_DRIVER_TIME_H
#define BENCH_DRIVER_TIME_H

#include <stdint.h>

#define DRIVER_TIMES_BITS    7
#define DRIVER_TIMES_BUCKETS (34 << DRIVER_TIMES_BITS) /* up to 2^40 ns, 18 minutes */

struct driver_times {
        uint64_t total;
        uint32_t buckets[DRIVER_TIMES_BUCKETS];
};

void driver_times_add(struct driver_times *times, uint64_t ns, uint32_t count);
void driver_times_merge(struct driver_times *into, const struct driver_times *from);
/* Nanoseconds; 0 where there is nothing. */
double driver_times_quantile(const struct driver_times *times, double q);

#endif
