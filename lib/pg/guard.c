/* SPDX-License-Identifier: MIT */
/* The breaker of a pool's host, where `pool.breaker` wants one. */
#include "base/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "pg/pool_internal.h"

sp_status sp__pool_guard(sp_pool *pool, const sp_config *config, const char *name, sp_error **error)
{
        struct sp__buf instance = SP__BUF_INIT, full = SP__BUF_INIT;
        sp_status status;

        if (!sp__config_int(config, "pool", name, "breaker"))
                return SP_OK;
        sp__buf_format(&instance, "pool%s%s", name ? "-" : "", name ? name : "");
        sp__buf_char(&instance, 0);
        if (!instance.failed)
                sp__buf_format(&full, "%s@%s/%s", instance.data, sp__target_place(&pool->target),
                               pool->is_replica ? "replica" : "primary");
        sp__buf_char(&full, 0);
        status = instance.failed || full.failed
                     ? sp__fail(error, SP_NOMEM, "out of memory")
                     : sp__breaker_new(config, instance.data, full.data, NULL, &pool->breaker, error);
        sp__buf_free(&instance);
        sp__buf_free(&full);
        return status;
}

sp_breaker *sp__pool_breaker(sp_pool *pool)
{
        return pool->breaker;
}

sp_status sp__query_ask(struct sp__query *query, sp_error **error)
{
        sp_pool *pool = query->pool;

        if (!pool->breaker || query->in_session || query->stmt == pool->probe)
                return SP_OK;
        /* Who comes after its time is up hears nothing of the server, and says nothing of it. */
        if (query->op.deadline <= sp__now())
                return SP_OK;
        if (sp_breaker_acquire(pool->breaker, &query->permit) == SP_OK)
                return SP_OK;
        return sp__fail(error, SP_OPEN, "circuit breaker \"%s\" is open", sp_breaker_name(pool->breaker));
}

void sp__query_tell(struct sp__query *query)
{
        const sp__op *op = &query->op;

        if (query->permit)
                sp_breaker_record(query->pool->breaker, query->permit,
                                  sp_breaker_classify(op->status, op->error ? sp_error_code(op->error) : NULL),
                                  sp__now() - query->born_ns);
}
