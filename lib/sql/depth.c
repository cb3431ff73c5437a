/* SPDX-License-Identifier: MIT */
/*
 * Brackets and CASE open a level; each operator in a chain (1 + 1 + …, x::int::int, NOT NOT x, a UNION b UNION c) adds
 * one. A comma, AND and OR (whose chains the parser flattens) and the words that begin a clause end a chain of operators,
 * but not one of set operations or joins.
 */
#include "sql/depth.h"

static const char *const openers[] = {"case", NULL};
static const char *const closers[] = {"end", NULL};
static const char *const lasting[] = {"union", "intersect", "except", "join", NULL};
static const char *const binding[] = {"not",  "is",    "collate", "at",      "isnull", "notnull",
                                      "like", "ilike", "similar", "between", "in",     NULL};
static const char *const breaking[] = {"and",  "or",   "select", "from",   "where", "on", "when",
                                       "then", "else", "values", "having", "set",   NULL};

struct level {
        uint32_t outside; /* the count where it opened */
        uint32_t base;    /* the count that a broken chain goes back to */
};

struct depth {
        struct level levels[SP__SQL_DEPTH + 1];
        uint32_t top;
        uint32_t count;
};

static bool operator_token(uint32_t kind)
{
        switch (kind) {
        case '+':
        case '-':
        case '*':
        case '/':
        case '%':
        case '^':
        case '<':
        case '>':
        case '=':
        case SP__TOKEN_OP:
                return true;
        default:
                return kind >= SP__TOKEN_TYPECAST && kind <= SP__TOKEN_NOT_EQUALS;
        }
}

static void level_open(struct depth *depth)
{
        uint32_t outside = depth->count++;

        if (depth->top == SP__SQL_DEPTH)
                return;
        depth->levels[++depth->top] = (struct level){outside, depth->count};
}

static void level_close(struct depth *depth)
{
        if (depth->top == 0)
                return;
        depth->count = depth->levels[depth->top--].outside + 1;
}

static void token_count(struct depth *depth, const char *text, const struct sp__token *token)
{
        struct level *level = &depth->levels[depth->top];

        if (token->kind == '(' || token->kind == '[' || sp__token_among(token, text, openers))
                level_open(depth);
        else if (token->kind == ')' || token->kind == ']' || sp__token_among(token, text, closers))
                level_close(depth);
        else if (token->kind == ',' || sp__token_among(token, text, breaking))
                depth->count = level->base;
        else if (sp__token_among(token, text, lasting))
                depth->count = ++level->base;
        else if (operator_token(token->kind) || sp__token_among(token, text, binding))
                depth->count++;
}

bool sp__sql_shallow(const char *text, struct sp__tokens tokens)
{
        struct depth depth;
        struct sp__token token;

        depth.top = depth.count = 0;
        depth.levels[0] = (struct level){0, 0};
        while (sp__token_next(&tokens, &token)) {
                token_count(&depth, text, &token);
                if (depth.count > SP__SQL_DEPTH)
                        return false;
        }
        return true;
}
