/* SPDX-License-Identifier: MIT */
/**
 * What PostgreSQL means to do for a statement: EXPLAIN, which never runs it, of its generic plan, which holds for all
 * parameters. Of the plan only its shape, its cost and the names of tables and indexes are kept: its conditions quote literals.
 */
#ifndef SP_PROFILE_PLAN_H
#define SP_PROFILE_PLAN_H

#include "profile/side.h"

struct sp__json;

struct sp__plan {
        double cost, rows;
        struct sp__buf shape;   /* "Limit > Sort > Seq Scan on contents", ends with a zero byte */
        struct sp__buf indexes; /* the names of those that it uses, each with a zero byte */
        uint64_t digest;        /* of the shape */
};

/** Plans are generic from now on in this session. */
sp_status sp__plan_begin(struct sp__side *side, sp_error **error);
/**
 * Prepares `text` of a statement as number `number` for sp__plan_explain(); `limit` stands for limits that are parameters. SP_SQL with
 * SQLSTATE 42601: it cannot be prepared. The error names the statement.
 */
sp_status sp__plan_prepare(struct sp__side *side, unsigned number, const sp_stmt *stmt, const char *text, int64_t limit,
                           int *params, sp_error **error);
/** The plan as of now: hypothetical indexes count. On success sp__plan_free() it. */
sp_status sp__plan_explain(struct sp__side *side, unsigned number, const sp_stmt *stmt, int params,
                           struct sp__plan *out, sp_error **error);
void sp__plan_free(struct sp__plan *plan);
bool sp__plan_uses(const struct sp__plan *plan, const char *index);
/** Of a plan as EXPLAIN (FORMAT JSON) writes it; false: it is none. */
bool sp__plan_read(const char *json, size_t len, struct sp__plan *out);

#endif
