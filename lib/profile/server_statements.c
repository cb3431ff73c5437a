/* SPDX-License-Identifier: MIT */
/* The server's count of statements beside our own, matched by fingerprint: its texts have other names, and literals of others. */
#include "core/error.h"
#include "profile/json.h"
#include "profile/server.h"
#include "sql/statement.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OTHERS = 20 };

/* Rows of one fingerprint are summed: roles have their own, and lists of other lengths. */
struct counted {
        uint64_t fingerprint;
        char *text; /* without literals */
        double calls, total_ms, rows, hits, reads, spilled;
};

struct tally {
        struct counted *all; /* the server's order: the longest total time in front */
        size_t count;
        size_t hidden; /* whose text the role may not see */
        size_t unread; /* whose text does not parse */
};

static void tally_free(struct tally *tally)
{
        for (size_t i = 0; i < tally->count; i++)
                free(tally->all[i].text);
        free(tally->all);
}

static struct counted *counted_of(struct tally *tally, struct sp__sql *sql)
{
        for (size_t i = 0; i < tally->count; i++) {
                if (tally->all[i].fingerprint == sql->fingerprint)
                        return &tally->all[i];
        }
        tally->all[tally->count] = (struct counted){.fingerprint = sql->fingerprint, .text = sql->text};
        sql->text = NULL;
        return &tally->all[tally->count++];
}

static void add(struct tally *tally, const sp_result *result, size_t row)
{
        const char *text = sp__side_text(result, row, 0);
        struct counted *counted;
        struct sp__sql sql;

        if (sp__side_bool(result, row, 7)) {
                tally->hidden++;
                return;
        }
        if (sp__sql_parse(text, strlen(text), &sql, NULL) != SP_OK) {
                tally->unread++;
                return;
        }
        counted = counted_of(tally, &sql);
        counted->calls += sp__side_number(result, row, 1);
        counted->total_ms += sp__side_number(result, row, 2);
        counted->rows += sp__side_number(result, row, 3);
        counted->hits += sp__side_number(result, row, 4);
        counted->reads += sp__side_number(result, row, 5);
        counted->spilled += sp__side_number(result, row, 6);
        sp__sql_free(&sql);
}

static bool tally_read(const sp_result *result, struct tally *out)
{
        size_t rows = sp_result_rows(result);
        struct tally tally = {.all = calloc(rows ? rows : 1, sizeof *tally.all)};

        if (!tally.all)
                return false;
        for (size_t i = 0; i < rows; i++)
                add(&tally, result, i);
        *out = tally;
        return true;
}

/* What was recorded here of a fingerprint, under whatever names, the first of which is its. */
struct ours {
        const struct sp__name *name;
        int64_t runs, total_ns;
};

static struct ours ours_of(const struct sp__server *server, uint64_t fingerprint)
{
        size_t count = atomic_load_explicit(&server->names->count, memory_order_acquire);
        struct ours ours = {0};

        for (size_t i = 0; i < count; i++) {
                const struct sp__name *name = server->names->all[i];

                if (name->fingerprint != fingerprint || strcmp(name->pool, server->pool) != 0)
                        continue;
                if (!ours.name)
                        ours.name = name;
                ours.runs += sp__histogram_count(name->times);
                ours.total_ns += sp__name_total(name);
        }
        return ours;
}

static void write_counted(struct sp__buf *out, const struct counted *counted)
{
        sp__json_text(out, "text", counted->text);
        sp__json_number(out, "calls", counted->calls, 0);
        sp__json_number(out, "totalMs", counted->total_ms, 3);
        sp__json_number(out, "meanMs", counted->calls > 0 ? counted->total_ms / counted->calls : 0, 3);
        sp__json_number(out, "rows", counted->rows, 0);
        if (counted->hits + counted->reads > 0)
                sp__json_number(out, "hitRatio", counted->hits / (counted->hits + counted->reads), 4);
        else
                sp__buf_text(out, ",\"hitRatio\":null");
        sp__json_number(out, "readBlocks", counted->reads, 0);
        sp__json_number(out, "tempBlocks", counted->spilled, 0);
}

static void write_statement(struct sp__buf *out, const struct counted *counted, const struct ours *ours)
{
        sp__buf_format(out, "{\"fingerprint\":\"%016" PRIx64 "\"", counted->fingerprint);
        if (ours->name) {
                sp__json_text(out, "name", ours->name->text);
                sp__json_number(out, "ourRuns", (double)ours->runs, 0);
                sp__json_number(out, "ourMeanMs", ours->runs ? (double)ours->total_ns / (double)ours->runs / SP__MS : 0,
                                3);
        }
        write_counted(out, counted);
        sp__buf_char(out, '}');
}

/* Those that were recorded here, or the others. */
static void write_list(const struct sp__server *server, const struct tally *tally, bool here, struct sp__buf *out)
{
        size_t written = 0;

        for (size_t i = 0; i < tally->count && (here || written < OTHERS); i++) {
                struct ours ours = ours_of(server, tally->all[i].fingerprint);

                if ((ours.name != NULL) != here)
                        continue;
                sp__buf_text(out, written++ ? "," : "");
                write_statement(out, &tally->all[i], &ours);
        }
}

static void write_tally(struct sp__server *server, const struct tally *tally)
{
        struct sp__buf *out = &server->text;

        sp__buf_text(out, ",\"statements\":[");
        write_list(server, tally, true, out);
        sp__buf_text(out, "],\"others\":[");
        write_list(server, tally, false, out);
        sp__buf_format(out, "],\"hidden\":%zu,\"unread\":%zu", tally->hidden, tally->unread);
}

static bool query_of(const struct sp__server *server, struct sp__buf *out)
{
        sp__buf_text(out,
                     "SELECT s.query, s.calls::float8, s.total_exec_time, s.rows::float8, s.shared_blks_hit::float8,"
                     " s.shared_blks_read::float8, s.temp_blks_written::float8, s.queryid IS NULL FROM ");
        sp__buf_identifier(out, server->statements.schema);
        sp__buf_text(out, ".pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
                          " WHERE d.datname = current_database() ORDER BY s.total_exec_time DESC LIMIT 500");
        sp__buf_char(out, 0);
        return !out->failed;
}

sp_status sp__server_statements(struct sp__server *server, sp_error **error)
{
        static const struct sp__cure cure = {
            "55000", "shared_preload_libraries must name pg_stat_statements, and the server start anew"};
        struct sp__buf text = SP__BUF_INIT;
        struct tally tally = {0};
        sp_result *result = NULL;
        sp_status status = SP_OK;

        if (*server->statements.schema && !query_of(server, &text))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        else if (*server->statements.schema)
                status = sp__server_ask(server, "statements", text.data, &cure, &result, error);
        sp__buf_free(&text);
        if (status == SP_OK && result && !tally_read(result, &tally))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                write_tally(server, &tally);
        tally_free(&tally);
        sp_result_free(result);
        return status;
}
