/* SPDX-License-Identifier: MIT */
/*
 * A session where nobody has to wait: a connection lies idle and no caller is before. One turn of the pool's lock, no operation,
 * no allocation: each connection keeps the session that it had last. All else goes the way of a statement (query.c).
 */
#include "core/ctx.h"
#include "pg/pool_internal.h"

#include <stdlib.h>

sp_session *sp__session_make(struct sp__conn *conn, sp_ctx *ctx, void *place, int64_t now)
{
        sp_session *session = conn->spare ? conn->spare : malloc(sizeof *session);

        conn->spare = NULL;
        if (!session)
                return NULL;
        *session = (sp_session){.refs = 1,
                                .pool = sp__pool_ref(conn->pool),
                                .conn = conn,
                                .since_ns = now,
                                .place = place,
                                .ctx = sp_ctx_ref(ctx)};
        sp__list_init(&session->held);
        /* It may have been lost between being chosen and here. */
        session->broken = conn->place != SP__CONN_SESSION;
        if (!session->broken)
                conn->session = session;
        return session;
}

void sp__session_unmade(struct sp__conn *conn)
{
        sp_pool *pool = conn->pool;

        sp__lock(&pool->lock);
        if (conn->place == SP__CONN_SESSION) {
                conn->place = SP__CONN_BUSY;
                pool->sessions--;
        }
        sp__unlock(&pool->lock);
        sp__pool_account(conn);
}

/* What the usual way refuses, asks the breaker about, or ends at its deadline. */
static bool needs_more(const sp_pool *pool, const sp_ctx *ctx, int64_t now)
{
        return sp__engine_forked(pool->engine) || pool->guarded ||
               (ctx && (sp_ctx_cancelled(ctx) || sp__ctx_deadline(ctx) <= now));
}

sp_session *sp__session_borrow(sp_pool *pool, sp_ctx *ctx, void *place)
{
        int64_t now = sp__now();
        sp_session *session = NULL;
        struct sp__conn *conn = NULL;

        if (needs_more(pool, ctx, now))
                return NULL;
        sp__lock(&pool->lock);
        if (!pool->closed && pool->waiters == 0)
                conn = sp__route_session(pool);
        if (conn)
                session = sp__session_make(conn, ctx, place, now);
        sp__unlock(&pool->lock);
        if (session)
                sp__histogram_record(pool->wait_time, 0);
        else if (conn)
                sp__session_unmade(conn);
        return session;
}
