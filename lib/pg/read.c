/* SPDX-License-Identifier: MIT */
/* A read on a replica: a step there, and another one on the primary where that did not help. */
#include "core/ctx.h"
#include "core/error.h"
#include "core/params.h"
#include "pg/pool_internal.h"
#include "pg/replicas.h"

#include <stdlib.h>
#include <string.h>

struct read {
        sp__op op;
        sp_pool *primary;
        sp_ctx *ctx;
        sp_stmt *stmt;
        const sp_params *params; /* the blocked caller's, or `kept` */
        sp_params *kept;
        int64_t deadline;
        bool fallen; /* it is the primary that is asked */
};

static void read_cancel(sp__op *op, sp_status why)
{
        /* Its steps end by themselves: they have the context, and the time. */
}

static void read_destroy(sp__op *op)
{
        struct read *read = SP__OF(op, struct read, op);

        sp_ctx_unref(read->ctx);
        sp_stmt_unref(read->stmt);
        sp_params_free(read->kept);
        free(read);
}

static const struct sp__op_kind kind = {.cancel = read_cancel, .destroy = read_destroy};

static void finish(struct read *read, sp_status status, sp_error *error, void *result)
{
        struct sp__batch done;

        sp__batch_init(&done);
        if (result)
                sp__op_yield(&read->op, SP__YIELD_RESULT, result, (void (*)(void *))sp_result_free, &done);
        else
                sp__op_fail(&read->op, status, error, &done);
        sp__batch_deliver(&done);
        sp__pool_leave(read->primary);
        sp__op_unref(&read->op);
}

/* What is the replica's fault: it is away, full, replays what the read stands in the way of, or it was no read. */
static bool may_fall_back(const struct read *read, const sp__op *step)
{
        const char *code = step->error ? sp_error_code(step->error) : "";

        if (read->fallen || (read->deadline != SP__FOREVER && sp__now() >= read->deadline))
                return false;
        /* What took the server too long here would there, too. */
        if (step->status == SP_TIMEOUT && strcmp(code, "57014") == 0)
                return false;
        if (step->status == SP_SQL)
                return strcmp(code, "25006") == 0 || strcmp(code, "40001") == 0 || strncmp(code, "57P", 3) == 0;
        return step->status != SP_CANCELLED && step->status != SP_INVALID;
}

static void ask(struct read *read, sp_pool *pool);

static void told(sp__op *step)
{
        struct read *read = step->owner;
        void *result = step->status == SP_OK ? step->what : NULL;

        if (step->status != SP_OK && may_fall_back(read, step)) {
                read->fallen = true;
                sp__replicas_fell_back(read->primary->replicas);
                ask(read, read->primary);
                return;
        }
        if (result)
                step->what = NULL;
        finish(read, step->status, sp__error_copy(step->error), result);
}

static void ask(struct read *read, sp_pool *pool)
{
        sp_error *error = NULL;
        sp_status status = sp__pool_step(pool, read->ctx, read->deadline, read->stmt, read->params, read->op.caller,
                                         told, read, &error);

        if (status == SP_OK)
                return;
        if (!read->fallen && status != SP_CANCELLED && status != SP_INVALID && status != SP_FORKED) {
                sp_error_free(error);
                read->fallen = true;
                sp__replicas_fell_back(read->primary->replicas);
                ask(read, read->primary);
                return;
        }
        finish(read, status, error, NULL);
}

static struct read *read_new(sp_pool *primary, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params)
{
        struct read *read = calloc(1, sizeof *read);

        if (!read)
                return NULL;
        sp__op_init(&read->op, &kind, NULL, SP__FOREVER);
        read->primary = primary;
        read->ctx = sp_ctx_ref(ctx);
        read->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        read->params = params;
        read->deadline = sp__ctx_limit(ctx, sp__now(), primary->limits.query_ms);
        return read;
}

static void start(struct read *read, sp_pool *replica)
{
        sp__op_ref(&read->op);
        sp__pool_enter(read->primary);
        ask(read, replica);
}

sp_status sp__read_run(sp_pool *primary, sp_pool *replica, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                       sp_result **out, sp_error **error)
{
        struct read *read = read_new(primary, ctx, stmt, params);
        sp_status status;
        void *result;

        if (!read)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__pool_enter(primary);
        sp__op_to_caller(&read->op);
        start(read, replica);
        sp__op_wait(&read->op);
        status = sp__op_take(&read->op, &result, error);
        sp__pool_leave(primary);
        if (status == SP_OK)
                *out = result;
        return status;
}

sp_status sp__read_submit(sp_pool *primary, sp_pool *replica, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                          sp_queue *queue, uint64_t tag)
{
        struct read *read = read_new(primary, ctx, stmt, NULL);
        sp_status status = SP_NOMEM;

        if (!read)
                return SP_NOMEM;
        if (!params || (read->kept = sp__params_copy(params))) {
                read->params = read->kept;
                status = sp__op_to_queue(&read->op, queue, tag);
        }
        if (status != SP_OK) {
                sp__op_abandon(&read->op);
                return status;
        }
        start(read, replica);
        sp__op_unref(&read->op);
        return SP_OK;
}
