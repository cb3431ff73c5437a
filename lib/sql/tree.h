/* SPDX-License-Identifier: MIT */
/** What the parse tree says, read from libpg_query's JSON without building anything. */
#ifndef SP_SQL_TREE_H
#define SP_SQL_TREE_H

#include <stdbool.h>
#include <stddef.h>

enum { SP__TREE_NAME = 64 };

struct sp__tree {
        size_t statements;
        char top[SP__TREE_NAME];   /* "SelectStmt"; of the last statement */
        char inner[SP__TREE_NAME]; /* the statement that EXPLAIN is about */
        char name[SP__TREE_NAME];  /* of the setting that SET is about */
        bool analyze;              /* EXPLAIN ANALYZE */
        bool modifies;             /* INSERT, UPDATE, DELETE or MERGE, at any depth */
        bool locks;                /* FOR UPDATE, FOR SHARE, … */
        bool into;                 /* SELECT INTO */
        bool temporary;            /* makes something temporary */
        bool temp_schema;          /* names pg_temp */
        bool local;                /* SET LOCAL */
        bool hold;                 /* DECLARE … WITH HOLD */
        bool fn_session;           /* calls a function that depends on session state */
        bool fn_dirties;           /* … that leaves some behind */
        bool fn_writes;            /* … that has an effect besides */
        bool fn_stays;             /* … that leaves what no reset takes back */
        bool fn_renames;           /* … that sets what names mean: set_config('search_path', …) */
        bool fn_obscure;           /* … of which nothing is known */
        bool clock;                /* asks when its transaction began, or which one it is */
};

void sp__tree_read(const char *json, struct sp__tree *tree);

enum {
        SP__FUNCTION_SESSION = 1,
        SP__FUNCTION_DIRTIES = 2,
        SP__FUNCTION_WRITES = 4,
        SP__FUNCTION_CLOCK = 8,
        SP__FUNCTION_OBSCURE = 16, /* not known: it may do anything */
        SP__FUNCTION_STAYS = 32,   /* no reset takes back what it leaves */
        SP__FUNCTION_SETS = 64     /* sets what its first argument names */
};
/** SP__FUNCTION_… of a function by its name; `schema`: what stands before it, or "". */
unsigned sp__function_effects(const char *schema, const char *name);
/** harmless.c: whether one of PostgreSQL or an extension has that name, which leaves nothing behind in a session. */
bool sp__function_harmless(const char *name);
/** Whether a setting, whose name ends where `name` or at a quotation mark, says what the names in other statements mean. */
bool sp__setting_renames(const char *name);

#endif
