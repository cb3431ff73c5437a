/* SPDX-License-Identifier: MIT */
/* How the whole is: every part is asked at once, and whoever answers last writes it down. */
#include "client/client.h"
#include "core/ctx.h"
#include "core/error.h"
#include "loop/port.h"
#include "pg/pool.h"
#include "redis/redis.h"

#include <stdlib.h>
#include <string.h>

/* A part that takes longer is told as one that does not answer. */
#define PATIENCE_MS 1000

/* How each report of a pool begins: what stands behind is the document's own. */
#define WELL "{\"status\":\"healthy\","
#define ILL  "{\"status\":\"unhealthy\","

struct health;

struct asked {
        struct health *health;
        sp_value *report;
};

struct health {
        sp__op op;
        sp_client *client;
        size_t pool_count;
        atomic_size_t left; /* parts that did not answer, and whoever still asks */
        int64_t since;
        sp_status redis;
        sp_error *redis_error;
        int64_t redis_ns;
        struct asked pools[];
};

static struct health *health_of(sp__op *op)
{
        return SP__OF(op, struct health, op);
}

static void cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static void destroy(sp__op *op)
{
        struct health *health = health_of(op);

        /* It may outlive its client, as completions do. */
        for (size_t i = 0; i < health->pool_count; i++)
                sp_value_unref(health->pools[i].report);
        sp_error_free(health->redis_error);
        free(health);
}

static const struct sp__op_kind kind = {.cancel = cancel, .destroy = destroy};

static const char *text_of(const sp_value *report)
{
        size_t len;

        return sp_value_data(report, &len);
}

static bool is_well(const sp_value *report)
{
        return strncmp(text_of(report), WELL, strlen(WELL)) == 0;
}

/* Of the default pool, what it reports behind its status. */
static void write_default(const struct health *health, struct sp__buf *out)
{
        for (size_t i = 0; i < health->pool_count; i++) {
                const sp_value *report = health->pools[i].report;
                const char *text = text_of(report);

                if (health->client->pools[i].name)
                        continue;
                text += strlen(is_well(report) ? WELL : ILL);
                sp__buf_add(out, text, strlen(text) - 1);
                sp__buf_char(out, ',');
        }
}

static void write_named(const struct health *health, struct sp__buf *out)
{
        const char *before = "";

        sp__buf_text(out, "\"pools\":{");
        for (size_t i = 0; i < health->pool_count; i++) {
                const char *name = health->client->pools[i].name;

                if (!name)
                        continue;
                sp__buf_text(out, before);
                sp__buf_json(out, name, strlen(name));
                sp__buf_char(out, ':');
                sp__buf_text(out, text_of(health->pools[i].report));
                before = ",";
        }
        sp__buf_char(out, '}');
}

static void write_redis(const struct health *health, struct sp__buf *out)
{
        const char *why = health->redis_error ? sp_error_message(health->redis_error) : sp_status_text(health->redis);

        sp__buf_text(out, ",\"redis\":");
        if (!health->client->redis) {
                sp__buf_text(out, "null");
        } else if (health->redis == SP_OK) {
                sp__buf_text(out, "{\"status\":\"connected\",\"latencyMs\":");
                sp__buf_fixed(out, (double)health->redis_ns / SP__MS, 3);
                sp__buf_char(out, '}');
        } else {
                sp__buf_text(out, "{\"status\":\"disconnected\",\"error\":");
                sp__buf_json(out, why, strlen(why));
                sp__buf_char(out, '}');
        }
}

/* Those that have a report; false: one could not even be asked, for want of memory. */
static bool all_reported(const struct health *health)
{
        for (size_t i = 0; i < health->pool_count; i++) {
                if (!health->pools[i].report)
                        return false;
        }
        return true;
}

static bool all_well(const struct health *health)
{
        for (size_t i = 0; i < health->pool_count; i++) {
                if (!is_well(health->pools[i].report))
                        return false;
        }
        return true;
}

static sp_value *written(const struct health *health)
{
        struct sp__buf text = SP__BUF_INIT, more = SP__BUF_INIT;
        sp_value *value = NULL;
        bool whole = !health->client->redis || health->redis == SP_OK;

        write_named(health, &more);
        write_redis(health, &more);
        sp__buf_text(&more, ",\"breakers\":");
        whole &= sp__client_write_breakers(health->client, &more);
        sp__buf_text(&more, ",\"feeds\":");
        whole &= sp__client_write_feeds(health->client, &more);
        sp__buf_format(&text, "{\"status\":\"%s\",", !all_well(health) ? "unhealthy" : whole ? "healthy" : "degraded");
        write_default(health, &text);
        sp__buf_add(&text, more.data, more.len);
        sp__buf_char(&text, '}');
        if (!text.failed && !more.failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        sp__buf_free(&more);
        return value;
}

static void unref_value(void *value)
{
        sp_value_unref(value);
}

/* One less is awaited. The last one answers, and drops the parts' reference. */
static void answered(struct health *health)
{
        struct sp__batch done;
        sp_value *value;

        if (atomic_fetch_sub(&health->left, 1) != 1)
                return;
        value = all_reported(health) ? written(health) : NULL;
        sp__batch_init(&done);
        if (value)
                sp__op_yield(&health->op, SP__YIELD_VALUE, value, unref_value, &done);
        else
                sp__op_fail(&health->op, SP_NOMEM, NULL, &done);
        sp__batch_deliver(&done);
        sp__op_unref(&health->op);
}

static void pool_answered(sp__op *op)
{
        struct asked *asked = op->owner;

        if (op->status == SP_OK)
                asked->report = sp_value_ref(op->what);
        answered(asked->health);
}

static void redis_answered(sp__op *op)
{
        struct health *health = op->owner;

        health->redis = op->status;
        health->redis_error = sp__error_copy(op->error);
        health->redis_ns = sp__now() - health->since;
        answered(health);
}

static void ask_all(struct health *health)
{
        sp_client *client = health->client;
        int64_t deadline = sp__after_ms(health->since, PATIENCE_MS);

        if (health->op.ctx && sp__ctx_deadline(health->op.ctx) < deadline)
                deadline = sp__ctx_deadline(health->op.ctx);
        sp__op_ref(&health->op);
        atomic_store(&health->left, client->pool_count + 2);
        for (size_t i = 0; i < client->pool_count; i++) {
                if (!sp__pool_health_step(client->pools[i].pool, deadline, pool_answered, &health->pools[i]))
                        answered(health);
        }
        if (!client->redis || !sp__redis_ping(client->redis, deadline, redis_answered, health))
                answered(health);
        answered(health);
}

/* The parts' deadline is the only one: what they say by then is the answer. */
static struct health *health_new(sp_client *client, sp_ctx *ctx)
{
        struct health *health = calloc(1, sizeof *health + client->pool_count * sizeof *health->pools);

        if (!health)
                return NULL;
        sp__op_init(&health->op, &kind, ctx, SP__FOREVER);
        health->op.deadline = SP__FOREVER;
        health->client = client;
        health->pool_count = client->pool_count;
        health->since = sp__now();
        health->redis = SP_NOMEM;
        for (size_t i = 0; i < client->pool_count; i++)
                health->pools[i].health = health;
        return health;
}

sp_status sp_client_health(sp_client *client, sp_ctx *ctx, sp_value **out)
{
        struct health *health;
        void *value = NULL;
        sp_status status;

        SP__NEED(client, NULL);
        SP__NEED(out, NULL);
        if (sp__engine_forked(client->engine))
                return SP_FORKED;
        health = health_new(client, ctx);
        if (!health)
                return SP_NOMEM;
        sp__op_to_caller(&health->op);
        status = sp__op_enlist(&health->op);
        if (status != SP_OK) {
                sp__op_abandon(&health->op);
                return status;
        }
        ask_all(health);
        sp__op_wait(&health->op);
        status = sp__op_take(&health->op, &value, NULL);
        if (status == SP_OK)
                *out = value;
        return status;
}

sp_status sp_client_health_async(sp_client *client, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct health *health;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, client);
        if (sp__engine_forked(client->engine))
                return SP_FORKED;
        health = health_new(client, ctx);
        if (!health)
                return SP_NOMEM;
        status = sp__op_to_queue(&health->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&health->op);
        if (status != SP_OK) {
                sp__op_abandon(&health->op);
                return status;
        }
        ask_all(health);
        sp__op_unref(&health->op);
        return SP_OK;
}
