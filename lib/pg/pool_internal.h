/* SPDX-License-Identifier: MIT */
/** What the files of the pool share. */
#ifndef SP_PG_POOL_INTERNAL_H
#define SP_PG_POOL_INTERNAL_H

#include "base/random.h"
#include "guard/breaker.h"
#include "loop/limit.h"
#include "observe/histogram.h"
#include "pg/conn.h"
#include "pg/ear.h"
#include "pg/news.h"
#include "pg/pool.h"
#include "pg/replicas.h"
#include "pg/sequel.h"
#include "pg/stmt.h"

enum { SP__LANES_MAX = 64, SP__SLOTS_MAX = 1000, SP__LEVELS = 1024 };

/** Why a connection ended, as the metrics tell it. */
enum sp__conn_end {
        SP__END_NONE,
        SP__END_LOST,       /* it broke, or the server closed it */
        SP__END_UNANSWERED, /* a ping, or what was owed, did not come in time */
        SP__END_IDLE,
        SP__END_LIFETIME,
        SP__END_USES,
        SP__END_RESIZED,
        SP__END_RETIRED, /* its state was in doubt */
        SP__END_CLOSED,  /* the pool was */
        SP__ENDS
};

struct sp__pool_limits {
        int64_t max, min, lanes, lane_depth, waiting, statements, resets;
        int64_t tx_attempts, tx_backoff_ms;
        int64_t acquire_ms, connect_ms, query_ms, statement_ms, idle_ms, lifetime_ms, keepalive_ms, validate_ms;
        int64_t max_uses, warn_waiting, leak_ms, statement_age_ms, spin_us;
};

struct sp__pool_counts {
        _Atomic int64_t created, refused, timeouts, queries, errors, retries, cancels, pings, crowds, leaks;
        _Atomic int64_t ended[SP__ENDS];
};

/** How long each number of busy connections, and of those and the callers that wait, held. */
struct sp__levels {
        int64_t since_ns;
        int64_t busy_ns[SP__LEVELS], demand_ns[SP__LEVELS];
        int64_t busy_peak, demand_peak, waited;
};

struct sp_pool {
        char *name;
        struct sp__replicas *replicas; /* NULL: none */
        bool is_replica;
        struct sp__engine *engine;
        bool owns_engine;
        struct sp__pool_watcher watcher;
        struct sp__pool_limits limits;
        struct sp__histogram *wait_time, *use_time, *create_time;
        bool guarded;        /* pool.breaker: each host has its own */
        atomic_uint changes; /* of the schema, as far as its connections made them or found out: what is prepared ages */
        /* What each statement reads is above, what it writes below; between them is what few need, of more than a cache line. */
        sp_stmt *probe; /* SELECT 1 */
        sp_stmt *room;  /* how many connections the server allows, and has */
        struct sp__target target;
        struct sp__pool_counts counts;

        atomic_uint refs; /* its owner's, and one for each handle that its users hold: sessions, streams, listeners */
        _Atomic int64_t pending; /* operations not yet settled, and threads inside a call: the pool outlives them */
        sp__mutex lock; /* guards what follows, and the pool's part of each connection; taken before a port's */
        sp__cond quiet; /* pending fell to 0 */
        struct sp__conn *slots[SP__SLOTS_MAX]; /* from the first on, as many as ever stood at once */
        struct sp__conn *lanes[SP__LANES_MAX];
        struct sp__list idle;    /* connections, latest first */
        struct sp__list waiting; /* queries, oldest first */
        struct sp__ear ear;
        int64_t total, opening, sessions, waiters;
        int64_t wishes;     /* those among the waiters that want a session */
        int drains;         /* threads that wait until nothing is pending */
        atomic_bool closed; /* set under the lock */
        sp_error *fault;    /* why the last connection could not be opened */
        sp_status fault_status;
        int faults;         /* in a row */
        int64_t open_after; /* back-off: no attempt before */
        int64_t swept_ns;   /* when connections to a demoted server were last given up */
        struct sp__random random;
        struct sp__timer open_timer;  /* the next attempt */
        struct sp__timer wait_timer;  /* the oldest waiter's patience ends */
        struct sp__timer house_timer; /* idle and old connections */
        bool housed;                  /* … which is set */
        bool warm;                    /* it once had a connection: from then on pool.min are kept */
        int64_t asked;                /* connections that were asked for a sign of life and may still give it in time */
        int64_t heard_ns;             /* when statements last ended on a connection */
        int64_t doubt_before;         /* one did not answer: what was heard of others before is no proof any more */
        bool asking;                  /* ask_task is posted */
        struct sp__task ask_task;
        struct sp__timer ask_timer;                                   /* the next of those asked is late */
        enum { SP__CROWD_NONE, SP__CROWD_NEW, SP__CROWD_TOLD } crowd; /* more wait than should */
        bool crowd_posted;
        struct sp__task crowd_task;
        struct sp__watchers *news;
        int64_t busy; /* connections that somebody uses */
        int64_t observed_ns;
        struct sp__levels levels[2]; /* now, and before */
};

/** What a statement of a session is for. All but the first and the last yield nothing. */
enum sp__deed { SP__DEED_QUERY, SP__DEED_BEGIN, SP__DEED_COMMIT, SP__DEED_ROLLBACK, SP__DEED_SAVEPOINT, SP__DEED_COPY };

/** One statement, or (without one) the wish for a session. */
struct sp__query {
        sp__op op;
        sp_pool *pool;
        sp_stmt *stmt;
        const sp_params *params; /* the blocked caller's, until it is kept; the pool's lock then */
        sp_params *kept;         /* a copy of our own */
        bool in_session;
        bool posts;          /* it is begun by the engine: nobody waits for it before he gives the next */
        atomic_uchar parted; /* whether its run is over, and whether it was settled */
        unsigned number;     /* of its session's statements */
        void *place;         /* an address behind the call that wished for a session */
        sp_session *session; /* that it will be sent in: a reference, NULL once it ended there and was settled */
        sp_stream *stream;   /* whose page it is, or that the session is for: a reference */
        enum sp__deed deed;
        struct sp__lead *lead; /* BEGIN: how it goes with the next statement; owned */
        struct sp__unit unit;
        struct sp__limit limit; /* of an asynchronous one */
        struct sp__task task;
        int64_t born_ns;
        void *watched;          /* what the watcher made of it */
        int64_t ran_ns;         /* … and was told of its time; 0: nothing */
        /* The watcher's, kept here: the pool may be gone. */
        bool (*over)(void *watched, int64_t ns);
        int64_t patience;       /* when waiting for a connection ends */
        int tries;              /* it was sent so often before */
        int misses;             /* … and so often its connection was broken already */
        int64_t lost_ns;        /* when it was lost the last time */
        bool apart;             /* it runs again: with a Sync of its own, so that no neighbour undoes it twice */
        bool admitted;          /* counted as pending; its submitter's */
        bool judged;            /* it ended early, and it is known whether … (the pool's lock, as for the next) */
        bool followed;          /* … its session was given more by then */
        uint64_t permit;        /* of a breaker, 0: none */
        struct sp__host *asked; /* whose breaker that is */

        /* The pool's lock. */
        struct sp__conn *conn; /* that it was sent to and that has not answered */
        const char *where;     /* the host of the connection that it was given last, or NULL */
        bool waiting;
        bool held;     /* among those that its session holds back */
        bool released; /* it was, and is the next */
        bool doomed;   /* counted in conn->doomed */
        bool unneeded; /* nothing has to be sent for it */
        bool in_block; /* it is sent inside its session's transaction */
        bool outdated; /* what was prepared for it is, and its transaction forbade to run it again */
};

struct sp_session {
        atomic_uint refs; /* the holder's, and one for each statement until it ended: then it goes back */
        sp_pool *pool;
        struct sp__conn *conn;
        int64_t since_ns;
        sp_ctx *ctx;                 /* under which it was taken: a reference, or NULL */
        void *place;                 /* an address behind the call that took it */
        bool dirty;                  /* something ran that leaves session state */
        bool obscure;                /* … or that may have */
        bool stays;                  /* … that no reset takes back */
        struct sp__sequels *sequels; /* what follows its transaction, or NULL: none ever did */
        struct sp__notices *notices; /* what the server said beside its answers (the port's lock), or NULL: never asked for */
        atomic_uint given;           /* statements, so far */
        atomic_uint posted;          /* what the engine is to begin: all that is given meanwhile goes that way, too */

        /* The pool's lock. */
        bool leaked;                   /* somebody was told */
        bool broken;                   /* its connection is gone */
        const char *spoiled;           /* why it takes no more statements, or NULL */
        struct sp__lead *lead;         /* goes with the next statement */
        bool opening;                  /* it went, and was not answered */
        bool in_block;                 /* what is sent next is inside a transaction */
        bool outdated;                 /* what was prepared before a change made a statement of a transaction fail */
        struct sp__list held;          /* queries that must not be sent yet, oldest first */
        bool releasing;                /* one of them is about to be sent */
        const struct sp__query *again; /* it failed and is to be sent anew, before all that was given after it */
        sp_copy *copy;                 /* under way, or NULL */
        const struct sp__query *copying; /* … and is being begun by this one */
        bool copy_left;                /* … and its holder let it go */
        bool waking;                   /* `wake` was posted, with a reference */
        sp_ctx *work;                  /* whose unit of work has a transaction open here: a reference, or NULL */
        struct sp__writers *writers;   /* whose units of work have written, where replicas may lack it, or NULL */
        struct sp__task wake;
};

/* guard.c: any thread, no lock held */

/** Makes its hosts' breakers: `breaker.pool.…` is the default pool's configuration, `breaker.pool-orders.…` that of "orders". */
sp_status sp__pool_guard(sp_pool *pool, const sp_config *config, const char *name, sp_error **error);
/**
 * Whether it may be sent at all: SP_OK or SP_OPEN. Statements inside a session are not asked about, for its end must get
 * through; nor is the health report, which asks the server itself.
 */
sp_status sp__query_ask(struct sp__query *query, sp_error **error);
/** It was not admitted after all. */
void sp__query_unask(struct sp__query *query);
/** It was settled. */
void sp__query_tell(struct sp__query *query);

/* query.c: any thread, no lock held */

/** NULL when out of memory. `deadline_ms` from now, besides the context's. */
struct sp__query *sp__query_new(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                int64_t deadline_ms);
/** Refuses (SP_CLOSED, SP_FORKED, SP_CANCELLED, SP_SESSION, …) or counts it as pending; `inside`: a thread waits for it. */
sp_status sp__query_admit(struct sp__query *query, bool inside, sp_error **error);
/** Sends it, or lets it wait for a connection. Consumes nothing. */
void sp__query_start(struct sp__query *query);
/** Admits and starts it on the engine's thread, to be answered to a queue; consumes the reference. NULL: out of memory. */
sp_status sp__query_submit(struct sp__query *query, sp_queue *queue, uint64_t tag);
/** As sp__pool_step(), of any query, which the engine begins where it `posts`; consumes the reference (NULL: out of memory). */
sp_status sp__query_step(struct sp__query *query, int64_t deadline, sp__op *caller, void (*then)(sp__op *op),
                         void *owner, sp_error **error);
/** Admits, starts and waits; consumes the reference (NULL: out of memory). `*what` is what it yielded, the caller's. */
sp_status sp__query_run(struct sp__query *query, void **what, sp_error **error);
/** Whether it does nothing that it may not do twice, should its outcome be unknown. */
bool sp__query_repeatable(const struct sp__query *query);
/** Whether a retryable error of this code is one of what the pool had prepared before a change, or of a COMMIT behind it. */
bool sp__query_outdated(const char *code);
/** The connection answered these units (or was lost): settles, retries, gives connections on. */
void sp__query_ended(struct sp__conn *conn, struct sp__list *units);
/**
 * From now on the parameters are our own; false: out of memory. For a blocked caller's: the pool's lock is held and it is
 * pending, so its parameters are there.
 */
bool sp__query_keep_params(struct sp__query *query);
/** Gives up its reference to the session that it ran in, perhaps the last one. No lock held. */
void sp__query_leave_session(struct sp__query *query);
/** Ends it with an error of the pool's. */
void sp__query_fail(struct sp__query *query, sp_status status, sp_error *error);
/** Ends those that wait and whose patience ends by `now`. */
void sp__pool_end_waiting(sp_pool *pool, int64_t now, sp_status why);

/**
 * late.c: why a query's time is over, for its caller: it was `waiting` for a connection, and that `patience` ended rather than
 * its own deadline. The pool's lock is held.
 */
sp_error *sp__query_late(const struct sp__query *query, bool waiting, bool patience);

/* route.c: the pool's lock is held unless it says otherwise */

/**
 * Whether it may have a connection before those that wait: a fast one joins a lane, which is nothing to others, and wishes for
 * sessions beyond their limit hold up nobody else.
 */
bool sp__route_in_turn(const sp_pool *pool, const struct sp__query *query);
/** A connection for the query, its load counted, and how it is to be sent there; NULL: it must wait. */
struct sp__conn *sp__route(sp_pool *pool, struct sp__query *query);
/** One for a session, counted as such; NULL: it must wait. */
struct sp__conn *sp__route_session(sp_pool *pool);
/** Nobody but the lanes could ever serve a waiter: it must not be overtaken. */
bool sp__pool_cramped(const sp_pool *pool);
/** It is neither idle nor a lane any more. */
void sp__pool_unlist(sp_pool *pool, struct sp__conn *conn);
/** Puts it among those that wait. */
void sp__pool_enqueue(sp_pool *pool, struct sp__query *query);
void sp__pool_dequeue(sp_pool *pool, struct sp__query *query);
/** No lock held: gives connections to those that wait. */
void sp__pool_dispatch(sp_pool *pool);
/** `units` of this connection have ended. true: the caller must close it, without the lock. */
bool sp__pool_settle(struct sp__conn *conn, uint32_t units);
/** No lock held: looks again whether the connection can rest, and who waits. */
void sp__pool_account(struct sp__conn *conn);

/* turn.c: when what a session was given is sent. The pool's lock is held unless it says otherwise */

/** As place() in query.c, for a session's. It may be held back, or turn out to be `unneeded`. */
bool sp__session_place(struct sp__query *query, struct sp__conn **conn, sp_status *refused);
/** Why it was refused. The lock is not held. */
sp_error *sp__session_refusal(const struct sp__query *query, sp_status refused);
/** A statement of its ended on the connection. */
void sp__session_ended(struct sp__query *query);
/** It is not held back any more; the list's reference passes to the caller. */
void sp__session_unhold(struct sp__query *query);
/** What held statements back may be over: they are sent, by the engine. */
void sp__session_wake(sp_session *session);
/** It ends early: whether it keeps its place where it is held, for what comes behind it is not to go on as if it had run. */
bool sp__session_keeps(struct sp__query *query);
/**
 * It ended before it was sent: nothing runs behind a bound then, and a transaction must not take effect without its statement.
 * It is held until it is its turn, or (true) what fails the transaction goes to the connection in its place, or neither.
 */
bool sp__session_missed(struct sp__query *query, struct sp__conn **conn);
/** Its statement is to be sent anew, before all that was given after it; false: that is on its way. */
bool sp__session_repeats(sp_session *session, struct sp__query *query);
/** It is. No lock held. */
void sp__session_repeat(struct sp__query *query);
/** It takes no more statements. */
void sp__session_spoil(sp_session *session, const char *why);
void sp__lead_free(struct sp__lead *lead);
/** transaction.c: of one command; NULL: out of memory. */
struct sp__lead *sp__lead_new(const char *text);

/** Whether what the statement may leave in its session is reset behind it. */
static inline bool sp__pool_resets(const sp_pool *pool, const sp_stmt *stmt)
{
        return pool->limits.resets && sp__stmt_obscure(stmt);
}

/* session.c */

/** NULL: out of memory. The caller's thread. */
struct sp__query *sp__session_wish(sp_pool *pool, sp_ctx *ctx, void *place);
struct sp__query *sp__session_statement(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params);

/** The query wished for a session and got `conn`. No lock held. */
void sp__session_give(struct sp__query *query, struct sp__conn *conn);
/**
 * borrow.c: one on the connection, which it has from now on unless that was lost; NULL when out of memory, then
 * sp__session_unmade() gives the connection on. The pool's lock is held.
 */
sp_session *sp__session_make(struct sp__conn *conn, sp_ctx *ctx, void *place, int64_t now);
/** The pool's lock is not held. */
void sp__session_unmade(struct sp__conn *conn);
/** One at once; NULL: it must be wished for. No lock held. */
sp_session *sp__session_borrow(sp_pool *pool, sp_ctx *ctx, void *place);
/** Gives it back with the last reference. No lock held. */
void sp__session_unref(sp_session *session);
/** Its transaction ended, or never began: the unit of work that it was counted for has one less. */
void sp__session_work_over(sp_session *session);
/** transact.c: what was prepared before a change made its transaction fail. No lock held. */
bool sp__session_outdated(sp_session *session);
/** A unit of the session's clean-up ended. No lock held. */
void sp__session_cleaned(struct sp__conn *conn, struct sp__unit *unit);

/* writers.c: which units of work must not read what is older than a session's COMMIT, whoever commits. No lock held */

/** A statement of the session's, which may write or commit, was settled. */
void sp__session_note_write(struct sp__query *query);
void sp__writers_free(struct sp__writers *writers);

/* house.c: how many there are, and how long they live. The pool's lock is held unless it says otherwise */

/** Opens more connections where callers wait, or pool.min do not stand, and the limits allow. */
void sp__pool_grow(sp_pool *pool);
/** A lane is shared and another one is allowed: it is made beside the work. */
void sp__pool_widen(sp_pool *pool);
/** A connection has nothing to do: it becomes idle, or (true) the caller must close it, without the lock. */
bool sp__pool_rest(sp_pool *pool, struct sp__conn *conn);
/** Another use of the connection: true when it was the last one that it may have. It then takes no more. */
bool sp__pool_worn(struct sp__conn *conn);
/** From now on somebody looks after them. */
void sp__pool_keep_house(sp_pool *pool);
/** The timer of that. No lock held. */
void sp__pool_house(struct sp__timer *timer);
/** What holds at this moment, from any thread, without the lock. */
static inline int64_t sp__pool_max(const sp_pool *pool)
{
        return __atomic_load_n(&pool->limits.max, __ATOMIC_RELAXED);
}

/* ping.c: whether a connection that was silent still stands. The pool's lock is held unless it says otherwise */

/** Whether the idle connection may be used as it is; else it is asked, and is idle again when it answered. */
bool sp__pool_trusts(sp_pool *pool, struct sp__conn *conn);
/** Asks the idle connection; `caller`: one waits for it. */
void sp__pool_ask(sp_pool *pool, struct sp__conn *conn, bool caller);
/** The task and the timer of the pool. No lock held. */
void sp__pool_ask_task(struct sp__task *task);
void sp__pool_ask_late(struct sp__timer *timer);
/** Whether the unit is a ping; then it ended. No lock held. */
bool sp__pool_asked(struct sp__conn *conn, struct sp__unit *unit);

/* watch.c: what somebody should hear of */

/** There is a waiter more or less. The pool's lock is held. */
void sp__pool_crowd(sp_pool *pool);
void sp__pool_crowd_task(struct sp__task *task);
/** Tells of sessions that are held for too long. No lock held. */
void sp__pool_find_leaks(sp_pool *pool);

/* advice.c */

/** Before the number of busy connections or of waiters changes. The pool's lock is held. */
void sp__pool_observe(sp_pool *pool);
/** The report; `room`: what pool->room yielded, or NULL. NULL when out of memory. */
sp_value *sp__pool_advise(sp_pool *pool, const sp_result *room);
/** How many connections serve such a load. */
int64_t sp__pool_size(double mean, int64_t p95);

/* stream.c */

/** Its session is there. The pool's lock is held. */
void sp__stream_open(sp_stream *stream, sp_session *session);
/** The answer to its query; false: there are no rows any more. No lock held. */
bool sp__stream_page(sp_stream *stream, const PGresult *res);
void sp__stream_unref(sp_stream *stream);

/* batch.c */

/** NULL when out of memory. */
struct sp__sets *sp__sets_new(uint32_t count);
/** Forgets the answers. */
void sp__sets_clear(struct sp__sets *sets);
void sp__sets_free(struct sp__sets *sets);
/** The answers as one result, NULL when out of memory; they are taken. */
sp_result *sp__sets_result(struct sp__sets *sets);
/** The error (taken), which names the set that is to blame. */
sp_error *sp__sets_fault(const struct sp__unit *unit, sp_error *error);

/* cancel.c */

/**
 * Its answer is not wanted any more: true where the server can be told without hitting anything else, by sp__pool_cancel().
 * The pool's lock is held.
 */
bool sp__cancel_wanted(struct sp__query *query);
/** It ended on the connection. The pool's lock is held. */
void sp__cancel_ended(struct sp__conn *conn, struct sp__query *query);
/** Whether another request is to be made now: only what may be cancelled is left. The pool's lock is held. */
bool sp__cancel_due(struct sp__conn *conn);
/** Asks the server to end what this connection runs, on the helper thread. No lock held. */
void sp__pool_cancel(struct sp__conn *conn);

/* demote.c */

/** Connections to that host are not used again, those in use once they rest. The pool's lock is held. */
void sp__pool_give_up(sp_pool *pool, const char *place);

/**
 * A write was refused (25006), and not by the session's own wish: the server's connections are given up. true: another server
 * may take the statement. No lock held.
 */
bool sp__pool_demoted(struct sp__conn *conn, bool in_session);
/** A connection whose server says that it will not do, or that has prepared what it should not, is not used again. The pool's lock is held. */
void sp__pool_check_fit(struct sp__conn *conn);

/* pool.c */

extern const struct sp__conn_owner sp__pool_owner;
/** A pause of `ms` before a transaction is made again, which is counted. SP_CANCELLED: the caller's context was. */
sp_status sp__retry_wait(sp_pool *pool, sp_ctx *ctx, int64_t ms);
/** From here to sp__pool_leave() sp__pool_shut() waits. The pool is not touched after it. No lock held. */
void sp__pool_enter(sp_pool *pool);
void sp__pool_leave(sp_pool *pool);
/** For an operation, and with `inside` the thread that waits for it. SP_CANCELLED, SP_CLOSED: it must not begin. */
sp_status sp__pool_admit(sp_pool *pool, const sp_ctx *ctx, bool inside, sp_error **error);
/** Closes and waits for what is pending; the engine may stop afterwards. */
void sp__pool_shut(sp_pool *pool);
/** Its owner lets it go, and the engine has stopped. What its users still hold keeps the memory, closed. */
void sp__pool_destroy(sp_pool *pool);
/** For a handle, until that is freed. Any thread. */
sp_pool *sp__pool_ref(sp_pool *pool);
void sp__pool_unref(sp_pool *pool);
/** In a child after fork(): closes descriptors, no more. */
void sp__pool_drop(sp_pool *pool);

#endif
