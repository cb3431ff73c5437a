/* SPDX-License-Identifier: MIT */
#include "sql/words.h"

#include "sql/statement.h"

#include <stdlib.h>

enum { TOKENS_MAX = 20000 };

static bool grow(struct sp__words *words)
{
        size_t cap = words->cap ? words->cap * 2 : 64;
        struct sp__token *all = realloc(words->all, cap * sizeof *all);
        uint16_t *depth;

        if (all)
                words->all = all;
        depth = realloc(words->depth, cap * sizeof *depth);
        if (depth)
                words->depth = depth;
        words->failed |= !all || !depth || cap > 2 * TOKENS_MAX;
        words->cap = cap;
        return !words->failed;
}

static void collect(void *arg, const char *text, const struct sp__tokens *tokens)
{
        struct sp__words *words = arg;
        struct sp__tokens at = *tokens;
        struct sp__token token;
        uint16_t depth = 0;

        words->text = text;
        while (sp__token_next(&at, &token)) {
                if (sp__token_comment(&token) || token.kind == ';')
                        continue;
                if (words->count == words->cap && !grow(words))
                        return;
                if ((token.kind == ')' || token.kind == ']') && depth > 0)
                        depth--;
                words->depth[words->count] = depth;
                words->all[words->count++] = token;
                depth += token.kind == '(' || token.kind == '[';
        }
}

bool sp__words_read(const char *text, struct sp__words *out)
{
        struct sp__words words = {0};

        if (!sp__sql_scan(text, collect, &words) || words.failed || words.count == 0) {
                sp__words_free(&words);
                return false;
        }
        *out = words;
        return true;
}

void sp__words_free(struct sp__words *words)
{
        free(words->all);
        free(words->depth);
        *words = (struct sp__words){0};
}

bool sp__words_is(const struct sp__words *words, size_t at, const char *word)
{
        return at < words->count && sp__token_is(&words->all[at], words->text, word);
}

bool sp__words_mark(const struct sp__words *words, size_t at, uint32_t kind)
{
        return at < words->count && words->all[at].kind == kind;
}

unsigned sp__words_param(const struct sp__words *words, size_t at)
{
        if (!sp__words_mark(words, at, SP__TOKEN_PARAM))
                return 0;
        return (unsigned)strtoul(words->text + words->all[at].start + 1, NULL, 10);
}

void sp__words_copy(const struct sp__words *words, size_t from, size_t to, struct sp__buf *out)
{
        if (from < to)
                sp__buf_add(out, words->text + words->all[from].start, words->all[to - 1].end - words->all[from].start);
}
