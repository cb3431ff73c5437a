/* SPDX-License-Identifier: MIT */
/* A transaction around a function, made again where the server asks for it. */
#include "core/error.h"
#include "pg/pool_internal.h"

/* What the caller gave, and from where. */
struct task {
        sp_pool *pool;
        sp_ctx *ctx;
        const char *options;
        sp_work work;
        void *arg;
        void *place;
        bool outdated; /* the last attempt failed by what the pool had prepared before a change */
};

bool sp__session_outdated(sp_session *session)
{
        bool outdated;

        sp__lock(&session->pool->lock);
        outdated = session->outdated;
        sp__unlock(&session->pool->lock);
        return outdated;
}

static sp_status attempt(struct task *task, sp_error **error)
{
        void *taken;
        sp_session *session;
        sp_status status = sp__query_run(sp__session_wish(task->pool, task->ctx, task->place), &taken, error);

        task->outdated = false;
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
        task->outdated = status != SP_OK && sp__session_outdated(session);
        sp_session_release(session);
        return status;
}

/* Before it is made again, -1: it is not. */
static int64_t pause_of(const struct task *task, const sp_error *error, int64_t attempt)
{
        if (task->outdated)
                return attempt < task->pool->limits.tx_attempts ? 0 : -1;
        return sp_pool_retry_pause(task->pool, error, attempt);
}

static sp_status run(struct task *task, sp_error **error)
{
        sp_pool *pool = task->pool;
        sp_ctx *ctx = task->ctx;

        for (int64_t i = 1;; i++) {
                sp_status status = attempt(task, error);
                int64_t pause = status == SP_OK ? -1 : pause_of(task, *error, i);
                int64_t left = ctx ? sp_ctx_remaining(ctx) : -1;

                if (pause < 0 || (left >= 0 && left <= pause))
                        return status;
                status = sp__retry_wait(pool, ctx, pause);
                sp_error_free(*error);
                *error = NULL;
                if (status != SP_OK)
                        return sp__fail(error, status, "the transaction was not made again: %s",
                                        sp_status_text(status));
        }
}

sp_status sp_pool_transact(sp_pool *pool, sp_ctx *ctx, const char *options, sp_work work, void *arg, sp_error **error)
{
        struct task task = {pool, ctx, options, work, arg, __builtin_return_address(0), false};
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
