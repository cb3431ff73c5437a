/* SPDX-License-Identifier: MIT */
/**
 * @file profiler.h
 * @brief What each named piece of work costs, and which of it was slow.
 *
 * Every statement of a client is recorded by name with its wait, execute and fetch times. Work of your own is named so:
 *
 *     start = sp_profiler_start(profiler);
 *     … work …
 *     sp_profiler_finish(profiler, "getRecommendations", start, status);
 *
 * What takes longer than `profiler.slow` (100 ms) goes to the slow log, a ring that sp_profiler_slow() empties. Neither
 * holds literals or parameters.
 *
 * Threads: safe from any thread; an sp_slow belongs to the thread that took it.
 */
#ifndef SUGARPERF_PROFILER_H
#define SUGARPERF_PROFILER_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_profiler sp_profiler;
typedef struct sp_slow sp_slow;

/** `config` may be NULL; `clock` may be NULL (the system's). */
SP_API sp_status sp_profiler_new(const sp_config *config, sp_clock *clock, sp_profiler **out, sp_error **error);
SP_API void sp_profiler_free(sp_profiler *profiler);
/** Nanoseconds of the monotonic clock. */
SP_API int64_t sp_profiler_start(const sp_profiler *profiler);
/** Records one run of `name` (at most 128 bytes are kept; past `profiler.names` names it counts as "other"). */
SP_API void sp_profiler_finish(sp_profiler *profiler, const char *name, int64_t start, sp_status status);

/** Runs, failures, total and quantiles (q in 0–1) in nanoseconds of a name; 0 for an unknown one. */
SP_API int64_t sp_profiler_count(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_errors(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_total_ns(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_quantile_ns(const sp_profiler *profiler, const char *name, double q);

/** The oldest entry of the slow log, owned by the caller (sp_slow_free()); NULL when it is empty. */
SP_API sp_slow *sp_profiler_slow(sp_profiler *profiler);
/** Entries that fell out of the ring unread. */
SP_API int64_t sp_profiler_slow_missed(const sp_profiler *profiler);
SP_API const char *sp_slow_name(const sp_slow *slow);
/** Normalised text of a statement, "" for other work. */
SP_API const char *sp_slow_text(const sp_slow *slow);
SP_API int64_t sp_slow_duration_ns(const sp_slow *slow);
SP_API int64_t sp_slow_wait_ns(const sp_slow *slow);
SP_API void sp_slow_free(sp_slow *slow);

#ifdef __cplusplus
}
#endif
#endif
