/* SPDX-License-Identifier: MIT */
/* Whether a transaction is made again, and the pause before it. */
#include "core/error.h"
#include "loop/limit.h"
#include "loop/port.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>

/* The longest pause is this many doublings of the first: with 10 ms, 640 ms. */
enum { DOUBLINGS = 6 };

/* Serialization failure, deadlock: the server ended the transaction in favour of another one, and it may succeed now. */
static bool worth_another(const char *code)
{
        return strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0;
}

static int64_t pause_after(sp_pool *pool, const char *code, int64_t attempt)
{
        int64_t longest;
        double unit;

        if (attempt < 1 || attempt >= pool->limits.tx_attempts)
                return -1;
        /* There are no rivals. */
        if (sp__query_outdated(code))
                return 0;
        if (!worth_another(code))
                return -1;
        longest = pool->limits.tx_backoff_ms << (attempt - 1 < DOUBLINGS ? attempt - 1 : DOUBLINGS);
        sp__lock(&pool->lock);
        unit = sp__random_unit(&pool->random);
        sp__unlock(&pool->lock);
        /* AWS's "full jitter": rivals that failed together do not come back together. */
        return (int64_t)((double)(longest + 1) * unit);
}

int64_t sp_pool_retry_pause(sp_pool *pool, const sp_error *error, int64_t attempt)
{
        if (!pool || sp__engine_forked(pool->engine))
                return -1;
        return pause_after(pool, sp_error_retryable(error) ? sp_error_code(error) : "", attempt);
}

/* Its deadline is its end: then the transaction is made again. */
struct pause {
        sp__op op;
        sp_pool *pool;
        struct sp__limit limit;
        bool again;
};

static struct pause *pause_of(sp__op *op)
{
        return SP__OF(op, struct pause, op);
}

static void answer(sp__op *op, struct sp__batch *done)
{
        bool again = pause_of(op)->again;
        sp_value *value = sp_value_new(again ? "true" : "false", again ? 4 : 5, SP_CODEC_JSON);

        if (value)
                sp__op_yield(op, SP__YIELD_VALUE, value, (void (*)(void *))sp_value_unref, done);
        else
                sp__op_fail(op, SP_NOMEM, NULL, done);
}

static void pause_cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        if (why == SP_TIMEOUT)
                answer(op, &done);
        else
                sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static void pause_settled(sp__op *op)
{
        struct pause *pause = pause_of(op);
        sp_pool *pool = pause->pool;

        if (op->status == SP_OK && pause->again)
                atomic_fetch_add(&pool->counts.retries, 1);
        sp__limit_stop(&pause->limit, pool->engine);
        sp__pool_leave(pool);
}

static void pause_destroy(sp__op *op)
{
        free(pause_of(op));
}

static const struct sp__op_kind pause_kind = {
    .cancel = pause_cancel, .settled = pause_settled, .destroy = pause_destroy};

/* `ms` below 0: there is none, and no other time. */
static struct pause *pause_new(sp_pool *pool, sp_ctx *ctx, int64_t ms)
{
        struct pause *pause = calloc(1, sizeof *pause);

        if (!pause)
                return NULL;
        sp__op_init(&pause->op, &pause_kind, ctx, sp__after_ms(sp__now(), ms));
        pause->again = ms >= 0;
        pause->pool = pool;
        return pause;
}

sp_status sp__retry_wait(sp_pool *pool, sp_ctx *ctx, int64_t ms)
{
        struct pause *pause = pause_new(pool, ctx, ms);
        sp_status status;

        if (!pause)
                return SP_NOMEM;
        sp__pool_enter(pool);
        sp__op_to_caller(&pause->op);
        if (sp__op_enlist(&pause->op) != SP_OK)
                pause_cancel(&pause->op, SP_CANCELLED);
        sp__op_wait(&pause->op);
        status = pause->op.status;
        sp__op_unref(&pause->op);
        return status;
}

static void begin(struct pause *pause)
{
        sp__limit_set(&pause->limit, pause->pool->engine, &pause->op);
        if (sp__op_enlist(&pause->op) != SP_OK)
                pause_cancel(&pause->op, SP_CANCELLED);
}

static void refuse(struct pause *pause)
{
        struct sp__batch done;

        sp__batch_init(&done);
        answer(&pause->op, &done);
        sp__batch_deliver(&done);
}

static bool admit(sp_pool *pool)
{
        bool closed;

        sp__lock(&pool->lock);
        closed = pool->closed;
        pool->pending += closed ? 0 : 1;
        sp__unlock(&pool->lock);
        return !closed;
}

static sp_status submit(struct pause *pause, sp_queue *queue, uint64_t tag)
{
        sp_status status = sp__op_to_queue(&pause->op, queue, tag);

        if (status == SP_OK && !admit(pause->pool))
                status = SP_CLOSED;
        if (status != SP_OK) {
                sp__op_abandon(&pause->op);
                return status;
        }
        if (pause->again)
                begin(pause);
        else
                refuse(pause);
        sp__op_unref(&pause->op);
        return SP_OK;
}

sp_status sp_pool_retry_async(sp_pool *pool, sp_ctx *ctx, const char *code, int64_t attempt, sp_queue *queue,
                              uint64_t tag)
{
        int64_t left = ctx ? sp_ctx_remaining(ctx) : -1, ms;
        struct pause *pause;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        ms = pause_after(pool, code ? code : "", attempt);
        pause = pause_new(pool, ctx, left >= 0 && left <= ms ? -1 : ms);
        return pause ? submit(pause, queue, tag) : SP_NOMEM;
}
