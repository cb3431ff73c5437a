/* SPDX-License-Identifier: MIT */
/** The pool as the rooms below it use it. */
#ifndef SP_PG_POOL_H
#define SP_PG_POOL_H

#include "core/op.h"
#include "core/params.h"
#include "loop/engine.h"
#include "observe/exposition.h"

#include <sugarperf/breaker.h>
#include <sugarperf/pool.h>
#include <sugarperf/session.h>

/** What was measured of one statement. Texts live as long as the call. */
struct sp__stmt_record {
        const char *name;
        const char *text;     /* normalised */
        const sp_stmt *stmt;  /* NULL where it is not at hand */
        uint64_t fingerprint; /* 0: a statement of the library's own */
        const char *pool;
        const char *place; /* of the server: host:port */
        int64_t wait_ns;
        int64_t execute_ns;
        int64_t fetch_ns;
        int64_t done_ns; /* when it was answered */
        int64_t rows;    /* returned, or changed */
        int64_t bytes;   /* of memory that its rows take */
        sp_status status;
        const char *code;  /* SQLSTATE, "" for none */
        const sp_ctx *ctx; /* may be NULL */
};

/** What the client hands in. Called on any thread, with no lock held; NULL, or all of them. */
struct sp__pool_watcher {
        /* A statement under a context is asked for, on its caller's thread. What it returns lives as long as the context. */
        void *(*asked)(void *arg, const sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params);
        /*
         * Once for each of these, where it is let go of: mostly on its caller's thread, perhaps after the pool and `arg`. It took
         * so long; 0: it was not sent, or `ran` was not told of it. true: it took the reference to the statement.
         */
        bool (*over)(void *asked, int64_t ns);
        /* Once a statement that was sent, where its end was seen. */
        void (*ran)(void *arg, const struct sp__stmt_record *record);
        void *arg;
};

/** As sp_pool_new(), on an engine that outlives it (NULL: one of its own). */
sp_status sp__pool_new(const sp_config *config, const char *name, struct sp__engine *engine,
                       const struct sp__pool_watcher *watcher, sp_pool **out, sp_error **error);

/** As sp__pool_new(), a replica's, which is called `replica`; NULL: none, and it has its own replicas. */
sp_status sp__pool_new_as(const sp_config *config, const char *name, const char *replica, struct sp__engine *engine,
                          const struct sp__pool_watcher *watcher, sp_pool **out, sp_error **error);

/**
 * Runs a statement as a step of another operation. `then(op)` is called once with the answer, on any thread, with no lock
 * held: op->status, op->error, and on success op->what, an sp_result (take it by setting op->what to NULL); op->owner is
 * `owner`. `caller` is the outer operation's caller (op->caller): if a thread is blocked in it, that thread drives.
 * The step is cancelled by its own deadline and by `ctx`. SP_OK: then() will be called (perhaps it was already).
 * Copies the parameters. A step is never refused for want of a place in a queue.
 */
sp_status sp__pool_step(sp_pool *pool, sp_ctx *ctx, int64_t deadline, const sp_stmt *stmt, const sp_params *params,
                        sp__op *caller, void (*then)(sp__op *op), void *owner, sp_error **error);

/**
 * sp_pool_health() as a step: `then(op)` is called once, on any thread, with no lock held, within a second and by `deadline`;
 * on success op->what is the report, an sp_value. false: out of memory, it will not be called.
 */
bool sp__pool_health_step(sp_pool *pool, int64_t deadline, void (*then)(sp__op *op), void *owner);

/**
 * Gives `keep` each breaker (borrowed): one of each host, named pool-<name>@host:port/primary, and …/replica of the replicas';
 * none unless `pool.breaker`. Ends with what is not SP_OK.
 */
sp_status sp__pool_each_breaker(sp_pool *pool, sp_status (*keep)(void *arg, sp_breaker *breaker), void *arg);
/** Writes the pool's metrics. Any thread. */
void sp__pool_collect(void *pool, struct sp__expo *expo);

#endif
