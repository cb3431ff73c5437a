/* SPDX-License-Identifier: MIT */
/**
 * Rate limiter: the generic cell rate algorithm (ITU-T I.371) in its virtual scheduling form. One moment says all: when the
 * next call would be due if calls came evenly. Who must wait books nothing, so who stops waiting has nothing to give back.
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_LIMITER_H
#define SP_GUARD_LIMITER_H

#include <stdbool.h>
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

/** ns until a call may go before which `ahead` others wait; 0: now. */
static inline int64_t sp__limiter_wait(const struct sp__limiter *limiter, int64_t now, int64_t ahead)
{
        int64_t due = (limiter->due > now ? limiter->due : now) + ahead * limiter->interval;

        return due - limiter->slack > now ? due - limiter->slack - now : 0;
}

/** Makes a call; false: it may not go yet. */
static inline bool sp__limiter_take(struct sp__limiter *limiter, int64_t now)
{
        if (sp__limiter_wait(limiter, now, 0) > 0)
                return false;
        limiter->due = (limiter->due > now ? limiter->due : now) + limiter->interval;
        return true;
}

#endif
