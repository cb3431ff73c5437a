/* SPDX-License-Identifier: MIT */
/* Transactions and savepoints on a session: their words become statements, which turn.c sends. */
#include "base/buf.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum group { LEVEL, ACCESS, DEFERRING };

/* A longer one before its own beginning. */
static const struct {
        const char *words;
        const char *sql;
        enum group group;
} options_known[] = {
    {"serializable", "ISOLATION LEVEL SERIALIZABLE", LEVEL},
    {"repeatable read", "ISOLATION LEVEL REPEATABLE READ", LEVEL},
    {"read committed", "ISOLATION LEVEL READ COMMITTED", LEVEL},
    {"read uncommitted", "ISOLATION LEVEL READ UNCOMMITTED", LEVEL},
    {"read only", "READ ONLY", ACCESS},
    {"read write", "READ WRITE", ACCESS},
    {"deferrable", "DEFERRABLE", DEFERRING},
    {"not deferrable", "NOT DEFERRABLE", DEFERRING},
};

static const char blanks[] = " \t\n,";

/* The length of `words` at `at`, whatever stands between them; 0: it does not stand there. */
static size_t match(const char *at, const char *words)
{
        const char *from = at;

        while (*words) {
                size_t n = strcspn(words, " ");

                if (strncasecmp(at, words, n) != 0 || !strchr(blanks, at[n]))
                        return 0;
                at += n;
                words += n;
                at += *words ? strspn(at, blanks) : 0;
                words += strspn(words, " ");
        }
        return (size_t)(at - from);
}

static sp_status option_add(struct sp__buf *sql, const char **at, uint32_t *seen, sp_error **error)
{
        for (size_t i = 0; i < sizeof options_known / sizeof *options_known; i++) {
                size_t n = match(*at, options_known[i].words);
                uint32_t bit = 1u << options_known[i].group;

                if (n == 0)
                        continue;
                if (*seen & bit)
                        return sp__fail(error, SP_INVALID,
                                        "transaction option \"%s\": another one of its kind stands before it",
                                        options_known[i].words);
                *seen |= bit;
                sp__buf_format(sql, "%s %s", *seen == bit ? "" : ",", options_known[i].sql);
                *at += n;
                return SP_OK;
        }
        return sp__fail(
            error, SP_INVALID,
            "unknown transaction option \"%.*s\": known are serializable, repeatable read, read committed, read "
            "uncommitted, read only, read write, deferrable, not deferrable",
            (int)strnlen(*at, 40), *at);
}

/* "BEGIN ISOLATION LEVEL …". */
static sp_status begin_text(const char *options, struct sp__buf *sql, sp_error **error)
{
        sp_status status = SP_OK;
        uint32_t seen = 0;

        sp__buf_text(sql, "BEGIN");
        for (const char *at = options ? options : ""; status == SP_OK && *(at += strspn(at, blanks));)
                status = option_add(sql, &at, &seen, error);
        sp__buf_char(sql, 0);
        return status != SP_OK ? status : sql->failed ? sp__fail(error, SP_NOMEM, "out of memory") : SP_OK;
}

/* `verb` and the name as an identifier. */
static sp_status savepoint_text(const char *verb, const char *name, struct sp__buf *sql, sp_error **error)
{
        size_t len = name ? strlen(name) : 0;

        if (len == 0 || len > SP_SAVEPOINT_MAX)
                return sp__fail(error, SP_LIMIT, "a savepoint's name must have 1 to %d bytes", SP_SAVEPOINT_MAX);
        sp__buf_format(sql, "%s ", verb);
        sp__buf_identifier(sql, name);
        sp__buf_char(sql, 0);
        return sql->failed ? sp__fail(error, SP_NOMEM, "out of memory") : SP_OK;
}

struct sp__lead *sp__lead_new(const char *text)
{
        struct sp__lead *lead = calloc(1, sizeof *lead);

        if (!lead)
                return NULL;
        lead->items[0].text = strdup(text);
        lead->count = 1;
        if (lead->items[0].text)
                return lead;
        free(lead);
        return NULL;
}

static const char savepoint_verb[] = "SAVEPOINT", release_verb[] = "RELEASE SAVEPOINT";

/* What a call is: its deed, its name in metrics, and what it is made of. */
struct call {
        enum sp__deed deed;
        const char *name;
        const char *verb;
        const char *words; /* options, or a savepoint's name */
};

static sp_status text_of(const struct call *call, struct sp__buf *sql, sp_error **error)
{
        if (call->deed == SP__DEED_BEGIN)
                return begin_text(call->words, sql, error);
        if (call->deed == SP__DEED_SAVEPOINT)
                return savepoint_text(call->verb, call->words, sql, error);
        sp__buf_text(sql, call->verb);
        sp__buf_char(sql, 0);
        return sql->failed ? sp__fail(error, SP_NOMEM, "out of memory") : SP_OK;
}

static sp_status query_of(sp_session *session, sp_ctx *ctx, const struct call *call, struct sp__query **out,
                          sp_error **error)
{
        struct sp__buf sql = SP__BUF_INIT;
        struct sp__query *query = NULL;
        sp_stmt *stmt = NULL;
        sp_status status = text_of(call, &sql, error);

        if (status == SP_OK) {
                stmt = sp__stmt_own(call->name, sql.data);
                query = stmt ? sp__session_statement(session, ctx, stmt, NULL) : NULL;
        }
        if (query && call->deed == SP__DEED_BEGIN)
                query->lead = sp__lead_new(sql.data);
        if (query && call->deed == SP__DEED_BEGIN && !query->lead) {
                sp__op_unref(&query->op);
                query = NULL;
        }
        sp_stmt_unref(stmt);
        sp__buf_free(&sql);
        if (status != SP_OK)
                return status;
        if (!query)
                return sp__fail(error, SP_NOMEM, "out of memory");
        query->deed = call->deed;
        *out = query;
        return SP_OK;
}

/* What follows the transaction: the call may begin it anew, mark a place in it, or end it. */
static sp_status note(sp_session *session, const struct call *call, sp_error **error)
{
        if (call->deed == SP__DEED_BEGIN)
                sp__sequel_begin(session);
        else if (call->verb == savepoint_verb)
                return sp__sequel_mark(session, call->words, error);
        return SP_OK;
}

/* false: nothing follows, whatever the answer. */
static bool ends(const sp_session *session, const struct call *call, struct sp__sequel_call *out)
{
        if (!session->sequels || call->deed == SP__DEED_BEGIN || call->verb == savepoint_verb)
                return false;
        *out = (struct sp__sequel_call){.kind = call->deed == SP__DEED_COMMIT     ? SP__SEQUEL_COMMIT
                                                : call->deed == SP__DEED_ROLLBACK ? SP__SEQUEL_ROLLBACK
                                                : call->verb == release_verb      ? SP__SEQUEL_RELEASE
                                                                                  : SP__SEQUEL_ROLLBACK_TO};
        if (call->deed == SP__DEED_SAVEPOINT)
                strncpy(out->name, call->words, SP_SAVEPOINT_MAX);
        return true;
}

static sp_status prepare(sp_session *session, sp_ctx *ctx, const struct call *call, struct sp__query **query,
                         sp_error **error)
{
        sp_status status = sp__engine_forked(session->pool->engine)
                               ? sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED))
                               : query_of(session, ctx, call, query, error);

        if (status != SP_OK)
                return status;
        status = note(session, call, error);
        if (status != SP_OK)
                sp__op_unref(&(*query)->op);
        return status;
}

static sp_status run(sp_session *session, sp_ctx *ctx, const struct call *call, sp_error **error)
{
        struct sp__sequel_call end;
        struct sp__query *query;
        sp_status status = prepare(session, ctx, call, &query, error);
        void *nothing;

        if (status != SP_OK)
                return status;
        return ends(session, call, &end) ? sp__sequel_run(query, &end, error) : sp__query_run(query, &nothing, error);
}

static sp_status submit(sp_session *session, sp_ctx *ctx, const struct call *call, sp_queue *queue, uint64_t tag)
{
        struct sp__sequel_call end;
        struct sp__query *query;
        sp_error *error = NULL;
        sp_status status = prepare(session, ctx, call, &query, &error);

        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        return ends(session, call, &end) ? sp__sequel_submit(query, &end, queue, tag)
                                         : sp__query_submit(query, queue, tag);
}

sp_status sp_session_begin(sp_session *session, sp_ctx *ctx, const char *options, sp_error **error)
{
        SP__NEED(session, error);
        return run(session, ctx, &(struct call){SP__DEED_BEGIN, "begin", NULL, options}, error);
}

sp_status sp_session_begin_async(sp_session *session, sp_ctx *ctx, const char *options, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &(struct call){SP__DEED_BEGIN, "begin", NULL, options}, queue, tag);
}

static const struct call commit = {SP__DEED_COMMIT, "commit", "COMMIT", NULL};
static const struct call rollback = {SP__DEED_ROLLBACK, "rollback", "ROLLBACK", NULL};

sp_status sp_session_commit(sp_session *session, sp_ctx *ctx, sp_error **error)
{
        SP__NEED(session, error);
        return run(session, ctx, &commit, error);
}

sp_status sp_session_commit_async(sp_session *session, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &commit, queue, tag);
}

sp_status sp_session_rollback(sp_session *session, sp_ctx *ctx, sp_error **error)
{
        SP__NEED(session, error);
        return run(session, ctx, &rollback, error);
}

sp_status sp_session_rollback_async(sp_session *session, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &rollback, queue, tag);
}

static struct call savepoint(const char *verb, const char *name)
{
        return (struct call){SP__DEED_SAVEPOINT, "savepoint", verb, name};
}

sp_status sp_session_savepoint(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error)
{
        struct call call = savepoint(savepoint_verb, name);

        SP__NEED(session, error);
        return run(session, ctx, &call, error);
}

sp_status sp_session_savepoint_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue, uint64_t tag)
{
        struct call call = savepoint(savepoint_verb, name);

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &call, queue, tag);
}

sp_status sp_session_rollback_to(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error)
{
        struct call call = savepoint("ROLLBACK TO SAVEPOINT", name);

        SP__NEED(session, error);
        return run(session, ctx, &call, error);
}

sp_status sp_session_rollback_to_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue,
                                       uint64_t tag)
{
        struct call call = savepoint("ROLLBACK TO SAVEPOINT", name);

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &call, queue, tag);
}

sp_status sp_session_release_savepoint(sp_session *session, sp_ctx *ctx, const char *name, sp_error **error)
{
        struct call call = savepoint(release_verb, name);

        SP__NEED(session, error);
        return run(session, ctx, &call, error);
}

sp_status sp_session_release_savepoint_async(sp_session *session, sp_ctx *ctx, const char *name, sp_queue *queue,
                                             uint64_t tag)
{
        struct call call = savepoint(release_verb, name);

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, session);
        return submit(session, ctx, &call, queue, tag);
}
