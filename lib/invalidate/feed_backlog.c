/* SPDX-License-Identifier: MIT */
#include "invalidate/feed_backlog.h"

#include "core/error.h"
#include "invalidate/invalidate.h"

#include <stdlib.h>

/* Some 80,000 short keys: what Redis takes in half a second. */
enum { PARTS_MAX = 64, BYTES_MAX = 8 << 20, AIM_BYTES = 64 };

struct part {
        struct sp__aims aims; /* until it is under way */
        size_t bytes;
        uint64_t before;
        int64_t changes, transactions;
};

struct sp__feed_backlog {
        sp_cache *cache;
        atomic_uint refs; /* the feed's, and that of the part that is under way */

        sp__mutex lock;               /* a leaf; guards what follows */
        struct part parts[PARTS_MAX]; /* a ring; the first one is under way */
        size_t first, count, bytes;
        bool ended;
        sp_status status; /* of the first part that failed */
        sp_error *error;
        struct sp__feed_landed landed;
};

struct sp__feed_backlog *sp__feed_backlog_new(sp_cache *cache)
{
        struct sp__feed_backlog *backlog = calloc(1, sizeof *backlog);

        if (!backlog)
                return NULL;
        backlog->cache = cache;
        atomic_init(&backlog->refs, 1);
        sp__mutex_init(&backlog->lock);
        return backlog;
}

static void unref(struct sp__feed_backlog *backlog)
{
        if (atomic_fetch_sub(&backlog->refs, 1) > 1)
                return;
        sp_error_free(backlog->error);
        sp__mutex_destroy(&backlog->lock);
        free(backlog);
}

static struct part *part_at(struct sp__feed_backlog *backlog, size_t index)
{
        return &backlog->parts[(backlog->first + index) % PARTS_MAX];
}

/* The lock is held. */
static void remove_first(struct sp__feed_backlog *backlog)
{
        struct part *part = part_at(backlog, 0);

        sp__aims_free(&part->aims);
        backlog->bytes -= part->bytes;
        backlog->first = (backlog->first + 1) % PARTS_MAX;
        backlog->count--;
}

/* Without the first, which is under way. The lock is held. */
static void drop_waiting(struct sp__feed_backlog *backlog)
{
        while (backlog->count > 1) {
                struct part *last = part_at(backlog, backlog->count - 1);

                sp__aims_free(&last->aims);
                backlog->bytes -= last->bytes;
                backlog->count--;
        }
}

void sp__feed_backlog_end(struct sp__feed_backlog *backlog)
{
        if (!backlog)
                return;
        sp__lock(&backlog->lock);
        backlog->ended = true;
        drop_waiting(backlog);
        sp__unlock(&backlog->lock);
        unref(backlog);
}

/* The lock is held. Takes the error. */
static void note_failure(struct sp__feed_backlog *backlog, sp_status status, sp_error *error)
{
        backlog->status = status;
        backlog->error = error;
        drop_waiting(backlog);
}

/* The lock is held. */
static void note_arrival(struct sp__feed_backlog *backlog)
{
        const struct part *part = part_at(backlog, 0);

        backlog->landed.changes += part->changes;
        backlog->landed.transactions += part->transactions;
        backlog->landed.batches++;
        remove_first(backlog);
}

static void arrived(sp__op *op);

/* The first part, with a reference for it. */
static void send(struct sp__feed_backlog *backlog)
{
        struct sp__aims aims;

        sp__lock(&backlog->lock);
        aims = part_at(backlog, 0)->aims;
        part_at(backlog, 0)->aims = (struct sp__aims){0};
        sp__unlock(&backlog->lock);
        if (sp__invalidate_step(backlog->cache, &aims, NULL, arrived, backlog) == SP_OK)
                return;
        sp__lock(&backlog->lock);
        note_failure(backlog, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
        sp__unlock(&backlog->lock);
        unref(backlog);
}

/* What failed stays the first one: nothing from there on may be confirmed. */
static void arrived(sp__op *op)
{
        struct sp__feed_backlog *backlog = op->owner;
        bool more;

        sp__lock(&backlog->lock);
        if (op->status == SP_OK)
                note_arrival(backlog);
        else
                note_failure(backlog, op->status, sp__error_copy(op->error));
        more = op->status == SP_OK && backlog->count > 0 && !backlog->ended;
        sp__unlock(&backlog->lock);
        if (more)
                send(backlog);
        else
                unref(backlog);
}

void sp__feed_backlog_put(struct sp__feed_backlog *backlog, struct sp__feed_batch *batch, uint64_t before)
{
        struct part *part;
        bool alone;

        sp__lock(&backlog->lock);
        part = part_at(backlog, backlog->count++);
        *part = (struct part){.aims = batch->aims,
                              .bytes = batch->aims.names.len + batch->aims.count * AIM_BYTES,
                              .before = before,
                              .changes = batch->changes,
                              .transactions = batch->transactions};
        batch->aims = (struct sp__aims){0};
        backlog->bytes += part->bytes;
        alone = backlog->count == 1;
        sp__unlock(&backlog->lock);
        if (!alone)
                return;
        atomic_fetch_add(&backlog->refs, 1);
        send(backlog);
}

sp_status sp__feed_backlog_look(struct sp__feed_backlog *backlog, struct sp__feed_landed *landed, sp_error **error)
{
        sp_status status;

        sp__lock(&backlog->lock);
        status = backlog->status;
        if (status != SP_OK) {
                sp__error_give(error, sp__error_copy(backlog->error));
        } else {
                *landed = backlog->landed;
                landed->empty = backlog->count == 0;
                landed->full = backlog->count == PARTS_MAX || backlog->bytes >= BYTES_MAX;
                landed->before = backlog->count ? part_at(backlog, 0)->before : UINT64_MAX;
                backlog->landed = (struct sp__feed_landed){0};
        }
        sp__unlock(&backlog->lock);
        return status;
}
