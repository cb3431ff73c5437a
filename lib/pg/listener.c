/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "core/error.h"
#include "loop/exit.h"
#include "loop/port.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

struct item {
        struct sp__list link;
        sp_value *value;
};

/* Somebody waits for a message. */
struct hearing {
        sp__op op;
        sp_listener *listener;  /* a reference */
        struct sp__limit limit; /* of an asynchronous one */
};

static void items_free(struct sp__list *items)
{
        struct sp__list *link;

        while ((link = sp__list_pop(items))) {
                struct item *item = SP__OF(link, struct item, link);

                sp_value_unref(item->value);
                free(item);
        }
}

void sp__listener_unref(sp_listener *listener)
{
        if (atomic_fetch_sub(&listener->refs, 1) != 1)
                return;
        items_free(&listener->items);
        sp_stmt_unref(listener->listen);
        sp_stmt_unref(listener->unlisten);
        free(listener->channel);
        sp__pool_unref(listener->pool);
        free(listener);
}

static sp_value *notice(const sp_listener *listener, bool lost)
{
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value;

        sp__buf_text(&buf, "{\"channel\":");
        sp__buf_json(&buf, listener->channel, strlen(listener->channel));
        sp__buf_format(&buf, ",\"notice\":\"listening\",\"lost\":%s}", lost ? "true" : "false");
        value = buf.failed ? NULL : sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        return value;
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

void sp__listener_tell(sp_listener *listener, sp_value *value, struct sp__batch *done)
{
        struct item *item;

        if (!value || hand_over(listener, value, done))
                return;
        if (listener->count >= SP_LISTENER_MAX) {
                /* Who is so late has to look at everything anew anyhow. */
                sp_value_unref(value);
                value = notice(listener, true);
                items_free(&listener->items);
                listener->count = 0;
        }
        item = value ? malloc(sizeof *item) : NULL;
        if (!item) {
                sp_value_unref(value);
                return;
        }
        item->value = value;
        sp__list_push(&listener->items, &item->link);
        listener->count++;
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

void sp__listener_notice(sp_listener *listener, struct sp__batch *done)
{
        sp__listener_tell(listener, notice(listener, listener->before), done);
        listener->before = true;
}

static struct hearing *hearing_of(sp__op *op)
{
        return SP__OF(op, struct hearing, op);
}

static sp_error *why_none(const sp_listener *listener, sp_status why)
{
        if (why == SP_TIMEOUT)
                return sp__error_new(why, NULL, "nothing was heard on channel \"%s\" before the caller's deadline",
                                     listener->channel);
        return sp__error_new(why, NULL, "channel \"%s\": %s", listener->channel, sp_status_text(why));
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

static sp_stmt *command(const char *name, const char *verb, const char *channel)
{
        struct sp__buf sql = SP__BUF_INIT;
        sp_stmt *stmt = NULL;

        sp__buf_format(&sql, "%s ", verb);
        sp__buf_identifier(&sql, channel);
        sp__buf_char(&sql, 0);
        if (!sql.failed)
                stmt = sp__stmt_own(name, sql.data);
        if (stmt)
                stmt->sql.dirties = true;
        sp__buf_free(&sql);
        return stmt;
}

static sp_listener *listener_new(sp_pool *pool, const char *channel)
{
        sp_listener *listener = calloc(1, sizeof *listener);

        if (!listener)
                return NULL;
        atomic_init(&listener->refs, 1);
        listener->pool = sp__pool_ref(pool);
        sp__list_init(&listener->link);
        sp__list_init(&listener->items);
        sp__list_init(&listener->waiting);
        listener->channel = strdup(channel);
        listener->listen = command("listen", "LISTEN", channel);
        listener->unlisten = command("unlisten", "UNLISTEN", channel);
        if (listener->channel && listener->listen && listener->unlisten)
                return listener;
        sp__listener_unref(listener);
        return NULL;
}

/* The ear has a session for all of them, and one connection is kept from sessions. */
static sp_status join(sp_listener *listener, sp_error **error)
{
        sp_pool *pool = listener->pool;
        bool closed, small;

        sp__lock(&pool->lock);
        closed = pool->closed;
        small = pool->limits.max < 2;
        if (!closed && !small)
                sp__ear_add(pool, listener);
        sp__unlock(&pool->lock);
        if (closed)
                return sp__fail(error, SP_CLOSED, "pool \"%s\" is closed", pool->name);
        if (small)
                return sp__fail(error, SP_INVALID,
                                "listening needs a connection of its own, and pool.max of pool \"%s\" is 1",
                                pool->name);
        return SP_OK;
}

sp_status sp_pool_listen(sp_pool *pool, const char *channel, sp_listener **out, sp_error **error)
{
        size_t len = channel ? strlen(channel) : 0;
        sp_listener *listener;
        sp_status status;

        SP__NEED(pool, error);
        SP__NEED(out, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (len == 0 || len > SP_CHANNEL_MAX)
                return sp__fail(error, SP_LIMIT, "a channel's name must have 1 to %d bytes", SP_CHANNEL_MAX);
        listener = listener_new(pool, channel);
        if (!listener)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = join(listener, error);
        if (status == SP_OK)
                *out = listener;
        else
                sp__listener_unref(listener);
        return status;
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
