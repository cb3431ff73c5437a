/* SPDX-License-Identifier: MIT */
/* Cells by type, from PostgreSQL's text form. */
#include "pg/cell.h"

#include "core/error.h"
#include "pg/result.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

sp_status sp__cell_at(const sp_result *result, size_t row, size_t column, struct sp__cell *cell, sp_error **error)
{
        *cell = (struct sp__cell){.row = row, .column = column};
        if (row >= sp_result_rows(result) || column >= sp_result_columns(result))
                return sp__fail(error, SP_NOT_FOUND,
                                "the result has no row %zu, column %zu: it has %zu rows, %zu columns", row, column,
                                sp_result_rows(result), sp_result_columns(result));
        cell->name = sp_result_name(result, column);
        cell->type = sp_result_type(result, column);
        cell->text = sp_result_get(result, row, column, &cell->len);
        if (cell->text)
                return SP_OK;
        return sp__fail(error, SP_NOT_FOUND, "row %zu, column %zu (\"%s\") is NULL", row, column, cell->name);
}

sp_status sp__cell_fail(const struct sp__cell *cell, sp_status status, const char *what, sp_error **error)
{
        return sp__fail(error, status, "row %zu, column %zu (\"%s\", type %u) %s", cell->row, cell->column, cell->name,
                        cell->type, what);
}

static bool is_one_of(const struct sp__cell *cell, const uint32_t *types, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (cell->type == types[i])
                        return true;
        }
        return false;
}

#define IS(cell, ...)                                                                                                  \
        is_one_of(cell, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A numeric may end in ".000". */
static bool is_whole(const char *end)
{
        if (*end == '.')
                end += 1 + strspn(end + 1, "0");
        return *end == 0;
}

sp_status sp_result_int(const sp_result *result, size_t row, size_t column, int64_t *out, sp_error **error)
{
        struct sp__cell cell;
        sp_status status;
        long long value;
        char *end;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (!IS(&cell, SP__OID_INT2, SP__OID_INT4, SP__OID_INT8, SP__OID_OID, SP__OID_NUMERIC))
                return sp__cell_fail(&cell, SP_INVALID, "is no integer", error);
        errno = 0;
        value = strtoll(cell.text, &end, 10);
        if (end == cell.text || !is_whole(end))
                return sp__cell_fail(&cell, SP_INVALID, "is not a whole number", error);
        if (errno == ERANGE)
                return sp__cell_fail(&cell, SP_LIMIT, "does not fit into 64 bits", error);
        *out = value;
        return SP_OK;
}

/* Whatever locale the program has set. */
static double parse_double(const char *text, char **end)
{
        locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        double value = plain ? strtod_l(text, end, plain) : strtod(text, end);

        if (plain)
                freelocale(plain);
        return value;
}

sp_status sp_result_double(const sp_result *result, size_t row, size_t column, double *out, sp_error **error)
{
        struct sp__cell cell;
        sp_status status;
        double value;
        char *end;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (!IS(&cell, SP__OID_FLOAT4, SP__OID_FLOAT8, SP__OID_NUMERIC, SP__OID_INT2, SP__OID_INT4, SP__OID_INT8))
                return sp__cell_fail(&cell, SP_INVALID, "is no number", error);
        value = parse_double(cell.text, &end);
        if (end == cell.text || *end)
                return sp__cell_fail(&cell, SP_INVALID, "is no number", error);
        if (isinf(value) && !strchr(cell.text, 'I'))
                return sp__cell_fail(&cell, SP_LIMIT, "does not fit into a double", error);
        *out = value;
        return SP_OK;
}

sp_status sp_result_bool(const sp_result *result, size_t row, size_t column, bool *out, sp_error **error)
{
        struct sp__cell cell;
        sp_status status;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (cell.type != SP__OID_BOOL)
                return sp__cell_fail(&cell, SP_INVALID, "is no boolean", error);
        *out = *cell.text == 't';
        return SP_OK;
}

sp_status sp_result_text(const sp_result *result, size_t row, size_t column, const char **out, size_t *len,
                         sp_error **error)
{
        struct sp__cell cell;
        sp_status status;

        SP__NEED(result, error);
        SP__NEED(out, error);
        SP__NEED(len, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        *out = cell.text;
        *len = cell.len;
        return SP_OK;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

sp_status sp_result_uuid(const sp_result *result, size_t row, size_t column, uint8_t out[16], sp_error **error)
{
        struct sp__cell cell;
        sp_status status;
        uint8_t bytes[16];
        size_t n = 0;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (cell.type != SP__OID_UUID)
                return sp__cell_fail(&cell, SP_INVALID, "is no uuid", error);
        for (const char *at = cell.text; *at && n < sizeof bytes; at += 2) {
                at += *at == '-';
                if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
                        break;
                bytes[n++] = (uint8_t)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
        }
        if (n < sizeof bytes)
                return sp__cell_fail(&cell, SP_PROTOCOL, "is no uuid as PostgreSQL writes it", error);
        memcpy(out, bytes, sizeof bytes);
        return SP_OK;
}

/* "\x…", or what `bytea_output = escape` makes: a backslash before a backslash or three octal digits. */
static bool decode(const struct sp__cell *cell, char *to, size_t *len)
{
        const char *at = cell->text, *end = at + cell->len;
        size_t n = 0;

        if (cell->len >= 2 && at[0] == '\\' && at[1] == 'x') {
                for (at += 2; at < end; at += 2) {
                        if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0)
                                return false;
                        to[n++] = (char)(hex_digit(at[0]) << 4 | hex_digit(at[1]));
                }
        } else {
                while (at < end) {
                        if (*at != '\\') {
                                to[n++] = *at++;
                        } else if (at[1] == '\\') {
                                to[n++] = '\\';
                                at += 2;
                        } else if (end - at >= 4) {
                                to[n++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
                                at += 4;
                        } else {
                                return false;
                        }
                }
        }
        to[n] = 0;
        *len = n;
        return true;
}

sp_status sp_result_bytes(const sp_result *result, size_t row, size_t column, const void **out, size_t *len,
                          sp_error **error)
{
        struct sp__cell cell;
        sp_status status;
        char *bytes;

        SP__NEED(result, error);
        SP__NEED(out, error);
        SP__NEED(len, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (cell.type != SP__OID_BYTEA)
                return sp__cell_fail(&cell, SP_INVALID, "is no bytea", error);
        bytes = sp__result_room(result, cell.len + 1);
        if (!bytes)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (!decode(&cell, bytes, len))
                return sp__cell_fail(&cell, SP_PROTOCOL, "is no bytea as PostgreSQL writes it", error);
        *out = bytes;
        return SP_OK;
}
