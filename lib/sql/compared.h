/* SPDX-License-Identifier: MIT */
/** What a parameter is compared with, as the tokens of the statement show it. */
#ifndef SP_SQL_COMPARED_H
#define SP_SQL_COMPARED_H

#include "sql/words.h"

/** A condition of its own, "column = $1", "$1 = column" or "column IN ($1)", as tokens [from, to). */
struct sp__equality {
        size_t from, to;
        size_t column, column_end; /* "id", "t.id" */
        size_t value, value_end;   /* "$1", "$1::text" */
};

/**
 * Whether what the parameter at `at` is part of is compared by "=", by IS NOT DISTINCT FROM, or is a list of one behind IN: each
 * of its values asks for rows of its own. Not so what limits, skips or is less than something.
 */
bool sp__sql_equals(const struct sp__words *words, size_t at);
/** Whether it stands in such a condition, all of which WHERE asks for: any of several values may then be asked for at once. */
bool sp__sql_equality(const struct sp__words *words, size_t at, struct sp__equality *out);

#endif
