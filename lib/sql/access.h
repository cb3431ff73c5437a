/* SPDX-License-Identifier: MIT */
/**
 * How a statement reaches its rows: the tables of each of its levels (a SELECT, also one inside another) and how their
 * columns are used there. Names are as written; which table a bare column belongs to is for who knows the catalog.
 */
#ifndef SP_SQL_ACCESS_H
#define SP_SQL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sp__use {
        SP__USE_READ,  /* anywhere else: it must be fetched */
        SP__USE_EQUAL, /* = a value or an outer column */
        SP__USE_JOIN,  /* = a column; `other` is that use's index */
        SP__USE_IN,    /* one of a list */
        SP__USE_RANGE, /* <, >, BETWEEN */
        SP__USE_TRUE,  /* the column is a condition */
        SP__USE_FALSE,
        SP__USE_NULL,
        SP__USE_NOT_NULL,
        SP__USE_ORDER, /* ascending; in the order of ORDER BY */
        SP__USE_ORDER_DESC,
        SP__USE_WRITTEN /* UPDATE sets it */
};

struct sp__source {
        uint32_t level;
        const char *alias;  /* by which columns name it: the table's own name where it has none */
        const char *schema; /* "" for none */
        const char *table;  /* "" for a subquery or a function */
        bool written;       /* INSERT, UPDATE or DELETE is about it */
};

struct sp__use_of {
        uint32_t level;
        enum sp__use use;
        const char *qualifier; /* "" for none */
        const char *column;    /* "*" for all */
        size_t other;
};

struct sp__level {
        uint32_t parent; /* its own number for the outermost */
        bool limits;     /* it has a LIMIT: reading in order pays */
        bool orders;     /* its ORDER BY is of plain columns alone */
        bool groups;     /* GROUP BY, DISTINCT or an aggregate lies between its rows and its order */
};

/** What kind of statement it is. */
enum sp__access_kind { SP__ACCESS_OTHER, SP__ACCESS_SELECT, SP__ACCESS_INSERT, SP__ACCESS_UPDATE, SP__ACCESS_DELETE };

struct sp__json_tree;

struct sp__access {
        enum sp__access_kind kind;
        struct sp__level *levels;
        size_t level_count;
        struct sp__source *sources; /* common table expressions are among the names that are no table's */
        size_t source_count;
        struct sp__use_of *uses;
        size_t use_count;
        bool failed;
        struct sp__json_tree *tree; /* holds the names */
};

/** false: it does not parse, is too deep, or memory is short. On success sp__access_free() it. Any thread. */
bool sp__access_read(const char *text, struct sp__access *out);
void sp__access_free(struct sp__access *access);

#endif
