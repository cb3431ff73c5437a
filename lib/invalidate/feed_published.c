/* SPDX-License-Identifier: MIT */
/* Whether the publication still tells all that the rules are about: a filter made by hand hides changes, and nobody says so. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <string.h>

/* A row a table, or one for each of its columns that is not published. Before 15 there is neither filter nor list of columns. */
static const char published_text[] =
    "SELECT t.schemaname::text, t.tablename::text, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, "
    "t.rowfilter IS NOT NULL, a.attname::text FROM pg_publication p JOIN pg_publication_tables t USING (pubname) LEFT "
    "JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', t.schemaname, t.tablename)) AND a.attnum > 0 AND "
    "NOT a.attisdropped AND a.attgenerated = '' AND NOT a.attname = ANY (t.attnames) WHERE p.pubname = $1";
static const char published_before_15[] =
    "SELECT t.schemaname::text, t.tablename::text, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, false, "
    "NULL::text FROM pg_publication p JOIN pg_publication_tables t USING (pubname) WHERE p.pubname = $1";

enum { SCHEMA, TABLE, FIRST_EVENT, FILTER = FIRST_EVENT + 4, COLUMN };

static sp_status ask(struct sp_feed *feed, sp_result **out)
{
        bool tells = sp__replication_version(feed->replication) >= 150000;

        return sp__feed_query_text(feed, feed->ctx, SP_STMT_READ, "sugarperf.feed.published",
                                   tells ? published_text : published_before_15, feed->publication, out);
}

static sp_status look_at_events(const struct sp_feed *feed, const sp_result *published, sp_error **error)
{
        static const char *const events[] = {"insert", "update", "delete", "truncate"};

        for (size_t i = 0; i < 4; i++) {
                if (*sp__feed_cell(published, 0, FIRST_EVENT + i) != 't')
                        return sp__fail(error, SP_CONFIG,
                                        "publication \"%s\" does not publish %s: ALTER PUBLICATION \"%s\" SET (publish "
                                        "= 'insert, update, delete, truncate')",
                                        feed->publication, events[i], feed->publication);
        }
        return SP_OK;
}

static bool needs(const struct sp__ruled *table, const char *column)
{
        for (size_t i = 0; i < table->column_count; i++) {
                if (strcmp(table->columns[i], column) == 0)
                        return true;
        }
        return false;
}

static sp_status hides(const struct sp_feed *feed, const struct sp__told *table, const char *what, const char *column,
                       sp_error **error)
{
        return sp__fail(
            error, SP_CONFIG,
            "publication \"%s\" %s%s%s of table \"%s\".\"%s\", so that changes are hidden: ALTER PUBLICATION "
            "\"%s\" DROP TABLE \"%s\".\"%s\", then ADD TABLE \"%s\".\"%s\"",
            feed->publication, what, column, *column ? "\"" : "", table->schema, table->name, feed->publication,
            table->schema, table->name, table->schema, table->name);
}

static sp_status look_at_table(const struct sp_feed *feed, const struct sp__told *table, const sp_result *published,
                               sp_error **error)
{
        bool there = false;

        for (size_t i = 0; i < sp_result_rows(published); i++) {
                if (strcmp(sp__feed_cell(published, i, SCHEMA), table->schema) != 0 ||
                    strcmp(sp__feed_cell(published, i, TABLE), table->name) != 0)
                        continue;
                there = true;
                if (*sp__feed_cell(published, i, FILTER) == 't')
                        return hides(feed, table, "filters the rows", "", error);
                if (needs(table->table, sp__feed_cell(published, i, COLUMN)))
                        return hides(feed, table, "does not publish the column \"", sp__feed_cell(published, i, COLUMN),
                                     error);
        }
        if (there)
                return SP_OK;
        return sp__fail(
            error, SP_CONFIG,
            "table \"%s\".\"%s\" is not published: it was made, or inherits, since, or was taken out of publication "
            "\"%s\"",
            table->schema, table->name, feed->publication);
}

static sp_status look(const struct sp_feed *feed, const sp_result *published, sp_error **error)
{
        sp_status status = sp_result_rows(published) ? look_at_events(feed, published, error) : SP_OK;
        struct sp__told table;

        for (size_t at = 0; status == SP_OK && sp__feed_shape_told(&feed->shape, feed->rules, &at, &table);)
                status = look_at_table(feed, &table, published, error);
        return status;
}

/* What was hidden meanwhile nobody knows: whoever leads next resets. */
sp_status sp__feed_published(struct sp_feed *feed, sp_error **error)
{
        sp_result *published = NULL;
        sp_status status;

        if (ask(feed, &published) != SP_OK)
                return SP_OK;
        status = look(feed, published, error);
        sp_result_free(published);
        if (status != SP_OK)
                sp__feed_keep_rules(feed, false, NULL);
        return status;
}
