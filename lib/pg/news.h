/* SPDX-License-Identifier: MIT */
/**
 * What a pool has to say of itself, and who wants to hear it: the last few events, numbered, and watches that wait for the
 * next. An object of its own, because a context that is cancelled may reach a watch whose pool is just being freed.
 *
 * Threads: any. Its lock is a leaf; an event is told while no lock is held.
 */
#ifndef SP_PG_NEWS_H
#define SP_PG_NEWS_H

#include "base/buf.h"

#include <sugarperf/base.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

struct sp__news;

/** NULL when out of memory. */
struct sp__news *sp__news_new(void);
/** No event will come any more: all that wait end with SP_CLOSED. */
void sp__news_end(struct sp__news *news);
/** The owner's reference. */
void sp__news_unref(struct sp__news *news);
/** Answered by the oldest event that is still there and whose number is above `seen`. */
sp_status sp__news_watch(struct sp__news *news, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);
/** `body`: the event's members as JSON, without braces. It is taken. */
void sp__news_tell(struct sp__news *news, struct sp__buf *body);

#endif
