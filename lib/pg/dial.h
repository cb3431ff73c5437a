/* SPDX-License-Identifier: MIT */
/**
 * One attempt to connect: the addresses that the target's servers have now, one tried after the other until one will do.
 * What may block (a name server) is asked on a helper thread of the engine's, so that libpq is given nothing but numbers; it still
 * has the name, for TLS and password files.
 *
 * libpq could go through the list itself, but would spend the whole time on a server that does not answer.
 *
 * Threads: the lock of its connection's port guards it, but while it is asked about: then it is the helper's.
 */
#ifndef SP_PG_DIAL_H
#define SP_PG_DIAL_H

#include "base/buf.h"
#include "loop/engine.h"
#include "pg/fault.h"
#include "pg/target.h"

#include <libpq-fe.h>

struct sp__dial_end;

struct sp__dial {
        struct sp__task task;
        struct sp__engine *engine;
        struct sp__target *target;
        void *owner;
        /** The engine's thread, no lock held: it knows where to go. It may have been dropped. */
        void (*then)(struct sp__dial *dial);
        atomic_bool dropped;
        bool asked;      /* it is on its way through the helper, and frees itself if it is dropped */
        bool replicates; /* a connection that takes replication commands */
        int64_t since;
        char *password; /* NULL: what the target says */
        struct sp__dial_end *ends;
        size_t count, at;
        struct sp__buf faults; /* what each of them said */
        bool silent;           /* the last one said nothing in time */
        bool hopeful;          /* another attempt may help */
        struct sp__connect_fault last;
};

/** NULL: out of memory. */
struct sp__dial *sp__dial_new(struct sp__target *target, struct sp__engine *engine, void *owner,
                              void (*then)(struct sp__dial *dial));
/** true: it knows where to go already. false: then() will be called, once. */
bool sp__dial_ask(struct sp__dial *dial);
/** For then(): true: it was dropped, and is gone now. */
bool sp__dial_over(struct sp__dial *dial);
/** Nobody wants it any more. */
void sp__dial_drop(struct sp__dial *dial);

/** How many ends are left, the one that is tried among them. */
size_t sp__dial_left(const struct sp__dial *dial);
/** Starts to connect to the present end; NULL: out of memory. */
PGconn *sp__dial_start(struct sp__dial *dial);
/** The present end failed (NULL: for want of memory). true: the next one is to be tried. */
bool sp__dial_failed(struct sp__dial *dial, const PGconn *pg);
/** The present end did not answer in time. */
bool sp__dial_late(struct sp__dial *dial);
/** It stands: later attempts begin here. Returns its place, which lives as long as the target. */
const char *sp__dial_stands(struct sp__dial *dial);
/** What the ends said, for the caller to own; `connect_ms` was the limit. */
sp_error *sp__dial_error(struct sp__dial *dial, int64_t connect_ms, sp_status *status);

#endif
