/* SPDX-License-Identifier: MIT */
/**
 * Who wants to hear of something's next event: a breaker's change of state, a password that was refused, what a pool has to say.
 * Events are numbered from 1 on; a watch is answered once, by events above the number that it has seen. An object of its own,
 * because a context that is cancelled may reach a watch whose owner is just being freed.
 *
 * Threads: any. Its lock is a leaf, held while the functions of what is watched are called; no lock is held by who calls here.
 */
#ifndef SP_CORE_WATCH_H
#define SP_CORE_WATCH_H

#include <stddef.h>
#include <sugarperf/base.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

struct sp__watchers;

/** What is watched; `events` is its memory of what happened, all zeros at first. */
struct sp__watched {
        size_t size; /* of `events` */
        /** Keeps `event`, which belongs to the caller. Returns the number of the latest that is known. */
        uint64_t (*keep)(void *events, void *event);
        /** What a watch is told that has seen those up to `seen`, of which there are later ones. NULL: out of memory. */
        sp_value *(*describe)(const void *events, uint64_t seen);
        /** Frees what `events` points to; may be NULL. */
        void (*forget)(void *events);
};

/** NULL when out of memory. `kind` lives as long as the program. */
struct sp__watchers *sp__watchers_new(const struct sp__watched *kind);
/** No event will come any more: all that wait end with SP_CLOSED. */
void sp__watchers_end(struct sp__watchers *watchers);
/** The owner's reference; may be NULL. */
void sp__watchers_unref(struct sp__watchers *watchers);
/** Answered by what is above `seen`, at once or when it happens. */
sp_status sp__watchers_add(struct sp__watchers *watchers, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);
/** It happened. */
void sp__watchers_tell(struct sp__watchers *watchers, void *event);

/** An event of which only the latest counts, and which may be told out of order. */
struct sp__latest {
        uint64_t number; /* 0: none yet */
        int from, to;
};

/** `keep` for those: the events are one `struct sp__latest`, and so is the event. */
uint64_t sp__latest_keep(void *last, void *change);

#endif
