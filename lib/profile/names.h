/* SPDX-License-Identifier: MIT */
/**
 * The names that a profiler tells apart, and what was recorded under each: an open-addressing table of fixed size whose
 * entries live as long as it does. A name has one entry for each fingerprint that came under it: its first, and variants,
 * which hang on that one. A statement and work of one name are two names. Finding takes no lock; adding takes the table's mutex.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_NAMES_H
#define SP_PROFILE_NAMES_H

#include "base/brief.h"
#include "base/thread.h"
#include "cache/watcher.h"
#include "observe/histogram.h"
#include "pg/pool.h"
#include "pg/stmt.h"
#include "profile/codes.h"
#include "profile/minutes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SP__NAME_MAX = 128, SP__LINE = 64 };

enum sp__name_kind { SP__NAME_STATEMENT, SP__NAME_WORK, SP__NAME_KINDS };

/** Whether the last scrape showed a name in a series of its own. */
enum sp__name_shown { SP__NAME_NEW, SP__NAME_HIDDEN, SP__NAME_SHOWN };

/** The plan of a statement, and what was recorded when it was first seen. */
struct sp__seen_plan {
        uint64_t digest;
        double cost;
        char *shape;
        int64_t count, total_ns;
};
void sp__seen_plan_free(struct sp__seen_plan *seen);

/**
 * What a run writes is one cache line and a bucket of the times; what all read is apart from it. Runs are added under the lock,
 * for one is cheaper than the six locked instructions that it spares; who reads needs none.
 */
struct sp__name {
        _Alignas(SP__LINE) _Atomic int64_t wait_ns;
        _Atomic int64_t execute_ns;
        _Atomic int64_t fetch_ns;
        _Atomic int64_t rows;
        _Atomic int64_t bytes;
        _Atomic int64_t max_ns;
        struct sp__histogram *times; /* without their sum: see sp__name_all() */
        sp__brief lock;              /* of who writes what is above; a leaf */
        sp__minute_latest minute;
        struct sp__minutes minutes;
        _Atomic int64_t errors;
        struct sp__codes codes;
        _Atomic int64_t cached[SP__OUTCOMES]; /* queries through the cache */
        _Alignas(SP__LINE) uint32_t slow_ms;  /* what takes so long is slow */
        uint64_t hash;
        uint64_t fingerprint;            /* 0: work, or a statement of the library's own */
        struct sp__name *first;          /* of the same name; itself, unless it is a variant */
        _Atomic(struct sp__name *) more; /* variants of the name, latest first, then in theirs */
        const sp_stmt *stmt;             /* a reference to the first one recorded, or NULL */
        char *norm;                      /* text without literals, "" for none */
        char *pool;                      /* name of the pool that ran it, "" for none */
        struct sp__seen_plan *plan;      /* as last seen; the profiler's lock of plans */
        _Atomic int64_t plan_due_ns;     /* when it is looked at again if it is slow */
        enum sp__name_kind kind;
        enum sp__name_shown shown; /* under the profiler's scrape mutex */
        size_t len;
        char text[];
};
_Static_assert(offsetof(struct sp__name, minutes) == SP__LINE, "what a run writes is one cache line");

/** What is to be recorded under. */
struct sp__wanted {
        const char *name; /* only its first SP__NAME_MAX bytes count */
        enum sp__name_kind kind;
        const struct sp__stmt_record *record; /* NULL: work */
};

struct sp__names {
        uint64_t seed;
        size_t mask;
        _Atomic(struct sp__name *) *slots; /* written under `adding`, once each */
        struct sp__name **all;             /* in order of adding; the first is "other" */
        _Atomic size_t count;              /* of `all`; written under `adding` after the entry */
        size_t max;
        void (*begin)(void *arg, struct sp__name *name); /* completes a new entry, before it is seen */
        void *arg;
        sp__mutex adding;
};

/** Room for `max` names beside "other"; false when out of memory. */
bool sp__names_init(struct sp__names *names, size_t max);
void sp__names_destroy(struct sp__names *names);
/** The first entry of a statement of that name, else of work; NULL for an unknown one. */
struct sp__name *sp__names_find(const struct sp__names *names, const char *text);
/** A statement has one entry as long as the table lives, so the first table that it came to leaves it there. NULL: none of its own. */
static inline sp_stmt *sp__wanted_stmt(const struct sp__wanted *wanted)
{
        const sp_stmt *stmt = wanted->record ? wanted->record->stmt : NULL;

        return stmt && stmt->name == wanted->name ? (sp_stmt *)(uintptr_t)stmt : NULL;
}

/** Where a statement's record goes, as it was found before; NULL: it must be looked up. Takes no lock. */
static inline struct sp__name *sp__names_recall(const struct sp__names *names, const struct sp__wanted *wanted)
{
        const sp_stmt *stmt = sp__wanted_stmt(wanted);

        if (!stmt || atomic_load_explicit(&stmt->recorded_by, memory_order_acquire) != names->seed)
                return NULL;
        return atomic_load_explicit(&stmt->recorded_as, memory_order_relaxed);
}

/**
 * The entry to record under, added if need be: "other" for an empty, malformed or further name, the name's first for a
 * further fingerprint.
 */
struct sp__name *sp__names_take(struct sp__names *names, const struct sp__wanted *wanted);
/** Those of one name, for walking: the first one, then what this yields until it is NULL. */
static inline struct sp__name *sp__name_next(const struct sp__name *name)
{
        return atomic_load_explicit(&((struct sp__name *)(uintptr_t)name)->more, memory_order_acquire);
}

/** Runs, their time and their failures by now. Walks the histogram: 0.3 us. */
struct sp__minute sp__name_all(const struct sp__name *name);
static inline int64_t sp__name_total(const struct sp__name *name)
{
        return atomic_load_explicit(&name->wait_ns, memory_order_relaxed) +
               atomic_load_explicit(&name->execute_ns, memory_order_relaxed) +
               atomic_load_explicit(&name->fetch_ns, memory_order_relaxed);
}

static inline struct sp__name *sp__names_other(const struct sp__names *names)
{
        return names->all[0];
}

#endif
