/* SPDX-License-Identifier: MIT */
/** The tokens of a statement, as pg_query_scan() packs them: a protobuf message that is read here in place. */
#ifndef SP_SQL_TOKEN_H
#define SP_SQL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The scanner's numbers, the same in libpg_query 13 to 17; an operator or punctuation mark of one byte is that byte. */
enum {
        SP__TOKEN_FCONST = 260,
        SP__TOKEN_XCONST = 264,
        SP__TOKEN_OP = 265,
        SP__TOKEN_ICONST = 266,
        SP__TOKEN_PARAM = 267,
        SP__TOKEN_TYPECAST = 268,
        SP__TOKEN_NOT_EQUALS = 274,
        SP__TOKEN_SQL_COMMENT = 275,
        SP__TOKEN_C_COMMENT = 276
};

struct sp__token {
        uint32_t start; /* bytes from the beginning of the text */
        uint32_t end;
        uint32_t kind;
        bool keyword;
};

struct sp__tokens {
        const char *at;
        const char *end;
};

/** The next token, comments included; false at the end. */
bool sp__token_next(struct sp__tokens *tokens, struct sp__token *token);

static inline bool sp__token_comment(const struct sp__token *token)
{
        return token->kind == SP__TOKEN_SQL_COMMENT || token->kind == SP__TOKEN_C_COMMENT;
}

/** A number or a string of any notation. */
static inline bool sp__token_literal(const struct sp__token *token)
{
        return (token->kind >= SP__TOKEN_FCONST && token->kind <= SP__TOKEN_XCONST) || token->kind == SP__TOKEN_ICONST;
}

/** Whether a keyword token is `word`, given in lower case. */
bool sp__token_is(const struct sp__token *token, const char *text, const char *word);
/** Whether a keyword token is one of `words`, which ends with NULL. */
bool sp__token_among(const struct sp__token *token, const char *text, const char *const words[]);

#endif
