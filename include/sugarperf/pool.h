/* SPDX-License-Identifier: MIT */
/**
 * @file pool.h
 * @brief PostgreSQL: statements, shared lanes and results.
 *
 * A service prepares its statements once and runs them from any thread:
 *
 *     static const char text[] = "SELECT title FROM contents WHERE id = $1";
 *     sp_stmt_new("content-title", text, sizeof text - 1, 0, &stmt, &error);
 *     sp_params_add_text(params, id, strlen(id));
 *     sp_pool_query(pool, ctx, stmt, params, &result, &error);
 *     title = sp_result_get(result, 0, 0, &len);
 *
 * Concurrent single statements share few connections (lanes, in PostgreSQL's pipeline mode); one statement's error touches
 * nobody else's. A statement that depends on session state (BEGIN, SET, LISTEN, …) is refused there with SP_SESSION: it
 * needs a session (session.h). A statement takes effect at most once; reads may run again when a connection dies.
 *
 * What looks like a read runs where the server refuses writes (default_transaction_read_only). If it writes all the same, as
 * SELECT f_that_writes() does, it is run again where it may, once, and is known to write from then on: SP_STMT_WRITE spares
 * that, and is needed for a function that catches the refusal itself. In transaction mode of a proxy (pool.statements 0)
 * the server is not asked to refuse anything, and a read that calls a function which is not known runs again only where it is
 * declared to be a read or idempotent.
 *
 * What runs more than its text shows (DO, CALL, a function that is neither PostgreSQL's nor of a common extension) is
 * followed by a reset of what it may have left in its session, unless it is declared SP_STMT_READ or pool.reset_functions is off (docs/pool.md).
 *
 * Several servers may stand in one URL (postgresql://a,b/db): with pool.target_session_attrs the pool finds the one that takes
 * writes, also after a failover. With pool.replicas, single reads go to replicas that are near enough, and to the primary
 * otherwise; under a context, not to one that lacks what its unit of work (all contexts of one root) has written. A read whose
 * function writes should be declared SP_STMT_WRITE; what fills a cache should be read with "reads" set to "primary".
 *
 * Threads: sp_pool and sp_stmt are safe from any thread. An sp_result belongs to one thread at a time.
 */
#ifndef SUGARPERF_POOL_H
#define SUGARPERF_POOL_H

#include <sugarperf/base.h>
#include <sugarperf/config.h>
#include <sugarperf/ctx.h>
#include <sugarperf/params.h>
#include <sugarperf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_pool sp_pool;
typedef struct sp_stmt sp_stmt;
typedef struct sp_result sp_result;

/** Statement flags. */
enum {
        SP_STMT_READ = 1,       /**< a read that leaves nothing, in its transaction either: its text is not asked */
        SP_STMT_WRITE = 2,      /**< declared to write, though the text looks like a read (SELECT f_that_writes()) */
        SP_STMT_IDEMPOTENT = 4, /**< a write that may run again when its outcome is unknown */
        SP_STMT_UNNAMED = 8,    /**< never prepared by name (statements of one use) */
        SP_STMT_OPAQUE = 16     /**< a text that does not parse is the server's to judge: it runs in sessions only */
};

/**
 * Declares a statement: exactly one SQL statement with parameters $1, $2, …. `name` is what metrics and the profiler call
 * it, also in errors; NULL uses its fingerprint. SP_INVALID when the text does not parse or holds several statements, or it is
 * declared to be both a read and a write; SP_LIMIT past 1 MiB.
 */
SP_API sp_status sp_stmt_new(const char *name, const void *data, size_t len, uint32_t flags, sp_stmt **out,
                             sp_error **error);
/**
 * Where the statements of a text begin and end that may hold any number of them, in bytes: JSON (SP_CODEC_JSON), [[0,8],[10,18]]
 * for "SELECT 1; SELECT 2". SP_INVALID when the text does not parse.
 */
SP_API sp_status sp_stmt_split(const void *data, size_t len, sp_value **out, sp_error **error);
SP_API sp_stmt *sp_stmt_ref(sp_stmt *stmt);
SP_API void sp_stmt_unref(sp_stmt *stmt);
/** "" of NULL. */
SP_API const char *sp_stmt_name(const sp_stmt *stmt);
/**
 * Whether it may be run again, by its flags or because all that it does is read, as far as its text shows: then it leaves nothing in
 * its session either. false of NULL.
 */
SP_API bool sp_stmt_repeatable(const sp_stmt *stmt);

/**
 * A pool without a client. `name` selects `pool.<name>.…`; NULL or "default" the plain names. Connections are made when
 * they are needed; an unreachable server shows in the first call, not here. `config` NULL: the defaults. SP_INVALID (a URL
 * or an option in it that cannot work, its value masked), SP_CONFIG (`pool.min` is more than `pool.max`), SP_NOMEM.
 */
SP_API sp_status sp_pool_new(const sp_config *config, const char *name, sp_pool **out, sp_error **error);
/** No new work; callers that wait for a connection wake with SP_CLOSED; statements that were sent run to their end. */
SP_API void sp_pool_close(sp_pool *pool);
/** After close: waits until nothing runs. SP_TIMEOUT when something still does. */
SP_API sp_status sp_pool_drain(sp_pool *pool, int64_t timeout_ms);
/**
 * Closes, waits for what runs (bounded by its deadlines), frees. Sessions, streams, COPYs and listeners that somebody still holds,
 * or that lie in a queue, lose their connection (an open transaction is rolled back): their calls answer SP_CLOSED from then on,
 * and they are freed as ever. Not for a pool borrowed from a client.
 */
SP_API void sp_pool_free(sp_pool *pool);

/**
 * Runs one statement and waits for its whole result. The deadline (the context's, else `pool.query_timeout`) covers waiting,
 * executing and fetching. Errors: SP_INVALID (a text parameter with a zero byte), SP_TIMEOUT, SP_CANCELLED, SP_CLOSED,
 * SP_UNAVAILABLE, SP_AUTH, SP_SQL, SP_LOST, SP_SESSION, SP_FULL (`pool.waiting` callers wait for a connection already; of the
 * asynchronous form a completion).
 * The result is owned by the caller. `params` may be NULL.
 */
SP_API sp_status sp_pool_query(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                               sp_result **out, sp_error **error);
SP_API sp_status sp_pool_query_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                     sp_queue *queue, uint64_t tag);

/** Connections by state, and callers that wait for one. */
SP_API int64_t sp_pool_active(const sp_pool *pool);
SP_API int64_t sp_pool_idle(const sp_pool *pool);
SP_API int64_t sp_pool_waiting(const sp_pool *pool);
SP_API int64_t sp_pool_max(const sp_pool *pool);
/** Servers of `pool.replicas`, whether they answer or not; 0 where `pool.reads` is primary. */
SP_API int64_t sp_pool_replicas(const sp_pool *pool);
/**
 * Another `pool.max` from now on. More: those that wait are served. Fewer: idle connections are closed at once, the others
 * when what they do has ended. SP_INVALID when it is not in the range of `pool.max`, and for 1 while somebody listens.
 */
SP_API sp_status sp_pool_resize(sp_pool *pool, int64_t max, sp_error **error);
/**
 * The password of the connections that are made from now on, before any that is configured (pool.password_file,
 * pool.password_command, pool.password, the URL's). Connections that stand are not touched; callers that wait because the old
 * one was refused are served. The bytes are copied, and overwritten when they are not needed any more. `data` NULL: what is
 * configured, again. SP_INVALID when it is empty or has a zero byte.
 */
SP_API sp_status sp_pool_set_password(sp_pool *pool, const void *data, size_t len, sp_error **error);
/**
 * Completes with the next time that the server refused the password ("refused"), or that it asked for one and there was none
 * ("wanted"): JSON, {"refusal","reason","missed"}; watch again with its "refusal" as `seen`, 0 at first. Answer it by
 * sp_pool_set_password(). From the first watch on, callers wait for that answer as they wait for a connection, rather than
 * fail with SP_AUTH. Ends with SP_CLOSED when the pool is freed.
 */
SP_API sp_status sp_pool_watch_password_async(sp_pool *pool, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);
/** The document's health JSON: {"status","database","poolMetrics":{…}}, after a SELECT 1 within its own deadline. */
SP_API sp_status sp_pool_health(sp_pool *pool, sp_ctx *ctx, sp_value **out);
/** Yields the same value (SP_CODEC_JSON), also when the database does not answer: "status" then says so. */
SP_API sp_status sp_pool_health_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * How many connections it should have, from what was seen in the last 5 to 10 minutes, as JSON (docs/pool.md):
 * {"pool","windowMs","max","min","busy":{"mean","p95","peak"},"demand":{…},"waited","waitP95Ms","serverMax","serverOthers",
 * "size","advice"}. "busy" counts connections in use, "demand" the callers that wait as well; "waited" how many waited; "size"
 * is what `pool.max` should be. The server is asked for its limit and the connections that others have, within a second;
 * where it does not answer these are left out.
 */
SP_API sp_status sp_pool_advice(sp_pool *pool, sp_ctx *ctx, sp_value **out);
SP_API sp_status sp_pool_advice_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/**
 * One completion as soon as there is an event of a number above `seen` (0 at first); its value is JSON. Watch again with its
 * "event" as `seen`; "missed" counts those that were dropped in between, of which 32 are kept.
 *
 *     {"event","missed","kind":"waiting","pool","waiting","connections","sessions","max"}
 *         More callers wait for a connection than `pool.warn_waiting`. The next such event comes after none waited.
 *     {"event","missed","kind":"leak","pool","heldMs","tag","place"}
 *         A session is held for longer than `pool.leak_after`. "tag" is its context's, where it has one; "place" the code that
 *         called sp_pool_acquire() or its asynchronous form, "program(function+0x2c)", where it can be told.
 *
 * `ctx` (may be NULL) cancels, its deadline does not; a pool that is closed ends it with SP_CLOSED.
 */
SP_API sp_status sp_pool_watch_async(sp_pool *pool, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);

/** Rows and columns count from 0. Text forms are PostgreSQL's. A result that is NULL has none, and says nothing. */
SP_API size_t sp_result_rows(const sp_result *result);
SP_API size_t sp_result_columns(const sp_result *result);
/** NULL when there is no such column. */
SP_API const char *sp_result_name(const sp_result *result, size_t column);
SP_API uint32_t sp_result_type(const sp_result *result, size_t column);
/** The cell's bytes, a zero byte behind them, valid while the result lives; NULL for SQL NULL or when there is no such cell. `len` may be NULL. */
SP_API const void *sp_result_get(const sp_result *result, size_t row, size_t column, size_t *len);
/** Rows affected by a write, as its command tag says; 0 where it says nothing. */
SP_API int64_t sp_result_affected(const sp_result *result);
/** The command tag, "INSERT 0 1". */
SP_API const char *sp_result_command(const sp_result *result);
/**
 * The whole result in one block of bytes that lives as long as the result. Little endian: u8 version (1), u8 0,
 * u16 columns, u32 rows, i64 affected, u16 length and bytes of the command tag; per column u32 type OID, u16 length and
 * bytes of the name; then row by row per cell i32 length (-1: NULL) and bytes. NULL of NULL, and when out of memory.
 */
SP_API const void *sp_result_pack(const sp_result *result, size_t *len);
SP_API void sp_result_free(sp_result *result);

#ifdef __cplusplus
}
#endif
#endif
