/* SPDX-License-Identifier: MIT */
/**
 * How often an entry was asked for, in a byte: a count up to 15 (4 bits), the era in which it was last counted (3), and whether
 * it was asked for since it was last looked at (1). Counts are halved from era to era, rounded up, without a walk over the
 * entries. Hits write it without a lock: one that is lost does not matter.
 */
#ifndef SP_CACHE_HEAT_H
#define SP_CACHE_HEAT_H

#include <stdbool.h>
#include <stdint.h>

enum { SP__HEAT_MOST = 15, SP__HEAT_LATELY = 128, SP__HEAT_ERAS = 8 };

static inline uint8_t sp__heat(unsigned count, unsigned era, bool lately)
{
        return (uint8_t)((count < SP__HEAT_MOST ? count : SP__HEAT_MOST) | (era % SP__HEAT_ERAS) << 4 |
                         (lately ? SP__HEAT_LATELY : 0));
}

static inline unsigned sp__heat_count(uint8_t heat, unsigned era)
{
        unsigned ages = (era - (heat >> 4)) % SP__HEAT_ERAS;

        return ((heat & SP__HEAT_MOST) + (1u << ages) - 1) >> ages;
}

/** After one more hit; equal to `heat` where nothing changes. */
static inline uint8_t sp__heat_more(uint8_t heat, unsigned era)
{
        return sp__heat(sp__heat_count(heat, era) + 1, era, true);
}

#endif
