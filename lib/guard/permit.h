/* SPDX-License-Identifier: MIT */
/**
 * Permits: serial numbers, each good for one result. They are given out through a door: while it stands open, by any thread
 * without a lock. All else is under the owner's lock.
 *
 * A bit for each of the last SP__PERMITS serials tells whether its result came; its meaning changes each time round, so that
 * giving one out need not touch it. What is older and still without a result is remembered by its number, SP__PERMITS_OLD of
 * them at most; beyond that the oldest is given up as lost. So no permit's result ever counts twice, however late the second
 * one comes. There are more bits, so that a sweep, which makes room for the next ones, is due once in many calls.
 */
#ifndef SP_GUARD_PERMIT_H
#define SP_GUARD_PERMIT_H

#include "guard/probe.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SP__PERMITS = 16384, SP__PERMIT_BITS = 2 * SP__PERMITS, SP__PERMITS_OLD = 64 };

struct sp__permits {
        /* The next serial, from 1 on, times two; odd: the door is open. A million a second reach 2^53 in 285 years. */
        _Alignas(64) _Atomic uint64_t word;
        _Alignas(64) uint64_t swept; /* the first serial that is not yet too old for a bit */
        uint64_t taken[SP__PERMIT_BITS / 64];
        uint64_t old[SP__PERMITS_OLD]; /* 0: a free place */
};

static inline void sp__permits_init(struct sp__permits *permits)
{
        atomic_init(&permits->word, 2);
        permits->taken[0] = 1; /* 0 is no permit */
        permits->swept = 1;
}

static inline uint64_t sp__permits_next(const struct sp__permits *permits)
{
        return atomic_load_explicit(&permits->word, memory_order_relaxed) >> 1;
}

/** With the lock held. The first serial that is given out with the door like that. */
static inline uint64_t sp__permits_door(struct sp__permits *permits, bool open)
{
        return (open ? atomic_fetch_or(&permits->word, 1) : atomic_fetch_and(&permits->word, ~UINT64_C(1))) >> 1;
}

/** Any thread, no lock. false: the door is shut. */
static inline bool sp__permit_pass(struct sp__permits *permits, uint64_t *serial)
{
        uint64_t word = atomic_load_explicit(&permits->word, memory_order_relaxed);

        do {
                if (!(word & 1))
                        return false;
                sp__guard_step();
                if (sp__guard_bugged(SP__GUARD_DOOR)) {
                        atomic_store(&permits->word, word + 2);
                        break;
                }
        } while (!atomic_compare_exchange_weak_explicit(&permits->word, &word, word + 2, memory_order_relaxed,
                                                        memory_order_relaxed));
        *serial = word >> 1;
        return true;
}

/** With the lock held, whatever the door. */
static inline uint64_t sp__permit_issue(struct sp__permits *permits)
{
        return atomic_fetch_add_explicit(&permits->word, 2, memory_order_relaxed) >> 1;
}

static inline uint64_t *sp__permit_word(struct sp__permits *permits, uint64_t serial)
{
        return &permits->taken[serial % SP__PERMIT_BITS / 64];
}

/* The bit of a serial whose result has come is set the first time round, clear the second, and so on. */
static inline bool sp__permit_taken(struct sp__permits *permits, uint64_t serial)
{
        uint64_t set = *sp__permit_word(permits, serial) >> serial % 64 & 1;

        return set != (serial / SP__PERMIT_BITS & 1);
}

static inline void sp__permit_turn(struct sp__permits *permits, uint64_t serial)
{
        *sp__permit_word(permits, serial) ^= UINT64_C(1) << serial % 64;
}

/* Serials come here in their order, so whoever makes room is the oldest. 0: nobody had to. */
static inline uint64_t sp__permit_age(struct sp__permits *permits, uint64_t serial)
{
        uint64_t *place = permits->old, lost;

        for (size_t i = 1; i < SP__PERMITS_OLD && *place; i++) {
                if (permits->old[i] < *place)
                        place = &permits->old[i];
        }
        lost = *place;
        *place = serial;
        return lost;
}

/** Whether a sweep must come before the serial's result is taken. */
static inline bool sp__permits_due(const struct sp__permits *permits, uint64_t serial)
{
        return serial >= permits->swept + SP__PERMIT_BITS;
}

/** Makes room for the bits of what was given out since. How many of those from `first` on were given up as lost. */
static inline int64_t sp__permits_sweep(struct sp__permits *permits, uint64_t first)
{
        uint64_t next = sp__permits_next(permits), lost;
        int64_t count = 0;

        for (; permits->swept + SP__PERMITS < next; permits->swept++) {
                if (sp__permit_taken(permits, permits->swept))
                        continue;
                sp__permit_turn(permits, permits->swept);
                lost = sp__permit_age(permits, permits->swept);
                count += lost && lost >= first;
        }
        return count;
}

/** After the sweep, where it was due. Whether a result of this permit counts: it was issued and not given up, and none came before. */
static inline bool sp__permit_take(struct sp__permits *permits, uint64_t serial)
{
        if (serial == 0 || serial >= sp__permits_next(permits))
                return false;
        for (size_t i = 0; serial < permits->swept && i < SP__PERMITS_OLD; i++) {
                if (permits->old[i] == serial) {
                        permits->old[i] = 0;
                        return true;
                }
        }
        if (serial < permits->swept || sp__permit_taken(permits, serial))
                return false;
        sp__permit_turn(permits, serial);
        return true;
}

#endif
