/* SPDX-License-Identifier: MIT */
#include "cache/call.h"

#include "core/error.h"
#include "loop/port.h"

void sp__call_init(struct sp__call *call, const struct sp__op_kind *kind, sp_cache *cache, sp_ctx *ctx)
{
        sp__op_init(&call->op, kind, ctx, SP__FOREVER);
        call->cache = cache;
        sp__cache_work(cache);
}

static void rest(struct sp__call *call)
{
        call->rests = true;
        sp__cache_rest(call->cache);
}

void sp__call_end(struct sp__call *call)
{
        if (!call->rests)
                rest(call);
}

static void begin(struct sp__call *call, void (*start)(struct sp__call *call))
{
        sp__op_ref(&call->op);
        sp__cache_work(call->cache);
        start(call);
}

sp_status sp__call_run_for(struct sp__call *call, void (*start)(struct sp__call *call), void **what, sp_error **error)
{
        sp_cache *cache = call->cache;
        sp_status status = sp__op_for_caller(&call->op, error);

        if (status != SP_OK)
                return status;
        sp__cache_work(cache);
        begin(call, start);
        sp__op_wait(&call->op);
        status = sp__op_take(&call->op, what, error);
        sp__cache_rest(cache);
        return status;
}

sp_status sp__call_run(struct sp__call *call, void (*start)(struct sp__call *call), sp_error **error)
{
        return sp__call_run_for(call, start, NULL, error);
}

/* From when its time is limited on it is answered, whatever comes. */
sp_status sp__call_submit(struct sp__call *call, void (*start)(struct sp__call *call), sp_queue *queue, uint64_t tag)
{
        sp_status status = sp__op_to_queue(&call->op, queue, tag);

        if (status != SP_OK) {
                sp__op_abandon(&call->op);
                return status;
        }
        sp__op_ref(&call->op);
        sp__cache_work(call->cache);
        sp__limit_set(&call->limit, call->cache->engine, &call->op);
        if (sp__op_enlist(&call->op) == SP_OK) {
                start(call);
        } else {
                sp__call_finish(call, SP_CANCELLED,
                                sp__error_new(SP_CANCELLED, NULL, "%s", sp_status_text(SP_CANCELLED)));
        }
        sp__op_unref(&call->op);
        return SP_OK;
}

void sp__call_step(struct sp__call *call, void (*start)(struct sp__call *call))
{
        begin(call, start);
        sp__op_unref(&call->op);
}

void sp__call_finish(struct sp__call *call, sp_status status, sp_error *error)
{
        sp_cache *cache = call->cache;

        sp__op_conclude(&call->op, status, error);
        sp__op_unref(&call->op);
        sp__cache_rest(cache);
}

void sp__call_settled(sp__op *op)
{
        struct sp__call *call = sp__call_of(op);

        sp__limit_stop(&call->limit, call->cache->engine);
        rest(call);
}
