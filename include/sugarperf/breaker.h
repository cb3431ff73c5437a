/* SPDX-License-Identifier: MIT */
/**
 * @file breaker.h
 * @brief Circuit breaker: fails fast while a dependency is down, probes it, recovers.
 *
 * CLOSED until `breaker.failures` (5) consecutive failures, then OPEN for `breaker.open_time` (60s), then HALF_OPEN: one
 * probe decides. Permits carry a generation: a late result of an older state does not count.
 *
 *     if (sp_breaker_acquire(breaker, &permit) != SP_OK)
 *             return fallback;
 *     status = call();
 *     sp_breaker_record(breaker, permit, sp_breaker_classify(status, code), elapsed_ns);
 *
 * Every permit is recorded or released exactly once; a second time does nothing.
 *
 * Threads: safe from any thread.
 */
#ifndef SUGARPERF_BREAKER_H
#define SUGARPERF_BREAKER_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_breaker sp_breaker;

enum { SP_BREAKER_CLOSED = 0, SP_BREAKER_OPEN = 1, SP_BREAKER_HALF_OPEN = 2 };
enum { SP_OUTCOME_SUCCESS = 0, SP_OUTCOME_FAILURE = 1, SP_OUTCOME_IGNORED = 2 };

/** `config` may be NULL (defaults); `name` selects `breaker.<name>.…`; `clock` may be NULL (the system's). */
SP_API sp_status sp_breaker_new(const sp_config *config, const char *name, sp_clock *clock, sp_breaker **out,
                                sp_error **error);
SP_API sp_breaker *sp_breaker_ref(sp_breaker *breaker);
SP_API void sp_breaker_unref(sp_breaker *breaker);
/** SP_OK and a permit below 2^53, or SP_OPEN. */
SP_API sp_status sp_breaker_acquire(sp_breaker *breaker, uint64_t *permit);
/** `outcome` is one of SP_OUTCOME_…; `elapsed_ns` how long the call took, for slow-call rates and metrics. */
SP_API void sp_breaker_record(sp_breaker *breaker, uint64_t permit, int outcome, int64_t elapsed_ns);
/** As an ignored outcome: for calls that were cancelled or never made. */
SP_API void sp_breaker_release(sp_breaker *breaker, uint64_t permit);
/** Built-in classes: unavailability, lost connections, server time-outs and resource errors are failures; the client's own
 *  errors (SQLSTATE classes 22, 23, 42, serialization failures), cancellations and acquire time-outs are ignored. */
SP_API int sp_breaker_classify(sp_status status, const char *code);

SP_API const char *sp_breaker_name(const sp_breaker *breaker);
/** The state now (an open time that has passed reads HALF_OPEN). */
SP_API int sp_breaker_state(const sp_breaker *breaker);
SP_API const char *sp_breaker_state_name(int state);
SP_API int64_t sp_breaker_failures(const sp_breaker *breaker);
/** Milliseconds until a probe is let through; 0 when not open. */
SP_API int64_t sp_breaker_next_attempt(const sp_breaker *breaker);
/** The document's getState() as JSON: {"state","failureCount","nextResetTime"}. */
SP_API sp_status sp_breaker_report(const sp_breaker *breaker, sp_value **out);

#ifdef __cplusplus
}
#endif
#endif
