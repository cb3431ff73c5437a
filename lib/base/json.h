/* SPDX-License-Identifier: MIT */
/**
 * Reads JSON that a trusted library or server wrote (libpg_query's trees, EXPLAIN's plans) into nodes that live together.
 * Numbers are kept as text.
 *
 * One thread at a time.
 */
#ifndef SP_BASE_JSON_H
#define SP_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum sp__json_kind { SP__JSON_OBJECT, SP__JSON_ARRAY, SP__JSON_TEXT, SP__JSON_OTHER };

struct sp__json {
        enum sp__json_kind kind;
        const char *key;              /* of an object's member, else NULL */
        const char *text;             /* of a string, number or word; "" for the others */
        const struct sp__json *first; /* member or element */
        const struct sp__json *next;
};

struct sp__json_tree;

/** NULL: malformed, nested deeper than 2,000 levels, or out of memory. */
struct sp__json_tree *sp__json_read(const char *data, size_t len);
void sp__json_free(struct sp__json_tree *tree);
const struct sp__json *sp__json_root(const struct sp__json_tree *tree);

/** A member of an object; NULL where there is none, and where `node` is NULL. */
const struct sp__json *sp__json_get(const struct sp__json *node, const char *key);
/** Its text, "" where there is none. */
const char *sp__json_text(const struct sp__json *node, const char *key);
/** The first member, which is how libpg_query wraps a node: {"ColumnRef":{…}}. */
static inline const struct sp__json *sp__json_inner(const struct sp__json *node)
{
        return node && node->kind == SP__JSON_OBJECT ? node->first : NULL;
}

#endif
