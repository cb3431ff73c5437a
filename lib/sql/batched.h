/* SPDX-License-Identifier: MIT */
/**
 * One statement in place of many that differ in a parameter: the cure of an N+1.
 *
 *     SELECT name FROM tags WHERE content_id = $1  ->  SELECT content_id, name FROM tags WHERE content_id = ANY($1)
 *
 * Where a result for each value must be cut, counted or grouped for itself, the statement is joined to the values:
 *
 *     SELECT "batch"."k1", "one".* FROM unnest($1::"type"[]) AS "batch" ("k1"), LATERAL (…) AS "one"
 */
#ifndef SP_SQL_BATCHED_H
#define SP_SQL_BATCHED_H

#include "base/buf.h"

#include <stdint.h>

enum sp__batched {
        SP__BATCHED_NONE, /* no equality with what varies: each run needs what the one before it answered (pages) */
        SP__BATCHED_TEXT, /* `out` is the statement */
        SP__BATCHED_SETS  /* INSERT or UPDATE: many sets of parameters in one call, sp_pool_batch() */
};

/**
 * `varies`: bit 0 for $1, and so on. `other` (may be NULL): the same statement with other literals; those that differ stand as
 * further parameters. The text appended to `out` holds no literal. Costs some 100 us. Any thread.
 */
enum sp__batched sp__sql_batched(const char *text, const char *other, uint32_t varies, struct sp__buf *out);

#endif
