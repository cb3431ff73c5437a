/* SPDX-License-Identifier: MIT */
/** A statement made ready for a plan that holds for all its parameters. */
#ifndef SP_SQL_BOUNDED_H
#define SP_SQL_BOUNDED_H

#include "base/buf.h"

/**
 * Writes `text` with each "LIMIT $n" as "LIMIT rows", for a planner that does not know the limit takes a tenth of the table
 * for it, and what is left of the parameters numbered anew. How many there are; -1: it has no tokens, or memory is short.
 */
int sp__sql_bounded(const char *text, int64_t rows, struct sp__buf *out);

#endif
