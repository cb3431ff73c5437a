/* SPDX-License-Identifier: MIT */
/** The profiler as the client uses it. Recording a known name takes no lock and no memory, unless it was slow. */
#ifndef SP_PROFILE_PROFILER_H
#define SP_PROFILE_PROFILER_H

#include "observe/exposition.h"

#include <sugarperf/profiler.h>

/**
 * Records a statement: how long it waited for a connection, executed, and was fetched. `text` is its normalised text
 * without literals, or "". `profiler` may be NULL: nothing is recorded. Any thread.
 */
void sp__profiler_record(sp_profiler *profiler, const char *name, const char *text, int64_t wait_ns, int64_t execute_ns,
                         int64_t fetch_ns, sp_status status);

/** Names of each kind that have series of their own; those with the greatest total time. */
enum { SP__PROFILER_SERIES = 50 };

/**
 * db_client_operation_duration_seconds and sugarperf_statement_* by statement, sugarperf_work_* by other work,
 * sugarperf_profiler_slow*. What has no series of its own counts as "other", whose counters do not fall when a name
 * gets or loses its series. Any thread.
 */
void sp__profiler_collect(sp_profiler *profiler, struct sp__expo *expo);

#endif
