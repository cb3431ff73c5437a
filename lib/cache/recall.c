/* SPDX-License-Identifier: MIT */
/*
 * Without Redis nothing in process can be proven to hold. Where that is wished (cache.outage), what was in there when the touch was
 * lost, and what nobody here has invalidated since, is served all the same, up to its end, and the database is left alone.
 */
#include "cache/flight.h"

/* The cache's lock is held. Everybody gets it; for a while nobody asks again. */
static bool hold_recalled(struct sp__flight *flight, struct sp__list *waiters)
{
        sp_cache *cache = flight->cache;
        struct sp__item item;

        if (!sp__store_recall(cache->store, flight->key, flight->len, atomic_load(&cache->declared), &item))
                return false;
        sp__flight_mark(flight);
        sp__flight_hold(flight, &item, sp__now());
        flight->held_state = SP_LOOKUP_STALE;
        sp_value_unref(item.value);
        sp__seekers_take(flight, waiters);
        return true;
}

bool sp__flight_recall(struct sp__flight *flight)
{
        sp_cache *cache = flight->cache;
        bool never = flight->tmpl && sp__template_stale_ms(flight->tmpl) == 0;
        struct sp__list waiters;
        struct sp__batch done;
        bool recalled;

        if (cache->outage != SP__OUTAGE_STALE || !cache->store || never || atomic_load(&flight->anew))
                return false;
        sp__batch_init(&done);
        sp__list_init(&waiters);
        sp__lock(&cache->lock);
        recalled = hold_recalled(flight, &waiters);
        sp__unlock(&cache->lock);
        if (!recalled)
                return false;
        sp__seekers_answer(&waiters, SP_LOOKUP_STALE, flight->found.value, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        sp__flight_end_step(flight);
        return true;
}
