/* SPDX-License-Identifier: MIT */
/**
 * The ear of a pool: one session that listens to the channels of all its listeners. When its connection is lost it takes
 * another one, as soon as the pool has one, and tells each listener that messages may have been missed.
 */
#ifndef SP_PG_EAR_H
#define SP_PG_EAR_H

#include "loop/engine.h"

#include <stdatomic.h>
#include <libpq-fe.h>
#include <sugarperf/session.h>

struct sp__batch;
struct sp__conn;

struct sp_listener {
        atomic_uint refs; /* the holder's, and one for each operation and step */
        sp_pool *pool;
        char *channel;
        sp_stmt *listen, *unlisten;

        /* The pool's lock. */
        struct sp__list link;    /* among the ear's, or those that are gone */
        struct sp__list items;   /* not taken yet, oldest first */
        struct sp__list waiting; /* operations, oldest first; not with items */
        size_t count;            /* of items */
        bool asked;              /* LISTEN was sent on the ear's session */
        bool before;             /* it was heard once: the next time something may have been missed */
};

/** The pool's lock guards it. */
struct sp__ear {
        struct sp__list listeners;
        struct sp__list gone; /* whose channel is to be left; with a reference */
        sp_session *session;  /* NULL: none */
        bool seeking;         /* a session was asked for */
        bool failed;          /* the session is to be given up */
        bool pinging;
        int64_t ping_at;
        int faults;             /* in a row */
        struct sp__timer timer; /* looks what is to be done */
};

void sp__ear_init(struct sp__ear *ear);
/** The pool's lock is held. */
void sp__ear_add(sp_pool *pool, sp_listener *listener);
void sp__ear_remove(sp_pool *pool, sp_listener *listener);
/** Its session's connection is gone. The pool's lock is held. */
void sp__ear_lost(sp_pool *pool);
/** What the server said, owned by the callee: notifications that are linked by `next`. No lock held. */
void sp__ear_heard(struct sp__conn *conn, PGnotify *notes);
/** The pool closes: who waits is told, nothing is heard any more. No lock held. */
void sp__ear_close(sp_pool *pool);

/* listener.c. The pool's lock is held. */

/** Consumes the reference (NULL: out of memory). */
void sp__listener_tell(sp_listener *listener, sp_value *value, struct sp__batch *done);
/** It is listened to from here on. */
void sp__listener_notice(sp_listener *listener, struct sp__batch *done);
/** Those who wait are told of an end. */
void sp__listener_end(sp_listener *listener, sp_status status, const sp_error *error, struct sp__batch *done);
/** Any lock may be held. */
void sp__listener_unref(sp_listener *listener);

#endif
