/* SPDX-License-Identifier: MIT */
/**
 * The ear of a pool: one session that listens to the channels of all its listeners. When its connection is lost it takes
 * another one, as soon as the pool has one, and tells each listener of each of its channels that messages may have been missed.
 */
#ifndef SP_PG_EAR_H
#define SP_PG_EAR_H

#include "loop/engine.h"

#include <stdatomic.h>
#include <libpq-fe.h>
#include <sugarperf/session.h>

struct sp__batch;
struct sp__conn;

/** A channel that a listener hears. */
struct sp__channel {
        atomic_uint refs; /* of the list that it stands in, and one for each step */
        sp_pool *pool;
        char *name;
        sp_stmt *listen, *unlisten;

        /* The pool's lock. */
        struct sp__list link;  /* among its listener's, or those that are gone */
        sp_listener *listener; /* NULL: it was left */
        bool asked;            /* LISTEN was sent on the ear's session */
        bool heard;            /* it was heard once: the next time something may have been missed */
};

struct sp_listener {
        atomic_uint refs; /* the holder's, and one for each operation */
        sp_pool *pool;

        /* The pool's lock. */
        struct sp__list link;     /* among the ear's */
        struct sp__list channels; /* in the order in which they were added; with a reference */
        struct sp__list items;    /* of all channels, in the server's order; not taken yet */
        struct sp__list waiting;  /* operations, oldest first; not with items */
        size_t hears;             /* channels */
        size_t count;             /* of items */
};

/** The pool's lock guards it. */
struct sp__ear {
        struct sp__list listeners;
        struct sp__list gone; /* channels that are to be left; with a reference */
        sp_session *session;  /* NULL: none */
        bool seeking;         /* a session was asked for */
        bool failed;          /* the session is to be given up */
        bool pinging;
        int64_t ping_at;
        int faults;             /* in a row */
        struct sp__timer timer; /* looks what is to be done */
};

void sp__ear_init(struct sp__ear *ear);
/** Something is to be done: a channel is new, or the session's connection is gone. The pool's lock is held. */
void sp__ear_wake(sp_pool *pool);
/** The pool's lock is held. */
void sp__ear_add(sp_pool *pool, sp_listener *listener);
void sp__ear_remove(sp_pool *pool, sp_listener *listener);
/** Its listener, which has nothing of it that waits, hears it no more. The pool's lock is held. */
void sp__ear_leave(struct sp__channel *channel);
/** What the server said, owned by the callee: notifications that are linked by `next`. No lock held. */
void sp__ear_heard(struct sp__conn *conn, PGnotify *notes);
/** The pool closes: who waits is told, nothing is heard any more. No lock held. */
void sp__ear_close(sp_pool *pool);

/* channel.c. */

/** NULL: out of memory. */
struct sp__channel *sp__channel_new(sp_pool *pool, const char *name);
struct sp__channel *sp__channel_ref(struct sp__channel *channel);
/** Any lock may be held. */
void sp__channel_unref(struct sp__channel *channel);
/** It is listened to from here on; NULL: out of memory. */
sp_value *sp__channel_notice(const struct sp__channel *channel, bool lost);

/* listener.c. The pool's lock is held. */

/** NULL: it hears none of that name. */
struct sp__channel *sp__listener_channel(const sp_listener *listener, const char *name);
/** Who hears the channel. Consumes the reference (NULL: out of memory). */
void sp__listener_tell(struct sp__channel *channel, sp_value *value, struct sp__batch *done);
/** Those who wait are told of an end. */
void sp__listener_end(sp_listener *listener, sp_status status, const sp_error *error, struct sp__batch *done);
/** Any lock may be held. */
void sp__listener_unref(sp_listener *listener);

#endif
