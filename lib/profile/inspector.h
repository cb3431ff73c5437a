/* SPDX-License-Identifier: MIT */
/**
 * Asks databases about statements, beside the work: one thread, which starts with the first job and takes one after the
 * other, on connections of its own that the client hands in. A job is an operation like any other: it is answered once, to a
 * caller that waits or to a queue.
 *
 * Threads: any. Stop and free are called once, last, by nobody's job.
 */
#ifndef SP_PROFILE_INSPECTOR_H
#define SP_PROFILE_INSPECTOR_H

#include "core/op.h"

#include <sugarperf/pool.h>

/** What the client hands in. */
struct sp__sides {
        /** The pool to ask on about the pool of this name, borrowed; made at first need. Any thread. */
        sp_pool *(*side)(void *arg, const char *pool, sp_error **error);
        void *arg;
};

struct sp__inspector;

/** What a job does on the inspector's thread. `what` is its subject. */
typedef sp_status sp__inspect(void *owner, sp_pool *side, sp_ctx *ctx, const char *what, sp_value **out,
                              sp_error **error);

struct sp__inquiry {
        sp__inspect *run;
        void *owner;
        const char *pool; /* "default", "orders"; copied, as the next */
        const char *what;
};

/** NULL: out of memory. */
struct sp__inspector *sp__inspector_new(const struct sp__sides *sides);
/** Ends what runs and what waits with SP_CLOSED; nothing new is taken. NULL: nothing happens, here and below. */
void sp__inspector_close(struct sp__inspector *inspector);
/** Closes it and waits for the end of its thread. */
void sp__inspector_stop(struct sp__inspector *inspector);
/** After the stop. */
void sp__inspector_free(struct sp__inspector *inspector);

sp_status sp__inspector_ask(struct sp__inspector *inspector, sp_ctx *ctx, const struct sp__inquiry *inquiry,
                            sp_value **out, sp_error **error);
sp_status sp__inspector_ask_async(struct sp__inspector *inspector, sp_ctx *ctx, const struct sp__inquiry *inquiry,
                                  sp_queue *queue, uint64_t tag);
/** Nobody waits for its answer. Not taken where another one waits. */
void sp__inspector_note(struct sp__inspector *inspector, const struct sp__inquiry *inquiry);

#endif
