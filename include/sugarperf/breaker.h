/* SPDX-License-Identifier: MIT */
/**
 * @file breaker.h
 * @brief Circuit breaker: fails fast while a dependency is down, probes it, recovers.
 *
 * CLOSED until `breaker.failures` (5) consecutive failures, then OPEN for `breaker.open_time` (60s), then HALF_OPEN: one
 * probe decides. Permits carry a generation: a late result of an older state does not count; that of a probe that was given up
 * does, while the state lasts. It may also open on the rate
 * of failures or of slow calls over the last calls or seconds, or on calls in flight; let several probes decide; and stay
 * open longer each time: see `breaker.…` in docs/configuration.md and docs/guard.md.
 *
 *     if (sp_breaker_acquire(breaker, &permit) != SP_OK)
 *             return fallback;
 *     status = call();
 *     sp_breaker_record(breaker, permit, sp_breaker_classify(status, code), elapsed_ns);
 *
 * Every permit is recorded or released exactly once; a second time does nothing, however late it comes. One that is lost holds
 * a probe's place until `breaker.probe_timeout`, and counts as in flight (`breaker.in_flight`: as many lost ones open it) until
 * the state changes, or until 16,384 later ones were given and 64 more that are as old are out: then it is given up.
 *
 * Threads: safe from any thread.
 */
#ifndef SUGARPERF_BREAKER_H
#define SUGARPERF_BREAKER_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_breaker sp_breaker;

/** Into the last three it goes, and out of them, by sp_breaker_force(), sp_breaker_reset() or `breaker.mode` alone. */
enum {
        SP_BREAKER_CLOSED = 0,
        SP_BREAKER_OPEN = 1,
        SP_BREAKER_HALF_OPEN = 2,
        SP_BREAKER_FORCED_OPEN = 3, /**< lets nothing through */
        SP_BREAKER_DISABLED = 4,    /**< lets everything through and judges nothing */
        SP_BREAKER_METRICS_ONLY = 5 /**< lets everything through, counts and rates it, and never opens */
};
enum { SP_OUTCOME_SUCCESS = 0, SP_OUTCOME_FAILURE = 1, SP_OUTCOME_IGNORED = 2 };

/**
 * `config` may be NULL (defaults); `name` selects `breaker.<name>.…`: 1 to 128 bytes of printable text in UTF-8, else SP_INVALID,
 * or NULL for "default"; `clock` may be NULL (the system's).
 */
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
/**
 * Whose fault it was; `code` (may be NULL) is the error's.
 *
 *     SP_OK                                                                           success
 *     SP_UNAVAILABLE, SP_LOST, SP_AUTH, SP_PROTOCOL                                   failure
 *     SP_TIMEOUT: no answer, or no connection because none is given or answers        failure
 *     SP_TIMEOUT, code "acquire": the pool was busy with a server that answers        ignored
 *     SP_SQL of the classes 08 (but 08P01), 28, 53, 57, 58, XX                        failure
 *     SP_REDIS LOADING, OOM, READONLY, CLUSTERDOWN, MASTERDOWN, MISCONF, TRYAGAIN,
 *     BUSY, NOREPLICAS                                                                failure
 *     everything else: the caller's errors (classes 22, 23, 42, serialization
 *     failures, 08P01), refusals (SP_FULL, SP_OPEN), SP_CANCELLED, SP_CLOSED          ignored
 */
SP_API int sp_breaker_classify(sp_status status, const char *code);
/**
 * Whether a fallback answers instead of it: of every failure, of every SP_TIMEOUT, and of refusals (SP_OPEN, SP_FULL). Not of the
 * caller's own errors, and not of SP_CANCELLED and SP_CLOSED: the caller wants no answer any more.
 */
SP_API bool sp_breaker_falls_back(sp_status status, const char *code);

SP_API const char *sp_breaker_name(const sp_breaker *breaker);
/** The state now (an open time that has passed reads HALF_OPEN). */
SP_API int sp_breaker_state(const sp_breaker *breaker);
SP_API const char *sp_breaker_state_name(int state);
SP_API int64_t sp_breaker_failures(const sp_breaker *breaker);
/**
 * Milliseconds until a probe is let through: of the open time, or HALF_OPEN with all probes on their way until the first of them
 * is given up. 0: at once, or (FORCED_OPEN) by hand alone.
 */
SP_API int64_t sp_breaker_next_attempt(const sp_breaker *breaker);
/** The document's getState() as JSON: {"state","failureCount","nextResetTime"}. */
SP_API sp_status sp_breaker_report(const sp_breaker *breaker, sp_value **out);
/** Calls recorded since the beginning with an SP_OUTCOME_…, late ones included; 0 for another number. */
SP_API int64_t sp_breaker_calls(const sp_breaker *breaker, int outcome);
/** Calls that were not let through. */
SP_API int64_t sp_breaker_rejected(const sp_breaker *breaker);
/** Permits of the present state whose result is still to come. */
SP_API int64_t sp_breaker_in_flight(const sp_breaker *breaker);
/**
 * All of it as JSON: the fields of sp_breaker_report(), and {"nextAttempt" (ms), "inFlight", "successful", "failed",
 * "ignored", "rejected", "changes", "windowCalls", "failureRate", "slowRate"}. Rates are 0 to 1, null below
 * `breaker.minimum` calls.
 */
SP_API sp_status sp_breaker_stats(const sp_breaker *breaker, sp_value **out);

/**
 * Puts it into a state by hand, whatever its mode; open times, probes and results go on from there. The state that it is in
 * begins anew; OPEN is then as long as it was the last time. SP_INVALID: no state.
 */
SP_API sp_status sp_breaker_force(sp_breaker *breaker, int state);
/** CLOSED, with nothing held against it; the totals stay. Where `breaker.mode` is set, the state that it asks for. */
SP_API void sp_breaker_reset(sp_breaker *breaker);

/** How often the state has changed. */
SP_API uint64_t sp_breaker_changes(const sp_breaker *breaker);
/**
 * One completion as soon as the state has changed more than `seen` times: at once where that is so already. Its value is
 * JSON, {"change","state","previous","missed"}, of the latest change; watch again with its "change" as `seen`. An open
 * time that has passed is a change when the next call comes. `ctx` (may be NULL) cancels, its deadline does not; a breaker
 * that is freed ends it with SP_CLOSED.
 */
SP_API sp_status sp_breaker_watch(sp_breaker *breaker, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);

#ifdef __cplusplus
}
#endif
#endif
