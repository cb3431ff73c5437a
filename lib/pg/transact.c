/* SPDX-License-Identifier: MIT */
/* A transaction around a function, made again where the server asks for it. */
#include "core/error.h"
#include "loop/port.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

/* The longest pause is this many doublings of the first: with 10 ms, 640 ms. */
enum { DOUBLINGS = 6 };

/* Serialization failure, deadlock: the server ended the transaction in favour of another one, and it may succeed now. */
static bool worth_another(const sp_error *error)
{
        const char *code = error ? sp_error_code(error) : "";

        return strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0;
}

int64_t sp_pool_retry_pause(sp_pool *pool, const sp_error *error, int64_t attempt)
{
        int64_t longest;
        double unit;

        if (!pool || sp__engine_forked(pool->engine) || !worth_another(error) || attempt < 1 ||
            attempt >= pool->limits.tx_attempts)
                return -1;
        longest = pool->limits.tx_backoff_ms << (attempt - 1 < DOUBLINGS ? attempt - 1 : DOUBLINGS);
        sp__lock(&pool->lock);
        unit = sp__random_unit(&pool->random);
        sp__unlock(&pool->lock);
        /* AWS's "full jitter": rivals that failed together do not come back together. */
        return (int64_t)((double)(longest + 1) * unit);
}

static void pause_cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static void pause_destroy(sp__op *op)
{
        free(op);
}

static const struct sp__op_kind pause_kind = {.cancel = pause_cancel, .destroy = pause_destroy};

/* SP_OK: it is over. SP_CANCELLED: so is the caller's context. */
static sp_status pause_for(sp_ctx *ctx, int64_t ms)
{
        sp__op *op = calloc(1, sizeof *op);
        sp_status status;

        if (!op)
                return SP_NOMEM;
        sp__op_init(op, &pause_kind, ctx, sp__after_ms(sp__now(), ms));
        sp__op_to_caller(op);
        if (sp__op_enlist(op) != SP_OK)
                pause_cancel(op, SP_CANCELLED);
        sp__op_wait(op);
        status = op->status;
        sp__op_unref(op);
        return status == SP_TIMEOUT ? SP_OK : status;
}

/* What the caller gave, and from where. */
struct task {
        sp_pool *pool;
        sp_ctx *ctx;
        const char *options;
        sp_work work;
        void *arg;
        void *place;
};

static sp_status attempt(const struct task *task, sp_error **error)
{
        void *taken;
        sp_session *session;
        sp_status status = sp__query_run(sp__session_wish(task->pool, task->ctx, task->place), &taken, error);

        if (status != SP_OK)
                return status;
        session = taken;
        status = sp_session_begin(session, task->ctx, task->options, error);
        if (status == SP_OK)
                status = task->work(task->arg, session, error);
        if (status == SP_OK) {
                sp_error_free(*error);
                *error = NULL;
                status = sp_session_commit(session, task->ctx, error);
        }
        sp_session_release(session);
        return status;
}

static sp_status run(const struct task *task, sp_error **error)
{
        sp_pool *pool = task->pool;
        sp_ctx *ctx = task->ctx;

        for (int64_t i = 1;; i++) {
                sp_status status = attempt(task, error);
                int64_t pause = status == SP_OK ? -1 : sp_pool_retry_pause(pool, *error, i);
                int64_t left = ctx ? sp_ctx_remaining(ctx) : -1;

                if (pause < 0 || (left >= 0 && left <= pause))
                        return status;
                status = pause_for(ctx, pause);
                sp_error_free(*error);
                *error = NULL;
                if (status != SP_OK)
                        return sp__fail(error, status, "the transaction was not made again: %s",
                                        sp_status_text(status));
                atomic_fetch_add(&pool->counts.retries, 1);
        }
}

sp_status sp_pool_transact(sp_pool *pool, sp_ctx *ctx, const char *options, sp_work work, void *arg, sp_error **error)
{
        struct task task = {pool, ctx, options, work, arg, __builtin_return_address(0)};
        sp_error *why = NULL;
        sp_status status;

        SP__NEED(pool, error);
        SP__NEED(work, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        sp__pool_enter(pool);
        status = run(&task, &why);
        sp__pool_leave(pool);
        if (status == SP_OK)
                return SP_OK;
        if (!why)
                return sp__fail(error, status, "the transaction's work failed: %s", sp_status_text(status));
        sp__error_give(error, why);
        return status;
}
