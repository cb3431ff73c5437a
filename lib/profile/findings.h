/* SPDX-License-Identifier: MIT */
/**
 * What units of work should have done otherwise: the same statement again and again. One finding a place and statement,
 * told once through the profiler's events, then counted. An object of its own, because a unit of work may end after the
 * profiler.
 *
 * Threads: any. Its lock is a leaf but for the events' one.
 */
#ifndef SP_PROFILE_FINDINGS_H
#define SP_PROFILE_FINDINGS_H

#include "base/buf.h"
#include "pg/pool.h"

#include <sugarperf/queue.h>

enum sp__finding_kind {
        SP__FOUND_N_PLUS_1, /* with different parameters: one statement would do */
        SP__FOUND_REPEAT    /* with the same ones: a cache, or a variable, would do */
};

/** One statement of a unit of work that ended. */
struct sp__found {
        enum sp__finding_kind kind;
        const char *place; /* the unit's name */
        const sp_stmt *stmt;
        const sp_stmt *other; /* the same with other literals; NULL: there was none */
        uint32_t varies;      /* the parameters that differed */
        int64_t runs, distinct, total_ns;
};

struct sp__findings;

/** `least`: so many runs make a finding. NULL when out of memory. */
struct sp__findings *sp__findings_new(int64_t least);
/** No more events: who waits for one ends with SP_CLOSED. Gives up the profiler's reference. */
void sp__findings_close(struct sp__findings *findings);
struct sp__findings *sp__findings_ref(struct sp__findings *findings);
void sp__findings_unref(struct sp__findings *findings);

int64_t sp__findings_least(const struct sp__findings *findings);
void sp__findings_add(struct sp__findings *findings, const struct sp__found *found);
/** [{"kind","place","name",…}] */
void sp__findings_write(struct sp__findings *findings, struct sp__buf *out);
/** How many of a kind there are. */
int64_t sp__findings_count(struct sp__findings *findings, enum sp__finding_kind kind);

/** The profiler's events: of findings, and what else it tells. `body`: members of a JSON object, which are taken. */
void sp__findings_tell(struct sp__findings *findings, struct sp__buf *body);
sp_status sp__findings_watch(struct sp__findings *findings, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);

#endif
