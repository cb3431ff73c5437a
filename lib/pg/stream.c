/* SPDX-License-Identifier: MIT */
/*
 * Row streams: a cursor in a read-only transaction on a session of its own, from which a page is fetched when it is asked
 * for. BEGIN, DECLARE and the first FETCH go in one Sync group. The session goes back with the last page.
 */
#include "base/buf.h"
#include "core/error.h"
#include "core/params.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, FETCH_LEN = 64 };

struct sp_stream {
        atomic_uint refs;              /* the holder's, and one for each query */
        _Atomic(sp_session *) session; /* NULL: it went back */
        sp_pool *pool;
        sp_stmt *fetch;
        struct sp__lead *lead; /* until there is a session */
        uint32_t page;
        atomic_bool ended, failed, busy;
};

static void give_back(sp_stream *stream)
{
        sp_session_release(atomic_exchange(&stream->session, NULL));
}

void sp__stream_unref(sp_stream *stream)
{
        if (!stream || atomic_fetch_sub(&stream->refs, 1) != 1)
                return;
        sp_stmt_unref(stream->fetch);
        sp__lead_free(stream->lead);
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
        stream->lead = NULL;
        atomic_store(&stream->session, session);
}

bool sp__stream_page(sp_stream *stream, const PGresult *res)
{
        int rows = PQntuples(res);

        if ((uint32_t)rows < stream->page) {
                atomic_store(&stream->ended, true);
                give_back(stream);
        }
        return rows > 0;
}

void sp__stream_idle(sp_stream *stream)
{
        atomic_store(&stream->busy, false);
}

void sp__stream_settled(sp_stream *stream, sp_status status)
{
        /* Where the cursor stands nobody knows then. */
        if (status != SP_OK)
                atomic_store(&stream->failed, true);
        atomic_store(&stream->busy, false);
}

static bool reads(const sp_stmt *stmt)
{
        return (stmt->sql.kind == SP__SQL_READ || stmt->flags & SP_STMT_READ) && !(stmt->flags & SP_STMT_WRITE);
}

static sp_status check(const sp_stmt *stmt, const sp_params *params, size_t page, sp_error **error)
{
        size_t zero = sp__params_zero(params);

        if (!reads(stmt))
                return sp__fail(error, SP_INVALID, "statement \"%s\" does not only read: it has no stream", stmt->name);
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
        stream->pool = pool;
        stream->page = page;
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
        status = wish(pool, ctx, stmt, params, rows_a_page, __builtin_return_address(0), &query, error);
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
        status = wish(pool, ctx, stmt, params, rows_a_page, __builtin_return_address(0), &query, &error);
        return status == SP_OK ? sp__query_submit(query, queue, tag) : sp__op_refuse(queue, tag, status, error);
}

/* The query for the next page; NULL (and SP_OK) at the end. */
static sp_status next_of(sp_stream *stream, sp_ctx *ctx, struct sp__query **out, sp_error **error)
{
        sp_session *session = atomic_load(&stream->session);

        *out = NULL;
        if (atomic_load(&stream->failed))
                return sp__fail(error, SP_INVALID, "the stream of \"%s\" ended with an error", stream->fetch->name);
        if (atomic_load(&stream->busy))
                return sp__fail(error, SP_INVALID, "a page of the stream of \"%s\" is under way", stream->fetch->name);
        if (atomic_load(&stream->ended))
                return SP_OK;
        *out = sp__session_statement(session, ctx, stream->fetch, NULL);
        if (!*out)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_fetch_add(&stream->refs, 1);
        atomic_store(&stream->busy, true);
        (*out)->stream = stream;
        return SP_OK;
}

sp_status sp_stream_next(sp_stream *stream, sp_ctx *ctx, sp_result **out, sp_error **error)
{
        struct sp__query *query;
        void *result = NULL;
        sp_status status;

        SP__NEED(stream, error);
        SP__NEED(out, error);
        if (sp__engine_forked(stream->pool->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        status = next_of(stream, ctx, &query, error);
        if (status == SP_OK && query)
                status = sp__query_run(query, &result, error);
        if (status == SP_OK)
                *out = result;
        return status;
}

sp_status sp_stream_next_async(sp_stream *stream, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct sp__query *query = NULL;
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, stream);
        if (sp__engine_forked(stream->pool->engine))
                return SP_FORKED;
        status = next_of(stream, ctx, &query, &error);
        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        return query ? sp__query_submit(query, queue, tag) : sp__op_nothing(queue, tag);
}
