/* SPDX-License-Identifier: MIT */
/** Monotonic time in nanoseconds, the system's or a test's own. */
#ifndef SP_BASE_CLOCK_H
#define SP_BASE_CLOCK_H

#include <sugarperf/base.h>
#include <time.h>

#define SP__US      1000LL
#define SP__MS      1000000LL
#define SP__SECOND  1000000000LL
#define SP__FOREVER INT64_MAX

/** CLOCK_MONOTONIC; 26 ns on the machines of docs/design.md. */
static inline int64_t sp__now(void)
{
        struct timespec at;

        clock_gettime(CLOCK_MONOTONIC, &at);
        return at.tv_sec * SP__SECOND + at.tv_nsec;
}

/** The same clock as of its last tick, up to 4 ms ago; 6 ns. For deadlines and ages, where that does not matter. */
static inline int64_t sp__now_coarse(void)
{
        struct timespec at;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &at);
        return at.tv_sec * SP__SECOND + at.tv_nsec;
}

/** Now as far as `deadline` is concerned: the cheap clock, but near to it the exact one. */
static inline int64_t sp__now_for(int64_t deadline)
{
        int64_t now = sp__now_coarse();

        return deadline - now < 10 * SP__MS ? sp__now() : now;
}

/** `clock` NULL: the system's. */
int64_t sp__clock_now(const sp_clock *clock);
/** At most a tick of the kernel (10 ms at 100 Hz) behind the above; 6 ns. */
int64_t sp__clock_coarse(const sp_clock *clock);

/** `now + ms`, where a negative ms means for ever. */
static inline int64_t sp__after_ms(int64_t now, int64_t ms)
{
        return ms < 0 || ms > (SP__FOREVER - now) / SP__MS ? SP__FOREVER : now + ms * SP__MS;
}

/** For poll() and epoll_wait(): milliseconds from `now` until `deadline`, rounded up, -1 for ever, at most a day. */
int sp__poll_ms(int64_t now, int64_t deadline);

#endif
