/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "core/error.h"
#include "loop/exit.h"
#include "loop/port.h"
#include "pg/pool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
        struct sp__list link;
        struct sp__channel *channel; /* which the listener hears still */
        sp_value *value;
};

/* Somebody waits for a message. */
struct hearing {
        sp__op op;
        sp_listener *listener;  /* a reference */
        struct sp__limit limit; /* of an asynchronous one */
};

static struct sp__channel *channel_at(struct sp__list *link)
{
        return SP__OF(link, struct sp__channel, link);
}

/* Of one channel; NULL: of all. */
static void items_drop(sp_listener *listener, const struct sp__channel *channel)
{
        SP__EACH(&listener->items, at, after)
        {
                struct item *item = SP__OF(at, struct item, link);

                if (channel && item->channel != channel)
                        continue;
                sp__list_remove(at);
                sp_value_unref(item->value);
                free(item);
                listener->count--;
        }
}

void sp__listener_unref(sp_listener *listener)
{
        struct sp__list *link;

        if (atomic_fetch_sub(&listener->refs, 1) != 1)
                return;
        items_drop(listener, NULL);
        while ((link = sp__list_pop(&listener->channels)))
                sp__channel_unref(channel_at(link));
        sp__pool_unref(listener->pool);
        free(listener);
}

struct sp__channel *sp__listener_channel(const sp_listener *listener, const char *name)
{
        SP__EACH(&listener->channels, at, after)
        {
                if (strcmp(channel_at(at)->name, name) == 0)
                        return channel_at(at);
        }
        return NULL;
}

static void unref_value(void *value)
{
        sp_value_unref(value);
}

/* To one that was claimed. */
static void give(sp__op *op, sp_value *value, struct sp__batch *done)
{
        op->yield = SP__YIELD_VALUE;
        op->what = value;
        op->what_free = unref_value;
        sp__op_end(op, SP_OK, NULL, done);
}

/* To whoever waits longest; false: nobody does. The value's reference is consumed then. */
static bool hand_over(sp_listener *listener, sp_value *value, struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(&listener->waiting))) {
                sp__op *op = SP__OF(link, sp__op, link);
                bool first = sp__op_claim(op);

                if (first)
                        give(op, value, done);
                sp__op_unref(op);
                if (first)
                        return true;
        }
        return false;
}

/* The value's reference is consumed; NULL: out of memory. */
static void put(struct sp__channel *channel, sp_value *value)
{
        struct item *item = value ? malloc(sizeof *item) : NULL;

        if (!item) {
                sp_value_unref(value);
                return;
        }
        item->channel = channel;
        item->value = value;
        sp__list_push(&channel->listener->items, &item->link);
        channel->listener->count++;
}

/* Who is so late has to look at everything anew anyhow. */
static void put_lost(sp_listener *listener)
{
        items_drop(listener, NULL);
        SP__EACH(&listener->channels, at, after)
        {
                if (channel_at(at)->heard)
                        put(channel_at(at), sp__channel_notice(channel_at(at), true));
        }
}

void sp__listener_tell(struct sp__channel *channel, sp_value *value, struct sp__batch *done)
{
        sp_listener *listener = channel->listener;

        if (!value || hand_over(listener, value, done))
                return;
        /* With room for the notices of all channels. */
        if (listener->count + 1 < SP_LISTENER_MAX + listener->hears) {
                put(channel, value);
                return;
        }
        sp_value_unref(value);
        put_lost(listener);
}

void sp__listener_end(sp_listener *listener, sp_status status, const sp_error *error, struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(&listener->waiting))) {
                sp__op *op = SP__OF(link, sp__op, link);

                sp__op_fail(op, status,
                            error ? sp__error_copy(error) : sp__error_new(status, NULL, "%s", sp_status_text(status)),
                            done);
                sp__op_unref(op);
        }
}

static struct hearing *hearing_of(sp__op *op)
{
        return SP__OF(op, struct hearing, op);
}

/* The pool's lock is held. */
static sp_error *why_none(const sp_listener *listener, sp_status why)
{
        const char *name = listener->hears == 1 ? channel_at(listener->channels.next)->name : NULL;
        char which[SP_CHANNEL_MAX + 32];

        if (name)
                snprintf(which, sizeof which, "channel \"%s\"", name);
        else
                snprintf(which, sizeof which, "%zu channels", listener->hears);
        if (why == SP_TIMEOUT)
                return sp__error_new(why, NULL, "nothing was heard on %s before the caller's deadline", which);
        return sp__error_new(why, NULL, "%s: %s", which, sp_status_text(why));
}

static void hearing_cancel(sp__op *op, sp_status why)
{
        sp_listener *listener = hearing_of(op)->listener;
        struct sp__batch done;
        bool linked;

        if (!sp__op_claim(op))
                return;
        sp__batch_init(&done);
        sp__lock(&listener->pool->lock);
        linked = sp__list_linked(&op->link);
        sp__list_remove(&op->link);
        sp__op_end(op, why, why_none(listener, why), &done);
        sp__unlock(&listener->pool->lock);
        sp__batch_deliver(&done);
        if (linked)
                sp__op_unref(op);
}

static void hearing_settled(sp__op *op)
{
        struct hearing *hearing = hearing_of(op);
        sp_pool *pool = hearing->listener->pool;

        sp__limit_stop(&hearing->limit, pool->engine);
        sp__pool_leave(pool);
}

static void hearing_destroy(sp__op *op)
{
        sp__listener_unref(hearing_of(op)->listener);
        free(hearing_of(op));
}

static const struct sp__op_kind kind = {
    .cancel = hearing_cancel, .settled = hearing_settled, .destroy = hearing_destroy};

static struct hearing *hearing_new(sp_listener *listener, sp_ctx *ctx)
{
        struct hearing *hearing = calloc(1, sizeof *hearing);

        if (!hearing)
                return NULL;
        sp__op_init(&hearing->op, &kind, ctx, SP__FOREVER);
        atomic_fetch_add(&listener->refs, 1);
        hearing->listener = listener;
        return hearing;
}

/* What is there already, or its place among those who wait. */
static void start(struct hearing *hearing)
{
        sp_listener *listener = hearing->listener;
        struct sp__list *link;
        struct sp__batch done;
        struct item *item;

        if (sp__op_enlist(&hearing->op) != SP_OK)
                hearing_cancel(&hearing->op, SP_CANCELLED);
        sp__batch_init(&done);
        sp__lock(&listener->pool->lock);
        if (listener->pool->closed) {
                sp__op_fail(&hearing->op, SP_CLOSED, why_none(listener, SP_CLOSED), &done);
        } else if (sp__list_empty(&listener->items)) {
                if (sp__op_pending(&hearing->op))
                        sp__list_push(&listener->waiting, &sp__op_ref(&hearing->op)->link);
        } else if (sp__op_claim(&hearing->op)) {
                link = sp__list_pop(&listener->items);
                item = SP__OF(link, struct item, link);
                listener->count--;
                give(&hearing->op, item->value, &done);
                free(item);
        }
        sp__unlock(&listener->pool->lock);
        sp__batch_deliver(&done);
}

sp_status sp_listener_next(sp_listener *listener, sp_ctx *ctx, sp_value **out, sp_error **error)
{
        struct hearing *hearing;
        sp_status status;
        sp_pool *pool;
        void *value;

        SP__NEED(listener, error);
        SP__NEED(out, error);
        pool = listener->pool;
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        hearing = hearing_new(listener, ctx);
        if (!hearing)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__pool_admit(pool, ctx, true, error);
        if (status != SP_OK) {
                sp__op_abandon(&hearing->op);
                return status;
        }
        sp__op_to_caller(&hearing->op);
        start(hearing);
        sp__op_wait(&hearing->op);
        status = sp__op_take(&hearing->op, &value, error);
        sp__pool_leave(pool);
        if (status == SP_OK)
                *out = value;
        return status;
}

sp_status sp_listener_next_async(sp_listener *listener, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct hearing *hearing;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, listener);
        if (sp__engine_forked(listener->pool->engine))
                return SP_FORKED;
        hearing = hearing_new(listener, ctx);
        if (!hearing)
                return SP_NOMEM;
        status = sp__op_to_queue(&hearing->op, queue, tag);
        if (status == SP_OK)
                status = sp__pool_admit(listener->pool, ctx, false, NULL);
        if (status != SP_OK) {
                sp__op_abandon(&hearing->op);
                return status;
        }
        sp__limit_set(&hearing->limit, listener->pool->engine, &hearing->op);
        start(hearing);
        sp__op_unref(&hearing->op);
        return SP_OK;
}

static sp_listener *listener_new(sp_pool *pool)
{
        sp_listener *listener = calloc(1, sizeof *listener);

        if (!listener)
                return NULL;
        atomic_init(&listener->refs, 1);
        listener->pool = sp__pool_ref(pool);
        sp__list_init(&listener->link);
        sp__list_init(&listener->channels);
        sp__list_init(&listener->items);
        sp__list_init(&listener->waiting);
        return listener;
}

/* Consumes the reference. */
static void attach(sp_listener *listener, struct sp__channel *channel)
{
        channel->listener = listener;
        sp__list_push(&listener->channels, &channel->link);
        listener->hears++;
}

static sp_status closed(const sp_pool *pool, sp_error **error)
{
        return sp__fail(error, SP_CLOSED, "pool \"%s\" is closed", pool->name);
}

/* The ear has a session for all of them, and one connection is kept from sessions. */
static sp_status join(sp_listener *listener, sp_error **error)
{
        sp_pool *pool = listener->pool;
        bool over, small;

        sp__lock(&pool->lock);
        over = pool->closed;
        small = pool->limits.max < 2;
        if (!over && !small)
                sp__ear_add(pool, listener);
        sp__unlock(&pool->lock);
        if (over)
                return closed(pool, error);
        if (small)
                return sp__fail(error, SP_INVALID,
                                "listening needs a connection of its own, and pool.max of pool \"%s\" is 1",
                                pool->name);
        return SP_OK;
}

static sp_status channel_of(sp_pool *pool, const char *name, struct sp__channel **out, sp_error **error)
{
        size_t len = name ? strlen(name) : 0;

        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (len == 0 || len > SP_CHANNEL_MAX)
                return sp__fail(error, SP_LIMIT, "a channel's name must have 1 to %d bytes", SP_CHANNEL_MAX);
        *out = sp__channel_new(pool, name);
        return *out ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
}

sp_status sp_pool_listen(sp_pool *pool, const char *channel, sp_listener **out, sp_error **error)
{
        struct sp__channel *first;
        sp_listener *listener;
        sp_status status;

        SP__NEED(pool, error);
        SP__NEED(out, error);
        status = channel_of(pool, channel, &first, error);
        if (status != SP_OK)
                return status;
        listener = listener_new(pool);
        if (!listener) {
                sp__channel_unref(first);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        attach(listener, first);
        status = join(listener, error);
        if (status == SP_OK)
                *out = listener;
        else
                sp__listener_unref(listener);
        return status;
}

sp_status sp_listener_add(sp_listener *listener, const char *channel, sp_error **error)
{
        struct sp__channel *more;
        sp_status status;
        sp_pool *pool;
        bool over, new;

        SP__NEED(listener, error);
        pool = listener->pool;
        status = channel_of(pool, channel, &more, error);
        if (status != SP_OK)
                return status;
        sp__lock(&pool->lock);
        over = pool->closed;
        new = !over && !sp__listener_channel(listener, channel);
        if (new) {
                attach(listener, more);
                sp__ear_wake(pool);
        }
        sp__unlock(&pool->lock);
        if (!new)
                sp__channel_unref(more);
        return over ? closed(pool, error) : SP_OK;
}

void sp_listener_remove(sp_listener *listener, const char *channel)
{
        struct sp__channel *left;

        if (!listener || !channel || sp__engine_forked(listener->pool->engine))
                return;
        sp__lock(&listener->pool->lock);
        left = sp__listener_channel(listener, channel);
        if (left) {
                items_drop(listener, left);
                sp__ear_leave(left);
        }
        sp__unlock(&listener->pool->lock);
}

void sp_listener_free(sp_listener *listener)
{
        sp_pool *pool = listener ? listener->pool : NULL;
        struct sp__batch done;

        if (!listener)
                return;
        if (sp__engine_forked(pool->engine)) {
                if (!sp__exit_begun())
                        sp__listener_unref(listener);
                return;
        }
        sp__batch_init(&done);
        sp__lock(&pool->lock);
        sp__listener_end(listener, SP_CLOSED, NULL, &done);
        sp__ear_remove(pool, listener);
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
        sp__listener_unref(listener);
}
