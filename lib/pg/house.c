/* SPDX-License-Identifier: MIT */
/*
 * How many connections there are, and how long they live. Opened where callers wait and, once the pool was used, up to
 * pool.min; looked after once a second: idle and old ones end, silent ones are asked, those that owe an answer for too long
 * are given up.
 */
#include "core/error.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { HOUSE_MS = 1000 };

static int64_t floor_of(const sp_pool *pool)
{
        return pool->limits.min < pool->limits.max ? pool->limits.min : pool->limits.max;
}

static struct sp__conn *slot_new(sp_pool *pool)
{
        struct sp__conn *conn = calloc(1, sizeof *conn);

        if (conn && sp__conn_init(conn, &sp__pool_owner, pool, pool->engine, &pool->target,
                                  (size_t)pool->limits.statements, pool->limits.connect_ms)) {
                conn->prepared.changes = &pool->changes;
                conn->prepared.age_ns = pool->limits.statement_age_ms * SP__MS;
                return conn;
        }
        free(conn);
        return NULL;
}

static struct sp__conn *slot_take(sp_pool *pool)
{
        for (size_t i = 0; i < SP__SLOTS_MAX; i++) {
                struct sp__conn *conn = pool->slots[i];

                if (!conn)
                        return pool->slots[i] = slot_new(pool);
                if (conn->place == SP__CONN_EMPTY && conn->load == 0 && !conn->cancelling)
                        return conn;
        }
        return NULL;
}

/*
 * How many may be opened at once: up to pool.min freely, beyond it one after the other, so that a burst which the first ones
 * can serve does not open them all (HikariCP's spike test). A server that has just refused is tried by one at a time.
 */
static int64_t open_limit(const sp_pool *pool)
{
        int64_t limit = floor_of(pool) - (pool->total - pool->opening);

        return limit > 1 && pool->faults == 0 ? limit : 1;
}

static bool open_one(sp_pool *pool)
{
        struct sp__conn *conn = slot_take(pool);

        if (!conn)
                return false;
        conn->place = SP__CONN_OPENING;
        pool->total++;
        pool->opening++;
        sp__conn_open(conn);
        return true;
}

void sp__pool_widen(sp_pool *pool)
{
        if (!pool->closed && pool->opening == 0 && pool->total < pool->limits.max && pool->open_after <= sp__now())
                open_one(pool);
}

/* Callers have none to count on, be it new or being asked whether it stands. Without them, one after the other is enough. */
static bool more_wanted(const sp_pool *pool)
{
        return pool->waiters > pool->opening + pool->asked ||
               (pool->warm && pool->opening == 0 && pool->total < floor_of(pool));
}

void sp__pool_grow(sp_pool *pool)
{
        if (pool->closed || pool->total >= pool->limits.max || !more_wanted(pool))
                return;
        if (pool->open_after > sp__now()) {
                sp__timer_set(pool->engine, &pool->open_timer, pool->open_after);
                return;
        }
        while (more_wanted(pool) && pool->total < pool->limits.max && pool->opening < open_limit(pool)) {
                if (!open_one(pool))
                        return;
        }
}

bool sp__pool_worn(struct sp__conn *conn)
{
        int64_t most = conn->pool->limits.max_uses;

        if (most == 0 || ++conn->uses < most)
                return false;
        conn->retire = true;
        conn->end = SP__END_USES;
        return true;
}

static enum sp__conn_end end_of(const sp_pool *pool, const struct sp__conn *conn, int64_t now)
{
        if (pool->closed)
                return SP__END_CLOSED;
        if (conn->retire)
                return conn->end ? (enum sp__conn_end)conn->end : SP__END_RETIRED;
        if (now >= conn->die_at)
                return SP__END_LIFETIME;
        return pool->total > pool->limits.max ? SP__END_RESIZED : SP__END_NONE;
}

static void begin_end(sp_pool *pool, struct sp__conn *conn, enum sp__conn_end why)
{
        sp__pool_unlist(pool, conn);
        conn->place = SP__CONN_CLOSING;
        conn->end = why;
}

bool sp__pool_rest(sp_pool *pool, struct sp__conn *conn)
{
        int64_t now = sp__now_coarse();
        enum sp__conn_end why = end_of(pool, conn, now);

        if (conn->place == SP__CONN_BUSY) {
                sp__pool_observe(pool);
                pool->busy--;
        }
        conn->alone = false;
        conn->proven_ns = now;
        if (!conn->pinged)
                conn->idle_since = now;
        if (why != SP__END_NONE) {
                begin_end(pool, conn, why);
                return true;
        }
        conn->place = SP__CONN_IDLE;
        /* A ping nobody waited for is no use: those that nobody needs stay at the end. */
        if (conn->pinged && !conn->asked_for)
                sp__list_push(&pool->idle, &conn->idle);
        else
                sp__list_push_front(&pool->idle, &conn->idle);
        conn->pinged = false;
        return false;
}

/* What one look at a connection leads to, when it is not closed. */
struct look {
        int64_t now;
        int64_t asks; /* how many more may be pinged, so that callers find the others */
};

/*
 * An answer that is owed for longer than the server may take, and longer than a connection may take to be made: the peer is
 * gone without a word. So is one whose callers have all given up. The lock is held.
 */
static void look_busy(sp_pool *pool, struct sp__conn *conn, int64_t now)
{
        const struct sp__pool_limits *limits = &pool->limits;
        bool abandoned = false, timed = conn->place == SP__CONN_BUSY && limits->statement_ms > 0;
        int64_t since = conn->asked_at ? 0 : sp__conn_owes(conn, &abandoned);

        if (since == 0)
                return;
        if (now - since > (limits->statement_ms + limits->connect_ms) * SP__MS && (abandoned || timed)) {
                conn->end = SP__END_UNANSWERED;
                sp__conn_break(conn);
        } else if (timed && now - since > (limits->statement_ms + HOUSE_MS) * SP__MS) {
                /* No more statements behind what does not come. */
                conn->retire = true;
                sp__pool_unlist(pool, conn);
        }
}

/* Why the idle connection ends now. The lock is held. */
static enum sp__conn_end look_idle(sp_pool *pool, struct sp__conn *conn, struct look *look)
{
        const struct sp__pool_limits *limits = &pool->limits;
        enum sp__conn_end why = end_of(pool, conn, look->now);

        if (why != SP__END_NONE)
                return why;
        if (pool->total > floor_of(pool) && look->now - conn->idle_since >= limits->idle_ms * SP__MS)
                return SP__END_IDLE;
        if (sp__conn_stirs(conn)) {
                sp__pool_ask(pool, conn, false);
        } else if (look->asks > 0 && limits->keepalive_ms > 0 &&
                   look->now - conn->proven_ns >= limits->keepalive_ms * SP__MS) {
                look->asks--;
                sp__pool_ask(pool, conn, false);
        }
        return SP__END_NONE;
}

/* Marked as closing, for the caller to close without the lock; NULL when there is none to close. The lock is held. */
static struct sp__conn *next_surplus(sp_pool *pool, struct look *look)
{
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                struct sp__conn *conn = pool->slots[i];
                enum sp__conn_end why = SP__END_NONE;

                if (conn->place == SP__CONN_BUSY && look->now >= conn->die_at && !conn->retire) {
                        conn->retire = true;
                        conn->end = SP__END_LIFETIME;
                        sp__pool_unlist(pool, conn);
                }
                if (conn->place == SP__CONN_BUSY || conn->place == SP__CONN_SESSION)
                        look_busy(pool, conn, look->now);
                else if (conn->place == SP__CONN_IDLE)
                        why = look_idle(pool, conn, look);
                if (why == SP__END_NONE)
                        continue;
                begin_end(pool, conn, why);
                return conn;
        }
        return NULL;
}

static void look_around(sp_pool *pool)
{
        struct look look = {sp__now(), 0};
        struct sp__conn *conn;

        sp__lock(&pool->lock);
        look.asks = 1 + pool->total / 4;
        while (!pool->closed && (conn = next_surplus(pool, &look))) {
                sp__unlock(&pool->lock);
                sp__conn_close(conn);
                sp__lock(&pool->lock);
        }
        sp__unlock(&pool->lock);
}

void sp__pool_keep_house(sp_pool *pool)
{
        if (pool->housed)
                return;
        pool->housed = true;
        sp__timer_set(pool->engine, &pool->house_timer, sp__after_ms(sp__now(), HOUSE_MS));
}

void sp__pool_house(struct sp__timer *timer)
{
        sp_pool *pool = SP__OF(timer, sp_pool, house_timer);

        look_around(pool);
        sp__pool_find_leaks(pool);
        sp__lock(&pool->lock);
        pool->housed = false;
        if (!pool->closed && pool->total > 0)
                sp__pool_keep_house(pool);
        sp__unlock(&pool->lock);
}

sp_status sp_pool_resize(sp_pool *pool, int64_t max, sp_error **error)
{
        bool listened;

        SP__NEED(pool, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (max < 1 || max > SP__SLOTS_MAX)
                return sp__fail(error, SP_INVALID, "pool.max of pool \"%s\" cannot be %" PRId64 ": it is 1–%d",
                                pool->name, max, SP__SLOTS_MAX);
        sp__lock(&pool->lock);
        listened = max == 1 && !sp__list_empty(&pool->ear.listeners);
        if (!listened)
                __atomic_store_n(&pool->limits.max, max, __ATOMIC_RELAXED);
        sp__unlock(&pool->lock);
        if (listened)
                return sp__fail(error, SP_INVALID,
                                "pool.max of pool \"%s\" cannot be 1: its listeners have a connection of their own",
                                pool->name);
        look_around(pool);
        sp__pool_dispatch(pool);
        return SP_OK;
}
