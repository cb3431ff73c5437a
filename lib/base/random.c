/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include "base/clock.h"

#include <sys/random.h>

uint64_t sp__random_seed(void)
{
        uint64_t seed;

        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
                seed = (uint64_t)sp__now() ^ (uint64_t)(uintptr_t)&seed;
        return seed;
}
