/* SPDX-License-Identifier: MIT */
/* COPY as its callers see it. How the connection does it: copy_io.c. */
#include "pg/copy.h"

#include "core/ctx.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

void sp__copy_unref(sp_copy *copy)
{
        if (!copy || atomic_fetch_sub(&copy->refs, 1) != 1)
                return;
        sp__session_unref(copy->session);
        sp_stmt_unref(copy->stmt);
        PQclear(copy->error);
        free(copy);
}

/* The beginning: a statement of the session's. */
static struct sp__query *query_of(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt)
{
        sp_copy *copy = calloc(1, sizeof *copy);
        struct sp__query *query = copy ? sp__session_statement(session, ctx, stmt, NULL) : NULL;

        if (!query) {
                free(copy);
                return NULL;
        }
        atomic_init(&copy->refs, 1);
        atomic_fetch_add(&session->refs, 1);
        copy->session = session;
        copy->pool = session->pool;
        copy->conn = session->conn;
        copy->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        query->deed = SP__DEED_COPY;
        query->unit.copy = copy;
        return query;
}

static sp_status check(const sp_stmt *stmt, sp_error **error)
{
        if (stmt->sql.kind == SP__SQL_COPY)
                return SP_OK;
        return sp__fail(error, SP_INVALID, "statement \"%s\" is not a COPY", stmt->name);
}

sp_status sp_session_copy(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, sp_copy **out, sp_error **error)
{
        sp_status status;
        void *copy;

        SP__NEED(session, error);
        SP__NEED(stmt, error);
        SP__NEED(out, error);
        if (sp__engine_forked(session->pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = check(stmt, error);
        if (status == SP_OK)
                status = sp__query_run(query_of(session, ctx, stmt), &copy, error);
        if (status == SP_OK)
                *out = copy;
        return status;
}

sp_status sp_session_copy_async(sp_session *session, sp_ctx *ctx, const sp_stmt *stmt, sp_queue *queue, uint64_t tag)
{
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        SP__NEED_FOR(queue, tag, stmt);
        if (sp__engine_forked(session->pool->engine))
                return SP_FORKED;
        status = check(stmt, &error);
        return status == SP_OK ? sp__query_submit(query_of(session, ctx, stmt), queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}

void sp__copy_fail(struct sp__copying *copying, struct sp__batch *done)
{
        sp_copy *copy = copying->copy;
        sp_status status = SP_LOST;
        sp_error *error =
            copy->error && !sp__fault_fatal(copy->error)
                ? sp__fault_of_result(copy->error, copy->stmt, &status)
                : sp__error_new(
                      SP_LOST, sp__fault_code(copy->error),
                      "the connection to PostgreSQL at %s was lost during COPY \"%s\": its outcome is unknown",
                      sp__target_place(&copy->pool->target), copy->stmt->name);

        sp__op_fail(&copying->op, status, error, done);
}

void sp__copy_tell(struct sp__conn *conn, sp_copy *left, struct sp__copying *orphan)
{
        sp_pool *pool = conn->pool;
        struct sp__batch done;

        sp__batch_init(&done);
        if (left) {
                sp__lock(&pool->lock);
                left->session->copy = NULL;
                sp__session_wake(left->session);
                sp__unlock(&pool->lock);
        }
        if (orphan) {
                sp__copy_fail(orphan, &done);
                sp__batch_deliver(&done);
                sp__op_unref(&orphan->op);
        }
        sp__copy_unref(left);
}

static struct sp__copying *copying_of(sp__op *op)
{
        return SP__OF(op, struct sp__copying, op);
}

/* What of it the server has nobody knows: the connection is closed. */
static void copying_cancel(sp__op *op, sp_status why)
{
        struct sp__copying *copying = copying_of(op);
        struct sp__conn *conn = copying->copy->conn;
        struct sp__batch done;
        sp_error *error;
        bool mine;

        if (!sp__op_claim(op))
                return;
        sp__batch_init(&done);
        sp__lock(&conn->port.lock);
        mine = conn->copy == copying->copy && copying->copy->op == copying;
        if (mine) {
                copying->copy->op = NULL;
                copying->copy->failed = copying->copy->told = true;
                sp__copy_kill(conn);
        }
        error = sp__error_new(why, NULL, "COPY \"%s\": %s", copying->copy->stmt->name,
                              why == SP_TIMEOUT ? "no progress before the deadline" : sp_status_text(why));
        /* A COPY that was left cannot be gone on with, and its end may have taken effect. */
        sp__error_set_retryable(error, false);
        sp__op_end(op, why, error, &done);
        sp__unlock(&conn->port.lock);
        sp__batch_deliver(&done);
        if (mine)
                sp__op_unref(op);
}

static void copying_settled(sp__op *op)
{
        struct sp__copying *copying = copying_of(op);
        sp_pool *pool = copying->copy->pool;

        /* Where it is no part of a transaction it takes effect here, not when it began. */
        if (op->ctx && copying->verb == SP__COPY_END)
                sp__ctx_note_write(op->ctx);
        sp__limit_stop(&copying->limit, pool->engine);
        sp__pool_leave(pool);
}

static void copying_destroy(sp__op *op)
{
        struct sp__copying *copying = copying_of(op);

        sp__copy_unref(copying->copy);
        free(copying->kept);
        free(copying);
}

static const struct sp__op_kind kind = {
    .cancel = copying_cancel, .settled = copying_settled, .destroy = copying_destroy};

static struct sp__copying *copying_new(sp_copy *copy, sp_ctx *ctx, enum sp__copy_verb verb, const void *data,
                                       size_t len)
{
        struct sp__copying *copying = calloc(1, sizeof *copying);

        if (!copying)
                return NULL;
        sp__op_init(&copying->op, &kind, ctx, sp__ctx_limit(ctx, sp__now(), copy->pool->limits.query_ms));
        atomic_fetch_add(&copy->refs, 1);
        copying->copy = copy;
        copying->verb = verb;
        copying->data = data;
        copying->len = len;
        return copying;
}

static bool keep(struct sp__copying *copying)
{
        if (copying->len == 0)
                return true;
        copying->kept = malloc(copying->len);
        if (!copying->kept)
                return false;
        memcpy(copying->kept, copying->data, copying->len);
        copying->data = copying->kept;
        return true;
}

/* What may be done in its state; NULL: this may. The port's lock is held. */
static const char *unfit(const struct sp__copying *copying)
{
        const sp_copy *copy = copying->copy;

        if (copy->op)
                return "another operation is under way";
        /* It may have failed behind the last rows, when nobody asked: who asks next is told. */
        if (copy->failed)
                return copy->told ? "it has ended with an error" : NULL;
        switch (copying->verb) {
        case SP__COPY_WRITE:
                return copy->state == SP__COPY_IN ? NULL : "it does not take data";
        case SP__COPY_READ:
                return copy->state == SP__COPY_IN ? "it does not yield data" : NULL;
        default:
                return copy->state == SP__COPY_OUT ? "rows are left: read them, or free it" : NULL;
        }
}

/* After the end: how it failed; or nothing more to read, and the rows are known. */
static void settle(struct sp__copying *copying, struct sp__batch *done)
{
        char text[24];
        int len = snprintf(text, sizeof text, "%lld", (long long)copying->copy->rows);
        sp_value *value;

        if (copying->copy->failed) {
                copying->copy->told = true;
                sp__copy_fail(copying, done);
                return;
        }
        value = copying->verb == SP__COPY_END ? sp_value_new(text, (size_t)len, SP_CODEC_JSON) : NULL;
        sp__op_yield(&copying->op, value ? SP__YIELD_VALUE : SP__YIELD_NONE, value, (void (*)(void *))sp_value_unref,
                     done);
}

static void launch(struct sp__copying *copying, struct sp__batch *done)
{
        sp_copy *copy = copying->copy;
        struct sp__conn *conn = copy->conn;

        copy->op = copying;
        sp__op_ref(&copying->op);
        sp__port_enter(&conn->port, copying->op.caller, true);
        if (copying->verb == SP__COPY_END && copy->state == SP__COPY_IN) {
                copy->state = SP__COPY_ENDING;
                if (PQputCopyEnd(conn->pg, NULL) != 1)
                        sp__copy_kill(conn);
        }
        /* What came while nobody wanted it is in the socket. */
        sp__port_want(&conn->port, EPOLLIN);
        sp__copy_advance(conn, done);
}

static void begin(struct sp__copying *copying)
{
        sp_copy *copy = copying->copy;
        struct sp__conn *conn = copy->conn;
        struct sp__batch done;
        const char *why;

        if (sp__op_enlist(&copying->op) != SP_OK)
                copying_cancel(&copying->op, SP_CANCELLED);
        sp__batch_init(&done);
        sp__lock(&conn->port.lock);
        why = unfit(copying);
        if (why)
                sp__op_fail(&copying->op, SP_INVALID,
                            sp__error_new(SP_INVALID, NULL, "COPY \"%s\": %s", copy->stmt->name, why), &done);
        else if (conn->copy != copy)
                settle(copying, &done);
        else if (sp__op_pending(&copying->op))
                launch(copying, &done);
        sp__unlock(&conn->port.lock);
        sp__conn_after(conn);
        sp__batch_deliver(&done);
}

static sp_status run(sp_copy *copy, sp_ctx *ctx, enum sp__copy_verb verb, const void *data, size_t len, sp_value **out,
                     sp_error **error)
{
        sp_pool *pool = copy->pool;
        struct sp__copying *copying;
        sp_status status;
        void *value;

        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        copying = copying_new(copy, ctx, verb, data, len);
        if (!copying)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__pool_admit(pool, ctx, true, error);
        if (status != SP_OK) {
                sp__op_abandon(&copying->op);
                return status;
        }
        sp__op_to_caller(&copying->op);
        begin(copying);
        sp__op_wait(&copying->op);
        status = sp__op_take(&copying->op, &value, error);
        sp__pool_leave(pool);
        if (status == SP_OK)
                *out = value;
        return status;
}

static sp_status submit(sp_copy *copy, sp_ctx *ctx, enum sp__copy_verb verb, const void *data, size_t len,
                        sp_queue *queue, uint64_t tag)
{
        struct sp__copying *copying;
        sp_status status;

        if (sp__engine_forked(copy->pool->engine))
                return SP_FORKED;
        copying = copying_new(copy, ctx, verb, data, len);
        if (!copying)
                return SP_NOMEM;
        status = keep(copying) ? sp__op_to_queue(&copying->op, queue, tag) : SP_NOMEM;
        if (status == SP_OK)
                status = sp__pool_admit(copy->pool, ctx, false, NULL);
        if (status != SP_OK) {
                sp__op_abandon(&copying->op);
                return status;
        }
        sp__limit_set(&copying->limit, copy->pool->engine, &copying->op);
        begin(copying);
        sp__op_unref(&copying->op);
        return SP_OK;
}

sp_status sp_copy_write(sp_copy *copy, sp_ctx *ctx, const void *data, size_t len, sp_error **error)
{
        sp_value *nothing;

        SP__NEED(copy, error);
        SP__NEED(data || len == 0, error);
        return run(copy, ctx, SP__COPY_WRITE, data, len, &nothing, error);
}

sp_status sp_copy_write_async(sp_copy *copy, sp_ctx *ctx, const void *data, size_t len, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, copy);
        SP__NEED_FOR(queue, tag, data || len == 0);
        return submit(copy, ctx, SP__COPY_WRITE, data, len, queue, tag);
}

sp_status sp_copy_read(sp_copy *copy, sp_ctx *ctx, sp_value **out, sp_error **error)
{
        SP__NEED(copy, error);
        SP__NEED(out, error);
        return run(copy, ctx, SP__COPY_READ, NULL, 0, out, error);
}

sp_status sp_copy_read_async(sp_copy *copy, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, copy);
        return submit(copy, ctx, SP__COPY_READ, NULL, 0, queue, tag);
}

sp_status sp_copy_end(sp_copy *copy, sp_ctx *ctx, int64_t *rows, sp_error **error)
{
        sp_value *value = NULL;
        sp_status status;
        size_t len;

        SP__NEED(copy, error);
        status = run(copy, ctx, SP__COPY_END, NULL, 0, &value, error);
        if (status == SP_OK && rows)
                *rows = value ? strtoll(sp_value_data(value, &len), NULL, 10) : 0;
        if (status == SP_OK)
                sp_value_unref(value);
        return status;
}

sp_status sp_copy_end_async(sp_copy *copy, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, copy);
        return submit(copy, ctx, SP__COPY_END, NULL, 0, queue, tag);
}

void sp_copy_free(sp_copy *copy)
{
        struct sp__conn *conn = copy ? copy->conn : NULL;

        if (!copy || sp__engine_forked(copy->pool->engine))
                return;
        sp__lock(&copy->pool->lock);
        if (copy->session->copy == copy)
                copy->session->copy_left = true;
        sp__unlock(&copy->pool->lock);
        sp__lock(&conn->port.lock);
        if (conn->copy == copy)
                sp__copy_abort(conn);
        sp__unlock(&conn->port.lock);
        sp__conn_after(conn);
        sp__copy_unref(copy);
}
