/* SPDX-License-Identifier: MIT */
/**
 * Permits: serial numbers, each good for one result. A bit for each of the last SP__PERMITS serials tells whether its result
 * came. What is older and still without one is remembered by its number, SP__PERMITS_OLD of them at most; beyond that the
 * oldest is given up as lost. So no permit's result ever counts twice, however late the second one comes.
 *
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_PERMIT_H
#define SP_GUARD_PERMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SP__PERMITS = 16384, SP__PERMITS_OLD = 64 };

struct sp__permits {
        uint64_t next; /* from 1 on: at a million a second it reaches 2^53 in 285 years */
        uint64_t lost; /* the latest that was given up; 0: none was */
        uint64_t taken[SP__PERMITS / 64];
        uint64_t old[SP__PERMITS_OLD]; /* 0: a free place */
};

static inline uint64_t *sp__permit_old(struct sp__permits *permits, uint64_t serial)
{
        for (size_t i = 0; i < SP__PERMITS_OLD; i++) {
                if (permits->old[i] == serial)
                        return &permits->old[i];
        }
        return NULL;
}

/* Serials come here in their order, so whoever makes room is the oldest. */
static inline void sp__permit_age(struct sp__permits *permits, uint64_t serial)
{
        uint64_t *place = permits->old;

        for (size_t i = 1; i < SP__PERMITS_OLD && *place; i++) {
                if (permits->old[i] < *place)
                        place = &permits->old[i];
        }
        if (*place)
                permits->lost = *place;
        *place = serial;
}

static inline uint64_t sp__permit_issue(struct sp__permits *permits)
{
        uint64_t serial = permits->next++;
        uint64_t *word = &permits->taken[serial % SP__PERMITS / 64], bit = UINT64_C(1) << serial % 64;

        if (__builtin_expect(serial > SP__PERMITS && !(*word & bit), 0))
                sp__permit_age(permits, serial - SP__PERMITS);
        *word &= ~bit;
        return serial;
}

/** Whether a result of this permit counts: it was issued and not given up, and none came before. */
static inline bool sp__permit_take(struct sp__permits *permits, uint64_t serial)
{
        uint64_t *word = &permits->taken[serial % SP__PERMITS / 64], bit = UINT64_C(1) << serial % 64, *old;

        if (serial == 0 || serial >= permits->next)
                return false;
        if (permits->next - serial > SP__PERMITS) {
                old = sp__permit_old(permits, serial);
                if (old)
                        *old = 0;
                return old != NULL;
        }
        if (*word & bit)
                return false;
        *word |= bit;
        return true;
}

#endif
