/* SPDX-License-Identifier: MIT */
/*
 * How far the server's log is ahead of what was invalidated: who reads it knows; who does not asks the server how far the slot is.
 * Seconds count from when it last had caught up, or, for who does not read, was seen to move.
 */
#include "invalidate/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The log's end, and the slot's place in it; without a slot none. Whether the slot is there, of our database. */
static const char slot_text[] =
    "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::text, (confirmed_flush_lsn - '0/0'::pg_lsn)::text, "
    "database = current_database() FROM (SELECT $1::text AS slot) s LEFT JOIN pg_replication_slots ON slot_name = slot";

int64_t sp__feed_lag_ms(const struct sp_feed *feed)
{
        return feed->behind_since ? (sp__now() - feed->behind_since) / SP__MS : 0;
}

uint64_t sp__feed_lag_bytes(const struct sp_feed *feed)
{
        return feed->wal_end > feed->done ? feed->wal_end - feed->done : 0;
}

void sp__feed_begin_lag(struct sp_feed *feed, uint64_t place, uint64_t end)
{
        sp__lock(&feed->lock);
        feed->done = place;
        feed->wal_end = end;
        sp__unlock(&feed->lock);
}

void sp__feed_note_lag(struct sp_feed *feed, uint64_t end)
{
        sp__lock(&feed->lock);
        if (end > feed->wal_end)
                feed->wal_end = end;
        if (feed->confirmed > feed->done)
                feed->done = feed->confirmed;
        if (feed->done >= feed->wal_end)
                feed->behind_since = 0;
        else if (!feed->behind_since)
                feed->behind_since = sp__now();
        sp__unlock(&feed->lock);
}

/* 0 for NULL. */
static uint64_t number(const sp_result *result, size_t column)
{
        return strtoull(sp__feed_cell(result, 0, column), NULL, 10);
}

static void note_slot(struct sp_feed *feed, uint64_t end, uint64_t place)
{
        int64_t now = sp__now();

        if (place && (place >= end || place != feed->slot_place || !feed->slot_moved_at))
                feed->slot_moved_at = now;
        feed->slot_place = place;
        sp__lock(&feed->lock);
        feed->wal_end = place ? end : 0;
        feed->done = place;
        if (feed->slot_moved_at == now)
                feed->behind_since = 0;
        else if (!feed->behind_since)
                feed->behind_since = feed->slot_moved_at ? feed->slot_moved_at : now;
        sp__unlock(&feed->lock);
}

/* Somebody has the lease, and no slot of our database: he reads another one. Or is about to make it: that is not said at once. */
static void note_stranger(struct sp_feed *feed, const sp_result *result)
{
        char fault[SP__FEED_FAULT_MAX];

        feed->strange = *sp__feed_cell(result, 0, 2) == 't' ? 0 : feed->strange + 1;
        if (feed->strange < SP__FEED_STRANGE)
                return;
        snprintf(fault, sizeof fault,
                 "another process reads for this namespace, and slot \"%s\" is not one of this database: it reads "
                 "another database: set cache.namespace or feed.slot to another name",
                 feed->slot);
        sp__feed_note(feed, fault);
}

void sp__feed_watch(struct sp_feed *feed, bool another)
{
        sp_result *result = NULL;

        if (sp__now() < feed->slot_look_at)
                return;
        feed->slot_look_at = sp__now() + feed->lease_ms * SP__MS;
        if (sp__feed_query_text(feed, feed->ctx, SP_STMT_READ, "sugarperf.feed.slot", slot_text, feed->slot, &result) ==
                SP_OK &&
            sp_result_rows(result) > 0)
                note_slot(feed, number(result, 0), number(result, 1));
        if (!another)
                feed->strange = 0;
        else if (result && sp_result_rows(result) > 0)
                note_stranger(feed, result);
        sp_result_free(result);
}
