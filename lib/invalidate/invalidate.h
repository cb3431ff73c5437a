/* SPDX-License-Identifier: MIT */
/**
 * The invalidation machine, which every trigger ends in: trips that unlink keys and leases and append to the log, a bounded
 * number of aims each; then this process knows of it.
 */
#ifndef SP_INVALIDATE_INVALIDATE_H
#define SP_INVALIDATE_INVALIDATE_H

#include "core/op.h"
#include "invalidate/aims.h"

#include <sugarperf/invalidate.h>

/** As a step: `then(op)` is called once, with op->status and op->error; op->owner is `owner`. Takes the aims, which may be empty. */
sp_status sp__invalidate_step(sp_cache *cache, struct sp__aims *aims, sp__op *caller, void (*then)(sp__op *op),
                              void *owner);
/** Blocks; takes the aims. */
sp_status sp__invalidate_run(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims, sp_error **error);
/** To a queue; takes the aims. */
sp_status sp__invalidate_submit(sp_cache *cache, sp_ctx *ctx, struct sp__aims *aims, sp_queue *queue, uint64_t tag);

#endif
