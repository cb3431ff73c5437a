/* SPDX-License-Identifier: MIT */
/* Sending units and taking their answers apart. */
#include "pg/conn_io.h"

#include "core/error.h"
#include "core/params.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NULLS_MAX = 8, EVICT_LEN = 64 };

bool sp__conn_watch(struct sp__conn *conn, uint32_t want)
{
        int fd = fcntl(PQsocket(conn->pg), F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
                return false;
        sp__port_attach(&conn->port, fd, want);
        return true;
}

void sp__conn_unwatch(struct sp__conn *conn)
{
        int fd = conn->port.fd;

        sp__port_detach(&conn->port);
        if (fd >= 0)
                close(fd);
}

/* One command and its Sync. libpq 17 buffers the Sync; before, it flushes with each. */
static bool put_sync(PGconn *pg)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
        return PQsendPipelineSync(pg) == 1;
#else
        return PQpipelineSync(pg) == 1;
#endif
}

/* A unit of the connection's own, that nobody waits for. */
static struct sp__unit *own_unit(void)
{
        return calloc(1, sizeof(struct sp__unit));
}

static bool put_deallocate(struct sp__conn *conn, const char *id)
{
        struct sp__unit *unit = own_unit();
        char text[EVICT_LEN];

        if (!unit)
                return false;
        snprintf(text, sizeof text, "DEALLOCATE %s", id);
        sp__list_push(&conn->flights, &unit->link);
        return PQsendQueryParams(conn->pg, text, 0, NULL, NULL, NULL, NULL, 0) == 1 && put_sync(conn->pg);
}

static bool put_prepare(struct sp__conn *conn, struct sp__unit *unit)
{
        char evicted[SP__STMT_ID];

        sp__prepared_add(&conn->prepared, unit->stmt, evicted);
        if (*evicted && !put_deallocate(conn, evicted))
                return false;
        unit->preparing = true;
        return PQsendPrepare(conn->pg, unit->stmt->id, unit->stmt->text, 0, NULL) == 1;
}

static bool put_statement(struct sp__conn *conn, struct sp__unit *unit, const struct sp__params_view *view)
{
        bool named = conn->prepared.cap > 0 && !(unit->stmt->flags & SP_STMT_UNNAMED);

        if (!named)
                return PQsendQueryParams(conn->pg, unit->stmt->text, view->count, NULL, view->values, view->lengths,
                                         view->formats, 0) == 1;
        if (!sp__prepared_has(&conn->prepared, unit->stmt) && !put_prepare(conn, unit))
                return false;
        return PQsendQueryPrepared(conn->pg, unit->stmt->id, view->count, view->values, view->lengths, view->formats,
                                   0) == 1;
}

static bool put_lead(struct sp__conn *conn, struct sp__lead *lead)
{
        struct sp__params_view view;

        lead->answered = 0;
        for (uint32_t i = 0; i < lead->count; i++) {
                if (!sp__params_view(lead->items[i].params, &view) ||
                    PQsendQueryParams(conn->pg, lead->items[i].text, view.count, NULL, view.values, view.lengths,
                                      view.formats, 0) != 1)
                        return false;
        }
        return true;
}

void sp__conn_put(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params)
{
        struct sp__params_view view;
        bool good;

        if (!sp__params_view(params, &view)) {
                unit->unsent = conn->lost = true;
                return;
        }
        if (unit->lead && !put_lead(conn, unit->lead))
                good = false;
        else if (unit->stmt)
                good = put_statement(conn, unit, &view);
        else
                good = PQsendQueryParams(conn->pg, unit->text, 0, NULL, NULL, NULL, NULL, 0) == 1;
        if (!good || !put_sync(conn->pg))
                conn->lost = true;
}

void sp__conn_write(struct sp__conn *conn)
{
        int left = PQflush(conn->pg);

        if (left < 0) {
                conn->lost = true;
                shutdown(conn->port.fd, SHUT_RDWR);
        }
        sp__port_want(&conn->port, left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static struct sp__unit *head(struct sp__conn *conn)
{
        return SP__OF(conn->flights.next, struct sp__unit, link);
}

static bool in_transaction(const PGconn *pg)
{
        PGTransactionStatusType status = PQtransactionStatus(pg);

        /* ACTIVE: more is in flight. What the Sync said is then not to be had, and is asked again at the next. */
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

/* The unit's Sync came. */
static void finish(struct sp__conn *conn, int64_t now)
{
        struct sp__unit *unit = head(conn);

        unit->began_ns = unit->sent_ns > conn->last_ns ? unit->sent_ns : conn->last_ns;
        unit->done_ns = now;
        if (unit->preparing && !unit->prepared)
                sp__prepared_remove(&conn->prepared, unit->stmt);
        sp__list_remove(&unit->link);
        if (!unit->stmt && !unit->text) {
                PQclear(unit->result);
                PQclear(unit->error);
                free(unit);
        } else {
                sp__list_push(&conn->ended, &unit->link);
        }
        conn->last_ns = now;
        atomic_store_explicit(&conn->in_tx, in_transaction(conn->pg), memory_order_release);
}

static void keep(PGresult **where, PGresult *res)
{
        PQclear(*where);
        *where = res;
}

static bool is_copy(ExecStatusType status)
{
        return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static void take(struct sp__conn *conn, PGresult *res, int64_t now)
{
        struct sp__unit *unit = head(conn);
        ExecStatusType status = PQresultStatus(res);

        if (status == PGRES_PIPELINE_SYNC) {
                PQclear(res);
                finish(conn, now);
        } else if (status == PGRES_FATAL_ERROR && !unit->error) {
                unit->error = res;
        } else if (status == PGRES_PIPELINE_ABORTED || status == PGRES_FATAL_ERROR) {
                PQclear(res);
        } else if (is_copy(status)) {
                /* Not possible in pipeline mode, and libpq does not see to it. */
                PQclear(res);
                conn->lost = true;
        } else if (unit->lead && unit->lead->answered < unit->lead->count) {
                unit->lead->answered++;
                PQclear(res);
        } else if (unit->preparing && !unit->prepared) {
                unit->prepared = true;
                PQclear(res);
        } else {
                keep(&unit->result, res);
        }
}

static void take_all(struct sp__conn *conn)
{
        int64_t now = sp__now();

        conn->nulls = 0;
        while (!sp__list_empty(&conn->flights) && !conn->lost) {
                PGresult *res;

                if (head(conn)->first_ns == 0)
                        head(conn)->first_ns = now;
                if (PQisBusy(conn->pg))
                        break;
                res = PQgetResult(conn->pg);
                if (res) {
                        conn->nulls = 0;
                        take(conn, res, now);
                } else if (++conn->nulls > NULLS_MAX) {
                        /* One NULL ends a command; so many say that libpq has nothing to wait for while we do. */
                        conn->lost = true;
                } else if (conn->nulls > 1) {
                        break;
                }
        }
}

bool sp__conn_dying(struct sp__conn *conn)
{
        if (sp__list_empty(&conn->flights))
                PQisBusy(conn->pg);
        return conn->dying;
}

void sp__conn_read(struct sp__conn *conn, uint32_t events)
{
        bool broken;

        if (events & EPOLLOUT)
                sp__conn_write(conn);
        broken = PQconsumeInput(conn->pg) != 1;
        /* Answers that arrived before the connection broke count. */
        take_all(conn);
        if (conn->target->minds && conn->ready)
                atomic_store_explicit(&conn->unfit, sp__conn_unfit(conn), memory_order_relaxed);
        if (broken || conn->lost || PQstatus(conn->pg) == CONNECTION_BAD || sp__conn_dying(conn))
                sp__conn_end(conn, NULL, SP_LOST);
        else if (conn->port.want & EPOLLOUT)
                sp__conn_write(conn);
}

void sp__conn_end(struct sp__conn *conn, sp_error *why, sp_status status)
{
        struct sp__list *link;

        sp__timer_stop(conn->port.engine, &conn->connect_timer);
        sp__conn_unwatch(conn);
        PQfinish(conn->pg);
        conn->pg = NULL;
        sp__dial_drop(conn->dial);
        conn->dial = NULL;
        conn->ready = conn->lost = false;
        atomic_store(&conn->in_tx, false);
        sp_error_free(conn->why);
        conn->why = why;
        conn->why_status = status;
        conn->closed_news = true;
        while ((link = sp__list_pop(&conn->flights))) {
                struct sp__unit *unit = SP__OF(link, struct sp__unit, link);

                PQclear(unit->result);
                unit->result = NULL;
                if (unit->stmt || unit->text) {
                        sp__list_push(&conn->ended, link);
                } else {
                        PQclear(unit->error);
                        free(unit);
                }
        }
}
