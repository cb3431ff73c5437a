/* SPDX-License-Identifier: MIT */
#include "sql/unite.h"

#include "sql/words.h"

#include <string.h>

enum { PARAMS_MAX = 32 };

static unsigned last_param(const struct sp__words *words)
{
        unsigned last = 0;

        for (size_t at = 0; at < words->count; at++) {
                unsigned number = sp__words_param(words, at);

                last = number > last ? number : last;
        }
        return last;
}

static bool value(const struct sp__token *token)
{
        return sp__token_literal(token) || token->kind == SP__TOKEN_PARAM;
}

/* Names may be written otherwise; what the tokens are may not. */
static bool alike(const struct sp__token *a, const struct sp__token *b)
{
        return a->kind == b->kind || (value(a) && value(b));
}

static bool differ(const struct sp__words *words, const struct sp__words *other, size_t at)
{
        const struct sp__token *a = &words->all[at], *b = &other->all[at];
        size_t len = a->end - a->start;

        return b->end - b->start != len || memcmp(words->text + a->start, other->text + b->start, len) != 0;
}

/* The parameter that a value which differs is written as; 0: it is none that differs. */
static unsigned varied(const struct sp__words *words, const struct sp__words *other, size_t at, unsigned *last)
{
        unsigned number = sp__words_param(words, at);

        if (!value(&words->all[at]) || !differ(words, other, at))
                return 0;
        return number ? number : ++*last;
}

static bool unite(const struct sp__words *words, const struct sp__words *other, uint32_t *varies, struct sp__buf *out)
{
        unsigned last = last_param(words), number;
        size_t done = 0;

        for (size_t at = 0; at < words->count; at++) {
                if (!alike(&words->all[at], &other->all[at]))
                        return false;
                number = varied(words, other, at, &last);
                if (number > PARAMS_MAX)
                        return false;
                if (!number)
                        continue;
                *varies |= (uint32_t)1 << (number - 1);
                sp__words_copy(words, done, at, out);
                sp__buf_format(out, " $%u ", number);
                done = at + 1;
        }
        sp__words_copy(words, done, words->count, out);
        sp__buf_char(out, 0);
        return !out->failed;
}

bool sp__sql_unite(const char *text, const char *other, uint32_t *varies, struct sp__buf *out)
{
        struct sp__words a, b;
        bool united;

        if (!sp__words_read(text, &a))
                return false;
        if (!sp__words_read(other, &b)) {
                sp__words_free(&a);
                return false;
        }
        united = a.count == b.count && unite(&a, &b, varies, out);
        sp__words_free(&a);
        sp__words_free(&b);
        return united;
}
