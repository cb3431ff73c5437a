/* SPDX-License-Identifier: MIT */
#include "profile/workload.h"

#include "pg/stmt.h"
#include "profile/candidates.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 200 };

static struct sp__load *known(const struct sp__workload *workload, uint64_t fingerprint)
{
        for (size_t i = 0; i < workload->count; i++) {
                if (workload->all[i].stmt->sql.fingerprint == fingerprint)
                        return &workload->all[i];
        }
        return NULL;
}

static void add(struct sp__load *load, const struct sp__name *name)
{
        load->runs += (double)sp__histogram_count(name->times);
        load->rows += (double)atomic_load_explicit(&name->rows, memory_order_relaxed);
        load->total_ns += sp__name_total(name);
}

static int longest_first(const void *a, const void *b)
{
        const struct sp__load *x = a, *y = b;

        return x->total_ns < y->total_ns ? 1 : x->total_ns > y->total_ns ? -1 : 0;
}

static bool belongs(const struct sp__name *name, const char *pool)
{
        return name->stmt && name->fingerprint && strcmp(name->pool, pool) == 0;
}

/* Past the most there are no trees. */
static bool read_trees(struct sp__workload *workload)
{
        size_t kept = 0;

        if (workload->count > MOST)
                workload->count = MOST;
        for (size_t i = 0; i < workload->count; i++) {
                struct sp__load *load = &workload->all[i];

                load->number = (unsigned)kept;
                if (sp__access_read(load->stmt->text, &load->access))
                        workload->all[kept++] = *load;
        }
        workload->count = kept;
        return true;
}

bool sp__workload_read(const struct sp__names *names, const char *pool, struct sp__workload *out)
{
        size_t count = atomic_load_explicit(&names->count, memory_order_acquire);
        struct sp__workload workload = {.all = calloc(count, sizeof *workload.all)};

        if (!workload.all)
                return false;
        for (size_t i = 0; i < count; i++) {
                struct sp__load *load;

                if (!belongs(names->all[i], pool))
                        continue;
                load = known(&workload, names->all[i]->fingerprint);
                if (!load) {
                        load = &workload.all[workload.count++];
                        *load = (struct sp__load){.name = names->all[i], .stmt = names->all[i]->stmt};
                }
                add(load, names->all[i]);
        }
        if (workload.count)
                qsort(workload.all, workload.count, sizeof *workload.all, longest_first);
        read_trees(&workload);
        *out = workload;
        return true;
}

void sp__workload_free(struct sp__workload *workload)
{
        for (size_t i = 0; i < workload->count; i++) {
                sp__access_free(&workload->all[i].access);
                free(workload->all[i].shape);
        }
        free(workload->all);
        *workload = (struct sp__workload){0};
}

/* An element of an array's text: in quotes whatever it is. */
static void write_element(struct sp__buf *out, const char *text)
{
        sp__buf_char(out, '"');
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        sp__buf_char(out, '\\');
                sp__buf_char(out, *text);
        }
        sp__buf_char(out, '"');
}

static void write_source(const struct sp__source *source, struct sp__buf *out)
{
        struct sp__buf name = SP__BUF_INIT;

        sp__source_name(source, &name);
        sp__buf_char(&name, 0);
        sp__buf_text(out, out->len > 1 ? "," : "");
        if (!name.failed)
                write_element(out, name.data);
        out->failed |= name.failed;
        sp__buf_free(&name);
}

void sp__workload_tables(const struct sp__workload *workload, struct sp__buf *out)
{
        sp__buf_char(out, '{');
        for (size_t i = 0; i < workload->count; i++) {
                const struct sp__access *access = &workload->all[i].access;

                for (size_t j = 0; j < access->source_count; j++) {
                        if (*access->sources[j].table)
                                write_source(&access->sources[j], out);
                }
        }
        sp__buf_text(out, "}");
        sp__buf_char(out, 0);
}

bool sp__load_names(const struct sp__load *load, const struct sp__catalog *catalog, const struct sp__table *table)
{
        for (size_t i = 0; i < load->access.source_count; i++) {
                if (sp__source_table(&load->access.sources[i], catalog) == table)
                        return true;
        }
        return false;
}

static bool among(const struct sp__index_key *keys, size_t count, int column)
{
        for (size_t i = 0; i < count; i++) {
                if (keys[i].column == column)
                        return true;
        }
        return false;
}

/* UPDATE says which columns it sets; INSERT and DELETE write all. */
static bool touches(const struct sp__access *access, uint32_t level, const struct sp__table *table,
                    const struct sp__index_key *keys, size_t count)
{
        bool sets = false;

        for (size_t i = 0; i < access->use_count; i++) {
                const struct sp__use_of *use = &access->uses[i];
                const struct sp__column *column;

                if (use->level != level || use->use != SP__USE_WRITTEN)
                        continue;
                sets = true;
                column = sp__table_column(table, use->column);
                if (column && among(keys, count, column->number))
                        return true;
        }
        return !sets;
}

double sp__load_writes(const struct sp__load *load, const struct sp__catalog *catalog, const struct sp__table *table,
                       const struct sp__index_key *keys, size_t count)
{
        for (size_t i = 0; i < load->access.source_count; i++) {
                const struct sp__source *source = &load->access.sources[i];

                if (source->written && sp__source_table(source, catalog) == table &&
                    touches(&load->access, source->level, table, keys, count))
                        return load->rows > load->runs ? load->rows : load->runs;
        }
        return 0;
}
