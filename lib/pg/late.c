/* SPDX-License-Identifier: MIT */
/* What a caller is told whose time is over: which limit that was, and what really held it up. */
#include "core/error.h"
#include "pg/pool_internal.h"

#include <inttypes.h>

/* The limit that ended it, as the message names it. */
struct limit {
        int64_t ms;
        const char *name;
};

static struct limit limit_of(const struct sp__query *query, bool patience)
{
        const struct sp__pool_limits *limits = &query->pool->limits;
        struct limit own = {limits->acquire_ms, "pool.acquire_timeout"};

        if (patience)
                return own;
        if (query->stmt)
                own = (struct limit){limits->query_ms, "pool.query_timeout"};
        if (query->op.deadline == sp__after_ms(query->born_ns, own.ms))
                return own;
        /* It may have passed before the call. */
        own = (struct limit){(query->op.deadline - query->born_ns) / SP__MS, "the caller's deadline"};
        own.ms = own.ms > 0 ? own.ms : 0;
        return own;
}

/* No connection stands, so it is not pool.max that holds the caller up. It counts as the server's failure. */
static sp_error *unconnected(const sp_pool *pool, struct limit limit)
{
        if (pool->faults > 0 && pool->fault)
                return sp__error_new(SP_TIMEOUT, NULL, "no connection within %" PRId64 " ms (%s): %s", limit.ms,
                                     limit.name, sp_error_message(pool->fault));
        return sp__error_new(SP_TIMEOUT, NULL,
                             "no connection within %" PRId64
                             " ms (%s): PostgreSQL at %s has not answered the connection "
                             "attempt (pool.connect_timeout is %" PRId64 " ms)",
                             limit.ms, limit.name, sp__target_place(&pool->target), pool->limits.connect_ms);
}

/* They are not let rest by their holders: the server owes answers, and has given none while the caller waited. */
static bool stuck(const sp_pool *pool, const struct sp__query *query)
{
        if (pool->heard_ns >= query->born_ns)
                return false;
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                if (pool->slots[i]->load > 0)
                        return true;
        }
        return false;
}

/* That the pool is too small is no failure of the server's, and is told by the code "acquire". */
static sp_error *none_free(const struct sp__query *query, struct limit limit)
{
        const sp_pool *pool = query->pool;
        bool short_of = pool->faults > 0 && pool->fault && pool->total < pool->limits.max;
        bool unanswered = stuck(pool, query);

        if (pool->total <= pool->opening)
                return unconnected(pool, limit);
        return sp__error_new(SP_TIMEOUT, unanswered ? NULL : "acquire",
                             "no connection of pool \"%s\" became free within %" PRId64
                             " ms (%s)%s: pool.max is %" PRId64 ", %" PRId64 " stand, %" PRId64 " callers wait%s%s%s",
                             pool->name, limit.ms, limit.name, unanswered ? ", and none was answered meanwhile" : "",
                             pool->limits.max, pool->total - pool->opening, pool->waiters,
                             query->stmt || pool->limits.max == 1 ? "" : ", one is kept from sessions",
                             short_of ? "; another one could not be opened: " : "",
                             short_of ? sp_error_message(pool->fault) : "");
}

sp_error *sp__query_late(const struct sp__query *query, bool waiting, bool patience)
{
        struct limit limit = limit_of(query, patience);

        sp_error *error;

        if (waiting || !query->stmt)
                return none_free(query, limit);
        error = sp__error_new(SP_TIMEOUT, NULL, "statement \"%s\" was not answered within %" PRId64 " ms (%s)",
                              query->stmt->name, limit.ms, limit.name);
        /* What was sent may have taken effect all the same, or still do. */
        sp__error_set_retryable(error, !query->conn || sp__query_repeatable(query));
        return error;
}
