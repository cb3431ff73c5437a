/* SPDX-License-Identifier: MIT */
/**
 * The slow log: a ring that loses its oldest entry when it is full.
 *
 * Threads: any; the log's mutex guards the ring and is held for a few instructions.
 */
#ifndef SP_PROFILE_SLOW_H
#define SP_PROFILE_SLOW_H

#include "base/thread.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sugarperf/profiler.h>

/** Bytes of a statement's text that an entry keeps, so that a full ring has a size. */
enum { SP__SLOW_TEXT_MAX = 4096 };

struct sp__slow_log {
        sp__mutex mutex;
        sp_slow **ring;
        size_t cap;
        size_t first;
        size_t count;
        _Atomic int64_t total;  /* entries ever */
        _Atomic int64_t missed; /* of these, lost unread */
};

/** false when out of memory. */
bool sp__slow_log_init(struct sp__slow_log *log, size_t cap);
void sp__slow_log_destroy(struct sp__slow_log *log);
/** Copies the texts; an entry for which there is no memory counts as missed. */
void sp__slow_log_add(struct sp__slow_log *log, const char *name, const char *text, int64_t duration_ns,
                      int64_t wait_ns);
/** The oldest, now the caller's; NULL when empty. */
sp_slow *sp__slow_log_take(struct sp__slow_log *log);

#endif
