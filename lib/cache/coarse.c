/* SPDX-License-Identifier: MIT */
#include "cache/coarse.h"

#include "base/random.h"

#include <stdlib.h>

/* As in bumps.c. */
enum { BEFORE = 1 << 20 };

static uint32_t *place_of(const struct sp__coarse *coarse, uint64_t tag)
{
        return &coarse->places[(tag * coarse->factor) >> (64 - coarse->bits)];
}

static bool make(struct sp__coarse *coarse, int64_t number)
{
        coarse->factor = sp__random_seed() | 1;
        coarse->base = number <= BEFORE ? 0 : number - BEFORE;
        coarse->places = calloc((size_t)1 << coarse->bits, sizeof *coarse->places);
        return coarse->places != NULL;
}

bool sp__coarse_raise(struct sp__coarse *coarse, uint64_t tag, int64_t number)
{
        uint32_t *place, far;

        if (!coarse->places && !make(coarse, number))
                return false;
        if (number - coarse->base > UINT32_MAX)
                return false;
        /* One from before that is taken for a later one. */
        far = number > coarse->base ? (uint32_t)(number - coarse->base) : 1;
        place = place_of(coarse, tag);
        if (*place < far)
                *place = far;
        return true;
}

int64_t sp__coarse_get(const struct sp__coarse *coarse, uint64_t tag)
{
        uint32_t far = coarse->places ? *place_of(coarse, tag) : 0;

        return far ? coarse->base + far : 0;
}

void sp__coarse_clear(struct sp__coarse *coarse)
{
        free(coarse->places);
        coarse->places = NULL;
}

size_t sp__coarse_bytes(const struct sp__coarse *coarse)
{
        return coarse->places ? sizeof *coarse->places << coarse->bits : 0;
}
