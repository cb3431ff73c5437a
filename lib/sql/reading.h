/* SPDX-License-Identifier: MIT */
/** The rows that a statement would write, asked for. */
#ifndef SP_SQL_READING_H
#define SP_SQL_READING_H

#include "base/buf.h"

/**
 * Appends the SELECT that finds the rows of an UPDATE or DELETE as that does, so that a planner may be asked how, and nothing is
 * written:
 *
 *     UPDATE jobs SET state = $1 WHERE queue = $2  ->  SELECT * FROM jobs WHERE queue = $2
 *
 * false: it is neither, has no WHERE, begins with WITH, or memory is short. Any thread.
 */
bool sp__sql_reading(const char *text, struct sp__buf *out);

#endif
