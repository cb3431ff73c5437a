/* SPDX-License-Identifier: MIT */
/** Cells as the typed getters see them. */
#ifndef SP_PG_CELL_H
#define SP_PG_CELL_H

#include <sugarperf/result.h>

/** src/include/catalog/pg_type.dat: numbers that never change. */
enum {
        SP__OID_BOOL = 16,
        SP__OID_BYTEA = 17,
        SP__OID_INT8 = 20,
        SP__OID_INT2 = 21,
        SP__OID_INT4 = 23,
        SP__OID_OID = 26,
        SP__OID_FLOAT4 = 700,
        SP__OID_FLOAT8 = 701,
        SP__OID_DATE = 1082,
        SP__OID_TIMESTAMP = 1114,
        SP__OID_TIMESTAMPTZ = 1184,
        SP__OID_NUMERIC = 1700,
        SP__OID_UUID = 2950
};

struct sp__cell {
        size_t row, column;
        const char *name;
        const char *text; /* a zero byte behind it */
        size_t len;
        uint32_t type;
};

/** SP_NOT_FOUND where there is none, or NULL. */
sp_status sp__cell_at(const sp_result *result, size_t row, size_t column, struct sp__cell *cell, sp_error **error);
/** The error names the cell and says `what` is wrong with it, without its value. */
sp_status sp__cell_fail(const struct sp__cell *cell, sp_status status, const char *what, sp_error **error);

#endif
