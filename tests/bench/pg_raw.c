/* SPDX-License-Identifier: MIT */
/*
 * libpq as its manual shows it: a thread, a connection, a prepared statement, one query after the other. `--mode shared`: the
 * callers share 20 connections and a mutex, the pool that one writes first. `--mode write`: one connection in pipeline mode,
 * `--callers` updates in flight, each with a Sync of its own. `--mode stream`: a cursor, page after page.
 */
#include "driver.h"

#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void query(void *state, uint32_t item)
{
        PGconn *conn = state;
        char text[16];
        const char *values[] = {text};
        int lengths[] = {snprintf(text, sizeof text, "%u", (unsigned)item)};
        PGresult *result = PQexecPrepared(conn, "s", 1, values, lengths, NULL, 0);

        if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || PQgetlength(result, 0, 1) == 0)
                driver_die("PQexecPrepared: %s", PQerrorMessage(conn));
        PQclear(result);
}

static PGconn *connect_to(const char *url)
{
        PGconn *conn = PQconnectdb(url);

        if (PQstatus(conn) != CONNECTION_OK)
                driver_die("PQconnectdb: %s", PQerrorMessage(conn));
        return conn;
}

static PGconn *prepared(const char *url)
{
        PGconn *conn = connect_to(url);

        PQclear(PQprepare(conn, "s", "SELECT id, title FROM bench_items WHERE id = $1", 1, NULL));
        query(conn, 1);
        return conn;
}

static void body(struct driver_caller *caller, void *arg)
{
        PGconn *conn = prepared(driver_options_of(caller)->url);

        driver_loop(caller, query, conn, 1);
        PQfinish(conn);
}

enum { SHARED = 20 };

/* Those that nobody uses, latest first. */
struct shared {
        pthread_mutex_t lock;
        pthread_cond_t back;
        PGconn *conns[SHARED];
        int count;
};

static void shared_query(void *state, uint32_t item)
{
        struct shared *shared = state;
        PGconn *conn;

        pthread_mutex_lock(&shared->lock);
        while (shared->count == 0)
                pthread_cond_wait(&shared->back, &shared->lock);
        conn = shared->conns[--shared->count];
        pthread_mutex_unlock(&shared->lock);
        query(conn, item);
        pthread_mutex_lock(&shared->lock);
        shared->conns[shared->count++] = conn;
        pthread_mutex_unlock(&shared->lock);
        pthread_cond_signal(&shared->back);
}

static void shared_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, shared_query, arg, 1);
}

static void run_shared(const struct driver_options *options)
{
        struct shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .back = PTHREAD_COND_INITIALIZER, .count = SHARED};

        for (int i = 0; i < SHARED; i++)
                shared.conns[i] = prepared(options->url);
        driver_run(options, options->callers, shared_body, &shared);
        for (int i = 0; i < SHARED; i++)
                PQfinish(shared.conns[i]);
}

/* When the updates in flight were sent, a ring. */
struct updates {
        struct driver_caller *caller;
        PGconn *conn;
        int64_t *starts;
        uint32_t depth, first, count;
};

static void put(struct updates *work)
{
        char text[16];
        const char *values[] = {text};
        int lengths[] = {snprintf(text, sizeof text, "%u", (unsigned)driver_item(work->caller))};

        if (PQsendQueryPrepared(work->conn, "s", 1, values, lengths, NULL, 0) != 1 || PQpipelineSync(work->conn) != 1)
                driver_die("PQsendQueryPrepared: %s", PQerrorMessage(work->conn));
        work->starts[(work->first + work->count++) % work->depth] = driver_now();
}

/* Both directions, so that neither end waits for the other to read. */
static void exchange(struct updates *work)
{
        struct pollfd fd = {.fd = PQsocket(work->conn), .events = POLLIN};

        if (PQflush(work->conn) == 1)
                fd.events |= POLLOUT;
        poll(&fd, 1, -1);
        if (PQconsumeInput(work->conn) != 1)
                driver_die("PQconsumeInput: %s", PQerrorMessage(work->conn));
}

static void take(struct updates *work)
{
        exchange(work);
        for (int nulls = 0; work->count > 0 && nulls < 2 && !PQisBusy(work->conn);) {
                PGresult *result = PQgetResult(work->conn);
                ExecStatusType status = PQresultStatus(result);

                nulls = result ? 0 : nulls + 1;
                if (result && status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_SYNC)
                        driver_die("PQgetResult: %s", PQerrorMessage(work->conn));
                if (result && status == PGRES_PIPELINE_SYNC) {
                        driver_record(work->caller, work->starts[work->first], driver_now(), 1);
                        work->first = (work->first + 1) % work->depth;
                        work->count--;
                }
                PQclear(result);
        }
}

static void update_body(struct driver_caller *caller, void *arg)
{
        struct updates work = {.caller = caller,
                               .conn = connect_to(driver_options_of(caller)->url),
                               .depth = driver_options_of(caller)->callers};

        work.starts = calloc(work.depth, sizeof *work.starts);
        PQclear(PQprepare(work.conn, "s", "UPDATE bench_counts SET n = n + 1 WHERE id = $1", 1, NULL));
        if (!work.starts || PQsetnonblocking(work.conn, 1) != 0 || PQenterPipelineMode(work.conn) != 1)
                driver_die("the pipeline could not be set up");
        driver_ready(caller);
        while (driver_going(caller)) {
                while (work.count < work.depth)
                        put(&work);
                take(&work);
        }
        while (work.count > 0)
                take(&work);
        free(work.starts);
        PQfinish(work.conn);
}

struct cursor {
        PGconn *conn;
        bool open;
};

static void command(PGconn *conn, const char *text)
{
        PGresult *result = PQexec(conn, text);

        if (PQresultStatus(result) != PGRES_COMMAND_OK)
                driver_die("%s: %s", text, PQerrorMessage(conn));
        PQclear(result);
}

static void turn_page(void *state, uint32_t item)
{
        struct cursor *cursor = state;
        PGresult *page = NULL;

        (void)item;
        while (PQntuples(page) == 0) {
                PQclear(page);
                if (!cursor->open)
                        command(cursor->conn, "BEGIN READ ONLY");
                if (!cursor->open)
                        command(cursor->conn, "DECLARE c NO SCROLL CURSOR FOR SELECT id, title FROM bench_items");
                cursor->open = true;
                page = PQexec(cursor->conn, "FETCH 1000 FROM c");
                if (PQresultStatus(page) != PGRES_TUPLES_OK)
                        driver_die("FETCH: %s", PQerrorMessage(cursor->conn));
                if (PQntuples(page) == 0)
                        command(cursor->conn, "COMMIT");
                cursor->open = PQntuples(page) > 0;
        }
        driver_work(1000000);
        PQclear(page);
}

static void stream_body(struct driver_caller *caller, void *arg)
{
        struct cursor cursor = {connect_to(driver_options_of(caller)->url), false};

        (void)arg;
        turn_page(&cursor, 0);
        driver_loop(caller, turn_page, &cursor, 1);
        PQfinish(cursor.conn);
}

int main(int argc, char **argv)
{
        struct driver_options options;

        driver_parse(argc, argv, &options);
        if (strcmp(options.mode, "write") == 0)
                driver_run(&options, 1, update_body, NULL);
        else if (strcmp(options.mode, "stream") == 0)
                driver_run(&options, 1, stream_body, NULL);
        else if (strcmp(options.mode, "shared") == 0)
                run_shared(&options);
        else
                driver_run(&options, options.callers, body, NULL);
        return 0;
}
