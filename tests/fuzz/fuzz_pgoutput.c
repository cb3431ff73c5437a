/* SPDX-License-Identifier: MIT */
/* Messages from anywhere are decoded or refused, and whatever is decoded lies within them. */
#include "fuzz.h"

#include "pg/pgoutput.h"

#include <stdlib.h>
#include <string.h>

#define SEED(text)                                                                                                     \
        {                                                                                                              \
                text, sizeof text - 1                                                                                  \
        }

const char fuzz_name[] = "pgoutput";

const struct fuzz_seed fuzz_seeds[] = {
    SEED("B\0\0\0\0\1\2\3\4\0\2\3\4\5\6\7\10\0\0\3\350"),
    SEED("C\0\0\0\0\0\1\2\3\4\0\0\0\0\1\2\3\5\0\2\3\4\5\6\7\10"),
    SEED("R\0\0\100\1public\0contents\0d\0\2\1id\0\0\0\0\31\377\377\377\377\0title\0\0\0\0\31\377\377\377\377"),
    SEED("I\0\0\100\1N\0\3t\0\0\0\1"
         "1"
         "nu"),
    SEED("U\0\0\100\1N\0\1t\0\0\0\2ab"),
    SEED("U\0\0\100\1K\0\2t\0\0\0\1"
         "1"
         "nN\0\2t\0\0\0\1"
         "2"
         "u"),
    SEED("U\0\0\100\1O\0\1b\0\0\0\1"
         "1"
         "N\0\1n"),
    SEED("D\0\0\100\1K\0\1t\0\0\0\1"
         "1"),
    SEED("T\0\0\0\2\1\0\0\100\1\0\0\100\2"),
    SEED("M\1\0\0\0\0\1\2\3\4sugarperf\0\0\0\0\5tag x"),
    SEED("O\0\0\0\0\1\2\3\4origin\0"),
    SEED("Y\0\0\100\3public\0mood\0"),
    {NULL, 0},
};

/* Every byte that is pointed at is read, so that a sanitizer looks at it. */
static unsigned sum;

static void touch(const char *data, size_t len)
{
        for (size_t i = 0; i < len; i++)
                sum += (unsigned char)data[i];
}

static void touch_tuple(const struct sp__wal_tuple *tuple)
{
        if (tuple->count > SP__WAL_COLUMNS_MAX)
                abort();
        for (size_t i = 0; tuple->kind && i < tuple->count; i++)
                touch(tuple->cells[i].data, tuple->cells[i].len);
}

static void touch_all(const struct sp__wal *wal)
{
        switch (wal->kind) {
        case SP__WAL_RELATION:
                touch(wal->schema, strlen(wal->schema));
                touch(wal->name, strlen(wal->name));
                for (size_t i = 0; i < wal->column_count; i++)
                        touch(wal->columns[i].name, strlen(wal->columns[i].name));
                break;
        case SP__WAL_INSERT:
        case SP__WAL_UPDATE:
        case SP__WAL_DELETE:
                touch_tuple(&wal->old);
                touch_tuple(&wal->now);
                break;
        case SP__WAL_TRUNCATE:
                for (size_t i = 0; i < wal->truncated; i++)
                        sum += sp__wal_truncated(wal, i);
                break;
        case SP__WAL_MESSAGE:
                touch(wal->prefix, strlen(wal->prefix));
                touch(wal->content, wal->content_len);
                break;
        default:
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct sp__wal wal;

        if (sp__wal_decode(data, size, &wal))
                touch_all(&wal);
        return 0;
}
