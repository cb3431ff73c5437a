/* SPDX-License-Identifier: MIT */
/**
 * @file batch.h
 * @brief Many sets of parameters of one statement in one round trip, all of them or none.
 *
 *     for (i = 0; i < count; i++) {
 *             sp_params_add_text(params, names[i], strlen(names[i]));
 *             sp_params_add_int(params, points[i]);
 *             sp_params_next(params);
 *     }
 *     sp_pool_batch(pool, ctx, insert, params, &result, &error);
 *
 * Better still is one statement, where one can say it. A loop of queries, one for each id, is one query with an array, whose
 * rows sp_result_find() hands out again:
 *
 *     SELECT content, tag FROM tags WHERE content = ANY($1::text[])
 *
 *     sp_params_begin_array(params);
 *     for (i = 0; i < count; i++)
 *             sp_params_add_text(params, ids[i], strlen(ids[i]));
 *     sp_params_end_array(params);
 *
 * and a loop of updates is one update from arrays of the same length:
 *
 *     UPDATE contents SET score = new.score FROM unnest($1::text[], $2::float8[]) AS new(id, score) WHERE contents.id = new.id
 *
 * Threads: as the pool and the session that it runs on.
 */
#ifndef SUGARPERF_BATCH_H
#define SUGARPERF_BATCH_H

#include <sugarperf/pool.h>
#include <sugarperf/session.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SP_BATCH_MAX 65535 /**< sets of one batch */

/**
 * Runs the statement once for each set of `params` (sp_params_next()), in one transaction: an error of one set undoes all (but
 * what a CALL committed), and names the set, counted from 0. The result has a set of rows for each. SP_INVALID where there is no
 * set, or they differ in length; SP_LIMIT for more than SP_BATCH_MAX. `pool.query_timeout`, or the context's deadline, is the
 * whole batch's.
 */
SP_API sp_status sp_pool_batch(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                               sp_result **out, sp_error **error);
SP_API sp_status sp_pool_batch_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                     sp_queue *queue, uint64_t tag);
/** The same in a session, and in its transaction where one is open: that has then failed with an error of any set. */
SP_API sp_status sp_session_batch(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                  sp_result **out, sp_error **error);
SP_API sp_status sp_session_batch_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                        sp_queue *queue, uint64_t tag);
/** How many sets a result has: 1, but for a batch. */
SP_API size_t sp_result_sets(const sp_result *result);
/**
 * One of them, as a result: borrowed, it lives as long as the whole. NULL when there is no such set. The whole shows the rows of
 * the first, and sp_result_affected() of all together.
 */
SP_API const sp_result *sp_result_set(const sp_result *result, size_t index);
/**
 * The first row at or behind `from` whose cell in `column` is this text; sp_result_rows() when there is none. The first call
 * for a column makes an index, so that all rows of all keys are found in a time that is their number's.
 */
SP_API size_t sp_result_find(const sp_result *result, size_t column, const void *data, size_t len, size_t from);

#ifdef __cplusplus
}
#endif
#endif
