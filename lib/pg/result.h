/* SPDX-License-Identifier: MIT */
/** Results: PostgreSQL's answer as libpq holds it, owned. */
#ifndef SP_PG_RESULT_H
#define SP_PG_RESULT_H

#include <libpq-fe.h>
#include <sugarperf/pool.h>

/** Owns `res` from now on, also when it fails (NULL: out of memory). */
sp_result *sp__result_new(PGresult *res);
/** A batch's; owns all of `results` from now on, also when it fails. */
sp_result *sp__result_sets(PGresult **results, size_t count);
/** Memory that lives as long as the result; NULL when there is none left. */
char *sp__result_room(const sp_result *result, size_t len);

/** index.c: the rows of a column by their text. */
struct sp__index;
/** Where the result keeps it: NULL until it was needed. */
struct sp__index **sp__result_index(const sp_result *result);
void sp__index_free(struct sp__index *index);

#endif
