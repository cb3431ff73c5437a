/* SPDX-License-Identifier: MIT */
/**
 * COPY on a session's connection. libpq forbids it in pipeline mode, so the connection leaves that once nothing is in flight,
 * and enters it again when the COPY is over; where it cannot be brought to an end in order it is closed.
 *
 *     WAITING -> STARTING -> IN | OUT -> ENDING -> ENDED
 *
 * One operation at a time; the socket is read only while somebody wants what comes.
 */
#ifndef SP_PG_COPY_H
#define SP_PG_COPY_H

#include "loop/limit.h"

#include <libpq-fe.h>
#include <sugarperf/session.h>

struct sp__conn;
struct sp__unit;
struct sp__copying;

enum sp__copy_state { SP__COPY_WAITING, SP__COPY_STARTING, SP__COPY_IN, SP__COPY_OUT, SP__COPY_ENDING, SP__COPY_ENDED };

struct sp_copy {
        atomic_uint refs; /* the holder's, the connection's, and one for each operation */
        sp_session *session;
        sp_pool *pool;
        struct sp__conn *conn;
        sp_stmt *stmt;

        /* The port's lock. */
        enum sp__copy_state state;
        struct sp__unit *unit;  /* its beginning, until that is answered */
        struct sp__copying *op; /* under way, with a reference */
        PGresult *error;        /* how it failed */
        bool failed;
        bool told; /* … and somebody was told */
        int64_t rows;
};

enum sp__copy_verb { SP__COPY_WRITE, SP__COPY_READ, SP__COPY_END };

/** A write, a read or the end. */
struct sp__copying {
        sp__op op;
        sp_copy *copy; /* a reference */
        enum sp__copy_verb verb;
        const char *data; /* the blocked caller's, or `kept` */
        char *kept;
        size_t len, off;
        struct sp__limit limit; /* of an asynchronous one */
};

/* copy_io.c: the port's lock is held */

/** Begins, as soon as nothing is in flight. The unit ends once the server is ready for data, or refused. */
void sp__copy_put(struct sp__conn *conn, struct sp__unit *unit);
/** What was in flight has ended, perhaps. */
void sp__copy_begin(struct sp__conn *conn);
/** Whether the socket is the COPY's. */
bool sp__copy_drives(const struct sp__conn *conn);
bool sp__copy_busy(const struct sp__conn *conn);
void sp__copy_ready(struct sp__conn *conn, uint32_t events, struct sp__batch *done);
/** Makes what progress there is. */
void sp__copy_advance(struct sp__conn *conn, struct sp__batch *done);
/** Its holder lets it go: it is ended in order if that is possible, else by the connection's end. */
void sp__copy_abort(struct sp__conn *conn);
/** The connection can only be closed. */
void sp__copy_kill(struct sp__conn *conn);
/** The connection is closed. */
void sp__copy_lost(struct sp__conn *conn);

/* copy.c: no lock held, unless it says otherwise */

/** Tells how it failed: the server's error, else its connection was lost. The port's lock may be held. */
void sp__copy_fail(struct sp__copying *copying, struct sp__batch *done);

/** One has ended, NULL: none, and the operation whose connection was lost: the references are consumed. */
void sp__copy_tell(struct sp__conn *conn, sp_copy *left, struct sp__copying *orphan);
void sp__copy_unref(sp_copy *copy);

#endif
