/* SPDX-License-Identifier: MIT */
#include "pg/news.h"

#include "core/ctx.h"
#include "core/error.h"
#include "core/queue.h"

#include <inttypes.h>
#include <stdlib.h>

enum { KEPT = 32 };

struct sp__news {
        sp__mutex lock; /* all that follows, and the links of the watches */
        size_t refs;    /* the pool's, and one for each watch that is alive */
        bool ended;
        uint64_t last; /* number of the latest event, 0: none yet */
        struct sp__buf bodies[KEPT];
        struct sp__list waiting;
};

struct watch {
        sp__op op;
        struct sp__news *news;
        uint64_t seen;
};

struct sp__news *sp__news_new(void)
{
        struct sp__news *news = calloc(1, sizeof *news);

        if (!news)
                return NULL;
        sp__mutex_init(&news->lock);
        sp__list_init(&news->waiting);
        news->refs = 1;
        return news;
}

void sp__news_unref(struct sp__news *news)
{
        bool last;

        if (!news)
                return;
        sp__lock(&news->lock);
        last = --news->refs == 0;
        sp__unlock(&news->lock);
        if (!last)
                return;
        for (int i = 0; i < KEPT; i++)
                sp__buf_free(&news->bodies[i]);
        sp__mutex_destroy(&news->lock);
        free(news);
}

static struct watch *watch_at(struct sp__list *link)
{
        return SP__OF(SP__OF(link, sp__op, link), struct watch, op);
}

static void value_free(void *value)
{
        sp_value_unref(value);
}

/* The oldest that is above `seen` and still there. There is one. */
static uint64_t next_of(const struct sp__news *news, uint64_t seen)
{
        uint64_t oldest = news->last > KEPT ? news->last - KEPT + 1 : 1;

        return seen + 1 > oldest ? seen + 1 : oldest;
}

static sp_value *describe(const struct sp__news *news, uint64_t seen)
{
        uint64_t number = next_of(news, seen);
        const struct sp__buf *body = &news->bodies[number % KEPT];
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;

        sp__buf_format(&text, "{\"event\":%" PRIu64 ",\"missed\":%" PRIu64 ",", number, number - seen - 1);
        sp__buf_add(&text, body->data, body->len);
        sp__buf_char(&text, '}');
        if (!text.failed && !body->failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        return value;
}

static void answer(struct watch *watch, struct sp__batch *done)
{
        sp_value *value = describe(watch->news, watch->seen);

        if (value)
                sp__op_yield(&watch->op, SP__YIELD_VALUE, value, value_free, done);
        else
                sp__op_fail(&watch->op, SP_NOMEM, NULL, done);
}

static void watch_cancel(sp__op *op, sp_status why)
{
        struct watch *watch = SP__OF(op, struct watch, op);
        struct sp__batch done;
        bool listed;

        sp__batch_init(&done);
        sp__lock(&watch->news->lock);
        listed = sp__list_linked(&op->link);
        if (listed)
                sp__list_remove(&op->link);
        sp__op_fail(op, why, sp__error_new(why, NULL, "%s", sp_status_text(why)), &done);
        sp__unlock(&watch->news->lock);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

static void watch_destroy(sp__op *op)
{
        struct watch *watch = SP__OF(op, struct watch, op);

        sp__news_unref(watch->news);
        free(watch);
}

static const struct sp__op_kind watch_kind = {.cancel = watch_cancel, .destroy = watch_destroy};

/* Into the list, or answered by the event that it has not seen. The list takes a reference. */
static void place(struct watch *watch)
{
        struct sp__news *news = watch->news;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&news->lock);
        if (news->last > watch->seen)
                answer(watch, &done);
        else if (news->ended)
                sp__op_fail(&watch->op, SP_CLOSED, NULL, &done);
        else if (sp__op_pending(&watch->op))
                sp__list_push(&news->waiting, &sp__op_ref(&watch->op)->link);
        sp__unlock(&news->lock);
        sp__batch_deliver(&done);
}

sp_status sp__news_watch(struct sp__news *news, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        struct watch *watch = calloc(1, sizeof *watch);
        sp_status status;

        if (!watch)
                return SP_NOMEM;
        sp__op_init(&watch->op, &watch_kind, ctx, SP__FOREVER);
        watch->news = news;
        watch->seen = seen;
        sp__lock(&news->lock);
        news->refs++;
        sp__unlock(&news->lock);
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

/* Those that wait are answered; the list's references pass to `told`. The lock is held. */
static void collect_told(struct sp__news *news, struct sp__list *told, struct sp__batch *done)
{
        SP__EACH(&news->waiting, at, after)
        {
                struct watch *watch = watch_at(at);

                if (!news->ended && news->last <= watch->seen)
                        continue;
                sp__list_remove(at);
                if (news->last > watch->seen)
                        answer(watch, done);
                else
                        sp__op_fail(&watch->op, SP_CLOSED, NULL, done);
                sp__list_push(told, at);
        }
}

static void tell(struct sp__news *news, struct sp__buf *body)
{
        struct sp__list told, *link;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__list_init(&told);
        sp__lock(&news->lock);
        if (body) {
                news->last++;
                sp__buf_free(&news->bodies[news->last % KEPT]);
                news->bodies[news->last % KEPT] = *body;
        } else {
                news->ended = true;
        }
        collect_told(news, &told, &done);
        sp__unlock(&news->lock);
        sp__batch_deliver(&done);
        while ((link = sp__list_pop(&told)))
                sp__op_unref(&watch_at(link)->op);
}

void sp__news_tell(struct sp__news *news, struct sp__buf *body)
{
        tell(news, body);
}

void sp__news_end(struct sp__news *news)
{
        tell(news, NULL);
}
