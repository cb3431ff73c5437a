/* SPDX-License-Identifier: MIT */
/**
 * The namespace's invalidation log: the mirror of it, kept true by a subscription and by proofs; the trips that append to
 * it; what is owed to it while Redis is away. With no Redis it is the mirror alone.
 *
 * Threads: any. Its lock is a leaf.
 */
#ifndef SP_CACHE_LOG_H
#define SP_CACHE_LOG_H

#include "cache/debts.h"
#include "cache/mirror.h"
#include "cache/releases.h"
#include "cache/scripts.h"
#include "loop/engine.h"
#include "redis/link.h"
#include "redis/subscriber.h"

#include <sugarperf/config.h>

enum { SP__NAMESPACE_MAX = 128, SP__RUN_ID_MAX = 64, SP__LOG_TAGS_MAX = 1000000 };

struct sp__log {
        struct sp__mirror mirror;
        struct sp__engine *engine;
        struct sp__address address;
        struct sp__link *link; /* NULL: no Redis */
        struct sp__subscriber *subscriber;
        char hash[SP__NAMESPACE_MAX + 8];    /* {namespace}:v */
        char channel[SP__NAMESPACE_MAX + 8]; /* {namespace}:s */
        int64_t period;                      /* between two proofs */
        atomic_bool asking;                  /* a proof is under way */
        atomic_bool settled;                 /* it is known whether Redis answers */
        atomic_bool started;
        atomic_bool ending;
        _Atomic int64_t longest; /* ns that an entry may be kept after an invalidation that came too late for it */
        atomic_bool deaf;        /* the stream stands, and brings nothing */
        int64_t deaf_until;      /* it is not given up for that before; the engine's thread */

        sp__mutex lock;
        sp__cond idle;
        unsigned trips; /* of its own, under way */
        char run_id[SP__RUN_ID_MAX];
        struct sp__list waiting; /* until it is settled */

        struct sp__timer prove_timer;
        struct sp__debts debts; /* the lock guards it */
        struct sp__releases releases;
};

/** Who waits until the log is settled: told once, on any thread, no lock held. */
struct sp__log_waiter {
        struct sp__list link;
        void (*go)(struct sp__log_waiter *waiter);
};

sp_status sp__log_init(struct sp__log *log, const sp_config *config, struct sp__engine *engine, sp_error **error);
/** After closing, and after the subscriber ended. */
void sp__log_destroy(struct sp__log *log);
/** Connects, once. Any number of calls. */
void sp__log_start(struct sp__log *log);
/** false: it is settled, there is nothing to wait for. */
bool sp__log_await(struct sp__log *log, struct sp__log_waiter *waiter);
/** No proofs and retries any more. The engine's thread. */
void sp__log_stop(struct sp__log *log);
/** After stopping: closes the connection and waits until no trip of its own is under way. Not the engine's thread. */
void sp__log_close(struct sp__log *log);

/** The call of SP__SCRIPT_PLACE, added to a trip; and its answer. */
void sp__log_add_place(struct sp__log *log, struct sp__command *command, bool with_text);
/** The call of SP__SCRIPT_BUMP with the tags. `renew`: begins a new epoch. */
void sp__log_add_bump(struct sp__log *log, struct sp__command *command, bool with_text, const uint64_t *tags,
                      size_t count, bool renew);
/** {epoch, n} as the scripts answer; false: it is not that. */
bool sp__log_read(const redisReply *reply, uint64_t *e, int64_t *n);
/** HMGET of the log's place and of tags; whether an entry holds by its answer, and the place's number. */
void sp__log_add_tags(struct sp__log *log, struct sp__command *command, const uint64_t *tags, size_t count);
bool sp__log_holds(const redisReply *reply, uint64_t e, int64_t v0, size_t count, int64_t *n);

/** Redis acknowledged a bump of ours. Where it did not: sp__log_owe(). */
void sp__log_acknowledge(struct sp__log *log, uint64_t e, int64_t n, const uint64_t *tags, size_t count);
/** The same of a bump that began a new epoch: nothing in the namespace holds any more. */
void sp__log_acknowledge_all(struct sp__log *log);
/** A trip of its own begins, ends: it is closed when none is under way. */
void sp__log_begin_trip(struct sp__log *log);
void sp__log_end_trip(struct sp__log *log);

#endif
