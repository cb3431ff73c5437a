/* SPDX-License-Identifier: MIT */
#include "cache/times.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* ms before its end when a copy of an entry with this life is refreshed: never in its first half. */
static int64_t ahead(const struct sp__times *times, int64_t life, int64_t load_ms, double unit)
{
        if (times->refresh == 0 || load_ms <= 0)
                return 0;
        return least(life / 2, (int64_t)((double)load_ms * (1 - (double)times->refresh * log(1 - unit))));
}

static int64_t quarter(const struct sp__times *times)
{
        return times->sliding - times->sliding / 4 * 3;
}

/* Monotonic from wall-clock time, but never further away than the entry's whole life: clocks of machines differ. */
static int64_t moment(const struct sp__entry *entry, int64_t until, int64_t wall, int64_t now)
{
        int64_t left = least(until - wall, until - entry->made);

        return left > 0 ? sp__after_ms(now, left) : 0;
}

void sp__times_make(const struct sp__times *times, int64_t ttl, bool stale, int64_t load_ms, double unit,
                    struct sp__entry *entry, struct sp__item *item)
{
        int64_t now = sp__now(), wall = sp__wall_ms(), keep = stale && times->sliding == 0 ? times->stale : 0;
        int64_t fresh, attend;

        ttl = least(ttl, SP__ENTRY_FRESH_MOST);
        fresh = times->sliding > 0 ? least(ttl, times->sliding) : ttl;
        entry->made = wall;
        entry->load_ms = (uint16_t)least(load_ms, SP__LOAD_MOST);
        entry->fresh_until = wall + fresh;
        entry->kept_until = wall + ttl + keep;
        attend = times->sliding > 0 ? least(fresh, quarter(times)) : fresh - ahead(times, fresh, load_ms, unit);
        item->fresh_until = attend > 0 ? sp__after_ms(now, attend) : now;
        item->kept_until = sp__after_ms(now, ttl + keep);
}

void sp__times_find(const struct sp__times *times, const struct sp__entry *entry, double unit, struct sp__item *item)
{
        int64_t now = sp__now(), wall = sp__wall_ms();

        item->fresh_until = moment(entry, entry->fresh_until, wall, now);
        item->kept_until = moment(entry, entry->kept_until, wall, now);
        if (item->fresh_until == 0)
                return;
        if (times->sliding > 0)
                item->fresh_until -= times->sliding / 4 * 3 * SP__MS;
        else
                item->fresh_until -= ahead(times, entry->fresh_until - entry->made, entry->load_ms, unit) * SP__MS;
}

enum sp__attention sp__times_attend(const struct sp__times *times, const struct sp__item *item, int64_t now)
{
        if (times->sliding > 0)
                return now < least(item->kept_until, item->fresh_until + times->sliding / 4 * 3 * SP__MS)
                           ? SP__ATTENTION_RENEW
                           : SP__ATTENTION_PAST;
        if (now >= item->kept_until)
                return SP__ATTENTION_PAST;
        return times->refresh > 0 && now < item->kept_until - times->stale * SP__MS ? SP__ATTENTION_REFRESH
                                                                                    : SP__ATTENTION_STALE;
}

void sp__times_renew(const struct sp__times *times, struct sp__item *item, int64_t now)
{
        item->fresh_until = least(item->kept_until, sp__after_ms(now, quarter(times)));
}

int64_t sp__times_slid(const struct sp__times *times)
{
        return sp__wall_ms() + times->sliding;
}
