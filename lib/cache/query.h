/* SPDX-License-Identifier: MIT */
/** A query through the cache as a step of something larger. */
#ifndef SP_CACHE_QUERY_H
#define SP_CACHE_QUERY_H

#include "cache/cache.h"

/** SP_INVALID: the statement writes, as it says or shows. */
sp_status sp__cache_query_admit(const sp_stmt *stmt, sp_error **error);

struct sp__cache_query_of {
        const void *key;
        size_t len;
        const sp_stmt *stmt;
        const sp_params *params; /* copied */
        uint32_t mode;
};

/** Loads it anew, whatever there is. `then` is called once, op->owner is `owner`. false: out of memory. */
bool sp__cache_query_step(sp_cache *cache, sp_pool *pool, sp_ctx *ctx, const struct sp__cache_query_of *of,
                          void (*then)(sp__op *op), void *owner);

#endif
