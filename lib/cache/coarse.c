/* SPDX-License-Identifier: MIT */
#include "cache/coarse.h"

#include "base/random.h"

#include <stdlib.h>

enum { BITS = 20 };

static int64_t *place_of(const struct sp__coarse *coarse, uint64_t tag)
{
        return &coarse->places[(tag * coarse->factor) >> (64 - BITS)];
}

bool sp__coarse_raise(struct sp__coarse *coarse, uint64_t tag, int64_t number)
{
        if (!coarse->places) {
                coarse->factor = sp__random_seed() | 1;
                coarse->places = calloc((size_t)1 << BITS, sizeof *coarse->places);
        }
        if (!coarse->places)
                return false;
        if (*place_of(coarse, tag) < number)
                *place_of(coarse, tag) = number;
        return true;
}

int64_t sp__coarse_get(const struct sp__coarse *coarse, uint64_t tag)
{
        return coarse->places ? *place_of(coarse, tag) : 0;
}

void sp__coarse_clear(struct sp__coarse *coarse)
{
        free(coarse->places);
        coarse->places = NULL;
}
