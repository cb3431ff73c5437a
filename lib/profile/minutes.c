/* SPDX-License-Identifier: MIT */
#include "profile/minutes.h"

void sp__minutes_record(struct sp__minutes *minutes, int64_t now_ns, int64_t ns, bool failed)
{
        int64_t number = sp__minute_of(now_ns);
        size_t at = (size_t)number % SP__MINUTES;
        int64_t there = atomic_load_explicit(&minutes->slots[at].number, memory_order_relaxed);

        if (there < number && atomic_compare_exchange_strong(&minutes->slots[at].number, &there, number)) {
                atomic_store_explicit(&minutes->slots[at].count, 0, memory_order_relaxed);
                atomic_store_explicit(&minutes->slots[at].total_ns, 0, memory_order_relaxed);
                atomic_store_explicit(&minutes->slots[at].errors, 0, memory_order_relaxed);
        } else if (there > number) {
                return;
        }
        atomic_fetch_add_explicit(&minutes->slots[at].count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&minutes->slots[at].total_ns, ns, memory_order_relaxed);
        if (failed)
                atomic_fetch_add_explicit(&minutes->slots[at].errors, 1, memory_order_relaxed);
}

struct sp__minute sp__minutes_at(const struct sp__minutes *minutes, int64_t number)
{
        size_t at = (size_t)number % SP__MINUTES;

        if (number <= 0 || atomic_load_explicit(&minutes->slots[at].number, memory_order_relaxed) != number)
                return (struct sp__minute){0};
        return (struct sp__minute){atomic_load_explicit(&minutes->slots[at].count, memory_order_relaxed),
                                   atomic_load_explicit(&minutes->slots[at].total_ns, memory_order_relaxed),
                                   atomic_load_explicit(&minutes->slots[at].errors, memory_order_relaxed)};
}
