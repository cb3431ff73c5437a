/* SPDX-License-Identifier: MIT */
/* Connecting: libpq's non-blocking state machine, driven by the engine. */
#include "core/error.h"
#include "pg/conn_io.h"
#include "pg/fault.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

/* Notices are nobody's, but that libpq takes for one what the server says before it closes an idle connection. */
static void hear_notice(void *arg, const PGresult *res)
{
        const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
        struct sp__conn *conn = arg;

        if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
                conn->dying = true;
}

static void fail(struct sp__conn *conn)
{
        sp_status status = SP_NOMEM;
        sp_error *error = conn->pg ? sp__fault_of_connect(conn->pg, conn->target->place, &status) : NULL;

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

static void stand(struct sp__conn *conn)
{
        sp__timer_stop(conn->port.engine, &conn->connect_timer);
        PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
        if (PQsetnonblocking(conn->pg, 1) != 0 || PQenterPipelineMode(conn->pg) != 1) {
                fail(conn);
                return;
        }
        if (!await(conn, EPOLLIN))
                return;
        sp__prepared_clear(&conn->prepared);
        conn->opened_ns = conn->last_ns = sp__now();
        conn->nulls = 0;
        conn->ready = true;
        conn->dying = false;
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
                fail(conn);
        }
}

void sp__conn_connect(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        conn->asked_ns = sp__now();
        if (conn->barred) {
                sp__conn_end(conn, NULL, SP_CLOSED);
                sp__unlock(&conn->port.lock);
                return;
        }
        conn->pg = PQconnectStartParams((const char *const *)conn->target->keywords,
                                        (const char *const *)conn->target->values, 0);
        if (!conn->pg || PQstatus(conn->pg) == CONNECTION_BAD) {
                fail(conn);
        } else {
                PQsetNoticeReceiver(conn->pg, hear_notice, conn);
                /* So that the SQLSTATE of a refusal shows in the message. */
                PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
                sp__timer_set(conn->port.engine, &conn->connect_timer, sp__after_ms(conn->asked_ns, conn->connect_ms));
                await(conn, EPOLLOUT);
        }
        sp__unlock(&conn->port.lock);
}

void sp__conn_connect_late(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        if (conn->pg && !conn->ready)
                sp__conn_end(conn,
                             sp__error_new(SP_UNAVAILABLE, NULL,
                                           "PostgreSQL at %s did not answer the connection attempt within %" PRId64
                                           " ms (pool.connect_timeout)",
                                           conn->target->place, conn->connect_ms),
                             SP_UNAVAILABLE);
        sp__unlock(&conn->port.lock);
}
