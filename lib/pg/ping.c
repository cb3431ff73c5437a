/* SPDX-License-Identifier: MIT */
/*
 * Whether a connection that was silent still stands. The server's goodbye shows on the socket (conn.c); a firewall that
 * forgot the connection, or a host that is gone, shows only when something is asked. So a silent connection is pinged before a
 * caller gets it, who waits for the answer as for a new connection. When it is late, nobody counts on it any more, and all
 * others that were heard of before are in doubt, too; when it is very late, it is given up.
 */
#include "pg/pool_internal.h"

#include <stdlib.h>

enum { LATE_MS = 200 };

/* The server answers an empty statement without planning one. */
static const char ping_text[] = "";

/* Before callers who wait for it lose their patience. */
static int64_t dead_ms(const sp_pool *pool)
{
        int64_t half = pool->limits.acquire_ms / 2;

        half = half < pool->limits.connect_ms ? half : pool->limits.connect_ms;
        return half > LATE_MS ? half : LATE_MS;
}

static void post(sp_pool *pool)
{
        if (pool->asking)
                return;
        pool->asking = true;
        sp__engine_post(pool->engine, &pool->ask_task);
}

void sp__pool_ask(sp_pool *pool, struct sp__conn *conn, bool caller)
{
        int64_t now = sp__now();

        sp__pool_observe(pool);
        pool->busy++;
        sp__list_remove(&conn->idle);
        conn->place = SP__CONN_BUSY;
        conn->alone = true;
        conn->load++;
        conn->ask = true;
        conn->asked_at = now;
        conn->asked_late = false;
        conn->asked_for = caller;
        if (pool->asked++ == 0)
                sp__timer_set(pool->engine, &pool->ask_timer, sp__after_ms(now, LATE_MS));
        atomic_fetch_add(&pool->counts.pings, 1);
        post(pool);
}

static bool doubtful(const sp_pool *pool, const struct sp__conn *conn)
{
        int64_t patience = pool->limits.validate_ms * SP__MS;

        return conn->proven_ns < pool->doubt_before || (patience > 0 && sp__now_coarse() - conn->proven_ns >= patience);
}

bool sp__pool_trusts(sp_pool *pool, struct sp__conn *conn)
{
        if (pool->closed || !doubtful(pool, conn))
                return true;
        /* One for each that waits, and for the one who is about to. */
        if (pool->asked <= pool->waiters)
                sp__pool_ask(pool, conn, true);
        return false;
}

static struct sp__conn *next_to_ask(sp_pool *pool)
{
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                if (!pool->slots[i]->ask)
                        continue;
                pool->slots[i]->ask = false;
                return pool->slots[i];
        }
        pool->asking = false;
        return NULL;
}

/* No longer counted on. The lock is held. */
static void settle(struct sp__conn *conn)
{
        if (conn->asked_at && !conn->asked_late)
                conn->pool->asked--;
        conn->asked_late = true;
}

static void send_ping(struct sp__conn *conn)
{
        struct sp__unit *unit = calloc(1, sizeof *unit);

        if (unit) {
                unit->text = ping_text;
                unit->neutral = true;
                sp__conn_send(conn, unit, NULL, NULL);
                return;
        }
        sp__lock(&conn->pool->lock);
        settle(conn);
        conn->asked_at = 0;
        conn->load--;
        conn->retire = true;
        sp__unlock(&conn->pool->lock);
        sp__pool_account(conn);
}

void sp__pool_ask_task(struct sp__task *task)
{
        sp_pool *pool = SP__OF(task, sp_pool, ask_task);
        struct sp__conn *conn;

        do {
                sp__lock(&pool->lock);
                conn = next_to_ask(pool);
                sp__unlock(&pool->lock);
                if (conn)
                        send_ping(conn);
        } while (conn);
}

bool sp__pool_asked(struct sp__conn *conn, struct sp__unit *unit)
{
        bool answered = unit->done_ns && !unit->error;

        if (unit->text != ping_text)
                return false;
        sp__lock(&conn->pool->lock);
        settle(conn);
        conn->asked_at = 0;
        conn->pinged = true;
        conn->retire |= !answered;
        sp__unlock(&conn->pool->lock);
        PQclear(unit->result);
        PQclear(unit->error);
        free(unit);
        return true;
}

static void doubt_all(sp_pool *pool, int64_t before)
{
        if (before <= pool->doubt_before)
                return;
        pool->doubt_before = before;
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                if (pool->slots[i]->place == SP__CONN_IDLE && doubtful(pool, pool->slots[i]))
                        sp__pool_ask(pool, pool->slots[i], false);
        }
}

/* The lock is held. */
static void judge(sp_pool *pool, struct sp__conn *conn, int64_t now)
{
        if (!conn->asked_late && now >= sp__after_ms(conn->asked_at, LATE_MS)) {
                settle(conn);
                doubt_all(pool, conn->asked_at);
        }
        if (now < sp__after_ms(conn->asked_at, dead_ms(pool)))
                return;
        conn->end = SP__END_UNANSWERED;
        sp__conn_break(conn);
}

/* When to look again; SP__FOREVER: nothing is to be expected. The lock is held. */
static int64_t next_look(const sp_pool *pool, int64_t now)
{
        int64_t next = SP__FOREVER;

        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                const struct sp__conn *conn = pool->slots[i];
                int64_t at = sp__after_ms(conn->asked_at, conn->asked_late ? dead_ms(pool) : LATE_MS);

                if (conn->asked_at && at > now && at < next)
                        next = at;
        }
        return next;
}

void sp__pool_ask_late(struct sp__timer *timer)
{
        sp_pool *pool = SP__OF(timer, sp_pool, ask_timer);
        int64_t now = sp__now(), next;

        sp__lock(&pool->lock);
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                if (pool->slots[i]->asked_at)
                        judge(pool, pool->slots[i], now);
        }
        next = next_look(pool, now);
        if (next < SP__FOREVER && !pool->closed)
                sp__timer_set(pool->engine, timer, next);
        sp__unlock(&pool->lock);
        /* Those who counted on what is late get new ones. */
        sp__pool_dispatch(pool);
}
