/* SPDX-License-Identifier: MIT */
/*
 * All of the namespace goes, as nobody knows what was missed. What was missed others may not see yet: a transaction whose commit stands
 * before the slot's place, and which waits for a synchronous standby, or for a processor. They would have its old rows loaded again, and
 * it is never told. So those that are under way at the reset are noted, in Redis for whoever leads then, and when all of them are over it is
 * reset once more. It does not wait for them: some may take hours.
 */
#include "core/error.h"
#include "invalidate/feed.h"
#include "invalidate/invalidate.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_FIRST (2 * SP__MS)
#define LOOK_MOST  SP__SECOND

/* How many there are is told. */
static void count_unseen(struct sp_feed *feed)
{
        const char *list = feed->unseen ? feed->unseen : "";
        int64_t count = *list != 0;

        for (; *list; list++)
                count += *list == ',';
        sp__lock(&feed->lock);
        feed->unseen_count = count;
        sp__unlock(&feed->lock);
}

void sp__feed_forget_unseen(struct sp_feed *feed)
{
        free(feed->unseen);
        feed->unseen = NULL;
        count_unseen(feed);
}

sp_status sp__feed_await_seen(struct sp_feed *feed, const char *list, sp_error **error)
{
        free(feed->unseen);
        feed->unseen = strdup(list);
        count_unseen(feed);
        feed->unseen_pause = LOOK_FIRST;
        feed->unseen_at = sp__now() + LOOK_FIRST;
        return feed->unseen ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
}

/* A snapshot does not name those that began after the last one that ended; each holds a lock of its number until all see what it did. */
static sp_status note_unseen(struct sp_feed *feed, sp_error **error)
{
        static const char text[] = "SELECT string_agg(transactionid::text, ',') FROM pg_locks WHERE "
                                   "locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";
        sp_result *result = NULL;
        sp_status status = sp__feed_query(feed->pool, feed->ctx, "sugarperf.feed.running", text, NULL, &result, error);

        if (status == SP_OK)
                status = sp__feed_await_seen(feed, sp__feed_cell(result, 0, 0), error);
        sp_result_free(result);
        return status;
}

static sp_status drop_all(struct sp_feed *feed, sp_error **error)
{
        struct sp__aims aims = {.all = true, .why = "reset"};

        return sp__invalidate_run(feed->cache, feed->ctx, &aims, error);
}

sp_status sp__feed_reset(struct sp_feed *feed, sp_error **error)
{
        sp_status status = note_unseen(feed, error);

        if (status == SP_OK)
                status = drop_all(feed, error);
        if (status == SP_OK)
                status = sp__feed_keep_shape(feed, &feed->shape, error);
        if (status != SP_OK)
                return status;
        sp__lock(&feed->lock);
        feed->resets++;
        sp__unlock(&feed->lock);
        sp__feed_at(feed, SP__STEP_RESET);
        status = sp__feed_record(feed, feed->place, true, error);
        return status == SP_OK ? sp__feed_keep_rules(feed, true, error) : status;
}

static bool all_seen(const char *list, const char *snapshot)
{
        while (*list) {
                char *end;
                uint32_t xid = (uint32_t)strtoull(list, &end, 10);

                if (!sp__feed_seen(xid, snapshot))
                        return false;
                list = *end == ',' ? end + 1 : "";
        }
        return true;
}

int64_t sp__feed_reset_due(const struct sp_feed *feed)
{
        return feed->unseen && *feed->unseen ? feed->unseen_at : SP__FOREVER;
}

/* What cannot be asked for now will be the next time. */
sp_status sp__feed_reset_again(struct sp_feed *feed, sp_error **error)
{
        int64_t now = sp__now();
        char *snapshot = NULL;
        sp_status status = SP_OK;

        if (now < sp__feed_reset_due(feed))
                return SP_OK;
        feed->unseen_pause = feed->unseen_pause * 2 < LOOK_MOST ? feed->unseen_pause * 2 : LOOK_MOST;
        feed->unseen_at = now + feed->unseen_pause;
        if (sp__feed_snapshot(feed, &snapshot, NULL) == SP_OK && all_seen(feed->unseen, snapshot)) {
                status = drop_all(feed, error);
                if (status == SP_OK) {
                        *feed->unseen = 0;
                        status = sp__feed_keep_unseen(feed, error);
                        count_unseen(feed);
                }
        }
        free(snapshot);
        return status;
}
