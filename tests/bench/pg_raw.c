/* SPDX-License-Identifier: MIT */
/* libpq as its manual shows it: a thread, a connection, a prepared statement, one query after the other. */
#include "driver.h"

#include <libpq-fe.h>
#include <stdio.h>

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

static void body(struct driver_caller *caller, void *arg)
{
        PGconn *conn = PQconnectdb(driver_options_of(caller)->url);

        if (PQstatus(conn) != CONNECTION_OK)
                driver_die("PQconnectdb: %s", PQerrorMessage(conn));
        PQclear(PQprepare(conn, "s", "SELECT id, title FROM bench_items WHERE id = $1", 1, NULL));
        query(conn, 1);
        driver_loop(caller, query, conn, 1);
        PQfinish(conn);
}

int main(int argc, char **argv)
{
        struct driver_options options;

        driver_parse(argc, argv, &options);
        driver_run(&options, options.callers, body, NULL);
        return 0;
}
