/* SPDX-License-Identifier: MIT */
#include "pg/pgoutput.h"

#include <string.h>

/* What is left to be read; once it is bad it yields nothing but zeros. */
struct reader {
        const char *at;
        const char *end;
        bool bad;
};

static const char *take(struct reader *reader, size_t len)
{
        const char *at = reader->at;

        if (reader->bad || (size_t)(reader->end - at) < len) {
                reader->bad = true;
                return NULL;
        }
        reader->at += len;
        return at;
}

static uint64_t take_number(struct reader *reader, size_t bytes)
{
        const unsigned char *at = (const unsigned char *)take(reader, bytes);
        uint64_t number = 0;

        for (size_t i = 0; at && i < bytes; i++)
                number = number << 8 | at[i];
        return number;
}

static char take_char(struct reader *reader)
{
        return (char)take_number(reader, 1);
}

static const char *take_text(struct reader *reader)
{
        const char *at = reader->at;
        const char *zero = reader->bad ? NULL : memchr(at, 0, (size_t)(reader->end - at));

        if (!zero) {
                reader->bad = true;
                return "";
        }
        reader->at = zero + 1;
        return at;
}

static size_t take_count(struct reader *reader)
{
        size_t count = take_number(reader, 2);

        if (count > SP__WAL_COLUMNS_MAX)
                reader->bad = true;
        return reader->bad ? 0 : count;
}

static void take_cell(struct reader *reader, struct sp__wal_cell *cell)
{
        *cell = (struct sp__wal_cell){.kind = take_char(reader)};
        switch (cell->kind) {
        case 't':
        case 'b':
                cell->len = (uint32_t)take_number(reader, 4);
                cell->data = take(reader, cell->len);
                break;
        case 'n':
        case 'u':
                break;
        default:
                reader->bad = true;
        }
}

static void take_tuple(struct reader *reader, char kind, struct sp__wal_tuple *tuple)
{
        tuple->kind = kind;
        tuple->count = take_count(reader);
        for (size_t i = 0; i < tuple->count && !reader->bad; i++)
                take_cell(reader, &tuple->cells[i]);
}

static void take_relation(struct reader *reader, struct sp__wal *out)
{
        out->relation = (uint32_t)take_number(reader, 4);
        out->schema = take_text(reader);
        out->name = take_text(reader);
        out->identity = take_char(reader);
        out->column_count = take_count(reader);
        for (size_t i = 0; i < out->column_count && !reader->bad; i++) {
                out->columns[i].key = take_number(reader, 1) & 1;
                out->columns[i].name = take_text(reader);
                take(reader, 8);
        }
        /* Where pg_catalog is meant. */
        if (!*out->schema)
                out->schema = "pg_catalog";
}

/* Insert: N. Update: [K or O] N. Delete: K or O. */
static void take_change(struct reader *reader, struct sp__wal *out)
{
        bool has_new = out->kind != SP__WAL_DELETE;
        char kind;

        out->old.kind = out->now.kind = 0;
        out->relation = (uint32_t)take_number(reader, 4);
        kind = take_char(reader);
        if (out->kind != SP__WAL_INSERT && (kind == 'K' || kind == 'O')) {
                take_tuple(reader, kind, &out->old);
                kind = has_new ? take_char(reader) : 0;
        } else if (!has_new) {
                reader->bad = true;
        }
        if (has_new && kind == 'N')
                take_tuple(reader, kind, &out->now);
        else if (has_new)
                reader->bad = true;
}

static void take_truncate(struct reader *reader, struct sp__wal *out)
{
        size_t count = take_number(reader, 4);

        take(reader, 1);
        out->truncated = 0;
        if (reader->bad || count > (size_t)(reader->end - reader->at) / 4) {
                reader->bad = true;
                return;
        }
        out->truncated = count;
        out->relations = take(reader, 4 * count);
}

static void take_message(struct reader *reader, struct sp__wal *out)
{
        out->transactional = take_number(reader, 1) & 1;
        out->lsn = take_number(reader, 8);
        out->prefix = take_text(reader);
        out->content_len = take_number(reader, 4);
        out->content = take(reader, out->content_len);
}

static void take_body(struct reader *reader, struct sp__wal *out)
{
        switch (out->kind) {
        case SP__WAL_BEGIN:
                out->lsn = take_number(reader, 8);
                take(reader, 8);
                out->xid = (uint32_t)take_number(reader, 4);
                break;
        case SP__WAL_COMMIT:
                take(reader, 9);
                out->lsn = take_number(reader, 8);
                take(reader, 8);
                break;
        case SP__WAL_RELATION:
                take_relation(reader, out);
                break;
        case SP__WAL_INSERT:
        case SP__WAL_UPDATE:
        case SP__WAL_DELETE:
                take_change(reader, out);
                break;
        case SP__WAL_TRUNCATE:
                take_truncate(reader, out);
                break;
        case SP__WAL_MESSAGE:
                take_message(reader, out);
                break;
        default:
                out->kind = SP__WAL_OTHER;
                reader->at = reader->end;
        }
}

bool sp__wal_decode(const void *data, size_t len, struct sp__wal *out)
{
        struct reader reader = {data, (const char *)data + len, len == 0};

        out->kind = (enum sp__wal_kind)take_char(&reader);
        /* Where something came from, and a type that is no built-in one. */
        if (out->kind != 'O' && out->kind != 'Y' && !memchr("BCRIUDTM", (int)out->kind, 8))
                return false;
        take_body(&reader, out);
        return !reader.bad && reader.at == reader.end;
}

uint32_t sp__wal_truncated(const struct sp__wal *wal, size_t index)
{
        const unsigned char *at = (const unsigned char *)wal->relations + 4 * index;

        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
