/* SPDX-License-Identifier: MIT */
/**
 * A connection: a libpq connection in pipeline mode behind a port. A unit is a statement with a Sync of its own, so that one's
 * error touches nobody else's. Reads that are known to be short may share a Sync instead, as a group: the server refuses
 * writes there (default_transaction_read_only, set and reset in the flight of the statement that needs it), each has its own
 * snapshot (the server is asked for its level of isolation once a connection), nobody is told before the Sync has come, and
 * where one fails all the others are as if they had never run. Two groups are in flight; what comes meanwhile makes up the
 * next one.
 *
 *     EMPTY -> OPENING -> READY -> LOST -> EMPTY
 *
 * Two locks. The port's guards libpq's connection, the units in flight and what was prepared. The pool's guards `place`,
 * `load` and what else says how the pool uses it. Slots are reused and live as long as the pool.
 */
#ifndef SP_PG_CONN_H
#define SP_PG_CONN_H

#include "loop/port.h"
#include "pg/dial.h"
#include "pg/copy.h"
#include "pg/prepared.h"
#include "pg/target.h"

#include <libpq-fe.h>

struct sp__conn;

enum { SP__LEAD_MAX = 2 };

/** Commands that go before a unit, in its group: an error of theirs is that unit's, and it does not run. */
struct sp__lead {
        uint32_t count, answered;
        struct {
                char *text;
                sp_params *params; /* may be NULL */
        } items[SP__LEAD_MAX];
};

/** The answers to a statement's sets of parameters, where it has several; an error ends them. */
struct sp__sets {
        uint32_t count, answered;
        PGresult *results[];
};

/** A statement that is sent, and how it ended. */
struct sp__unit {
        struct sp__list link;  /* in flight; the port's lock. Then a list of ended ones */
        const sp__op *op;      /* whose it is: once settled it is not sent any more; NULL: nobody's */
        const sp_stmt *stmt;   /* NULL: `text` */
        const char *text;      /* a statement of the pool's own, without parameters */
        struct sp__lead *lead; /* what goes before it, or NULL; whose the unit is owns it */
        struct sp__sets *sets; /* it is a batch, or NULL; whose the unit is owns it */
        sp_copy *copy;         /* it begins this one, with a reference; `result` says that it did */
        atomic_bool reads;     /* the server shall refuse writes; any thread may read it */
        bool neutral;          /* … or may do as it does just now */
        bool shares;           /* may share a Sync with its neighbours */
        bool resets;      /* what it may leave in the session is reset behind it; of the connection's own: it is that */
        bool closes;      /* a Sync follows it */
        bool undone;      /* a neighbour's error undid it: nothing of it took effect */
        uint32_t due;     /* commands whose answers are still to come */
        uint32_t members; /* of its group, itself included */
        bool preparing;   /* PREPARE goes with it */
        bool prepared;    /* … and was answered */
        bool anew;        /* prepared anew whatever is there: what is may be the cause of an error */
        unsigned plan;    /* the statement's number when it was put */
        bool unsent;      /* the connection was found broken, or it was cancelled, before a byte was written */
        bool inside;      /* a transaction is open, or may be: its PREPARE may fail with it */
        bool owed;        /* … which must not take effect without it */
        bool instead;     /* … so that, as it ended before it was sent, what fails the transaction is, in its place */
        PGresult *result;
        PGresult *error;
        int64_t sent_ns;
        int64_t began_ns;  /* sent, and the one before it was answered: the server's own time starts here */
        int64_t first_ns;  /* the first bytes of its answer */
        int64_t opened_ns; /* when its connection was opened */
        int64_t done_ns;
};

static inline bool sp__unit_reads(const struct sp__unit *unit)
{
        return atomic_load_explicit(&unit->reads, memory_order_relaxed);
}

static inline void sp__unit_set_reads(struct sp__unit *unit, bool reads)
{
        atomic_store_explicit(&unit->reads, reads, memory_order_relaxed);
}

/** What the pool does with what a connection has to say. Called with no lock held, by whoever drives. */
struct sp__conn_owner {
        /** Units ended; each has a result, an error, or neither: then the connection was lost. */
        void (*ended)(struct sp__conn *conn, struct sp__list *units);
        void (*opened)(struct sp__conn *conn);
        /** It is closed; `error` (owned by the callee) says why it could not be opened, NULL: it was lost or closed. */
        void (*closed)(struct sp__conn *conn, sp_error *error, sp_status status);
        /** Notifications, linked by `next`, each to be freed by PQfreemem(); only while it listens. */
        void (*heard)(struct sp__conn *conn, PGnotify *notes);
};

enum sp__conn_place {
        SP__CONN_EMPTY,
        SP__CONN_OPENING,
        SP__CONN_IDLE,
        SP__CONN_BUSY,
        SP__CONN_SESSION,
        SP__CONN_CLOSING
};

struct sp__conn {
        struct sp__port port;
        const struct sp__conn_owner *owner;
        struct sp_pool *pool;
        struct sp__target *target;

        /* The port's lock. */
        PGconn *pg;
        struct sp__dial *dial; /* while it is being opened */
        const char *where;     /* the server that it stands to */
        atomic_bool in_tx;     /* whether a transaction was open after the last answer; read without the lock */
        atomic_bool unfit;     /* its server is not what the target wants any more; read without the lock */
        atomic_bool muddled;   /* a statement stayed prepared that was to go; read without the lock */
        bool ready;            /* connected, in pipeline mode */
        bool lost;             /* to be closed by the driver's next look */
        bool dying;            /* the server said goodbye while nothing was in flight */
        bool barred;           /* the pool ends: never connect again */
        bool opened_news, closed_news;
        sp_error *why;
        sp_status why_status;
        struct sp__list flights; /* units in flight, oldest first */
        struct sp__list *at;     /* among them: whose answer comes next; `flights` itself: the next one's */
        uint32_t open;           /* the latest of them, which have no Sync yet */
        uint32_t syncs;          /* Syncs to be answered */
        bool unflushed;          /* there is a Sync that libpq may hold back */
        bool read_only;          /* the server refuses writes, once it has come so far */
        bool plain;              /* SET is not for this connection: nothing is shared */
        bool asked_level;        /* the server was asked for its level of isolation */
        bool together;           /* … and said that each statement of a transaction has a snapshot of its own */
        struct sp__list ended;   /* units that after() hands over */
        struct sp__prepared prepared;
        bool renamed;    /* what names mean here was set: the end of a transaction may set it back */
        bool altered;    /* the schema, and others were not told: its transaction may still be open */
        int64_t last_ns; /* when the last answer came */
        int64_t opened_ns;
        int64_t asked_ns;
        struct sp__timer connect_timer;
        struct sp__task open_task;
        int64_t connect_ms;
        sp_copy *copy, *copy_left; /* it is under way; it was, and after() tells; with references */
        struct sp__copying *copy_orphan;
        bool listening; /* somebody drives it always */
        PGnotify *notes, **notes_end;
        struct sp__notices *notices; /* where what the server says beside its answers is kept: its session's, or NULL */
        int nulls; /* in a row: a state machine that went wrong must not spin */

        /* The pool's lock. */
        enum sp__conn_place place;
        struct sp__list idle; /* among the idle ones */
        uint32_t load;        /* units sent or about to be */
        bool alone;           /* what it runs must not be joined */
        bool retire;          /* close it when idle */
        bool lane;
        bool reads;          /* what it was last chosen for, or for writes */
        uint32_t cancelling; /* cancel requests on their way: not to be used by anyone else */
        bool cancelled;      /* … or went, and what it was for has not ended */
        uint32_t doomed;     /* of the units in `load`, those that may be cancelled */
        int64_t idle_since;
        int64_t proven_ns; /* when it last gave a sign of life, pings included */
        int64_t asked_at;  /* it was asked for one and has not answered; 0: it was not */
        bool ask;          /* … and that is still to be sent */
        bool asked_late;   /* … nobody counts on it any more */
        bool asked_for;    /* … a caller waits for it */
        bool pinged;       /* it answered: what comes to rest was not used */
        int64_t uses;
        int end;                            /* enum sp__conn_end: why it is or will be closed */
        int64_t die_at;                     /* its lifetime */
        struct sp_session *session, *spare; /* who has it; the next one's, not in use */
};

/** false: no memory or descriptors left. */
bool sp__conn_init(struct sp__conn *conn, const struct sp__conn_owner *owner, struct sp_pool *pool,
                   struct sp__engine *engine, struct sp__target *target, size_t statements, int64_t connect_ms);
void sp__conn_destroy(struct sp__conn *conn);
/** Begins to connect, on the engine's thread. Ends with opened() or closed(). Any lock may be held. */
void sp__conn_open(struct sp__conn *conn);
/** Sends a unit on behalf of `caller`. It will end, by ended(). No port's lock held; the caller has left its former port. */
void sp__conn_send(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params, sp__op *caller);
/** Closes an idle connection; closed() follows on this thread. No port's lock held. */
void sp__conn_close(struct sp__conn *conn);
/** Nothing is expected of it any more: whoever drives it closes it, as lost. The pool's lock may be held. */
void sp__conn_break(struct sp__conn *conn);
/** Since when its answer is owed, 0: none is, or nobody can say for how long; whether nobody waits. The pool's lock may be held. */
int64_t sp__conn_owes(struct sp__conn *conn, bool *abandoned);
/** Something came from the server that nobody has asked for: most likely its goodbye. The pool's lock may be held. */
bool sp__conn_stirs(struct sp__conn *conn);
/** For a statement that is to be cancelled: NULL when there is nothing to cancel. No port's lock held. */
PGcancel *sp__conn_cancel(struct sp__conn *conn);
/** The server no longer knows the statement, or knows it in another form: it is prepared anew. */
void sp__conn_forget(struct sp__conn *conn, const sp_stmt *stmt);
/** It may be out of date there: its next use prepares it anew. */
void sp__conn_outdate(struct sp__conn *conn, const sp_stmt *stmt);
void sp__conn_forget_all(struct sp__conn *conn);
/** The server says that it has it prepared already. */
void sp__conn_remember(struct sp__conn *conn, const sp_stmt *stmt);
/** No connection stands from now on, and none will be made. No port's lock held. */
void sp__conn_bar(struct sp__conn *conn);
/** Whether nothing can be sent on it any more. No port's lock held. */
bool sp__conn_broken(struct sp__conn *conn);
/** After a change by another one than the driver: what happened under the lock is told. No lock held. */
void sp__conn_after(struct sp__conn *conn);
/** From now on (or no longer) what the server sends by itself is told. No port's lock held. */
void sp__conn_listen(struct sp__conn *conn, bool on);
/** Whether a transaction is open, as far as the last answer told. */
bool sp__conn_in_transaction(struct sp__conn *conn);

#endif
