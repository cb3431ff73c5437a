/* SPDX-License-Identifier: MIT */
/**
 * Who wants to hear of something's next change (a breaker's state, a password that was refused). The list is an object of its
 * own, because a context that is cancelled may reach a watch whose owner is just being freed.
 *
 * Threads: any. Its lock is a leaf; a change is told while no lock is held.
 */
#ifndef SP_GUARD_WATCH_H
#define SP_GUARD_WATCH_H

#include <sugarperf/base.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

struct sp__watchers;

struct sp__change {
        uint64_t number; /* of the changes of this one, from 1 on; 0: none */
        int from, to;
};

/** What a watch that has seen the changes up to `seen` is told of a later one. */
typedef sp_value *sp__describe_change(const struct sp__change *change, uint64_t seen);

/** NULL when out of memory. */
struct sp__watchers *sp__watchers_new(sp__describe_change *describe);
/** No change will come any more: all that wait end with SP_CLOSED. */
void sp__watchers_close(struct sp__watchers *watchers);
/** Watches answer with the first change whose number is above `seen`. */
sp_status sp__watchers_add(struct sp__watchers *watchers, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);
/** A change happened. Changes of one breaker may be told out of order: the latest one is kept. */
void sp__watchers_tell(struct sp__watchers *watchers, const struct sp__change *change);

#endif
