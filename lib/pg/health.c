/* SPDX-License-Identifier: MIT */
/* What the pool tells of itself: counts, the health report, metrics. */
#include "base/buf.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A probe that takes longer is an answer too. */
#define PROBE_MS 1000

struct counts {
        int64_t active, idle, waiting;
};

static struct counts count(const sp_pool *shared)
{
        sp_pool *pool = (sp_pool *)(uintptr_t)shared;
        struct counts counts = {0};

        if (!pool || sp__engine_forked(pool->engine))
                return counts;
        sp__lock(&pool->lock);
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                enum sp__conn_place place = pool->slots[i]->place;

                counts.idle += place == SP__CONN_IDLE;
                counts.active += place == SP__CONN_BUSY || place == SP__CONN_SESSION;
        }
        counts.waiting = pool->waiters;
        sp__unlock(&pool->lock);
        return counts;
}

int64_t sp_pool_active(const sp_pool *pool)
{
        return count(pool).active;
}

int64_t sp_pool_idle(const sp_pool *pool)
{
        return count(pool).idle;
}

int64_t sp_pool_waiting(const sp_pool *pool)
{
        return count(pool).waiting;
}

int64_t sp_pool_max(const sp_pool *pool)
{
        return pool ? sp__pool_max(pool) : 0;
}

int64_t sp_pool_replicas(const sp_pool *pool)
{
        return pool ? (int64_t)sp__replicas_count(pool->replicas) : 0;
}

/* A report under way: the outer operation, and the probe as its step. Its answer is a report, too, when the probe fails. */
struct health {
        sp__op op;
        sp_pool *pool;
        bool advises; /* how many connections it should have, rather than how it is */
};

static void health_cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static void health_destroy(sp__op *op)
{
        free(SP__OF(op, struct health, op));
}

static const struct sp__op_kind kind = {.cancel = health_cancel, .destroy = health_destroy};

static void report_time(struct sp__buf *buf, const char *name, const struct sp__histogram *times)
{
        sp__buf_format(buf, ",\"%sP50\":", name);
        sp__buf_fixed(buf, (double)sp__histogram_quantile(times, .5) / SP__MS, 3);
        sp__buf_format(buf, ",\"%sP99\":", name);
        sp__buf_fixed(buf, (double)sp__histogram_quantile(times, .99) / SP__MS, 3);
}

/* Beyond what the document names. Milliseconds, and counts since the pool was made. */
static void report_more(const sp_pool *pool, struct sp__buf *buf)
{
        const struct sp__pool_counts *counts = &pool->counts;
        int64_t closed = 0;

        for (int i = 0; i < SP__ENDS; i++)
                closed += atomic_load(&counts->ended[i]);
        sp__buf_format(buf,
                       ",\"createdConnections\":%" PRId64 ",\"closedConnections\":%" PRId64
                       ",\"refusedConnections\":%" PRId64 ",\"timeouts\":%" PRId64 ",\"leakedSessions\":%" PRId64,
                       atomic_load(&counts->created), closed, atomic_load(&counts->refused),
                       atomic_load(&counts->timeouts), atomic_load(&counts->leaks));
        report_time(buf, "waitTime", pool->wait_time);
        report_time(buf, "useTime", pool->use_time);
        report_time(buf, "createTime", pool->create_time);
        sp__buf_text(buf, "}}");
}

static void report_pool(const sp_pool *pool, struct sp__buf *buf)
{
        struct counts counts = count(pool);
        int64_t used = sp__histogram_count(pool->wait_time);
        double total_ms = (double)sp__histogram_sum(pool->wait_time) / SP__MS;

        sp__buf_format(buf,
                       "\"poolMetrics\":{\"activeConnections\":%" PRId64 ",\"idleConnections\":%" PRId64
                       ",\"waitingRequests\":%" PRId64 ",\"maxConnections\":%" PRId64 ",\"totalConnectionTime\":",
                       counts.active, counts.idle, counts.waiting, sp__pool_max(pool));
        sp__buf_fixed(buf, total_ms, 3);
        sp__buf_text(buf, ",\"avgConnectionTime\":");
        sp__buf_fixed(buf, used ? total_ms / (double)used : 0.0, 3);
        report_more(pool, buf);
}

static sp_value *report(const sp_pool *pool, const sp_error *error, sp_status status)
{
        struct sp__buf buf = SP__BUF_INIT;
        const char *text = error ? sp_error_message(error) : sp_status_text(status);
        sp_value *value = NULL;

        if (status == SP_OK) {
                sp__buf_text(&buf, "{\"status\":\"healthy\",\"database\":\"connected\",");
        } else {
                sp__buf_text(&buf, "{\"status\":\"unhealthy\",\"database\":\"disconnected\",\"error\":");
                sp__buf_json(&buf, text, strlen(text));
                sp__buf_char(&buf, ',');
        }
        report_pool(pool, &buf);
        if (!buf.failed)
                value = sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        return value;
}

static void health_end(struct health *health, const sp_error *error, sp_status status, const sp_result *room)
{
        sp_value *value = health->advises ? sp__pool_advise(health->pool, room) : report(health->pool, error, status);
        struct sp__batch done;

        sp__batch_init(&done);
        if (value)
                sp__op_yield(&health->op, SP__YIELD_VALUE, value, (void (*)(void *))sp_value_unref, &done);
        else
                sp__op_fail(&health->op, SP_NOMEM, NULL, &done);
        sp__batch_deliver(&done);
        sp__pool_leave(health->pool);
        sp__op_unref(&health->op);
}

static void probed(sp__op *probe)
{
        health_end(probe->owner, probe->error, probe->status, probe->status == SP_OK ? probe->what : NULL);
}

static void health_start(struct health *health, sp_ctx *ctx)
{
        sp_error *error = NULL;
        sp_status status;

        sp__op_ref(&health->op);
        sp__pool_enter(health->pool);
        status = sp__pool_step(health->pool, ctx, health->op.deadline,
                               health->advises ? health->pool->room : health->pool->probe, NULL, health->op.caller,
                               probed, health, &error);
        if (status != SP_OK)
                health_end(health, error, status, NULL);
        sp_error_free(error);
}

static struct health *health_new(sp_pool *pool, sp_ctx *ctx, bool advises)
{
        struct health *health = calloc(1, sizeof *health);

        if (!health)
                return NULL;
        /* The probe's own deadline ends it: its report is the answer then, too. */
        sp__op_init(&health->op, &kind, NULL, sp__after_ms(sp__now(), PROBE_MS));
        if (ctx && sp_ctx_remaining(ctx) >= 0 && sp__after_ms(sp__now(), sp_ctx_remaining(ctx)) < health->op.deadline)
                health->op.deadline = sp__after_ms(sp__now(), sp_ctx_remaining(ctx));
        health->pool = pool;
        health->advises = advises;
        return health;
}

bool sp__pool_health_step(sp_pool *pool, int64_t deadline, void (*then)(sp__op *op), void *owner)
{
        struct health *health = health_new(pool, NULL, false);

        if (!health)
                return false;
        if (deadline < health->op.deadline)
                health->op.deadline = deadline;
        health->op.then = then;
        health->op.owner = owner;
        health_start(health, NULL);
        sp__op_unref(&health->op);
        return true;
}

static sp_status ask(sp_pool *pool, sp_ctx *ctx, bool advises, sp_value **out)
{
        struct health *health;
        sp_status status;

        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        health = health_new(pool, ctx, advises);
        if (!health)
                return SP_NOMEM;
        sp__pool_enter(pool);
        sp__op_to_caller(&health->op);
        health_start(health, ctx);
        /* The probe's timer is the only deadline. */
        health->op.deadline = SP__FOREVER;
        sp__op_wait(&health->op);
        sp__pool_leave(pool);
        status = health->op.status;
        if (status == SP_OK)
                *out = sp_value_ref(sp_completion_value(&health->op));
        sp__op_unref(&health->op);
        return status;
}

static sp_status ask_async(sp_pool *pool, sp_ctx *ctx, bool advises, sp_queue *queue, uint64_t tag)
{
        struct health *health;
        sp_status status;

        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        health = health_new(pool, ctx, advises);
        if (!health)
                return SP_NOMEM;
        status = sp__op_to_queue(&health->op, queue, tag);
        if (status != SP_OK) {
                sp__op_abandon(&health->op);
                return status;
        }
        health_start(health, ctx);
        sp__op_unref(&health->op);
        return SP_OK;
}

sp_status sp_pool_health(sp_pool *pool, sp_ctx *ctx, sp_value **out)
{
        SP__NEED(pool, NULL);
        SP__NEED(out, NULL);
        return ask(pool, ctx, false, out);
}

sp_status sp_pool_health_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        return ask_async(pool, ctx, false, queue, tag);
}

sp_status sp_pool_advice(sp_pool *pool, sp_ctx *ctx, sp_value **out)
{
        SP__NEED(pool, NULL);
        SP__NEED(out, NULL);
        return ask(pool, ctx, true, out);
}

sp_status sp_pool_advice_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        return ask_async(pool, ctx, true, queue, tag);
}

static void collect_counts(const sp_pool *pool, struct sp__expo *expo)
{
        struct counts counts = count(pool);
        const char *const labels[] = {"db_client_connection_pool_name", pool->name, NULL};
        const char *const idle[] = {"db_client_connection_pool_name", pool->name, "state", "idle", NULL};
        const char *const used[] = {"db_client_connection_pool_name", pool->name, "state", "used", NULL};

        sp__expo_family(expo, "db_client_connections", "gauge", "Connections by state.");
        sp__expo_sample(expo, "", idle, (double)counts.idle);
        sp__expo_sample(expo, "", used, (double)counts.active);
        sp__expo_family(expo, "db_client_connection_max", "gauge", "Connections at most.");
        sp__expo_sample(expo, "", labels, (double)sp__pool_max(pool));
        sp__expo_family(expo, "db_client_connection_idle_min", "gauge", "Connections that are kept.");
        sp__expo_sample(expo, "", labels, (double)pool->limits.min);
        sp__expo_family(expo, "db_client_connection_pending_requests", "gauge", "Callers that wait for a connection.");
        sp__expo_sample(expo, "", labels, (double)counts.waiting);
}

static void collect_totals(const sp_pool *pool, struct sp__expo *expo)
{
        const char *const labels[] = {"db_client_connection_pool_name", pool->name, NULL};
        const struct {
                const char *name;
                const char *help;
                const _Atomic int64_t *value;
        } rows[] = {
            {"db_client_connection_timeouts", "Calls that ended at their deadline.", &pool->counts.timeouts},
            {"sugarperf_pool_connections_created", "Connections opened.", &pool->counts.created},
            {"sugarperf_pool_connections_refused", "Connections that could not be opened.", &pool->counts.refused},
            {"sugarperf_pool_pings", "Idle connections asked whether they still stand.", &pool->counts.pings},
            {"sugarperf_pool_queries", "Statements answered.", &pool->counts.queries},
            {"sugarperf_pool_query_errors", "Statements answered with an error.", &pool->counts.errors},
            {"sugarperf_pool_retries", "Statements sent once more.", &pool->counts.retries},
            {"sugarperf_pool_cancels", "Cancel requests sent.", &pool->counts.cancels},
            {"sugarperf_pool_crowds", "Times that more callers waited than pool.warn_waiting.", &pool->counts.crowds},
            {"sugarperf_pool_sessions_leaked", "Sessions held for longer than pool.leak_after.", &pool->counts.leaks},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp__expo_family(expo, rows[i].name, "counter", rows[i].help);
                sp__expo_sample(expo, "_total", labels, (double)atomic_load(rows[i].value));
        }
}

static void collect_ends(const sp_pool *pool, struct sp__expo *expo)
{
        static const char *const names[SP__ENDS] = {[SP__END_LOST] = "lost",       [SP__END_UNANSWERED] = "unanswered",
                                                    [SP__END_IDLE] = "idle",       [SP__END_LIFETIME] = "lifetime",
                                                    [SP__END_USES] = "uses",       [SP__END_RESIZED] = "resized",
                                                    [SP__END_RETIRED] = "retired", [SP__END_CLOSED] = "closed"};

        sp__expo_family(expo, "sugarperf_pool_connections_closed", "counter", "Connections that ended, by reason.");
        for (int i = SP__END_NONE + 1; i < SP__ENDS; i++) {
                const char *const labels[] = {"db_client_connection_pool_name", pool->name, "reason", names[i], NULL};

                sp__expo_sample(expo, "_total", labels, (double)atomic_load(&pool->counts.ended[i]));
        }
}

void sp__pool_collect(void *arg, struct sp__expo *expo)
{
        const sp_pool *pool = arg;
        const char *const labels[] = {"db_client_connection_pool_name", pool->name, NULL};

        collect_counts(pool, expo);
        collect_totals(pool, expo);
        collect_ends(pool, expo);
        sp__expo_family(expo, "db_client_connection_wait_time_seconds", "histogram",
                        "From the call until it was sent.");
        sp__expo_histogram(expo, labels, pool->wait_time);
        sp__expo_family(expo, "db_client_connection_use_time_seconds", "histogram", "How long sessions were held.");
        sp__expo_histogram(expo, labels, pool->use_time);
        sp__expo_family(expo, "db_client_connection_create_time_seconds", "histogram",
                        "From the wish to the connection.");
        sp__expo_histogram(expo, labels, pool->create_time);
        sp__replicas_collect(pool->replicas, expo);
}
