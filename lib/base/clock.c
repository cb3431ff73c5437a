/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdlib.h>

struct sp_clock {
        _Atomic int64_t now;
};

int64_t sp__clock_now(const sp_clock *clock)
{
        return clock ? atomic_load(&clock->now) : sp__now();
}

int64_t sp__clock_coarse(const sp_clock *clock)
{
        struct timespec at;

        if (clock)
                return atomic_load(&clock->now);
        clock_gettime(CLOCK_MONOTONIC_COARSE, &at);
        return at.tv_sec * SP__SECOND + at.tv_nsec;
}

int sp__poll_ms(int64_t now, int64_t deadline)
{
        enum { DAY_MS = 24 * 3600 * 1000 };
        int64_t ms;

        if (deadline == SP__FOREVER)
                return -1;
        if (deadline <= now)
                return 0;
        ms = (deadline - now - 1) / SP__MS + 1;
        return ms < DAY_MS ? (int)ms : DAY_MS;
}

sp_clock *sp_clock_new(void)
{
        sp_clock *clock = calloc(1, sizeof *clock);

        /* Not 0, so that a moment in the past can be told from none. */
        if (clock)
                atomic_init(&clock->now, SP__SECOND);
        return clock;
}

void sp_clock_advance(sp_clock *clock, int64_t ms)
{
        atomic_fetch_add(&clock->now, ms * SP__MS);
}

void sp_clock_free(sp_clock *clock)
{
        free(clock);
}
