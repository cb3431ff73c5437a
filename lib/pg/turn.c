/* SPDX-License-Identifier: MIT */
/*
 * When what a session was given is sent: in its order, and not while a cancel request on its way could hit it, nor behind a
 * BEGIN of which nobody knows yet whether it took place: it would run outside the transaction. What is held back is sent by
 * the engine, whose thread also sends what is submitted meanwhile.
 */
#include "core/ctx.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <stdlib.h>

static const char no_begin[] = "its transaction did not begin";
static const char no_bound[] = "a BEGIN, a COMMIT or another end of a transaction on it ended before it was sent";

void sp__lead_free(struct sp__lead *lead)
{
        if (!lead)
                return;
        for (uint32_t i = 0; i < lead->count; i++) {
                free(lead->items[i].text);
                sp_params_free(lead->items[i].params);
        }
        free(lead);
}

static bool ended(const sp_session *session)
{
        return session->broken || session->spoiled;
}

/* `query`: that is to be sent, or NULL. */
static bool blocked(const sp_session *session, const struct sp__query *query)
{
        return !ended(session) &&
               (session->opening || session->conn->cancelling || session->conn->cancelled ||
                (session->again && session->again != query) || (session->copy && session->copy_left));
}

/* COPY has its connection to itself: it waits for what is on its way. */
static bool early(const sp_session *session, const struct sp__query *query)
{
        return !ended(session) && query->deed == SP__DEED_COPY && session->conn->load > 0;
}

/* The first of what is held back; NULL: none, or it is not its turn yet. The pool's lock. */
static struct sp__query *due(sp_session *session)
{
        struct sp__query *query;

        if (sp__list_empty(&session->held) || blocked(session, NULL))
                return NULL;
        query = SP__OF(SP__OF(session->held.next, sp__op, link), struct sp__query, op);
        return early(session, query) ? NULL : query;
}

static void hold(sp_session *session, struct sp__query *query)
{
        sp__op_ref(&query->op);
        query->held = true;
        if (query->released)
                sp__list_push_front(&session->held, &query->op.link);
        else
                sp__list_push(&session->held, &query->op.link);
        query->released = false;
}

void sp__session_unhold(struct sp__query *query)
{
        query->held = false;
        sp__list_remove(&query->op.link);
}

static void wake(struct sp__task *task)
{
        sp_session *session = SP__OF(task, sp_session, wake);
        sp_pool *pool = session->pool;
        struct sp__query *query;

        do {
                sp__lock(&pool->lock);
                query = due(session);
                session->waking = session->releasing = query != NULL;
                if (query) {
                        sp__session_unhold(query);
                        query->released = true;
                }
                sp__unlock(&pool->lock);
                if (query) {
                        sp__query_start(query);
                        sp__op_unref(&query->op);
                }
        } while (query);
        sp__session_unref(session);
}

void sp__session_wake(sp_session *session)
{
        if (session->waking || !due(session))
                return;
        session->waking = true;
        atomic_fetch_add(&session->refs, 1);
        session->wake.run = wake;
        sp__engine_post(session->pool->engine, &session->wake);
}

bool sp__session_repeats(sp_session *session, struct sp__query *query)
{
        /* Else what was given after it is on its way, or about to be. */
        if (session->conn->load > 1 || session->releasing || session->again)
                return false;
        session->again = query;
        query->released = true;
        return true;
}

void sp__session_repeat(struct sp__query *query)
{
        sp_session *session = query->session;
        sp_pool *pool = session->pool;

        atomic_fetch_add(&session->refs, 1);
        sp__query_start(query);
        sp__lock(&pool->lock);
        session->again = NULL;
        sp__session_wake(session);
        sp__unlock(&pool->lock);
        sp__session_unref(session);
}

void sp__session_spoil(sp_session *session, const char *why)
{
        if (!session->spoiled)
                session->spoiled = why;
}

/* Whether a transaction must not take effect without it, ROLLBACK included. A stream's is its own, and is rolled back. */
static bool counts(const struct sp__query *query)
{
        return !query->stream && !query->stmt->sql.tx && query->deed != SP__DEED_BEGIN &&
               query->deed != SP__DEED_COMMIT;
}

/*
 * It ends early, and begins a transaction or may end it: what was given behind it (behind a BEGIN perhaps what is given later, too)
 * counts on that.
 */
static bool bounds(struct sp__query *query)
{
        /* Who waits for it knows before he gives more. */
        if (!query->posts || query->stream || counts(query))
                return false;
        if (!query->judged)
                query->followed = atomic_load(&query->session->given) != query->number;
        query->judged = true;
        return query->followed || query->deed == SP__DEED_BEGIN;
}

bool sp__session_keeps(struct sp__query *query)
{
        /* Nobody has the COPY that it may have begun: what follows waits for its end. */
        if (query->session->copying == query)
                query->session->copy_left = true;
        return bounds(query) || counts(query);
}

/* Or may be: what is on its way may begin one. */
static bool in_transaction(const sp_session *session)
{
        return session->lead || session->in_block || session->conn->load > 0 || sp__conn_in_transaction(session->conn);
}

/* Something that was given before is to be sent first. */
static bool queued(const sp_session *session, const struct sp__query *query)
{
        return !query->released && (session->waking || !sp__list_empty(&session->held));
}

/* BEGIN waits for the first statement where nothing is on its way; else it is sent, and what follows waits for its answer. */
static sp_status begin(sp_session *session, struct sp__query *query)
{
        if (session->lead || (session->conn->load == 0 && sp__conn_in_transaction(session->conn)))
                return SP_INVALID;
        if (query->op.ctx && !session->work) {
                session->work = sp_ctx_ref(query->op.ctx);
                sp__ctx_transaction(session->work, 1);
        }
        session->outdated = false;
        query->unneeded = session->conn->load == 0;
        if (query->unneeded) {
                session->lead = query->lead;
                query->lead = NULL;
        } else {
                session->opening = true;
        }
        return SP_OK;
}

/* Nothing to be ended, or nothing that the server knows of. */
static sp_status end(sp_session *session, struct sp__query *query)
{
        bool idle = session->conn->load == 0, begun = session->lead != NULL;

        if (begun) {
                sp__lead_free(session->lead);
                session->lead = NULL;
        }
        query->unneeded = begun || (idle && !sp__conn_in_transaction(session->conn));
        return query->unneeded && !begun && query->deed == SP__DEED_COMMIT ? SP_INVALID : SP_OK;
}

static sp_status do_deed(sp_session *session, struct sp__query *query)
{
        switch (query->deed) {
        case SP__DEED_BEGIN:
                return begin(session, query);
        case SP__DEED_COMMIT:
        case SP__DEED_ROLLBACK:
                return end(session, query);
        default:
                return SP_OK;
        }
}

/* What was begun goes with it. */
static void lead_off(sp_session *session, struct sp__query *query)
{
        if (!session->lead)
                return;
        query->unit.lead = session->lead;
        session->lead = NULL;
        session->opening = true;
}

/* Behind a BEGIN of the caller's own words it is known with the next answer. */
static void note_block(sp_session *session, struct sp__query *query)
{
        if (query->unit.lead || session->conn->load == 0)
                session->in_block = query->unit.lead || sp__conn_in_transaction(session->conn);
        query->in_block = session->in_block;
        if (query->stmt->sql.tx || query->deed == SP__DEED_COMMIT || query->deed == SP__DEED_ROLLBACK)
                session->in_block = false;
}

/* It goes to the connection, with what was begun. */
static void put(sp_session *session, struct sp__query *query)
{
        query->unit.inside = in_transaction(session);
        query->unit.owed = query->unit.inside && counts(query);
        lead_off(session, query);
        note_block(session, query);
        session->conn->load++;
        sp__op_ref(&query->op);
        query->conn = session->conn;
}

bool sp__session_missed(struct sp__query *query, struct sp__conn **conn)
{
        sp_session *session = query->session;
        bool bound = bounds(query);

        if ((bound || counts(query)) && (queued(session, query) || (!bound && blocked(session, query)))) {
                hold(session, query);
        } else if (bound) {
                sp__session_spoil(session, no_bound);
                sp__session_wake(session);
        } else if (counts(query) && !ended(session) && !session->copy && in_transaction(session)) {
                put(session, query);
                session->in_block = query->in_block;
                *conn = session->conn;
        }
        return *conn != NULL;
}

bool sp__session_place(struct sp__query *query, struct sp__conn **conn, sp_status *refused)
{
        sp_session *session = query->session;
        bool behind = queued(session, query);

        /* Its answer may come before wake() looks on. */
        session->releasing &= !query->released;
        /* Who is refused is told in its turn, too. */
        if (ended(session) && !behind) {
                *refused = SP_UNAVAILABLE;
        } else if (session->copy && !session->copy_left && !ended(session)) {
                *refused = SP_INVALID;
        } else if (blocked(session, query) || behind || early(session, query)) {
                if (sp__query_keep_params(query))
                        hold(session, query);
                else
                        *refused = SP_NOMEM;
        } else {
                *refused = do_deed(session, query);
                if (*refused == SP_OK && !query->unneeded)
                        *conn = session->conn;
        }
        if (!*conn)
                return false;
        if (query->deed == SP__DEED_COPY) {
                session->copy = query->unit.copy;
                session->copying = query;
                session->copy_left = false;
        }
        put(session, query);
        return true;
}

sp_error *sp__session_refusal(const struct sp__query *query, sp_status refused)
{
        sp_pool *pool = query->pool;
        const char *spoiled;
        bool copying;

        sp__lock(&pool->lock);
        copying = query->session->copy && !query->session->copy_left;
        spoiled = query->session->broken ? NULL : query->session->spoiled;
        sp__unlock(&pool->lock);
        if (refused == SP_INVALID && copying)
                return sp__error_new(refused, NULL, "\"%s\": a COPY is under way on the session: end it first",
                                     query->stmt->name);
        if (refused == SP_INVALID && query->deed == SP__DEED_BEGIN)
                return sp__error_new(refused, NULL, "a transaction is open already: use a savepoint");
        if (refused == SP_INVALID)
                return sp__error_new(refused, NULL, "\"%s\": no transaction is open", query->stmt->name);
        if (refused != SP_UNAVAILABLE)
                return sp__error_new(refused, NULL, "%s", sp_status_text(refused));
        return spoiled ? sp__error_new(refused, NULL, "the session has ended, %s: acquire another session", spoiled)
                       : sp__error_new(refused, NULL, "the session's connection was lost: acquire another session");
}

void sp__session_ended(struct sp__query *query)
{
        sp_session *session = query->session;
        struct sp__unit *unit = &query->unit;
        bool answered = unit->done_ns && !unit->unsent;

        if (session->copy && session->copy == unit->copy && !unit->result)
                session->copy = NULL;
        if (session->copying == query)
                session->copying = NULL;
        if (query->deed == SP__DEED_BEGIN) {
                session->opening = false;
                if (!answered || unit->error)
                        sp__session_spoil(session, no_begin);
        } else if (unit->lead) {
                session->opening = false;
                if (unit->unsent) {
                        session->lead = unit->lead;
                        unit->lead = NULL;
                } else if (!answered || unit->lead->answered < unit->lead->count) {
                        sp__session_spoil(session, no_begin);
                }
        }
        if (unit->unsent && bounds(query))
                sp__session_spoil(session, no_bound);
}
