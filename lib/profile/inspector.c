/* SPDX-License-Identifier: MIT */
#include "profile/inspector.h"

#include "core/ctx.h"
#include "core/error.h"
#include "loop/exit.h"
#include "loop/port.h"

#include <stdlib.h>
#include <string.h>

struct job {
        sp__op op;
        struct sp__inspector *inspector;
        sp__inspect *run;
        void *owner;
        sp_ctx *ctx; /* of its statements; a child of the caller's */
        char *pool, *what;
};

struct sp__inspector {
        struct sp__sides sides;
        sp__mutex lock; /* what follows */
        sp__cond moved;
        struct sp__list waiting; /* jobs, oldest first, each with a reference */
        size_t count;
        struct job *running;
        bool started, stopped;
        pthread_t thread;
};

static void value_free(void *value)
{
        sp_value_unref(value);
}

/* Its statements end, and with them the job. */
static void job_cancel(sp__op *op, sp_status why)
{
        struct job *job = SP__OF(op, struct job, op);
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, sp__error_new(why, NULL, "%s", sp_status_text(why)), &done);
        sp__batch_deliver(&done);
        sp_ctx_cancel(job->ctx);
}

static void job_destroy(sp__op *op)
{
        struct job *job = SP__OF(op, struct job, op);

        sp_ctx_unref(job->ctx);
        free(job->pool);
        free(job->what);
        free(job);
}

static const struct sp__op_kind job_kind = {.cancel = job_cancel, .destroy = job_destroy};

static struct job *job_new(struct sp__inspector *inspector, sp_ctx *ctx, const struct sp__inquiry *inquiry)
{
        struct job *job = calloc(1, sizeof *job);

        if (!job)
                return NULL;
        sp__op_init(&job->op, &job_kind, ctx, SP__FOREVER);
        job->inspector = inspector;
        job->run = inquiry->run;
        job->owner = inquiry->owner;
        job->ctx = sp_ctx_new(ctx);
        job->pool = strdup(inquiry->pool);
        job->what = strdup(inquiry->what);
        if (job->ctx && job->pool && job->what) {
                sp__ctx_stand_back(job->ctx);
                return job;
        }
        sp__op_unref(&job->op);
        return NULL;
}

static void run(struct job *job)
{
        struct sp__inspector *inspector = job->inspector;
        struct sp__batch done;
        sp_error *error = NULL;
        sp_value *value = NULL;
        sp_pool *side =
            sp__op_pending(&job->op) ? inspector->sides.side(inspector->sides.arg, job->pool, &error) : NULL;
        sp_status status = side ? job->run(job->owner, side, job->ctx, job->what, &value, &error) : SP_NOT_FOUND;

        if (!side && error)
                status = sp_error_status(error);
        sp__batch_init(&done);
        if (status == SP_OK) {
                sp_error_free(error);
                sp__op_yield(&job->op, SP__YIELD_VALUE, value, value_free, &done);
        } else {
                sp__op_fail(&job->op, status, error, &done);
        }
        sp__batch_deliver(&done);
}

/* The next job, with the list's reference; NULL: it stops. The exit's gate is left while there is none. */
static struct job *next(struct sp__inspector *inspector)
{
        struct sp__list *link;
        struct job *job = NULL;

        sp__exit_leave();
        sp__lock(&inspector->lock);
        while (!inspector->stopped && inspector->count == 0)
                sp__cond_wait(&inspector->moved, &inspector->lock, SP__FOREVER);
        link = inspector->stopped ? NULL : sp__list_pop(&inspector->waiting);
        if (link) {
                job = SP__OF(SP__OF(link, sp__op, link), struct job, op);
                inspector->count--;
        }
        inspector->running = job;
        sp__unlock(&inspector->lock);
        sp__exit_enter();
        return job;
}

static void *body(void *arg)
{
        struct sp__inspector *inspector = arg;
        struct job *job;

        sp__exit_enter();
        while ((job = next(inspector))) {
                run(job);
                sp__lock(&inspector->lock);
                inspector->running = NULL;
                sp__unlock(&inspector->lock);
                sp__op_unref(&job->op);
        }
        sp__exit_leave();
        return NULL;
}

struct sp__inspector *sp__inspector_new(const struct sp__sides *sides)
{
        struct sp__inspector *inspector = calloc(1, sizeof *inspector);

        if (!inspector)
                return NULL;
        inspector->sides = *sides;
        sp__mutex_init(&inspector->lock);
        sp__cond_init(&inspector->moved);
        sp__list_init(&inspector->waiting);
        return inspector;
}

/* Ends one, whose reference is taken. */
static void job_close(sp__op *op)
{
        if (!op)
                return;
        op->kind->cancel(op, SP_CLOSED);
        sp__op_unref(op);
}

void sp__inspector_close(struct sp__inspector *inspector)
{
        struct sp__list ended, *link;
        sp__op *running = NULL;

        if (!inspector)
                return;
        sp__list_init(&ended);
        sp__lock(&inspector->lock);
        inspector->stopped = true;
        while ((link = sp__list_pop(&inspector->waiting)))
                sp__list_push(&ended, link);
        inspector->count = 0;
        if (inspector->running)
                running = sp__op_ref(&inspector->running->op);
        pthread_cond_broadcast(&inspector->moved);
        sp__unlock(&inspector->lock);
        job_close(running);
        while ((link = sp__list_pop(&ended)))
                job_close(SP__OF(link, sp__op, link));
}

void sp__inspector_stop(struct sp__inspector *inspector)
{
        sp__inspector_close(inspector);
        if (inspector && inspector->started)
                pthread_join(inspector->thread, NULL);
}

void sp__inspector_free(struct sp__inspector *inspector)
{
        if (!inspector)
                return;
        pthread_cond_destroy(&inspector->moved);
        sp__mutex_destroy(&inspector->lock);
        free(inspector);
}

/* Under the lock. */
static bool start(struct sp__inspector *inspector)
{
        sp__exit_watch();
        if (!inspector->started)
                inspector->started = sp__thread_start(&inspector->thread, body, inspector, "sp-inspector");
        return inspector->started;
}

/* Takes a reference for the list. */
static sp_status submit(struct job *job, bool only)
{
        struct sp__inspector *inspector = job->inspector;
        sp_status status = SP_OK;

        sp__lock(&inspector->lock);
        if (inspector->stopped)
                status = SP_CLOSED;
        else if (only && (inspector->count || inspector->running))
                status = SP_FULL;
        else if (!start(inspector))
                status = SP_NOMEM;
        if (status == SP_OK) {
                sp__list_push(&inspector->waiting, &sp__op_ref(&job->op)->link);
                inspector->count++;
                pthread_cond_broadcast(&inspector->moved);
        }
        sp__unlock(&inspector->lock);
        return status;
}

sp_status sp__inspector_ask(struct sp__inspector *inspector, sp_ctx *ctx, const struct sp__inquiry *inquiry,
                            sp_value **out, sp_error **error)
{
        struct job *job = job_new(inspector, ctx, inquiry);
        sp_status status;

        if (!job)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__op_to_caller(&job->op);
        status = sp__op_enlist(&job->op);
        if (status == SP_OK)
                status = submit(job, false);
        if (status != SP_OK) {
                sp__op_abandon(&job->op);
                return sp__fail(error, status, "%s", sp_status_text(status));
        }
        sp__op_wait(&job->op);
        status = job->op.status;
        if (status == SP_OK) {
                *out = sp_value_ref(sp_completion_value(&job->op));
        } else {
                sp__error_give(error, job->op.error);
                job->op.error = NULL;
        }
        sp__op_unref(&job->op);
        return status;
}

sp_status sp__inspector_ask_async(struct sp__inspector *inspector, sp_ctx *ctx, const struct sp__inquiry *inquiry,
                                  sp_queue *queue, uint64_t tag)
{
        struct job *job = job_new(inspector, ctx, inquiry);
        sp_status status;

        if (!job)
                return SP_NOMEM;
        status = sp__op_to_queue(&job->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&job->op);
        if (status == SP_OK)
                status = submit(job, false);
        if (status != SP_OK) {
                sp__op_abandon(&job->op);
                return status;
        }
        sp__op_unref(&job->op);
        return SP_OK;
}

/* A step that nobody follows. */
static void forgotten(sp__op *op)
{
}

void sp__inspector_note(struct sp__inspector *inspector, const struct sp__inquiry *inquiry)
{
        struct job *job = job_new(inspector, NULL, inquiry);

        if (!job)
                return;
        job->op.then = forgotten;
        submit(job, true);
        sp__op_unref(&job->op);
}
