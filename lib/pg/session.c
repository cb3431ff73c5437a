/* SPDX-License-Identifier: MIT */
/* Sessions: a connection of one's own, cleaned when it comes back, without a wait. */
#include "core/ctx.h"
#include "core/error.h"
#include "loop/exit.h"
#include "pg/notices.h"
#include "pg/pool_internal.h"

#include <stdlib.h>

/* Statements of the clean-up: they are sent behind whatever the session left running. */
static const char rollback[] = "ROLLBACK", discard[] = "DISCARD ALL", reset[] = "CLOSE ALL";

static void yield_stream(struct sp__query *query, struct sp__batch *done)
{
        sp_stream *stream = query->stream;

        query->stream = NULL;
        sp__op_yield(&query->op, SP__YIELD_STREAM, stream, (void (*)(void *))sp_stream_free, done);
}

void sp__session_give(struct sp__query *query, struct sp__conn *conn)
{
        int64_t now = sp__now();
        sp_pool *pool = query->pool;
        sp_session *session;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pool->lock);
        session = sp__session_make(conn, query->op.ctx, query->place, now);
        if (session && query->stream)
                sp__stream_open(query->stream, session);
        sp__unlock(&pool->lock);
        if (!session) {
                sp__session_unmade(conn);
                sp__op_fail(&query->op, SP_NOMEM, NULL, &done);
        } else {
                sp__histogram_record(pool->wait_time, now - query->born_ns);
                if (query->stream)
                        yield_stream(query, &done);
                else
                        sp__op_yield(&query->op, SP__YIELD_SESSION, session, (void (*)(void *))sp_session_release,
                                     &done);
        }
        sp__batch_deliver(&done);
        sp__op_unref(&query->op);
}

/* From `place`, where somebody has to look who does not give it back. */
struct sp__query *sp__session_wish(sp_pool *pool, sp_ctx *ctx, void *place)
{
        struct sp__query *query = sp__query_new(pool, ctx, NULL, NULL, pool->limits.acquire_ms);

        if (query)
                query->place = place;
        return query;
}

sp_status sp_pool_acquire(sp_pool *pool, sp_ctx *ctx, sp_session **out, sp_error **error)
{
        sp_status status;
        void *session;

        SP__NEED(pool, error);
        SP__NEED(out, error);
        session = sp__session_borrow(pool, ctx, __builtin_return_address(0));
        if (session) {
                *out = session;
                return SP_OK;
        }
        status = sp__query_run(sp__session_wish(pool, ctx, __builtin_return_address(0)), &session, error);
        if (status == SP_OK)
                *out = session;
        return status;
}

sp_status sp_pool_acquire_async(sp_pool *pool, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        sp_session *session;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        session = sp__session_borrow(pool, ctx, __builtin_return_address(0));
        if (session)
                return sp__op_at_once(queue, tag, SP__YIELD_SESSION, session, (void (*)(void *))sp_session_release);
        return sp__query_submit(sp__session_wish(pool, ctx, __builtin_return_address(0)), queue, tag);
}

sp_status sp_pool_acquire_now(sp_pool *pool, sp_ctx *ctx, sp_session **out)
{
        sp_session *session;

        SP__NEED(pool, NULL);
        SP__NEED(out, NULL);
        session = sp__session_borrow(pool, ctx, __builtin_return_address(0));
        if (!session)
                return SP_FULL;
        *out = session;
        return SP_OK;
}

struct sp__query *sp__session_statement(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params)
{
        struct sp__query *query = sp__query_new(session->pool, ctx, stmt, params, session->pool->limits.query_ms);

        if (!query)
                return NULL;
        atomic_fetch_add(&session->refs, 1);
        query->in_session = true;
        query->session = session;
        query->number = atomic_fetch_add(&session->given, 1) + 1;
        session->dirty |= stmt->sql.dirties;
        session->stays |= stmt->sql.stays;
        session->obscure |= sp__pool_resets(session->pool, stmt);
        return query;
}

sp_status sp_session_query(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                           sp_result **out, sp_error **error)
{
        sp_status status;
        void *result;

        SP__NEED(session, error);
        SP__NEED(stmt, error);
        SP__NEED(out, error);
        status = sp__query_run(sp__session_statement(session, ctx, stmt, params), &result, error);
        if (status == SP_OK)
                *out = result;
        return status;
}

sp_status sp_session_query_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                 sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        SP__NEED_FOR(queue, tag, stmt);
        return sp__query_submit(sp__session_statement(session, ctx, stmt, params), queue, tag);
}

static struct sp__unit *unit_new(const char *text)
{
        struct sp__unit *unit = calloc(1, sizeof *unit);

        if (unit)
                unit->text = text;
        return unit;
}

void sp__session_cleaned(struct sp__conn *conn, struct sp__unit *unit)
{
        if (!unit->done_ns || unit->error) {
                sp__lock(&conn->pool->lock);
                conn->retire = true;
                sp__unlock(&conn->pool->lock);
        }
        PQclear(unit->result);
        PQclear(unit->error);
        free(unit);
}

/* Nothing runs there any more. What has to be sent; what cannot be for want of memory makes the connection go instead. */
static void clean_up(const sp_session *session, struct sp__unit *units[2], bool *retire)
{
        bool rolls = sp__conn_in_transaction(session->conn);

        units[0] = rolls ? unit_new(rollback) : NULL;
        units[1] = session->dirty ? unit_new(discard) : session->obscure ? unit_new(reset) : NULL;
        if (units[1])
                units[1]->resets = !session->dirty;
        *retire = session->stays || (rolls && !units[0]) || ((session->dirty || session->obscure) && !units[1]);
}

/* `broken`: there is nothing to clean any more. */
static void send_clean_up(struct sp__conn *conn, struct sp__unit *units[2], bool broken)
{
        for (int i = 0; i < 2; i++) {
                if (!units[i] || broken) {
                        free(units[i]);
                        continue;
                }
                if (units[i]->text == discard)
                        sp__conn_forget_all(conn);
                sp__conn_send(conn, units[i], NULL, NULL);
        }
}

static void give_back(sp_session *session)
{
        struct sp__conn *conn = session->conn;
        sp_pool *pool = session->pool;
        struct sp__unit *units[2];
        bool retire, broken, close = false, waited_for = false;

        sp__notices_end(session);
        clean_up(session, units, &retire);
        sp__lock(&pool->lock);
        broken = session->broken;
        if (!broken) {
                pool->sessions--;
                conn->session = NULL;
                conn->place = SP__CONN_BUSY;
                conn->alone = true;
                conn->retire |= retire;
                conn->load += (units[0] != NULL) + (units[1] != NULL);
                close = sp__pool_settle(conn, 0);
                waited_for = pool->waiters > 0;
        }
        if (!conn->spare) {
                conn->spare = session;
                session = NULL;
        }
        sp__unlock(&pool->lock);
        free(session);
        send_clean_up(conn, units, broken);
        if (close)
                sp__conn_close(conn);
        if (waited_for)
                sp__pool_dispatch(pool);
}

void sp__session_work_over(sp_session *session)
{
        sp_ctx *work;

        sp__lock(&session->pool->lock);
        work = session->work;
        session->work = NULL;
        sp__unlock(&session->pool->lock);
        if (work)
                sp__ctx_transaction(work, -1);
        sp_ctx_unref(work);
}

/* What is still in the transaction is rolled back; of a lost connection's nobody knows. */
static bool rolls_back(const sp_session *session)
{
        bool broken;

        sp__lock(&session->pool->lock);
        broken = session->broken;
        sp__unlock(&session->pool->lock);
        return !broken && (session->lead || sp__conn_in_transaction(session->conn));
}

void sp__session_unref(sp_session *session)
{
        struct sp__writers *writers;
        struct sp__lead *lead;
        sp_pool *pool;
        sp_ctx *ctx;

        if (!session || atomic_fetch_sub(&session->refs, 1) != 1)
                return;
        /* Nobody else knows it any more. */
        if (session->work)
                sp__session_work_over(session);
        if (session->sequels)
                sp__sequels_end(session, rolls_back(session));
        lead = session->lead;
        writers = session->writers;
        ctx = session->ctx;
        pool = session->pool;
        give_back(session);
        sp__lead_free(lead);
        sp__writers_free(writers);
        sp_ctx_unref(ctx);
        sp__pool_unref(pool);
}

void sp_session_release(sp_session *session)
{
        if (!session)
                return;
        if (sp__engine_forked(session->pool->engine)) {
                if (!sp__exit_begun())
                        free(session);
                return;
        }
        sp__histogram_record(session->pool->use_time, sp__now() - session->since_ns);
        sp__session_unref(session);
}
