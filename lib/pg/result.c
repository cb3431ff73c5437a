/* SPDX-License-Identifier: MIT */
#include "pg/result.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <sugarperf/batch.h>

/* What a result keeps beside libpq's. */
struct room {
        struct room *next;
        char bytes[];
};

struct sp_result {
        PGresult *res;
        struct room *rooms;
        sp_result **sets; /* of a batch, whose first one's is `res`; NULL for others */
        size_t set_count;
        struct sp__index *index; /* made when a row is first looked for */
        struct sp__buf packed;   /* made when it is first asked for */
};

sp_result *sp__result_new(PGresult *res)
{
        sp_result *result = malloc(sizeof *result);

        if (!result) {
                PQclear(res);
                return NULL;
        }
        *result = (sp_result){.res = res};
        return result;
}

sp_result *sp__result_sets(PGresult **results, size_t count)
{
        sp_result *whole = calloc(1, sizeof *whole);
        bool good = whole && (whole->sets = calloc(count, sizeof *whole->sets));

        for (size_t i = 0; i < count; i++) {
                if (!good) {
                        PQclear(results[i]);
                        continue;
                }
                whole->sets[i] = sp__result_new(results[i]);
                good = whole->sets[i] != NULL;
                whole->set_count += good;
        }
        if (good) {
                whole->res = whole->sets[0]->res;
                return whole;
        }
        sp_result_free(whole);
        return NULL;
}

size_t sp_result_sets(const sp_result *result)
{
        if (!result)
                return 0;
        return result->sets ? result->set_count : 1;
}

const sp_result *sp_result_set(const sp_result *result, size_t index)
{
        if (index >= sp_result_sets(result))
                return NULL;
        return result->sets ? result->sets[index] : result;
}

struct sp__index **sp__result_index(const sp_result *result)
{
        return &((sp_result *)(uintptr_t)result)->index;
}

char *sp__result_room(const sp_result *shared, size_t len)
{
        sp_result *result = (sp_result *)(uintptr_t)shared;
        struct room *room = malloc(sizeof *room + len);

        if (!room)
                return NULL;
        room->next = result->rooms;
        result->rooms = room;
        return room->bytes;
}

void sp_result_free(sp_result *result)
{
        struct room *room;

        if (!result)
                return;
        while ((room = result->rooms)) {
                result->rooms = room->next;
                free(room);
        }
        for (size_t i = 0; i < result->set_count; i++)
                sp_result_free(result->sets[i]);
        if (!result->sets)
                PQclear(result->res);
        free(result->sets);
        sp__index_free(result->index);
        sp__buf_free(&result->packed);
        free(result);
}

size_t sp_result_rows(const sp_result *result)
{
        return result ? (size_t)PQntuples(result->res) : 0;
}

size_t sp_result_columns(const sp_result *result)
{
        return result ? (size_t)PQnfields(result->res) : 0;
}

const char *sp_result_name(const sp_result *result, size_t column)
{
        return column < sp_result_columns(result) ? PQfname(result->res, (int)column) : NULL;
}

uint32_t sp_result_type(const sp_result *result, size_t column)
{
        return column < sp_result_columns(result) ? PQftype(result->res, (int)column) : 0;
}

const void *sp_result_get(const sp_result *result, size_t row, size_t column, size_t *len)
{
        if (row >= sp_result_rows(result) || column >= sp_result_columns(result) ||
            PQgetisnull(result->res, (int)row, (int)column))
                return NULL;
        if (len)
                *len = (size_t)PQgetlength(result->res, (int)row, (int)column);
        return PQgetvalue(result->res, (int)row, (int)column);
}

int64_t sp_result_affected(const sp_result *result)
{
        int64_t all = 0;

        if (!result)
                return 0;
        if (!result->sets)
                return strtoll(PQcmdTuples(result->res), NULL, 10);
        for (size_t i = 0; i < result->set_count; i++)
                all += sp_result_affected(result->sets[i]);
        return all;
}

const char *sp_result_command(const sp_result *result)
{
        return result ? PQcmdStatus(result->res) : "";
}

static void pack_text(struct sp__buf *buf, const char *text)
{
        size_t len = strnlen(text, UINT16_MAX);

        sp__buf_u16(buf, (uint16_t)len);
        sp__buf_add(buf, text, len);
}

static void pack_head(const sp_result *result, struct sp__buf *buf)
{
        int columns = PQnfields(result->res);

        sp__buf_add(buf, "\1", 2);
        sp__buf_u16(buf, (uint16_t)columns);
        sp__buf_u32(buf, (uint32_t)PQntuples(result->res));
        sp__buf_u64(buf, (uint64_t)sp_result_affected(result));
        pack_text(buf, sp_result_command(result));
        for (int column = 0; column < columns; column++) {
                sp__buf_u32(buf, PQftype(result->res, column));
                pack_text(buf, PQfname(result->res, column));
        }
}

enum { LONG = 64 }; /* rows */

static void pack_cell(const PGresult *res, int row, int column, struct sp__buf *buf)
{
        /* NULL has no length, so that few cells are asked about. */
        size_t len = (size_t)PQgetlength(res, row, column);
        bool null = len == 0 && PQgetisnull(res, row, column);
        char *to = sp__buf_room(buf, sizeof(uint32_t) + len);

        if (!to)
                return;
        sp__put_u32(to, null ? UINT32_MAX : (uint32_t)len);
        memcpy(to + sizeof(uint32_t), PQgetvalue(res, row, column), len);
        buf->len += sizeof(uint32_t) + len;
}

static void pack_cells(const PGresult *res, struct sp__buf *buf)
{
        int rows = PQntuples(res), columns = PQnfields(res);

        for (int row = 0; row < rows; row++) {
                for (int column = 0; column < columns; column++)
                        pack_cell(res, row, column, buf);
        }
}

const void *sp_result_pack(const sp_result *shared, size_t *len)
{
        sp_result *result = (sp_result *)(uintptr_t)shared;
        struct sp__buf *buf;

        if (!result || !len)
                return NULL;
        buf = &result->packed;
        if (buf->len == 0) {
                /* What libpq keeps it in is more than its bytes. A short one has room at once. */
                if (PQntuples(result->res) >= LONG)
                        sp__buf_room(buf, PQresultMemorySize(result->res));
                pack_head(result, buf);
                pack_cells(result->res, buf);
        }
        if (buf->failed) {
                sp__buf_clear(buf);
                return NULL;
        }
        *len = buf->len;
        return buf->data;
}
