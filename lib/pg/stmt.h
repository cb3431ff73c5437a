/* SPDX-License-Identifier: MIT */
/** Statements as the pool sees them. Immutable but for what was learned of their cost, which is atomic. */
#ifndef SP_PG_STMT_H
#define SP_PG_STMT_H

#include "sql/statement.h"

#include <stdatomic.h>
#include <sugarperf/pool.h>

enum { SP__STMT_ID = 36 };

struct sp_stmt {
        atomic_uint refs;
        uint32_t flags;
        struct sp__sql sql; /* its text is the normalised one */
        char *name;
        char *text;
        char id[SP__STMT_ID];    /* its name on the server: a hash of the text, so that equal texts are prepared once */
        uint64_t hash;           /* half of it, as a number */
        _Atomic int64_t cost_ns; /* moving average of the server's time; 0: never ran */
};

/** A statement of the pool's own that works on the session, never prepared; NULL: out of memory. */
sp_stmt *sp__stmt_own(const char *name, const char *text);
/** Whether it may run again when its outcome is unknown. */
bool sp__stmt_repeatable(const sp_stmt *stmt);
/** Known to be so short that it may share a connection. */
bool sp__stmt_fast(const sp_stmt *stmt);
/** Any thread. */
void sp__stmt_learn(const sp_stmt *stmt, int64_t ns);

#endif
