/* SPDX-License-Identifier: MIT */
/** PostgreSQL's and libpq's errors as ours: a status, one line without literal values, the SQLSTATE. */
#ifndef SP_PG_FAULT_H
#define SP_PG_FAULT_H

#include "pg/stmt.h"

#include <libpq-fe.h>

/** The letters of all fields of an error or a notice (PG_DIAG_…). */
#define SP__FAULT_FIELDS "SVCMDHPpqWstcdnFLR"

/** An error that a statement was answered with. `*status` is its status. NULL when out of memory. */
sp_error *sp__fault_of_result(const PGresult *res, const sp_stmt *stmt, sp_status *status);
enum { SP__FAULT_LINE = 400, SP__FAULT_CODE = 6 };

struct sp__connect_fault {
        sp_status status;
        char line[SP__FAULT_LINE];
        char code[SP__FAULT_CODE]; /* "": none */
        const char *advice;        /* what would mend it; NULL: another attempt may */
};

/** Why connecting failed. The connection's verbosity must be PQERRORS_VERBOSE, so that the SQLSTATE shows. */
void sp__fault_of_connect(const PGconn *pg, struct sp__connect_fault *out);
/** The SQLSTATE of a result, "" where it has none. */
const char *sp__fault_code(const PGresult *res);
/** Whether statement_timeout ended it, as far as the server says so in English; `res` may be NULL. */
bool sp__fault_by_time_limit(const PGresult *res);
/** Whether the server ended the connection with it. */
bool sp__fault_fatal(const PGresult *res);

#endif
