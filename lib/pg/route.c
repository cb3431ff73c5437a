/* SPDX-License-Identifier: MIT */
/*
 * Which connection a statement goes to.
 *
 * Fast statements (sp__stmt_fast) share few connections, the lanes: coalescing is what makes them cheap. Others, and those
 * that never ran, have a connection to themselves, so that nobody waits behind them. Latest idle first, so that surplus ones
 * fall asleep; oldest waiter first.
 */
#include "core/error.h"
#include "pg/pool_internal.h"

/* How many waiters behind a blocked one are looked at: fast ones among them may still join a lane. */
enum { LOOK_AHEAD = 64 };

static int64_t lane_limit(const sp_pool *pool)
{
        int64_t quarter = pool->limits.max / 4;

        quarter = quarter > 0 ? quarter : 1;
        return pool->limits.lanes < quarter ? pool->limits.lanes : quarter;
}

static struct sp__conn *latest_idle(sp_pool *pool)
{
        struct sp__conn *latest = NULL;

        SP__EACH(&pool->idle, at, after)
        {
                struct sp__conn *conn = SP__OF(at, struct sp__conn, idle);

                if (!latest || !conn->lane)
                        latest = conn;
                if (!conn->lane)
                        break;
        }
        return latest && sp__pool_trusts(pool, latest) ? latest : NULL;
}

static void lane_drop(sp_pool *pool, struct sp__conn *conn)
{
        for (int64_t i = 0; conn->lane && i < SP__LANES_MAX; i++) {
                if (pool->lanes[i] == conn)
                        pool->lanes[i] = NULL;
        }
        conn->lane = false;
}

static struct sp__conn *use(struct sp__conn *conn, bool alone)
{
        if (conn->place == SP__CONN_IDLE) {
                sp__pool_observe(conn->pool);
                conn->pool->busy++;
        }
        sp__list_remove(&conn->idle);
        conn->place = SP__CONN_BUSY;
        conn->load++;
        conn->alone = alone;
        if (sp__pool_worn(conn))
                lane_drop(conn->pool, conn);
        return conn;
}

/* A lane at rest, else a new one, else the least loaded. */
static struct sp__conn *route_fast(sp_pool *pool)
{
        struct sp__conn *best = NULL, *idle;
        int64_t vacant = -1;

        for (int64_t i = 0; i < lane_limit(pool); i++) {
                struct sp__conn *lane = pool->lanes[i];

                if (!lane)
                        vacant = i;
                else if (lane->load == 0 && lane->place == SP__CONN_IDLE && sp__pool_trusts(pool, lane))
                        return use(lane, false);
                else if (!lane->alone && !lane->retire && lane->load < pool->limits.lane_depth &&
                         (!best || lane->load < best->load))
                        best = lane;
        }
        idle = vacant >= 0 ? latest_idle(pool) : NULL;
        if (idle) {
                pool->lanes[vacant] = idle;
                idle->lane = true;
                return use(idle, false);
        }
        if (vacant >= 0 && best)
                sp__pool_widen(pool);
        return best ? use(best, false) : NULL;
}

static struct sp__conn *route_alone(sp_pool *pool)
{
        struct sp__conn *conn = latest_idle(pool);

        if (!conn)
                return NULL;
        lane_drop(pool, conn);
        return use(conn, true);
}

/* One connection is kept from sessions: who holds one must still be able to query. */
static bool sessions_full(const sp_pool *pool)
{
        return pool->limits.max > 1 && pool->sessions >= pool->limits.max - 1;
}

static struct sp__conn *route_session(sp_pool *pool)
{
        struct sp__conn *conn;

        if (sessions_full(pool))
                return NULL;
        conn = route_alone(pool);
        if (conn) {
                conn->place = SP__CONN_SESSION;
                conn->load--;
                pool->sessions++;
        }
        return conn;
}

bool sp__route_in_turn(const sp_pool *pool, const struct sp__query *query)
{
        if (pool->waiters == 0 || (query->stmt && sp__stmt_fast(query->stmt)))
                return true;
        return query->stmt && sessions_full(pool) && pool->waiters == pool->wishes;
}

struct sp__conn *sp__route(sp_pool *pool, const struct sp__query *query)
{
        struct sp__conn *conn;

        if (!query->stmt)
                return route_session(pool);
        conn = sp__stmt_fast(query->stmt) ? route_fast(pool) : NULL;
        return conn ? conn : route_alone(pool);
}

void sp__pool_unlist(sp_pool *pool, struct sp__conn *conn)
{
        sp__list_remove(&conn->idle);
        lane_drop(pool, conn);
}

void sp__pool_enqueue(sp_pool *pool, struct sp__query *query)
{
        sp__pool_observe(pool);
        pool->levels->waited++;
        query->waiting = true;
        query->patience = sp__after_ms(sp__now(), pool->limits.acquire_ms);
        pool->wishes += !query->stmt;
        sp__list_push(&pool->waiting, &sp__op_ref(&query->op)->link);
        if (pool->waiters++ == 0)
                sp__timer_set(pool->engine, &pool->wait_timer, query->patience);
        sp__pool_crowd(pool);
        sp__pool_grow(pool);
}

/* The list's reference passes to the caller. */
void sp__pool_dequeue(sp_pool *pool, struct sp__query *query)
{
        sp__pool_observe(pool);
        query->waiting = false;
        sp__list_remove(&query->op.link);
        pool->waiters--;
        pool->wishes -= !query->stmt;
        sp__pool_crowd(pool);
}

/* The next waiter that has a connection now, and that connection. */
static struct sp__query *next_served(sp_pool *pool, struct sp__conn **conn)
{
        int looked = 0;

        SP__EACH(&pool->waiting, at, after)
        {
                struct sp__query *query = SP__OF(SP__OF(at, sp__op, link), struct sp__query, op);

                if (!sp__op_pending(&query->op) || (!query->stmt && sessions_full(pool)))
                        continue;
                if (++looked > LOOK_AHEAD)
                        break;
                if (looked > 1 && (!query->stmt || !sp__stmt_fast(query->stmt)))
                        continue;
                *conn = sp__route(pool, query);
                if (*conn) {
                        sp__pool_dequeue(pool, query);
                        query->conn = query->stmt ? *conn : NULL;
                        return query;
                }
        }
        return NULL;
}

void sp__pool_dispatch(sp_pool *pool)
{
        struct sp__query *query;
        struct sp__conn *conn;
        sp__op *caller;

        for (;;) {
                sp__lock(&pool->lock);
                query = next_served(pool, &conn);
                caller = query && query->op.caller ? sp__op_ref(query->op.caller) : NULL;
                if (!query)
                        sp__pool_grow(pool);
                sp__unlock(&pool->lock);
                if (!query)
                        return;
                /* The waiting list's reference is now the connection's, or the session's giver's. */
                if (query->stmt)
                        sp__conn_send(conn, &query->unit, query->params, caller);
                else
                        sp__session_give(query, conn);
                sp__op_unref(caller);
        }
}

bool sp__pool_settle(struct sp__conn *conn, uint32_t units)
{
        conn->load -= units;
        conn->pool->heard_ns = sp__now_coarse();
        return conn->load == 0 && conn->place == SP__CONN_BUSY && !conn->cancelling && sp__pool_rest(conn->pool, conn);
}

void sp__pool_account(struct sp__conn *conn)
{
        sp_pool *pool = conn->pool;
        bool close;

        sp__lock(&pool->lock);
        close = sp__pool_settle(conn, 0);
        sp__unlock(&pool->lock);
        if (close)
                sp__conn_close(conn);
        sp__pool_dispatch(pool);
}
