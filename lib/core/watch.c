/* SPDX-License-Identifier: MIT */
#include "core/watch.h"

#include "core/ctx.h"
#include "core/error.h"
#include "core/queue.h"

#include <stdlib.h>

struct sp__watchers {
        const struct sp__watched *kind;
        sp__mutex lock; /* all that follows, and the links of the watches */
        size_t refs;    /* the owner's, and one for each watch that is alive */
        bool ended;
        uint64_t last;
        struct sp__list waiting;
        max_align_t events[];
};

struct watch {
        sp__op op;
        struct sp__watchers *watchers;
        uint64_t seen;
};

struct sp__watchers *sp__watchers_new(const struct sp__watched *kind)
{
        struct sp__watchers *watchers = calloc(1, sizeof *watchers + kind->size);

        if (!watchers)
                return NULL;
        sp__mutex_init(&watchers->lock);
        sp__list_init(&watchers->waiting);
        watchers->kind = kind;
        watchers->refs = 1;
        return watchers;
}

void sp__watchers_unref(struct sp__watchers *watchers)
{
        bool last;

        if (!watchers)
                return;
        sp__lock(&watchers->lock);
        last = --watchers->refs == 0;
        sp__unlock(&watchers->lock);
        if (!last)
                return;
        if (watchers->kind->forget)
                watchers->kind->forget(watchers->events);
        sp__mutex_destroy(&watchers->lock);
        free(watchers);
}

static struct watch *watch_at(struct sp__list *link)
{
        return SP__OF(SP__OF(link, sp__op, link), struct watch, op);
}

static void value_free(void *value)
{
        sp_value_unref(value);
}

/* Once there is something to say, or nothing ever will be. The lock is held. */
static bool answer(struct watch *watch, struct sp__batch *done)
{
        struct sp__watchers *watchers = watch->watchers;
        sp_value *value;

        if (watchers->last <= watch->seen) {
                if (watchers->ended)
                        sp__op_fail(&watch->op, SP_CLOSED, NULL, done);
                return watchers->ended;
        }
        value = watchers->kind->describe(watchers->events, watch->seen);
        if (value)
                sp__op_yield(&watch->op, SP__YIELD_VALUE, value, value_free, done);
        else
                sp__op_fail(&watch->op, SP_NOMEM, NULL, done);
        return true;
}

static void watch_cancel(sp__op *op, sp_status why)
{
        struct watch *watch = SP__OF(op, struct watch, op);
        struct sp__batch done;
        bool listed;

        sp__batch_init(&done);
        sp__lock(&watch->watchers->lock);
        listed = sp__list_linked(&op->link);
        if (listed)
                sp__list_remove(&op->link);
        sp__op_fail(op, why, sp__error_new(why, NULL, "%s", sp_status_text(why)), &done);
        sp__unlock(&watch->watchers->lock);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

static void watch_destroy(sp__op *op)
{
        struct watch *watch = SP__OF(op, struct watch, op);

        sp__watchers_unref(watch->watchers);
        free(watch);
}

static const struct sp__op_kind watch_kind = {.cancel = watch_cancel, .destroy = watch_destroy};

/* Answered, or into the list, which takes a reference. */
static void place(struct watch *watch)
{
        struct sp__watchers *watchers = watch->watchers;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&watchers->lock);
        if (!answer(watch, &done) && sp__op_pending(&watch->op))
                sp__list_push(&watchers->waiting, &sp__op_ref(&watch->op)->link);
        sp__unlock(&watchers->lock);
        sp__batch_deliver(&done);
}

sp_status sp__watchers_add(struct sp__watchers *watchers, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        struct watch *watch = calloc(1, sizeof *watch);
        sp_status status;

        if (!watch)
                return SP_NOMEM;
        sp__op_init(&watch->op, &watch_kind, ctx, SP__FOREVER);
        watch->watchers = watchers;
        watch->seen = seen;
        sp__lock(&watchers->lock);
        watchers->refs++;
        sp__unlock(&watchers->lock);
        status = sp__op_to_queue(&watch->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&watch->op);
        if (status != SP_OK) {
                sp__op_abandon(&watch->op);
                return status;
        }
        place(watch);
        sp__op_unref(&watch->op);
        return SP_OK;
}

/* The list's references pass to `told`. The lock is held. */
static void answer_all(struct sp__watchers *watchers, struct sp__list *told, struct sp__batch *done)
{
        SP__EACH(&watchers->waiting, at, after)
        {
                if (!answer(watch_at(at), done))
                        continue;
                sp__list_remove(at);
                sp__list_push(told, at);
        }
}

static void tell(struct sp__watchers *watchers, void *event)
{
        struct sp__list told, *link;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__list_init(&told);
        sp__lock(&watchers->lock);
        if (event)
                watchers->last = watchers->kind->keep(watchers->events, event);
        else
                watchers->ended = true;
        answer_all(watchers, &told, &done);
        sp__unlock(&watchers->lock);
        sp__batch_deliver(&done);
        while ((link = sp__list_pop(&told)))
                sp__op_unref(&watch_at(link)->op);
}

void sp__watchers_tell(struct sp__watchers *watchers, void *event)
{
        tell(watchers, event);
}

void sp__watchers_end(struct sp__watchers *watchers)
{
        tell(watchers, NULL);
}

uint64_t sp__latest_keep(void *last, void *change)
{
        struct sp__latest *kept = last;
        const struct sp__latest *now = change;

        if (now->number > kept->number)
                *kept = *now;
        return kept->number;
}
