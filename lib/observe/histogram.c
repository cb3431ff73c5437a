/* SPDX-License-Identifier: MIT */
#include "observe/histogram.h"

#include "base/clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* In units of 2^UNIT_BITS ns the first STEPS buckets are one unit wide; each octave after them has STEPS buckets. */
enum { UNIT_BITS = 5, STEP_BITS = 5, STEPS = 1 << STEP_BITS, TOP_BITS = 42 };
enum { BUCKETS = (TOP_BITS - UNIT_BITS - STEP_BITS + 1) * STEPS };

enum { LINE = 64 };

/* The sum, which every record writes, shares a cache line with the buckets that few reach: of less than 200 ns. */
struct sp__histogram {
        _Alignas(LINE) _Atomic int64_t sum;
        _Atomic int64_t counts[BUCKETS];
};

#define US 1000LL
const int64_t sp__bounds_ns[SP__BOUNDS] = {
    100 * US,       250 * US,      500 * US,       SP__MS,          2500 * US,    5 * SP__MS,
    10 * SP__MS,    25 * SP__MS,   50 * SP__MS,    100 * SP__MS,    250 * SP__MS, 500 * SP__MS,
    1 * SP__SECOND, 2500 * SP__MS, 5 * SP__SECOND, 10 * SP__SECOND,
};

static size_t index_of(int64_t ns)
{
        uint64_t units = (uint64_t)ns >> UNIT_BITS;
        int shift;

        if (units < STEPS)
                return (size_t)units;
        shift = 63 - __builtin_clzll(units) - STEP_BITS;
        return (size_t)shift * STEPS + (size_t)(units >> shift);
}

static int64_t middle_of(size_t index)
{
        size_t octave = index / STEPS;
        int shift = octave ? (int)octave - 1 : 0;
        int64_t low = (int64_t)(index - (size_t)shift * STEPS) << (shift + UNIT_BITS);

        return low + ((int64_t)1 << (shift + UNIT_BITS - 1));
}

static int64_t count_at(const struct sp__histogram *histogram, size_t index)
{
        return atomic_load_explicit(&histogram->counts[index], memory_order_relaxed);
}

struct sp__histogram *sp__histogram_new(void)
{
        struct sp__histogram *histogram = aligned_alloc(LINE, sizeof *histogram);

        if (histogram)
                memset(histogram, 0, sizeof *histogram);
        return histogram;
}

void sp__histogram_free(struct sp__histogram *histogram)
{
        free(histogram);
}

_Atomic int64_t *sp__histogram_bucket(struct sp__histogram *histogram, int64_t ns)
{
        const int64_t longest = ((int64_t)1 << TOP_BITS) - 1;

        return &histogram->counts[index_of(ns < 0 ? 0 : ns < longest ? ns : longest)];
}

void sp__histogram_record(struct sp__histogram *histogram, int64_t ns)
{
        atomic_fetch_add_explicit(&histogram->sum, ns < 0 ? 0 : ns, memory_order_relaxed);
        atomic_fetch_add_explicit(sp__histogram_bucket(histogram, ns), 1, memory_order_relaxed);
}

int64_t sp__histogram_count(const struct sp__histogram *histogram)
{
        int64_t count = 0;

        for (size_t i = 0; i < BUCKETS; i++)
                count += count_at(histogram, i);
        return count;
}

int64_t sp__histogram_sum(const struct sp__histogram *histogram)
{
        return atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

int64_t sp__histogram_quantile_of(const struct sp__histogram *const histograms[], size_t number, double q)
{
        int64_t count = 0, seen = 0, rank;
        double at;

        for (size_t i = 0; i < number; i++)
                count += sp__histogram_count(histograms[i]);
        at = ceil(q * (double)count);

        /* Written so that a q that is no number falls to the first. */
        rank = at >= 1 ? at < (double)count ? (int64_t)at : count : 1;
        for (size_t i = 0; i < BUCKETS; i++) {
                for (size_t j = 0; j < number; j++)
                        seen += count_at(histograms[j], i);
                if (seen >= rank)
                        return middle_of(i);
        }
        return 0;
}

int64_t sp__histogram_quantile(const struct sp__histogram *histogram, double q)
{
        return sp__histogram_quantile_of(&histogram, 1, q);
}

void sp__histogram_buckets(const struct sp__histogram *histogram, struct sp__buckets *out)
{
        size_t bound = 0;

        *out = (struct sp__buckets){.sum_ns = sp__histogram_sum(histogram)};
        for (size_t i = 0; i < BUCKETS; i++) {
                while (bound < SP__BOUNDS && middle_of(i) > sp__bounds_ns[bound])
                        bound++;
                out->counts[bound] += count_at(histogram, i);
        }
}
