/* SPDX-License-Identifier: MIT */
#include "profile/catalog.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum { TABLES, COLUMNS, INDEXES };

static const char *const texts[] = {
    [TABLES] = "SELECT w.name, c.oid::int8::float8, n.nspname, c.relname, c.relkind = 'p', c.reltuples::float8, "
               "c.relpages::float8,"
               " coalesce(s.seq_scan, 0)::float8, coalesce(s.idx_scan, 0)::float8,"
               " coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)::float8"
               " FROM unnest($1::text[]) AS w(name) JOIN pg_class c ON c.oid = to_regclass(w.name)"
               " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid"
               " WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
               " ORDER BY c.oid",
    [COLUMNS] = "SELECT a.attrelid::int8::float8, a.attnum::float8, a.attname, t.typtype = 'e' OR t.typcategory = 'A'"
                " OR EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'"
                "   WHERE o.opcdefault AND (o.opcintype = t.oid OR EXISTS (SELECT FROM pg_cast"
                "     WHERE castsource = t.oid AND casttarget = o.opcintype AND castmethod = 'b')))"
                " FROM unnest($1::text[]) AS w(name) JOIN pg_attribute a ON a.attrelid = to_regclass(w.name)"
                " JOIN pg_type y ON y.oid = a.atttypid"
                " JOIN pg_type t ON t.oid = CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END"
                " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2",
    [INDEXES] =
        "SELECT i.indrelid::int8::float8, c.relname, m.amname, md5(concat_ws('|', i.indrelid, m.amname, i.indkey,"
        "   i.indoption, i.indclass, i.indcollation, pg_get_expr(i.indexprs, i.indrelid),"
        "   pg_get_expr(i.indpred, i.indrelid))),"
        " i.indisunique, EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid), i.indisvalid,"
        " i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM generate_series(0, i.indnkeyatts - 1) k"
        "   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]"
        "   JOIN pg_opclass o ON o.oid = i.indclass[k]"
        "   WHERE NOT o.opcdefault OR a.attcollation <> i.indcollation[k] OR i.indoption[k] NOT IN (0, 3)),"
        " i.indnkeyatts::float8, i.indkey::text, i.indoption::text,"
        " coalesce(s.idx_scan, 0)::float8, pg_relation_size(c.oid)::float8, i.indnatts = i.indnkeyatts"
        " FROM unnest($1::text[]) AS w(name) JOIN pg_index i ON i.indrelid = to_regclass(w.name)"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam"
        " LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid ORDER BY 1, c.relname"};

static sp_status ask_all(struct sp__side *side, const char *names, struct sp__catalog *catalog, sp_error **error)
{
        sp_status status = sp__side_extension(side, "catalog", "hypopg", &catalog->hypopg, error);

        for (int i = TABLES; i <= INDEXES && status == SP_OK; i++)
                status = sp__side_ask(side, "catalog", texts[i], names, &catalog->results[i], error);
        return status;
}

static struct sp__table *by_oid(struct sp__catalog *catalog, uint32_t oid)
{
        for (size_t i = 0; i < catalog->count; i++) {
                if (catalog->tables[i].oid == oid)
                        return &catalog->tables[i];
        }
        return NULL;
}

static bool read_tables(struct sp__catalog *catalog)
{
        const sp_result *result = catalog->results[TABLES];
        size_t rows = sp_result_rows(result);

        catalog->tables = calloc(rows ? rows : 1, sizeof *catalog->tables);
        if (!catalog->tables)
                return false;
        for (size_t i = 0; i < rows; i++) {
                catalog->tables[catalog->count++] = (struct sp__table){.wanted = sp__side_text(result, i, 0),
                                                                       .oid = (uint32_t)sp__side_number(result, i, 1),
                                                                       .schema = sp__side_text(result, i, 2),
                                                                       .name = sp__side_text(result, i, 3),
                                                                       .partitioned = sp__side_bool(result, i, 4),
                                                                       .rows = sp__side_number(result, i, 5),
                                                                       .pages = sp__side_number(result, i, 6),
                                                                       .seq_scans = sp__side_number(result, i, 7),
                                                                       .index_scans = sp__side_number(result, i, 8),
                                                                       .writes = sp__side_number(result, i, 9)};
        }
        return true;
}

/* Rows of a table follow each other: a range of one array is the table's. Two names of one table share it. */
static bool read_columns(struct sp__catalog *catalog)
{
        const sp_result *result = catalog->results[COLUMNS];
        size_t rows = sp_result_rows(result);

        for (size_t i = 0; i < rows; i++) {
                struct sp__table *table = by_oid(catalog, (uint32_t)sp__side_number(result, i, 0));
                int number = (int)sp__side_number(result, i, 1);
                struct sp__column *columns;

                if (!table || sp__table_number(table, number))
                        continue;
                columns = realloc(table->columns, (table->column_count + 1) * sizeof *columns);
                if (!columns)
                        return false;
                table->columns = columns;
                columns[table->column_count++] =
                    (struct sp__column){number, sp__side_text(result, i, 2), sp__side_bool(result, i, 3)};
        }
        return true;
}

/* "3 1" and "0 3" (bit 0: descending) side by side. */
static void read_keys(struct sp__index *index, const char *columns, const char *options)
{
        char *next, *option;

        for (size_t i = 0; i < index->count && i < SP__KEYS; i++) {
                index->keys[i].column = (int)strtol(columns, &next, 10);
                index->keys[i].down = strtol(options, &option, 10) & 1;
                columns = next;
                options = option;
        }
}

static bool known(const struct sp__table *table, const char *name)
{
        for (size_t i = 0; i < table->index_count; i++) {
                if (strcmp(table->indexes[i].name, name) == 0)
                        return true;
        }
        return false;
}

static bool read_indexes(struct sp__catalog *catalog)
{
        const sp_result *result = catalog->results[INDEXES];
        size_t rows = sp_result_rows(result);

        for (size_t i = 0; i < rows; i++) {
                struct sp__table *table = by_oid(catalog, (uint32_t)sp__side_number(result, i, 0));
                struct sp__index *indexes;

                if (!table || known(table, sp__side_text(result, i, 1)))
                        continue;
                indexes = realloc(table->indexes, (table->index_count + 1) * sizeof *indexes);
                if (!indexes)
                        return false;
                table->indexes = indexes;
                indexes[table->index_count] = (struct sp__index){.name = sp__side_text(result, i, 1),
                                                                 .access = sp__side_text(result, i, 2),
                                                                 .twin = sp__side_text(result, i, 3),
                                                                 .unique = sp__side_bool(result, i, 4),
                                                                 .constraint = sp__side_bool(result, i, 5),
                                                                 .valid = sp__side_bool(result, i, 6),
                                                                 .whole = sp__side_bool(result, i, 7),
                                                                 .count = (size_t)sp__side_number(result, i, 8),
                                                                 .scans = sp__side_number(result, i, 11),
                                                                 .bytes = sp__side_number(result, i, 12),
                                                                 .bare = sp__side_bool(result, i, 13)};
                read_keys(&indexes[table->index_count++], sp__side_text(result, i, 9), sp__side_text(result, i, 10));
        }
        return true;
}

sp_status sp__catalog_read(struct sp__side *side, const char *names, struct sp__catalog *out, sp_error **error)
{
        struct sp__catalog catalog = {0};
        sp_status status = ask_all(side, names, &catalog, error);

        if (status == SP_OK && (!read_tables(&catalog) || !read_columns(&catalog) || !read_indexes(&catalog)))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                *out = catalog;
        else
                sp__catalog_free(&catalog);
        return status;
}

void sp__catalog_free(struct sp__catalog *catalog)
{
        for (size_t i = 0; i < catalog->count; i++) {
                free(catalog->tables[i].columns);
                free(catalog->tables[i].indexes);
        }
        free(catalog->tables);
        for (int i = TABLES; i <= INDEXES; i++)
                sp_result_free(catalog->results[i]);
        *catalog = (struct sp__catalog){0};
}

const struct sp__table *sp__catalog_table(const struct sp__catalog *catalog, const char *wanted)
{
        for (size_t i = 0; i < catalog->count; i++) {
                const struct sp__table *table = &catalog->tables[i];

                if (strcmp(table->wanted, wanted) != 0)
                        continue;
                /* Two names of one table are one. */
                for (size_t j = 0; j < i; j++) {
                        if (catalog->tables[j].oid == table->oid)
                                return &catalog->tables[j];
                }
                return table;
        }
        return NULL;
}

const struct sp__column *sp__table_column(const struct sp__table *table, const char *name)
{
        for (size_t i = 0; i < table->column_count; i++) {
                if (strcmp(table->columns[i].name, name) == 0)
                        return &table->columns[i];
        }
        return NULL;
}

const struct sp__column *sp__table_number(const struct sp__table *table, int number)
{
        for (size_t i = 0; i < table->column_count; i++) {
                if (table->columns[i].number == number)
                        return &table->columns[i];
        }
        return NULL;
}
