/* SPDX-License-Identifier: MIT */
/**
 * @file policy.h
 * @brief What a call to a dependency may cost: deadline, retries, breaker, rate, concurrency, in one object.
 *
 * A policy holds, in this order from the outside in, each switched on by `policy.<name>.…`:
 *
 *     deadline       timeout: of the whole call, its waits and retries included; it reaches the attempts by sp_call_ctx()
 *     retries        attempts, with exponential backoff, full jitter and a budget, so that retries cannot double a load
 *     breaker        an open one refuses before anything is waited for; its permit is taken last
 *     rate limiter   rate, burst: calls a second (GCRA); who may wait (rate_wait) does so in order, unless its turn would come
 *                    after its deadline: it is refused at once, with SP_FULL
 *     bulkhead       concurrency, waiting: attempts at once, and how many may wait, first come first served
 *
 * A call runs through it in attempts:
 *
 *     sp_call_new(policy, ctx, &call, &error);
 *     do {
 *             if ((status = sp_call_enter(call, &error)) != SP_OK)
 *                     break;
 *             status = work(sp_call_ctx(call));
 *     } while (sp_call_leave(call, sp_breaker_classify(status, code), sp_status_retryable(status)));
 *     sp_call_free(call);
 *
 * Threads: a policy is safe from any thread. A call belongs to one thread at a time.
 */
#ifndef SUGARPERF_POLICY_H
#define SUGARPERF_POLICY_H

#include <sugarperf/base.h>
#include <sugarperf/breaker.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_policy sp_policy;
typedef struct sp_call sp_call;

/**
 * `config` may be NULL (defaults: it lets everything through once); `name` selects `policy.<name>.…`, and is as a breaker's;
 * `breaker` may be NULL.
 */
SP_API sp_status sp_policy_new(const sp_config *config, const char *name, sp_breaker *breaker, sp_policy **out,
                               sp_error **error);
SP_API sp_policy *sp_policy_ref(sp_policy *policy);
SP_API void sp_policy_unref(sp_policy *policy);
SP_API const char *sp_policy_name(const sp_policy *policy);
/**
 * JSON: {"running","waiting","retryTokens","admitted","retried","rateLimited","full","open","timedOut","exhausted"}; the last is
 * retries that the budget refused.
 */
SP_API sp_status sp_policy_stats(const sp_policy *policy, sp_value **out);

/**
 * Whether its breaker surely refuses now, which then counts as a refusal: who asks before a call is made saves what making it
 * costs, and many are refused while a dependency is down. false: make the call, it may be refused all the same.
 */
SP_API bool sp_policy_refuses(sp_policy *policy);

/** The deadline begins. `ctx` (may be NULL) is its parent's. */
SP_API sp_status sp_call_new(sp_policy *policy, sp_ctx *ctx, sp_call **out, sp_error **error);
/**
 * Waits until the next attempt may be made. SP_OPEN, SP_FULL (rate or bulkhead), SP_TIMEOUT, SP_CANCELLED, SP_CLOSED: it may
 * not, and the call is over.
 */
SP_API sp_status sp_call_enter(sp_call *call, sp_error **error);
/** SP_INVALID, from either: one is on its way, or an attempt is, or the call is over. */
SP_API sp_status sp_call_enter_async(sp_call *call, sp_queue *queue, uint64_t tag);
/**
 * What the attempt runs under: the call's deadline, no later than `attempt_timeout` from now. Borrowed until it is left. Outside
 * an attempt the call's own.
 */
SP_API sp_ctx *sp_call_ctx(sp_call *call);
/** The attempt is over. true: enter again, `retryable` and the policy allow another one. false: so is the call. */
SP_API bool sp_call_leave(sp_call *call, int outcome, bool retryable);
/** Attempts begun. */
SP_API int64_t sp_call_attempts(const sp_call *call);
/** Gives up what it holds or waits for; an attempt that was not left counts as ignored. */
SP_API void sp_call_free(sp_call *call);

#ifdef __cplusplus
}
#endif
#endif
