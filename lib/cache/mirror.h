/* SPDX-License-Identifier: MIT */
/**
 * What this process knows of the namespace's invalidation log, and how far that knowledge is proven (docs/design.md,
 * "Coherence"). It stands apart from every connection: others tell it what they heard.
 *
 * Two logs: the shared one (epoch `e`, sequence `n`), as far as the stream from Redis and this process's own
 * acknowledgements tell; and the process's own, which numbers each invalidation made here, also those that Redis never
 * acknowledged. With no Redis only one sequence exists and it is always live.
 *
 * Tags are 64-bit hashes: a collision can only invalidate too much. 0 is no tag.
 *
 * Threads: any. Its lock is a leaf.
 */
#ifndef SP_CACHE_MIRROR_H
#define SP_CACHE_MIRROR_H

#include "base/thread.h"
#include "cache/bumps.h"
#include "cache/coarse.h"
#include "cache/probe.h"
#include "cache/tagmap.h"

#include <stdatomic.h>

/** A point in both logs, taken before a load begins. */
struct sp__mark {
        bool known; /* e and v0 are: the mirror was live */
        uint64_t e;
        int64_t v0;
        uint64_t own;
};

/** A question to Redis how far the log is, and what was known when it was asked. */
struct sp__proof {
        uint64_t stream;
        int64_t asked_at;
        bool known;
        uint64_t e;
        int64_t seen;
        uint64_t own;
};

enum sp__fresh { SP__FRESH, SP__GONE, SP__UNKNOWN };
enum sp__proven { SP__PROVEN, SP__PENDING, SP__IGNORED, SP__REGRESSED, SP__DEAF };

struct sp__mirror {
        _Atomic uint64_t version; /* changes with whatever could change an answer of sp__mirror_check() */
        _Atomic int64_t live_until;

        _Atomic int64_t bytes; /* of all tables below */
        size_t last_max;       /* how many tags there may be in `last` */
        size_t own_max;

        sp__mutex lock;
        bool remote;
        int64_t bound;

        bool known; /* e, n, c0, seen, last and past are */
        uint64_t e;
        int64_t n;    /* the stream was applied up to here */
        int64_t c0;   /* nothing is known before */
        int64_t seen; /* the highest number seen, or acknowledged to this process */
        struct sp__bumps last;
        struct sp__coarse past; /* of the tags that `last` has no room for */
        int64_t past_n;         /* the highest number there; 0: none */

        bool recalls; /* what was known when the touch was lost is remembered, for sp__mirror_doubts() */
        bool was_known;
        uint64_t was_e;
        int64_t was_c0;
        struct sp__bumps was_last;

        uint64_t stream; /* counts subscriptions */
        bool streaming;
        int64_t wait_n; /* a proof that holds once the stream has come here; 0: none */
        int64_t wait_at;
        int64_t wait_since;

        uint64_t own_n;
        uint64_t unplaced; /* own_n when acknowledgements were forgotten, or came and found no place */
        uint64_t own_c0;
        struct sp__bumps own;
        struct sp__tagmap
            owed; /* tags whose invalidation Redis has not acknowledged, by when: no entry under them is fresh */
        uint64_t owed_at;  /* the last one's moment, ns */
        uint64_t owes_all; /* of all, or of one more than can be remembered; 0: none */
        uint64_t resets;
};

/** `remote` false: the log is this process's alone. */
void sp__mirror_init(struct sp__mirror *mirror, bool remote, int64_t bound_ns);
void sp__mirror_destroy(struct sp__mirror *mirror);
/** It takes about a twentieth of `memory` at most, telling fewer tags apart where that is little. Before it is shared. */
void sp__mirror_fit(struct sp__mirror *mirror, int64_t memory);
/** What it takes now. */
static inline int64_t sp__mirror_bytes(const struct sp__mirror *mirror)
{
        return atomic_load_explicit(&((struct sp__mirror *)(uintptr_t)mirror)->bytes, memory_order_relaxed);
}

void sp__mirror_mark(struct sp__mirror *mirror, struct sp__mark *mark);
/** Whether an entry from before `v0` of epoch `e` still holds. `version`: of this answer, for sp__mirror_same(). */
enum sp__fresh sp__mirror_check(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count,
                                uint64_t *version);
/** The same without regard to what is owed to Redis: whether a load that began at (e, v0) may be given to who waits for it. */
enum sp__fresh sp__mirror_judge(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count);
/** Whether nobody in this process invalidated one of the tags since the mark. */
bool sp__mirror_holds(struct sp__mirror *mirror, const struct sp__mark *mark, const uint64_t *tags, size_t count);

/** From now on it remembers what sp__mirror_doubts() asks for. Before it is shared. */
void sp__mirror_recall(struct sp__mirror *mirror);
/**
 * For when nothing can be proven: false where the entry held when it was last known what holds, and nobody in this process has
 * invalidated it since. What others have done since is not known.
 */
bool sp__mirror_doubts(struct sp__mirror *mirror, uint64_t e, int64_t v0, const uint64_t *tags, size_t count);

/** Whether an answer that was fresh at `version` is so now. No lock. */
static inline bool sp__mirror_same(struct sp__mirror *mirror, uint64_t version, int64_t now)
{
        return atomic_load(&mirror->version) == version &&
               (now <= atomic_load(&mirror->live_until) || sp__bugged(SP__BUG_HORIZON));
}

static inline bool sp__mirror_live(struct sp__mirror *mirror)
{
        return sp__now() <= atomic_load(&mirror->live_until) || sp__bugged(SP__BUG_HORIZON);
}

/** The subscription stands; it was lost. */
void sp__mirror_up(struct sp__mirror *mirror);
void sp__mirror_down(struct sp__mirror *mirror);
void sp__mirror_hear(struct sp__mirror *mirror, uint64_t e, int64_t n, const uint64_t *tags, size_t count);
/** false: there is no stream that could be proven. */
bool sp__mirror_ask(struct sp__mirror *mirror, struct sp__proof *proof);
/**
 * SP__REGRESSED: the log went back within its epoch, so that Redis has lost something: it needs a new epoch. SP__DEAF: it is
 * proven without the stream, which did not bring in time what the log has.
 */
enum sp__proven sp__mirror_prove(struct sp__mirror *mirror, const struct sp__proof *proof, uint64_t e, int64_t n);

/** This process invalidated the tags and Redis said (e, n). false: the mirror no longer knows, a proof is needed. */
bool sp__mirror_acknowledge(struct sp__mirror *mirror, uint64_t e, int64_t n, const uint64_t *tags, size_t count);
/** It ended the epoch: no entry from before holds, nor does a load that is under way. */
void sp__mirror_acknowledge_all(struct sp__mirror *mirror);
/** It could not: nothing under the tags is fresh until it is made up for. */
void sp__mirror_owe(struct sp__mirror *mirror, const uint64_t *tags, size_t count);
void sp__mirror_owe_all(struct sp__mirror *mirror);
/** What is owed, up to `max`; `*upto` for sp__mirror_pay(), `*all`: a new epoch is owed instead. */
size_t sp__mirror_owed(struct sp__mirror *mirror, uint64_t *tags, size_t max, uint64_t *upto, bool *all);
/** Those tags were acknowledged: no longer owed but where they were owed anew since. */
void sp__mirror_pay(struct sp__mirror *mirror, const uint64_t *tags, size_t count, uint64_t upto, bool all);
/** What was owed before then (ns) is not owed any more: no entry from before it is left. */
void sp__mirror_lapse(struct sp__mirror *mirror, int64_t before);
/** Whether one of the tags is owed. */
bool sp__mirror_owes(struct sp__mirror *mirror, const uint64_t *tags, size_t count);
/** How many tags are owed; all of them count as one. */
size_t sp__mirror_owing(struct sp__mirror *mirror);
/** With no Redis: the log's next entry. */
void sp__mirror_bump(struct sp__mirror *mirror, const uint64_t *tags, size_t count);
void sp__mirror_bump_all(struct sp__mirror *mirror);

#endif
