/* SPDX-License-Identifier: MIT */
/** What the feed asks the server through the pool. */
#ifndef SP_INVALIDATE_FEED_QUERY_H
#define SP_INVALIDATE_FEED_QUERY_H

#include <sugarperf/pool.h>

/** A read. `params` may be NULL. */
sp_status sp__feed_query(sp_pool *pool, sp_ctx *ctx, const char *name, const char *text, const sp_params *params,
                         sp_result **out, sp_error **error);
/** A cell's text; "" for NULL. */
const char *sp__feed_cell(const sp_result *result, size_t row, size_t column);

struct sp_feed;

/** A statement with one parameter, a text, on the feed's thread. `flags` as of sp_stmt_new(). */
sp_status sp__feed_query_text(struct sp_feed *feed, sp_ctx *ctx, unsigned flags, const char *name, const char *text,
                              const char *param, sp_result **out);

#endif
