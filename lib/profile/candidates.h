/* SPDX-License-Identifier: MIT */
/**
 * The btree indexes that could serve a statement, by how it reaches its rows: what it compares for equality first, then a
 * range or its order, then what else it reads if that is little; partial where it asks for a column that is true, false or
 * NULL. No literal of a statement gets into one. Pure.
 */
#ifndef SP_PROFILE_CANDIDATES_H
#define SP_PROFILE_CANDIDATES_H

#include "profile/catalog.h"
#include "sql/access.h"

struct sp__candidate {
        const struct sp__table *table;
        struct sp__index_key keys[SP__KEYS];
        size_t count;
        enum sp__use where; /* SP__USE_READ: all rows; SP__USE_TRUE, …_FALSE, …_NULL, …_NOT_NULL of: */
        int where_column;
        bool
            ordered; /* it yields the order of a statement that has a LIMIT: how many rows there are does not matter then */
};

struct sp__candidates {
        struct sp__candidate *all;
        size_t count, cap;
        bool failed;
};

/** Adds those of a statement that are not there yet, and that no index of the table is already. */
void sp__candidates_add(struct sp__candidates *candidates, const struct sp__access *access,
                        const struct sp__catalog *catalog);
void sp__candidates_free(struct sp__candidates *candidates);

/** Whether the keys of `a` are the first ones of `b`, and both hold the same rows. */
bool sp__candidate_begins(const struct sp__candidate *a, const struct sp__candidate *b);
/** The table of a source, NULL where it is none. */
const struct sp__table *sp__source_table(const struct sp__source *source, const struct sp__catalog *catalog);
/** How the catalog is asked for it: quoted as SQL would be. */
void sp__source_name(const struct sp__source *source, struct sp__buf *out);

/** CREATE INDEX; `concurrently`: named, for production. */
void sp__candidate_write(const struct sp__candidate *candidate, bool concurrently, struct sp__buf *out);

#endif
