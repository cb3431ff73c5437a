/* SPDX-License-Identifier: MIT */
/* Sending units and taking their answers apart. */
#include "pg/conn_io.h"

#include "core/error.h"
#include "core/params.h"
#include "pg/fault.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NULLS_MAX = 8, EVICT_LEN = 64, GROUP_MAX = 32, GROUPS = 2 };

/* Measured over one connection with libpq 15: 68 k/s with a Sync each, 125 k/s per 16, 132 k/s per 32, 88 k/s per 64. */

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

static struct sp__unit *unit_at(struct sp__list *link)
{
        return SP__OF(link, struct sp__unit, link);
}

static void push(struct sp__conn *conn, struct sp__unit *unit)
{
        sp__list_push(&conn->flights, &unit->link);
        if (conn->at == &conn->flights)
                conn->at = &unit->link;
        conn->open++;
}

/* libpq 17 buffers a Sync; before, it flushes with each. */
static bool put_sync(PGconn *pg)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
        return PQsendPipelineSync(pg) == 1;
#else
        return PQpipelineSync(pg) == 1;
#endif
}

/* The Sync of those that have none. */
static bool put_close(struct sp__conn *conn)
{
        if (conn->open == 0)
                return true;
        unit_at(conn->flights.prev)->closes = true;
        conn->open = 0;
        conn->syncs++;
        conn->unflushed = true;
        return put_sync(conn->pg);
}

/* A unit of the connection's own, that nobody waits for. `mode`: all that follows relies on it. */
static bool put_own(struct sp__conn *conn, const char *text, bool mode)
{
        struct sp__unit *unit = put_close(conn) ? calloc(1, sizeof *unit) : NULL;

        if (!unit)
                return false;
        unit->due = 1;
        sp__unit_set_reads(unit, mode);
        push(conn, unit);
        return PQsendQueryParams(conn->pg, text, 0, NULL, NULL, NULL, NULL, 0) == 1 && put_close(conn);
}

/* Once: what it was set to for this user or database, or in the connection's options, stays as long as the session. */
static bool put_level(struct sp__conn *conn)
{
        if (conn->asked_level)
                return true;
        conn->asked_level = true;
        return put_own(conn, "SHOW default_transaction_isolation", false);
}

/* RESET rather than off: it may be the server's own setting for this user. */
static bool put_mode(struct sp__conn *conn, bool reads)
{
        if (conn->plain || conn->read_only == reads)
                return true;
        if (reads && !put_level(conn))
                return false;
        conn->read_only = reads;
        return put_own(conn, reads ? "SET default_transaction_read_only = on" : "RESET default_transaction_read_only",
                       true);
}

/* DISCARD ALL but for what is prepared, which we know of. With a Sync of its own: a lock outlives the failure of who took it. */
static bool put_reset(struct sp__conn *conn)
{
        static const char *const words[] = {
            "CLOSE ALL",        "SET SESSION AUTHORIZATION DEFAULT",          "RESET ALL",
            "UNLISTEN *",       "SELECT pg_catalog.pg_advisory_unlock_all()", "DISCARD TEMP",
            "DISCARD SEQUENCES"};
        struct sp__unit *unit = put_close(conn) ? calloc(1, sizeof *unit) : NULL;

        if (!unit)
                return false;
        unit->resets = true;
        unit->due = sizeof words / sizeof *words;
        push(conn, unit);
        conn->read_only = false;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
                if (PQsendQueryParams(conn->pg, words[i], 0, NULL, NULL, NULL, NULL, 0) != 1)
                        return false;
        }
        return put_close(conn);
}

/* Room for what is to be prepared. */
static bool put_evict(struct sp__conn *conn, struct sp__unit *unit)
{
        char evicted[SP__STMT_ID], text[EVICT_LEN];

        sp__prepared_add(&conn->prepared, unit->stmt, unit->sent_ns, evicted);
        snprintf(text, sizeof text, "DEALLOCATE %s", evicted);
        return !*evicted || put_own(conn, text, false);
}

static bool put_prepare(struct sp__conn *conn, struct sp__unit *unit)
{
        unit->preparing = true;
        unit->due++;
        return PQsendPrepare(conn->pg, unit->stmt->id, unit->stmt->text, 0, NULL) == 1;
}

static bool put_command(struct sp__conn *conn, struct sp__unit *unit, const struct sp__params_view *view, bool named)
{
        const char *text = unit->stmt ? unit->stmt->text : unit->text;

        unit->due++;
        if (named)
                return PQsendQueryPrepared(conn->pg, unit->stmt->id, view->count, view->values, view->lengths,
                                           view->formats, 0) == 1;
        return PQsendQueryParams(conn->pg, text, view->count, NULL, view->values, view->lengths, view->formats, 0) == 1;
}

static bool put_sets(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params, bool named)
{
        struct sp__params_view view;

        unit->sets->answered = 0;
        for (uint32_t i = 0; i < unit->sets->count; i++) {
                if (!sp__params_view_set(params, i, &view) || !put_command(conn, unit, &view, named))
                        return false;
        }
        return true;
}

static bool put_lead(struct sp__conn *conn, struct sp__unit *unit)
{
        struct sp__lead *lead = unit->lead;
        struct sp__params_view view;

        if (!lead)
                return true;
        lead->answered = 0;
        unit->due += lead->count;
        for (uint32_t i = 0; i < lead->count; i++) {
                if (!sp__params_view(lead->items[i].params, &view) ||
                    PQsendQueryParams(conn->pg, lead->items[i].text, view.count, NULL, view.values, view.lengths,
                                      view.formats, 0) != 1)
                        return false;
        }
        return true;
}

/* What is not prepared by a name passes for doubted. */
static enum sp__prepared_state look(struct sp__conn *conn, const struct sp__unit *unit)
{
        if (!unit->stmt || conn->prepared.cap == 0 || (unit->stmt->flags & SP_STMT_UNNAMED))
                return SP__PREPARED_DOUBTED;
        return sp__prepared_look(&conn->prepared, unit->stmt, unit->sent_ns);
}

/* In a transaction that failed nothing could be deallocated, and nothing runs. */
static bool is_prepared(const struct sp__conn *conn, const struct sp__unit *unit, enum sp__prepared_state state)
{
        if (state == SP__PREPARED_READY)
                return !unit->anew;
        return state == SP__PREPARED_OLD && PQtransactionStatus(conn->pg) == PQTRANS_INERROR;
}

/* What is prepared here has a Sync of its own too: what relies on it may be in the next group already. */
static bool put_unit(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params,
                     const struct sp__params_view *view)
{
        enum sp__prepared_state state = look(conn, unit);
        bool named = state != SP__PREPARED_DOUBTED;
        bool ready = !named || is_prepared(conn, unit, state);
        bool alone = !unit->shares || !ready || conn->plain || !conn->together || unit->lead;

        unit->due = 0;
        /* Nobody refuses its writes. */
        if (conn->plain)
                sp__unit_set_reads(unit, false);
        unit->plan = unit->stmt ? atomic_load_explicit(&unit->stmt->plan, memory_order_relaxed) : 0;
        if ((!unit->neutral && !put_mode(conn, sp__unit_reads(unit))) || (alone && !put_close(conn)))
                return false;
        if ((!ready && !put_evict(conn, unit)) || !put_lead(conn, unit) || (!ready && !put_prepare(conn, unit)) ||
            !(unit->sets ? put_sets(conn, unit, params, named) : put_command(conn, unit, view, named)))
                return false;
        push(conn, unit);
        sp__conn_note_change(conn, unit);
        if (unit->preparing && unit->inside)
                sp__prepared_doubt(&conn->prepared, unit->stmt);
        return ((!alone && conn->open < GROUP_MAX) || put_close(conn)) && (!unit->resets || put_reset(conn));
}

/* An error in whatever transaction is open, and nothing where none is. It shows in the server's log. */
static bool put_instead(struct sp__conn *conn, struct sp__unit *unit)
{
        static const char text[] = "ROLLBACK TO SAVEPOINT \"a statement of this transaction ended before it was sent\"";

        unit->due = 0;
        if (!put_close(conn) || !put_mode(conn, false) || !put_lead(conn, unit) ||
            PQsendQueryParams(conn->pg, text, 0, NULL, NULL, NULL, NULL, 0) != 1)
                return false;
        unit->due++;
        push(conn, unit);
        return put_close(conn);
}

void sp__conn_put(struct sp__conn *conn, struct sp__unit *unit, const sp_params *params)
{
        struct sp__params_view view;

        if (conn->lost || (!unit->instead && !sp__params_view(params, &view)))
                unit->unsent = conn->lost = true;
        else if (!(unit->instead ? put_instead(conn, unit) : put_unit(conn, unit, params, &view)))
                conn->lost = true;
        if (!sp__list_linked(&unit->link))
                push(conn, unit);
}

/* Before libpq 17 a flush would send a group piece by piece, so that only Syncs are flushed. */
void sp__conn_write(struct sp__conn *conn)
{
        bool gone = conn->open > 0 && conn->syncs < GROUPS && !put_close(conn);
        int left = conn->unflushed && !gone ? PQflush(conn->pg) : 0;

        if (gone || left < 0) {
                conn->lost = true;
                shutdown(conn->port.fd, SHUT_RDWR);
        }
        conn->unflushed = left > 0;
        sp__port_want(&conn->port, left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

bool sp__conn_writes(struct sp__conn *conn)
{
        return put_mode(conn, false);
}

static bool in_transaction(const PGconn *pg)
{
        PGTransactionStatusType status = PQtransactionStatus(pg);

        /* ACTIVE: more is in flight. What the Sync said is then not to be had, and is asked again at the next. */
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

/*
 * Up to the oldest Sync: how many, 0 if libpq has not told of all of them. `*failed`: one was refused; what the Sync itself was
 * answered with (a deferred constraint) counts as its last one's.
 */
static uint32_t measure_group(const struct sp__conn *conn, bool *failed)
{
        uint32_t members = 0;

        *failed = false;
        SP__EACH(&conn->flights, at, after)
        {
                struct sp__unit *unit = unit_at(at);

                members++;
                *failed |= unit->error != NULL;
                if (unit->due > 0)
                        return 0;
                if (unit->closes)
                        return members;
        }
        return 0;
}

static void clear(struct sp__unit *unit)
{
        PQclear(unit->result);
        PQclear(unit->error);
        unit->result = unit->error = NULL;
}

/* By the caller's own words, after which none of what we prepared is there. */
static bool forgets(const struct sp__unit *unit)
{
        const char *tag;

        if (!unit->stmt || !unit->stmt->sql.dirties || !unit->result)
                return false;
        tag = PQcmdStatus(unit->result);
        return strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0;
}

/* Its time to wait for locks was over (lock_timeout), or all that it has. */
static bool waited_too_long(const PGresult *error)
{
        return strcmp(sp__fault_code(error), "55P03") == 0 || sp__fault_by_time_limit(error);
}

/*
 * By the locks of the group, not its own: a deadlock, or a wait for who waits for one of them that its time was over before the
 * server looked for deadlocks. The first one found none of the group's.
 */
static bool entangled(const struct sp__unit *unit, bool first)
{
        return unit->members > 1 &&
               (strcmp(sp__fault_code(unit->error), "40P01") == 0 || (!first && waited_too_long(unit->error)));
}

/* Of the connection's own. */
static void finish_own(struct sp__conn *conn, struct sp__unit *unit)
{
        /* Who forbids SET (a proxy) shares nothing. */
        conn->plain |= sp__unit_reads(unit) && unit->error;
        if (PQntuples(unit->result) == 1)
                conn->together = strstr(PQgetvalue(unit->result, 0, 0), "committed") != NULL;
        /* What was left is the next one's. */
        conn->lost |= unit->resets && unit->error;
        /* In a transaction that failed nothing can be forgotten. */
        if (!sp__unit_reads(unit) && strcmp(sp__fault_code(unit->error), "25P02") == 0)
                atomic_store_explicit(&conn->muddled, true, memory_order_relaxed);
        clear(unit);
        free(unit);
}

/* In a group that failed only the one that did so is answered. */
static void finish_member(struct sp__conn *conn, struct sp__unit *unit, bool first, bool failed)
{
        if (forgets(unit))
                sp__prepared_clear(&conn->prepared);
        if (unit->preparing && unit->prepared)
                sp__prepared_trust(&conn->prepared, unit->stmt);
        else if (unit->preparing)
                sp__prepared_remove(&conn->prepared, unit->stmt);
        unit->undone = failed && unit->members > 1 && (!unit->error || unit->result || entangled(unit, first));
        if (unit->undone)
                clear(unit);
        if (unit->stmt || unit->text)
                sp__list_push(&conn->ended, &unit->link);
        else
                finish_own(conn, unit);
}

/* A Sync came. */
static void finish(struct sp__conn *conn, int64_t now)
{
        int64_t began = 0;
        uint32_t members;
        bool failed;

        members = measure_group(conn, &failed);
        if (members == 0) {
                conn->lost = true;
                return;
        }
        for (uint32_t i = 0; i < members; i++) {
                struct sp__unit *unit = unit_at(conn->flights.next);

                if (i == 0)
                        began = unit->sent_ns > conn->last_ns ? unit->sent_ns : conn->last_ns;
                unit->began_ns = began;
                unit->done_ns = now;
                unit->first_ns = unit->first_ns ? unit->first_ns : now;
                unit->members = members;
                if (conn->at == &unit->link)
                        conn->at = unit->link.next;
                sp__list_remove(&unit->link);
                finish_member(conn, unit, i == 0, failed);
        }
        conn->syncs--;
        conn->last_ns = now;
        atomic_store_explicit(&conn->in_tx, in_transaction(conn->pg), memory_order_release);
        sp__conn_settle_change(conn, in_transaction(conn->pg));
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

/* Whose answer comes; its Sync's, where it has no other any more. */
static struct sp__unit *current(struct sp__conn *conn)
{
        return unit_at(conn->at == &conn->flights ? conn->flights.prev : conn->at);
}

/* One of a unit's commands was answered. */
static void count_answer(struct sp__conn *conn, struct sp__unit *unit)
{
        if (unit->due > 0)
                unit->due--;
        if (unit->due == 0 && !unit->closes && conn->at == &unit->link)
                conn->at = unit->link.next;
}

static void take(struct sp__conn *conn, PGresult *res, int64_t now)
{
        struct sp__unit *unit = current(conn);
        ExecStatusType status = PQresultStatus(res);

        if (status == PGRES_PIPELINE_SYNC) {
                PQclear(res);
                finish(conn, now);
                return;
        }
        if (unit->first_ns == 0)
                unit->first_ns = now;
        if (status == PGRES_FATAL_ERROR && !unit->error) {
                unit->error = res;
        } else if (status == PGRES_PIPELINE_ABORTED || status == PGRES_FATAL_ERROR) {
                PQclear(res);
        } else if (is_copy(status)) {
                /* Not possible in pipeline mode, and libpq does not see to it. */
                PQclear(res);
                conn->lost = true;
        } else if (unit->lead && unit->lead->answered < unit->lead->count) {
                unit->lead->answered++;
                unit->first_ns = 0;
                PQclear(res);
        } else if (unit->preparing && !unit->prepared) {
                unit->prepared = true;
                unit->first_ns = 0;
                PQclear(res);
        } else if (unit->sets && unit->sets->answered < unit->sets->count) {
                unit->sets->results[unit->sets->answered++] = res;
        } else {
                keep(&unit->result, res);
        }
        count_answer(conn, unit);
}

static void take_all(struct sp__conn *conn)
{
        int64_t now = sp__now();
        bool took = false;

        conn->nulls = 0;
        while (!sp__list_empty(&conn->flights) && !conn->lost) {
                PGresult *res;

                if (PQisBusy(conn->pg)) {
                        /* What came begins its answer, unless it was another one's. */
                        if (!took && current(conn)->first_ns == 0)
                                current(conn)->first_ns = now;
                        break;
                }
                res = PQgetResult(conn->pg);
                if (res) {
                        took = true;
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

/* In the order in which they came. What a session listens to by itself is nobody's, nor a later listener's. */
static void hear(struct sp__conn *conn)
{
        PGnotify *note;

        if (!conn->notes)
                conn->notes_end = &conn->notes;
        while ((note = PQnotifies(conn->pg))) {
                if (!conn->listening) {
                        PQfreemem(note);
                        continue;
                }
                *conn->notes_end = note;
                conn->notes_end = &note->next;
        }
}

bool sp__conn_dying(struct sp__conn *conn)
{
        if (sp__list_empty(&conn->flights))
                PQisBusy(conn->pg);
        return conn->dying;
}

void sp__conn_read(struct sp__conn *conn, uint32_t events, struct sp__batch *done)
{
        bool broken;

        if (events & EPOLLOUT)
                sp__conn_write(conn);
        broken = PQconsumeInput(conn->pg) != 1;
        /* Answers that arrived before the connection broke count. */
        take_all(conn);
        sp__copy_begin(conn);
        hear(conn);
        if (conn->target->minds && conn->ready)
                atomic_store_explicit(&conn->unfit, sp__conn_unfit(conn), memory_order_relaxed);
        if (broken || conn->lost || PQstatus(conn->pg) == CONNECTION_BAD || sp__conn_dying(conn))
                sp__conn_end(conn, NULL, SP_LOST);
        else if ((conn->port.want & EPOLLOUT) || (conn->open > 0 && conn->syncs == 0))
                sp__conn_write(conn);
        else if (conn->open > 0)
                /* The server is busy with another group: those that are answered now may join this one. */
                sp__port_flush(&conn->port, false, done);
}

/* What no Sync follows never takes effect. */
static void mark_unsent(struct sp__conn *conn)
{
        for (struct sp__list *at = conn->flights.prev; at != &conn->flights && !unit_at(at)->closes; at = at->prev)
                unit_at(at)->unsent = true;
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
        conn->ready = conn->lost = conn->unflushed = conn->read_only = conn->listening = false;
        conn->asked_level = conn->together = false;
        conn->notices = NULL;
        conn->open = conn->syncs = 0;
        conn->at = &conn->flights;
        atomic_store(&conn->in_tx, false);
        sp__conn_tell_change(conn);
        sp_error_free(conn->why);
        conn->why = why;
        conn->why_status = status;
        conn->closed_news = true;
        mark_unsent(conn);
        sp__copy_lost(conn);
        while ((link = sp__list_pop(&conn->flights))) {
                struct sp__unit *unit = unit_at(link);

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
