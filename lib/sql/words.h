/* SPDX-License-Identifier: MIT */
/** The tokens of a statement, without comments and semicolons, for what is written anew from them. */
#ifndef SP_SQL_WORDS_H
#define SP_SQL_WORDS_H

#include "base/buf.h"
#include "sql/token.h"

struct sp__words {
        const char *text;
        struct sp__token *all;
        uint16_t *depth; /* in brackets */
        size_t count, cap;
        bool failed;
};

/** `text` must outlive them. false: it has no tokens, too many (20,000), or memory is short. */
bool sp__words_read(const char *text, struct sp__words *out);
void sp__words_free(struct sp__words *words);

/** Whether such a keyword, mark (',') or token stands there. False past the end, as all that follows. */
bool sp__words_is(const struct sp__words *words, size_t at, const char *word);
bool sp__words_mark(const struct sp__words *words, size_t at, uint32_t kind);
/** The number of the parameter there, 0: none. */
unsigned sp__words_param(const struct sp__words *words, size_t at);
/** From the first of them to the last, as written, comments included. */
void sp__words_copy(const struct sp__words *words, size_t from, size_t to, struct sp__buf *out);

#endif
