/* SPDX-License-Identifier: MIT */
#include "cache/bumps.h"

#include "base/random.h"

#include <stdlib.h>

/* Numbers come in order but for what is under way at once: lower ones than the first are told apart as well. */
enum { FIRST_BITS = 6, BEFORE = 1 << 20 };

/* Of a slot: the upper half is the tag's, and places it; the lower is the number's, never 0. */
static uint32_t half_of(const struct sp__bumps *bumps, uint64_t tag)
{
        return (uint32_t)((tag * bumps->factor) >> 32);
}

static size_t slots_of(const struct sp__bumps *bumps)
{
        return bumps->bits ? (size_t)1 << bumps->bits : 0;
}

/* Its slot, or the free one where it would go. There is always a free one. */
static uint64_t *find(const struct sp__bumps *bumps, uint32_t half)
{
        size_t at = half >> (32 - bumps->bits), last = slots_of(bumps) - 1;

        while (bumps->slots[at] && bumps->slots[at] >> 32 != half)
                at = (at + 1) & last;
        return &bumps->slots[at];
}

static bool grow(struct sp__bumps *bumps)
{
        struct sp__bumps wider = *bumps;

        wider.bits = bumps->bits ? bumps->bits + 1 : FIRST_BITS;
        wider.slots = calloc(slots_of(&wider), sizeof *wider.slots);
        if (!wider.slots)
                return false;
        for (size_t i = 0; i < slots_of(bumps); i++) {
                if (bumps->slots[i])
                        *find(&wider, (uint32_t)(bumps->slots[i] >> 32)) = bumps->slots[i];
        }
        free(bumps->slots);
        *bumps = wider;
        return true;
}

uint64_t sp__bumps_get(const struct sp__bumps *bumps, uint64_t tag)
{
        uint64_t slot = bumps->count ? *find(bumps, half_of(bumps, tag)) : 0;

        if (!slot)
                return 0;
        return (uint32_t)slot == UINT32_MAX ? SP__BUMPS_EVER : bumps->base + (uint32_t)slot;
}

/* The lower half for a number; 0: there is none. */
static uint32_t low_of(const struct sp__bumps *bumps, uint64_t number)
{
        if (number == SP__BUMPS_EVER)
                return UINT32_MAX;
        if (number <= bumps->base)
                return 1;
        return number - bumps->base < UINT32_MAX ? (uint32_t)(number - bumps->base) : 0;
}

/* true: there is room for one more. */
static bool make_room(struct sp__bumps *bumps)
{
        return bumps->count * 4 + 4 <= slots_of(bumps) * 3 || grow(bumps);
}

bool sp__bumps_raise(struct sp__bumps *bumps, uint64_t tag, uint64_t number)
{
        uint64_t *slot;
        uint32_t half, low;

        if (!bumps->slots) {
                bumps->factor = sp__random_seed() | 1;
                bumps->base = number == SP__BUMPS_EVER || number <= BEFORE ? 0 : number - BEFORE;
        }
        low = low_of(bumps, number);
        if (!low || (!bumps->slots && !grow(bumps)))
                return false;
        half = half_of(bumps, tag);
        slot = find(bumps, half);
        if (!*slot && make_room(bumps)) {
                slot = find(bumps, half);
                bumps->count++;
        } else if (!*slot) {
                return false;
        }
        if ((uint32_t)*slot < low)
                *slot = (uint64_t)half << 32 | low;
        return true;
}

void sp__bumps_clear(struct sp__bumps *bumps)
{
        free(bumps->slots);
        *bumps = (struct sp__bumps){.slots = NULL};
}

size_t sp__bumps_bytes(const struct sp__bumps *bumps)
{
        return slots_of(bumps) * sizeof *bumps->slots;
}
