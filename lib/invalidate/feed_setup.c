/* SPDX-License-Identifier: MIT */
/* The publication: made, completed, or found to be as it should; then the slot. On the feed's thread. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <inttypes.h>
#include <string.h>

enum { ALTER_MS = 10000, LOCK_MS = 5000 };

/* Statements are built in buffers; `failed` is looked at when they are sent. */
sp_status sp__feed_ask(struct sp_feed *feed, struct sp__buf *text, int64_t timeout_ms, PGresult **out, sp_error **error)
{
        PGresult *res = NULL;
        sp_status status;

        sp__buf_char(text, 0);
        status = text->failed ? sp__fail(error, SP_NOMEM, "out of memory")
                              : sp__replication_ask(feed->replication, text->data, timeout_ms, &res, error);
        sp__buf_clear(text);
        if (status != SP_OK)
                return status;
        if (out)
                *out = res;
        else
                PQclear(res);
        return SP_OK;
}

/* Those that inherit from it are told of one by one, and some may be there already. */
static void add_table(struct sp__buf *text, const struct sp__told *table)
{
        sp__buf_text(text, "ONLY ");
        sp__buf_identifier(text, table->schema);
        sp__buf_char(text, '.');
        sp__buf_identifier(text, table->name);
}

/* How often `what` is done: a table that is already published is none of it. */
static size_t add_missing(struct sp_feed *feed, const PGresult *published, struct sp__buf *text)
{
        struct sp__told table;
        size_t count = 0;

        for (size_t at = 0; sp__feed_shape_told(&feed->shape, feed->rules, &at, &table);) {
                bool there = false;

                for (int k = 0; published && k < PQntuples(published) && !there; k++)
                        there = strcmp(PQgetvalue(published, k, 0), table.schema) == 0 &&
                                strcmp(PQgetvalue(published, k, 1), table.name) == 0;
                if (there)
                        continue;
                sp__buf_text(text, count++ ? ", " : " ");
                add_table(text, &table);
        }
        return count;
}

/* The statement, or that it is somebody else's to run it. */
static sp_status alter(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        sp_status status;

        if (feed->create && !text->failed) {
                /* Who ends right behind it leaves a publication that looks as if it had always been whole. */
                status = sp__feed_keep_rules(feed, false, error);
                return status == SP_OK ? sp__feed_ask(feed, text, ALTER_MS, NULL, error) : status;
        }
        sp__buf_char(text, 0);
        return sp__fail(error, SP_CONFIG, "the publication is not as the rules need it, and feed.create is off: %.300s",
                        text->failed ? "" : text->data);
}

static sp_status create_publication(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        struct sp__buf tables = SP__BUF_INIT;
        sp_status status;

        if (add_missing(feed, NULL, &tables) > 0)
                sp__buf_char(&tables, 0);
        sp__buf_text(text, "CREATE PUBLICATION ");
        sp__buf_identifier(text, feed->publication);
        if (tables.len > 0) {
                sp__buf_text(text, " FOR TABLE");
                sp__buf_text(text, tables.failed ? "" : tables.data);
                text->failed |= tables.failed;
        }
        if (sp__replication_version(feed->replication) >= 130000)
                sp__buf_text(text, " WITH (publish_via_partition_root = true)");
        sp__buf_free(&tables);
        status = alter(feed, text, error);
        return status;
}

static sp_status complete_publication(struct sp_feed *feed, struct sp__buf *text, bool *altered, sp_error **error)
{
        struct sp__buf tables = SP__BUF_INIT;
        PGresult *published = NULL;
        sp_status status;

        sp__buf_text(text, "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = ");
        sp__replication_literal(feed->replication, text, feed->publication);
        status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, &published, error);
        *altered = status == SP_OK && add_missing(feed, published, &tables) > 0;
        PQclear(published);
        if (*altered) {
                sp__buf_char(&tables, 0);
                sp__buf_text(text, "ALTER PUBLICATION ");
                sp__buf_identifier(text, feed->publication);
                sp__buf_text(text, " ADD TABLE");
                sp__buf_text(text, tables.failed ? "" : tables.data);
                text->failed |= tables.failed;
                status = alter(feed, text, error);
        }
        sp__buf_free(&tables);
        return status;
}

static sp_status publication(struct sp_feed *feed, struct sp__buf *text, bool *altered, sp_error **error)
{
        PGresult *res = NULL;
        sp_status status;

        /* Before 13 none has such an option. */
        sp__buf_text(text, "SELECT to_jsonb(p) ->> 'pubviaroot' FROM pg_publication p WHERE pubname = ");
        sp__replication_literal(feed->replication, text, feed->publication);
        status = sp__feed_ask(feed, text, SP__FEED_ASK_MS, &res, error);
        if (status != SP_OK)
                return status;
        *altered = PQntuples(res) == 0;
        if (*altered)
                status = create_publication(feed, text, error);
        else if (*PQgetvalue(res, 0, 0) == 'f' && sp__feed_shape_has_roots(&feed->shape))
                status =
                    sp__fail(error, SP_CONFIG,
                             "publication \"%s\" tells of partitions by their own names: ALTER PUBLICATION \"%s\" SET "
                             "(publish_via_partition_root = true)",
                             feed->publication, feed->publication);
        else
                status = complete_publication(feed, text, altered, error);
        PQclear(res);
        return status == SP_OK ? sp__feed_published(feed, error) : status;
}

/* Whoever wants to alter tables stands behind us while we wait for their locks; and the lease runs. */
static sp_status settle(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        memcpy(feed->carried, feed->identity, sizeof feed->carried);
        sp__buf_format(
            text,
            "SET statement_timeout = 0; SET lock_timeout = %" PRId64
            "; SELECT set_config('application_name', left(current_setting('application_name'), 45) || ' ' || "
            "'%s', false)",
            feed->lease_ms < LOCK_MS ? feed->lease_ms : (int64_t)LOCK_MS, feed->carried);
        return sp__feed_ask(feed, text, SP__FEED_ASK_MS, NULL, error);
}

sp_status sp__feed_set_up(struct sp_feed *feed, bool *reset, sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        bool altered = false;
        sp_status status = settle(feed, &text, error);

        if (status == SP_OK)
                status = sp__feed_slot_ours(feed, &text, error);
        if (status == SP_OK)
                status = sp__feed_renew(feed, error);
        if (status == SP_OK)
                status = publication(feed, &text, &altered, error);
        if (status == SP_OK)
                sp__feed_at(feed, SP__STEP_PUBLISHED);
        if (status == SP_OK)
                status = sp__feed_renew(feed, error);
        if (status == SP_OK)
                status = sp__feed_slot_take(feed, &text, altered || feed->marked, reset, error);
        sp__buf_free(&text);
        return status;
}
