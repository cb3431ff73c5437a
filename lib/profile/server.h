/* SPDX-License-Identifier: MIT */
/**
 * What the server itself knows: its statistics of statements, tables, transactions and locks. Each part is asked by itself, and
 * one that the role or the server has not makes a line among "lacks", which says what would mend it. Of texts that others sent only
 * the form without literals shows, and none where that cannot be had. A blocking caller's.
 */
#ifndef SP_PROFILE_SERVER_H
#define SP_PROFILE_SERVER_H

#include "profile/names.h"
#include "profile/side.h"

struct sp__server {
        struct sp__side *side;
        const struct sp__names *names;
        const char *pool;
        int64_t slow_ms;                 /* a transaction of that age is told */
        struct sp__extension statements; /* pg_stat_statements */
        struct sp__buf lacks;
        struct sp__buf text; /* the report */
};

/** The report as JSON. */
sp_status sp__server_read(struct sp__side *side, const struct sp__names *names, const char *pool, int64_t slow_ms,
                          sp_value **out, sp_error **error);

/**
 * Runs a text of the library's own. SP_OK with `*out` NULL: the server refused it, and what is lacking was noted: `cure` for that
 * SQLSTATE, else the SQLSTATE.
 */
struct sp__cure {
        const char *code;
        const char *text;
};
sp_status sp__server_ask(struct sp__server *server, const char *what, const char *text, const struct sp__cure *cure,
                         sp_result **out, sp_error **error);
void sp__server_lacks(struct sp__server *server, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** server_statements.c: "statements" and "others", each with a comma before it. */
sp_status sp__server_statements(struct sp__server *server, sp_error **error);

#endif
