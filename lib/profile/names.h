/* SPDX-License-Identifier: MIT */
/**
 * The names that a profiler tells apart, and what was recorded under each: an open-addressing table of fixed size whose
 * entries live as long as it does. Finding a name takes no lock; adding one takes the table's mutex.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_NAMES_H
#define SP_PROFILE_NAMES_H

#include "base/thread.h"
#include "observe/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SP__NAME_MAX = 128, SP__LINE = 64 };

enum sp__name_kind { SP__NAME_STATEMENT, SP__NAME_WORK, SP__NAME_KINDS };

/** Whether the last scrape showed a name in a series of its own. */
enum sp__name_shown { SP__NAME_NEW, SP__NAME_HIDDEN, SP__NAME_SHOWN };

/** What threads write stands in a cache line of its own, apart from what all of them read to find the name. */
struct sp__name {
        _Alignas(SP__LINE) _Atomic int64_t errors;
        _Atomic int64_t wait_ns;
        _Atomic int64_t execute_ns;
        _Atomic int64_t fetch_ns;
        _Alignas(SP__LINE) struct sp__histogram *times;
        uint64_t hash;
        enum sp__name_kind kind;   /* of its first record */
        enum sp__name_shown shown; /* under the profiler's scrape mutex */
        size_t len;
        char text[];
};

struct sp__names {
        sp__mutex adding;
        uint64_t seed;
        size_t mask;
        _Atomic(struct sp__name *) *slots; /* written under `adding`, once each */
        struct sp__name **all;             /* in order of adding; the first is "other" */
        _Atomic size_t count;              /* of `all`; written under `adding` after the entry */
        size_t max;
};

/** Room for `max` names beside "other"; false when out of memory. */
bool sp__names_init(struct sp__names *names, size_t max);
void sp__names_destroy(struct sp__names *names);
/** NULL for an unknown name. Only the first SP__NAME_MAX bytes of `text` count, here and below. */
struct sp__name *sp__names_find(const struct sp__names *names, const char *text);
/** The entry to record under, added if need be: "other" for an empty, malformed or further name. */
struct sp__name *sp__names_take(struct sp__names *names, const char *text, enum sp__name_kind kind);

static inline struct sp__name *sp__names_other(const struct sp__names *names)
{
        return names->all[0];
}

#endif
