/* SPDX-License-Identifier: MIT */
/**
 * A flight: what one process does about one key that its in-process level has not, for all who want it.
 *
 *     SEEKING ── Redis has it ──────────────────────────────> OVER, everybody has it
 *        │  ^                                                     ^
 *        │  └── a pause: another process loads (PAUSED) ──┐       │ it holds
 *        └─── the lease is ours ──> LEASED ── filled ──> FILLING ─┤
 *                 ^                    │ given back, late,        │ it does not: somebody
 *                 │                    │ or invalidated           │ else must load
 *                 └── who waited longest loads ───────────────────┘
 *
 * Steps are written once: each is a trip whose answer goes on to the next. Of the waiters one that is blocked drives it.
 *
 * Threads: any; the cache's lock guards it. At most one step is under way, and owns what only steps use.
 */
#ifndef SP_CACHE_FLIGHT_H
#define SP_CACHE_FLIGHT_H

#include "cache/cache.h"
#include "cache/entry.h"

enum { SP__TOKEN_LEN = 32, SP__FLIGHT_TAGS = SP__TAGS_MAX + 1 };

enum sp__flight_state { SP__FLIGHT_SEEKING, SP__FLIGHT_PAUSED, SP__FLIGHT_LEASED, SP__FLIGHT_FILLING, SP__FLIGHT_OVER };

struct sp__flight {
        struct sp__list link; /* of its bucket */
        atomic_uint refs;     /* the table's, a step's, the timer's, the lease's */
        sp_cache *cache;
        enum sp__flight_state state;
        struct sp__list waiters; /* seekers, oldest first */
        sp_lease *lease;         /* LEASED: whose it is */
        int64_t lease_until;
        struct sp__timer timer;
        struct sp__log_waiter log_waiter;

        /* Of the step under way. */
        bool with_text;  /* scripts by their text */
        bool asked;      /* Redis for the lease */
        bool acquired;   /* and it gave it to us */
        bool local;      /* the lease is this process's alone: no Redis, or one that is away */
        unsigned pauses; /* in a row */
        struct sp__mark mark;
        struct sp__item found; /* what Redis has, to be verified; or a stale value that may be served */
        bool found_stale;
        bool found_verified; /* by the log in Redis, as of the mark */
        uint64_t bad_e;      /* what Redis has and does not hold */
        int64_t bad_v0;
        char token[SP__TOKEN_LEN + 1];
        char former[SP__TOKEN_LEN + 1];

        /* Of the key. */
        uint64_t declared;
        int64_t ttl_ms;
        int64_t negative_ms;
        int64_t stale_ms;
        size_t tag_count;
        uint64_t tags[SP__FLIGHT_TAGS];
        size_t len;
        char key[];
};

/** An operation that wants a key: yields an sp_lookup. */
struct sp__seeker {
        sp__op op;
        sp_cache *cache;
        struct sp__timer timer;
        bool timed;
        bool counted; /* in the statistics */
        bool rests;   /* its work for the cache is done */
};

struct sp_lookup {
        int state;
        sp_value *value;
        sp_lease *lease;
};

struct sp_lease {
        struct sp__flight *flight; /* a reference */
        int64_t granted_at;
        unsigned tag_count;
        uint64_t tags[SP__ENTRY_TAGS];
};

/** NULL when out of memory. The value is taken. */
sp_lookup *sp__lookup_new(int state, sp_value *value, sp_lease *lease);

/** NULL when out of memory. It counts as work of the cache until it is answered. `caller` as sp__op.caller, NULL: set later. */
struct sp__seeker *sp__seeker_new(sp_cache *cache, sp_ctx *ctx, int64_t deadline, sp__op *caller);
/**
 * Joins the key's flight, or begins one; the seeker's fields are set, its caller keeps its reference. `stale` (may be NULL;
 * its value stays the caller's): what it may answer while somebody refreshes it.
 */
void sp__seeker_join(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale);
/** Answers it at once, with what the in-process level had (counted already). */
void sp__seeker_yield(struct sp__seeker *seeker, sp_lookup *lookup);
/** Looks a key up as a step of another operation: `then` is called once, op->what is an sp_lookup. false: out of memory. */
bool sp__lookup_step(sp_cache *cache, sp_ctx *ctx, int64_t deadline, const void *key, size_t len, sp__op *caller,
                     const struct sp__item *stale, void (*then)(sp__op *op), void *owner);

struct sp__flight *sp__flight_ref(struct sp__flight *flight);
void sp__flight_unref(struct sp__flight *flight);
/** The cache's lock is held. NULL: none. */
struct sp__flight *sp__flight_find(sp_cache *cache, const void *key, size_t len);
/** The cache's lock is held: it leaves the table. */
void sp__flight_over(struct sp__flight *flight);
/** The same for one to which the caller has no reference. */
void sp__flight_drop(struct sp__flight *flight);
/** Takes all waiters off. The cache's lock is held. */
void sp__flight_detach(struct sp__flight *flight, struct sp__list *waiters);
/** Answers detached waiters: each with `state` and a reference to the value, or with the error. No lock held. */
void sp__flight_answer(struct sp__list *waiters, int state, sp_value *value, sp_status status, const sp_error *error,
                       struct sp__batch *done);
/** The lease goes to who waited longest; where nobody waits it goes back. Ends the step. No lock held. */
void sp__flight_grant(struct sp__flight *flight);
/** Asks for the lease after `pause` ns, on the engine's thread. The cache's lock is held. */
void sp__flight_pause(struct sp__flight *flight, int64_t pause);
/**
 * Its holder has the lease no longer: somebody else shall load. false: nobody waits, and the flight is over. The cache's
 * lock is held, and a reference.
 */
bool sp__flight_pass(struct sp__flight *flight);
/** That key was invalidated here: who loads it now shall not store it, and who waits gets a load that begins now. */
void sp__flight_kill(sp_cache *cache, const void *key, size_t len);
/** Gives the lease in Redis back, without waiting. */
void sp__flight_release(struct sp__flight *flight, const char *token);

/** Whether what was found may be given out: SP__UNKNOWN: Redis must be asked. The cache's lock may be held. */
enum sp__fresh sp__flight_usable(struct sp__flight *flight);

/** The point in the logs from before a load. What was found stays only if it held up to there. Of the step. */
void sp__flight_mark(struct sp__flight *flight);
void sp__flight_forget(struct sp__flight *flight);

/** Steps, in trip.c. Each has a reference to the flight and counts as work of the cache until the last one ended. */
void sp__flight_step(struct sp__flight *flight);
void sp__flight_end_step(struct sp__flight *flight);
void sp__flight_seek(struct sp__flight *flight);
void sp__flight_acquire(struct sp__flight *flight);

#endif
