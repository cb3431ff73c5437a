/* SPDX-License-Identifier: MIT */
/** What a database says of the tables that statements name: columns, indexes, how they are used. */
#ifndef SP_PROFILE_CATALOG_H
#define SP_PROFILE_CATALOG_H

#include "profile/side.h"

enum { SP__KEYS = 8 };

struct sp__column {
        int number;
        const char *name;
        bool ordered; /* a btree can hold it */
};

/** One key of an index. */
struct sp__index_key {
        int column; /* 0: an expression */
        bool down;
};

struct sp__index {
        const char *name, *access;
        const char *twin; /* the same for indexes that hold the same in the same way */
        bool unique, constraint, valid;
        bool whole;   /* neither partial nor of an expression, each column in its own order */
        bool bare;    /* no columns besides its keys */
        size_t count; /* of its keys; SP__KEYS at most are told */
        struct sp__index_key keys[SP__KEYS];
        double scans, bytes;
};

struct sp__table {
        uint32_t oid;
        const char *wanted; /* how it was asked for */
        const char *schema, *name;
        bool partitioned;
        double rows, pages, seq_scans, index_scans, writes;
        struct sp__column *columns;
        size_t column_count;
        struct sp__index *indexes;
        size_t index_count;
};

struct sp__catalog {
        struct sp__table *tables;
        size_t count;
        struct sp__extension hypopg;
        sp_result *results[3]; /* hold the texts */
};

/** `names`: what statements call the tables, quoted as SQL would be, as an array's text. Those that are none are left out. */
sp_status sp__catalog_read(struct sp__side *side, const char *names, struct sp__catalog *out, sp_error **error);
void sp__catalog_free(struct sp__catalog *catalog);

const struct sp__table *sp__catalog_table(const struct sp__catalog *catalog, const char *wanted);
/** NULL for none. */
const struct sp__column *sp__table_column(const struct sp__table *table, const char *name);
const struct sp__column *sp__table_number(const struct sp__table *table, int number);

#endif
