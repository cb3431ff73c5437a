/* SPDX-License-Identifier: MIT */
/**
 * A connection that reads the server's log. It belongs to one thread, which may block in it: reading what a batch of 100,000
 * rows changed must not hold up the engine's other work. Every wait ends when `stop` becomes readable (SP_CLOSED). The thread
 * stands at the exit's gate (loop/exit.h), which is left during waits.
 *
 *     sp__replication_open(pool, stop, &replication, &error);
 *     sp__replication_ask(replication, "SELECT …", 5000, &result, &error);
 *     sp__replication_start(replication, slot, publication, &error);
 *     while (sp__replication_next(replication, until, &message, &error) == SP_OK)
 *             …
 *     sp__replication_close(replication);
 */
#ifndef SP_PG_REPLICATION_H
#define SP_PG_REPLICATION_H

#include <libpq-fe.h>
#include <sugarperf/pool.h>

struct sp__replication;

/** To where the pool connects, within its time. Names and passwords are found as for the pool's own connections. */
sp_status sp__replication_open(sp_pool *pool, int stop, struct sp__replication **out, sp_error **error);
void sp__replication_close(struct sp__replication *replication);
/** Statements of SQL, or one command of replication's, before it was started; the last one's result, to be cleared. */
sp_status sp__replication_ask(struct sp__replication *replication, const char *text, int64_t timeout_ms, PGresult **out,
                              sp_error **error);
/** One that may take long: it is sent; what came of it by `until` (ns), `*out` NULL: nothing yet, ask again. */
sp_status sp__replication_send(struct sp__replication *replication, const char *text, sp_error **error);
sp_status sp__replication_answer(struct sp__replication *replication, int64_t until, PGresult **out, sp_error **error);
/** The server's process, and its version, 150008. */
int sp__replication_pid(const struct sp__replication *replication);
int sp__replication_version(const struct sp__replication *replication);
/** A name or a text as SQL writes it, into a buffer that ends with a zero byte. */
struct sp__buf;
void sp__replication_literal(struct sp__replication *replication, struct sp__buf *out, const char *text);

/** From where the slot was confirmed. The error's code is the server's. */
sp_status sp__replication_start(struct sp__replication *replication, const char *slot, const char *publication,
                                sp_error **error);

struct sp__replicated {
        const char *data; /* NULL: nothing came; else a message of pgoutput's, until the next call */
        size_t len;
        uint64_t place;   /* of the message in the log */
        uint64_t wal_end; /* how far the server's log is, as far as it has said */
        bool caught_up;   /* it has sent all that it had (a sign of life of its) */
        bool asks;        /* it wants to know at once how far we are */
};

/** The next message; none came by `until` (ns): SP_OK with neither data nor caught_up. SP_LOST: the connection ended. */
sp_status sp__replication_next(struct sp__replication *replication, int64_t until, struct sp__replicated *out,
                               sp_error **error);
/** All up to there is done: it need not be sent again. */
sp_status sp__replication_confirm(struct sp__replication *replication, uint64_t lsn, sp_error **error);

#endif
