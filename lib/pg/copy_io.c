/* SPDX-License-Identifier: MIT */
#include "base/buf.h"
#include "core/error.h"
#include "pg/conn_io.h"
#include "pg/copy.h"
#include "pg/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What libpq is given at once, and about what a read yields. */
enum { CHUNK = 65536 };

void sp__copy_kill(struct sp__conn *conn)
{
        conn->lost = true;
        /* Only the driver may close it: this wakes whoever that is. */
        if (conn->port.fd >= 0) {
                shutdown(conn->port.fd, SHUT_RDWR);
                sp__port_want(&conn->port, EPOLLIN);
                sp__port_engage(&conn->port);
        }
}

/* Whether libpq has nothing more to send. */
static bool flushed(struct sp__conn *conn, uint32_t want)
{
        int left = PQflush(conn->pg);

        if (left < 0)
                sp__copy_kill(conn);
        else
                sp__port_want(&conn->port, left > 0 ? want | EPOLLOUT : want);
        return left == 0;
}

/* The pipeline goes on. */
static void leave(struct sp__conn *conn)
{
        sp_copy *copy = conn->copy;
        PGTransactionStatusType status = PQtransactionStatus(conn->pg);

        copy->state = SP__COPY_ENDED;
        atomic_store(&conn->in_tx, status == PQTRANS_INTRANS || status == PQTRANS_INERROR);
        conn->copy = NULL;
        conn->copy_left = copy;
        conn->last_ns = sp__now();
        sp__port_want(&conn->port, EPOLLIN);
        if (PQenterPipelineMode(conn->pg) != 1)
                sp__copy_kill(conn);
}

/*
 * How long it takes is for the caller to say, call by call: statement_timeout is off for it, and in an open transaction what it
 * was again afterwards. One message, so it costs no trip; what fails leaves nothing, as all of it is one transaction.
 */
static char *text_of(const sp_copy *copy)
{
        static const char saved[] = "sugarperf.statement_timeout", own[] = "statement_timeout";
        const struct sp__lead *lead = copy->unit->lead;
        struct sp__buf text = SP__BUF_INIT;

        if (lead)
                sp__buf_format(&text, "%s; ", lead->items[0].text);
        sp__buf_format(&text, "SELECT set_config('%s', current_setting('%s'), true), set_config('%s', '0', true); ",
                       saved, own, own);
        sp__buf_text(&text, copy->stmt->text);
        sp__buf_format(&text, "\n; SELECT set_config('%s', current_setting('%s'), true)", own, saved);
        sp__buf_char(&text, 0);
        if (!text.failed)
                return text.data;
        sp__buf_free(&text);
        return NULL;
}

static void start(struct sp__conn *conn)
{
        sp_copy *copy = conn->copy;
        char *text = text_of(copy);
        bool good = text && PQexitPipelineMode(conn->pg) == 1 && PQsendQuery(conn->pg, text) == 1;

        free(text);
        if (!good) {
                sp__copy_kill(conn);
                return;
        }
        copy->state = SP__COPY_STARTING;
        flushed(conn, EPOLLIN);
}

void sp__copy_begin(struct sp__conn *conn)
{
        if (conn->copy && conn->copy->state == SP__COPY_WAITING && sp__list_empty(&conn->flights) && !conn->lost)
                start(conn);
}

void sp__copy_put(struct sp__conn *conn, struct sp__unit *unit)
{
        sp_copy *copy = unit->copy;

        atomic_fetch_add(&copy->refs, 1);
        copy->unit = unit;
        conn->copy = copy;
        if (!conn->lost && !sp__conn_writes(conn))
                conn->lost = true;
        sp__copy_begin(conn);
        if (copy->state == SP__COPY_WAITING && !conn->lost)
                sp__conn_write(conn);
}

bool sp__copy_drives(const struct sp__conn *conn)
{
        return conn->copy && conn->copy->state != SP__COPY_WAITING;
}

bool sp__copy_busy(const struct sp__conn *conn)
{
        const sp_copy *copy = conn->copy;

        return copy && (copy->op || (copy->state != SP__COPY_IN && copy->state != SP__COPY_OUT));
}

static void started(struct sp__conn *conn)
{
        struct sp__unit *unit = conn->copy->unit;

        conn->copy->unit = NULL;
        unit->done_ns = conn->last_ns = sp__now();
        unit->began_ns = unit->sent_ns;
        unit->members = 1;
        if (!unit->first_ns)
                unit->first_ns = unit->done_ns;
        sp__list_push(&conn->ended, &unit->link);
}

/* true: there may be more to do. */
static bool step_start(struct sp__conn *conn)
{
        sp_copy *copy = conn->copy;
        struct sp__unit *unit = copy->unit;
        PGresult *res;

        if (!flushed(conn, EPOLLIN) || PQisBusy(conn->pg))
                return false;
        res = PQgetResult(conn->pg);
        switch (PQresultStatus(res)) {
        case PGRES_COPY_IN:
        case PGRES_COPY_OUT:
                copy->state = PQresultStatus(res) == PGRES_COPY_IN ? SP__COPY_IN : SP__COPY_OUT;
                unit->result = res;
                sp__port_want(&conn->port, copy->state == SP__COPY_IN ? EPOLLIN : 0);
                started(conn);
                return false;
        case PGRES_COMMAND_OK:
                if (unit->lead && unit->lead->answered < unit->lead->count)
                        unit->lead->answered++;
                PQclear(res);
                return true;
        case PGRES_TUPLES_OK: /* of the time limit */
                PQclear(res);
                return true;
        default:
                break;
        }
        if (res && !unit->error) {
                unit->error = res;
        } else if (res) {
                PQclear(res);
        } else {
                started(conn);
                leave(conn);
                return false;
        }
        return true;
}

static void finish_op(sp_copy *copy, sp_value *value, struct sp__batch *done)
{
        struct sp__copying *copying = copy->op;

        copy->op = NULL;
        if (copy->state == SP__COPY_ENDED && copy->error) {
                copy->told = true;
                sp__copy_fail(copying, done);
                sp_value_unref(value);
        } else {
                sp__op_yield(&copying->op, value ? SP__YIELD_VALUE : SP__YIELD_NONE, value,
                             (void (*)(void *))sp_value_unref, done);
        }
        sp__op_unref(&copying->op);
}

static bool step_write(struct sp__conn *conn, struct sp__batch *done)
{
        sp_copy *copy = conn->copy;
        struct sp__copying *op = copy->op;
        size_t n = op ? op->len - op->off : 0;

        if (!op || !flushed(conn, EPOLLIN))
                return false;
        if (n == 0) {
                finish_op(copy, NULL, done);
                return false;
        }
        n = n < CHUNK ? n : CHUNK;
        switch (PQputCopyData(conn->pg, op->data + op->off, (int)n)) {
        case 1:
                op->off += n;
                return true;
        case 0:
                sp__port_want(&conn->port, EPOLLIN | EPOLLOUT);
                return false;
        default:
                sp__copy_kill(conn);
                return false;
        }
}

/* Whole rows, as many as are there. */
static bool step_read(struct sp__conn *conn, struct sp__batch *done)
{
        sp_copy *copy = conn->copy;
        struct sp__buf rows = SP__BUF_INIT;
        char *row;
        int len = 0;

        if (!copy->op)
                return false;
        while (rows.len < CHUNK && (len = PQgetCopyData(conn->pg, &row, 1)) > 0) {
                sp__buf_add(&rows, row, (size_t)len);
                PQfreemem(row);
        }
        if (rows.failed || len < -1)
                sp__copy_kill(conn);
        if (len == -1)
                copy->state = SP__COPY_ENDING;
        if (rows.len > 0 && !rows.failed) {
                sp_value *value = sp_value_new(rows.data, rows.len, SP_CODEC_BYTES);

                if (value)
                        finish_op(copy, value, done);
                else
                        sp__copy_kill(conn);
        }
        sp__buf_free(&rows);
        sp__port_want(&conn->port, copy->op || len == -1 ? EPOLLIN : 0);
        return len == -1;
}

static sp_value *rows_value(int64_t rows)
{
        char text[24];
        int len = snprintf(text, sizeof text, "%lld", (long long)rows);

        return sp_value_new(text, (size_t)len, SP_CODEC_JSON);
}

/* What comes behind the data. */
static void note_end(struct sp__conn *conn, PGresult *res)
{
        sp_copy *copy = conn->copy;

        switch (PQresultStatus(res)) {
        case PGRES_COMMAND_OK:
                copy->rows = strtoll(PQcmdTuples(res), NULL, 10);
                break;
        case PGRES_TUPLES_OK: /* of the time limit */
                break;
        case PGRES_FATAL_ERROR:
                if (copy->error)
                        break;
                copy->error = res;
                copy->failed = true;
                return;
        default:
                /* Not out of the COPY: it would say so for ever. */
                sp__copy_kill(conn);
        }
        PQclear(res);
}

static bool step_end(struct sp__conn *conn, struct sp__batch *done)
{
        sp_copy *copy = conn->copy;
        PGresult *res;

        if (!flushed(conn, EPOLLIN) || PQisBusy(conn->pg))
                return false;
        res = PQgetResult(conn->pg);
        if (res) {
                note_end(conn, res);
                return !conn->lost;
        }
        leave(conn);
        if (copy->op)
                finish_op(copy, copy->op->verb == SP__COPY_END && !copy->error ? rows_value(copy->rows) : NULL, done);
        return false;
}

void sp__copy_advance(struct sp__conn *conn, struct sp__batch *done)
{
        bool more = true;

        while (more && conn->copy && !conn->lost) {
                switch (conn->copy->state) {
                case SP__COPY_STARTING:
                        more = step_start(conn);
                        break;
                case SP__COPY_IN:
                        more = step_write(conn, done);
                        break;
                case SP__COPY_OUT:
                        more = step_read(conn, done);
                        break;
                case SP__COPY_ENDING:
                        more = step_end(conn, done);
                        break;
                default:
                        more = false;
                }
        }
}

void sp__copy_ready(struct sp__conn *conn, uint32_t events, struct sp__batch *done)
{
        bool broken = (events & ~(uint32_t)EPOLLOUT) && PQconsumeInput(conn->pg) != 1;

        sp__copy_advance(conn, done);
        if (broken || conn->lost || PQstatus(conn->pg) == CONNECTION_BAD)
                sp__conn_end(conn, NULL, SP_LOST);
}

void sp__copy_abort(struct sp__conn *conn)
{
        sp_copy *copy = conn->copy;
        struct sp__batch none;

        if (copy->state == SP__COPY_ENDING)
                return;
        if (copy->state != SP__COPY_IN || copy->op || PQputCopyEnd(conn->pg, "given up by its caller") != 1) {
                sp__copy_kill(conn);
                return;
        }
        copy->state = SP__COPY_ENDING;
        sp__batch_init(&none);
        sp__copy_advance(conn, &none);
        if (conn->copy)
                sp__port_engage(&conn->port);
}

void sp__copy_lost(struct sp__conn *conn)
{
        sp_copy *copy = conn->copy;

        if (!copy)
                return;
        conn->copy = NULL;
        conn->copy_left = copy;
        if (copy->unit) {
                copy->unit->unsent = copy->state == SP__COPY_WAITING;
                sp__list_push(&conn->ended, &copy->unit->link);
                copy->unit = NULL;
        }
        copy->state = SP__COPY_ENDED;
        copy->failed = true;
        copy->told |= copy->op != NULL;
        if (copy->op)
                conn->copy_orphan = copy->op;
        copy->op = NULL;
}
