/* SPDX-License-Identifier: MIT */
/*
 * Which connection a statement goes to.
 *
 * Fast statements (sp__stmt_fast) share few connections, the lanes: coalescing is what makes them cheap. Others, and those
 * that never ran, have a connection to themselves, so that nobody waits behind them. Latest idle first, so that surplus ones
 * fall asleep; oldest waiter first.
 *
 * Reads and writes keep to different connections where they can, for a change costs the server a statement (conn.h): it is
 * never wrong, only slower.
 */
#include "core/error.h"
#include "pg/pool_internal.h"

/*
 * How many waiters behind a blocked one are looked at: fast ones among them may still join a lane. How many idle connections
 * are, for one of the kind that is wanted. What a lane carries before a resting one of the other kind is better.
 */
enum { LOOK_AHEAD = 64, LOOK_AROUND = 32, LANE_FULL = 16 };

static int64_t lane_limit(const sp_pool *pool)
{
        int64_t quarter = pool->limits.max / 4;

        quarter = quarter > 0 ? quarter : 1;
        return pool->limits.lanes < quarter ? pool->limits.lanes : quarter;
}

/* Not one that is a lane, if there is another; one of the kind, if there is one near. */
static struct sp__conn *latest_idle(sp_pool *pool, bool reads)
{
        struct sp__conn *found = NULL;
        int looked = 0;

        SP__EACH(&pool->idle, at, after)
        {
                struct sp__conn *conn = SP__OF(at, struct sp__conn, idle);

                if (!conn->lane && conn->reads == reads)
                        return conn;
                if (!found || (found->lane && !conn->lane))
                        found = conn;
                if (++looked >= LOOK_AROUND && !found->lane)
                        break;
        }
        return found;
}

static void lane_drop(sp_pool *pool, struct sp__conn *conn)
{
        for (int64_t i = 0; conn->lane && i < SP__LANES_MAX; i++) {
                if (pool->lanes[i] == conn)
                        pool->lanes[i] = NULL;
        }
        conn->lane = false;
}

static struct sp__conn *use(struct sp__conn *conn, bool reads, bool alone)
{
        sp_pool *pool = conn->pool;

        if (conn->place == SP__CONN_IDLE) {
                sp__pool_observe(pool);
                pool->busy++;
        }
        sp__list_remove(&conn->idle);
        conn->place = SP__CONN_BUSY;
        conn->load++;
        conn->alone = alone;
        if (sp__pool_worn(conn))
                lane_drop(pool, conn);
        /* Who reads and writes in turn is better off with two. */
        if (conn->reads && !reads && pool->total == 1)
                sp__pool_widen(pool);
        conn->reads = reads;
        return conn;
}

/* NULL where it is not at rest, or was silent for so long that it is asked first. */
static struct sp__conn *trusted(sp_pool *pool, struct sp__conn *conn)
{
        return conn && conn->place == SP__CONN_IDLE && sp__pool_trusts(pool, conn) ? conn : NULL;
}

/* The lanes as a statement of one kind sees them. */
struct view {
        struct sp__conn *rest, *best;             /* of its kind: one at rest, the least loaded */
        struct sp__conn *other_rest, *other_best; /* of the other kind */
        int64_t vacant;                           /* a place for another one, -1: none */
};

static void view_add(struct view *view, struct sp__conn *lane, bool reads, int64_t depth)
{
        bool own = lane->reads == reads;
        struct sp__conn **rest = own ? &view->rest : &view->other_rest, **best = own ? &view->best : &view->other_best;

        if (lane->load == 0 && lane->place == SP__CONN_IDLE)
                *rest = *rest ? *rest : lane;
        else if (!lane->alone && !lane->retire && lane->load < depth && (!*best || lane->load < (*best)->load))
                *best = lane;
}

static struct view view_of(const sp_pool *pool, bool reads)
{
        struct view view = {.vacant = -1};

        for (int64_t i = 0; i < lane_limit(pool); i++) {
                if (pool->lanes[i])
                        view_add(&view, pool->lanes[i], reads, pool->limits.lane_depth);
                else
                        view.vacant = i;
        }
        return view;
}

static struct sp__conn *lane_at(sp_pool *pool, int64_t place, struct sp__conn *conn)
{
        pool->lanes[place] = conn;
        conn->lane = true;
        return conn;
}

/* A lane at rest, else a new one, else the least loaded; what lies idle of its own kind before a lane of the other. */
static struct sp__conn *route_fast(sp_pool *pool, bool reads)
{
        struct view view = view_of(pool, reads);
        struct sp__conn *idle;

        if (trusted(pool, view.rest))
                return use(view.rest, reads, false);
        idle = latest_idle(pool, reads);
        if (idle && !idle->lane && view.vacant >= 0 && trusted(pool, idle))
                return use(lane_at(pool, view.vacant, idle), reads, false);
        if (view.best && view.vacant >= 0)
                sp__pool_widen(pool);
        if (view.best && (view.best->load < LANE_FULL || !trusted(pool, view.other_rest)))
                return use(view.best, reads, false);
        if (!view.best && idle && !idle->lane && idle->reads == reads && trusted(pool, idle))
                return use(idle, reads, true);
        if (trusted(pool, view.other_rest))
                return use(view.other_rest, reads, false);
        if (idle)
                return NULL;
        return sp__pool_cramped(pool) && view.other_best ? use(view.other_best, reads, false) : NULL;
}

static struct sp__conn *route_alone(sp_pool *pool, bool reads)
{
        struct sp__conn *conn = trusted(pool, latest_idle(pool, reads));

        if (!conn)
                return NULL;
        lane_drop(pool, conn);
        return use(conn, reads, true);
}

bool sp__pool_cramped(const sp_pool *pool)
{
        int64_t lanes = 0;

        for (int64_t i = 0; i < lane_limit(pool); i++)
                lanes += pool->lanes[i] != NULL;
        return pool->total >= pool->limits.max && pool->total - pool->opening - pool->sessions <= lanes;
}

/* One connection is kept from sessions: who holds one must still be able to query. */
static bool sessions_full(const sp_pool *pool)
{
        return pool->limits.max > 1 && pool->sessions >= pool->limits.max - 1;
}

struct sp__conn *sp__route_session(sp_pool *pool)
{
        struct sp__conn *conn;

        if (sessions_full(pool))
                return NULL;
        conn = route_alone(pool, false);
        if (conn) {
                conn->place = SP__CONN_SESSION;
                conn->load--;
                pool->sessions++;
        }
        return conn;
}

/* A batch takes its time, however fast its statement is. */
static bool is_fast(const struct sp__query *query)
{
        return query->stmt && !query->unit.sets && sp__stmt_fast(query->stmt);
}

bool sp__route_in_turn(const sp_pool *pool, const struct sp__query *query)
{
        if (pool->waiters == 0 || (is_fast(query) && !sp__pool_cramped(pool)))
                return true;
        return query->stmt && sessions_full(pool) && pool->waiters == pool->wishes;
}

struct sp__conn *sp__route(sp_pool *pool, struct sp__query *query)
{
        struct sp__conn *conn;
        bool reads;

        if (!query->stmt)
                return sp__route_session(pool);
        reads = pool->limits.statements > 0 && sp__stmt_reads(query->stmt);
        conn = is_fast(query) ? route_fast(pool, reads) : NULL;
        if (!conn)
                conn = route_alone(pool, reads);
        sp__unit_set_reads(&query->unit, reads);
        query->unit.resets = sp__pool_resets(pool, query->stmt);
        query->unit.shares =
            conn && !conn->alone && reads && !query->apart && !query->unit.sets && sp__stmt_joins(query->stmt);
        return conn;
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
        /* Behind the last of them there are only wishes, thousands perhaps, and none can be granted. */
        int64_t statements = pool->waiters - pool->wishes;
        int looked = 0;

        SP__EACH(&pool->waiting, at, after)
        {
                struct sp__query *query = SP__OF(SP__OF(at, sp__op, link), struct sp__query, op);

                if (statements == 0 && sessions_full(pool))
                        break;
                statements -= query->stmt != NULL;
                if (!sp__op_pending(&query->op) || (!query->stmt && sessions_full(pool)))
                        continue;
                if (++looked > LOOK_AHEAD)
                        break;
                if (looked > 1 && !is_fast(query))
                        continue;
                *conn = sp__route(pool, query);
                if (*conn) {
                        sp__pool_dequeue(pool, query);
                        query->conn = query->stmt ? *conn : NULL;
                        query->where = (*conn)->where;
                        return query;
                }
                if (sp__pool_cramped(pool))
                        break;
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
        if (units > 0)
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
