/* SPDX-License-Identifier: MIT */
/**
 * One connection to Redis that everybody shares: trips are pipelined and answered in order.
 *
 *     DOWN ─ a trip ─> (RESOLVING) ─> CONNECTING ─> GREETING ─> UP
 *       ^                                                        │ an error, or the oldest trip is overdue
 *       └──────────────── BREAKING <─────────────────────────────┘ (until whoever drives it has noticed)
 *
 * It connects when it is needed. A failure fails every trip that is under way; the next one connects anew, but not before
 * a short, growing, jittered pause during which trips fail at once.
 *
 * Threads: any. The port's lock guards it.
 */
#ifndef SP_REDIS_LINK_H
#define SP_REDIS_LINK_H

#include "loop/engine.h"
#include "redis/address.h"
#include "redis/command.h"

#include <sugarperf/breaker.h>

struct sp__link;

struct sp__link_options {
        int64_t connect_timeout; /* ns */
        int64_t timeout;         /* ns: an answer that is later means that the connection is broken */
        /**
         * Adds one command that the server must accept before it sees any trip; `run_id` tells this server's life from any
         * other. The port's lock is held. May be NULL.
         */
        void (*greet)(void *arg, const char *run_id, struct sp__buf *out);
        void *arg;
        sp_breaker *breaker; /* asked before each trip, told of its outcome; the link's reference. NULL: none */
};

/** NULL: no memory or descriptor left. */
struct sp__link *sp__link_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__link_options *options);
/**
 * Sends it. `then(op)` is called once, on any thread, with no lock held, perhaps before this returns; op->owner is `owner`.
 * `caller` (may be NULL) is blocked in the operation that this is a step of. Takes the command; `then` may be NULL.
 */
void sp__link_run(struct sp__link *link, struct sp__command *command, sp__op *caller, void (*then)(sp__op *op),
                  void *owner);
/** Borrowed; NULL for none. */
sp_breaker *sp__link_breaker(struct sp__link *link);
/** Whether a connection ever stood. */
bool sp__link_stood(struct sp__link *link);
/** Fails what is under way and what is to come with SP_CLOSED. */
void sp__link_close(struct sp__link *link);
/** After closing. Its end comes on the engine's thread. In a child after fork(): closes the descriptor. */
void sp__link_free(struct sp__link *link);

#endif
