/* SPDX-License-Identifier: MIT */
/*
 * One pass over the JSON: a string before a colon is a key, each other one the value of the last key. Quotes inside a
 * string are escaped, so that nothing which the statement's author wrote can look like a node.
 */
#include "sql/tree.h"

#include <stdlib.h>
#include <string.h>

/* How many brackets are open at a key of interest: {"version":…,"stmts":[{"stmt":{"ExplainStmt":{"query":{…. */
enum { DEPTH_STATEMENT = 3, DEPTH_FIELD = 5 };

struct slice {
        const char *data;
        size_t len;
};

struct reader {
        struct sp__tree *tree;
        struct slice key;
        int depth;
        int function; /* depth inside a function's name, 0 outside */
        char schema[SP__TREE_NAME], name[SP__TREE_NAME];
};

static bool is(struct slice slice, const char *text)
{
        return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

static void copy(char to[SP__TREE_NAME], struct slice slice)
{
        size_t len = slice.len < SP__TREE_NAME ? slice.len : SP__TREE_NAME - 1;

        memcpy(to, slice.data, len);
        to[len] = 0;
}

/* The string that begins at `at`, and the place behind it. */
static const char *string(const char *at, struct slice *out)
{
        const char *start = ++at;

        while (*at && *at != '"')
                at += at[0] == '\\' && at[1] ? 2 : 1;
        *out = (struct slice){start, (size_t)(at - start)};
        return *at ? at + 1 : at;
}

/* The name of the node that is the value at `at`: {"SelectStmt":… */
static void node_name(const char *at, char out[SP__TREE_NAME])
{
        struct slice name;

        if (at[0] != '{' || at[1] != '"')
                return;
        string(at + 1, &name);
        copy(out, name);
}

static void on_key(struct reader *reader, const char *value)
{
        static const char *const modifying[] = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"};
        struct sp__tree *tree = reader->tree;
        struct slice key = reader->key;

        if (is(key, "stmt") && reader->depth == DEPTH_STATEMENT) {
                tree->statements++;
                node_name(value, tree->top);
        } else if (is(key, "query") && reader->depth == DEPTH_FIELD)
                node_name(value, tree->inner);
        else if (is(key, "funcname") && *value == '[') {
                reader->function = reader->depth + 1;
                *reader->schema = *reader->name = 0;
        } else if (is(key, "lockingClause"))
                tree->locks = true;
        else if (is(key, "intoClause"))
                tree->into = true;
        else if (is(key, "SQLValueFunction")) /* CURRENT_TIMESTAMP, and what is harmless */
                tree->clock = true;
        else if (is(key, "is_local") && reader->depth == DEPTH_FIELD)
                tree->local = true;
        else if (is(key, "options") && reader->depth == DEPTH_FIELD && *value >= '0' && *value <= '9')
                tree->hold = (strtoul(value, NULL, 10) & 0x20) != 0; /* CURSOR_OPT_HOLD, parsenodes.h */
        for (size_t i = 0; *value == '{' && i < sizeof modifying / sizeof *modifying; i++)
                tree->modifies |= is(key, modifying[i]);
}

/* Whether the argument of an option, at `at`, switches it off: ,"arg":{"String":{"sval":"off"}} */
static bool switched_off(const char *at)
{
        static const char *const off[] = {"{\"String\":{\"sval\":\"false\"", "{\"String\":{\"sval\":\"off\"",
                                          "{\"Integer\":{}", "{\"Boolean\":{}"};
        static const char prefix[] = ",\"arg\":";

        if (strncmp(at, prefix, sizeof prefix - 1) != 0)
                return false;
        for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
                if (strncmp(at + sizeof prefix - 1, off[i], strlen(off[i])) == 0)
                        return true;
        }
        return false;
}

static bool temp_schema(struct slice slice)
{
        return slice.len >= 7 && memcmp(slice.data, "pg_temp", 7) == 0;
}

static void on_string(struct reader *reader, struct slice value, const char *after)
{
        struct sp__tree *tree = reader->tree;
        struct slice key = reader->key;

        if (is(key, "sval") && reader->function) {
                memcpy(reader->schema, reader->name, sizeof reader->schema);
                copy(reader->name, value);
                tree->temp_schema |= temp_schema(value);
        } else if (is(key, "relpersistence"))
                tree->temporary |= is(value, "t");
        else if (is(key, "schemaname"))
                tree->temp_schema |= temp_schema(value);
        else if (is(key, "name") && reader->depth == DEPTH_FIELD)
                copy(tree->name, value);
        else if (is(key, "defname") && is(value, "analyze"))
                tree->analyze = !switched_off(after);
}

/* The arguments behind a function's name, at `at`: the setting that the first one names, or may. */
static bool may_rename(const char *at)
{
        static const char constant[] = ",\"args\":[{\"A_Const\":{\"sval\":{\"sval\":\"";

        return strncmp(at, constant, sizeof constant - 1) != 0 || sp__setting_renames(at + sizeof constant - 1);
}

static void on_close(struct reader *reader, const char *after)
{
        unsigned effects;

        if (reader->depth-- != reader->function)
                return;
        reader->function = 0;
        effects = sp__function_effects(reader->schema, reader->name);
        reader->tree->fn_session |= (effects & SP__FUNCTION_SESSION) != 0;
        reader->tree->fn_dirties |= (effects & SP__FUNCTION_DIRTIES) != 0;
        reader->tree->fn_writes |= (effects & SP__FUNCTION_WRITES) != 0;
        reader->tree->fn_stays |= (effects & SP__FUNCTION_STAYS) != 0;
        reader->tree->fn_renames |= (effects & SP__FUNCTION_SETS) && may_rename(after);
        reader->tree->fn_obscure |= (effects & SP__FUNCTION_OBSCURE) != 0;
        reader->tree->clock |= (effects & SP__FUNCTION_CLOCK) != 0;
}

static const char *on_quote(struct reader *reader, const char *at)
{
        struct slice slice;

        at = string(at, &slice);
        if (*at == ':') {
                reader->key = slice;
                on_key(reader, ++at);
        } else
                on_string(reader, slice, at);
        return at;
}

void sp__tree_read(const char *json, struct sp__tree *tree)
{
        struct reader reader = {.tree = tree};
        const char *at = json;

        *tree = (struct sp__tree){0};
        reader.key = (struct slice){"", 0};
        while (*at) {
                if (*at == '"') {
                        at = on_quote(&reader, at);
                        continue;
                }
                if (*at == '{' || *at == '[')
                        reader.depth++;
                else if (*at == '}' || *at == ']')
                        on_close(&reader, at + 1);
                at++;
        }
}
