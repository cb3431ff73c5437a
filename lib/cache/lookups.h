/* SPDX-License-Identifier: MIT */
/** Many look-ups of one call, and what becomes of them. Threads: one at a time; a fill under way has what it stores to itself. */
#ifndef SP_CACHE_LOOKUPS_H
#define SP_CACHE_LOOKUPS_H

#include "base/buf.h"
#include "cache/flight.h"

struct sp__lookups_item {
        size_t at; /* its key, in `keys` */
        uint32_t len;
        int state;
        sp_value *value; /* a reference, or NULL */
        sp_lease *lease;
        sp_value *put; /* what the lease is to be filled with: a reference, or NULL */
};

struct sp_lookups {
        atomic_uint refs;    /* of the caller, and of a fill under way */
        sp_cache *cache;     /* memory alone: a reference */
        atomic_bool slotted; /* they hold a slot of the cache's; whoever ends first gives it, the caller or a fill */
        struct sp__buf keys;
        size_t count;
        struct sp__lookups_item items[];
};

/** Copies the keys and checks them, as sp__cache_admit(). */
sp_status sp__lookups_new(sp_cache *cache, sp_ctx *ctx, const sp_params *keys, sp_lookups **out, sp_error **error);
/** Given back by sp_lookups_free(), like the caller's own. */
void sp__lookups_ref(sp_lookups *lookups);
/** Takes what one look-up found. */
void sp__lookups_settle(sp_lookups *lookups, size_t index, sp_lookup *lookup);
/** Whether something in there is to be loaded. */
static inline bool sp__lookups_owe(const sp_lookups *lookups)
{
        return sp_lookups_next(lookups, 0) < lookups->count;
}
/** Lets others load. */
void sp__lookups_give_slot(sp_lookups *lookups);
void sp__lookups_drop(void *lookups);

#endif
