/* SPDX-License-Identifier: MIT */
/**
 * The slow log: a ring that loses its oldest entry when it is full, behind a bucket of tokens that refuses entries when
 * they come too fast: a database that is down makes every statement slow.
 *
 * Threads: any; the log's mutex guards ring and bucket and is held for a few instructions.
 */
#ifndef SP_PROFILE_SLOW_H
#define SP_PROFILE_SLOW_H

#include "base/buf.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sugarperf/profiler.h>

/** Bytes of a statement's text that an entry keeps, so that a full ring has a size. */
enum { SP__SLOW_TEXT_MAX = 4096 };

/** What was slow. Texts may be NULL, which is ""; they are copied. */
struct sp__slow_run {
        const char *name, *text, *pool, *code, *tag, *trace, *scope, *plan;
        uint64_t fingerprint;
        int64_t duration_ns, wait_ns, execute_ns, fetch_ns, rows;
        sp_status status;
};

struct sp__slow_log {
        sp__mutex mutex;
        sp_slow **ring;
        size_t cap;
        size_t first;
        size_t count;
        int64_t rate;            /* entries a second, and at once; 0: no limit */
        int64_t spent_ns;        /* when the bucket will be full again */
        _Atomic int64_t total;   /* slow runs ever */
        _Atomic int64_t missed;  /* of these, entries lost unread */
        _Atomic int64_t limited; /* … that made no entry, because they came too fast */
};

/** false when out of memory. */
bool sp__slow_log_init(struct sp__slow_log *log, size_t cap, int64_t rate);
void sp__slow_log_destroy(struct sp__slow_log *log);
/** false: it came too fast. An entry for which there is no memory counts as missed. */
bool sp__slow_log_add(struct sp__slow_log *log, const struct sp__slow_run *run, int64_t now_ns);
/** The oldest, now the caller's; NULL when empty. */
sp_slow *sp__slow_log_take(struct sp__slow_log *log);
/** The run as members of a JSON object, without braces. */
void sp__slow_write(const struct sp__slow_run *run, struct sp__buf *out);

#endif
