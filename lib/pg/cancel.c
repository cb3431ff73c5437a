/* SPDX-License-Identifier: MIT */
/*
 * Cancelling at the server. A cancel request names a connection, not a statement: it is only sent for a connection that runs
 * nothing else, and nobody gets that connection before both the request is through and the statement has ended; if it ended
 * otherwise than by the request, the connection is given up.
 */
#include "pg/pool_internal.h"

#include <poll.h>
#include <stdlib.h>

enum { MESSAGE = 256, FIRST_AGAIN_MS = 16, LAST_PAUSE_MS = 512 };

struct cancel {
        struct sp__task task;
        struct sp__conn *conn;
        PGcancel *request;
        char message[MESSAGE]; /* not on a stack that may be unwound */
};

static void finish(struct sp__conn *conn, bool sent)
{
        sp_pool *pool = conn->pool;

        sp__lock(&pool->lock);
        conn->cancelling--;
        if (!sent)
                conn->cancelled = false;
        sp__unlock(&pool->lock);
        sp__pool_account(conn);
}

static void end_request(void *arg)
{
        struct cancel *cancel = arg;

        PQfreeCancel(cancel->request);
        finish(cancel->conn, true);
        free(cancel);
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
                        PQcancel(cancel->request, cancel->message, sizeof cancel->message);
        }
}

/* Helper thread. libpq waits without end for a server that takes the request and does not hang up. */
static void send_request(struct sp__task *task)
{
        struct cancel *cancel = SP__OF(task, struct cancel, task);

        pthread_cleanup_push(end_request, cancel);
        if (sp__engine_unbound(cancel->conn->port.engine)) {
                PQcancel(cancel->request, cancel->message, sizeof cancel->message);
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
                finish(conn, false);
                return;
        }
        *cancel = (struct cancel){.task.run = send_request, .conn = conn, .request = request};
        atomic_fetch_add(&conn->pool->counts.cancels, 1);
        sp__engine_offload(conn->port.engine, &cancel->task);
}
