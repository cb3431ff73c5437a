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

#endif
