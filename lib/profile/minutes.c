/* SPDX-License-Identifier: MIT */
#include "profile/minutes.h"

void sp__minutes_begin(struct sp__minutes *minutes, sp__minute_latest *latest, int64_t now_ns, struct sp__minute before)
{
        uint32_t there = atomic_load_explicit(latest, memory_order_relaxed);
        int64_t number = sp__minute_of(now_ns);
        size_t at = (size_t)number % SP__MINUTES;

        if (number <= there || !atomic_compare_exchange_strong(latest, &there, (uint32_t)number))
                return;
        atomic_store(&minutes->slots[at].number, 0);
        atomic_store_explicit(&minutes->slots[at].count, before.count, memory_order_relaxed);
        atomic_store_explicit(&minutes->slots[at].total_ns, before.total_ns, memory_order_relaxed);
        atomic_store_explicit(&minutes->slots[at].errors, before.errors, memory_order_relaxed);
        atomic_store_explicit(&minutes->slots[at].number, number, memory_order_release);
}

static struct sp__minute slot_at(const struct sp__minutes *minutes, int64_t number)
{
        size_t at = (size_t)number % SP__MINUTES;

        return (struct sp__minute){atomic_load_explicit(&minutes->slots[at].count, memory_order_relaxed),
                                   atomic_load_explicit(&minutes->slots[at].total_ns, memory_order_relaxed),
                                   atomic_load_explicit(&minutes->slots[at].errors, memory_order_relaxed)};
}

static bool begun(const struct sp__minutes *minutes, int64_t number)
{
        return number > 0 && atomic_load_explicit(&minutes->slots[(size_t)number % SP__MINUTES].number,
                                                  memory_order_acquire) == number;
}

/* What there was before the next minute in which something was recorded, or is there by now. */
struct sp__minute sp__minutes_at(const struct sp__minutes *minutes, int64_t number, struct sp__minute all)
{
        struct sp__minute from, to = all;

        if (!begun(minutes, number))
                return (struct sp__minute){0};
        from = slot_at(minutes, number);
        for (int64_t next = number + 1; next < number + SP__MINUTES; next++) {
                if (begun(minutes, next)) {
                        to = slot_at(minutes, next);
                        break;
                }
        }
        return (struct sp__minute){to.count - from.count, to.total_ns - from.total_ns, to.errors - from.errors};
}
