/* SPDX-License-Identifier: MIT */
/**
 * A flight: what one process does about one key that its in-process level has not, for all who want it.
 *
 *     SEEKING ── Redis has it ──────────────────────────────> OVER, everybody has it
 *        │  ^                                                     ^
 *        │  ├── a pause: another process loads (PAUSED) ──┐       │ it holds
 *        │  └── in line for a load (`cache.loads`)        │       │
 *        └─── the lease is ours ──> LEASED ── filled ──> FILLING ─┤
 *                 ^                    │ given back, late,        │ it does not: somebody
 *                 │                    │ or invalidated           │ else must load
 *                 └── who waited longest loads ───────────────────┘
 *
 * Where a load failed and there is something stale to serve, it is RESTING: for a while everybody gets that, and nobody
 * loads. So it is, too, with what was loaded while Redis is away: that is as good as the bound allows for so long after its
 * lease, whatever other processes invalidate. A lone flight is one holder's alone: it stands in no table, and what is loaded under it is not stored.
 *
 * Steps are written once: each is a trip whose answer goes on to the next. Of the waiters one that is blocked drives it.
 *
 * Threads: any; the cache's lock guards it. At most one step is under way, and owns what only steps use.
 */
#ifndef SP_CACHE_FLIGHT_H
#define SP_CACHE_FLIGHT_H

#include "cache/cache.h"
#include "cache/entry.h"
#include "cache/times.h"

enum { SP__TOKEN_LEN = 32, SP__SEEN_LEN = 40, SP__FLIGHT_TAGS = SP__TAGS_MAX + 1 };

enum sp__flight_state {
        SP__FLIGHT_SEEKING,
        SP__FLIGHT_PAUSED,
        SP__FLIGHT_LEASED,
        SP__FLIGHT_FILLING,
        SP__FLIGHT_RESTING,
        SP__FLIGHT_OVER
};

struct sp__flight {
        struct sp__list link; /* of its bucket */
        atomic_uint refs;     /* the table's, a step's, the timer's, the lease's */
        sp_cache *cache;
        enum sp__flight_state state;
        bool lone;
        atomic_bool anew;        /* what there is does not do */
        struct sp__list waiters; /* seekers, oldest first */
        sp_lease *lease;         /* LEASED: whose it is */
        int64_t lease_until;
        struct sp__timer timer;
        struct sp__log_waiter log_waiter;
        struct sp__slot slot;
        bool slotted; /* it has a slot */

        /* Of the step under way. */
        bool with_text;  /* scripts by their text */
        bool asked;      /* Redis for the lease */
        bool acquired;   /* and it gave it to us; or may have, where the answer is out, or lost */
        bool local;      /* the lease is this process's alone: no Redis, or one that is away */
        unsigned pauses; /* in a row */
        struct sp__mark mark;
        struct sp__item found; /* what Redis has, to be verified; or a value past its time that may be served */
        bool found_stale;
        int64_t held_until;  /* RESTING with a value that was loaded just now, or recalled; 0: with a stale one */
        int held_state;      /* how that is given out */
        bool found_verified; /* by the log in Redis, as of the mark */
        uint64_t bad_e;      /* what Redis has and does not hold */
        int64_t bad_v0;
        char token[SP__TOKEN_LEN + 1];
        char former[SP__TOKEN_LEN + 1];

        /* Of the key. */
        uint64_t declared;
        const sp_template *tmpl;     /* NULL: none, or a lone one; the cache's, while it is there */
        uint32_t form;               /* the only codec that may be stored, 0: any */
        bool raw;                    /* see cache/raw.h */
        char seen[SP__SEEN_LEN + 1]; /* raw: what stood there when the lease was given */
        struct sp__times times;
        struct sp__usage *usage; /* NULL: a lone one's */
        size_t tag_count;
        uint64_t tags[SP__FLIGHT_TAGS];
        size_t len;
        char key[];
};

/** What a seeker wants where there is no value. */
enum sp__want {
        SP__WANT_IT,   /* the lease, or what another one loads */
        SP__WANT_SOON, /* the lease, for which its caller has a slot; it does not wait for another's load */
        SP__WANT_LOOK, /* neither: it is told that it is BUSY where there is no value */
        SP__WANT_LONE  /* what another one loads, or a lease of its own, under which nothing is stored */
};

static inline enum sp__want sp__want_of(enum sp__cache_use use)
{
        return use == SP__CACHE_READ ? SP__WANT_LONE : SP__WANT_IT;
}

/** An operation that wants a key: yields an sp_lookup. */
struct sp__seeker {
        sp__op op;
        sp_cache *cache;
        enum sp__want want;
        bool anew; /* whatever there is */
        struct sp__timer timer;
        bool timed;
        int64_t since;           /* when it sat down; 0: it did not */
        struct sp__usage *usage; /* its key's, once it sat down */
        int64_t soft_at;         /* it takes what is stale then */
        int64_t hard_at;         /* it gives up then */
        sp_value *stale;         /* what it may take: a reference. The cache's lock */
        bool shared;             /* another caller loaded it meanwhile */
        bool counted;            /* in the statistics */
        bool rests;              /* its work for the cache is done */
};

struct sp_lookup {
        int state;
        sp_value *value;
        sp_lease *lease;
};

struct sp_lease {
        struct sp__flight *flight; /* a reference */
        int64_t granted_at;
        int64_t ttl_ms;     /* -1: not said */
        int64_t expires_ms; /* wall clock, 0: not said */
        unsigned tag_count;
        uint64_t tags[SP__ENTRY_TAGS];
};

/** NULL when out of memory. The value is taken. */
sp_lookup *sp__lookup_new(int state, sp_value *value, sp_lease *lease);
void sp__lookup_drop(void *lookup);

/** NULL when out of memory. It counts as work of the cache until it is answered. `caller` as sp__op.caller, NULL: set later. */
struct sp__seeker *sp__seeker_new(sp_cache *cache, sp_ctx *ctx, int64_t deadline, sp__op *caller);
/**
 * Joins the key's flight, or begins one; the seeker's fields are set, its caller keeps its reference. `stale` (may be NULL;
 * its value stays the caller's): what it may answer while somebody refreshes it.
 */
void sp__seeker_join(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale);
/** Answers it at once, with what the in-process level had (counted already). */
void sp__seeker_yield(struct sp__seeker *seeker, sp_lookup *lookup);
/** The same as a step of another operation: `then` is called once, op->what is an sp_lookup then. Takes its caller's reference. */
void sp__seeker_step(struct sp__seeker *seeker, const void *key, size_t len, const struct sp__item *stale,
                     void (*then)(sp__op *op), void *owner);
/** Answers claimed ones: each gets `state` and a reference to the value, or the error. No lock held. */
void sp__seekers_answer(struct sp__list *waiters, int state, sp_value *value, sp_status status, const sp_error *error,
                        struct sp__batch *done);
/** The same with what another caller loaded while they waited. */
void sp__seekers_share(struct sp__list *waiters, sp_value *value, struct sp__batch *done);
/** A lease of its own for each; a value where there is a stale one. No lock held. */
void sp__seekers_leave_alone(struct sp__list *waiters, sp_cache *cache, struct sp__batch *done);
/**
 * Claims waiters of a flight and moves them to a list, which keeps their references: those who want `want` (who only looks
 * wants it SOON, too); all; the oldest
 * (NULL: none), whose reference is the caller's. The cache's lock is held; they are to be answered soon.
 */
void sp__seekers_pick(struct sp__flight *flight, enum sp__want want, struct sp__list *picked);
void sp__seekers_take(struct sp__flight *flight, struct sp__list *taken);
/** Those whom a load that began then will do, or (0) what is there already: who wants it anew came before. */
void sp__seekers_take_for(struct sp__flight *flight, int64_t begun, struct sp__list *taken);
sp__op *sp__seekers_first(struct sp__flight *flight);
/** Whether the oldest, who would load, has a slot for many keys. The cache's lock is held. */
bool sp__seekers_have_slot(const struct sp__flight *flight);
/** Answers one that was claimed; takes its reference. `lookup` NULL: out of memory. No lock held. */
void sp__seeker_grant(sp__op *op, sp_lookup *lookup, struct sp__batch *done);
/** Who waits on may take what was found in the end. The cache's lock is held. */
void sp__seekers_note_stale(struct sp__flight *flight);

/** The cache's lock is held. NULL: out of memory. */
struct sp__flight *sp__flight_begin(sp_cache *cache, const void *key, size_t len);
/** A lone one with its lease; NULL: out of memory. */
sp_lease *sp__lease_alone(sp_cache *cache);
/** A look-up with such a lease, counted as a miss. */
sp_lookup *sp__lookup_alone(sp_cache *cache);
struct sp__flight *sp__flight_ref(struct sp__flight *flight);
void sp__flight_unref(struct sp__flight *flight);
/** The cache's lock is held. NULL: none. */
struct sp__flight *sp__flight_find(sp_cache *cache, const void *key, size_t len);
/** Its timer fires then, again. The cache's lock is held. */
void sp__flight_set_timer(struct sp__flight *flight, int64_t at);
/** The cache's lock is held: it leaves the table. */
void sp__flight_over(struct sp__flight *flight);
/** The same for one to which the caller has no reference. */
void sp__flight_drop(struct sp__flight *flight);
/** The lease goes to who waited longest; where nobody waits it goes back. Ends the step. No lock held. */
void sp__flight_grant(struct sp__flight *flight);
/** Asks for the lease after `pause` ns, on the engine's thread. The cache's lock is held. */
void sp__flight_pause(struct sp__flight *flight, int64_t pause);
/**
 * Its holder has the lease no longer: somebody else shall load. false: nobody waits, and the flight is over. The cache's
 * lock is held, and a reference.
 */
bool sp__flight_pass(struct sp__flight *flight);
/**
 * Its load failed: where something stale may be served it rests, and `waiters` get that (sp__flight_answer_stale()); else it is
 * passed on. false: it neither rests nor goes on. The cache's lock is held, and a reference.
 */
bool sp__flight_fail(struct sp__flight *flight, struct sp__list *waiters);
/**
 * What was loaded without Redis is kept for those who come within the bound. The value is the caller's. The cache's lock is
 * held, and a reference.
 */
void sp__flight_hold(struct sp__flight *flight, const struct sp__item *item, int64_t granted_at);
/**
 * Redis cannot help: where that is wished, the in-process level's own copy, which cannot be proven, is given to all who wait and held
 * as above, as stale. Ends the step; false: there is none. No lock held.
 */
bool sp__flight_recall(struct sp__flight *flight);
/** That key was invalidated here: who loads it now shall not store it, and who waits gets a load that begins now. */
void sp__flight_kill(sp_cache *cache, const void *key, size_t len);
/** What its load left stale is fresh again: if it rests with that, it does no longer. */
void sp__flight_end_rest(sp_cache *cache, const void *key, size_t len);
/** Gives the lease in Redis back, without waiting. */
void sp__flight_release(struct sp__flight *flight, const char *token);

/** Whether what was found may be given out: SP__UNKNOWN: Redis must be asked. The cache's lock may be held. */
enum sp__fresh sp__flight_usable(struct sp__flight *flight);
/** How what was found past its time is given out: SP_LOOKUP_STALE, or HIT where it is only to be refreshed early. */
int sp__flight_state_of_found(const struct sp__flight *flight);
/** Whether those who wait take what was found at once, rather than wait for a time first. */
bool sp__flight_gives_at_once(const struct sp__flight *flight);

/** The point in the logs from before a load. What was found stays only if it held up to there. Of the step. */
void sp__flight_mark(struct sp__flight *flight);
void sp__flight_forget(struct sp__flight *flight);

/** Steps, in trip.c. Each has a reference to the flight and counts as work of the cache until the last one ended. */
void sp__flight_step(struct sp__flight *flight);
void sp__flight_end_step(struct sp__flight *flight);
void sp__flight_seek(struct sp__flight *flight);
void sp__flight_acquire(struct sp__flight *flight);

#endif
