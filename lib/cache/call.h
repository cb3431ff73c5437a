/* SPDX-License-Identifier: MIT */
/**
 * A call on a cache that goes on by itself, trip after trip, once it was begun: who waits for it and how long, and that the cache
 * outlives it.
 *
 *     sp__call_init(&scanning->call, &scanning_kind, cache, ctx);
 *     return sp__call_run(&scanning->call, start, error);              or sp__call_submit(&scanning->call, start, queue, tag)
 *     …
 *     sp__call_finish(&scanning->call, SP_OK, NULL);                   the last step
 */
#ifndef SP_CACHE_CALL_H
#define SP_CACHE_CALL_H

#include "cache/cache.h"
#include "loop/limit.h"

struct sp__call {
        sp__op op;
        sp_cache *cache;
        struct sp__limit limit;
        bool rests; /* it was settled: whoever did that had the cache until then, steps under way or not */
};

static inline struct sp__call *sp__call_of(sp__op *op)
{
        return SP__OF(op, struct sp__call, op);
}

/** With zeros around; `ctx` may be NULL. */
void sp__call_init(struct sp__call *call, const struct sp__op_kind *kind, sp_cache *cache, sp_ctx *ctx);
/** Blocks. `start` begins the steps, which have a reference and the cache's patience until sp__call_finish(). */
sp_status sp__call_run(struct sp__call *call, void (*start)(struct sp__call *call), sp_error **error);
/** The same of one that yields something: `*what`, on success. */
sp_status sp__call_run_for(struct sp__call *call, void (*start)(struct sp__call *call), void **what, sp_error **error);
/** To a queue, at the context's deadline at the latest. */
sp_status sp__call_submit(struct sp__call *call, void (*start)(struct sp__call *call), sp_queue *queue, uint64_t tag);
/** As a step of another operation: op.then, op.owner and op.caller are set. */
void sp__call_step(struct sp__call *call, void (*start)(struct sp__call *call));
/** It yields nothing. Takes the error, and the steps' reference. */
void sp__call_finish(struct sp__call *call, sp_status status, sp_error *error);
/** For the kind's settled(). */
void sp__call_settled(sp__op *op);
/** For its destroy(). */
void sp__call_end(struct sp__call *call);

#endif
