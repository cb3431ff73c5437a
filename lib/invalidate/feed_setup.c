/* SPDX-License-Identifier: MIT */
/* Publication and slot: made, completed, or found to be as they should. On the feed's thread. */
#include "core/error.h"
#include "invalidate/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 5000, ALTER_MS = 10000, SLOT_MS = 600000, WAIT_MS = 20, WAITS = 250 };

/* Statements are built here; `failed` is looked at when they are sent. */
static sp_status ask(struct sp_feed *feed, struct sp__buf *text, int64_t timeout_ms, PGresult **out, sp_error **error)
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

static void add_table(struct sp__buf *text, const struct sp__ruled *table)
{
        sp__buf_identifier(text, table->schema);
        sp__buf_char(text, '.');
        sp__buf_identifier(text, table->name);
}

/* How often `what` is done: a table that is already published is none of it. */
static size_t add_missing(struct sp_feed *feed, const PGresult *published, struct sp__buf *text)
{
        size_t count = 0;

        for (size_t i = 0; i < feed->rules->table_count; i++) {
                const struct sp__ruled *table = feed->rules->tables[i];
                bool there = table->rule_count == 0;

                for (int k = 0; published && k < PQntuples(published) && !there; k++)
                        there = strcmp(PQgetvalue(published, k, 0), table->schema) == 0 &&
                                strcmp(PQgetvalue(published, k, 1), table->name) == 0;
                if (there)
                        continue;
                sp__buf_text(text, count++ ? ", " : " ");
                add_table(text, table);
        }
        return count;
}

/* The statement, or that it is somebody else's to run it. */
static sp_status alter(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        if (feed->create && !text->failed)
                return ask(feed, text, ALTER_MS, NULL, error);
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
        status = ask(feed, text, ASK_MS, &published, error);
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

        sp__buf_text(text, "SELECT 1 FROM pg_publication WHERE pubname = ");
        sp__replication_literal(feed->replication, text, feed->publication);
        status = ask(feed, text, ASK_MS, &res, error);
        if (status != SP_OK)
                return status;
        *altered = PQntuples(res) == 0;
        if (*altered)
                status = create_publication(feed, text, error);
        else
                status = complete_publication(feed, text, altered, error);
        PQclear(res);
        return status == SP_OK ? sp__feed_published(feed, error) : status;
}

struct slot {
        bool there;
        bool lost;    /* the server threw away what it was to be sent */
        bool foreign; /* another plugin's, or of another database */
        long pid;     /* of who reads from it, 0: nobody */
};

static sp_status find_slot(struct sp_feed *feed, struct sp__buf *text, struct slot *slot, sp_error **error)
{
        bool tells = sp__replication_version(feed->replication) >= 130000;
        PGresult *res = NULL;
        sp_status status;

        *slot = (struct slot){0};
        sp__buf_format(text,
                       "SELECT plugin = 'pgoutput' AND database = current_database(), %s, coalesce(active_pid, 0) FROM "
                       "pg_replication_slots WHERE slot_name = ",
                       tells ? "wal_status" : "''");
        sp__replication_literal(feed->replication, text, feed->slot);
        status = ask(feed, text, ASK_MS, &res, error);
        if (status != SP_OK)
                return status;
        if (PQntuples(res) > 0)
                *slot = (struct slot){.there = true,
                                      .foreign = *PQgetvalue(res, 0, 0) != 't',
                                      .lost = strcmp(PQgetvalue(res, 0, 1), "lost") == 0,
                                      .pid = strtol(PQgetvalue(res, 0, 2), NULL, 10)};
        PQclear(res);
        return SP_OK;
}

/* Whoever reads from it has not the lease any more: a process that hangs, or is cut off, and whose connection still stands. */
static sp_status evict(struct sp_feed *feed, struct sp__buf *text, struct slot *slot, sp_error **error)
{
        sp_status status = SP_OK;

        for (int i = 0; i < WAITS && status == SP_OK && slot->there && slot->pid; i++) {
                sp__buf_format(text, "SELECT pg_terminate_backend(%ld)", slot->pid);
                status = ask(feed, text, ASK_MS, NULL, error);
                if (status == SP_OK && !sp__feed_sleep(feed, WAIT_MS * SP__MS))
                        status = sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
                if (status == SP_OK)
                        status = find_slot(feed, text, slot, error);
        }
        if (status == SP_OK && slot->pid)
                return sp__fail(error, SP_UNAVAILABLE,
                                "slot \"%s\" is in use by server process %ld, which does not end", feed->slot,
                                slot->pid);
        return status;
}

static sp_status drop_slot(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        sp__buf_text(text, "DROP_REPLICATION_SLOT ");
        sp__buf_identifier(text, feed->slot);
        return ask(feed, text, ASK_MS, NULL, error);
}

/* It waits for every transaction that runs: from then on nothing is missed. */
static sp_status create_slot(struct sp_feed *feed, struct sp__buf *text, sp_error **error)
{
        sp__buf_text(text, "CREATE_REPLICATION_SLOT ");
        sp__buf_identifier(text, feed->slot);
        sp__buf_text(text, feed->alone ? " TEMPORARY" : "");
        sp__buf_text(text, " LOGICAL pgoutput NOEXPORT_SNAPSHOT");
        return ask(feed, text, SLOT_MS, NULL, error);
}

/* `anew`: what it would tell does not fit the publication. */
static sp_status ensure_slot(struct sp_feed *feed, struct sp__buf *text, bool anew, bool *made, sp_error **error)
{
        struct slot slot;
        sp_status status = find_slot(feed, text, &slot, error);

        if (status == SP_OK && slot.foreign)
                return sp__fail(
                    error, SP_CONFIG,
                    "replication slot \"%s\" is of another database or another plugin: set feed.slot to another name",
                    feed->slot);
        if (status == SP_OK)
                status = evict(feed, text, &slot, error);
        *made = !slot.there || slot.lost || anew;
        /* Who ends between here and the reset leaves a slot that looks as if it had been read all along. */
        if (status == SP_OK && *made)
                status = sp__feed_keep_rules(feed, false, error);
        if (status == SP_OK && slot.there && *made)
                status = drop_slot(feed, text, error);
        if (status == SP_OK && *made)
                status = create_slot(feed, text, error);
        return status;
}

sp_status sp__feed_set_up(struct sp_feed *feed, bool *reset, sp_error **error)
{
        struct sp__buf text = SP__BUF_INIT;
        bool altered = false;
        sp_status status;

        sp__buf_text(&text, "SET statement_timeout = 0; SET lock_timeout = '5s'");
        status = ask(feed, &text, ASK_MS, NULL, error);
        if (status == SP_OK)
                status = publication(feed, &text, &altered, error);
        if (status == SP_OK)
                sp__feed_at(feed, SP__STEP_PUBLISHED);
        if (status == SP_OK)
                status = ensure_slot(feed, &text, altered, reset, error);
        sp__buf_free(&text);
        return status;
}
