/* SPDX-License-Identifier: MIT */
/**
 * @file profiler.h
 * @brief What each statement and each named piece of work costs, which of it was slow, and which should have been one.
 *
 * Every statement of a client is recorded by its name and, where several texts share one, by fingerprint: wait, execute and
 * fetch times, rows, bytes, errors by SQLSTATE. Work of your own is named so:
 *
 *     start = sp_profiler_start(profiler);
 *     … work …
 *     sp_profiler_finish(profiler, "getRecommendations", start, status);
 *
 * What takes longer than `profiler.slow` (100 ms; `profiler.getRecommendations.slow` for one name) goes to the slow log, a
 * ring that sp_profiler_slow() empties, and is told to those who watch (sp_profiler_watch_async()).
 *
 * A request is a unit of work when its context was given a name:
 *
 *     sp_ctx_set(ctx, "scope", "GET /recommendations", NULL);
 *     … statements under ctx and its children …
 *     sp_ctx_unref(ctx);
 *
 * A statement that ran `profiler.repeats` times (5) in one with different values is an N+1, with the same ones a missing
 * cache. Each is told once a place, with the statement that would do instead of them, and counted from then on.
 *
 * Times are log-linear histograms: a quantile is off by at most 1/64 (1.6 %), by 16 ns below a microsecond. Memory is
 * bounded: `profiler.names` entries of 10 kB, `profiler.ring` slow ones, 256 findings. No literal, parameter or comment is
 * in any output.
 *
 * Threads: safe from any thread; an sp_slow belongs to the thread that took it. A profiler of one's own may be freed when
 * nobody calls it any more; contexts that it watches may live on.
 */
#ifndef SUGARPERF_PROFILER_H
#define SUGARPERF_PROFILER_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

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

/**
 * Runs, failures, total and quantiles (q in 0–1) in nanoseconds of the statement of that name, where there is none of work; 0 for
 * an unknown one. The report tells both.
 */
SP_API int64_t sp_profiler_count(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_errors(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_total_ns(const sp_profiler *profiler, const char *name);
SP_API int64_t sp_profiler_quantile_ns(const sp_profiler *profiler, const char *name, double q);

/**
 * All of it as JSON (SP_CODEC_JSON), owned by the caller: {"statements":[…],"work":[…],"findings":[…]}, those with the
 * greatest total time in front, at most `top` of each kind (0: all). Fields: docs/profiler.md. SP_INVALID, SP_NOMEM,
 * SP_FORKED.
 */
SP_API sp_status sp_profiler_report(sp_profiler *profiler, uint32_t top, sp_value **out);

/**
 * One completion as soon as there is an event of a number above `seen` (0 at first); its value is JSON. Watch again with its
 * "event" as `seen`; "missed" counts those that were dropped in between, of which 32 are kept.
 *
 *     {"event","missed","kind":"slow","name","text","fingerprint","pool","durationMs","waitMs","executeMs","fetchMs","rows",
 *      "status","code","tag","trace","scope","plan"}
 *         Something took longer than its threshold; at most `profiler.slow_rate` a second.
 *     {"event","missed","kind":"n+1"|"repeat","place","name","text","fingerprint","runs","distinct","totalMs","instead"}
 *         A unit of work called "place" ended in which the statement ran so often, with so many different parameters.
 *     {"event","missed","kind":"plan","name","fingerprint","from","to","beforeMs","afterMs"}
 *         A statement's plan changed, and it became half as slow again: see sp_profiler_explain().
 *
 * `ctx` (may be NULL) cancels, its deadline does not. Ends with SP_CLOSED when the profiler is freed.
 */
SP_API sp_status sp_profiler_watch_async(sp_profiler *profiler, sp_ctx *ctx, uint64_t seen, sp_queue *queue,
                                         uint64_t tag);

/**
 * Spans, for OpenTelemetry. From the first call on, each statement whose context has a sampled "trace" (W3C traceparent, flags
 * 01) is kept as a span under that parent, the last 1,024 of them. One completion as soon as there is one of a number above
 * `seen` (0 at first); its value is JSON: {"event","missed","spans":[…]}, all above it that are kept, as the elements of
 * OTLP's "spans" (kind CLIENT, attributes db.system.name, db.query.summary, db.query.text, db.response.status_code,
 * error.type, server.address, server.port, …). Call again with its "event" as `seen`. `ctx` (may be NULL) cancels, its
 * deadline does not. Ends with SP_CLOSED when the profiler is freed.
 */
SP_API sp_status sp_profiler_spans_async(sp_profiler *profiler, sp_ctx *ctx, uint64_t seen, sp_queue *queue,
                                         uint64_t tag);

/**
 * The plan of a statement that ran, by its name, as JSON: {"name","fingerprint","text","plan","cost","rows"}; "plan" is its
 * shape, "Limit > Sort > Seq Scan on contents", without conditions, which quote literals. EXPLAIN alone is asked, which runs
 * nothing, for the generic plan, on a connection of the profiler's own with `profiler.explain_timeout`. With
 * `profiler.plan_every` slow statements are looked at by themselves, at most so often each.
 * SP_NOT_FOUND (none of that name ran), SP_UNSUPPORTED (it is no read, or the profiler has no client), and the pool's errors.
 */
SP_API sp_status sp_profiler_explain(sp_profiler *profiler, sp_ctx *ctx, const char *name, sp_value **out,
                                     sp_error **error);
SP_API sp_status sp_profiler_explain_async(sp_profiler *profiler, sp_ctx *ctx, const char *name, sp_queue *queue,
                                           uint64_t tag);
/**
 * Which indexes the recorded statements of a pool (NULL: the default one) want, as JSON (docs/profiler.md):
 * {"pool","hypopg","indexes":[{"ddl",…}],"statements":[{"name","before","after",…}],"idle":[{"index","fault",…}]}. With the
 * extension HypoPG in the database each candidate is costed by the planner, without it they are only guessed. Nothing is
 * created or dropped. It takes some hundred EXPLAINs: a second or more of one connection's time.
 * SP_UNSUPPORTED (the profiler has no client), SP_NOT_FOUND (no such pool), and the pool's errors.
 */
SP_API sp_status sp_profiler_advise(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_value **out,
                                    sp_error **error);
SP_API sp_status sp_profiler_advise_async(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_queue *queue,
                                          uint64_t tag);

/**
 * What the server of a pool (NULL: the default one) knows itself, as JSON (docs/profiler.md): {"pool","version","rights","database":{…},
 * "statements":[…],"others":[…],"tables":[…],"transactions":[…],"locks":[…],"lacks":[…]}. Recorded statements stand beside
 * what pg_stat_statements counted of them, where the server has that. What the role may not see, or the server has not, is no
 * error: "lacks" names it, and what would mend it. SP_UNSUPPORTED (the profiler has no client), SP_NOT_FOUND (no such pool), and the
 * pool's errors.
 */
SP_API sp_status sp_profiler_server(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_value **out,
                                    sp_error **error);
SP_API sp_status sp_profiler_server_async(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_queue *queue,
                                          uint64_t tag);

/** The oldest entry of the slow log, owned by the caller (sp_slow_free()); NULL when it is empty. */
SP_API sp_slow *sp_profiler_slow(sp_profiler *profiler);
/** Entries that fell out of the ring unread. */
SP_API int64_t sp_profiler_slow_missed(const sp_profiler *profiler);
/** Slow runs that made no entry, because more than `profiler.slow_rate` came in a second. */
SP_API int64_t sp_profiler_slow_limited(const sp_profiler *profiler);
SP_API const char *sp_slow_name(const sp_slow *slow);
/** Normalised text of a statement, "" for other work. */
SP_API const char *sp_slow_text(const sp_slow *slow);
SP_API int64_t sp_slow_duration_ns(const sp_slow *slow);
/** Until it was sent; until its answer began; until its answer had come. */
SP_API int64_t sp_slow_wait_ns(const sp_slow *slow);
SP_API int64_t sp_slow_execute_ns(const sp_slow *slow);
SP_API int64_t sp_slow_fetch_ns(const sp_slow *slow);
/** Returned, or changed. */
SP_API int64_t sp_slow_rows(const sp_slow *slow);
SP_API sp_status sp_slow_status(const sp_slow *slow);
/** SQLSTATE of a failed statement, else "". */
SP_API const char *sp_slow_code(const sp_slow *slow);
/** "tag", "trace" and "scope" of the caller's context, "" where it has none. */
SP_API const char *sp_slow_tag(const sp_slow *slow);
SP_API const char *sp_slow_trace(const sp_slow *slow);
SP_API const char *sp_slow_scope(const sp_slow *slow);
/** The shape of the statement's plan as last seen (sp_profiler_explain()), "" where none was. */
SP_API const char *sp_slow_plan(const sp_slow *slow);
SP_API void sp_slow_free(sp_slow *slow);

#ifdef __cplusplus
}
#endif
#endif
