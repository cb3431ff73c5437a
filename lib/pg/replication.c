/* SPDX-License-Identifier: MIT */
#include "pg/replication.h"

#include "base/buf.h"
#include "core/error.h"
#include "loop/exit.h"
#include "pg/dial.h"
#include "pg/fault.h"
#include "pg/pool_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { STATUS_LEN = 34, DATA_HEAD = 25, KEEPALIVE_LEN = 18, LINE_MAX = 300, ANSWER_MS = 5000 };

struct sp__replication {
        sp_pool *pool;
        int stop;
        PGconn *pg;
        char *message; /* the last one, libpq's */
        uint64_t wal_end;

        /* While it is asked where to connect to. */
        sp__mutex lock;
        sp__cond found;
        bool asked;
};

/* As long as the numbers are looked for the dial is the helper's; who waits for it has it. */
static void dialled(struct sp__dial *dial)
{
        struct sp__replication *replication = dial->owner;

        sp__lock(&replication->lock);
        dial->asked = false;
        replication->asked = false;
        pthread_cond_broadcast(&replication->found);
        sp__unlock(&replication->lock);
}

static bool stopped(const struct sp__replication *replication)
{
        struct pollfd poller = {.fd = replication->stop, .events = POLLIN};

        return poll(&poller, 1, 0) > 0;
}

/* Its end is waited for, but hurried. */
static void find_numbers(struct sp__replication *replication, struct sp__dial *dial)
{
        replication->asked = true;
        if (sp__dial_ask(dial)) {
                replication->asked = false;
                return;
        }
        sp__exit_leave();
        sp__lock(&replication->lock);
        while (replication->asked) {
                sp__cond_wait(&replication->found, &replication->lock, sp__now() + 50 * SP__MS);
                if (stopped(replication))
                        atomic_store(&dial->dropped, true);
        }
        sp__unlock(&replication->lock);
        sp__exit_enter();
}

enum waited { READY, LATE, STOPPED };

static enum waited await(const struct sp__replication *replication, short events, int64_t until)
{
        struct pollfd pollers[2] = {{.fd = PQsocket(replication->pg), .events = events},
                                    {.fd = replication->stop, .events = POLLIN}};
        int found;

        sp__exit_leave();
        found = poll(pollers, 2, sp__poll_ms(sp__now(), until));
        sp__exit_enter();
        if (found > 0 && pollers[1].revents)
                return STOPPED;
        if (found > 0 && pollers[0].revents)
                return READY;
        return sp__now() >= until ? LATE : READY;
}

/* One server; true: it stands. `*more`: there is another one to try. */
static bool try_end(struct sp__replication *replication, struct sp__dial *dial, int64_t until, bool *more)
{
        PostgresPollingStatusType step = PGRES_POLLING_WRITING;
        enum waited waited = READY;

        replication->pg = sp__dial_start(dial);
        if (replication->pg && PQstatus(replication->pg) != CONNECTION_BAD) {
                PQsetErrorVerbosity(replication->pg, PQERRORS_VERBOSE);
                while (waited == READY && (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING)) {
                        waited = await(replication, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, until);
                        if (waited == READY)
                                step = PQconnectPoll(replication->pg);
                }
                if (step == PGRES_POLLING_OK)
                        return true;
        }
        *more = waited == LATE ? sp__dial_late(dial) : waited == READY && sp__dial_failed(dial, replication->pg);
        PQfinish(replication->pg);
        replication->pg = NULL;
        return false;
}

static bool connect_to(struct sp__replication *replication, struct sp__dial *dial)
{
        int64_t until = sp__after_ms(sp__now(), replication->pool->limits.connect_ms);
        bool more = sp__dial_left(dial) > 0 && !atomic_load(&dial->dropped);

        while (more) {
                int64_t now = sp__now();

                if (try_end(replication, dial, now + (until - now) / (int64_t)sp__dial_left(dial), &more))
                        return true;
        }
        return false;
}

static void swallow_notice(void *arg, const PGresult *res)
{
}

static sp_status dial_up(struct sp__replication *replication, sp_error **error)
{
        sp_pool *pool = replication->pool;
        struct sp__dial *dial = sp__dial_new(&pool->target, pool->engine, replication, dialled);
        sp_status status = SP_OK;

        if (!dial)
                return sp__fail(error, SP_NOMEM, "out of memory");
        dial->replicates = true;
        find_numbers(replication, dial);
        if (connect_to(replication, dial)) {
                sp__dial_stands(dial);
                PQsetErrorVerbosity(replication->pg, PQERRORS_DEFAULT);
                PQsetNoticeReceiver(replication->pg, swallow_notice, NULL);
                if (PQsetnonblocking(replication->pg, 1) != 0)
                        status = sp__fail(error, SP_NOMEM, "out of memory");
        } else if (stopped(replication)) {
                status = sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
        } else {
                sp__error_give(error, sp__dial_error(dial, pool->limits.connect_ms, &status));
        }
        sp__dial_drop(dial);
        return status;
}

sp_status sp__replication_open(sp_pool *pool, int stop, struct sp__replication **out, sp_error **error)
{
        struct sp__replication *replication = calloc(1, sizeof *replication);
        sp_status status;

        if (!replication)
                return sp__fail(error, SP_NOMEM, "out of memory");
        replication->pool = pool;
        replication->stop = stop;
        sp__mutex_init(&replication->lock);
        sp__cond_init(&replication->found);
        status = dial_up(replication, error);
        if (status == SP_OK)
                *out = replication;
        else
                sp__replication_close(replication);
        return status;
}

void sp__replication_close(struct sp__replication *replication)
{
        if (!replication)
                return;
        PQfreemem(replication->message);
        PQfinish(replication->pg);
        sp__cond_destroy(&replication->found);
        sp__mutex_destroy(&replication->lock);
        free(replication);
}

int sp__replication_pid(const struct sp__replication *replication)
{
        return PQbackendPID(replication->pg);
}

int sp__replication_version(const struct sp__replication *replication)
{
        return PQserverVersion(replication->pg);
}

void sp__replication_literal(struct sp__replication *replication, struct sp__buf *out, const char *text)
{
        char *quoted = PQescapeLiteral(replication->pg, text, strlen(text));

        if (quoted)
                sp__buf_text(out, quoted);
        else
                out->failed = true;
        PQfreemem(quoted);
}

static sp_status lost(const struct sp__replication *replication, sp_error **error)
{
        char line[LINE_MAX];

        snprintf(line, sizeof line, "%s", PQerrorMessage(replication->pg));
        line[strcspn(line, "\n")] = 0;
        return sp__fail(error, SP_LOST, "PostgreSQL at %s: %s", sp__target_place(&replication->pool->target),
                        *line ? line : "the connection ended");
}

static sp_status refused(const struct sp__replication *replication, const PGresult *res, sp_error **error)
{
        const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        const char *code = sp__fault_code(res);

        if (!primary)
                return lost(replication, error);
        sp__error_give(error, sp__error_new(SP_SQL, code, "PostgreSQL at %s: %.*s",
                                            sp__target_place(&replication->pool->target), LINE_MAX, primary));
        return SP_SQL;
}

/* Sends what libpq holds and waits for input. */
static sp_status pump(struct sp__replication *replication, int64_t until, bool *late, sp_error **error)
{
        int left = PQflush(replication->pg);
        enum waited waited;

        if (left < 0)
                return lost(replication, error);
        waited = await(replication, (short)(left > 0 ? POLLIN | POLLOUT : POLLIN), until);
        *late = waited == LATE;
        if (waited == STOPPED)
                return sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
        return PQconsumeInput(replication->pg) ? SP_OK : lost(replication, error);
}

/* The next result; `*out` NULL: there is none any more. */
static sp_status next_result(struct sp__replication *replication, int64_t until, PGresult **out, sp_error **error)
{
        bool late = false;

        while (PQisBusy(replication->pg) || PQflush(replication->pg) > 0) {
                sp_status status = late ? sp__fail(error, SP_TIMEOUT, "PostgreSQL at %s did not answer in time",
                                                   sp__target_place(&replication->pool->target))
                                        : pump(replication, until, &late, error);

                if (status != SP_OK)
                        return status;
        }
        *out = PQgetResult(replication->pg);
        return SP_OK;
}

/* The last one of several; one that begins a COPY is the last. */
static sp_status last_result(struct sp__replication *replication, int64_t until, PGresult **out, sp_error **error)
{
        PGresult *last = NULL, *res = NULL;
        sp_status status;

        while ((status = next_result(replication, until, &res, error)) == SP_OK && res) {
                PQclear(last);
                last = res;
                if (PQresultStatus(res) == PGRES_COPY_BOTH)
                        break;
        }
        if (status != SP_OK) {
                PQclear(last);
                return status;
        }
        *out = last;
        return last ? SP_OK : lost(replication, error);
}

static sp_status answer(struct sp__replication *replication, int64_t until, PGresult **out, sp_error **error)
{
        sp_status status = last_result(replication, until, out, error);

        if (status == SP_OK && PQresultStatus(*out) == PGRES_FATAL_ERROR) {
                status = refused(replication, *out, error);
                PQclear(*out);
                *out = NULL;
        }
        return status;
}

static sp_status ask(struct sp__replication *replication, const char *text, int64_t timeout_ms, PGresult **out,
                     sp_error **error)
{
        if (PQsendQuery(replication->pg, text) != 1)
                return lost(replication, error);
        return answer(replication, sp__after_ms(sp__now(), timeout_ms), out, error);
}

sp_status sp__replication_ask(struct sp__replication *replication, const char *text, int64_t timeout_ms, PGresult **out,
                              sp_error **error)
{
        return ask(replication, text, timeout_ms, out, error);
}

sp_status sp__replication_send(struct sp__replication *replication, const char *text, sp_error **error)
{
        return PQsendQuery(replication->pg, text) == 1 ? SP_OK : lost(replication, error);
}

/* Once it begins to come the rest of it does not take long. */
sp_status sp__replication_answer(struct sp__replication *replication, int64_t until, PGresult **out, sp_error **error)
{
        bool late = false;

        *out = NULL;
        while (PQisBusy(replication->pg) || PQflush(replication->pg) > 0) {
                sp_status status = pump(replication, until, &late, error);

                if (status != SP_OK || late)
                        return status;
        }
        return answer(replication, sp__after_ms(sp__now(), ANSWER_MS), out, error);
}

/* From 14 on it tells messages, too. */
sp_status sp__replication_start(struct sp__replication *replication, const char *slot, const char *publication,
                                sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT, name = SP__BUF_INIT;
        PGresult *res = NULL;
        sp_status status;

        sp__buf_identifier(&name, publication);
        sp__buf_char(&name, 0);
        sp__buf_text(&text, "START_REPLICATION SLOT ");
        sp__buf_identifier(&text, slot);
        sp__buf_text(&text, " LOGICAL 0/0 (proto_version '1', publication_names ");
        if (!name.failed)
                sp__replication_literal(replication, &text, name.data);
        sp__buf_text(&text, PQserverVersion(replication->pg) >= 140000 ? ", messages 'true')" : ")");
        sp__buf_char(&text, 0);
        if (text.failed || name.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else
                status = ask(replication, text.data, replication->pool->limits.connect_ms, &res, error);
        if (status == SP_OK && PQresultStatus(res) != PGRES_COPY_BOTH)
                status = sp__fail(error, SP_PROTOCOL, "PostgreSQL at %s: an answer to START_REPLICATION that is none",
                                  sp__target_place(&replication->pool->target));
        PQclear(res);
        sp__buf_free(&text);
        sp__buf_free(&name);
        return status;
}

static uint64_t get_number(const char *at)
{
        uint64_t number = 0;

        for (int i = 0; i < 8; i++)
                number = number << 8 | (unsigned char)at[i];
        return number;
}

static void put_number(char *at, uint64_t number)
{
        for (int i = 0; i < 8; i++)
                at[i] = (char)(number >> (56 - 8 * i));
}

static bool take(struct sp__replication *replication, int len, struct sp__replicated *out)
{
        const char *message = replication->message;
        uint64_t end;

        if (*message == 'w' && len >= DATA_HEAD) {
                out->data = message + DATA_HEAD;
                out->len = (size_t)len - DATA_HEAD;
                end = get_number(message + 9);
        } else if (*message == 'k' && len >= KEEPALIVE_LEN) {
                out->caught_up = true;
                out->asks = message[17] != 0;
                end = get_number(message + 1);
        } else {
                return false;
        }
        if (end > replication->wal_end)
                replication->wal_end = end;
        out->place = end;
        out->wal_end = replication->wal_end;
        return true;
}

/* The COPY ended: the server says why, or is gone. */
static sp_status ended(struct sp__replication *replication, sp_error **error)
{
        PGresult *res = NULL;
        sp_status status = last_result(replication, sp__now() + SP__SECOND, &res, error);

        if (status != SP_OK)
                return status;
        status = PQresultStatus(res) == PGRES_FATAL_ERROR
                     ? refused(replication, res, error)
                     : sp__fail(error, SP_LOST, "PostgreSQL at %s ended the stream",
                                sp__target_place(&replication->pool->target));
        PQclear(res);
        return status;
}

sp_status sp__replication_next(struct sp__replication *replication, int64_t until, struct sp__replicated *out,
                               sp_error **error)
{
        bool late = false;

        *out = (struct sp__replicated){.wal_end = replication->wal_end};
        for (;;) {
                sp_status status;
                int len;

                PQfreemem(replication->message);
                replication->message = NULL;
                len = PQgetCopyData(replication->pg, &replication->message, 1);
                if (len > 0)
                        return take(replication, len, out)
                                   ? SP_OK
                                   : sp__fail(error, SP_PROTOCOL, "PostgreSQL at %s: a message that makes no sense",
                                              sp__target_place(&replication->pool->target));
                if (len == -1)
                        return ended(replication, error);
                if (len < 0)
                        return lost(replication, error);
                if (late)
                        return SP_OK;
                status = pump(replication, until, &late, error);
                if (status != SP_OK)
                        return status;
        }
}

/* Microseconds since 2000, by which the server measures the lag that it shows. */
static uint64_t server_time(void)
{
        struct timeval now;

        gettimeofday(&now, NULL);
        return ((uint64_t)now.tv_sec - 946684800) * 1000000 + (uint64_t)now.tv_usec;
}

sp_status sp__replication_confirm(struct sp__replication *replication, uint64_t lsn, sp_error **error)
{
        char message[STATUS_LEN] = {'r'};

        put_number(message + 1, lsn);
        put_number(message + 9, lsn);
        put_number(message + 17, lsn);
        put_number(message + 25, server_time());
        if (PQputCopyData(replication->pg, message, sizeof message) < 0 || PQflush(replication->pg) < 0)
                return lost(replication, error);
        return SP_OK;
}
