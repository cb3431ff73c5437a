/* SPDX-License-Identifier: MIT */
/**
 * Counters that many threads add to at once: each thread has a stripe of its own, a cache line, as long as there are no more
 * threads than stripes. Then they share, which costs time and nothing else.
 */
#ifndef SP_BASE_STRIPE_H
#define SP_BASE_STRIPE_H

#include <stdatomic.h>
#include <stdint.h>

enum { SP__STRIPES = 64 };

struct sp__striped {
        struct sp__striped_one {
                _Alignas(64) _Atomic int64_t count;
        } stripes[SP__STRIPES];
};

/* 0: this thread has none yet. Initial-exec: a look-up in a library that was loaded late would cost a call. */
extern _Thread_local unsigned sp__stripe_own __attribute__((tls_model("initial-exec"), visibility("hidden")));

unsigned sp__stripe_first(void);
/** How many stripes have an owner. */
unsigned sp__stripes_used(void);

/** The calling thread's, from 0. */
static inline unsigned sp__stripe(void)
{
        unsigned own = sp__stripe_own;

        return own ? own - 1 : sp__stripe_first();
}

/** What this stripe had before. */
static inline int64_t sp__striped_add(struct sp__striped *tally, int64_t count)
{
        return atomic_fetch_add_explicit(&tally->stripes[sp__stripe()].count, count, memory_order_relaxed);
}

int64_t sp__striped_read(const struct sp__striped *tally);

#endif
