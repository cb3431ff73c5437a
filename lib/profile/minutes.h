/* SPDX-License-Identifier: MIT */
/**
 * What was recorded in each of the last minutes. A slot is reused without a lock: of the few records that meet its change
 * of minute some may be lost, from here alone.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_MINUTES_H
#define SP_PROFILE_MINUTES_H

#include "base/clock.h"

#include <stdatomic.h>

enum { SP__MINUTES = 16 };

struct sp__minutes {
        struct {
                _Atomic int64_t number; /* minutes of the clock, from 1 on; 0: never used */
                _Atomic int64_t count, total_ns, errors;
        } slots[SP__MINUTES];
};

struct sp__minute {
        int64_t count, total_ns, errors;
};

static inline int64_t sp__minute_of(int64_t now_ns)
{
        return now_ns / (60 * SP__SECOND) + 1;
}

void sp__minutes_record(struct sp__minutes *minutes, int64_t now_ns, int64_t ns, bool failed);
/** What is known of a minute; zeros where that is nothing (any more). */
struct sp__minute sp__minutes_at(const struct sp__minutes *minutes, int64_t number);

#endif
