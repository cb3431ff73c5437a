/* SPDX-License-Identifier: MIT */
/**
 * Rate limiter: the generic cell rate algorithm (ITU-T I.371) in its virtual scheduling form. One moment says all: when the
 * next call would be due if calls came evenly. The owner's lock guards it.
 */
#ifndef SP_GUARD_LIMITER_H
#define SP_GUARD_LIMITER_H

#include <stdint.h>

struct sp__limiter {
        int64_t interval; /* ns between calls; 0: no limit */
        int64_t slack;    /* ns that a call may be early: burst - 1 intervals */
        int64_t due;
};

static inline void sp__limiter_init(struct sp__limiter *limiter, int64_t a_second, int64_t burst)
{
        *limiter = (struct sp__limiter){.interval = a_second ? INT64_C(1000000000) / a_second : 0};
        limiter->slack = limiter->interval * (burst - 1);
}

/** Books a call: ns until it may go, 0 for at once; -1 when that were more than `patience`, and nothing is booked. */
static inline int64_t sp__limiter_take(struct sp__limiter *limiter, int64_t now, int64_t patience)
{
        int64_t due = limiter->due > now ? limiter->due : now;
        int64_t wait = due - limiter->slack > now ? due - limiter->slack - now : 0;

        if (limiter->interval == 0)
                return 0;
        if (wait > patience)
                return -1;
        limiter->due = due + limiter->interval;
        return wait;
}

#endif
