/* SPDX-License-Identifier: MIT */
#include "pg/conn.h"

#include "core/error.h"
#include "core/params.h"
#include "pg/conn_io.h"
#include "pg/fault.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* An idle connection that was silent for longer is asked whether it still stands before a statement is trusted to it. */
#define DOUBT_NS (10 * SP__MS)

static void conn_ready(struct sp__port *port, uint32_t events, struct sp__batch *done)
{
        struct sp__conn *conn = SP__OF(port, struct sp__conn, port);

        if (!conn->ready)
                sp__conn_connect_step(conn);
        else if (sp__copy_drives(conn))
                sp__copy_ready(conn, events, done);
        else
                sp__conn_read(conn, events, done);
}

static void conn_flush(struct sp__port *port, struct sp__batch *done)
{
        struct sp__conn *conn = SP__OF(port, struct sp__conn, port);

        if (conn->ready && !sp__copy_drives(conn))
                sp__conn_write(conn);
}

static bool conn_busy(const struct sp__port *port)
{
        const struct sp__conn *conn = SP__OF(port, const struct sp__conn, port);

        return !conn->ready || conn->lost || !sp__list_empty(&conn->flights) || (port->want & EPOLLOUT) ||
               conn->listening || sp__copy_busy(conn);
}

/* What happened under the lock, which is held, is told without it. */
static void conn_after(struct sp__port *port)
{
        struct sp__conn *conn = SP__OF(port, struct sp__conn, port);
        struct sp__list ended;
        struct sp__copying *orphan;
        bool opened, closed;
        sp_copy *left;
        PGnotify *notes;
        sp_error *why;
        sp_status status;

        sp__list_init(&ended);
        sp__list_join(&ended, &conn->ended);
        opened = conn->opened_news;
        closed = conn->closed_news;
        why = conn->why;
        status = conn->why_status;
        conn->opened_news = conn->closed_news = false;
        conn->why = NULL;
        notes = conn->notes;
        conn->notes = NULL;
        left = conn->copy_left;
        orphan = conn->copy_orphan;
        conn->copy_left = NULL;
        conn->copy_orphan = NULL;
        sp__unlock(&port->lock);
        if (opened)
                conn->owner->opened(conn);
        /*
         * Before its units are accounted for, and a COPY lets go of its session, so that a connection which is gone does not
         * pass for an idle one. So all of it is taken at once: two threads may be here.
         */
        if (closed)
                conn->owner->closed(conn, why, status);
        if (!sp__list_empty(&ended))
                conn->owner->ended(conn, &ended);
        if (notes)
                conn->owner->heard(conn, notes);
        if (left || orphan)
                sp__copy_tell(conn, left, orphan);
}

static const struct sp__port_kind kind = {
    .ready = conn_ready, .flush = conn_flush, .busy = conn_busy, .after = conn_after};

void sp__conn_tell(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        conn_after(&conn->port);
}

static void open_now(struct sp__task *task)
{
        struct sp__conn *conn = SP__OF(task, struct sp__conn, open_task);

        sp__conn_connect(conn);
        sp__conn_tell(conn);
}

static void connect_late(struct sp__timer *timer)
{
        struct sp__conn *conn = SP__OF(timer, struct sp__conn, connect_timer);

        sp__conn_connect_late(conn);
        sp__conn_tell(conn);
}

bool sp__conn_init(struct sp__conn *conn, const struct sp__conn_owner *owner, struct sp_pool *pool,
                   struct sp__engine *engine, struct sp__target *target, size_t statements, int64_t connect_ms)
{
        *conn = (struct sp__conn){.owner = owner, .pool = pool, .target = target, .connect_ms = connect_ms};
        conn->open_task.run = open_now;
        conn->connect_timer.fire = connect_late;
        sp__list_init(&conn->flights);
        conn->at = &conn->flights;
        conn->plain = statements == 0;
        sp__list_init(&conn->ended);
        sp__list_init(&conn->idle);
        if (!sp__prepared_init(&conn->prepared, statements)) {
                sp__prepared_free(&conn->prepared);
                return false;
        }
        if (sp__port_init(&conn->port, &kind, engine))
                return true;
        sp__prepared_free(&conn->prepared);
        return false;
}

void sp__conn_destroy(struct sp__conn *conn)
{
        PQfinish(conn->pg);
        sp_error_free(conn->why);
        sp__prepared_free(&conn->prepared);
        sp__port_destroy(&conn->port);
}

void sp__conn_open(struct sp__conn *conn)
{
        sp__engine_post(conn->port.engine, &conn->open_task);
}

/* Whether the server closed it, or said goodbye, while nobody looked. The port's lock is held. */
static bool stands(struct sp__conn *conn, int64_t now)
{
        struct pollfd fd = {.fd = conn->port.fd, .events = POLLIN};

        if (!sp__list_empty(&conn->flights) || conn->port.driver == SP__DRIVER_ENGINE || now - conn->last_ns < DOUBT_NS)
                return true;
        /* A goodbye comes before the end of the stream, and may be all that is there yet. */
        while (poll(&fd, 1, 0) != 0) {
                if (PQconsumeInput(conn->pg) != 1 || PQstatus(conn->pg) != CONNECTION_OK || sp__conn_dying(conn))
                        return false;
        }
        return true;
}

void sp__conn_send(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params, sp__op *caller)
{
        struct sp__port *port = &conn->port;
        struct sp__batch done;
        bool idle, settled;

        sp__batch_init(&done);
        unit->sent_ns = sp__now();
        unit->first_ns = unit->done_ns = 0;
        unit->preparing = unit->prepared = unit->unsent = unit->closes = unit->undone = false;
        sp__lock(&port->lock);
        unit->opened_ns = conn->opened_ns;
        /* Cancelled on its way here: then the server was not told, as there was nothing to cancel. */
        settled = unit->op && !sp__op_pending(unit->op);
        unit->instead = settled && unit->owed;
        if (!conn->ready || conn->lost || port->fd < 0 || (settled && !unit->instead)) {
                unit->unsent = true;
                sp__list_push(&conn->ended, &unit->link);
                conn_after(port);
                return;
        }
        conn->lost = !stands(conn, unit->sent_ns);
        idle = sp__list_empty(&conn->flights);
        sp__port_enter(port, caller, idle);
        if (unit->copy && !unit->instead)
                sp__copy_put(conn, unit);
        else
                sp__conn_put(conn, unit, params);
        if (conn->lost)
                /* Only the driver may close it: this wakes whoever that is. */
                shutdown(port->fd, SHUT_RDWR);
        else if (!sp__copy_drives(conn))
                sp__port_flush(port, idle, &done);
        sp__unlock(&port->lock);
        sp__batch_deliver(&done);
}

void sp__conn_after(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        conn_after(&conn->port);
}

void sp__conn_listen(struct sp__conn *conn, bool on)
{
        sp__lock(&conn->port.lock);
        conn->listening = on && conn->ready && !conn->lost;
        if (conn->listening)
                sp__port_engage(&conn->port);
        sp__unlock(&conn->port.lock);
}

void sp__conn_close(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        sp__conn_end(conn, NULL, SP_CLOSED);
        conn_after(&conn->port);
}

void sp__conn_bar(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        conn->barred = true;
        sp__unlock(&conn->port.lock);
        sp__conn_close(conn);
}

void sp__conn_break(struct sp__conn *conn)
{
        struct sp__port *port = &conn->port;

        sp__lock(&port->lock);
        if (conn->ready && port->fd >= 0) {
                conn->lost = true;
                shutdown(port->fd, SHUT_RDWR);
                sp__port_engage(port);
        }
        sp__unlock(&port->lock);
}

int64_t sp__conn_owes(struct sp__conn *conn, bool *abandoned)
{
        int64_t since = 0;

        sp__lock(&conn->port.lock);
        if (conn->ready && !conn->lost && !sp__list_empty(&conn->flights)) {
                const struct sp__unit *unit = SP__OF(conn->flights.next, struct sp__unit, link);

                *abandoned = !unit->op || !sp__op_pending(unit->op);
                /* A batch takes as long as all its sets, and the server says nothing before their end. */
                if (*abandoned || !unit->sets)
                        since = unit->sent_ns > conn->last_ns ? unit->sent_ns : conn->last_ns;
        }
        sp__unlock(&conn->port.lock);
        return since;
}

bool sp__conn_stirs(struct sp__conn *conn)
{
        struct pollfd fd = {.events = POLLIN};
        bool stirs;

        sp__lock(&conn->port.lock);
        fd.fd = conn->port.fd;
        stirs = conn->ready && conn->port.driver == SP__DRIVER_FREE && sp__list_empty(&conn->flights) &&
                poll(&fd, 1, 0) > 0;
        sp__unlock(&conn->port.lock);
        return stirs;
}

PGcancel *sp__conn_cancel(struct sp__conn *conn)
{
        PGcancel *cancel = NULL;

        sp__lock(&conn->port.lock);
        if (conn->ready && !conn->lost && (!sp__list_empty(&conn->flights) || conn->copy))
                cancel = PQgetCancel(conn->pg);
        sp__unlock(&conn->port.lock);
        return cancel;
}

void sp__conn_forget(struct sp__conn *conn, const sp_stmt *stmt)
{
        sp__lock(&conn->port.lock);
        sp__prepared_remove(&conn->prepared, stmt);
        sp__unlock(&conn->port.lock);
}

void sp__conn_outdate(struct sp__conn *conn, const sp_stmt *stmt)
{
        sp__lock(&conn->port.lock);
        sp__prepared_outdate_one(&conn->prepared, stmt);
        sp__unlock(&conn->port.lock);
}

void sp__conn_forget_all(struct sp__conn *conn)
{
        sp__lock(&conn->port.lock);
        sp__prepared_clear(&conn->prepared);
        sp__unlock(&conn->port.lock);
}

void sp__conn_remember(struct sp__conn *conn, const sp_stmt *stmt)
{
        char evicted[SP__STMT_ID];
        int64_t now = sp__now();

        sp__lock(&conn->port.lock);
        if (sp__prepared_look(&conn->prepared, stmt, now) == SP__PREPARED_NOT) {
                sp__prepared_add(&conn->prepared, stmt, now, evicted);
                /* It may be what was to go, and is out of date. */
                if (atomic_load_explicit(&conn->muddled, memory_order_relaxed))
                        sp__prepared_outdate_one(&conn->prepared, stmt);
        }
        sp__unlock(&conn->port.lock);
}

bool sp__conn_in_transaction(struct sp__conn *conn)
{
        return atomic_load_explicit(&conn->in_tx, memory_order_acquire);
}

bool sp__conn_broken(struct sp__conn *conn)
{
        bool broken;

        sp__lock(&conn->port.lock);
        broken = conn->lost || !conn->ready;
        sp__unlock(&conn->port.lock);
        return broken;
}
