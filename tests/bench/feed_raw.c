/* SPDX-License-Identifier: MIT */
/*
 * What PostgreSQL itself takes to send a transaction of `--items` rows to a reader that does nothing with it: from the COMMIT's
 * answer until the last message is there. No change feed can be faster.
 */
#include "driver.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATA_HEAD = 25, URL_MAX = 1024 };

struct bench {
        PGconn *writer, *reader;
};

static PGconn *connect_to(const char *url)
{
        PGconn *conn = PQconnectdb(url);

        if (PQstatus(conn) != CONNECTION_OK)
                driver_die("PQconnectdb: %s", PQerrorMessage(conn));
        return conn;
}

static void run(PGconn *conn, const char *text)
{
        PGresult *result = PQexec(conn, text);
        ExecStatusType status = PQresultStatus(result);

        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_BOTH)
                driver_die("%s: %s", text, PQerrorMessage(conn));
        PQclear(result);
}

static void read_to_commit(PGconn *conn)
{
        bool through = false;

        while (!through) {
                char *message = NULL;
                int len = PQgetCopyData(conn, &message, 0);

                if (len <= 0)
                        driver_die("PQgetCopyData: %s", PQerrorMessage(conn));
                through = len > DATA_HEAD && *message == 'w' && message[DATA_HEAD] == 'C';
                PQfreemem(message);
        }
}

static void body(struct driver_caller *caller, void *arg)
{
        struct bench *bench = arg;

        driver_ready(caller);
        while (driver_wants_one(caller)) {
                int64_t committed;

                run(bench->writer, "UPDATE bench_raw SET n = n + 1");
                committed = driver_now();
                read_to_commit(bench->reader);
                driver_record_late(caller, committed, driver_now(), 1);
        }
}

static void set_up(struct bench *bench, const struct driver_options *options)
{
        char text[URL_MAX];

        bench->writer = connect_to(options->url);
        snprintf(text, sizeof text, "%s%creplication=database", options->url, strchr(options->url, '?') ? '&' : '?');
        bench->reader = connect_to(text);
        run(bench->writer, "SET client_min_messages = error");
        run(bench->writer, "DROP PUBLICATION IF EXISTS bench_raw");
        run(bench->writer, "DROP TABLE IF EXISTS bench_raw");
        run(bench->writer, "CREATE TABLE bench_raw (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)");
        snprintf(text, sizeof text, "INSERT INTO bench_raw SELECT i FROM generate_series(1, %u) i", options->items);
        run(bench->writer, text);
        run(bench->writer, "CREATE PUBLICATION bench_raw FOR TABLE bench_raw");
        run(bench->reader, "CREATE_REPLICATION_SLOT bench_raw TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT");
        run(bench->reader,
            "START_REPLICATION SLOT bench_raw LOGICAL 0/0 (proto_version '1', publication_names 'bench_raw')");
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct bench bench;

        driver_parse(argc, argv, &options);
        set_up(&bench, &options);
        driver_run(&options, 1, body, &bench);
        PQfinish(bench.reader);
        PQfinish(bench.writer);
        return 0;
}
