/* SPDX-License-Identifier: MIT */
/*
 * Cancelling at the server. A cancel request names a connection, not a statement: it is only sent for a connection that runs
 * nothing else, and nobody gets that connection before both the request is through and the statement has ended; if it ended
 * otherwise than by the request, the connection is given up.
 *
 * In a session the holder's next statements wait for that (turn.c). Then the request can do nothing any more: the server sends
 * the signal before it closes the request's connection, and a backend that gets one while it waits for a command forgets it
 * before it begins the next. If the request failed half-way it may still be on its way: the session ends there.
 */
#include "pg/fault.h"
#include "pg/pool_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 256, FIRST_AGAIN_MS = 16, LAST_PAUSE_MS = 512 };

struct cancel {
        struct sp__task task;
        struct sp__conn *conn;
        PGcancel *request;
        bool unclear;          /* one may still be on its way */
        char message[MESSAGE]; /* not on a stack that may be unwound */
};

static bool begin(struct sp__conn *conn)
{
        conn->cancelling++;
        return conn->cancelled = true;
}

/* Whatever a request hits there may be hit. */
static bool all_doomed(const struct sp__conn *conn)
{
        return conn->doomed > 0 && conn->doomed == conn->load;
}

bool sp__cancel_wanted(struct sp__query *query)
{
        struct sp__conn *conn = query->conn;

        if (!conn || query->doomed || !(conn->alone || query->in_session))
                return false;
        query->doomed = true;
        conn->doomed++;
        return all_doomed(conn) && begin(conn);
}

void sp__cancel_ended(struct sp__conn *conn, struct sp__query *query)
{
        bool hit = query->unit.done_ns && strcmp(sp__fault_code(query->unit.error), "57014") == 0;

        if (conn->cancelled && !hit && !query->unit.unsent)
                conn->retire = true;
        if (!query->unit.unsent)
                conn->cancelled = false;
        if (query->doomed)
                conn->doomed--;
        query->doomed = false;
}

bool sp__cancel_due(struct sp__conn *conn)
{
        return !conn->cancelling && !conn->cancelled && all_doomed(conn) && begin(conn);
}

static void finish(struct sp__conn *conn, bool sent, bool unclear)
{
        sp_pool *pool = conn->pool;

        sp__lock(&pool->lock);
        conn->cancelling--;
        if (!sent)
                conn->cancelled = false;
        conn->retire |= unclear;
        if (conn->session && unclear)
                sp__session_spoil(conn->session, "a cancel request may still be on its way");
        if (conn->session)
                sp__session_wake(conn->session);
        sp__unlock(&pool->lock);
        sp__pool_account(conn);
}

static void end_request(void *arg)
{
        struct cancel *cancel = arg;

        PQfreeCancel(cancel->request);
        finish(cancel->conn, true, cancel->unclear);
        free(cancel);
}

static void request(struct cancel *cancel)
{
        /* Until it is through. */
        bool before = cancel->unclear;

        cancel->unclear = true;
        if (PQcancel(cancel->request, cancel->message, sizeof cancel->message) == 1)
                cancel->unclear = before;
}

static bool still_runs(struct sp__conn *conn)
{
        bool runs;

        sp__lock(&conn->pool->lock);
        runs = conn->cancelled;
        sp__unlock(&conn->pool->lock);
        return runs;
}

/* A request that comes before the server has read the statement does nothing: it is made again, for a second at most. */
static void insist(struct cancel *cancel)
{
        for (int ms = 1; ms <= LAST_PAUSE_MS && still_runs(cancel->conn); ms *= 2) {
                poll(NULL, 0, ms);
                if (ms >= FIRST_AGAIN_MS && still_runs(cancel->conn))
                        request(cancel);
        }
}

/* A helper thread. libpq waits without end for a server that takes the request and does not hang up. */
static void send_request(struct sp__task *task)
{
        struct cancel *cancel = SP__OF(task, struct cancel, task);

        pthread_cleanup_push(end_request, cancel);
        if (sp__engine_unbound(cancel->conn->port.engine)) {
                request(cancel);
                insist(cancel);
                sp__engine_bound();
        }
        pthread_cleanup_pop(1);
}

void sp__pool_cancel(struct sp__conn *conn)
{
        PGcancel *request = sp__conn_cancel(conn);
        struct cancel *cancel = request ? malloc(sizeof *cancel) : NULL;

        if (!cancel) {
                PQfreeCancel(request);
                finish(conn, false, false);
                return;
        }
        *cancel = (struct cancel){.task.run = send_request, .conn = conn, .request = request};
        atomic_fetch_add(&conn->pool->counts.cancels, 1);
        sp__engine_offload(conn->port.engine, SP__ASIDE_SHORT, &cancel->task);
}
