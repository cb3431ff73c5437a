/* SPDX-License-Identifier: MIT */
/* The life of a statement up to its being sent: admitted, routed (or waiting), ended early. How it is answered: answer.c. */
#include "base/fetch.h"
#include "core/ctx.h"
#include "core/error.h"
#include "core/params.h"
#include "pg/fault.h"
#include "pg/pool_internal.h"
#include "pg/result.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct sp__query *query_of(sp__op *op)
{
        return SP__OF(op, struct sp__query, op);
}

/* But for SP_TIMEOUT, whose error sp__query_late() makes. */
static sp_error *end_error(const struct sp__query *query, sp_status why)
{
        const char *name = query->stmt ? query->stmt->name : "acquire";

        switch (why) {
        case SP_CANCELLED:
                return sp__error_new(why, NULL, "\"%s\" was cancelled by its caller", name);
        case SP_CLOSED:
                return sp__error_new(why, NULL, "pool \"%s\" is closed", query->pool->name);
        case SP_FULL:
                return sp__error_new(why, NULL,
                                     "\"%s\": %" PRId64 " callers wait for a connection already (pool.waiting)", name,
                                     query->pool->limits.waiting);
        default:
                return sp__error_new(why, NULL, "\"%s\": %s", name, sp_status_text(why));
        }
}

/* Its run is over, it was settled: with the second of these the session is let go of, which both of them need. */
enum { PART_RUN = 1, PART_SETTLED = 2 };

static void part(struct sp__query *query, unsigned char what)
{
        sp_session *session = query->session;
        unsigned char before;

        /* What waits for a connection has none. */
        if (!session)
                return;
        before = atomic_fetch_or(&query->parted, what);
        if ((before | what) != (PART_RUN | PART_SETTLED) || before == (PART_RUN | PART_SETTLED))
                return;
        query->session = NULL;
        sp__session_unref(session);
}

static void query_cancel(sp__op *op, sp_status why)
{
        struct sp__query *query = query_of(op);
        sp_pool *pool = query->pool;
        struct sp__batch done;
        struct sp__conn *conn = NULL;
        bool waiting, held, keeps;

        /* First of all: for an operation that another one ends the pool may be gone. */
        if (!sp__op_claim(op))
                return;
        sp__batch_init(&done);
        sp__lock(&pool->lock);
        waiting = query->waiting;
        keeps = query->in_session && sp__session_keeps(query);
        held = query->held && !keeps;
        sp__op_end(op, why, why == SP_TIMEOUT ? sp__query_late(query, waiting, false) : end_error(query, why), &done);
        if (waiting)
                sp__pool_dequeue(pool, query);
        else if (held)
                sp__session_unhold(query);
        else if (sp__cancel_wanted(query))
                conn = query->conn;
        sp__unlock(&pool->lock);
        if (why == SP_TIMEOUT)
                atomic_fetch_add(&pool->counts.timeouts, 1);
        if (conn)
                sp__pool_cancel(conn);
        sp__batch_deliver(&done);
        if (held)
                sp__query_leave_session(query);
        if (waiting || held)
                sp__op_unref(op);
}

void sp__pool_end_waiting(sp_pool *pool, int64_t now, sp_status why)
{
        struct sp__list ended, *link;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__list_init(&ended);
        sp__lock(&pool->lock);
        SP__EACH(&pool->waiting, at, after)
        {
                struct sp__query *query = SP__OF(SP__OF(at, sp__op, link), struct sp__query, op);

                if (query->patience > now) {
                        sp__timer_set(pool->engine, &pool->wait_timer, query->patience);
                        break;
                }
                /* Else it is about to be taken off by the one who ends it. */
                if (!sp__op_claim(&query->op))
                        continue;
                sp__op_end(&query->op, why,
                           why == SP_TIMEOUT ? sp__query_late(query, true, true) : end_error(query, why), &done);
                sp__pool_dequeue(pool, query);
                sp__list_push(&ended, at);
                if (why == SP_TIMEOUT)
                        atomic_fetch_add(&pool->counts.timeouts, 1);
        }
        sp__unlock(&pool->lock);
        sp__batch_deliver(&done);
        while ((link = sp__list_pop(&ended)))
                sp__op_unref(SP__OF(link, sp__op, link));
}

/* Whose thread drives for it, with a reference; NULL: nobody's, or it was settled. The pool's lock is held. */
static sp__op *caller_of(const struct sp__query *query)
{
        return query->op.caller ? sp__op_ref(query->op.caller) : NULL;
}

static void query_settled(sp__op *op)
{
        struct sp__query *query = query_of(op);
        sp_pool *pool = query->pool;
        /* Only here it is changed; others read it under the lock. */
        sp__op *outer = op->caller == op ? NULL : op->caller;

        sp__query_tell(query);
        if (query->stmt && !sp__stmt_reads(query->stmt)) {
                if (op->ctx)
                        sp__ctx_note_write(op->ctx);
                sp__session_note_write(query);
        }
        if (query->deed == SP__DEED_COMMIT || query->deed == SP__DEED_ROLLBACK)
                sp__session_work_over(query->session);
        sp__limit_stop(&query->limit, pool->engine);
        if (outer) {
                sp__lock(&pool->lock);
                op->caller = NULL;
                sp__unlock(&pool->lock);
                sp__op_unref(outer);
        }
        part(query, PART_SETTLED);
        sp__pool_leave(pool);
}

static void query_destroy(sp__op *op)
{
        struct sp__query *query = query_of(op);

        PQclear(query->unit.result);
        PQclear(query->unit.error);
        sp__session_unref(query->session);
        if (!query->watched || !query->over(query->watched, query->ran_ns))
                sp_stmt_unref(query->stmt);
        sp_params_free(query->kept);
        sp__stream_unref(query->stream);
        sp__lead_free(query->lead);
        sp__lead_free(query->unit.lead);
        sp__sets_free(query->unit.sets);
        sp__copy_unref(query->unit.copy);
        free(query);
}

static const struct sp__op_kind kind = {.cancel = query_cancel, .settled = query_settled, .destroy = query_destroy};

static void query_begin(struct sp__task *task)
{
        struct sp__query *query = SP__OF(task, struct sp__query, task);
        sp_session *session = query->session;

        if (session)
                atomic_fetch_add(&session->refs, 1);
        sp__query_start(query);
        if (session) {
                atomic_fetch_sub(&session->posted, 1);
                sp__session_unref(session);
        }
        sp__op_unref(&query->op);
}

struct sp__query *sp__query_new(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                                int64_t deadline_ms)
{
        /* Not calloc(), which passes glibc's per-thread cache by. */
        struct sp__query *query = malloc(sizeof *query);

        if (!query)
                return NULL;
        *query = (struct sp__query){0};
        query->born_ns = sp__now();
        sp__op_init(&query->op, &kind, ctx,
                    stmt ? sp__ctx_limit(ctx, query->born_ns, deadline_ms) : sp__after_ms(query->born_ns, deadline_ms));
        query->pool = pool;
        query->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        query->unit.op = &query->op;
        query->unit.stmt = stmt;
        sp__list_init(&query->unit.link);
        query->task.run = query_begin;
        query->params = params;
        if (ctx && stmt && pool->watcher.ran && !sp__engine_forked(pool->engine)) {
                query->over = pool->watcher.over;
                query->watched = pool->watcher.asked(pool->watcher.arg, ctx, stmt, params);
        }
        return query;
}

/* From now on the parameters are our own. For a blocked caller's: the pool's lock is held and it is pending, so it is there. */
bool sp__query_keep_params(struct sp__query *query)
{
        if (!query->params || query->kept)
                return true;
        query->kept = sp__params_copy(query->params);
        query->params = query->kept;
        return query->kept != NULL;
}

static sp_status check_kind(const struct sp__query *query, sp_error **error)
{
        const sp_stmt *stmt = query->stmt;

        if (!stmt)
                return SP_OK;
        if (stmt->sql.kind == SP__SQL_COPY && query->deed != SP__DEED_COPY)
                return sp__fail(error, SP_UNSUPPORTED, "statement \"%s\" is a COPY: use sp_session_copy()", stmt->name);
        if (stmt->sql.kind == SP__SQL_SESSION && !query->in_session)
                return sp__fail(error, SP_SESSION,
                                "statement \"%s\" depends on session state: run it on a session from sp_pool_acquire()",
                                stmt->name);
        return SP_OK;
}

static sp_status check_params(const struct sp__query *query, sp_error **error)
{
        const sp_params *params = query->params;
        size_t zero = sp__params_zero(params), each = params ? sp__params_set_count(params, 0) : 0;

        if (sp__params_open(params))
                return sp__fail(error, SP_INVALID, "an array among the parameters of statement \"%s\" was not ended",
                                query->stmt->name);
        if (params && !query->unit.sets && sp_params_sets(params) > 1)
                return sp__fail(error, SP_INVALID,
                                "statement \"%s\" is given several sets of parameters: use sp_pool_batch()",
                                query->stmt->name);
        if (zero && query->unit.sets && each)
                return sp__fail(
                    error, SP_INVALID,
                    "set %zu: parameter $%zu of statement \"%s\" is text with a zero byte: send it as bytes",
                    (zero - 1) / each, (zero - 1) % each + 1, query->stmt->name);
        if (zero)
                return sp__fail(error, SP_INVALID,
                                "parameter $%zu of statement \"%s\" is text with a zero byte: send it as bytes", zero,
                                query->stmt->name);
        return SP_OK;
}

sp_status sp__query_admit(struct sp__query *query, bool inside, sp_error **error)
{
        sp_pool *pool = query->pool;
        sp_status status = check_kind(query, error);

        if (status == SP_OK)
                status = check_params(query, error);
        if (status != SP_OK)
                return status;
        status = sp__query_ask(query, error);
        if (status != SP_OK)
                return status;
        status = sp__pool_admit(pool, query->op.ctx, inside, error);
        query->admitted = status == SP_OK;
        if (!query->admitted)
                sp__query_unask(query);
        return status;
}

/* From now on a cancelled context ends it. If that was just cancelled, it ends at once. */
static void enlist(struct sp__query *query)
{
        if (sp__op_enlist(&query->op) != SP_OK)
                query_cancel(&query->op, SP_CANCELLED);
}

void sp__query_fail(struct sp__query *query, sp_status status, sp_error *error)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(&query->op, status, error, &done);
        sp__batch_deliver(&done);
}

static void yield_nothing(struct sp__query *query)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_yield(&query->op, SP__YIELD_NONE, NULL, NULL, &done);
        sp__batch_deliver(&done);
}

/* Where it goes, with a reference for there; false: it waits, or was ended. The pool's lock is held. */
static bool place(struct sp__query *query, struct sp__conn **conn, sp_status *refused)
{
        sp_pool *pool = query->pool;

        if (query->in_session)
                return sp__session_place(query, conn, refused);
        if (sp__route_in_turn(pool, query)) {
                *conn = sp__route(pool, query);
        }
        if (*conn) {
                sp__op_ref(&query->op);
                query->conn = query->stmt ? *conn : NULL;
                query->where = (*conn)->where;
                return true;
        }
        if (pool->closed)
                *refused = SP_CLOSED;
        else if (pool->waiters >= pool->limits.waiting)
                *refused = SP_FULL;
        else if (!sp__query_keep_params(query))
                *refused = SP_NOMEM;
        else
                sp__pool_enqueue(pool, query);
        return false;
}

/* It runs there no longer, or never will. Called by whoever starts or ends it, perhaps before another thread has settled it. */
void sp__query_leave_session(struct sp__query *query)
{
        part(query, PART_RUN);
}

void sp__query_start(struct sp__query *query)
{
        sp_pool *pool = query->pool;
        struct sp__conn *conn = NULL;
        sp_status refused = SP_OK;
        sp__op *caller = NULL;
        bool placed = false, held = false, unneeded = false;
        bool late = query->op.deadline != SP__FOREVER && sp__now_for(query->op.deadline) >= query->op.deadline;

        /* Past its deadline it is not sent. Else whoever minds the time ends it. */
        if (late && query->in_session)
                query_cancel(&query->op, SP_TIMEOUT);
        sp__lock(&pool->lock);
        if (sp__op_pending(&query->op) && !late) {
                caller = caller_of(query);
                sp__op_leave(caller);
                placed = place(query, &conn, &refused);
                held = query->held;
                unneeded = query->unneeded;
        } else if (query->in_session) {
                placed = sp__session_missed(query, &conn);
                held = query->held;
        }
        sp__unlock(&pool->lock);
        if (refused != SP_OK && query->in_session)
                sp__query_fail(query, refused, sp__session_refusal(query, refused));
        else if (refused != SP_OK)
                sp__query_fail(query, refused, end_error(query, refused));
        else if (placed && query->stmt)
                sp__conn_send(conn, &query->unit, query->params, caller);
        else if (placed)
                sp__session_give(query, conn);
        else if (unneeded)
                yield_nothing(query);
        sp__op_unref(caller);
        if (!placed && !held)
                sp__query_leave_session(query);
}

/* There is none for want of memory, or its pool is the parent's, none of whose locks may be taken: it is gone. */
static sp_status refuse(struct sp__query *query, sp_error **error)
{
        if (!query)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (!sp__engine_forked(query->pool->engine))
                return SP_OK;
        sp__op_unref(&query->op);
        return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
}

/* From the engine, so that the caller pays for no system call and the engine's turn coalesces. */
static void post(struct sp__query *query)
{
        if (query->session)
                atomic_fetch_add(&query->session->posted, 1);
        sp__op_ref(&query->op);
        sp__engine_post(query->pool->engine, &query->task);
}

/* At once, on the caller's thread, but behind what its session was given before and the engine has not begun yet. */
static void begin(struct sp__query *query)
{
        if (!query->posts && !(query->in_session && atomic_load(&query->session->posted)))
                sp__query_start(query);
        else if (sp__query_keep_params(query))
                post(query);
        else
                sp__query_fail(query, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
}

sp_status sp__query_submit(struct sp__query *query, sp_queue *queue, uint64_t tag)
{
        sp_status status = refuse(query, NULL);
        sp_error *error = NULL;

        if (status != SP_OK)
                return status;
        status = sp__query_keep_params(query) ? sp__op_to_queue(&query->op, queue, tag) : SP_NOMEM;
        if (status == SP_OK)
                status = sp__query_admit(query, false, &error);
        if (status != SP_OK) {
                sp__op_abandon(&query->op);
                return sp__op_refuse(queue, tag, status, error);
        }
        query->posts = true;
        sp__limit_set(&query->limit, query->pool->engine, &query->op);
        enlist(query);
        post(query);
        sp__op_unref(&query->op);
        return SP_OK;
}

sp_status sp__query_run(struct sp__query *query, void **what, sp_error **error)
{
        sp_status status = refuse(query, error);
        sp_pool *pool;

        if (status != SP_OK)
                return status;
        pool = query->pool;
        status = sp__query_admit(query, true, error);
        if (status != SP_OK) {
                sp__op_abandon(&query->op);
                return status;
        }
        sp__op_to_caller(&query->op);
        enlist(query);
        begin(query);
        sp__op_wait(&query->op);
        /* To be written when the query is let go of; it may have been left on another core. */
        sp__fetch(query->watched);
        status = sp__op_take(&query->op, what, error);
        sp__pool_leave(pool);
        return status;
}

sp_status sp__query_step(struct sp__query *query, int64_t deadline, sp__op *caller, void (*then)(sp__op *op),
                         void *owner, sp_error **error)
{
        sp_status status = refuse(query, error);

        if (status != SP_OK)
                return status;
        status = sp__query_keep_params(query) ? sp__query_admit(query, false, error)
                                              : sp__fail(error, SP_NOMEM, "out of memory");
        if (status != SP_OK) {
                sp__op_unref(&query->op);
                return status;
        }
        query->op.then = then;
        query->op.owner = owner;
        query->op.caller = caller ? sp__op_ref(caller) : NULL;
        if (deadline < query->op.deadline)
                query->op.deadline = deadline;
        sp__limit_set(&query->limit, query->pool->engine, &query->op);
        enlist(query);
        begin(query);
        sp__op_unref(&query->op);
        return SP_OK;
}

sp_status sp__pool_step(sp_pool *pool, sp_ctx *ctx, int64_t deadline, const sp_stmt *stmt, const sp_params *params,
                        sp__op *caller, void (*then)(sp__op *op), void *owner, sp_error **error)
{
        return sp__query_step(sp__query_new(pool, ctx, stmt, params, pool->limits.query_ms), deadline, caller, then,
                              owner, error);
}
