/* SPDX-License-Identifier: MIT */
/**
 * @file schedule.h
 * @brief Work that one process of a fleet does at its time, and warming: filling a cache before anybody asks.
 *
 * A schedule says when something is due. Each process waits; one of them gets the turn, by a lease in Redis, and the others
 * hear of nothing. Who dies with a turn in its hands loses it when its lease is over (`cache.lease`), and another process gets it.
 *
 *     sp_schedule_new(cache, "scores", "hourly", &hourly, &error);
 *     while (sp_schedule_wait(hourly, ctx, &turn, &error) == SP_OK) {
 *             status = sp_warm_run(warm, ctx, 8, &error);
 *             sp_turn_end(turn, status == SP_OK);
 *     }
 *
 * A warming lists rows and loads each through the cache, a few at a time, under leases as any other load is:
 *
 *     sp_warm_new(cache, pool, list, NULL, contents, load, SP_QUERY_CELL, &warm, &error);
 *     list: SELECT id FROM contents ORDER BY engagement_score DESC LIMIT 100
 *     load: SELECT … FROM contents WHERE id = $1                      key: rec:content:{id}:full
 *
 * Times are in UTC, so that all processes agree, whatever their zone. With no Redis each process is its own fleet.
 *
 * Threads: schedules and warmings are safe from any thread; a turn belongs to one at a time. Free them, and end turns, before
 * their cache is freed.
 */
#ifndef SUGARPERF_SCHEDULE_H
#define SUGARPERF_SCHEDULE_H

#include <sugarperf/base.h>
#include <sugarperf/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_schedule sp_schedule;
typedef struct sp_turn sp_turn;
typedef struct sp_warm sp_warm;

#define SP_SCHEDULE_NAME_MAX 64

/**
 * `name` is the same in all processes: 1 to 64 letters, digits, `-`, `_` and `.`. `when`:
 *
 *     start                     when the process begins, unless another one has done it within the last minute
 *     every 90s                 at the multiples of a duration
 *     daily 03:30               hourly, daily, weekly, monthly, yearly: at the beginning of each
 *     30 3 * * mon-fri          minute, hour, day of the month, month, day of the week, as in cron(5)
 *
 * SP_INVALID names what is wrong.
 */
SP_API sp_status sp_schedule_new(sp_cache *cache, const char *name, const char *when, sp_schedule **out,
                                 sp_error **error);
/** Who waits wakes with SP_CLOSED. */
SP_API void sp_schedule_free(sp_schedule *schedule);
/** When it is due after a time, both in milliseconds since 1970; -1: not again. */
SP_API int64_t sp_schedule_next(const sp_schedule *schedule, int64_t unix_ms);
/**
 * Waits until this process has the turn. What became due while nobody waited here, or was done by others, does not pile up:
 * the last one counts. A "start" comes once.
 */
SP_API sp_status sp_schedule_wait(sp_schedule *schedule, sp_ctx *ctx, sp_turn **out, sp_error **error);
SP_API sp_status sp_schedule_wait_async(sp_schedule *schedule, sp_ctx *ctx, sp_queue *queue, uint64_t tag);
/** When it was due, milliseconds since 1970; of NULL -1. */
SP_API int64_t sp_turn_due(const sp_turn *turn);
/** Ends the turn, without waiting. `done`: nobody does it again; else any process may, at once. NULL: nothing. */
SP_API void sp_turn_end(sp_turn *turn, bool done);

/**
 * `list` (with `list_params`, may be NULL) yields rows: the first columns fill the key's parameters, all of them are the
 * parameters of `load`, whose result becomes the value as in sp_cache_query(). Statements and template are kept by reference.
 */
SP_API sp_status sp_warm_new(sp_cache *cache, sp_pool *pool, const sp_stmt *list, const sp_params *list_params,
                             const sp_template *tmpl, const sp_stmt *load, uint32_t mode, sp_warm **out,
                             sp_error **error);
/** A run that is under way goes on to its end. */
SP_API void sp_warm_free(sp_warm *warm);
/**
 * Loads all rows anew, `concurrency` (1–1000) at a time. SP_OK: the list was read and gone through; sp_warm_failed() says how
 * many loads failed. Cancelling the context ends it before the next row. SP_FULL: it runs already. Where nothing may be stored
 * (`cache.mode`, or "cache" of the context, is `read` or `bypass`) it reads and loads nothing and is SP_OK: sp_warm_rows() is 0.
 */
SP_API sp_status sp_warm_run(sp_warm *warm, sp_ctx *ctx, uint32_t concurrency, sp_error **error);
SP_API sp_status sp_warm_run_async(sp_warm *warm, sp_ctx *ctx, uint32_t concurrency, sp_queue *queue, uint64_t tag);
/** Of the run that is under way, else of the last one: rows of the list, and how many of them were loaded, or failed. Of NULL 0. */
SP_API int64_t sp_warm_rows(const sp_warm *warm);
SP_API int64_t sp_warm_loaded(const sp_warm *warm);
SP_API int64_t sp_warm_failed(const sp_warm *warm);

#ifdef __cplusplus
}
#endif
#endif
