/* SPDX-License-Identifier: MIT */
#include "core/op.h"

#include "core/ctx.h"
#include "core/error.h"
#include "core/queue.h"

#include <stdlib.h>
#include <unistd.h>

void sp__op_init(sp__op *op, const struct sp__op_kind *kind, sp_ctx *ctx, int64_t deadline)
{
        int64_t limit = ctx ? sp__ctx_deadline(ctx) : SP__FOREVER;

        op->kind = kind;
        sp__list_init(&op->link);
        sp__list_init(&op->done_link);
        sp__list_init(&op->ctx_link);
        sp__list_init(&op->port_link);
        atomic_init(&op->refs, 1);
        atomic_init(&op->taken, false);
        atomic_init(&op->settled, false);
        atomic_init(&op->port, NULL);
        atomic_init(&op->gone, false);
        op->ctx = sp_ctx_ref(ctx);
        op->deadline = limit < deadline ? limit : deadline;
}

sp_status sp__op_to_queue(sp__op *op, sp_queue *queue, uint64_t tag)
{
        sp_status status = sp__queue_reserve(queue);

        if (status != SP_OK)
                return status;
        op->queue = queue;
        op->tag = tag;
        return SP_OK;
}

void sp__op_to_caller(sp__op *op)
{
        op->waits = true;
        op->caller = sp__ctx_stands_back(op->ctx) ? NULL : op;
        sp__mutex_init(&op->wait_lock);
}

sp_status sp__op_enlist(sp__op *op)
{
        if (!op->ctx)
                return SP_OK;
        if (!sp__ctx_add(op->ctx, op))
                return SP_CANCELLED;
        /* A timer may have been first: then it was delivered, or still leaves by itself. */
        if (!sp__op_pending(op))
                sp__ctx_remove(op->ctx, op);
        return SP_OK;
}

void sp__op_abandon(sp__op *op)
{
        if (op->ctx)
                sp__ctx_remove(op->ctx, op);
        if (op->queue)
                sp__queue_cancel(op->queue);
        op->queue = NULL;
        sp__op_unref(op);
}

sp_status sp__op_for_queue(sp__op *op, sp_queue *queue, uint64_t tag)
{
        sp_status status = sp__op_to_queue(op, queue, tag);

        if (status == SP_OK)
                status = sp__op_enlist(op);
        if (status != SP_OK)
                sp__op_abandon(op);
        return status;
}

sp_status sp__op_for_caller(sp__op *op, sp_error **error)
{
        sp__op_to_caller(op);
        if (sp__op_enlist(op) == SP_OK)
                return SP_OK;
        sp__op_abandon(op);
        return sp__fail(error, SP_CANCELLED, "%s", sp_status_text(SP_CANCELLED));
}

sp__op *sp__op_ref(sp__op *op)
{
        atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
        return op;
}

void sp__op_unref(sp__op *op)
{
        sp_ctx *ctx;

        if (!op || atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) != 1)
                return;
        sp_error_free(op->error);
        if (op->what)
                op->what_free(op->what);
        if (op->waits)
                sp__mutex_destroy(&op->wait_lock);
        ctx = op->ctx;
        op->kind->destroy(op);
        sp_ctx_unref(ctx);
}

void sp__batch_init(struct sp__batch *batch)
{
        sp__list_init(&batch->list);
}

static void settle(sp__op *op, struct sp__batch *batch)
{
        atomic_store(&op->settled, true);
        sp__list_push(&batch->list, &sp__op_ref(op)->done_link);
}

bool sp__op_claim(sp__op *op)
{
        return !atomic_exchange(&op->taken, true);
}

void sp__op_end(sp__op *op, sp_status status, sp_error *error, struct sp__batch *batch)
{
        op->status = status;
        op->error = error;
        settle(op, batch);
}

bool sp__op_fail(sp__op *op, sp_status status, sp_error *error, struct sp__batch *batch)
{
        if (!sp__op_claim(op)) {
                sp_error_free(error);
                return false;
        }
        sp__op_end(op, status, error, batch);
        return true;
}

void sp__op_end_with(sp__op *op, enum sp__yield yield, void *what, void (*what_free)(void *), struct sp__batch *batch)
{
        op->status = SP_OK;
        op->yield = yield;
        op->what = what;
        op->what_free = what_free;
        settle(op, batch);
}

bool sp__op_yield(sp__op *op, enum sp__yield yield, void *what, void (*what_free)(void *), struct sp__batch *batch)
{
        if (!sp__op_claim(op)) {
                if (what)
                        what_free(what);
                return false;
        }
        sp__op_end_with(op, yield, what, what_free, batch);
        return true;
}

static void ended_cancel(sp__op *op, sp_status why)
{
}

static void ended_destroy(sp__op *op)
{
        free(op);
}

static const struct sp__op_kind ended_kind = {.cancel = ended_cancel, .destroy = ended_destroy};

static bool says_all(sp_status status)
{
        return status == SP_FULL || status == SP_CLOSED || status == SP_CANCELLED || status == SP_FORKED ||
               status == SP_NOMEM;
}

sp_status sp__op_refuse(sp_queue *queue, uint64_t tag, sp_status status, sp_error *error)
{
        sp__op *op = queue && error && !says_all(status) ? calloc(1, sizeof *op) : NULL;
        struct sp__batch done;
        sp_status full;

        if (!op) {
                sp_error_free(error);
                return queue || says_all(status) ? status : SP_INVALID;
        }
        sp__op_init(op, &ended_kind, NULL, SP__FOREVER);
        full = sp__op_to_queue(op, queue, tag);
        if (full != SP_OK) {
                sp_error_free(error);
                sp__op_abandon(op);
                return full;
        }
        sp__batch_init(&done);
        sp__op_fail(op, status, error, &done);
        sp__batch_deliver(&done);
        sp__op_unref(op);
        return SP_OK;
}

sp_status sp__op_at_once(sp_queue *queue, uint64_t tag, enum sp__yield yield, void *what, void (*what_free)(void *))
{
        sp__op *op = calloc(1, sizeof *op);
        sp_status status = SP_NOMEM;
        struct sp__batch done;

        if (op) {
                sp__op_init(op, &ended_kind, NULL, SP__FOREVER);
                status = sp__op_to_queue(op, queue, tag);
        }
        if (status != SP_OK) {
                if (op)
                        sp__op_abandon(op);
                if (what)
                        what_free(what);
                return status;
        }
        sp__batch_init(&done);
        sp__op_yield(op, yield, what, what_free, &done);
        sp__batch_deliver(&done);
        sp__op_unref(op);
        return SP_OK;
}

sp_status sp__op_missing(sp_queue *queue, uint64_t tag, const char *function, const char *argument)
{
        sp_error *error = NULL;
        sp_status status = sp__missing(&error, function, argument);

        return sp__op_refuse(queue, tag, status, error);
}

/*
 * Who drives by itself is told without a lock, and so is who sleeps. Else the lock keeps its thread here, and so the descriptor
 * open, until it is woken: with news it takes the lock when it comes back from poll().
 */
static void tell_caller(sp__op *op, unsigned news)
{
        unsigned former = atomic_fetch_or(&op->wait, news), now;
        uint64_t one = 1;

        if (former & SP__WAIT_SLEEPS)
                sp__word_wake(&op->wait);
        if (!(former & SP__WAIT_POLLS))
                return;
        sp__lock(&op->wait_lock);
        now = atomic_load(&op->wait);
        /* Without news it was woken by another one, has looked, and polls again. */
        if ((now & SP__WAIT_POLLS) && (now & (SP__WAIT_DONE | SP__WAIT_POKED)) &&
            write(op->polls, &one, sizeof one) < 0) {
                /* Full: it is readable already. */
        }
        sp__unlock(&op->wait_lock);
}

/* Those for one queue that follow each other, with their references. */
struct run {
        sp_queue *queue;
        struct sp__list ops;
};

static void run_end(struct run *run)
{
        if (!sp__list_empty(&run->ops))
                sp__queue_push(run->queue, &run->ops);
}

static void run_add(struct run *run, sp__op *op)
{
        if (run->queue != op->queue)
                run_end(run);
        run->queue = op->queue;
        sp__list_push(&run->ops, &op->done_link);
}

static void deliver(sp__op *op)
{
        if (op->then)
                op->then(op);
        else if (op->waits)
                tell_caller(op, SP__WAIT_DONE);
        sp__op_unref(op);
}

void sp__batch_deliver(struct sp__batch *batch)
{
        struct run run = {.queue = NULL};
        struct sp__list *link;

        sp__list_init(&run.ops);
        while ((link = sp__list_pop(&batch->list))) {
                sp__op *op = SP__OF(link, sp__op, done_link);

                if (op->ctx)
                        sp__ctx_remove(op->ctx, op);
                if (op->kind->settled)
                        op->kind->settled(op);
                if (op->queue) {
                        run_add(&run, op);
                } else {
                        run_end(&run);
                        deliver(op);
                }
        }
        run_end(&run);
}

void sp__op_end_alone(sp__op *op, sp_status status, sp_error *error)
{
        struct sp__batch done;

        sp__batch_init(&done);
        if (status == SP_OK)
                sp__op_end_with(op, SP__YIELD_NONE, NULL, NULL, &done);
        else
                sp__op_end(op, status, error, &done);
        sp__batch_deliver(&done);
}

void sp__op_conclude(sp__op *op, sp_status status, sp_error *error)
{
        if (sp__op_claim(op))
                sp__op_end_alone(op, status, error);
        else
                sp_error_free(error);
}

void sp__op_give_up(sp__op *op, sp_status why, const char *what)
{
        sp__op_conclude(op, why, sp__error_new(why, NULL, "%s: %s", what, sp_status_text(why)));
}

sp_status sp__op_take(sp__op *op, void **what, sp_error **error)
{
        sp_status status = op->status;

        if (status == SP_OK && what) {
                *what = op->what;
                op->what = NULL;
        } else if (status != SP_OK) {
                sp__error_give(error, op->error);
                op->error = NULL;
        }
        sp__op_unref(op);
        return status;
}

void sp__op_poke(sp__op *op)
{
        if (op->waits)
                tell_caller(op, SP__WAIT_POKED);
}
