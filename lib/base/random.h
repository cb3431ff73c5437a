/* SPDX-License-Identifier: MIT */
/** Random numbers: for jitter and names, not for keys. */
#ifndef SP_BASE_RANDOM_H
#define SP_BASE_RANDOM_H

#include <stdint.h>

/** One per owner, guarded by the owner's lock. */
struct sp__random {
        uint64_t state;
};

/** From the system's entropy; falls back on the clock and the address. */
uint64_t sp__random_seed(void);

/** SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t sp__random_next(struct sp__random *random)
{
        uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/** In [0, 1). */
static inline double sp__random_unit(struct sp__random *random)
{
        return (double)(sp__random_next(random) >> 11) * 0x1.0p-53;
}

#endif
