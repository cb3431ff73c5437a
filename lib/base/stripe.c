/* SPDX-License-Identifier: MIT */
#include "base/stripe.h"

_Thread_local unsigned sp__stripe_own;

/* Which thread has which stripe is the process's affair. */
static atomic_uint given;

unsigned sp__stripe_first(void)
{
        unsigned stripe = atomic_fetch_add_explicit(&given, 1, memory_order_seq_cst) % SP__STRIPES;

        sp__stripe_own = stripe + 1;
        return stripe;
}

unsigned sp__stripes_used(void)
{
        unsigned count = atomic_load(&given);

        return count < SP__STRIPES ? count : SP__STRIPES;
}

int64_t sp__striped_read(const struct sp__striped *tally)
{
        int64_t sum = 0;

        for (unsigned i = 0; i < SP__STRIPES; i++)
                sum +=
                    atomic_load_explicit((_Atomic int64_t *)(uintptr_t)&tally->stripes[i].count, memory_order_relaxed);
        return sum;
}
