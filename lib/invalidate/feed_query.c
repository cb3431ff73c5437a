/* SPDX-License-Identifier: MIT */
#include "invalidate/feed_query.h"

#include "invalidate/feed.h"

#include <string.h>

static sp_status query(sp_pool *pool, sp_ctx *ctx, sp_stmt *stmt, const sp_params *params, sp_result **out,
                       sp_error **error)
{
        sp_status status = sp_pool_query(pool, ctx, stmt, params, out, error);

        sp_stmt_unref(stmt);
        return status;
}

sp_status sp__feed_query(sp_pool *pool, sp_ctx *ctx, const char *name, const char *text, const sp_params *params,
                         sp_result **out, sp_error **error)
{
        sp_stmt *stmt = NULL;
        sp_status status = sp_stmt_new(name, text, strlen(text), SP_STMT_READ, &stmt, error);

        return status == SP_OK ? query(pool, ctx, stmt, params, out, error) : status;
}

sp_status sp__feed_query_text(struct sp_feed *feed, sp_ctx *ctx, unsigned flags, const char *name, const char *text,
                              const char *param, sp_result **out)
{
        sp_stmt *stmt = NULL;
        sp_status status;

        sp_params_clear(feed->params);
        status = sp_params_add_text(feed->params, param, strlen(param));
        if (status == SP_OK)
                status = sp_stmt_new(name, text, strlen(text), flags, &stmt, NULL);
        return status == SP_OK ? query(feed->pool, ctx, stmt, feed->params, out, NULL) : status;
}

const char *sp__feed_cell(const sp_result *result, size_t row, size_t column)
{
        size_t len;
        const char *text = sp_result_get(result, row, column, &len);

        return text ? text : "";
}
