/* SPDX-License-Identifier: MIT */
/* The pool's own life, and that of its connections. */
#include "pg/pool.h"

#include "core/config.h"
#include "core/error.h"
#include "core/params.h"
#include "loop/exit.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MS    50
#define BACKOFF_STEPS 5 /* 50 ms to 1.6 s */

static void limits_read(struct sp__pool_limits *limits, const sp_config *config, const char *name)
{
        const struct {
                const char *name;
                int64_t *to;
        } rows[] = {
            {"max", &limits->max},
            {"min", &limits->min},
            {"lanes", &limits->lanes},
            {"lane_depth", &limits->lane_depth},
            {"waiting", &limits->waiting},
            {"statements", &limits->statements},
            {"statement_age", &limits->statement_age_ms},
            {"reset_functions", &limits->resets},
            {"acquire_timeout", &limits->acquire_ms},
            {"tx_attempts", &limits->tx_attempts},
            {"tx_backoff", &limits->tx_backoff_ms},
            {"connect_timeout", &limits->connect_ms},
            {"query_timeout", &limits->query_ms},
            {"idle_timeout", &limits->idle_ms},
            {"statement_timeout", &limits->statement_ms},
            {"lifetime", &limits->lifetime_ms},
            {"keepalive", &limits->keepalive_ms},
            {"validate_after", &limits->validate_ms},
            {"max_uses", &limits->max_uses},
            {"warn_waiting", &limits->warn_waiting},
            {"leak_after", &limits->leak_ms},
            {"spin_us", &limits->spin_us},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                *rows[i].to = sp__config_int(config, "pool", name, rows[i].name);
}

/* A minimum that was set must be possible; one that is only inherited, or the default, gives way to the pool's own maximum. */
static sp_status limits_check(struct sp__pool_limits *limits, const sp_config *config, const char *name,
                              sp_error **error)
{
        const char *dot = name ? "." : "", *pool = name ? name : "";
        bool meant =
            sp__config_is_set(config, "pool", name, "min") ||
            (sp__config_is_set(config, "pool", NULL, "min") && !sp__config_is_set(config, "pool", name, "max"));

        if (limits->min > limits->max && meant)
                return sp__fail(error, SP_CONFIG,
                                "pool%s%s.min is %" PRId64 ", more than pool%s%s.max, which is %" PRId64
                                ": lower the one or raise the other",
                                dot, pool, limits->min, dot, pool, limits->max);
        if (limits->min > limits->max)
                limits->min = limits->max;
        return SP_OK;
}

static struct sp__query *query_at(struct sp__list *link)
{
        return SP__OF(SP__OF(link, sp__op, link), struct sp__query, op);
}

static void wait_late(struct sp__timer *timer)
{
        sp__pool_end_waiting(SP__OF(timer, sp_pool, wait_timer), sp__now(), SP_TIMEOUT);
}

static void open_again(struct sp__timer *timer)
{
        sp__pool_dispatch(SP__OF(timer, sp_pool, open_timer));
}

static void pool_opened(struct sp__conn *conn)
{
        sp_pool *pool = conn->pool;
        int64_t now = sp__now(), life = pool->limits.lifetime_ms;
        /* Its breaker may have opened meanwhile. */
        bool close, shunned = sp__host_shunned(&pool->target.hosts, sp__hosts_find(&pool->target.hosts, conn->where));

        atomic_fetch_add(&pool->counts.created, 1);
        sp__histogram_record(pool->create_time, now - conn->asked_ns);
        sp__lock(&pool->lock);
        pool->opening--;
        pool->faults = 0;
        pool->open_after = 0;
        conn->load = 0;
        pool->warm = true;
        conn->retire = shunned;
        conn->cancelled = conn->lane = conn->reads = conn->pinged = false;
        conn->uses = conn->doomed = 0;
        conn->end = SP__END_NONE;
        /* Up to a tenth earlier, so that connections made together do not end together. */
        conn->die_at = sp__after_ms(now, life - (int64_t)(0.1 * (double)life * sp__random_unit(&pool->random)));
        close = sp__pool_rest(pool, conn);
        sp__pool_keep_house(pool);
        sp__unlock(&pool->lock);
        if (close)
                sp__conn_close(conn);
        sp__pool_dispatch(pool);
}

/* Whoever waits is told why, unless another connection may still serve them. The lock is held. */
static void note_fault(sp_pool *pool, sp_error *error, sp_status status, struct sp__list *hopeless)
{
        int64_t backoff = BACKOFF_MS << (pool->faults < BACKOFF_STEPS ? pool->faults : BACKOFF_STEPS);

        sp_error_free(pool->fault);
        pool->fault = error;
        pool->fault_status = status;
        pool->faults++;
        /* Within half of it, so that processes which lost the same server do not return in step. */
        pool->open_after =
            sp__now() + (int64_t)((double)(backoff * SP__MS) * (0.5 + 0.5 * sp__random_unit(&pool->random)));
        /* Who may still be given another password waits for it. */
        if (status == SP_AUTH && sp__password_changes(pool->target.secret))
                return;
        while (pool->total == 0 && !sp__list_empty(&pool->waiting)) {
                struct sp__query *query = query_at(pool->waiting.next);

                sp__pool_dequeue(pool, query);
                sp__list_push(hopeless, &query->op.link);
        }
}

static void forget_place(sp_pool *pool, struct sp__conn *conn)
{
        sp__pool_unlist(pool, conn);
        if (conn->place == SP__CONN_BUSY || conn->place == SP__CONN_SESSION) {
                sp__pool_observe(pool);
                pool->busy--;
        }
        if (conn->place == SP__CONN_OPENING)
                pool->opening--;
        if (conn->place == SP__CONN_SESSION)
                pool->sessions--;
        if (conn->session) {
                conn->session->broken = true;
                if (conn->session == pool->ear.session)
                        sp__ear_wake(pool);
                sp__session_wake(conn->session);
        }
        conn->session = NULL;
        conn->place = SP__CONN_EMPTY;
        pool->total--;
}

/* The lock is held. */
static void count_end(sp_pool *pool, const struct sp__conn *conn)
{
        if (conn->place == SP__CONN_OPENING)
                atomic_fetch_add(&pool->counts.refused, 1);
        else
                atomic_fetch_add(&pool->counts.ended[conn->end ? conn->end : SP__END_LOST], 1);
}

static void pool_closed(struct sp__conn *conn, sp_error *error, sp_status status)
{
        sp_pool *pool = conn->pool;
        sp_error *told = sp__error_copy(error); /* the pool's own may be replaced meanwhile */
        struct sp__list hopeless, *link;
        bool was_there;

        sp__list_init(&hopeless);
        sp__lock(&pool->lock);
        was_there = conn->place != SP__CONN_EMPTY;
        if (was_there)
                count_end(pool, conn);
        if (was_there)
                forget_place(pool, conn);
        if (error)
                note_fault(pool, error, status, &hopeless);
        sp__unlock(&pool->lock);
        if (status == SP_AUTH && told)
                sp__password_refused(pool->target.secret, !*sp_error_code(told));
        while ((link = sp__list_pop(&hopeless))) {
                struct sp__query *query = query_at(link);

                sp__query_fail(query, status, sp__error_copy(told));
                sp__op_unref(&query->op);
        }
        sp_error_free(told);
        if (was_there)
                sp__pool_dispatch(pool);
}

const struct sp__conn_owner sp__pool_owner = {
    .ended = sp__query_ended, .opened = pool_opened, .closed = pool_closed, .heard = sp__ear_heard};

static bool parts_new(sp_pool *pool)
{
        static const char probe[] = "SELECT 1";
        static const char room[] = "SELECT current_setting('max_connections')::int"
                                   " - current_setting('superuser_reserved_connections')::int"
                                   " - coalesce(current_setting('reserved_connections', true)::int, 0),"
                                   " (SELECT sum(numbackends) FROM pg_stat_database)";

        pool->wait_time = sp__histogram_new();
        pool->use_time = sp__histogram_new();
        pool->create_time = sp__histogram_new();
        pool->news = sp__watchers_new(&sp__news);
        return pool->name && pool->news && pool->wait_time && pool->use_time && pool->create_time &&
               sp_stmt_new("health", probe, sizeof probe - 1, 0, &pool->probe, NULL) == SP_OK &&
               sp_stmt_new("advice", room, sizeof room - 1, 0, &pool->room, NULL) == SP_OK;
}

static void parts_init(sp_pool *pool, const char *name, const struct sp__pool_watcher *watcher)
{
        pool->name = strdup(name);
        if (watcher)
                pool->watcher = *watcher;
        sp__mutex_init(&pool->lock);
        sp__cond_init(&pool->quiet);
        sp__list_init(&pool->idle);
        sp__list_init(&pool->waiting);
        sp__ear_init(&pool->ear);
        atomic_init(&pool->refs, 1);
        pool->random.state = sp__random_seed();
        pool->open_timer.fire = open_again;
        pool->wait_timer.fire = wait_late;
        pool->house_timer.fire = sp__pool_house;
        pool->ask_timer.fire = sp__pool_ask_late;
        pool->ask_task.run = sp__pool_ask_task;
        pool->crowd_task.run = sp__pool_crowd_task;
}

sp_status sp__pool_new(const sp_config *config, const char *name, struct sp__engine *engine,
                       const struct sp__pool_watcher *watcher, sp_pool **out, sp_error **error)
{
        return sp__pool_new_as(config, name, NULL, engine, watcher, out, error);
}

/* The client's, or one of its own; either lives as long as the pool's memory. */
static sp_status engine_of(sp_pool *pool, struct sp__engine *given, sp_error **error)
{
        struct sp__engine *engine = given;
        sp_status status = given ? SP_OK : sp__engine_new(&engine, error);

        if (status != SP_OK)
                return status;
        pool->owns_engine = !given;
        pool->engine = sp__engine_ref(engine);
        sp__engine_spin(engine, pool->limits.spin_us * SP__US);
        return SP_OK;
}

sp_status sp__pool_new_as(const sp_config *config, const char *name, const char *replica, struct sp__engine *engine,
                          const struct sp__pool_watcher *watcher, sp_pool **out, sp_error **error)
{
        sp_pool *pool = calloc(1, sizeof *pool);
        sp_status status;

        if (!pool)
                return sp__fail(error, SP_NOMEM, "out of memory");
        limits_read(&pool->limits, config, name);
        parts_init(pool, replica ? replica : name ? name : "default", watcher);
        pool->is_replica = replica != NULL;
        status = limits_check(&pool->limits, config, name, error);
        if (status == SP_OK)
                status = sp__target_new(config, name, &pool->target, error);
        /* Then it is not known how long a statement may take. */
        if (pool->target.limits)
                pool->limits.statement_ms = 0;
        if (status == SP_OK && !parts_new(pool))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                status = sp__pool_guard(pool, config, name, error);
        if (status == SP_OK)
                status = engine_of(pool, engine, error);
        if (status == SP_OK && !replica)
                status = sp__replicas_new(pool, config, name, watcher, &pool->replicas, error);
        if (status != SP_OK) {
                if (pool->owns_engine)
                        sp__engine_free(pool->engine);
                sp__pool_destroy(pool);
                return status;
        }
        *out = pool;
        return SP_OK;
}

sp_status sp_pool_new(const sp_config *config, const char *name, sp_pool **out, sp_error **error)
{
        SP__NEED(out, error);
        return sp__pool_new(config, name, NULL, NULL, out, error);
}

void sp_pool_close(sp_pool *pool)
{
        if (!pool || sp__engine_forked(pool->engine))
                return;
        sp__lock(&pool->lock);
        pool->closed = true;
        sp__unlock(&pool->lock);
        sp__replicas_close(pool->replicas);
        sp__pool_end_waiting(pool, SP__FOREVER, SP_CLOSED);
        sp__ear_close(pool);
        sp__watchers_end(pool->news);
}

/* Set in `pending` while somebody waits for its end: then it is counted down under the lock, for the pool may be freed after. */
#define DRAINED ((int64_t)1 << 62)

void sp__pool_enter(sp_pool *pool)
{
        atomic_fetch_add(&pool->pending, 1);
}

void sp__pool_leave(sp_pool *pool)
{
        int64_t pending = atomic_load(&pool->pending);

        while (!(pending & DRAINED)) {
                if (atomic_compare_exchange_weak(&pool->pending, &pending, pending - 1))
                        return;
        }
        sp__lock(&pool->lock);
        if (atomic_fetch_sub(&pool->pending, 1) == (DRAINED | 1))
                pthread_cond_broadcast(&pool->quiet);
        sp__unlock(&pool->lock);
}

sp_status sp__pool_admit(sp_pool *pool, const sp_ctx *ctx, bool inside, sp_error **error)
{
        if (ctx && sp_ctx_cancelled(ctx))
                return sp__fail(error, SP_CANCELLED, "the caller's context was cancelled");
        /* Counted first: who closes the pool and then waits either waits for this one, or was seen here. */
        atomic_fetch_add(&pool->pending, 1 + inside);
        if (!pool->closed)
                return SP_OK;
        sp__pool_leave(pool);
        if (inside)
                sp__pool_leave(pool);
        return sp__fail(error, SP_CLOSED, "pool \"%s\" is closed", pool->name);
}

sp_status sp_pool_drain(sp_pool *pool, int64_t timeout_ms)
{
        int64_t deadline = sp__after_ms(sp__now(), timeout_ms);
        bool quiet;

        SP__NEED(pool, NULL);
        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        sp__lock(&pool->lock);
        pool->drains++;
        atomic_fetch_or(&pool->pending, DRAINED);
        while (atomic_load(&pool->pending) != DRAINED && sp__cond_wait(&pool->quiet, &pool->lock, deadline)) {
                /* Woken, or woken early: look again. */
        }
        quiet = atomic_load(&pool->pending) == DRAINED;
        if (--pool->drains == 0)
                atomic_fetch_and(&pool->pending, ~DRAINED);
        sp__unlock(&pool->lock);
        return quiet ? SP_OK : SP_TIMEOUT;
}

void sp__pool_shut(sp_pool *pool)
{
        sp_pool_close(pool);
        /* Every operation has a deadline. */
        sp_pool_drain(pool, -1);
        sp__timer_stop(pool->engine, &pool->open_timer);
        sp__timer_stop(pool->engine, &pool->wait_timer);
        sp__timer_stop(pool->engine, &pool->ear.timer);
        sp__timer_stop(pool->engine, &pool->house_timer);
        sp__timer_stop(pool->engine, &pool->ask_timer);
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++)
                sp__conn_bar(pool->slots[i]);
        sp__password_close(pool->target.secret);
        sp__replicas_shut(pool->replicas);
}

void sp__pool_destroy(sp_pool *pool)
{
        sp__replicas_destroy(pool->replicas);
        pool->replicas = NULL;
        sp__pool_unref(pool);
}

sp_pool *sp__pool_ref(sp_pool *pool)
{
        atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
        return pool;
}

void sp__pool_unref(sp_pool *pool)
{
        if (atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                sp__conn_destroy(pool->slots[i]);
                free(pool->slots[i]->spare);
                free(pool->slots[i]);
        }
        sp_error_free(pool->fault);
        sp__watchers_unref(pool->news);
        sp_stmt_unref(pool->probe);
        sp_stmt_unref(pool->room);
        sp__histogram_free(pool->wait_time);
        sp__histogram_free(pool->use_time);
        sp__histogram_free(pool->create_time);
        sp__target_free(&pool->target);
        sp__cond_destroy(&pool->quiet);
        sp__mutex_destroy(&pool->lock);
        sp__engine_unref(pool->engine);
        free(pool->name);
        free(pool);
}

void sp__pool_drop(sp_pool *pool)
{
        if (sp__exit_begun())
                return;
        sp__replicas_drop(pool->replicas);
        for (size_t i = 0; i < SP__SLOTS_MAX && pool->slots[i]; i++) {
                close(pool->slots[i]->port.wake);
                if (pool->slots[i]->port.fd >= 0)
                        close(pool->slots[i]->port.fd);
        }
}

void sp_pool_free(sp_pool *pool)
{
        if (!pool)
                return;
        if (sp__engine_forked(pool->engine)) {
                sp__pool_drop(pool);
                sp__engine_free(pool->engine);
                return;
        }
        sp__pool_shut(pool);
        sp__engine_free(pool->engine);
        sp__pool_destroy(pool);
}

/* NULL: it is the primary's. */
static sp_pool *replica_for(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt)
{
        if (!pool->replicas || sp__engine_forked(pool->engine) || !sp__stmt_reads(stmt))
                return NULL;
        return sp__replicas_choose(pool->replicas, ctx);
}

sp_status sp_pool_query(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_result **out,
                        sp_error **error)
{
        sp_status status;
        sp_pool *replica;
        void *result;

        SP__NEED(pool, error);
        SP__NEED(stmt, error);
        SP__NEED(out, error);
        replica = replica_for(pool, ctx, stmt);
        if (replica)
                return sp__read_run(pool, replica, ctx, stmt, params, out, error);
        status = sp__query_run(sp__query_new(pool, ctx, stmt, params, pool->limits.query_ms), &result, error);
        if (status == SP_OK)
                *out = result;
        return status;
}

sp_status sp_pool_query_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, sp_queue *queue,
                              uint64_t tag)
{
        sp_pool *replica;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        SP__NEED_FOR(queue, tag, stmt);
        replica = replica_for(pool, ctx, stmt);
        if (replica)
                return sp__read_submit(pool, replica, ctx, stmt, params, queue, tag);
        return sp__query_submit(sp__query_new(pool, ctx, stmt, params, pool->limits.query_ms), queue, tag);
}
