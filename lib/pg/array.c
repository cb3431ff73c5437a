/* SPDX-License-Identifier: MIT */
/* Arrays from PostgreSQL's text form, {1,NULL,"a \"quoted\" one"}, as results. */
#include "base/buf.h"
#include "core/error.h"
#include "pg/cell.h"
#include "pg/result.h"

#include <string.h>
#include <strings.h>

/* Of the types whose elements are divided by commas. */
static const struct {
        uint32_t array, element;
} types[] = {
    {1000, 16},   {1001, 17},   {1003, 19},   {1016, 20},   {1005, 21},   {1007, 23},   {1009, 25},
    {1028, 26},   {199, 114},   {1021, 700},  {1022, 701},  {1014, 1042}, {1015, 1043}, {1182, 1082},
    {1115, 1114}, {1185, 1184}, {1231, 1700}, {2951, 2950}, {3807, 3802},
};

static uint32_t element_of(uint32_t array)
{
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
                if (types[i].array == array)
                        return types[i].element;
        }
        return 0;
}

/* The element at `*at`, which moves behind it; its text into `buf`. */
static void take_element(const char **at, struct sp__buf *buf, bool *null)
{
        const char *from = *at;

        sp__buf_clear(buf);
        if (**at != '"') {
                *at += strcspn(*at, ",}");
                sp__buf_add(buf, from, (size_t)(*at - from));
                *null = buf->len == 4 && strncasecmp(from, "NULL", 4) == 0;
                return;
        }
        *null = false;
        for ((*at)++; **at && **at != '"'; (*at)++) {
                *at += **at == '\\' && (*at)[1];
                sp__buf_char(buf, **at);
        }
        *at += **at == '"';
}

static bool put_element(PGresult *res, int row, const struct sp__buf *buf, bool null)
{
        return !buf->failed && PQsetvalue(res, row, 0,
                                          null        ? NULL
                                          : buf->data ? buf->data
                                                      : (char *)(uintptr_t) "",
                                          null ? -1 : (int)buf->len) == 1;
}

/* From behind its opening brace. false: out of memory. */
static bool take_all(const char *at, PGresult *res)
{
        struct sp__buf buf = SP__BUF_INIT;
        bool good = true, null;

        for (int row = 0; good && *at && *at != '}'; row++) {
                take_element(&at, &buf, &null);
                good = put_element(res, row, &buf, null);
                at += *at == ',';
        }
        sp__buf_free(&buf);
        return good;
}

/* One column, named as the array's. */
static PGresult *frame_of(const struct sp__cell *cell, uint32_t element)
{
        PGresAttDesc column = {.name = (char *)(uintptr_t)cell->name, .typid = element, .typlen = -1, .atttypmod = -1};
        PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

        if (res && PQsetResultAttrs(res, 1, &column) == 1)
                return res;
        PQclear(res);
        return NULL;
}

sp_status sp_result_array(const sp_result *result, size_t row, size_t column, sp_result **out, sp_error **error)
{
        struct sp__cell cell;
        sp_status status;
        const char *at;
        sp_result *made;
        PGresult *res;

        SP__NEED(result, error);
        SP__NEED(out, error);
        status = sp__cell_at(result, row, column, &cell, error);
        if (status != SP_OK)
                return status;
        if (!element_of(cell.type))
                return sp__cell_fail(&cell, SP_INVALID, "is no array of a known type", error);
        /* "[5:7]={…}": it does not begin with 1. */
        at = *cell.text == '[' ? strchr(cell.text, '{') : cell.text;
        if (!at || *at != '{')
                return sp__cell_fail(&cell, SP_PROTOCOL, "is no array as PostgreSQL writes it", error);
        if (at[1] == '{')
                return sp__cell_fail(&cell, SP_UNSUPPORTED, "is an array of more than one dimension", error);
        res = frame_of(&cell, element_of(cell.type));
        if (res && !take_all(at + 1, res)) {
                PQclear(res);
                res = NULL;
        }
        made = res ? sp__result_new(res) : NULL;
        if (!made)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = made;
        return SP_OK;
}
