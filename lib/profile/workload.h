/* SPDX-License-Identifier: MIT */
/** The statements that a profiler recorded of one pool, as its advice looks at them. */
#ifndef SP_PROFILE_WORKLOAD_H
#define SP_PROFILE_WORKLOAD_H

#include "profile/catalog.h"
#include "profile/names.h"
#include "sql/access.h"

/** One statement: what was recorded under all names of its fingerprint. */
struct sp__load {
        const struct sp__name *name; /* the first one */
        const sp_stmt *stmt;
        struct sp__access access;
        double runs, rows;
        int64_t total_ns;
        unsigned number; /* of its plan */
        int params;
        bool explained;           /* its plan is known */
        char *shape;              /* of its plan as found */
        char code[6];             /* why it is not: SQLSTATE, or "" */
        double before, now, with; /* cost of its plan: as found, with what was chosen, and with what is tried */
};

struct sp__workload {
        struct sp__load *all;
        size_t count;
};

/** Those that took longest, at most 200; false when out of memory. `pool`: its name. */
bool sp__workload_read(const struct sp__names *names, const char *pool, struct sp__workload *out);
void sp__workload_free(struct sp__workload *workload);
/** The names of all tables as sp__catalog_read() wants them. */
void sp__workload_tables(const struct sp__workload *workload, struct sp__buf *out);
/** Whether the statement reads or writes the table. */
bool sp__load_names(const struct sp__load *load, const struct sp__catalog *catalog, const struct sp__table *table);
/** Rows that it wrote in ways that change an index of these columns. */
double sp__load_writes(const struct sp__load *load, const struct sp__catalog *catalog, const struct sp__table *table,
                       const struct sp__index_key *keys, size_t count);

#endif
