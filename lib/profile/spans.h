/* SPDX-License-Identifier: MIT */
/**
 * Spans of statements that belong to a sampled trace, for those who watch (core/watch.h): the last 1,024, as elements of
 * OTLP's "spans" in its JSON form.
 *
 * Threads: any. A span is told while no lock is held.
 */
#ifndef SP_PROFILE_SPANS_H
#define SP_PROFILE_SPANS_H

#include "core/watch.h"
#include "profile/names.h"

/** A watch is answered by all that are kept and whose number is above what it has seen. */
extern const struct sp__watched sp__spans;

/** Whether the record belongs to a sampled trace. */
bool sp__span_wanted(const struct sp__stmt_record *record);
/** Keeps one. `id` is its own, not 0; `name` lives until nobody is told any more. */
void sp__spans_add(struct sp__watchers *spans, uint64_t id, const struct sp__name *name,
                   const struct sp__stmt_record *record);

#endif
