/* SPDX-License-Identifier: MIT */
/**
 * An operation: one piece of work that is answered exactly once. It is its own completion node, so a submission can be
 * refused but a completion cannot fail.
 *
 *     pending ── settle (first one wins) ──> settled ── deliver ──> queue | blocked caller | continuation
 *
 * Settling only marks the operation and puts it into a batch; delivering happens after the caller let go of its locks.
 * References: one for whom it is delivered to, one for every list, timer or connection that holds it. An operation that
 * was settled early (deadline, cancellation) lives on in its connection until the server's answer has passed.
 *
 * Threads: any. Fields are written before the operation is shared, or by whoever settled it.
 */
#ifndef SP_CORE_OP_H
#define SP_CORE_OP_H

#include "base/list.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

typedef struct sp_completion sp__op;
struct sp__port;

/** What is known of a caller that waits, and where its thread is. */
enum { SP__WAIT_DONE = 1, SP__WAIT_POKED = 2, SP__WAIT_POLLS = 4, SP__WAIT_SLEEPS = 8 };

enum sp__yield {
        SP__YIELD_NONE,
        SP__YIELD_RESULT,
        SP__YIELD_VALUE,
        SP__YIELD_SESSION,
        SP__YIELD_LOOKUP,
        SP__YIELD_LOOKUPS,
        SP__YIELD_TURN,
        SP__YIELD_STREAM,
        SP__YIELD_COPY,
        SP__YIELD_REPLY
};

/** What the rooms say of their kind of operation. */
struct sp__op_kind {
        /**
         * Somebody wants it to end (SP_TIMEOUT, SP_CANCELLED, SP_CLOSED): settle it, if it still is pending, and let go of what
         * it waits for. No locks held; any thread; may come more than once.
         */
        void (*cancel)(sp__op *op, sp_status why);
        /** It was settled, by whomever: stop its timer. Called once, no locks held, before it is delivered. */
        void (*settled)(sp__op *op);
        /** The last reference is gone: free it and what it owns (but error, yield and context, which outlives it). */
        void (*destroy)(sp__op *op);
};

struct sp_completion {
        const struct sp__op_kind *kind;
        struct sp__list link;      /* of the room: the list that says where it is; the room's lock */
        struct sp__list done_link; /* of a batch, then of its queue; the queue's lock */
        atomic_uint refs;
        atomic_bool taken;   /* somebody settles it */
        atomic_bool settled; /* status, error and yield are there */
        uint64_t tag;

        sp_status status;
        sp_error *error;
        enum sp__yield yield;
        void *what; /* owned, by the yield */
        void (*what_free)(void *what);

        /* Who is told: the queue, else the continuation, else the caller that waits. */
        sp_queue *queue;
        void (*then)(sp__op *op);
        void *owner; /* for the continuation */

        sp_ctx *ctx; /* a reference, or NULL */
        struct sp__list ctx_link;
        int64_t deadline;

        /* Whose thread is blocked until this is answered, and may drive: itself, the operation that it is a step of, or NULL. */
        sp__op *caller;

        /* For a caller that waits. */
        sp__mutex wait_lock;
        bool waits;       /* set before it is shared */
        atomic_uint wait; /* SP__WAIT_…: told; look again, something moved; its thread is in poll(); it sleeps */
        int polls;        /* the eventfd that wakes it from poll(); for others while it is there, under wait_lock */
        struct sp__list port_link;       /* among those who could drive; the lock of `port` */
        _Atomic(struct sp__port *) port; /* where its answer is awaited, NULL: nowhere; that one's lock */
        atomic_bool gone;                /* the thread no longer waits: it must not be given a token */
};

struct sp__batch {
        struct sp__list list;
};

/** With one reference, for the one it is delivered to. `deadline` SP__FOREVER: none but the context's. */
void sp__op_init(sp__op *op, const struct sp__op_kind *kind, sp_ctx *ctx, int64_t deadline);
/** It will be answered to a queue; SP_FULL or SP_FORKED refuse. Before it is shared. */
sp_status sp__op_to_queue(sp__op *op, sp_queue *queue, uint64_t tag);
/**
 * It will be answered to a caller that calls sp__op_wait() (loop/port.h), and drives until then unless its context stands back.
 * Before it is shared.
 */
void sp__op_to_caller(sp__op *op);
/** Registers it with its context, so that cancelling reaches it, unless it was settled. SP_CANCELLED when that is over. */
sp_status sp__op_enlist(sp__op *op);
/**
 * A submission for `queue` that is refused with an error (taken, may be NULL): where there is something to say, one
 * completion says it and the answer is SP_OK; else the status, and none arrives.
 */
sp_status sp__op_refuse(sp_queue *queue, uint64_t tag, sp_status status, sp_error *error);
/** As SP__NEED() (core/error.h), in a call that answers to a queue, which itself is there. */
#define SP__NEED_FOR(queue, tag, argument)                                                                             \
        do {                                                                                                           \
                if (__builtin_expect(!(argument), 0))                                                                  \
                        return sp__op_missing(queue, tag, __func__, #argument);                                        \
        } while (0)
sp_status sp__op_missing(sp_queue *queue, uint64_t tag, const char *function, const char *argument)
    __attribute__((cold));
/** A submission for `queue` that has nothing to wait for: one completion arrives, with success and `what`, freed when refused. */
sp_status sp__op_at_once(sp_queue *queue, uint64_t tag, enum sp__yield yield, void *what, void (*what_free)(void *));
/** A submission that was refused: undoes the above and drops the caller's reference. */
void sp__op_abandon(sp__op *op);
/** Makes it ready to be begun, for a queue, or for a caller that then calls sp__op_wait(). Where it is refused, it was abandoned. */
sp_status sp__op_for_queue(sp__op *op, sp_queue *queue, uint64_t tag);
sp_status sp__op_for_caller(sp__op *op, sp_error **error);

sp__op *sp__op_ref(sp__op *op);
void sp__op_unref(sp__op *op);

static inline bool sp__op_pending(const sp__op *op)
{
        return !atomic_load(&op->taken);
}

void sp__batch_init(struct sp__batch *batch);
/** true: the caller settles it, by sp__op_end(), and soon. false: another one does. Any lock may be held. */
bool sp__op_claim(sp__op *op);
/** Ends what was claimed; `error` (may be NULL) is owned from now on. */
void sp__op_end(sp__op *op, sp_status status, sp_error *error, struct sp__batch *batch);
/** The same with success and what it yields. */
void sp__op_end_with(sp__op *op, enum sp__yield yield, void *what, void (*what_free)(void *), struct sp__batch *batch);
/**
 * Ends it with a status and an error (owned from now on, may be NULL). false: another one was first, and the error is freed.
 * The batch holds a reference until it is delivered. Any lock may be held.
 */
bool sp__op_fail(sp__op *op, sp_status status, sp_error *error, struct sp__batch *batch);
/** Ends it with success; `what` is freed where another one was first. */
bool sp__op_yield(sp__op *op, enum sp__yield yield, void *what, void (*what_free)(void *), struct sp__batch *batch);
/** Tells everybody. No locks held. Continuations run here, on this thread. */
void sp__batch_deliver(struct sp__batch *batch);

/**
 * Ends it, where it is alone in its batch, and tells: with success that yields nothing, or with a status and an error (taken, may be
 * NULL). No locks held.
 */
void sp__op_conclude(sp__op *op, sp_status status, sp_error *error);
/** The same of what was claimed. */
void sp__op_end_alone(sp__op *op, sp_status status, sp_error *error);
/** For a kind's cancel(), which says what was waited for. */
void sp__op_give_up(sp__op *op, sp_status why, const char *what);

/** For who waited: what it yielded (`what` may be NULL where it yields nothing) or its error, and drops the caller's reference. */
sp_status sp__op_take(sp__op *op, void **what, sp_error **error);

/** For a caller that waits: something moved, look again. Any thread; may be called with the room's locks held. */
void sp__op_poke(sp__op *op);
#endif
