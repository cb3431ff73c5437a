/* SPDX-License-Identifier: MIT */
/**
 * @file ctx.h
 * @brief Per-call context: deadline, cancellation, trace and the unit of work.
 *
 * Every call that waits takes an sp_ctx, which may be NULL (the configured time-outs hold). A child inherits its
 * parent's deadline and is cancelled with it.
 *
 *     sp_ctx *ctx = sp_ctx_new(NULL);
 *     sp_ctx_set(ctx, "timeout", "250ms", NULL);
 *     sp_pool_query(pool, ctx, stmt, params, &result, &error);
 *     sp_ctx_unref(ctx);
 *
 * Threads: safe from any thread. Set a context up before its first use; afterwards only cancel it.
 */
#ifndef SUGARPERF_CTX_H
#define SUGARPERF_CTX_H

#include <sugarperf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_ctx sp_ctx;

/** `parent` may be NULL. NULL when out of memory. */
SP_API sp_ctx *sp_ctx_new(sp_ctx *parent);
SP_API sp_ctx *sp_ctx_ref(sp_ctx *ctx);
SP_API void sp_ctx_unref(sp_ctx *ctx);
/**
 * Names: "timeout" (a duration from now; never later than the parent's), "trace" (a W3C traceparent), "tag" (who calls),
 * "scope" (it begins a unit of work of that name, "GET /orders": what runs under it and its children until it is freed
 * is looked over for statements that should have been one, see profiler.h),
 * "unit" ("own": it begins a unit of work of its own, as a root does; its writes are those of the outer one as well),
 * "reads" ("primary": reads are not sent to replicas; "replica": they may be, though the parent's are not), "cache" ("read":
 * what a cache has is taken, what it lacks is loaded for this caller alone and not stored; "refresh": loaded anew and
 * stored, whatever it has; "bypass": neither; "use": as usual, though the parent's is not). While a transaction is open
 * that sp_session_begin() or sp_pool_transact() began under the context, or under another one of the same root, "use" and
 * "refresh" are as "read": what a transaction sees may be older than what was invalidated since.
 */
SP_API sp_status sp_ctx_set(sp_ctx *ctx, const char *name, const char *value, sp_error **error);
/** Operations that run under it end with SP_CANCELLED, once; later ones are refused with it. NULL: nothing happens. */
SP_API void sp_ctx_cancel(sp_ctx *ctx);
SP_API bool sp_ctx_cancelled(const sp_ctx *ctx);
/** Milliseconds left, 0 when past, -1 when there is no deadline. */
SP_API int64_t sp_ctx_remaining(const sp_ctx *ctx);

#ifdef __cplusplus
}
#endif
#endif
