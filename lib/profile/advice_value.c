/* SPDX-License-Identifier: MIT */
/* The advice as JSON. Nothing of a statement but its name, its text without literals, and names of the catalog. */
#include "pg/stmt.h"
#include "profile/advice.h"
#include "profile/idle.h"
#include "profile/json.h"

#include <inttypes.h>
#include <string.h>

static void write_ddl(struct sp__buf *out, const struct sp__candidate *candidate)
{
        struct sp__buf ddl = SP__BUF_INIT;

        sp__candidate_write(candidate, true, &ddl);
        sp__buf_text(out, "\"ddl\":");
        sp__buf_json(out, ddl.data ? ddl.data : "", ddl.len);
        out->failed |= ddl.failed;
        sp__buf_free(&ddl);
}

/* Indexes that begin as the new one does: nothing would miss them any more, unless they are unique. */
static void write_replaced(struct sp__buf *out, const struct sp__candidate *candidate)
{
        const char *comma = "";

        sp__buf_text(out, ",\"replaces\":[");
        for (size_t i = 0; i < candidate->table->index_count; i++) {
                const struct sp__index *index = &candidate->table->indexes[i];
                struct sp__candidate old = {.table = candidate->table, .where = SP__USE_READ, .count = index->count};

                if (index->unique || index->constraint || !index->whole || !index->bare || index->count > SP__KEYS ||
                    strcmp(index->access, "btree") != 0)
                        continue;
                memcpy(old.keys, index->keys, sizeof old.keys);
                if (!sp__candidate_begins(&old, candidate))
                        continue;
                sp__buf_text(out, comma);
                sp__buf_json(out, index->name, strlen(index->name));
                comma = ",";
        }
        sp__buf_char(out, ']');
}

static void write_columns(struct sp__buf *out, const struct sp__candidate *candidate)
{
        sp__buf_text(out, ",\"columns\":[");
        for (size_t i = 0; i < candidate->count; i++) {
                const struct sp__column *column = sp__table_number(candidate->table, candidate->keys[i].column);

                sp__buf_text(out, i ? "," : "");
                sp__buf_json(out, column->name, strlen(column->name));
        }
        sp__buf_char(out, ']');
}

static void write_advised(struct sp__buf *out, const struct sp__advice *advice, const struct sp__advised *advised)
{
        sp__buf_char(out, '{');
        write_ddl(out, advised->candidate);
        sp__json_text(out, "schema", advised->candidate->table->schema);
        sp__json_text(out, "table", advised->candidate->table->name);
        write_columns(out, advised->candidate);
        if (advice->costed) {
                sp__json_number(out, "saves", advised->saves, 0);
                sp__json_number(out, "bytes", advised->bytes, 0);
        }
        sp__json_number(out, "writes", advised->writes, 0);
        write_replaced(out, advised->candidate);
        if (advised->candidate->table->partitioned)
                sp__json_text(
                    out, "note",
                    "a partitioned table: make it with ON ONLY, then on each partition CONCURRENTLY, and attach those");
        sp__buf_char(out, '}');
}

static void write_load(struct sp__buf *out, const struct sp__load *load, bool costed)
{
        sp__buf_text(out, "{\"name\":");
        sp__buf_json(out, load->name->text, load->name->len);
        sp__buf_format(out, ",\"fingerprint\":\"%016" PRIx64 "\"", load->stmt->sql.fingerprint);
        sp__json_text(out, "text", load->stmt->sql.text);
        sp__json_number(out, "runs", load->runs, 0);
        sp__json_number(out, "totalMs", (double)load->total_ns / SP__MS, 3);
        if (load->explained) {
                sp__json_number(out, "before", load->before, 2);
                if (costed)
                        sp__json_number(out, "after", load->now, 2);
                sp__json_text(out, "plan", load->shape);
        } else if (*load->code) {
                sp__json_text(out, "code", load->code);
        }
        sp__buf_char(out, '}');
}

static void write_idle(struct sp__buf *out, const struct sp__catalog *catalog)
{
        const char *comma = "";

        for (size_t i = 0; i < catalog->count; i++) {
                const struct sp__table *table = &catalog->tables[i];

                for (size_t j = 0; j < table->index_count; j++) {
                        const struct sp__index *of;
                        const char *fault = sp__index_fault(table, &table->indexes[j], &of);

                        if (!fault)
                                continue;
                        sp__buf_format(out, "%s{\"index\":", comma);
                        sp__buf_json(out, table->indexes[j].name, strlen(table->indexes[j].name));
                        sp__json_text(out, "schema", table->schema);
                        sp__json_text(out, "table", table->name);
                        sp__json_text(out, "fault", fault);
                        if (of)
                                sp__json_text(out, "of", of->name);
                        sp__json_number(out, "bytes", table->indexes[j].bytes, 0);
                        sp__buf_char(out, '}');
                        comma = ",";
                }
        }
}

static const char *hypopg_of(const struct sp__catalog *catalog)
{
        return *catalog->hypopg.schema ? "used" : catalog->hypopg.there ? "CREATE EXTENSION hypopg" : "missing";
}

sp_value *sp__advice_value(const struct sp__advice *advice, const char *pool)
{
        struct sp__buf out = SP__BUF_INIT;
        sp_value *value = NULL;

        sp__buf_text(&out, "{\"pool\":");
        sp__buf_json(&out, pool, strlen(pool));
        sp__json_text(&out, "hypopg", hypopg_of(&advice->catalog));
        sp__buf_text(&out, ",\"indexes\":[");
        for (size_t i = 0; i < advice->count; i++) {
                sp__buf_text(&out, i ? "," : "");
                write_advised(&out, advice, &advice->advised[i]);
        }
        sp__buf_text(&out, "],\"statements\":[");
        for (size_t i = 0; i < advice->workload.count; i++) {
                sp__buf_text(&out, i ? "," : "");
                write_load(&out, &advice->workload.all[i], advice->costed);
        }
        sp__buf_text(&out, "],\"idle\":[");
        write_idle(&out, &advice->catalog);
        sp__buf_text(&out, "]}");
        if (!out.failed)
                value = sp_value_new(out.data, out.len, SP_CODEC_JSON);
        sp__buf_free(&out);
        return value;
}
