/* SPDX-License-Identifier: MIT */
#include "invalidate/feed_shape.h"

#include "base/hash.h"
#include "core/error.h"
#include "invalidate/feed_query.h"

#include <stdlib.h>
#include <string.h>

/*
 * Kinds: a table of the rules', or the root of one in partitions; inner and other partitions, an heir (a table that inherits), what is
 * unlogged or foreign, a column, what the publication says. A file
 * is another one after each TRUNCATE and rewriting; an edge has the transaction that drew it, as what left and came back may have changed
 * meanwhile. So has what is said of the table in the publication: somebody may have hidden changes by it, and put it back. No lock is taken: pg_relation_filenode() asks the catalogue alone. Others do not see temporary tables' rows.
 */
/* clang-format off */
static const char shape_text[] =
    "WITH RECURSIVE tree (place, oid, edge) AS ("
    "SELECT r.place, c.oid, '' FROM unnest($1::text[], $2::text[]) WITH ORDINALITY r (schema, name, place) "
    "JOIN pg_namespace n ON n.nspname = r.schema::name "
    "JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name::name AND c.relkind IN ('r', 'p') "
    "UNION ALL SELECT t.place, i.inhrelid, i.xmin::text FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid "
    "WHERE to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true') "
    "SELECT t.place, CASE WHEN t.edge = '' AND c.relkind = 'p' THEN 'root' WHEN t.edge = '' THEN 'table' "
    "WHEN c.relpersistence = 'u' THEN 'unlogged' "
    "WHEN c.relkind = 'f' THEN 'foreign' WHEN NOT c.relispartition THEN 'heir' "
    "WHEN c.relkind = 'p' THEN 'inner' ELSE 'partition' END, "
    "concat_ws(' ', c.oid, coalesce(pg_relation_filenode(c.oid), 0), t.edge), c.oid, n.nspname::text, c.relname::text "
    "FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relpersistence <> 't' "
    "UNION ALL SELECT t.place, 'column', concat_ws(' ', a.attnum, a.atttypid, a.attname), NULL, "
    "CASE WHEN EXISTS (SELECT FROM pg_index x WHERE x.indrelid = t.oid AND x.indisprimary AND "
    "a.attnum = ANY (x.indkey)) THEN 'key' END, a.attname::text FROM tree t JOIN pg_attribute a ON "
    "a.attrelid = t.oid WHERE t.edge = '' AND a.attnum > 0 AND NOT a.attisdropped "
    "UNION ALL SELECT t.place, 'said', concat_ws(' ', p.oid, p.xmin, r.oid, r.xmin), NULL, NULL, NULL "
    "FROM tree t JOIN pg_publication p ON p.pubname = $3 "
    "LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = t.oid WHERE t.edge = '' OR r.oid IS NOT NULL";
/* clang-format on */
static const char query_name[] = "sugarperf.feed.shape";
static const char filled_text[] = "SELECT 1 FROM unnest($1::oid[]) o WHERE pg_relation_size(o) > 0";

enum { PLACE, KIND, FACT, OID, SCHEMA, NAME, KEY = SCHEMA };

static const char *cell(const struct sp__feed_shape *shape, size_t row, size_t column)
{
        return sp__feed_cell(shape->rows, row, column);
}

static size_t table_of(const struct sp__feed_shape *shape, size_t row)
{
        return strtoul(cell(shape, row, PLACE), NULL, 10) - 1;
}

static uint32_t oid_of(const struct sp__feed_shape *shape, size_t row)
{
        return (uint32_t)strtoul(cell(shape, row, OID), NULL, 10);
}

static bool is(const struct sp__feed_shape *shape, size_t row, const char *kind)
{
        return strcmp(cell(shape, row, KIND), kind) == 0;
}

/* Two arrays, of schemas and of names, and the publication. */
static sp_params *name_tables(const sp_rules *rules, const char *publication)
{
        sp_params *params = sp_params_new();
        sp_status status = params ? SP_OK : SP_NOMEM;

        for (size_t part = 0; part < 2 && status == SP_OK; part++) {
                sp_params_begin_array(params);
                for (size_t i = 0; i < rules->table_count && status == SP_OK; i++) {
                        const char *text = part ? rules->tables[i]->name : rules->tables[i]->schema;

                        status = sp_params_add_text(params, text, strlen(text));
                }
                if (status == SP_OK)
                        status = sp_params_end_array(params);
        }
        if (status == SP_OK)
                status = sp_params_add_text(params, publication, strlen(publication));
        if (status == SP_OK)
                return params;
        sp_params_free(params);
        return NULL;
}

static int by_table(const void *left, const void *right)
{
        const struct sp__fact *a = left, *b = right;

        if (a->table != b->table)
                return a->table < b->table ? -1 : 1;
        return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static bool note_facts(struct sp__feed_shape *shape)
{
        shape->count = sp_result_rows(shape->rows);
        shape->facts = malloc((shape->count + 1) * sizeof *shape->facts);
        if (!shape->facts)
                return false;
        for (size_t i = 0; i < shape->count; i++) {
                const char *fact = cell(shape, i, FACT);
                uint64_t kind = (unsigned char)*cell(shape, i, KIND);

                shape->facts[i] = (struct sp__fact){.hash = sp__hash(fact, strlen(fact), kind),
                                                    .table = (uint32_t)table_of(shape, i),
                                                    .row = (uint32_t)i};
        }
        qsort(shape->facts, shape->count, sizeof *shape->facts, by_table);
        return true;
}

sp_status sp__feed_shape_look(sp_pool *pool, sp_ctx *ctx, const sp_rules *rules, const char *publication,
                              struct sp__feed_shape *out, sp_error **error)
{
        sp_params *params = name_tables(rules, publication);
        sp_status status;

        *out = (struct sp__feed_shape){0};
        if (!params)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__feed_query(pool, ctx, query_name, shape_text, params, &out->rows, error);
        sp_params_free(params);
        if (status == SP_OK && !note_facts(out))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status != SP_OK)
                sp__feed_shape_free(out);
        return status;
}

void sp__feed_shape_free(struct sp__feed_shape *shape)
{
        sp_result_free(shape->rows);
        free(shape->facts);
        *shape = (struct sp__feed_shape){0};
}

static size_t first_of(const struct sp__feed_shape *shape, size_t table)
{
        size_t low = 0, high = shape->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (shape->facts[middle].table < table)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static const struct sp__fact *fact_at(const struct sp__feed_shape *shape, size_t at, size_t table)
{
        return at < shape->count && shape->facts[at].table == table ? &shape->facts[at] : NULL;
}

/* A sum: each of them is a hash. */
uint64_t sp__feed_shape_digest(const struct sp__feed_shape *shape, size_t table)
{
        const struct sp__fact *fact;
        uint64_t sum = 0;

        for (size_t i = first_of(shape, table); (fact = fact_at(shape, i, table)); i++)
                sum += fact->hash;
        return sum;
}

/* Partitions that are new are looked at: false, they have rows. One that somebody has locked would hold us up. */
static bool all_empty(const sp_params *oids, sp_pool *pool, sp_ctx *ctx)
{
        sp_ctx *hurried = sp_ctx_new(ctx);
        sp_result *filled = NULL;
        bool empty = hurried && sp_ctx_set(hurried, "timeout", "1s", NULL) == SP_OK &&
                     sp__feed_query(pool, hurried, query_name, filled_text, oids, &filled, NULL) == SP_OK &&
                     sp_result_rows(filled) == 0;

        sp_result_free(filled);
        sp_ctx_unref(hurried);
        return empty;
}

/* What may come unnoticed; a partition, if it is empty. */
static bool comes_softly(const struct sp__feed_shape *now, size_t row, sp_params *partitions)
{
        if (is(now, row, "partition"))
                return sp_params_add_int(partitions, oid_of(now, row)) == SP_OK;
        return is(now, row, "column") || is(now, row, "inner");
}

static enum sp__turn compare(const struct sp__feed_shape *was, const struct sp__feed_shape *now, size_t table,
                             sp_params *partitions)
{
        size_t i = first_of(was, table), k = first_of(now, table);

        for (;;) {
                const struct sp__fact *old = fact_at(was, i, table), *next = fact_at(now, k, table);

                if (!old && !next)
                        return SP__TURN_GROWN;
                if (old && next && old->hash == next->hash) {
                        i++;
                        k++;
                        continue;
                }
                if (!next || (old && old->hash < next->hash) || !comes_softly(now, next->row, partitions))
                        return SP__TURN_OTHER;
                k++;
        }
}

enum sp__turn sp__feed_shape_turn(const struct sp__feed_shape *was, const struct sp__feed_shape *now, size_t table,
                                  sp_pool *pool, sp_ctx *ctx)
{
        bool same = sp__feed_shape_digest(was, table) == sp__feed_shape_digest(now, table);
        sp_params *partitions = same ? NULL : sp_params_new();
        enum sp__turn turn = same ? SP__TURN_SAME : SP__TURN_OTHER;

        if (partitions && sp_params_begin_array(partitions) == SP_OK)
                turn = compare(was, now, table, partitions);
        if (turn == SP__TURN_GROWN && (sp_params_end_array(partitions) != SP_OK || !all_empty(partitions, pool, ctx)))
                turn = SP__TURN_OTHER;
        sp_params_free(partitions);
        return turn;
}

/* What has to be in the publication under its own name. */
static bool stands_alone(const struct sp__feed_shape *shape, size_t row)
{
        return is(shape, row, "heir") || is(shape, row, "unlogged");
}

/* A partition as well: for a while the publication may have told of it by its own name. */
bool sp__feed_shape_inherits(const struct sp__feed_shape *shape, uint32_t oid, size_t table)
{
        for (size_t i = 0; i < shape->count; i++) {
                if (oid_of(shape, i) == oid && table_of(shape, i) == table && !is(shape, i, "table") &&
                    !is(shape, i, "root"))
                        return true;
        }
        return false;
}

bool sp__feed_shape_has_roots(const struct sp__feed_shape *shape)
{
        bool any = false;

        for (size_t i = 0; i < shape->count && !any; i++)
                any = is(shape, i, "root");
        return any;
}

bool sp__feed_shape_is_key(const struct sp__feed_shape *shape, size_t table, const char *column)
{
        for (size_t i = 0; i < shape->count; i++) {
                if (is(shape, i, "column") && table_of(shape, i) == table && strcmp(cell(shape, i, NAME), column) == 0)
                        return *cell(shape, i, KEY) != 0;
        }
        return false;
}

bool sp__feed_shape_has_heirs(const struct sp__feed_shape *was, const struct sp__feed_shape *now)
{
        for (size_t i = 0; i < now->count; i++) {
                if (stands_alone(now, i) && !sp__feed_shape_inherits(was, oid_of(now, i), table_of(now, i)))
                        return true;
        }
        return false;
}

bool sp__feed_shape_told(const struct sp__feed_shape *shape, const sp_rules *rules, size_t *at, struct sp__told *out)
{
        for (; *at < rules->table_count + shape->count; ++*at) {
                size_t row = *at - rules->table_count, table = *at < rules->table_count ? *at : table_of(shape, row);

                *out = (struct sp__told){.table = rules->tables[table]};
                if (out->table->rule_count == 0 || (*at >= rules->table_count && !stands_alone(shape, row)))
                        continue;
                out->schema = *at < rules->table_count ? out->table->schema : cell(shape, row, SCHEMA);
                out->name = *at < rules->table_count ? out->table->name : cell(shape, row, NAME);
                ++*at;
                return true;
        }
        return false;
}
