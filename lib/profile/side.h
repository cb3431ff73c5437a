/* SPDX-License-Identifier: MIT */
/**
 * The profiler's own connection to a database: EXPLAIN and the catalog are asked there, never on what callers use. A blocking
 * caller's, one at a time.
 */
#ifndef SP_PROFILE_SIDE_H
#define SP_PROFILE_SIDE_H

#include "base/buf.h"

#include <sugarperf/pool.h>
#include <sugarperf/session.h>

struct sp__side {
        sp_session *session;
        sp_ctx *ctx; /* borrowed */
};

sp_status sp__side_open(sp_pool *pool, sp_ctx *ctx, struct sp__side *out, sp_error **error);
/** What was left in the session goes with it. */
void sp__side_close(struct sp__side *side);
/**
 * Runs a text of the library's own (`name` is what errors call it, for a text may hold a statement's literals), with one
 * parameter, an array in PostgreSQL's text form or NULL: none.
 */
sp_status sp__side_ask(struct sp__side *side, const char *name, const char *text, const char *array, sp_result **out,
                       sp_error **error);
/** As above, where the result does not matter. */
sp_status sp__side_run(struct sp__side *side, const char *name, const char *text, sp_error **error);

/** Cells of the catalog's: "" and 0 for NULL. */
const char *sp__side_text(const sp_result *result, size_t row, size_t column);
double sp__side_number(const sp_result *result, size_t row, size_t column);
bool sp__side_bool(const sp_result *result, size_t row, size_t column);

/** The server, and one of its extensions. */
struct sp__extension {
        double version;  /* of the server: 150003 */
        char schema[64]; /* in which the extension is, "" where this database has it not */
        bool there;      /* it could be created */
};
sp_status sp__side_extension(struct sp__side *side, const char *what, const char *name, struct sp__extension *out,
                             sp_error **error);

#endif
