/* SPDX-License-Identifier: MIT */
/**
 * What was recorded in each of the last minutes: of each in which something was, what there had been before it. A record costs a
 * comparison. What is on its way at the turn of a minute may count for the next one.
 *
 * Threads: any, without locks.
 */
#ifndef SP_PROFILE_MINUTES_H
#define SP_PROFILE_MINUTES_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SP__MINUTES = 16 };

struct sp__minute {
        int64_t count, total_ns, errors;
};

/** The number of the latest that began, 0: none. Apart from the others, where it shares a cache line with what each record writes. */
typedef _Atomic uint32_t sp__minute_latest;

struct sp__minutes {
        struct {
                _Atomic int64_t number; /* minutes of the clock, from 1 on; 0: unused, or being written */
                _Atomic int64_t count, total_ns, errors;
        } slots[SP__MINUTES];
};

static inline int64_t sp__minute_of(int64_t now_ns)
{
        return now_ns / (60 * SP__SECOND) + 1;
}

/** Whether sp__minutes_begin() must be called before what comes now is recorded. */
static inline bool sp__minutes_over(const sp__minute_latest *latest, int64_t now_ns)
{
        return sp__minute_of(now_ns) > atomic_load_explicit(latest, memory_order_relaxed);
}
/** A minute begins; `before`: all that was recorded so far. */
void sp__minutes_begin(struct sp__minutes *minutes, sp__minute_latest *latest, int64_t now_ns,
                       struct sp__minute before);
/** What a minute had, zeros where nothing is known (any more); `all`: what is recorded by now. */
struct sp__minute sp__minutes_at(const struct sp__minutes *minutes, int64_t number, struct sp__minute all);

#endif
