/* SPDX-License-Identifier: MIT */
/**
 * One connection to one Redis that everybody shares: trips are pipelined and answered in order.
 *
 *     DOWN ─ a trip ─> (LOCATING) ─> (RESOLVING) ─> CONNECTING ─> GREETING ─> UP
 *       ^                                                                     │ an error, or the oldest trip is overdue
 *       └────────────────────────── BREAKING <────────────────────────────────┘ (until whoever drives it has noticed)
 *
 * It connects when it is needed. A failure fails every trip that is under way, and none is sent twice; the next one connects
 * anew, but not before a short, growing, jittered pause during which trips fail at once.
 *
 * While trips are in flight in SP__PIPE_GROUPS sends, what comes meanwhile is only written into the buffer: whoever drives
 * sends it all at once when the next answers are there.
 *
 * Threads: any. The port's lock guards it.
 */
#ifndef SP_REDIS_PIPE_H
#define SP_REDIS_PIPE_H

#include "loop/engine.h"
#include "redis/address.h"
#include "redis/command.h"
#include "redis/stats.h"

#include <openssl/ssl.h>

struct sp__pipe;

/** A question for the server that is meant: answered once, by `then`, on any thread with no lock held. */
struct sp__locate {
        void (*then)(struct sp__locate *locate);
        struct sp__address address; /* the answer, owned by who asked */
        sp_error *error;            /* or why there is none */
};

struct sp__pipe_options {
        int64_t connect_timeout;       /* ns */
        int64_t timeout;               /* ns: an answer that is later means that the connection is broken */
        SSL_CTX *tls;                  /* for addresses that ask for it; a reference is taken */
        struct sp__redis_stats *stats; /* a reference is taken */
        bool primary;                  /* it must be no replica */
        /** NULL: the server is where the address says; else asked before each attempt. */
        void (*locate)(void *locate_arg, struct sp__locate *locate);
        void *locate_arg; /* until the engine's tasks of before sp__pipe_free() have run */
        /**
         * Adds one command that the server must accept before it sees any trip; `run_id` tells this server's life from any
         * other. The port's lock is held. false: nothing was added. May be NULL.
         */
        bool (*greet)(void *arg, const char *run_id, struct sp__buf *out);
        /** That command was answered by MOVED or such: the trips may come all the same. NULL: it is refused. The lock is held. */
        void (*strayed)(void *arg);
        void *arg;
};

enum { SP__PIPE_GROUPS = 2, SP__RUN_ID = 64 };

/** NULL: no memory or descriptor left. The address is copied. */
struct sp__pipe *sp__pipe_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__pipe_options *options);
/** Sends it; op.then, op.owner and op.caller are set. Takes the command. Answered once, perhaps before this returns. */
void sp__pipe_run(struct sp__pipe *pipe, struct sp__command *command);
/** Whether a connection ever stood. */
bool sp__pipe_stood(struct sp__pipe *pipe);
/** Nobody needs it for now: closes a connection that nobody uses. */
void sp__pipe_rest(struct sp__pipe *pipe);
/** Fails what is under way and what is to come with SP_CLOSED. */
void sp__pipe_close(struct sp__pipe *pipe);
/** After closing. Its end comes on the engine's thread. In a child after fork(): closes the descriptor. */
void sp__pipe_free(struct sp__pipe *pipe);

#endif
