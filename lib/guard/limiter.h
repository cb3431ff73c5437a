/* SPDX-License-Identifier: MIT */
/**
 * Rate limiter: the generic cell rate algorithm (ITU-T I.371) in its virtual scheduling form. One moment says all: when the
 * next call would be due if calls came evenly. Who must wait books nothing, so who stops waiting has nothing to give back.
 * A second need not be a whole number of intervals: the rest of each adds up to nanoseconds of its own.
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_LIMITER_H
#define SP_GUARD_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct sp__limiter {
        int64_t rate;  /* calls a second; 0: no limit */
        int64_t slack; /* ns that a call may be early: burst - 1 intervals */
        int64_t due;
        int64_t rest; /* of `due`, in parts of a nanosecond of which there are `rate` */
};

/** ns of so many intervals. */
static inline int64_t sp__limiter_span(const struct sp__limiter *limiter, int64_t intervals)
{
        const int64_t second = INT64_C(1000000000);

        if (limiter->rate == 0)
                return 0;
        return intervals / limiter->rate * second + intervals % limiter->rate * second / limiter->rate;
}

static inline void sp__limiter_init(struct sp__limiter *limiter, int64_t a_second, int64_t burst)
{
        *limiter = (struct sp__limiter){.rate = a_second};
        limiter->slack = sp__limiter_span(limiter, burst - 1);
}

/** ns until a call may go before which `ahead` others wait; 0: now. */
static inline int64_t sp__limiter_wait(const struct sp__limiter *limiter, int64_t now, int64_t ahead)
{
        int64_t due = (limiter->due > now ? limiter->due : now) + sp__limiter_span(limiter, ahead);

        return due - limiter->slack > now ? due - limiter->slack - now : 0;
}

/** Makes a call; false: it may not go yet. */
static inline bool sp__limiter_take(struct sp__limiter *limiter, int64_t now)
{
        int64_t parts;

        if (sp__limiter_wait(limiter, now, 0) > 0)
                return false;
        if (limiter->due <= now) {
                limiter->due = now;
                limiter->rest = 0;
        }
        if (limiter->rate == 0)
                return true;
        parts = limiter->rest + INT64_C(1000000000);
        limiter->due += parts / limiter->rate;
        limiter->rest = parts % limiter->rate;
        return true;
}

#endif
