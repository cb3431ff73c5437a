/* SPDX-License-Identifier: MIT */
#include "sql/compared.h"

#include <string.h>

enum { KEYWORDS_FROM = 258 };

/* Something that may be a name: neither literal, parameter, operator nor a mark. */
static bool name(const struct sp__words *words, size_t at)
{
        const struct sp__token *token = &words->all[at];

        return at < words->count && token->kind >= KEYWORDS_FROM && token->kind != SP__TOKEN_OP &&
               !sp__token_literal(token) && (token->kind < SP__TOKEN_PARAM || token->kind > SP__TOKEN_NOT_EQUALS);
}

/* An operator that yields a value, to be compared. */
static bool joining(const struct sp__words *words, const struct sp__token *token)
{
        static const char *const operators[] = {"||", "->", "->>", "#>", "#>>", NULL};
        size_t len = token->end - token->start;

        for (size_t i = 0; operators[i]; i++) {
                if (strlen(operators[i]) == len && memcmp(words->text + token->start, operators[i], len) == 0)
                        return true;
        }
        return false;
}

/* An expression that is compared ends there, or the comparison is another one. */
static bool stops(const struct sp__words *words, size_t at)
{
        static const char *const bounds[] = {"and",   "or",    "where",   "on",     "having",    "when",      "then",
                                             "else",  "case",  "select",  "from",   "join",      "limit",     "offset",
                                             "fetch", "by",    "between", "like",   "ilike",     "similar",   "values",
                                             "set",   "is",    "in",      "any",    "all",       "some",      "as",
                                             "order", "group", "union",   "except", "intersect", "returning", NULL};
        const struct sp__token *token = &words->all[at];

        if (token->kind == '<' || token->kind == '>')
                return true;
        if (token->kind == SP__TOKEN_OP)
                return !joining(words, token);
        return (token->kind > SP__TOKEN_TYPECAST && token->kind <= SP__TOKEN_NOT_EQUALS) ||
               sp__token_among(token, words->text, bounds);
}

/*
 * From the parameter outwards, over what its expression is made of, to a "=". Brackets beside the way are stepped over; a
 * comma parts what is in the same brackets, so that only what stands outside of those counts.
 */
static bool meets_equals(const struct sp__words *words, size_t at, size_t step)
{
        size_t bound = words->depth[at];

        /* Past the first token the index wraps, and is past the last one. */
        for (size_t i = at + step; i < words->count; i += step) {
                if (words->depth[i] > bound)
                        continue;
                bound = words->depth[i];
                if (words->all[i].kind == '=')
                        return true;
                if (stops(words, i) || (words->all[i].kind == ',' && bound == 0))
                        return false;
                bound -= words->all[i].kind == ',';
        }
        return false;
}

/* Behind the value that begins at `at`: with a cast to a type of one word. */
static size_t value_end(const struct sp__words *words, size_t at)
{
        return sp__words_mark(words, at + 1, SP__TOKEN_TYPECAST) && name(words, at + 2) ? at + 3 : at + 1;
}

/* "IN ($1)", but not "NOT IN ($1)". */
static bool listed(const struct sp__words *words, size_t at)
{
        return at >= 3 && sp__words_mark(words, at - 1, '(') && sp__words_is(words, at - 2, "in") &&
               !sp__words_is(words, at - 3, "not") && sp__words_mark(words, value_end(words, at), ')');
}

/* "IS NOT DISTINCT FROM $1" */
static bool same_as(const struct sp__words *words, size_t at)
{
        return at >= 3 && sp__words_is(words, at - 1, "from") && sp__words_is(words, at - 2, "distinct") &&
               sp__words_is(words, at - 3, "not");
}

bool sp__sql_equals(const struct sp__words *words, size_t at)
{
        return listed(words, at) || same_as(words, at) || meets_equals(words, at, SIZE_MAX) ||
               meets_equals(words, at, 1);
}

/* The column that ends before `end`. */
static bool column_before(const struct sp__words *words, size_t end, struct sp__equality *out)
{
        if (end < 2 || !name(words, end - 1))
                return false;
        out->column_end = end;
        out->column = end - 1;
        if (end >= 4 && sp__words_mark(words, end - 2, '.') && name(words, end - 3))
                out->column = end - 3;
        return true;
}

static bool column_behind(const struct sp__words *words, size_t at, struct sp__equality *out)
{
        if (!name(words, at))
                return false;
        out->column = at;
        out->column_end = sp__words_mark(words, at + 1, '.') && name(words, at + 2) ? at + 3 : at + 1;
        return true;
}

static bool read_equality(const struct sp__words *words, size_t at, struct sp__equality *out)
{
        *out = (struct sp__equality){.value = at, .value_end = value_end(words, at)};
        if (listed(words, at) && column_before(words, at - 2, out)) {
                out->to = out->value_end + 1;
                out->from = out->column;
        } else if (at >= 1 && sp__words_mark(words, at - 1, '=') && column_before(words, at - 1, out)) {
                out->to = out->value_end;
                out->from = out->column;
        } else if (sp__words_mark(words, out->value_end, '=') && column_behind(words, out->value_end + 1, out)) {
                out->to = out->column_end;
                out->from = at;
        } else {
                return false;
        }
        return true;
}

/* A WHERE before it that is not in brackets. */
static bool behind_where(const struct sp__words *words, size_t at)
{
        for (size_t i = at; i-- > 0;) {
                if (words->depth[i] == 0 && sp__words_is(words, i, "where"))
                        return true;
        }
        return false;
}

bool sp__sql_equality(const struct sp__words *words, size_t at, struct sp__equality *out)
{
        static const char *const before[] = {"where", "and", NULL};
        static const char *const behind[] = {"and", "order", "for", "returning", NULL};

        if (words->depth[at] > 1 || !read_equality(words, at, out) || words->depth[out->from] != 0 || out->from == 0)
                return false;
        return sp__token_among(&words->all[out->from - 1], words->text, before) && behind_where(words, out->from) &&
               (out->to == words->count || sp__token_among(&words->all[out->to], words->text, behind));
}
