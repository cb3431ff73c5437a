/* SPDX-License-Identifier: MIT */
/* What the holder of a lease says of the entry to come, and how it gives the lease back; cache/fill.c is how it fills. */
#include "cache/lease.h"

#include "loop/port.h"

#include <stdlib.h>
#include <string.h>

sp_status sp_lease_tag(sp_lease *lease, const void *data, size_t len)
{
        if (!lease || !data || len == 0)
                return SP_INVALID;
        if (lease->flight->form)
                return SP_UNSUPPORTED;
        if (len > SP_TAG_MAX || lease->tag_count == SP__ENTRY_TAGS)
                return SP_LIMIT;
        lease->tags[lease->tag_count++] = sp__tag_of_name(data, len);
        return SP_OK;
}

sp_status sp_lease_ttl(sp_lease *lease, int64_t ttl_ms)
{
        if (!lease || ttl_ms < 0)
                return SP_INVALID;
        lease->ttl_ms = ttl_ms;
        return SP_OK;
}

sp_status sp_lease_expires(sp_lease *lease, int64_t unix_ms)
{
        if (!lease || unix_ms <= 0)
                return SP_INVALID;
        lease->expires_ms = unix_ms;
        return SP_OK;
}

int64_t sp_lease_remaining(const sp_lease *lease)
{
        int64_t until = lease ? lease->flight->lease_until : 0, now = sp__now();

        if (until == SP__FOREVER)
                return -1;
        return until > now ? (until - now) / SP__MS : 0;
}

/* The flight's state cannot be told from outside once it was given up, so what is released is said here. */
static void give_back(struct sp__flight *flight, sp_lease *lease)
{
        bool mine, passed = false;
        char token[SP__TOKEN_LEN + 1];
        struct sp__list waiters;
        struct sp__batch done;
        sp_value *stale = NULL;

        sp__list_init(&waiters);
        sp__lock(&flight->cache->lock);
        mine = flight->state == SP__FLIGHT_LEASED && flight->lease == lease;
        memcpy(token, flight->token, sizeof token);
        if (mine)
                sp__usage_count(flight->usage, SP__USED_FAILED);
        if (mine)
                passed = sp__flight_fail(flight, &waiters);
        if (!sp__list_empty(&waiters))
                stale = sp_value_ref(flight->found.value);
        sp__unlock(&flight->cache->lock);
        if (mine && !passed && flight->acquired)
                sp__flight_release(flight, token);
        sp__batch_init(&done);
        sp__seekers_answer(&waiters, SP_LOOKUP_STALE, stale, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        sp_value_unref(stale);
}

void sp_lease_release(sp_lease *lease)
{
        if (!lease)
                return;
        if (!atomic_load(&lease->flight->cache->gone)) {
                if (sp__engine_forked(lease->flight->cache->engine))
                        return;
                give_back(lease->flight, lease);
        }
        sp__flight_unref(lease->flight);
        free(lease);
}

void sp__lease_set_unfit(sp_lease *lease)
{
        sp__usage_count(lease->flight->usage, SP__USED_TOO_LARGE);
        lease->ttl_ms = 0;
}
