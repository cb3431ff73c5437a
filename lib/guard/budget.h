/* SPDX-License-Identifier: MIT */
/**
 * Retries: how many there may be, and when. The budget is a token bucket as in Finagle's RetryBudget: each call puts in a
 * share of a token, each retry takes one, and some a second are free, so that a service that fails sees its load grow by that
 * share and no more. The pause is "full jitter" (M. Brooker, Exponential Backoff And Jitter, AWS 2015).
 *
 * The owner's lock guards it.
 */
#ifndef SP_GUARD_BUDGET_H
#define SP_GUARD_BUDGET_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define SP__TOKEN INT64_C(100000000) /* so that a percent, and a nanosecond at ten a second, are whole numbers */

struct sp__budget {
        int64_t share; /* of a call */
        int64_t free;  /* a second */
        int64_t most;
        int64_t tokens;
        int64_t at; /* when the free ones were last given */
};

/** Begins full. Where it gives any, one is kept at least, or none could ever be taken. */
static inline void sp__budget_init(struct sp__budget *budget, int64_t percent, int64_t a_second, int64_t most,
                                   int64_t now)
{
        *budget = (struct sp__budget){.share = percent * (SP__TOKEN / 100),
                                      .free = a_second,
                                      .most = (most == 0 && (percent > 0 || a_second > 0) ? 1 : most) * SP__TOKEN,
                                      .tokens = most * SP__TOKEN,
                                      .at = now};
}

static inline void sp__budget_put(struct sp__budget *budget, int64_t tokens)
{
        budget->tokens = budget->most - budget->tokens > tokens ? budget->tokens + tokens : budget->most;
}

static inline void sp__budget_called(struct sp__budget *budget)
{
        sp__budget_put(budget, budget->share);
}

static inline void sp__budget_advance(struct sp__budget *budget, int64_t now)
{
        /* Tenths of a microsecond keep the product small; an hour fills any bucket. */
        const int64_t unit = 100, hour = INT64_C(3600) * 10000000;
        int64_t passed = (now - budget->at) / unit;

        budget->at += passed * unit;
        if (passed > hour)
                passed = hour;
        sp__budget_put(budget, passed * budget->free * (SP__TOKEN / 10000000));
}

/** false: there is no token, the call must do without another attempt. */
static inline bool sp__budget_take(struct sp__budget *budget, int64_t now)
{
        sp__budget_advance(budget, now);
        if (budget->tokens < SP__TOKEN)
                return false;
        budget->tokens -= SP__TOKEN;
        return true;
}

/** The pause before attempt `tries` + 1, in the unit of `base` and `most`. */
static inline int64_t sp__backoff(struct sp__random *random, int64_t base, int64_t most, int64_t tries)
{
        int64_t limit = base;

        for (int64_t i = 1; i < tries && limit < most; i++)
                limit *= 2;
        if (limit > most)
                limit = most;
        return (int64_t)((double)limit * sp__random_unit(random));
}

#endif
