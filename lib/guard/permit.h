/* SPDX-License-Identifier: MIT */
/**
 * Permits: serial numbers, each good for one result. A bit for each of the last SP__PERMITS serials tells whether its result
 * came; an older permit has no bit any more, so that its result counts, and counts again if it is given twice. What is lost
 * beyond that many calls begun after it is the protection from a caller's mistake, never a result.
 *
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_PERMIT_H
#define SP_GUARD_PERMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { SP__PERMITS = 16384 };

struct sp__permits {
        uint64_t next; /* from 1 on: at a million a second it reaches 2^53 in 285 years */
        uint64_t taken[SP__PERMITS / 64];
};

static inline uint64_t sp__permit_issue(struct sp__permits *permits)
{
        uint64_t serial = permits->next++;

        permits->taken[serial % SP__PERMITS / 64] &= ~(UINT64_C(1) << serial % 64);
        return serial;
}

/** Whether a result of this permit counts: it was issued, and none came before. */
static inline bool sp__permit_take(struct sp__permits *permits, uint64_t serial)
{
        uint64_t *word = &permits->taken[serial % SP__PERMITS / 64], bit = UINT64_C(1) << serial % 64;

        if (serial == 0 || serial >= permits->next)
                return false;
        if (permits->next - serial > SP__PERMITS)
                return true;
        if (*word & bit)
                return false;
        *word |= bit;
        return true;
}

#endif
