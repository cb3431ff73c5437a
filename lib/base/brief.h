/* SPDX-License-Identifier: MIT */
/**
 * A lock for sections of some tens of instructions that many threads enter all the time. It is 4 bytes, so that what it guards
 * can share its cache line. Who finds it taken keeps off the line for a while that doubles: the holder then comes back several
 * times before the line moves to another core, and a move costs more than the section (T. Anderson, The Performance of Spin
 * Lock Alternatives, 1990). After some microseconds it sleeps for a while, as the holder may have lost its core. Nobody wakes it:
 * to let go is a plain store, for to learn of sleepers would be another locked instruction at each turn. It is not fair, and
 * not for sections that wait.
 */
#ifndef SP_BASE_BRIEF_H
#define SP_BASE_BRIEF_H

#include <stdatomic.h>

enum { SP__BRIEF_FREE, SP__BRIEF_HELD };

typedef atomic_uint sp__brief;

/** After a try that failed. */
void sp__brief_wait(sp__brief *lock);

static inline void sp__brief_init(sp__brief *lock)
{
        atomic_init(lock, SP__BRIEF_FREE);
}

static inline void sp__brief_lock(sp__brief *lock)
{
        unsigned free = SP__BRIEF_FREE;

        if (!atomic_compare_exchange_strong_explicit(lock, &free, SP__BRIEF_HELD, memory_order_acquire,
                                                     memory_order_relaxed))
                sp__brief_wait(lock);
}

static inline void sp__brief_unlock(sp__brief *lock)
{
        atomic_store_explicit(lock, SP__BRIEF_FREE, memory_order_release);
}

#endif
