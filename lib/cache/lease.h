/* SPDX-License-Identifier: MIT */
/** Filling a lease, as other files of this room do it. */
#ifndef SP_CACHE_LEASE_H
#define SP_CACHE_LEASE_H

#include "cache/flight.h"

/**
 * Fills as a step of another operation and ends the lease. `then` is called once; the value stays the caller's. A status
 * other than SP_OK: it was not stored. `ctx` (may be NULL): whose unit of work it was read in. false: out of memory; the lease
 * was given back.
 */
bool sp__lease_fill_step(sp_lease *lease, sp_value *value, sp_ctx *ctx, sp__op *caller, void (*then)(sp__op *op),
                         void *owner);
/**
 * As sp_lease_fill(), and SP_OK, if stored or not; what cannot be stored for its size goes to who waits for it all the same.
 * SP_INVALID: it is nothing that can be stored under that key.
 */
sp_status sp__lease_give(sp_lease *lease, sp_ctx *ctx, sp_value *value, sp_error **error);
/** For sp__lease_fill_step(): its value is of that kind. */
void sp__lease_set_unfit(sp_lease *lease);

#endif
