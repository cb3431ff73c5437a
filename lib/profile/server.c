/* SPDX-License-Identifier: MIT */
#include "profile/server.h"

#include "core/error.h"
#include "profile/json.h"
#include "sql/statement.h"

#include <stdio.h>
#include <stdlib.h>

/* A table is told to be read as a whole, full of dead rows, or read from disk, from these on. */
enum { MANY_SCANS = 10, MANY_ROWS = 10000, MANY_BLOCKS = 10000 };
#define DEAD_PART .2
#define COLD_PART .9

static const char rights_sql[] =
    "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), quote_ident(current_user),"
    " current_setting('track_counts') = 'on'";

static const char database_sql[] =
    "SELECT numbackends::float8, current_setting('max_connections')::float8, xact_commit::float8, "
    "xact_rollback::float8,"
    " blks_hit::float8, blks_read::float8, temp_files::float8, temp_bytes::float8, deadlocks::float8"
    " FROM pg_stat_database WHERE datname = current_database()";

static const char tables_sql[] =
    "SELECT s.schemaname, s.relname, s.n_live_tup::float8, s.n_dead_tup::float8, s.seq_scan::float8,"
    " s.seq_tup_read::float8, coalesce(s.idx_scan, 0)::float8, coalesce(t.heap_blks_hit, 0)::float8,"
    " coalesce(t.heap_blks_read, 0)::float8, coalesce(t.idx_blks_hit, 0)::float8, coalesce(t.idx_blks_read, 0)::float8,"
    " c.relpages::float8 * current_setting('block_size')::float8,"
    " greatest(s.last_vacuum, s.last_autovacuum) IS NOT NULL, greatest(s.last_analyze, s.last_autoanalyze) IS NOT NULL"
    " FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid LEFT JOIN pg_statio_user_tables t ON t.relid = "
    "s.relid"
    " ORDER BY s.seq_tup_read + s.n_dead_tup + coalesce(t.heap_blks_read, 0) DESC, s.relid LIMIT 50";

/* The time of the oldest is in front. */
static const char transactions_sql[] =
    "SELECT pid::float8, coalesce(application_name, ''), coalesce(usename::text, ''), coalesce(state, ''),"
    " coalesce(wait_event_type || '.' || wait_event, ''), (extract(epoch FROM clock_timestamp() - xact_start) * "
    "1000)::float8,"
    " CASE WHEN state LIKE 'idle in%%' THEN (extract(epoch FROM clock_timestamp() - state_change) * 1000)::float8 ELSE "
    "0 END,"
    " coalesce(query, '') FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND xact_start <= clock_timestamp() - interval '%lld milliseconds' ORDER BY xact_start LIMIT 20";

static const char locks_sql[] =
    "SELECT l.pid::float8, coalesce(a.application_name, ''), l.locktype, l.mode,"
    " coalesce(c.oid::regclass::text, ''), coalesce(extract(epoch FROM clock_timestamp() - a.state_change) * 1000, "
    "0)::float8,"
    " array_to_json(pg_blocking_pids(l.pid))::text, coalesce(a.query, '')"
    " FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation"
    " WHERE NOT l.granted AND (a.datid IS NULL OR a.datname = current_database()) ORDER BY 6 DESC LIMIT 20";

void sp__server_lacks(struct sp__server *server, const char *format, ...)
{
        struct sp__buf line = SP__BUF_INIT;
        va_list args;

        va_start(args, format);
        sp__buf_vformat(&line, format, args);
        va_end(args);
        sp__buf_text(&server->lacks, server->lacks.len ? "," : "");
        if (!line.failed)
                sp__buf_json(&server->lacks, line.data, line.len);
        server->lacks.failed |= line.failed;
        sp__buf_free(&line);
}

sp_status sp__server_ask(struct sp__server *server, const char *what, const char *text, const struct sp__cure *cure,
                         sp_result **out, sp_error **error)
{
        sp_error *why = NULL;
        sp_status status = sp__side_ask(server->side, "server", text, NULL, out, &why);

        if (status != SP_SQL) {
                sp__error_give(error, why);
                return status;
        }
        if (cure && strcmp(sp_error_code(why), cure->code) == 0)
                sp__server_lacks(server, "%s: %s", what, cure->text);
        else
                sp__server_lacks(server, "%s: the server answered SQLSTATE %s", what, sp_error_code(why));
        sp_error_free(why);
        *out = NULL;
        return SP_OK;
}

/* Hits of all that was read; null where nothing was. */
static void write_ratio(struct sp__buf *out, const char *name, double hits, double reads)
{
        if (hits + reads > 0)
                sp__json_number(out, name, hits / (hits + reads), 4);
        else
                sp__buf_format(out, ",\"%s\":null", name);
}

static void write_bool(struct sp__buf *out, const char *name, bool value)
{
        sp__buf_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* Without literals, or not at all: it may be cut, or no SQL. */
static void write_query(struct sp__buf *out, const char *text)
{
        struct sp__sql sql;

        if (sp__sql_parse(text, strlen(text), &sql, NULL) != SP_OK) {
                sp__json_text(out, "text", "");
                return;
        }
        sp__json_text(out, "text", sql.text);
        sp__sql_free(&sql);
}

static sp_status read_rights(struct sp__server *server, sp_error **error)
{
        sp_result *rights = NULL;
        sp_status status = sp__side_ask(server->side, "server", rights_sql, NULL, &rights, error);

        if (status != SP_OK)
                return status;
        write_bool(&server->text, "rights", sp__side_bool(rights, 0, 0));
        if (!sp__side_bool(rights, 0, 0))
                sp__server_lacks(server, "other roles' sessions and statements: GRANT pg_read_all_stats TO %s",
                                 sp__side_text(rights, 0, 1));
        if (!sp__side_bool(rights, 0, 2))
                sp__server_lacks(server, "tables: track_counts is off");
        sp_result_free(rights);
        return SP_OK;
}

static sp_status read_about(struct sp__server *server, sp_error **error)
{
        sp_status status = sp__side_extension(server->side, "server", "pg_stat_statements", &server->statements, error);

        if (status != SP_OK)
                return status;
        sp__json_number(&server->text, "version", server->statements.version, 0);
        status = read_rights(server, error);
        if (status == SP_OK && !*server->statements.schema)
                sp__server_lacks(
                    server, server->statements.there
                                ? "statements: CREATE EXTENSION pg_stat_statements"
                                : "statements: the server has no pg_stat_statements, which is in PostgreSQL's contrib");
        return status;
}

static void write_database(struct sp__server *server, const sp_result *result)
{
        static const char *const names[] = {NULL, "maxConnections", "commits",   "rollbacks", NULL,
                                            NULL, "tempFiles",      "tempBytes", "deadlocks"};
        struct sp__buf *out = &server->text;

        sp__buf_format(out, ",\"database\":{\"connections\":%.0f", sp__side_number(result, 0, 0));
        for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
                if (names[i])
                        sp__json_number(out, names[i], sp__side_number(result, 0, i), 0);
        }
        write_ratio(out, "hitRatio", sp__side_number(result, 0, 4), sp__side_number(result, 0, 5));
        sp__buf_char(out, '}');
}

struct table {
        double live, dead, scans, scanned, lookups, heap_hits, heap_reads, index_hits, index_reads;
};

static void write_faults(struct sp__buf *out, const struct table *table)
{
        double hits = table->heap_hits + table->index_hits, reads = table->heap_reads + table->index_reads;
        const struct {
                bool there;
                const char *name;
        } faults[] = {
            {table->scans >= MANY_SCANS && table->scanned >= table->scans * MANY_ROWS, "scanned"},
            {table->dead >= MANY_ROWS && table->dead > DEAD_PART * (table->dead + table->live), "dead"},
            {hits + reads >= MANY_BLOCKS && hits < COLD_PART * (hits + reads), "cold"},
        };
        const char *before = "";

        sp__buf_text(out, ",\"faults\":[");
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
                if (!faults[i].there)
                        continue;
                sp__buf_format(out, "%s\"%s\"", before, faults[i].name);
                before = ",";
        }
        sp__buf_char(out, ']');
}

static void write_table(struct sp__buf *out, const sp_result *result, size_t row)
{
        const struct table table = {.live = sp__side_number(result, row, 2),
                                    .dead = sp__side_number(result, row, 3),
                                    .scans = sp__side_number(result, row, 4),
                                    .scanned = sp__side_number(result, row, 5),
                                    .lookups = sp__side_number(result, row, 6),
                                    .heap_hits = sp__side_number(result, row, 7),
                                    .heap_reads = sp__side_number(result, row, 8),
                                    .index_hits = sp__side_number(result, row, 9),
                                    .index_reads = sp__side_number(result, row, 10)};

        sp__buf_text(out, "{\"schema\":");
        sp__buf_json(out, sp__side_text(result, row, 0), strlen(sp__side_text(result, row, 0)));
        sp__json_text(out, "table", sp__side_text(result, row, 1));
        sp__json_number(out, "rows", table.live, 0);
        sp__json_number(out, "deadRows", table.dead, 0);
        sp__json_number(out, "seqScans", table.scans, 0);
        sp__json_number(out, "seqRows", table.scanned, 0);
        sp__json_number(out, "indexScans", table.lookups, 0);
        write_ratio(out, "heapHitRatio", table.heap_hits, table.heap_reads);
        write_ratio(out, "indexHitRatio", table.index_hits, table.index_reads);
        sp__json_number(out, "bytes", sp__side_number(result, row, 11), 0);
        write_bool(out, "vacuumed", sp__side_bool(result, row, 12));
        write_bool(out, "analyzed", sp__side_bool(result, row, 13));
        write_faults(out, &table);
        sp__buf_char(out, '}');
}

static void write_transaction(struct sp__buf *out, const sp_result *result, size_t row)
{
        sp__buf_format(out, "{\"pid\":%.0f", sp__side_number(result, row, 0));
        sp__json_text(out, "application", sp__side_text(result, row, 1));
        sp__json_text(out, "user", sp__side_text(result, row, 2));
        sp__json_text(out, "state", sp__side_text(result, row, 3));
        sp__json_text(out, "waitsFor", sp__side_text(result, row, 4));
        sp__json_number(out, "ageMs", sp__side_number(result, row, 5), 0);
        sp__json_number(out, "idleMs", sp__side_number(result, row, 6), 0);
        write_query(out, sp__side_text(result, row, 7));
        sp__buf_char(out, '}');
}

static void write_lock(struct sp__buf *out, const sp_result *result, size_t row)
{
        sp__buf_format(out, "{\"pid\":%.0f", sp__side_number(result, row, 0));
        sp__json_text(out, "application", sp__side_text(result, row, 1));
        sp__json_text(out, "kind", sp__side_text(result, row, 2));
        sp__json_text(out, "mode", sp__side_text(result, row, 3));
        sp__json_text(out, "table", sp__side_text(result, row, 4));
        sp__json_number(out, "waitsMs", sp__side_number(result, row, 5), 0);
        sp__buf_format(out, ",\"blockedBy\":%s", sp__side_text(result, row, 6));
        write_query(out, sp__side_text(result, row, 7));
        sp__buf_char(out, '}');
}

/* One list; empty where the server refused it. */
static sp_status read_list(struct sp__server *server, const char *name, const char *text,
                           void (*write)(struct sp__buf *out, const sp_result *result, size_t row), sp_error **error)
{
        sp_result *result = NULL;
        sp_status status = sp__server_ask(server, name, text, NULL, &result, error);

        if (status != SP_OK)
                return status;
        sp__buf_format(&server->text, ",\"%s\":[", name);
        for (size_t i = 0; result && i < sp_result_rows(result); i++) {
                sp__buf_text(&server->text, i ? "," : "");
                write(&server->text, result, i);
        }
        sp__buf_char(&server->text, ']');
        sp_result_free(result);
        return SP_OK;
}

static sp_status read_database(struct sp__server *server, sp_error **error)
{
        sp_result *result = NULL;
        sp_status status = sp__server_ask(server, "database", database_sql, NULL, &result, error);

        if (status == SP_OK && result && sp_result_rows(result) == 1)
                write_database(server, result);
        sp_result_free(result);
        return status;
}

static sp_status read_all(struct sp__server *server, sp_error **error)
{
        char transactions[sizeof transactions_sql + 24];
        sp_status status = read_about(server, error);

        snprintf(transactions, sizeof transactions, transactions_sql, (long long)server->slow_ms);
        if (status == SP_OK)
                status = read_database(server, error);
        if (status == SP_OK)
                status = sp__server_statements(server, error);
        if (status == SP_OK)
                status = read_list(server, "tables", tables_sql, write_table, error);
        if (status == SP_OK)
                status = read_list(server, "transactions", transactions, write_transaction, error);
        if (status == SP_OK)
                status = read_list(server, "locks", locks_sql, write_lock, error);
        return status;
}

sp_status sp__server_read(struct sp__side *side, const struct sp__names *names, const char *pool, int64_t slow_ms,
                          sp_value **out, sp_error **error)
{
        struct sp__server server = {.side = side, .names = names, .pool = pool, .slow_ms = slow_ms};
        sp_value *value = NULL;
        sp_status status;

        sp__buf_text(&server.text, "{\"pool\":");
        sp__buf_json(&server.text, pool, strlen(pool));
        status = read_all(&server, error);
        sp__buf_text(&server.text, ",\"lacks\":[");
        if (server.lacks.len)
                sp__buf_add(&server.text, server.lacks.data, server.lacks.len);
        sp__buf_text(&server.text, "]}");
        if (status == SP_OK && !server.text.failed && !server.lacks.failed)
                value = sp_value_new(server.text.data, server.text.len, SP_CODEC_JSON);
        sp__buf_free(&server.text);
        sp__buf_free(&server.lacks);
        if (status != SP_OK)
                return status;
        if (!value)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = value;
        return SP_OK;
}
