/* SPDX-License-Identifier: MIT */
#include "profile/idle.h"

#include "profile/candidates.h"

#include <string.h>

/* Of two that hold the same, the one that is kept: what a constraint or uniqueness needs, else what is read more. */
static bool kept_before(const struct sp__index *a, const struct sp__index *b)
{
        if (a->constraint != b->constraint)
                return a->constraint;
        if (a->unique != b->unique)
                return a->unique;
        return a->scans != b->scans ? a->scans > b->scans : strcmp(a->name, b->name) < 0;
}

/* The one that is kept of those that hold the same; NULL: the index itself. */
static const struct sp__index *twin_of(const struct sp__table *table, const struct sp__index *index)
{
        const struct sp__index *kept = index;

        for (size_t i = 0; i < table->index_count; i++) {
                const struct sp__index *other = &table->indexes[i];

                if (other->valid && strcmp(other->twin, index->twin) == 0 && kept_before(other, kept))
                        kept = other;
        }
        return kept == index ? NULL : kept;
}

static bool begins(const struct sp__table *table, const struct sp__index *index, const struct sp__index *other)
{
        struct sp__candidate a = {.table = table, .where = SP__USE_READ, .count = index->count}, b = a;

        if (!index->whole || !other->whole || !index->bare || index->count >= other->count || other->count > SP__KEYS ||
            strcmp(index->access, "btree") != 0 || strcmp(other->access, "btree") != 0)
                return false;
        b.count = other->count;
        memcpy(a.keys, index->keys, sizeof a.keys);
        memcpy(b.keys, other->keys, sizeof b.keys);
        return sp__candidate_begins(&a, &b);
}

/* One that begins with all that this one has, and stays. */
static const struct sp__index *longer_of(const struct sp__table *table, const struct sp__index *index)
{
        for (size_t i = 0; i < table->index_count; i++) {
                const struct sp__index *other = &table->indexes[i], *of;

                if (begins(table, index, other) && !sp__index_fault(table, other, &of))
                        return other;
        }
        return NULL;
}

const char *sp__index_fault(const struct sp__table *table, const struct sp__index *index, const struct sp__index **of)
{
        *of = NULL;
        if (!index->valid)
                return "invalid";
        if (index->constraint)
                return NULL;
        *of = twin_of(table, index);
        if (*of)
                return "duplicate";
        if (index->unique)
                return NULL;
        if (index->scans == 0)
                return "unused";
        *of = longer_of(table, index);
        return *of ? "redundant" : NULL;
}
