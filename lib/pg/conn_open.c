/* SPDX-License-Identifier: MIT */
/* Connecting: libpq's non-blocking state machine, driven by the engine. */
#include "core/error.h"
#include "pg/conn_io.h"
#include "pg/notices.h"

#include <string.h>
#include <sys/epoll.h>

/*
 * Notices are the session's that wants them, else nobody's, but that libpq takes for one what the server says before it closes an
 * idle connection.
 */
static void hear_notice(void *arg, const PGresult *res)
{
        const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
        struct sp__conn *conn = arg;

        if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
                conn->dying = true;
        else if (conn->notices)
                sp__notices_add(conn->notices, res);
}

/* Nothing is left to try. */
static void fail(struct sp__conn *conn)
{
        sp_status status = SP_NOMEM;
        sp_error *error = conn->dial ? sp__dial_error(conn->dial, conn->connect_ms, &status) : NULL;

        sp__conn_end(conn, error, status);
}

/* The engine takes the next step when the socket is ready. */
static bool await(struct sp__conn *conn, uint32_t want)
{
        if (!sp__conn_watch(conn, want)) {
                sp__conn_end(conn,
                             sp__error_new(SP_UNAVAILABLE, NULL, "no descriptor is left: raise the open-file limit"),
                             SP_UNAVAILABLE);
                return false;
        }
        sp__port_engage(&conn->port);
        return true;
}

/* What is left of the time is shared out evenly among those that are still to be tried. */
static void set_timer(struct sp__conn *conn)
{
        int64_t now = sp__now(), left = sp__after_ms(conn->asked_ns, conn->connect_ms) - now;
        size_t ends = sp__dial_left(conn->dial);

        sp__timer_set(conn->port.engine, &conn->connect_timer, now + left / (int64_t)(ends > 0 ? ends : 1));
}

/* Begins with the next end that can be tried. */
static void try_next(struct sp__conn *conn)
{
        bool more = sp__dial_left(conn->dial) > 0;

        while (more) {
                conn->pg = sp__dial_start(conn->dial);
                if (conn->pg && PQstatus(conn->pg) != CONNECTION_BAD) {
                        PQsetNoticeReceiver(conn->pg, hear_notice, conn);
                        /* So that the SQLSTATE of a refusal shows in the message. */
                        PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
                        set_timer(conn);
                        await(conn, EPOLLOUT);
                        return;
                }
                more = sp__dial_failed(conn->dial, conn->pg);
                PQfinish(conn->pg);
                conn->pg = NULL;
        }
        fail(conn);
}

/* libpq's socket is not watched any more. */
static void go_on(struct sp__conn *conn, bool more)
{
        PQfinish(conn->pg);
        conn->pg = NULL;
        if (more)
                try_next(conn);
        else
                fail(conn);
}

static void stand(struct sp__conn *conn)
{
        PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
        if (PQsetnonblocking(conn->pg, 1) != 0 || PQenterPipelineMode(conn->pg) != 1) {
                go_on(conn, sp__dial_failed(conn->dial, conn->pg));
                return;
        }
        if (!await(conn, EPOLLIN))
                return;
        sp__timer_stop(conn->port.engine, &conn->connect_timer);
        conn->where = sp__dial_stands(conn->dial);
        sp__dial_drop(conn->dial);
        conn->dial = NULL;
        sp__prepared_clear(&conn->prepared);
        conn->opened_ns = conn->last_ns = sp__now();
        conn->nulls = 0;
        conn->ready = true;
        conn->dying = false;
        atomic_store(&conn->unfit, false);
        atomic_store(&conn->muddled, false);
        conn->opened_news = true;
}

void sp__conn_connect_step(struct sp__conn *conn)
{
        /* libpq may close its socket and open another, also under the same number. */
        sp__conn_unwatch(conn);
        switch (PQconnectPoll(conn->pg)) {
        case PGRES_POLLING_READING:
                await(conn, EPOLLIN);
                break;
        case PGRES_POLLING_WRITING:
                await(conn, EPOLLOUT);
                break;
        case PGRES_POLLING_OK:
                stand(conn);
                break;
        default:
                go_on(conn, sp__dial_failed(conn->dial, conn->pg));
        }
}

/* Its numbers are known. The engine's thread, no lock held. */
static void dialled(struct sp__dial *dial)
{
        struct sp__conn *conn = dial->owner;

        sp__lock(&conn->port.lock);
        if (!sp__dial_over(dial))
                try_next(conn);
        sp__unlock(&conn->port.lock);
        sp__conn_tell(conn);
}

static void begin(struct sp__conn *conn)
{
        conn->asked_ns = sp__now();
        if (conn->barred) {
                sp__conn_end(conn, NULL, SP_CLOSED);
                return;
        }
        conn->dial = sp__dial_new(conn->target, conn->port.engine, conn, dialled);
        if (!conn->dial) {
                fail(conn);
                return;
        }
        set_timer(conn);
        if (sp__dial_ask(conn->dial))
                try_next(conn);
}

void sp__conn_connect(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        begin(conn);
        sp__unlock(&conn->port.lock);
}

void sp__conn_connect_late(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        if (conn->dial && conn->dial->asked) {
                fail(conn);
        } else if (conn->dial && conn->pg) {
                sp__conn_unwatch(conn);
                go_on(conn, sp__dial_late(conn->dial));
        }
        sp__unlock(&conn->port.lock);
}
