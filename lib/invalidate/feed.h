/* SPDX-License-Identifier: MIT */
/**
 * The change feed: what transactions changed, read from PostgreSQL's own log, through the rules into the invalidation machine. It
 * has a thread of its own, which goes through this again and again, until it is told to stop:
 *
 *     STANDBY ─ the lease ─> CHECKING ─> CONNECTING ─> LEADING ─ any fault, the lease lost ─> STANDBY, after a pause
 *
 * Nothing is confirmed to the server before it was acknowledged by Redis, and what was not confirmed comes again: so a fault of
 * whatever kind ends everything and begins anew. Of several processes one reads; the lease (in Redis) says which, and the slot,
 * which the server lets but one connection use, that there are never two. Without Redis each process reads for itself, by a slot
 * that ends with its connection.
 *
 * exit() may come while it is in libpq: it stands at the gate (loop/exit.h), which it leaves while it waits, and lets the engine
 * do what its calls of the pool and the cache are about.
 */
#ifndef SP_INVALIDATE_FEED_H
#define SP_INVALIDATE_FEED_H

#include "base/random.h"
#include "base/thread.h"
#include "core/op.h"
#include "invalidate/feed_query.h"
#include "invalidate/feed_shape.h"
#include "invalidate/rules.h"
#include "observe/exposition.h"
#include "pg/pgoutput.h"
#include "pg/replication.h"

#include <sugarperf/feed.h>

enum {
        SP__FEED_NAME_MAX = 63,
        SP__FEED_FAULT_MAX = 512,
        SP__FEED_TOKEN_LEN = 17,
        SP__FEED_SYSTEM_LEN = 24,
        SP__FEED_ASK_MS = 5000,
        SP__FEED_STRANGE = 3 /* looks that make a fault */
};

enum sp__feed_state { SP__FEED_STANDBY, SP__FEED_CHECKING, SP__FEED_CONNECTING, SP__FEED_LEADING, SP__FEED_STOPPED };

/** Where it is, for tests that end it there. */
enum sp__feed_step {
        SP__STEP_LEASED,
        SP__STEP_CHECKED,
        SP__STEP_CONNECTED,
        SP__STEP_PUBLISHED,
        SP__STEP_SLOT,
        SP__STEP_RESET,
        SP__STEP_STARTED,
        SP__STEP_READ,
        SP__STEP_VISIBLE,
        SP__STEP_INVALIDATED,
        SP__STEP_CONFIRMED,
        SP__STEPS
};

/** A table as the server's messages name it; without rules about it `table` is NULL. One that inherits from several of the rules' is
 * there once for each, one behind the other. */
struct sp__relation {
        uint32_t oid;
        const struct sp__ruled *table;
        int places[SP__RULED_COLUMNS_MAX]; /* of the table's columns in the rows; -1: there is none */
        bool key[SP__RULED_COLUMNS_MAX];   /* in the replica identity */
};

/** What was read and not yet invalidated. The feed's thread. */
struct sp__feed_batch {
        struct sp__aims aims;
        uint32_t *xids; /* transactions that it is of */
        size_t xid_count, xid_cap;
        uint64_t upto; /* the end of the last whole transaction; 0: none */
        int64_t changes, transactions;
        int64_t since; /* when the first of it came */
};

struct sp_feed {
        sp_pool *pool;
        sp_rules *rules;
        sp_cache *cache;
        char slot[SP__FEED_NAME_MAX + 1], publication[SP__FEED_NAME_MAX + 1];
        bool create;
        bool alone; /* without Redis: a slot of its own */
        int64_t lease_ms;
        int stop;                   /* an eventfd, readable: the thread is to end */
        _Atomic int64_t look_every; /* at the tables, ns; tests are in a hurry */
        sp_ctx *ctx;
        pthread_t thread;
        void (*step)(void *arg, enum sp__feed_step step);
        void *step_arg;
        struct sp__random random;

        /* The thread's. */
        struct sp__replication *replication;
        struct sp__wal *wal;
        struct sp__feed_shape shape;
        struct sp__relation *relations;
        size_t relation_count, relation_cap;
        sp_params *params;
        struct sp__feed_batch batch;
        bool in_transaction;
        uint32_t xid;
        bool xid_counted; /* it is among the batch's */
        struct sp__feed_backlog *backlog;
        bool behind_itself; /* something is in it */
        uint64_t reached;   /* up to there all is invalidated, but for what is in the backlog */
        uint64_t confirmed, sent;
        bool marked;  /* in Redis: nobody's rules were read for */
        bool changed; /* or others' than ours were, since it was last made sure that nothing is missed */
        char token[SP__FEED_TOKEN_LEN];
        char identity[SP__FEED_TOKEN_LEN]; /* of what is in Redis: all processes there have the same */
        char carried[SP__FEED_TOKEN_LEN];  /* by the connection */
        char system[SP__FEED_SYSTEM_LEN];  /* of the server */
        uint64_t place;                    /* to where the slot was confirmed when it was taken */
        uint64_t recorded;                 /* as far as Redis knows that all is invalidated there */
        int64_t renew_at, status_at, looked_at;
        char *unseen; /* "12,34": transactions that a reset may have come before; "" or NULL: none */
        int64_t unseen_at, unseen_pause;
        sp_stmt *snapshot;

        /* Of the slot, while another process reads it, or nobody does. */
        int64_t slot_look_at, slot_moved_at;
        uint64_t slot_place;
        int strange; /* looks, one after the other, at which another process read and there was no slot of our database */

        sp__mutex lock; /* a leaf; guards what follows */
        enum sp__feed_state state;
        char fault[SP__FEED_FAULT_MAX]; /* the last one; "": none since it leads */
        uint64_t wal_end, done;         /* of the server's log, and how far it is invalidated */
        int64_t behind_since;           /* 0: it is not */
        int64_t unseen_count;           /* of `unseen` */
        int64_t changes, transactions, batches, resets, reshaped, widened, faults, terms;
};

static inline void sp__feed_at(struct sp_feed *feed, enum sp__feed_step step)
{
        if (feed->step)
                feed->step(feed->step_arg, step);
}

/** feed.c */
/** What is wrong, and is no reason to begin anew. */
void sp__feed_note(struct sp_feed *feed, const char *fault);
void sp__feed_say(struct sp_feed *feed, enum sp__feed_state state);
/** false: it is to stop. */
bool sp__feed_sleep(struct sp_feed *feed, int64_t ns);
/** As sp_feed_new(), with a step. */
sp_status sp__feed_new(const sp_config *config, sp_pool *pool, sp_rules *rules,
                       void (*step)(void *arg, enum sp__feed_step step), void *arg, sp_feed **out, sp_error **error);
void sp__feed_collect(void *feed, struct sp__expo *expo);
/** It runs, and nothing is wrong. */
bool sp__feed_well(sp_feed *feed);

/** feed_lease.c: SP_OK: it has the lease, for `lease_ms` from before the call. SP_FULL: another one has. feed->changed: whoever
 * had it before had other rules. */
sp_status sp__feed_acquire(struct sp_feed *feed, sp_error **error);
void sp__feed_release(struct sp_feed *feed);
/** The same once it is time to, between whatever takes its time; SP_OK: we have it still, or again. */
sp_status sp__feed_hold(struct sp_feed *feed, sp_error **error);
/** Once connected: and for the Redis that the connection is for. */
sp_status sp__feed_renew(struct sp_feed *feed, sp_error **error);
/** From now on our rules are those that were read for; or (false) nobody's were: whoever leads next makes the slot anew, and resets. */
sp_status sp__feed_keep_rules(struct sp_feed *feed, bool ours, sp_error **error);
/** What follows from the tables' shape was done; up to which shape it was, a digest for each table, `known` where there is one. */
sp_status sp__feed_keep_shape(struct sp_feed *feed, const struct sp__feed_shape *shape, sp_error **error);
sp_status sp__feed_kept_shape(struct sp_feed *feed, uint64_t *digests, bool *known, sp_error **error);

/** Of feed->unseen. */
sp_status sp__feed_keep_unseen(struct sp_feed *feed, sp_error **error);

/** feed_seen.c: "xmin:xmax:xid,xid", owned; and whether what the transaction did is seen by who has such a snapshot. */
sp_status sp__feed_snapshot(struct sp_feed *feed, char **out, sp_error **error);
bool sp__feed_seen(uint32_t xid, const char *snapshot);

/** feed_reset.c: the namespace goes, and goes again once all see what was under way: from time to time it is looked whether they do. */
sp_status sp__feed_reset(struct sp_feed *feed, sp_error **error);
sp_status sp__feed_reset_again(struct sp_feed *feed, sp_error **error);
int64_t sp__feed_reset_due(const struct sp_feed *feed);
/** Who led before us reset it, and did not live to do so again. */
sp_status sp__feed_await_seen(struct sp_feed *feed, const char *list, sp_error **error);
void sp__feed_forget_unseen(struct sp_feed *feed);

/** As far as the server's log was invalidated in this Redis; before the server is told so, which then has nothing to say that Redis
 * does not know. `anew`: whatever was known before. */
sp_status sp__feed_record(struct sp_feed *feed, uint64_t lsn, bool anew, sp_error **error);
/** Whether the slot was read up to feed->place by us, or processes with the same Redis: `end` is the server's log's. */
sp_status sp__feed_recall(struct sp_feed *feed, uint64_t end, bool *ours, sp_error **error);

/** feed_lag.c: how far the slot is behind, as the server knows it, while we do not read; not too often. `another`: another process
 * reads; where that cannot be the same database it is a fault. */
void sp__feed_watch(struct sp_feed *feed, bool another);
/** What we read is as far; `end`: the server's log is at least as far. */
void sp__feed_begin_lag(struct sp_feed *feed, uint64_t place, uint64_t end);
void sp__feed_note_lag(struct sp_feed *feed, uint64_t end);
int64_t sp__feed_lag_ms(const struct sp_feed *feed);
uint64_t sp__feed_lag_bytes(const struct sp_feed *feed);

/** feed_check.c: what the server lacks, one line each with what would mend it; `fatal`: it cannot be read. */
struct sp__feed_finder {
        void (*found)(void *arg, bool fatal, const char *text);
        sp_status (*goes_on)(void *arg, sp_error **error); /* asked before each table; NULL: it does */
        void *arg;
};
sp_status sp__feed_look(sp_pool *pool, const sp_rules *rules, sp_ctx *ctx, const struct sp__feed_finder *finder,
                        sp_error **error);

/** feed_published.c: SP_CONFIG: the publication hides some of what the rules are about. A table that was made anew under its name is
 * not in it, and nobody says so; nor does anybody of a filter. Whoever leads next then resets. What could not be found out is SP_OK. */
sp_status sp__feed_published(struct sp_feed *feed, sp_error **error);

/** feed_reshape.c: looks, and takes it for what was; invalidates what became another table's since the last leader's last look, or our
 * own; `heirs`: there are some that the log's messages were not read for. */
sp_status sp__feed_shape_begin(struct sp_feed *feed, sp_error **error);
sp_status sp__feed_shape_resume(struct sp_feed *feed, sp_error **error);
sp_status sp__feed_shape_follow(struct sp_feed *feed, bool *heirs, sp_error **error);

/** feed_setup.c: publication and slot, on the connection; `reset`: what was changed before may have been missed. */
sp_status sp__feed_set_up(struct sp_feed *feed, bool *reset, sp_error **error);
/** A statement, taken from the buffer, or a command; the result to be cleared, unless `out` is NULL. */
sp_status sp__feed_ask(struct sp_feed *feed, struct sp__buf *text, int64_t timeout_ms, PGresult **out,
                       sp_error **error);

/** feed_slot.c: SP_CONFIG: the slot is not for us: of another database, or read for another Redis. */
sp_status sp__feed_slot_ours(struct sp_feed *feed, struct sp__buf *text, sp_error **error);
/** It is there, and nobody reads from it. `anew`: what it would tell does not fit the publication. */
sp_status sp__feed_slot_take(struct sp_feed *feed, struct sp__buf *text, bool anew, bool *reset, sp_error **error);
/** It is read now, so that nobody moves it any more: whether somebody did since it was taken. */
sp_status sp__feed_slot_stands(struct sp_feed *feed, sp_error **error);

/** feed_apply.c: one message into the batch. SP_PROTOCOL: it makes no sense. */
sp_status sp__feed_apply(struct sp_feed *feed, const void *data, size_t len, sp_error **error);
void sp__feed_forget(struct sp_feed *feed);

/** feed_lead.c: reads until something is wrong. */
sp_status sp__feed_lead(struct sp_feed *feed, sp_error **error);

#endif
