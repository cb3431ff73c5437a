/* SPDX-License-Identifier: MIT */
/* A pool's password that the application hands in, and how it hears that one is needed. */
#include "core/error.h"
#include "pg/pool_internal.h"

sp_status sp_pool_set_password(sp_pool *pool, const void *data, size_t len, sp_error **error)
{
        sp_status status;

        SP__NEED(pool, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = sp__password_set(pool->target.secret, data, len, error);
        if (status != SP_OK)
                return status;
        sp__lock(&pool->lock);
        pool->faults = 0;
        pool->open_after = 0;
        sp__unlock(&pool->lock);
        sp__pool_dispatch(pool);
        return SP_OK;
}

sp_status sp_pool_watch_password_async(sp_pool *pool, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        return sp__password_watch(pool->target.secret, ctx, seen, queue, tag);
}
