/* SPDX-License-Identifier: MIT */
/**
 * Spans of statements that belong to a sampled trace, kept from the first watch on until one takes them. An object of its own,
 * because a context that is cancelled may reach a watch whose profiler is just being freed.
 *
 * Threads: any. Its lock is a leaf; a span is added while no lock is held.
 */
#ifndef SP_PROFILE_SPANS_H
#define SP_PROFILE_SPANS_H

#include "profile/names.h"

#include <sugarperf/queue.h>

struct sp__spans;

/** NULL when out of memory. */
struct sp__spans *sp__spans_new(void);
/** All that wait end with SP_CLOSED; what is kept is dropped. Gives up the profiler's reference. */
void sp__spans_close(struct sp__spans *spans);
/** Keeps a span where somebody watches and the record's trace is sampled. `name` lives until the close. */
void sp__spans_add(struct sp__spans *spans, const struct sp__name *name, const struct sp__stmt_record *record);
/** Answered by all that are kept, as soon as there is one. */
sp_status sp__spans_watch(struct sp__spans *spans, sp_ctx *ctx, sp_queue *queue, uint64_t tag);

#endif
