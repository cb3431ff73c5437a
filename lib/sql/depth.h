/* SPDX-License-Identifier: MIT */
/** How deep a statement may nest, before it is parsed. */
#ifndef SP_SQL_DEPTH_H
#define SP_SQL_DEPTH_H

#include "sql/token.h"

/**
 * libpg_query recurses over the tree that it built, without a bound of its own, on the caller's stack: measured 100 to 350
 * bytes a level, so that this many levels fit into 512 KiB.
 */
#define SP__SQL_DEPTH 1000

/** Whether the tree has at most SP__SQL_DEPTH levels: an upper bound from the tokens alone. */
bool sp__sql_shallow(const char *text, struct sp__tokens tokens);

#endif
