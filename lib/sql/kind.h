/* SPDX-License-Identifier: MIT */
/** From the parse tree to the way in which a statement may be run. */
#ifndef SP_SQL_KIND_H
#define SP_SQL_KIND_H

#include "sql/statement.h"
#include "sql/tree.h"

/** Sets kind, tx, dirties, session_function, clock, obscure, commits, stays, renames, alters and resolves. */
void sp__sql_classify(const struct sp__tree *tree, struct sp__sql *out);
/** Whether literals of the statement hide from its fingerprint: those that are queries. */
bool sp__sql_is_query(const struct sp__tree *tree);
/** SET and its kin, whose values may be written as names. */
bool sp__sql_is_setting(const struct sp__tree *tree);

#endif
