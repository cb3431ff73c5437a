/* SPDX-License-Identifier: MIT */
/** Results: PostgreSQL's answer as libpq holds it, owned. */
#ifndef SP_PG_RESULT_H
#define SP_PG_RESULT_H

#include <libpq-fe.h>
#include <sugarperf/pool.h>

/** Owns `res` from now on, also when it fails (NULL: out of memory). */
sp_result *sp__result_new(PGresult *res);

#endif
