/* SPDX-License-Identifier: MIT */
#include "driver_time.h"

#define PARTS (UINT64_C(1) << DRIVER_TIMES_BITS)

static uint32_t bucket_of(uint64_t ns)
{
        uint32_t shift, bucket;

        if (ns < PARTS)
                return (uint32_t)ns;
        shift = 63 - (uint32_t)__builtin_clzll(ns) - DRIVER_TIMES_BITS;
        bucket = (uint32_t)(((uint64_t)shift << DRIVER_TIMES_BITS) + (ns >> shift));
        return bucket < DRIVER_TIMES_BUCKETS ? bucket : DRIVER_TIMES_BUCKETS - 1;
}

static double start_of(uint32_t bucket)
{
        uint32_t shift = bucket >> DRIVER_TIMES_BITS;

        if (shift == 0)
                return bucket;
        return (double)(((bucket & (PARTS - 1)) + PARTS) << (shift - 1));
}

void driver_times_add(struct driver_times *times, uint64_t ns, uint32_t count)
{
        times->buckets[bucket_of(ns)] += count;
        times->total += count;
}

void driver_times_merge(struct driver_times *into, const struct driver_times *from)
{
        into->total += from->total;
        for (uint32_t i = 0; i < DRIVER_TIMES_BUCKETS; i++)
                into->buckets[i] += from->buckets[i];
}

double driver_times_quantile(const struct driver_times *times, double q)
{
        double wanted = q * (double)times->total, below = 0;

        for (uint32_t i = 0; i < DRIVER_TIMES_BUCKETS; i++) {
                double here = times->buckets[i];

                if (here > 0 && below + here >= wanted)
                        return start_of(i) + (start_of(i + 1) - start_of(i)) * (wanted - below) / here;
                below += here;
        }
        return 0;
}
