/* SPDX-License-Identifier: MIT */
/** The profiler as the client uses it. Recording a known name takes the name's lock, briefly, and no memory, unless it was slow. */
#ifndef SP_PROFILE_PROFILER_H
#define SP_PROFILE_PROFILER_H

#include "cache/watcher.h"
#include "observe/exposition.h"
#include "pg/pool.h"
#include "profile/inspector.h"

#include <sugarperf/profiler.h>

/**
 * A statement is asked for: counted in its context's unit of work, where there is one. What it returns goes to sp__work_over().
 * Any thread but a child process's, no lock held, as what follows; `profiler` may be NULL: nothing is recorded. These two are of
 * the pool's watcher, as they stand.
 */
void *sp__profiler_asked(void *profiler, const sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params);
/** Records a statement. */
void sp__profiler_record(void *profiler, const struct sp__stmt_record *record);

/** Records how a query through the cache was answered. */
void sp__profiler_cached(sp_profiler *profiler, const char *pool, const sp_stmt *stmt, enum sp__cache_outcome outcome);

/** From now on it can ask databases; before it is shared. The inspector stops before the profiler is freed. */
void sp__profiler_attach(sp_profiler *profiler, struct sp__inspector *inspector);

/** Names of each kind that have series of their own; those with the greatest total time. */
enum { SP__PROFILER_SERIES = 50 };

/**
 * db_client_operation_duration_seconds and sugarperf_statement_* by statement, sugarperf_work_* by other work,
 * sugarperf_profiler_*. What has no series of its own counts as "other", whose counters do not fall when a name gets or
 * loses its series. Any thread.
 */
void sp__profiler_collect(sp_profiler *profiler, struct sp__expo *expo);

#endif
