/* SPDX-License-Identifier: MIT */
/* Messages of the server's log become aims. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "sugarperf";

static sp_status no_memory(sp_error **error)
{
        return sp__fail(error, SP_NOMEM, "out of memory");
}

/* The first one that stands for it. The latest first: changes of a table come together. */
static struct sp__relation *find(struct sp_feed *feed, uint32_t oid)
{
        for (size_t i = feed->relation_count; i-- > 0;) {
                if (feed->relations[i].oid == oid && (i == 0 || feed->relations[i - 1].oid != oid))
                        return &feed->relations[i];
        }
        return NULL;
}

/* Another one that stands for the same; NULL: there is none. */
static const struct sp__relation *next(const struct sp_feed *feed, const struct sp__relation *relation)
{
        const struct sp__relation *behind = relation + 1;

        return behind < feed->relations + feed->relation_count && behind->oid == relation->oid ? behind : NULL;
}

/* It is described anew. */
static void forget(struct sp_feed *feed, uint32_t oid)
{
        size_t left = 0;

        for (size_t i = 0; i < feed->relation_count; i++) {
                if (feed->relations[i].oid != oid)
                        feed->relations[left++] = feed->relations[i];
        }
        feed->relation_count = left;
}

static struct sp__relation *add(struct sp_feed *feed, uint32_t oid, const struct sp__ruled *table)
{
        size_t cap = feed->relation_cap ? feed->relation_cap * 2 : 16;
        struct sp__relation *all, *added;

        if (feed->relation_count == feed->relation_cap) {
                all = realloc(feed->relations, cap * sizeof *all);
                if (!all)
                        return NULL;
                feed->relations = all;
                feed->relation_cap = cap;
        }
        added = &feed->relations[feed->relation_count++];
        added->oid = oid;
        added->table = table;
        return added;
}

static void complain(struct sp_feed *feed, const char *what, const struct sp__ruled *table, const char *column,
                     const char *fix)
{
        sp__lock(&feed->lock);
        snprintf(feed->fault, sizeof feed->fault, "table \"%s\".\"%s\": %s \"%s\"%s", table->schema, table->name, what,
                 column, fix);
        sp__unlock(&feed->lock);
}

/*
 * A column that is gone is one whose value is never known. A partition's identity is its own, while the log speaks of its root's: where all
 * columns are to be told, and are not, it is the primary key of both.
 */
static void take_columns(struct sp_feed *feed, const struct sp__wal *wal, size_t table, struct sp__relation *relation)
{
        for (size_t i = 0; i < relation->table->column_count; i++) {
                const char *name = relation->table->columns[i];

                relation->places[i] = -1;
                relation->key[i] = false;
                for (size_t k = 0; k < wal->column_count; k++) {
                        if (strcmp(wal->columns[k].name, name) != 0)
                                continue;
                        relation->places[i] = (int)k;
                        relation->key[i] = wal->columns[k].key &&
                                           (wal->identity != 'f' || sp__feed_shape_is_key(&feed->shape, table, name));
                }
                if (relation->places[i] < 0)
                        complain(feed, "it has no column", relation->table, name,
                                 " any more, which rules use: what they reach is widened; correct them");
        }
}

static sp_status take_relation(struct sp_feed *feed, const struct sp__wal *wal, sp_error **error)
{
        const struct sp__ruled *named = sp__rules_table(feed->rules, wal->schema, wal->name);
        struct sp__relation *relation = NULL;

        forget(feed, wal->relation);
        for (size_t i = 0; i < feed->rules->table_count; i++) {
                const struct sp__ruled *table = feed->rules->tables[i];

                if (table->rule_count == 0 ||
                    (table != named && !sp__feed_shape_inherits(&feed->shape, wal->relation, i)))
                        continue;
                relation = add(feed, wal->relation, table);
                if (!relation)
                        return no_memory(error);
                take_columns(feed, wal, i, relation);
        }
        if (!relation && !add(feed, wal->relation, NULL))
                return no_memory(error);
        return SP_OK;
}

static struct sp__cell cell_of(const struct sp__wal_tuple *tuple, int place)
{
        const struct sp__wal_cell *cell;

        if (place < 0 || (size_t)place >= tuple->count)
                return (struct sp__cell){SP__CELL_UNKNOWN, NULL, 0};
        cell = &tuple->cells[place];
        switch (cell->kind) {
        case 't':
                return (struct sp__cell){SP__CELL_TEXT, cell->data, cell->len};
        case 'n':
                return (struct sp__cell){SP__CELL_NULL, NULL, 0};
        case 'u':
                return (struct sp__cell){SP__CELL_SAME, NULL, 0};
        default:
                return (struct sp__cell){SP__CELL_UNKNOWN, NULL, 0};
        }
}

/* Without an old row the identity did not change; of an old one that is but the identity nothing else is known. */
static struct sp__cell old_cell(const struct sp__wal *wal, const struct sp__relation *relation, size_t column)
{
        int place = relation->places[column];

        if (wal->old.kind == 0 && relation->key[column])
                return (struct sp__cell){SP__CELL_SAME, NULL, 0};
        if (wal->old.kind == 0 || (wal->old.kind == 'K' && !relation->key[column]))
                return (struct sp__cell){SP__CELL_UNKNOWN, NULL, 0};
        return cell_of(&wal->old, place);
}

static void note_xid(struct sp_feed *feed)
{
        struct sp__feed_batch *batch = &feed->batch;
        size_t cap = batch->xid_cap ? batch->xid_cap * 2 : 64;
        uint32_t *xids;

        if (feed->xid_counted || !feed->in_transaction)
                return;
        if (batch->xid_count == batch->xid_cap) {
                xids = realloc(batch->xids, cap * sizeof *xids);
                if (!xids) {
                        batch->aims.failed = true;
                        return;
                }
                batch->xids = xids;
                batch->xid_cap = cap;
        }
        batch->xids[batch->xid_count++] = feed->xid;
        feed->xid_counted = true;
}

static void note_wide(struct sp_feed *feed, const struct sp__reach *reach, const struct sp__ruled *table, int kind)
{
        if (!reach->wide || kind == SP_ROW_TRUNCATE)
                return;
        sp__lock(&feed->lock);
        feed->widened++;
        sp__unlock(&feed->lock);
        complain(feed, "the server's log does not tell the column", table, reach->wide_column,
                 " as it was: what a rule reaches is widened; ALTER TABLE … REPLICA IDENTITY FULL");
}

static sp_status reach(struct sp_feed *feed, const struct sp__change *change, sp_error **error)
{
        struct sp__reach reach = {.aim = sp__reach_add, .arg = &feed->batch.aims, .params = feed->params};

        if (!sp__reach_change(&reach, change) || feed->batch.aims.failed)
                return no_memory(error);
        if (!sp__aims_empty(&feed->batch.aims))
                note_xid(feed);
        note_wide(feed, &reach, change->table, change->kind);
        return SP_OK;
}

static sp_status take_row(struct sp_feed *feed, const struct sp__wal *wal, const struct sp__relation *relation,
                          int kind, sp_error **error)
{
        struct sp__row_cells cells;
        struct sp__change change = {relation->table, kind, cells.now, cells.was};

        for (size_t i = 0; i < relation->table->column_count; i++) {
                if (kind != SP_ROW_DELETE)
                        cells.now[i] = cell_of(&wal->now, relation->places[i]);
                if (kind != SP_ROW_INSERT)
                        cells.was[i] = old_cell(wal, relation, i);
        }
        return reach(feed, &change, error);
}

static sp_status take_change(struct sp_feed *feed, const struct sp__wal *wal, int kind, sp_error **error)
{
        const struct sp__relation *relation = find(feed, wal->relation);
        sp_status status = SP_OK;

        if (!relation)
                return sp__fail(error, SP_PROTOCOL, "the server's log changes a table that it did not describe");
        feed->batch.changes++;
        for (; relation && relation->table && status == SP_OK; relation = next(feed, relation))
                status = take_row(feed, wal, relation, kind, error);
        return status;
}

static sp_status take_truncate(struct sp_feed *feed, const struct sp__wal *wal, sp_error **error)
{
        sp_status status = SP_OK;

        for (size_t i = 0; i < wal->truncated && status == SP_OK; i++) {
                const struct sp__relation *relation = find(feed, sp__wal_truncated(wal, i));

                feed->batch.changes++;
                for (; relation && relation->table && status == SP_OK; relation = next(feed, relation)) {
                        struct sp__change change = {relation->table, SP_ROW_TRUNCATE, NULL, NULL};

                        status = reach(feed, &change, error);
                }
        }
        return status;
}

static bool take_word(const char **at, size_t *len, const char *word)
{
        size_t n = strlen(word);

        if (*len < n || memcmp(*at, word, n) != 0)
                return false;
        *at += n;
        *len -= n;
        return true;
}

/* One line of a message. What it does not know it passes over: it may be a newer library's. */
static void take_line(struct sp__aims *aims, const char *at, size_t len)
{
        if (len == 3 && memcmp(at, "all", 3) == 0)
                sp__aims_add(aims, SP__AIM_ALL, NULL, 0);
        else if (take_word(&at, &len, "key ") && len > 0 && len <= SP_KEY_MAX)
                sp__aims_add(aims, SP__AIM_KEY, at, len);
        else if (take_word(&at, &len, "tag ") && len > 0 && len <= SP_TAG_MAX)
                sp__aims_add(aims, SP__AIM_TAG, at, len);
        else if (take_word(&at, &len, "pattern ") && len > 0 && len <= SP_KEY_MAX)
                sp__aims_add(aims, SP__AIM_PATTERN, at, len);
}

static sp_status take_message(struct sp_feed *feed, const struct sp__wal *wal, sp_error **error)
{
        const char *at = wal->content, *end = at + wal->content_len;

        if (strcmp(wal->prefix, prefix) != 0)
                return SP_OK;
        while (at < end) {
                const char *stop = memchr(at, '\n', (size_t)(end - at));

                stop = stop ? stop : end;
                take_line(&feed->batch.aims, at, (size_t)(stop - at));
                at = stop + 1;
        }
        feed->batch.changes++;
        note_xid(feed);
        return feed->batch.aims.failed ? no_memory(error) : SP_OK;
}

static sp_status take(struct sp_feed *feed, const struct sp__wal *wal, sp_error **error)
{
        switch (wal->kind) {
        case SP__WAL_BEGIN:
                feed->in_transaction = true;
                feed->xid = wal->xid;
                feed->xid_counted = false;
                sp__feed_note_lag(feed, wal->lsn + 1);
                return SP_OK;
        case SP__WAL_COMMIT:
                feed->in_transaction = false;
                feed->batch.upto = wal->lsn;
                feed->batch.transactions++;
                return SP_OK;
        case SP__WAL_RELATION:
                return take_relation(feed, wal, error);
        case SP__WAL_INSERT:
                return take_change(feed, wal, SP_ROW_INSERT, error);
        case SP__WAL_UPDATE:
                return take_change(feed, wal, SP_ROW_UPDATE, error);
        case SP__WAL_DELETE:
                return take_change(feed, wal, SP_ROW_DELETE, error);
        case SP__WAL_TRUNCATE:
                return take_truncate(feed, wal, error);
        case SP__WAL_MESSAGE:
                return take_message(feed, wal, error);
        default:
                return SP_OK;
        }
}

sp_status sp__feed_apply(struct sp_feed *feed, const void *data, size_t len, sp_error **error)
{
        if (!sp__wal_decode(data, len, feed->wal))
                return sp__fail(error, SP_PROTOCOL, "the server's log has a message that makes no sense");
        if (!feed->batch.since)
                feed->batch.since = sp__now();
        return take(feed, feed->wal, error);
}

void sp__feed_forget(struct sp_feed *feed)
{
        struct sp__feed_batch *batch = &feed->batch;

        sp__aims_free(&batch->aims);
        free(batch->xids);
        *batch = (struct sp__feed_batch){0};
        feed->relation_count = 0;
        feed->in_transaction = false;
}
