/* SPDX-License-Identifier: MIT */
/*
 * A server that is not any more what the pool wants: a primary that became a standby, or was told to refuse writes, behind
 * connections that still stand. They are given up, so that the next ones find whoever took over.
 */
#include "pg/conn_io.h"
#include "pg/pool_internal.h"

#include <string.h>

/* A pool that will do with any server is sent to look for another one no more often. */
#define SWEEP_NS SP__SECOND

static bool wants(const struct sp__target *target, const char *what)
{
        return target->wants && strcmp(target->wants, what) == 0;
}

bool sp__target_writes(const struct sp__target *target)
{
        return wants(target, "read-write") || wants(target, "primary");
}

bool sp__conn_unfit(const struct sp__conn *conn)
{
        /* Reported since PostgreSQL 14. */
        const char *standby = PQparameterStatus(conn->pg, "in_hot_standby");

        if (!standby)
                return false;
        return strcmp(standby, "on") == 0 ? sp__target_writes(conn->target) : wants(conn->target, "standby");
}

/* Nobody is given it any more: those at rest are closed by the house, which is called, others once they rest. */
static void give_up(sp_pool *pool, struct sp__conn *conn)
{
        if (conn->place != SP__CONN_IDLE && conn->place != SP__CONN_BUSY && conn->place != SP__CONN_SESSION)
                return;
        conn->retire = true;
        if (conn->place != SP__CONN_SESSION)
                sp__pool_unlist(pool, conn);
}

void sp__pool_give_up(sp_pool *pool, const char *place)
{
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                if (pool->slots[i]->where == place)
                        give_up(pool, pool->slots[i]);
        }
        if (pool->closed)
                return;
        pool->housed = true;
        sp__timer_set(pool->engine, &pool->house_timer, sp__now());
}

/* A transaction may be read-only because its session said so; the server says what it is by itself. */
static bool refuses(struct sp__conn *conn)
{
        static const char *const names[] = {"in_hot_standby", "default_transaction_read_only"};
        bool found = false;

        sp__lock(&conn->port.lock);
        for (size_t i = 0; conn->ready && i < sizeof names / sizeof *names; i++) {
                const char *value = PQparameterStatus(conn->pg, names[i]);

                found |= value && strcmp(value, "on") == 0;
        }
        sp__unlock(&conn->port.lock);
        return found;
}

bool sp__pool_demoted(struct sp__conn *conn, bool in_session)
{
        sp_pool *pool = conn->pool;
        bool writes = sp__target_writes(&pool->target);
        int64_t now = sp__now_coarse();

        if (in_session && !refuses(conn))
                return false;
        sp__lock(&pool->lock);
        if (writes || now - pool->swept_ns >= SWEEP_NS) {
                pool->swept_ns = now;
                sp__pool_give_up(pool, conn->where);
        }
        sp__unlock(&pool->lock);
        return writes && !in_session;
}

void sp__pool_check_fit(struct sp__conn *conn)
{
        if (atomic_load_explicit(&conn->unfit, memory_order_relaxed) ||
            atomic_load_explicit(&conn->muddled, memory_order_relaxed))
                give_up(conn->pool, conn);
}
