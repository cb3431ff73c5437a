/* SPDX-License-Identifier: MIT */
/*
 * Many sets of parameters of one statement between two Syncs: one round trip, and to the server one transaction, so that an
 * error of one set leaves nothing of the others.
 */
#include "core/error.h"
#include "core/params.h"
#include "pg/pool_internal.h"
#include "pg/result.h"

#include <stdlib.h>
#include <sugarperf/batch.h>

struct sp__sets *sp__sets_new(uint32_t count)
{
        struct sp__sets *sets = calloc(1, sizeof *sets + count * sizeof *sets->results);

        if (sets)
                sets->count = count;
        return sets;
}

void sp__sets_clear(struct sp__sets *sets)
{
        if (!sets)
                return;
        for (uint32_t i = 0; i < sets->answered; i++)
                PQclear(sets->results[i]);
        sets->answered = 0;
}

void sp__sets_free(struct sp__sets *sets)
{
        sp__sets_clear(sets);
        free(sets);
}

static sp_status check(const sp_stmt *stmt, const sp_params *params, sp_error **error)
{
        size_t sets = sp_params_sets(params), first = sp__params_set_count(params, 0);

        if (sets == 0)
                return sp__fail(error, SP_INVALID, "statement \"%s\": the batch has no set of parameters", stmt->name);
        if (sets > SP_BATCH_MAX)
                return sp__fail(error, SP_LIMIT, "statement \"%s\": the batch has %zu sets of parameters, more than %d",
                                stmt->name, sets, SP_BATCH_MAX);
        for (size_t i = 1; i < sets; i++) {
                if (sp__params_set_count(params, i) != first)
                        return sp__fail(error, SP_INVALID,
                                        "statement \"%s\": set %zu has %zu parameters, and the first one has %zu",
                                        stmt->name, i, sp__params_set_count(params, i), first);
        }
        return SP_OK;
}

/* The query is consumed, where there is one. */
static sp_status make(struct sp__query *query, const sp_stmt *stmt, const sp_params *params, sp_error **error)
{
        sp_status status = query ? check(stmt, params, error) : sp__fail(error, SP_NOMEM, "out of memory");

        if (status == SP_OK) {
                query->unit.sets = sp__sets_new((uint32_t)sp_params_sets(params));
                status = query->unit.sets ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
        }
        if (status != SP_OK && query)
                sp__op_unref(&query->op);
        return status;
}

static sp_status run(struct sp__query *query, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                     sp_error **error)
{
        sp_status status = make(query, stmt, params, error);
        void *result;

        if (status == SP_OK)
                status = sp__query_run(query, &result, error);
        if (status == SP_OK)
                *out = result;
        return status;
}

static sp_status submit(struct sp__query *query, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                        uint64_t tag)
{
        sp_error *error = NULL;
        sp_status status = make(query, stmt, params, &error);

        return status == SP_OK ? sp__query_submit(query, queue, tag) : sp__op_refuse(queue, tag, status, error);
}

static bool forked(const sp_pool *pool)
{
        return sp__engine_forked(pool->engine);
}

sp_status sp_pool_batch(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                        sp_error **error)
{
        SP__NEED(pool, error);
        SP__NEED(stmt, error);
        SP__NEED(params, error);
        SP__NEED(out, error);
        if (forked(pool))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        return run(sp__query_new(pool, ctx, stmt, params, pool->limits.query_ms), stmt, params, out, error);
}

sp_status sp_pool_batch_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                              uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        SP__NEED_FOR(queue, tag, stmt);
        SP__NEED_FOR(queue, tag, params);
        if (forked(pool))
                return SP_FORKED;
        return submit(sp__query_new(pool, ctx, stmt, params, pool->limits.query_ms), stmt, params, queue, tag);
}

sp_status sp_session_batch(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                           sp_result **out, sp_error **error)
{
        SP__NEED(session, error);
        SP__NEED(stmt, error);
        SP__NEED(params, error);
        SP__NEED(out, error);
        if (forked(session->pool))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        return run(sp__session_statement(session, ctx, stmt, params), stmt, params, out, error);
}

sp_status sp_session_batch_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                 sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        SP__NEED_FOR(queue, tag, stmt);
        SP__NEED_FOR(queue, tag, params);
        if (forked(session->pool))
                return SP_FORKED;
        return submit(sp__session_statement(session, ctx, stmt, params), stmt, params, queue, tag);
}

sp_result *sp__sets_result(struct sp__sets *sets)
{
        sp_result *result = sp__result_sets(sets->results, sets->answered);

        sets->answered = 0;
        return result;
}

sp_error *sp__sets_fault(const struct sp__unit *unit, sp_error *error)
{
        sp_error *told;

        /* The statement itself was refused, or what came with the Sync: then no set is to blame. */
        if (!error || (unit->preparing && !unit->prepared) || unit->sets->answered >= unit->sets->count)
                return error;
        told = sp__error_new(sp_error_status(error), sp_error_code(error), "set %u: %s", unit->sets->answered,
                             sp_error_message(error));
        if (!told)
                return error;
        sp__error_set_retryable(told, sp_error_retryable(error));
        sp__error_move_report(told, error);
        sp_error_free(error);
        return told;
}
