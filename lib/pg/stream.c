/* SPDX-License-Identifier: MIT */
/*
 * Row streams: a cursor in a read-only transaction on a session of its own. BEGIN, DECLARE and the first FETCH go in one Sync
 * group. From the second page on one is fetched while the caller has the one before; no more than that. The session goes back
 * with the last page.
 */
#include "base/buf.h"
#include "core/ctx.h"
#include "core/error.h"
#include "core/params.h"
#include "loop/limit.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, FETCH_LEN = 64 };

struct sp_stream {
        atomic_uint refs; /* the holder's, and one for each query and operation */
        sp_pool *pool;    /* a reference */
        sp_stmt *fetch;
        uint32_t page;
        bool obscure;          /* it may leave something in its session */
        struct sp__lead *lead; /* until there is a session; the pool's lock */

        sp__mutex lock;      /* a leaf; guards what follows */
        sp_session *session; /* NULL: it went back */
        bool ended, failed;
        bool busy;               /* somebody asked for a page and was not told */
        sp__op *waits;           /* … and is in this list, with a reference */
        bool asked;              /* a page is on its way, or whoever said so sees to it */
        struct sp__query *ahead; /* … with a reference */
        int64_t span;            /* how long a page may take: as long as the last call allowed */
        bool there;              /* it came, and nobody has asked for it yet */
        sp_status status;
        sp_error *error;
        sp_result *result; /* NULL: there are no rows any more */
};

/* Somebody wants a page. */
struct paging {
        sp__op op;
        sp_stream *stream;      /* a reference */
        struct sp__limit limit; /* of an asynchronous one */
        int64_t span;           /* how long it may take */
};

static void give_back(sp_stream *stream)
{
        sp_session *session;

        sp__lock(&stream->lock);
        session = stream->session;
        stream->session = NULL;
        sp__unlock(&stream->lock);
        sp_session_release(session);
}

static sp_stream *stream_ref(sp_stream *stream)
{
        atomic_fetch_add(&stream->refs, 1);
        return stream;
}

void sp__stream_unref(sp_stream *stream)
{
        if (!stream || atomic_fetch_sub(&stream->refs, 1) != 1)
                return;
        sp_result_free(stream->result);
        sp_error_free(stream->error);
        sp_stmt_unref(stream->fetch);
        sp__lead_free(stream->lead);
        sp__pool_unref(stream->pool);
        sp__mutex_destroy(&stream->lock);
        free(stream);
}

void sp_stream_free(sp_stream *stream)
{
        if (!stream)
                return;
        give_back(stream);
        sp__stream_unref(stream);
}

void sp__stream_open(sp_stream *stream, sp_session *session)
{
        session->lead = stream->lead;
        session->obscure = stream->obscure;
        stream->lead = NULL;
        stream->session = session;
}

bool sp__stream_page(sp_stream *stream, const PGresult *res)
{
        int rows = PQntuples(res);

        if ((uint32_t)rows < stream->page) {
                sp__lock(&stream->lock);
                stream->ended = true;
                sp__unlock(&stream->lock);
                give_back(stream);
        }
        return rows > 0;
}

static bool reads(const sp_stmt *stmt)
{
        return (stmt->sql.kind == SP__SQL_READ || stmt->flags & SP_STMT_READ) && !(stmt->flags & SP_STMT_WRITE);
}

/* What a cursor may be of; a text that was not looked into is the server's to judge. */
static bool queries(const sp_stmt *stmt)
{
        static const char *const words[] = {"SELECT", "VALUES", "TABLE", "WITH", "(", "?"};

        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
                if (strncasecmp(stmt->sql.text, words[i], strlen(words[i])) == 0)
                        return true;
        }
        return false;
}

static sp_status check(const sp_stmt *stmt, const sp_params *params, size_t page, sp_error **error)
{
        size_t zero = sp__params_zero(params);

        if (!reads(stmt))
                return sp__fail(error, SP_INVALID, "statement \"%s\" does not only read: it has no stream", stmt->name);
        if (!queries(stmt))
                return sp__fail(error, SP_INVALID, "statement \"%s\" is no query (SELECT, VALUES): it has no stream",
                                stmt->name);
        if (page > SP_STREAM_PAGE_MAX)
                return sp__fail(error, SP_LIMIT, "%zu rows a page: at most %d", page, SP_STREAM_PAGE_MAX);
        if (zero)
                return sp__fail(error, SP_INVALID,
                                "parameter $%zu of statement \"%s\" is text with a zero byte: send it as bytes", zero,
                                stmt->name);
        return SP_OK;
}

/* BEGIN and DECLARE. */
static struct sp__lead *lead_of(const sp_stmt *stmt, const sp_params *params)
{
        struct sp__lead *lead = sp__lead_new("BEGIN READ ONLY");

        if (!lead || asprintf(&lead->items[1].text, "DECLARE sp_stream NO SCROLL CURSOR FOR %s", stmt->text) < 0) {
                sp__lead_free(lead);
                return NULL;
        }
        lead->count = 2;
        lead->items[1].params = sp__params_copy(params);
        if (lead->items[1].params || !params)
                return lead;
        sp__lead_free(lead);
        return NULL;
}

/* To metrics and in errors it is the statement itself. */
static sp_stmt *fetch_of(const sp_stmt *stmt, uint32_t page)
{
        char text[FETCH_LEN], *shown = strdup(stmt->sql.text);
        sp_stmt *fetch;

        snprintf(text, sizeof text, "FETCH %" PRIu32 " FROM sp_stream", page);
        fetch = shown ? sp__stmt_own(stmt->name, text) : NULL;
        if (!fetch) {
                free(shown);
                return NULL;
        }
        free(fetch->sql.text);
        fetch->sql.text = shown;
        return fetch;
}

static sp_stream *stream_new(sp_pool *pool, const sp_stmt *stmt, const sp_params *params, uint32_t page)
{
        sp_stream *stream = calloc(1, sizeof *stream);

        if (!stream)
                return NULL;
        atomic_init(&stream->refs, 1);
        sp__mutex_init(&stream->lock);
        stream->pool = sp__pool_ref(pool);
        stream->page = page;
        stream->obscure = sp__pool_resets(pool, stmt);
        stream->lead = lead_of(stmt, params);
        stream->fetch = fetch_of(stmt, page);
        if (stream->lead && stream->fetch)
                return stream;
        sp__stream_unref(stream);
        return NULL;
}

/* The wish for a session that becomes the stream's. */
static sp_status wish(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, size_t page,
                      void *place, struct sp__query **out, sp_error **error)
{
        sp_status status = check(stmt, params, page, error);
        struct sp__query *query;

        if (status != SP_OK)
                return status;
        query = sp__session_wish(pool, ctx, place);
        if (query)
                query->stream = stream_new(pool, stmt, params, page ? (uint32_t)page : PAGE);
        if (!query || !query->stream) {
                sp__op_unref(query ? &query->op : NULL);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        *out = query;
        return SP_OK;
}

/* Where the context says so, for the server may end what is read there in favour of what it replays. */
static sp_pool *pool_for(sp_pool *pool, const sp_ctx *ctx)
{
        sp_pool *replica = NULL;

        if (pool->replicas && ctx && sp__ctx_replica(ctx))
                replica = sp__replicas_choose(pool->replicas, ctx);
        return replica ? replica : pool;
}

sp_status sp_pool_stream(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params, size_t rows_a_page,
                         sp_stream **out, sp_error **error)
{
        struct sp__query *query = NULL;
        sp_status status;
        void *stream;

        SP__NEED(pool, error);
        SP__NEED(stmt, error);
        SP__NEED(out, error);
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = wish(pool_for(pool, ctx), ctx, stmt, params, rows_a_page, __builtin_return_address(0), &query, error);
        if (status == SP_OK)
                status = sp__query_run(query, &stream, error);
        if (status == SP_OK)
                *out = stream;
        return status;
}

sp_status sp_pool_stream_async(sp_pool *pool, sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params,
                               size_t rows_a_page, sp_queue *queue, uint64_t tag)
{
        struct sp__query *query = NULL;
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, pool);
        SP__NEED_FOR(queue, tag, stmt);
        if (sp__engine_forked(pool->engine))
                return SP_FORKED;
        status = wish(pool_for(pool, ctx), ctx, stmt, params, rows_a_page, __builtin_return_address(0), &query, &error);
        return status == SP_OK ? sp__query_submit(query, queue, tag) : sp__op_refuse(queue, tag, status, error);
}

static struct paging *paging_of(sp__op *op)
{
        return SP__OF(op, struct paging, op);
}

static void value_free(void *result)
{
        sp_result_free(result);
}

/* Tells what became of a page. The lock is held. */
static void tell(sp_stream *stream, sp__op *op, sp_status status, sp_error *error, sp_result *result,
                 struct sp__batch *done)
{
        /* Where the cursor stands nobody knows then. */
        stream->failed |= status != SP_OK;
        if (status != SP_OK)
                sp__op_fail(op, status, error, done);
        else
                sp__op_yield(op, result ? SP__YIELD_RESULT : SP__YIELD_NONE, result, value_free, done);
}

static void fetch(sp_stream *stream, sp_ctx *ctx, sp__op *caller);

/* A page came, or did not. */
static void came(sp_stream *stream, sp_status status, sp_error *error, sp_result *result)
{
        struct sp__batch done;
        struct sp__query *ahead;
        sp__op *waits;
        bool more;

        sp__batch_init(&done);
        sp__lock(&stream->lock);
        ahead = stream->ahead;
        waits = stream->waits;
        stream->ahead = NULL;
        stream->waits = NULL;
        if (waits) {
                tell(stream, waits, status, error, result, &done);
        } else {
                stream->there = true;
                stream->status = status;
                stream->error = error;
                stream->result = result;
        }
        more = waits && status == SP_OK && !stream->ended;
        stream->asked = more;
        sp__unlock(&stream->lock);
        sp__batch_deliver(&done);
        sp__op_unref(waits);
        sp__op_unref(ahead ? &ahead->op : NULL);
        if (more)
                fetch(stream, NULL, NULL);
        sp__stream_unref(stream);
}

static void fetched(sp__op *step)
{
        sp_result *result = step->status == SP_OK ? step->what : NULL;

        if (result)
                step->what = NULL;
        came(step->owner, step->status, sp__error_copy(step->error), result);
}

/* For who has set `asked`. `ctx`, `caller`: of who waits for it and may drive. */
static void fetch(sp_stream *stream, sp_ctx *ctx, sp__op *caller)
{
        struct sp__query *query = NULL;
        sp_error *error = NULL;
        sp_status status;
        bool held;

        sp__lock(&stream->lock);
        held = stream->session != NULL;
        if (held)
                query = sp__session_statement(stream->session, ctx, stream->fetch, NULL);
        if (query) {
                query->op.deadline = sp__now() + stream->span;
                query->stream = stream_ref(stream);
                sp__op_ref(&query->op);
                stream->ahead = query;
        }
        sp__unlock(&stream->lock);
        /* Its holder let it go. */
        if (!held)
                return;
        stream_ref(stream);
        status = sp__query_step(query, SP__FOREVER, caller, fetched, stream, &error);
        if (status != SP_OK)
                came(stream, status, error, NULL);
}

static void paging_cancel(sp__op *op, sp_status why)
{
        sp_stream *stream = paging_of(op)->stream;
        const char *text = why == SP_TIMEOUT ? "no page came before the deadline" : sp_status_text(why);
        struct sp__batch done;
        struct sp__query *ahead;
        bool listed;

        if (!sp__op_claim(op))
                return;
        sp__batch_init(&done);
        sp__lock(&stream->lock);
        stream->failed = true;
        listed = stream->waits == op;
        if (listed)
                stream->waits = NULL;
        ahead = stream->ahead;
        if (ahead)
                sp__op_ref(&ahead->op);
        sp__op_end(op, why, sp__error_new(why, NULL, "the stream of \"%s\": %s", stream->fetch->name, text), &done);
        sp__unlock(&stream->lock);
        if (ahead)
                ahead->op.kind->cancel(&ahead->op, why);
        sp__batch_deliver(&done);
        sp__op_unref(ahead ? &ahead->op : NULL);
        if (listed)
                sp__op_unref(op);
}

static void paging_settled(sp__op *op)
{
        sp_stream *stream = paging_of(op)->stream;

        sp__limit_stop(&paging_of(op)->limit, stream->pool->engine);
        sp__lock(&stream->lock);
        stream->busy = false;
        sp__unlock(&stream->lock);
        sp__pool_leave(stream->pool);
}

static void paging_destroy(sp__op *op)
{
        sp__stream_unref(paging_of(op)->stream);
        free(paging_of(op));
}

static const struct sp__op_kind kind = {.cancel = paging_cancel, .settled = paging_settled, .destroy = paging_destroy};

/* Whether a page may be asked for now; then it is. */
static sp_status claim(sp_stream *stream, sp_error **error)
{
        bool failed, busy;

        sp__lock(&stream->lock);
        failed = stream->failed;
        busy = stream->busy;
        stream->busy |= !failed;
        sp__unlock(&stream->lock);
        if (failed)
                return sp__fail(error, SP_INVALID, "the stream of \"%s\" ended with an error", stream->fetch->name);
        if (busy)
                return sp__fail(error, SP_INVALID, "a page of the stream of \"%s\" is under way", stream->fetch->name);
        return SP_OK;
}

static void unclaim(sp_stream *stream)
{
        sp__lock(&stream->lock);
        stream->busy = false;
        sp__unlock(&stream->lock);
}

/* With its place among those that the pool waits for; NULL: refused. */
static sp_status paging_new(sp_stream *stream, sp_ctx *ctx, bool inside, struct paging **out, sp_error **error)
{
        struct paging *paging = calloc(1, sizeof *paging);
        int64_t now = sp__now();
        sp_status status;

        if (!paging)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = claim(stream, error);
        if (status == SP_OK && (status = sp__pool_admit(stream->pool, ctx, inside, error)) != SP_OK)
                unclaim(stream);
        if (status != SP_OK) {
                free(paging);
                return status;
        }
        sp__op_init(&paging->op, &kind, ctx, sp__ctx_limit(ctx, now, stream->pool->limits.query_ms));
        paging->stream = stream_ref(stream);
        paging->span = paging->op.deadline - now;
        *out = paging;
        return SP_OK;
}

/* The page that is there, or the one that comes next. */
static void start(struct paging *paging)
{
        sp_stream *stream = paging->stream;
        struct sp__batch done;
        bool more, waits = false;

        if (sp__op_enlist(&paging->op) != SP_OK)
                paging_cancel(&paging->op, SP_CANCELLED);
        sp__batch_init(&done);
        sp__lock(&stream->lock);
        more = !stream->asked;
        stream->span = paging->span;
        if (!sp__op_pending(&paging->op)) {
                more = false;
        } else if (stream->there) {
                tell(stream, &paging->op, stream->status, stream->error, stream->result, &done);
                more = stream->status == SP_OK && !stream->ended;
                stream->there = false;
                stream->error = NULL;
                stream->result = NULL;
        } else if (stream->ended && !stream->asked) {
                /* Else its last page is known to be that, and about to be there. */
                tell(stream, &paging->op, SP_OK, NULL, NULL, &done);
                more = false;
        } else {
                stream->waits = sp__op_ref(&paging->op);
                waits = true;
        }
        stream->asked |= more;
        sp__unlock(&stream->lock);
        sp__batch_deliver(&done);
        if (more && waits)
                fetch(stream, paging->op.ctx, paging->op.caller);
        else if (more)
                fetch(stream, NULL, NULL);
}

sp_status sp_stream_next(sp_stream *stream, sp_ctx *ctx, sp_result **out, sp_error **error)
{
        struct paging *paging;
        sp_status status;
        sp_pool *pool;
        void *result;

        SP__NEED(stream, error);
        SP__NEED(out, error);
        pool = stream->pool;
        if (sp__engine_forked(pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = paging_new(stream, ctx, true, &paging, error);
        if (status != SP_OK)
                return status;
        sp__op_to_caller(&paging->op);
        start(paging);
        sp__op_wait(&paging->op);
        status = sp__op_take(&paging->op, &result, error);
        sp__pool_leave(pool);
        if (status == SP_OK)
                *out = result;
        return status;
}

sp_status sp_stream_next_async(sp_stream *stream, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct paging *paging;
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, stream);
        if (sp__engine_forked(stream->pool->engine))
                return SP_FORKED;
        status = paging_new(stream, ctx, false, &paging, &error);
        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_to_queue(&paging->op, queue, tag);
        if (status != SP_OK) {
                unclaim(stream);
                sp__pool_leave(stream->pool);
                sp__op_abandon(&paging->op);
                return status;
        }
        sp__limit_set(&paging->limit, stream->pool->engine, &paging->op);
        start(paging);
        sp__op_unref(&paging->op);
        return SP_OK;
}
