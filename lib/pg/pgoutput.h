/* SPDX-License-Identifier: MIT */
/**
 * What the server's plugin "pgoutput" says, protocol version 1: one message at a time, as slices of its bytes. Pure.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
#ifndef SP_PG_PGOUTPUT_H
#define SP_PG_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** PostgreSQL's own limit of columns. */
enum { SP__WAL_COLUMNS_MAX = 1600 };

enum sp__wal_kind {
        SP__WAL_BEGIN = 'B',
        SP__WAL_COMMIT = 'C',
        SP__WAL_RELATION = 'R',
        SP__WAL_INSERT = 'I',
        SP__WAL_UPDATE = 'U',
        SP__WAL_DELETE = 'D',
        SP__WAL_TRUNCATE = 'T',
        SP__WAL_MESSAGE = 'M',
        SP__WAL_OTHER = 0 /* nothing that matters here */
};

/** 't': text, 'b': binary, 'n': NULL, 'u': as it was before (a value that is kept outside of the row). */
struct sp__wal_cell {
        char kind;
        uint32_t len;
        const char *data;
};

struct sp__wal_tuple {
        char kind; /* 'N': new, 'O': old, 'K': of the old one the identity alone; 0: none */
        size_t count;
        struct sp__wal_cell cells[SP__WAL_COLUMNS_MAX];
};

struct sp__wal_column {
        const char *name;
        bool key; /* of the replica identity */
};

/** Some 100 KiB: made once. Which members are set says the kind. */
struct sp__wal {
        enum sp__wal_kind kind;
        uint32_t xid;      /* BEGIN */
        uint64_t lsn;      /* BEGIN: where its commit begins; COMMIT: its end; MESSAGE: its own place */
        uint32_t relation; /* RELATION, INSERT, UPDATE, DELETE */
        const char *schema, *name;
        char identity; /* 'd': primary key, 'n': nothing, 'f': all columns, 'i': an index */
        size_t column_count;
        struct sp__wal_column columns[SP__WAL_COLUMNS_MAX];
        struct sp__wal_tuple old, now;
        size_t truncated; /* TRUNCATE: relations, see sp__wal_truncated() */
        const char *relations;
        bool transactional; /* MESSAGE */
        const char *prefix;
        const char *content;
        size_t content_len;
};

/** false: it is no such message. */
bool sp__wal_decode(const void *data, size_t len, struct sp__wal *out);
uint32_t sp__wal_truncated(const struct sp__wal *wal, size_t index);

#endif
