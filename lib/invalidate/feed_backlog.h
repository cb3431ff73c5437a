/* SPDX-License-Identifier: MIT */
/**
 * Parts of a transaction that is larger than a batch go out one after the other, beside what is read next: what others changed stands
 * behind it in the log, and need not wait until Redis has taken all of it. Of a bounded size. It is the feed's thread's, but for
 * what happens when a part has arrived.
 */
#ifndef SP_INVALIDATE_FEED_BACKLOG_H
#define SP_INVALIDATE_FEED_BACKLOG_H

#include "invalidate/feed.h"

/** NULL: out of memory. */
struct sp__feed_backlog *sp__feed_backlog_new(sp_cache *cache);
/** What waits is dropped, what is under way goes on by itself. NULL does nothing. */
void sp__feed_backlog_end(struct sp__feed_backlog *backlog);
/** Takes the batch's aims. `before`: up to where all else was put or invalidated when it came. Not while it is full. */
void sp__feed_backlog_put(struct sp__feed_backlog *backlog, struct sp__feed_batch *batch, uint64_t before);

struct sp__feed_landed {
        bool empty, full;
        uint64_t before;                        /* of the first one that has not arrived; UINT64_MAX: all have */
        int64_t changes, transactions, batches; /* since the last look */
};

/** What has arrived; the failure of a part, after which none is sent any more. */
sp_status sp__feed_backlog_look(struct sp__feed_backlog *backlog, struct sp__feed_landed *landed, sp_error **error);

#endif
