/* SPDX-License-Identifier: MIT */
/* What a profiler asks its databases: plans, by name or of what was slow, and which indexes are missing. */
#include "core/config.h"
#include "core/error.h"
#include "pg/stmt.h"
#include "profile/advice.h"
#include "profile/json.h"
#include "profile/plan.h"
#include "profile/profiler_internal.h"
#include "profile/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A plan that changed is worth a word where the statement has become half as slow again. */
#define SLOWER 1.5

void sp__profiler_attach(sp_profiler *profiler, struct sp__inspector *inspector)
{
        profiler->inspector = inspector;
}

/* Under the lock of plans. */
static struct sp__seen_plan *seen_new(const struct sp__name *name, const struct sp__plan *plan)
{
        struct sp__seen_plan *seen = calloc(1, sizeof *seen);

        if (!seen)
                return NULL;
        *seen = (struct sp__seen_plan){.digest = plan->digest,
                                       .cost = plan->cost,
                                       .shape = strdup(plan->shape.data),
                                       .count = sp__histogram_count(name->times),
                                       .total_ns = sp__name_total(name)};
        return seen;
}

/* The mean time of this minute and the last one, and of all since the plan was seen but those. */
static void means(const sp_profiler *profiler, const struct sp__name *name, const struct sp__seen_plan *seen,
                  double *before, double *after)
{
        int64_t minute = sp__minute_of(sp__clock_now(profiler->clock));
        struct sp__minute all = sp__name_all(name), now = sp__minutes_at(&name->minutes, minute, all),
                          last = sp__minutes_at(&name->minutes, minute - 1, all);
        int64_t recent = now.count + last.count, recent_ns = now.total_ns + last.total_ns;
        int64_t old = all.count - seen->count - recent;
        int64_t old_ns = all.total_ns - seen->total_ns - recent_ns;

        *before = old > 0 ? (double)old_ns / (double)old / SP__MS : 0;
        *after = recent > 0 ? (double)recent_ns / (double)recent / SP__MS : 0;
}

/* A plan that changed, and since when its statement is slower. Under the lock. */
static void compare(const sp_profiler *profiler, const struct sp__name *name, const struct sp__seen_plan *seen,
                    const struct sp__plan *plan, struct sp__buf *event)
{
        double before, after;

        if (!seen || seen->digest == plan->digest)
                return;
        means(profiler, name, seen, &before, &after);
        if (before <= 0 || after < before * SLOWER)
                return;
        sp__buf_text(event, "\"kind\":\"plan\"");
        sp__json_text(event, "name", name->text);
        sp__buf_format(event, ",\"fingerprint\":\"%016" PRIx64 "\"", name->fingerprint);
        sp__json_text(event, "from", seen->shape);
        sp__json_text(event, "to", plan->shape.data);
        sp__json_number(event, "beforeMs", before, 3);
        sp__json_number(event, "afterMs", after, 3);
}

/* Keeps the plan where it is another one; tells of it where that is slower. */
static void note_plan(sp_profiler *profiler, struct sp__name *name, const struct sp__plan *plan)
{
        struct sp__buf event = SP__BUF_INIT;
        struct sp__seen_plan *seen, *old = NULL;

        sp__lock(&profiler->plans);
        compare(profiler, name, name->plan, plan, &event);
        if (!name->plan || name->plan->digest != plan->digest) {
                seen = seen_new(name, plan);
                if (seen && seen->shape) {
                        old = name->plan;
                        name->plan = seen;
                } else {
                        old = seen;
                }
        }
        sp__unlock(&profiler->plans);
        sp__seen_plan_free(old);
        if (event.len)
                sp__findings_tell(profiler->findings, &event);
}

char *sp__profiler_plan(sp_profiler *profiler, const struct sp__name *name)
{
        char *shape;

        sp__lock(&profiler->plans);
        shape = name->plan ? strdup(name->plan->shape) : NULL;
        sp__unlock(&profiler->plans);
        return shape;
}

static sp_value *plan_value(const struct sp__name *name, const struct sp__plan *plan)
{
        struct sp__buf out = SP__BUF_INIT;
        sp_value *value = NULL;

        sp__buf_text(&out, "{\"name\":");
        sp__buf_json(&out, name->text, name->len);
        sp__buf_format(&out, ",\"fingerprint\":\"%016" PRIx64 "\"", name->fingerprint);
        sp__json_text(&out, "text", name->norm);
        sp__json_text(&out, "plan", plan->shape.data);
        sp__json_number(&out, "cost", plan->cost, 3);
        sp__json_number(&out, "rows", plan->rows, 3);
        sp__buf_char(&out, '}');
        if (!out.failed)
                value = sp_value_new(out.data, out.len, SP_CODEC_JSON);
        sp__buf_free(&out);
        return value;
}

/* Its mean rows stand for limits that are parameters. */
static int64_t limit_of(const struct sp__name *name)
{
        int64_t count = sp__histogram_count(name->times);
        int64_t rows = atomic_load_explicit(&name->rows, memory_order_relaxed);

        return count && rows > count ? (rows + count / 2) / count : 1;
}

/* What reads and is no query, as SHOW and EXPLAIN, has no plan: PREPARE knows it not. */
static sp_status prepare(const struct sp__name *name, struct sp__side *side, int *params, sp_error **error)
{
        sp_error *failed = NULL;
        sp_status status = sp__plan_prepare(side, 0, name->stmt, name->stmt->text, limit_of(name), params, &failed);

        if (status == SP_SQL && strcmp(sp_error_code(failed), "42601") == 0) {
                sp_error_free(failed);
                return sp__fail(error, SP_UNSUPPORTED, "only queries have a plan");
        }
        if (status != SP_OK)
                sp__error_give(error, failed);
        return status;
}

static sp_status explain(struct sp__name *name, struct sp__side *side, struct sp__plan *out, sp_error **error)
{
        int params = 0;
        sp_status status = sp__plan_begin(side, error);

        if (status == SP_OK)
                status = prepare(name, side, &params, error);
        if (status == SP_OK)
                status = sp__plan_explain(side, 0, name->stmt, params, out, error);
        return status;
}

static sp_status inspect_plan(void *owner, sp_pool *pool, sp_ctx *ctx, const char *what, sp_value **out,
                              sp_error **error)
{
        sp_profiler *profiler = owner;
        struct sp__name *name = profiler->names.all[strtoul(what, NULL, 10)];
        struct sp__side side;
        struct sp__plan plan;
        sp_status status = sp__side_open(pool, ctx, &side, error);

        if (status != SP_OK)
                return status;
        status = explain(name, &side, &plan, error);
        sp__side_close(&side);
        if (status != SP_OK)
                return status;
        note_plan(profiler, name, &plan);
        *out = plan_value(name, &plan);
        sp__plan_free(&plan);
        return *out ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
}

static sp_status inspect_indexes(void *owner, sp_pool *pool, sp_ctx *ctx, const char *what, sp_value **out,
                                 sp_error **error)
{
        sp_profiler *profiler = owner;
        struct sp__advice advice;
        struct sp__side side;
        sp_status status = sp__side_open(pool, ctx, &side, error);

        if (status != SP_OK)
                return status;
        status = sp__advice_read(&side, &profiler->names, what, &advice, error);
        sp__side_close(&side);
        if (status != SP_OK)
                return status;
        *out = sp__advice_value(&advice, what);
        sp__advice_free(&advice);
        return *out ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
}

static sp_status inspect_server(void *owner, sp_pool *pool, sp_ctx *ctx, const char *what, sp_value **out,
                                sp_error **error)
{
        sp_profiler *profiler = owner;
        struct sp__side side;
        sp_status status = sp__side_open(pool, ctx, &side, error);

        if (status != SP_OK)
                return status;
        status = sp__server_read(&side, &profiler->names, what,
                                 sp__config_int(profiler->config, "profiler", NULL, "slow"), out, error);
        sp__side_close(&side);
        return status;
}

/* The number of an entry, by which the inspector finds it: entries live as long as the profiler. */
static size_t number_of(const sp_profiler *profiler, const struct sp__name *name)
{
        size_t number = 0;

        while (profiler->names.all[number] != name)
                number++;
        return number;
}

static struct sp__inquiry plan_inquiry(sp_profiler *profiler, const struct sp__name *name, char number[24])
{
        snprintf(number, 24, "%zu", number_of(profiler, name));
        return (struct sp__inquiry){.run = inspect_plan, .owner = profiler, .pool = name->pool, .what = number};
}

static bool explainable(const struct sp__name *name)
{
        return name && name->stmt && name->fingerprint && name->stmt->sql.kind == SP__SQL_READ;
}

void sp__profiler_sample(sp_profiler *profiler, struct sp__name *name, int64_t now)
{
        int64_t due = atomic_load_explicit(&name->plan_due_ns, memory_order_relaxed);
        struct sp__inquiry inquiry;
        char number[24];

        if (!profiler->plan_every_ns || !profiler->inspector || !explainable(name) || now < due ||
            !atomic_compare_exchange_strong(&name->plan_due_ns, &due, now + profiler->plan_every_ns))
                return;
        inquiry = plan_inquiry(profiler, name, number);
        sp__inspector_note(profiler->inspector, &inquiry);
}

static sp_status no_database(const sp_profiler *profiler, sp_error **error)
{
        if (sp__forked(&profiler->fork))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (!profiler->inspector)
                return sp__fail(error, SP_UNSUPPORTED, "a profiler without a client has no database to ask");
        return SP_OK;
}

static sp_status find(sp_profiler *profiler, const char *text, struct sp__name **out, sp_error **error)
{
        sp_status status = no_database(profiler, error);
        struct sp__name *name = status == SP_OK ? sp__names_find(&profiler->names, text) : NULL;

        if (status != SP_OK)
                return status;
        if (!name)
                return sp__fail(error, SP_NOT_FOUND, "no statement of that name has run");
        if (!explainable(name))
                return sp__fail(error, SP_UNSUPPORTED, "only statements that read are explained");
        *out = name;
        return SP_OK;
}

sp_status sp_profiler_explain(sp_profiler *profiler, sp_ctx *ctx, const char *name, sp_value **out, sp_error **error)
{
        struct sp__inquiry inquiry;
        struct sp__name *entry = NULL;
        char number[24];
        sp_status status;

        SP__NEED(profiler, error);
        SP__NEED(name, error);
        SP__NEED(out, error);
        status = find(profiler, name, &entry, error);
        if (status != SP_OK)
                return status;
        inquiry = plan_inquiry(profiler, entry, number);
        return sp__inspector_ask(profiler->inspector, ctx, &inquiry, out, error);
}

sp_status sp_profiler_explain_async(sp_profiler *profiler, sp_ctx *ctx, const char *name, sp_queue *queue, uint64_t tag)
{
        struct sp__inquiry inquiry;
        struct sp__name *entry = NULL;
        sp_error *error = NULL;
        char number[24];
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, profiler);
        SP__NEED_FOR(queue, tag, name);
        status = find(profiler, name, &entry, &error);
        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        inquiry = plan_inquiry(profiler, entry, number);
        return sp__inspector_ask_async(profiler->inspector, ctx, &inquiry, queue, tag);
}

/* Of a whole pool. */
static struct sp__inquiry pool_inquiry(sp_profiler *profiler, sp__inspect *run, const char *pool)
{
        const char *name = pool ? pool : "default";

        return (struct sp__inquiry){.run = run, .owner = profiler, .pool = name, .what = name};
}

static sp_status ask_pool(sp_profiler *profiler, sp_ctx *ctx, sp__inspect *run, const char *pool, sp_value **out,
                          sp_error **error)
{
        const struct sp__inquiry inquiry = pool_inquiry(profiler, run, pool);
        sp_status status = no_database(profiler, error);

        return status == SP_OK ? sp__inspector_ask(profiler->inspector, ctx, &inquiry, out, error) : status;
}

static sp_status ask_pool_async(sp_profiler *profiler, sp_ctx *ctx, sp__inspect *run, const char *pool, sp_queue *queue,
                                uint64_t tag)
{
        const struct sp__inquiry inquiry = pool_inquiry(profiler, run, pool);
        sp_error *error = NULL;
        sp_status status = no_database(profiler, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        return sp__inspector_ask_async(profiler->inspector, ctx, &inquiry, queue, tag);
}

sp_status sp_profiler_advise(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_value **out, sp_error **error)
{
        SP__NEED(profiler, error);
        SP__NEED(out, error);
        return ask_pool(profiler, ctx, inspect_indexes, pool, out, error);
}

sp_status sp_profiler_advise_async(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, profiler);
        return ask_pool_async(profiler, ctx, inspect_indexes, pool, queue, tag);
}

sp_status sp_profiler_server(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_value **out, sp_error **error)
{
        SP__NEED(profiler, error);
        SP__NEED(out, error);
        return ask_pool(profiler, ctx, inspect_server, pool, out, error);
}

sp_status sp_profiler_server_async(sp_profiler *profiler, sp_ctx *ctx, const char *pool, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, profiler);
        return ask_pool_async(profiler, ctx, inspect_server, pool, queue, tag);
}
