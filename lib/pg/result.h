/* SPDX-License-Identifier: MIT */
/** Results: PostgreSQL's answer as libpq holds it, owned. */
#ifndef SP_PG_RESULT_H
#define SP_PG_RESULT_H

#include <libpq-fe.h>
#include <sugarperf/pool.h>

/** Owns `res` from now on, also when it fails (NULL: out of memory). */
sp_result *sp__result_new(PGresult *res);
/** Memory that lives as long as the result; NULL when there is none left. */
char *sp__result_room(const sp_result *result, size_t len);

#endif
