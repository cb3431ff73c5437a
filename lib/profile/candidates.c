/* SPDX-License-Identifier: MIT */
#include "profile/candidates.h"

#include "sql/words.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 16, COVERED = 3, EXTRA = 1, NAME_LEN = 63, MOST = 2000, IDENT = 258 };

struct list {
        struct sp__index_key all[COLUMNS];
        size_t count;
};

/* How one table of a level is reached there. */
struct reach {
        const struct sp__table *table;
        struct list equal, in, join, range, order, read;
        struct {
                enum sp__use use;
                int column;
        } flags[COLUMNS];
        size_t flag_count;
        bool everything;    /* "*" is read */
        bool foreign_order; /* others order the level as well */
};

const struct sp__table *sp__source_table(const struct sp__source *source, const struct sp__catalog *catalog)
{
        struct sp__buf name = SP__BUF_INIT;
        const struct sp__table *table = NULL;

        if (!*source->table)
                return NULL;
        sp__source_name(source, &name);
        sp__buf_char(&name, 0);
        if (!name.failed)
                table = sp__catalog_table(catalog, name.data);
        sp__buf_free(&name);
        return table;
}

void sp__source_name(const struct sp__source *source, struct sp__buf *out)
{
        if (*source->schema) {
                sp__buf_identifier(out, source->schema);
                sp__buf_char(out, '.');
        }
        sp__buf_identifier(out, source->table);
}

static bool has(const struct list *list, int column)
{
        for (size_t i = 0; i < list->count; i++) {
                if (list->all[i].column == column)
                        return true;
        }
        return false;
}

static void put(struct list *list, int column, bool down)
{
        if (list->count < COLUMNS && !has(list, column))
                list->all[list->count++] = (struct sp__index_key){column, down};
}

static void put_all(struct list *list, const struct list *more)
{
        for (size_t i = 0; i < more->count; i++)
                put(list, more->all[i].column, more->all[i].down);
}

/* Whether a use that is seen from `level` may mean a column of the source; NULL: no. */
static const struct sp__column *column_in(const struct sp__source *source, const struct sp__catalog *catalog,
                                          const struct sp__use_of *use, uint32_t level)
{
        const struct sp__table *table = source->level == level ? sp__source_table(source, catalog) : NULL;

        if (!table || (*use->qualifier && strcmp(use->qualifier, source->alias) != 0))
                return NULL;
        return sp__table_column(table, use->column);
}

/* The source whose column it is: of its own level, else of the nearest outer one. -1: none that is a table. */
static int resolve(const struct sp__access *access, const struct sp__catalog *catalog, const struct sp__use_of *use)
{
        uint32_t level = use->level;

        for (;;) {
                for (size_t i = 0; i < access->source_count; i++) {
                        if (column_in(&access->sources[i], catalog, use, level))
                                return (int)i;
                }
                if (access->levels[level].parent == level)
                        return -1;
                level = access->levels[level].parent;
        }
}

/* An equality between two of a level's tables joins them; one with anything else has a value on its other side. */
static bool joins(const struct sp__access *access, const struct sp__catalog *catalog, const struct sp__use_of *use)
{
        const struct sp__use_of *other = &access->uses[use->other];
        int source = other == use ? -1 : resolve(access, catalog, other);

        return source >= 0 && access->sources[source].level == use->level;
}

static void note_flag(struct reach *reach, enum sp__use use, int column)
{
        if (reach->flag_count == COLUMNS)
                return;
        reach->flags[reach->flag_count].use = use;
        reach->flags[reach->flag_count++].column = column;
}

static void note(struct reach *reach, const struct sp__access *access, const struct sp__catalog *catalog,
                 const struct sp__use_of *use, int column)
{
        switch (use->use) {
        case SP__USE_EQUAL:
                put(&reach->equal, column, false);
                break;
        case SP__USE_JOIN:
                put(joins(access, catalog, use) || use->other == (size_t)(use - access->uses) ? &reach->join
                                                                                              : &reach->equal,
                    column, false);
                break;
        case SP__USE_IN:
                put(&reach->in, column, false);
                break;
        case SP__USE_RANGE:
                put(&reach->range, column, false);
                break;
        case SP__USE_ORDER:
        case SP__USE_ORDER_DESC:
                put(&reach->order, column, use->use == SP__USE_ORDER_DESC);
                break;
        case SP__USE_TRUE:
        case SP__USE_FALSE:
        case SP__USE_NULL:
        case SP__USE_NOT_NULL:
                note_flag(reach, use->use, column);
                break;
        default:
                break;
        }
        put(&reach->read, column, false);
}

static bool orders(enum sp__use use)
{
        return use == SP__USE_ORDER || use == SP__USE_ORDER_DESC;
}

/* How source number `index` is reached. What an outer level's column is compared with inside tells nothing of it there. */
static struct reach reach_of(const struct sp__access *access, const struct sp__catalog *catalog, size_t index)
{
        const struct sp__source *source = &access->sources[index];
        struct reach reach = {.table = sp__source_table(source, catalog)};

        for (size_t i = 0; reach.table && i < access->use_count; i++) {
                const struct sp__use_of *use = &access->uses[i];
                const struct sp__column *column = column_in(source, catalog, use, source->level);
                bool own = use->level == source->level;
                bool using = use->use == SP__USE_JOIN && use->other == i;

                if (own && *use->column == '*' && (!*use->qualifier || strcmp(use->qualifier, source->alias) == 0))
                        reach.everything = true;
                /* What USING names is in both tables. */
                if (!column || (!using && resolve(access, catalog, use) != (int)index)) {
                        reach.foreign_order |= own && orders(use->use);
                        continue;
                }
                if (own && column->ordered && use->use != SP__USE_WRITTEN)
                        note(&reach, access, catalog, use, column->number);
                else if (use->use != SP__USE_WRITTEN)
                        put(&reach.read, column->number, false);
                if (own && !column->ordered)
                        reach.foreign_order |= orders(use->use);
        }
        return reach;
}

static bool same_key(const struct sp__index_key *a, const struct sp__index_key *b, bool turned)
{
        return a->column == b->column && (a->down == b->down) != turned;
}

static bool begins(const struct sp__index_key *a, size_t count, const struct sp__index_key *b, size_t of)
{
        size_t plain = 0, turned = 0;

        if (count > of)
                return false;
        while (plain < count && same_key(&a[plain], &b[plain], false))
                plain++;
        while (turned < count && same_key(&a[turned], &b[turned], true))
                turned++;
        return plain == count || turned == count;
}

bool sp__candidate_begins(const struct sp__candidate *a, const struct sp__candidate *b)
{
        return a->table == b->table && a->where == b->where && a->where_column == b->where_column &&
               begins(a->keys, a->count, b->keys, b->count);
}

static bool exists(const struct sp__candidate *candidate)
{
        for (size_t i = 0; i < candidate->table->index_count; i++) {
                const struct sp__index *index = &candidate->table->indexes[i];

                if (index->valid && index->whole && strcmp(index->access, "btree") == 0 &&
                    begins(candidate->keys, candidate->count, index->keys,
                           index->count < SP__KEYS ? index->count : SP__KEYS))
                        return true;
        }
        return false;
}

static void add(struct sp__candidates *candidates, const struct sp__candidate *candidate)
{
        struct sp__candidate *all;

        if (candidate->count == 0 || candidates->count == MOST || exists(candidate))
                return;
        for (size_t i = 0; i < candidates->count; i++) {
                if (candidates->all[i].count == candidate->count &&
                    sp__candidate_begins(candidate, &candidates->all[i])) {
                        candidates->all[i].ordered |= candidate->ordered;
                        return;
                }
        }
        if (candidates->count == candidates->cap) {
                size_t cap = candidates->cap ? candidates->cap * 2 : 32;

                all = realloc(candidates->all, cap * sizeof *all);
                candidates->failed |= !all;
                if (!all)
                        return;
                candidates->all = all;
                candidates->cap = cap;
        }
        candidates->all[candidates->count++] = *candidate;
}

/* Where the statement asks for it, the same of the rows with the flag alone. */
static void add_partial(struct sp__candidates *candidates, const struct reach *reach,
                        const struct sp__candidate *candidate)
{
        for (size_t i = 0; i < reach->flag_count; i++) {
                struct sp__candidate partial = *candidate;

                partial.where = reach->flags[i].use;
                partial.where_column = reach->flags[i].column;
                partial.count = 0;
                for (size_t k = 0; k < candidate->count; k++) {
                        if (candidate->keys[k].column != partial.where_column)
                                partial.keys[partial.count++] = candidate->keys[k];
                }
                add(candidates, &partial);
        }
}

static void offer(struct sp__candidates *candidates, const struct reach *reach, const struct list *keys, bool ordered)
{
        struct sp__candidate candidate = {.table = reach->table, .where = SP__USE_READ, .ordered = ordered};

        for (size_t i = 0; i < keys->count && i < SP__KEYS; i++)
                candidate.keys[candidate.count++] = keys->all[i];
        add(candidates, &candidate);
        add_partial(candidates, reach, &candidate);
}

/* The keys alone, and with the little else that is read, so that the table need not be. */
static void offer_both(struct sp__candidates *candidates, const struct reach *reach, const struct list *keys,
                       bool ordered)
{
        struct list covering = *keys;

        if (keys->count == 0)
                return;
        offer(candidates, reach, keys, ordered);
        put_all(&covering, &reach->read);
        if (!reach->everything && covering.count > keys->count && covering.count <= COVERED &&
            covering.count - keys->count <= EXTRA)
                offer(candidates, reach, &covering, ordered);
}

static void offer_joined(struct sp__candidates *candidates, const struct reach *reach, const struct list *values)
{
        for (size_t i = 0; i < reach->join.count; i++) {
                struct list first = {0}, last = *values;

                put(&first, reach->join.all[i].column, false);
                offer_both(candidates, reach, &first, false);
                put_all(&first, values);
                offer_both(candidates, reach, &first, false);
                put(&last, reach->join.all[i].column, false);
                offer_both(candidates, reach, &last, false);
        }
}

static void offer_all(struct sp__candidates *candidates, const struct reach *reach, const struct sp__level *level)
{
        struct list values = reach->equal, ordered = reach->equal, flagged;

        put_all(&values, &reach->in);
        offer_both(candidates, reach, &values, false);
        flagged = values;
        for (size_t i = 0; i < reach->flag_count; i++) {
                if (reach->flags[i].use == SP__USE_TRUE || reach->flags[i].use == SP__USE_FALSE)
                        put(&flagged, reach->flags[i].column, false);
        }
        offer(candidates, reach, &flagged, false);
        for (size_t i = 0; i < reach->range.count; i++) {
                struct list ranged = values;

                put(&ranged, reach->range.all[i].column, false);
                offer_both(candidates, reach, &ranged, false);
        }
        if (reach->order.count && level->orders && !level->groups && !reach->foreign_order) {
                put_all(&ordered, &reach->order);
                offer_both(candidates, reach, &ordered, level->limits);
                offer_both(candidates, reach, &reach->order, level->limits);
        }
        offer_joined(candidates, reach, &values);
}

void sp__candidates_add(struct sp__candidates *candidates, const struct sp__access *access,
                        const struct sp__catalog *catalog)
{
        for (size_t i = 0; i < access->source_count; i++) {
                struct reach reach = reach_of(access, catalog, i);

                if (reach.table)
                        offer_all(candidates, &reach, &access->levels[access->sources[i].level]);
        }
}

void sp__candidates_free(struct sp__candidates *candidates)
{
        free(candidates->all);
        *candidates = (struct sp__candidates){0};
}

/* Bare where SQL takes it so. */
static void write_name(struct sp__buf *out, const char *name)
{
        struct sp__words words;
        bool bare = false;

        if (sp__words_read(name, &words)) {
                bare = words.count == 1 && words.all[0].kind == IDENT && words.all[0].end == strlen(name) &&
                       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
                sp__words_free(&words);
        }
        if (bare)
                sp__buf_text(out, name);
        else
                sp__buf_identifier(out, name);
}

static const char *column_name(const struct sp__candidate *candidate, int number)
{
        const struct sp__column *column = sp__table_number(candidate->table, number);

        return column ? column->name : "";
}

/* idx_<table>_<columns>, as long as PostgreSQL lets it be, cut before a character. */
static void write_index_name(const struct sp__candidate *candidate, struct sp__buf *out)
{
        struct sp__buf name = SP__BUF_INIT;
        size_t len;

        sp__buf_format(&name, "idx_%s", candidate->table->name);
        for (size_t i = 0; i < candidate->count; i++)
                sp__buf_format(&name, "_%s", column_name(candidate, candidate->keys[i].column));
        if (candidate->where != SP__USE_READ)
                sp__buf_text(&name, "_partial");
        len = name.len;
        if (len > NAME_LEN) {
                for (len = NAME_LEN; len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80;)
                        len--;
        }
        name.len = name.failed ? 0 : len;
        sp__buf_char(&name, 0);
        if (!name.failed)
                write_name(out, name.data);
        out->failed |= name.failed;
        sp__buf_free(&name);
}

static void write_where(const struct sp__candidate *candidate, struct sp__buf *out)
{
        if (candidate->where == SP__USE_READ)
                return;
        sp__buf_text(out, candidate->where == SP__USE_FALSE ? " WHERE NOT " : " WHERE ");
        write_name(out, column_name(candidate, candidate->where_column));
        if (candidate->where == SP__USE_NULL)
                sp__buf_text(out, " IS NULL");
        if (candidate->where == SP__USE_NOT_NULL)
                sp__buf_text(out, " IS NOT NULL");
}

void sp__candidate_write(const struct sp__candidate *candidate, bool concurrently, struct sp__buf *out)
{
        sp__buf_text(out, "CREATE INDEX ");
        if (concurrently) {
                /* PostgreSQL refuses that of a partitioned table. */
                if (!candidate->table->partitioned)
                        sp__buf_text(out, "CONCURRENTLY ");
                write_index_name(candidate, out);
                sp__buf_char(out, ' ');
        }
        sp__buf_text(out, "ON ");
        if (!concurrently || strcmp(candidate->table->schema, "public") != 0) {
                write_name(out, candidate->table->schema);
                sp__buf_char(out, '.');
        }
        write_name(out, candidate->table->name);
        sp__buf_text(out, " (");
        for (size_t i = 0; i < candidate->count; i++) {
                sp__buf_text(out, i ? ", " : "");
                write_name(out, column_name(candidate, candidate->keys[i].column));
                sp__buf_text(out, candidate->keys[i].down ? " DESC" : "");
        }
        sp__buf_char(out, ')');
        write_where(candidate, out);
}
