/* SPDX-License-Identifier: MIT */
/* Who has the lease: reads the log, invalidates, confirms. */
#include "cache/probe.h"
#include "core/error.h"
#include "invalidate/feed.h"
#include "invalidate/feed_backlog.h"
#include "invalidate/invalidate.h"

#include <stdlib.h>
#include <string.h>

/* Of a batch; and how often the server hears from us, and how soon after something was done. */
enum { BATCH_AIMS = 8192, BATCH_XIDS = 4096 };

#define BATCH_AGE    (10 * SP__MS)
#define STATUS_EVERY SP__SECOND
#define STATUS_SOON  (100 * SP__MS)
#define LOOK_FIRST   (SP__MS / 2)
#define LOOK_MOST    (50 * SP__MS)
#define BACKLOG_LOOK (5 * SP__MS)

static bool due(const struct sp_feed *feed)
{
        return feed->batch.upto || !sp__aims_empty(&feed->batch.aims);
}

static bool full(const struct sp_feed *feed)
{
        return feed->batch.aims.count >= BATCH_AIMS || feed->batch.xid_count >= BATCH_XIDS ||
               (feed->batch.since && sp__now() - feed->batch.since > BATCH_AGE);
}

/* Redis first: what the server forgets is done there, and Redis knows it. */
static sp_status confirm(struct sp_feed *feed, uint64_t lsn, sp_error **error)
{
        sp_status status = sp__feed_record(feed, lsn, false, error);

        return status == SP_OK ? sp__replication_confirm(feed->replication, lsn, error) : status;
}

/* What the log does not tell, and whether it tells all that it could. */
static sp_status look_at_tables(struct sp_feed *feed, sp_error **error)
{
        bool heirs = false;
        sp_status status = sp__feed_shape_follow(feed, &heirs, error);

        if (status == SP_OK)
                status = sp__feed_published(feed, error);
        if (status == SP_OK && heirs)
                status = sp__fail(error, SP_UNAVAILABLE, "a table inherits now from one of the rules': begins anew");
        feed->looked_at = sp__now();
        return status;
}

static int64_t look_due(const struct sp_feed *feed)
{
        return feed->looked_at + atomic_load(&feed->look_every);
}

/* The server hears of us, and Redis: as often as each must. */
static sp_status keep_alive(struct sp_feed *feed, bool asked, sp_error **error)
{
        int64_t now = sp__now();
        sp_status status = sp__feed_renew(feed, error);

        if (status == SP_OK && (asked || now >= feed->status_at)) {
                status = confirm(feed, feed->confirmed, error);
                feed->status_at = now + STATUS_EVERY;
                feed->sent = feed->confirmed;
                sp__feed_at(feed, SP__STEP_CONFIRMED);
        }
        if (status == SP_OK && now >= look_due(feed))
                status = look_at_tables(feed, error);
        return status == SP_OK ? sp__feed_reset_again(feed, error) : status;
}

static void drop_seen(struct sp__feed_batch *batch, const char *snapshot)
{
        size_t left = 0;

        for (size_t i = 0; i < batch->xid_count; i++) {
                if (!sp__feed_seen(batch->xids[i], snapshot))
                        batch->xids[left++] = batch->xids[i];
        }
        batch->xid_count = left;
}

static sp_status look(struct sp_feed *feed, sp_error **error)
{
        char *snapshot = NULL;
        sp_status status = sp__feed_snapshot(feed, &snapshot, error);

        if (status == SP_OK)
                drop_seen(&feed->batch, snapshot);
        free(snapshot);
        return status;
}

/*
 * The server tells of a transaction once its commit is in the log, which may be before others see what it did (by as long as a
 * synchronous standby takes to answer). Who invalidated then would have the old rows loaded again, and kept.
 */
static sp_status await_visible(struct sp_feed *feed, sp_error **error)
{
        int64_t pause = LOOK_FIRST;
        sp_status status = feed->batch.xid_count ? look(feed, error) : SP_OK;

        while (status == SP_OK && feed->batch.xid_count > 0) {
                if (!sp__feed_sleep(feed, pause))
                        return sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
                pause = pause * 2 < LOOK_MOST ? pause * 2 : LOOK_MOST;
                status = keep_alive(feed, false, error);
                if (status == SP_OK)
                        status = look(feed, error);
        }
        return status;
}

static void count(struct sp_feed *feed, int64_t changes, int64_t transactions, int64_t batches)
{
        sp__lock(&feed->lock);
        feed->changes += changes;
        feed->transactions += transactions;
        feed->batches += batches;
        sp__unlock(&feed->lock);
}

/* What has arrived of the backlog need not come again, nor what stood between its parts. */
static sp_status land(struct sp_feed *feed, struct sp__feed_landed *landed, sp_error **error)
{
        sp_status status = sp__feed_backlog_look(feed->backlog, landed, error);
        uint64_t upto;

        if (status != SP_OK)
                return status;
        upto = landed->before < feed->reached ? landed->before : feed->reached;
        if (upto > feed->confirmed)
                feed->confirmed = upto;
        feed->behind_itself = !landed->empty;
        if (landed->batches > 0)
                count(feed, landed->changes, landed->transactions, landed->batches);
        return SP_OK;
}

static sp_status put_off(struct sp_feed *feed, sp_error **error)
{
        struct sp__feed_landed landed;
        sp_status status = land(feed, &landed, error);

        while (status == SP_OK && landed.full) {
                if (!sp__feed_sleep(feed, BACKLOG_LOOK))
                        return sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
                status = keep_alive(feed, false, error);
                if (status == SP_OK)
                        status = land(feed, &landed, error);
        }
        if (status == SP_OK)
                sp__feed_backlog_put(feed->backlog, &feed->batch, feed->reached);
        return status;
}

/* Of a transaction that is not over others' changes come behind; without Redis there is nothing to wait for. */
static sp_status invalidate(struct sp_feed *feed, sp_error **error)
{
        struct sp__feed_batch *batch = &feed->batch;
        sp_status status;

        batch->aims.why = "feed";
        if (feed->in_transaction && !feed->alone)
                return put_off(feed, error);
        status = sp__invalidate_run(feed->cache, feed->ctx, &batch->aims, error);
        if (status == SP_OK)
                count(feed, batch->changes, batch->transactions, 1);
        return status;
}

/* What was read holds everywhere, or soon will, and then need not come again. */
static sp_status flush(struct sp_feed *feed, sp_error **error)
{
        struct sp__feed_batch *batch = &feed->batch;
        sp_status status = SP_OK;

        if (sp__bugged(SP__BUG_CONFIRMED) && batch->upto)
                status = confirm(feed, batch->upto, error);
        sp__feed_at(feed, SP__STEP_READ);
        if (!sp__aims_empty(&batch->aims)) {
                status = await_visible(feed, error);
                sp__feed_at(feed, SP__STEP_VISIBLE);
                if (status == SP_OK)
                        status = invalidate(feed, error);
                if (status != SP_OK)
                        return status;
        }
        sp__feed_at(feed, SP__STEP_INVALIDATED);
        if (batch->upto > feed->reached)
                feed->reached = batch->upto;
        batch->upto = 0;
        batch->xid_count = 0;
        batch->changes = batch->transactions = batch->since = 0;
        /* Of a transaction that goes on, the next part must be seen as well: it was. */
        feed->xid_counted = feed->xid_counted && feed->in_transaction;
        if (feed->status_at > sp__now() + STATUS_SOON)
                feed->status_at = sp__now() + STATUS_SOON;
        return SP_OK;
}

/* All that the server had to say has come, so it need not keep what led there: other tables' changes. */
static void catch_up(struct sp_feed *feed, uint64_t place)
{
        if (!feed->in_transaction && !due(feed) && place > feed->reached)
                feed->reached = place;
}

/* How long to wait for a message. The rest of a transaction is on its way: half of it is not worth a trip of its own. */
static int64_t patience(const struct sp_feed *feed)
{
        int64_t until = feed->renew_at < feed->status_at ? feed->renew_at : feed->status_at;

        until = look_due(feed) < until ? look_due(feed) : until;
        until = sp__feed_reset_due(feed) < until ? sp__feed_reset_due(feed) : until;
        if (!due(feed))
                return feed->behind_itself ? sp__now() + BACKLOG_LOOK : until;
        return feed->in_transaction ? feed->batch.since + BATCH_AGE : 0;
}

static sp_status step(struct sp_feed *feed, sp_error **error)
{
        struct sp__replicated message;
        struct sp__feed_landed landed;
        sp_status status = sp__replication_next(feed->replication, patience(feed), &message, error);

        if (status == SP_OK && message.data)
                status = sp__feed_apply(feed, message.data, message.len, error);
        if (status == SP_OK && (full(feed) || (!message.data && due(feed)))) {
                sp__feed_note_lag(feed, message.wal_end);
                status = flush(feed, error);
        }
        if (status != SP_OK)
                return status;
        if (message.caught_up)
                catch_up(feed, message.place);
        status = land(feed, &landed, error);
        if (status != SP_OK)
                return status;
        sp__feed_note_lag(feed, message.wal_end);
        return keep_alive(feed, message.asks, error);
}

struct check {
        struct sp_feed *feed;
        char line[SP__FEED_FAULT_MAX]; /* the first that is fatal */
};

static void note_fatal(void *arg, bool fatal, const char *text)
{
        struct check *check = arg;

        if (fatal && !*check->line)
                snprintf(check->line, sizeof check->line, "%s", text);
}

static sp_status hold(void *arg, sp_error **error)
{
        const struct check *check = arg;

        return sp__feed_hold(check->feed, error);
}

static sp_status check(struct sp_feed *feed, sp_error **error)
{
        struct check check = {.feed = feed};
        struct sp__feed_finder finder = {.found = note_fatal, .goes_on = hold, .arg = &check};
        sp_status status;

        sp__feed_say(feed, SP__FEED_CHECKING);
        status = sp__feed_look(feed->pool, feed->rules, feed->ctx, &finder, error);
        if (status != SP_OK)
                return status;
        sp__feed_at(feed, SP__STEP_CHECKED);
        return *check.line ? sp__fail(error, SP_CONFIG, "%s", check.line) : SP_OK;
}

static sp_status connect(struct sp_feed *feed, sp_error **error)
{
        sp_status status;

        sp__feed_say(feed, SP__FEED_CONNECTING);
        feed->backlog = sp__feed_backlog_new(feed->cache);
        if (!feed->backlog)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__replication_open(feed->pool, feed->stop, &feed->replication, error);
        if (status != SP_OK)
                return status;
        sp__feed_at(feed, SP__STEP_CONNECTED);
        status = sp__feed_hold(feed, error);
        return status == SP_OK ? sp__feed_shape_begin(feed, error) : status;
}

/* Nothing is missed from here on. */
static sp_status make_good(struct sp_feed *feed, bool fresh, sp_error **error)
{
        bool all = (fresh || feed->changed) && !sp__bugged(SP__BUG_NEW_SLOT);

        feed->changed = false;
        return all ? sp__feed_reset(feed, error) : sp__feed_shape_resume(feed, error);
}

/* Somebody with other rules may have led between two signs of life of ours, and read what we did not. */
static sp_status stay(struct sp_feed *feed, sp_error **error)
{
        sp_status status = sp__feed_renew(feed, error);

        if (status == SP_OK && feed->changed && !sp__bugged(SP__BUG_NEW_SLOT))
                status = sp__fail(error, SP_UNAVAILABLE, "another process with other rules came between: begins anew");
        return status;
}

/* Up to where messages come. The lease is kept between the steps: each takes a trip or more, and all of them perhaps longer than it. */
static sp_status begin(struct sp_feed *feed, sp_error **error)
{
        sp_status status = check(feed, error);
        bool fresh = false;

        if (status == SP_OK)
                status = sp__feed_hold(feed, error);
        if (status == SP_OK)
                status = connect(feed, error);
        if (status == SP_OK)
                status = sp__feed_set_up(feed, &fresh, error);
        if (status != SP_OK)
                return status;
        sp__feed_at(feed, SP__STEP_SLOT);
        /* What was altered in the publication was our doing. */
        if (fresh)
                status = sp__feed_shape_begin(feed, error);
        if (status == SP_OK)
                status = sp__feed_renew(feed, error);
        if (status == SP_OK)
                status = make_good(feed, fresh, error);
        if (status == SP_OK)
                status = stay(feed, error);
        if (status == SP_OK)
                status = sp__replication_start(feed->replication, feed->slot, feed->publication, error);
        if (status == SP_OK)
                status = sp__feed_slot_stands(feed, error);
        return status == SP_OK ? stay(feed, error) : status;
}

/* A publication that was made anew: the server reads its log as things stood then, and cannot go past where there was none. */
static bool stuck(sp_status status, const sp_error *why)
{
        return status == SP_SQL && strcmp(sp_error_code(why), "42704") == 0;
}

static void undo(struct sp_feed *feed)
{
        sp__feed_backlog_end(feed->backlog);
        feed->backlog = NULL;
        sp__replication_close(feed->replication);
        feed->replication = NULL;
        sp__feed_forget_unseen(feed);
        sp__feed_forget(feed);
}

sp_status sp__feed_lead(struct sp_feed *feed, sp_error **error)
{
        sp_status status = begin(feed, error);

        if (status == SP_OK) {
                sp__feed_at(feed, SP__STEP_STARTED);
                feed->reached = feed->confirmed = feed->sent = 0;
                sp__feed_say(feed, SP__FEED_LEADING);
                feed->behind_itself = false;
                feed->status_at = sp__now() + STATUS_EVERY;
                feed->looked_at = sp__now();
        }
        while (status == SP_OK)
                status = step(feed, error);
        if (error && stuck(status, *error))
                sp__feed_keep_rules(feed, false, NULL);
        undo(feed);
        return status;
}
