/* SPDX-License-Identifier: MIT */
#include "sql/text.h"

#include "base/hash.h"

/* The last tokens written, which decide what a list or a sign is part of. */
struct writer {
        const char *text;
        struct sp__buf *out;
        struct sp__token last;
        bool rows; /* behind VALUES: lists that follow the first are like it */
};

/* A quoted identifier may hold line feeds. */
static void copy(struct writer *writer, const struct sp__token *token)
{
        for (uint32_t at = token->start; at < token->end; at++) {
                unsigned char c = (unsigned char)writer->text[at];

                sp__buf_char(writer->out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
        }
}

static bool token_take(struct sp__tokens *tokens, struct sp__token *token)
{
        while (sp__token_next(tokens, token)) {
                if (!sp__token_comment(token))
                        return true;
        }
        return false;
}

static bool number(const struct sp__token *token)
{
        return token->kind == SP__TOKEN_FCONST || token->kind == SP__TOKEN_ICONST;
}

static bool sign(const struct sp__token *token)
{
        return token->kind == '-' || token->kind == '+';
}

/* Whether only an operand can stand behind `token`, so that a sign there belongs to a number. */
static bool expects_operand(const char *text, const struct sp__token *token)
{
        static const char *const words[] = {"select", "where", "and",    "or", "not",     "when", "then",
                                            "else",   "limit", "offset", "by", "between", "in",   NULL};

        if (token->keyword)
                return sp__token_among(token, text, words);
        if (token->kind < 256)
                return token->kind != ')' && token->kind != ']' && token->kind != '.';
        return token->kind == SP__TOKEN_OP || (token->kind > SP__TOKEN_TYPECAST && token->kind <= SP__TOKEN_NOT_EQUALS);
}

/* Moves behind the bracket that closes a list of nothing but literals and parameters; false, unmoved, where it is other. */
static bool list_skip(struct sp__tokens *tokens, uint32_t closing, struct sp__token *close)
{
        struct sp__tokens at = *tokens;
        struct sp__token token;

        while (token_take(&at, &token)) {
                if (token.kind == closing) {
                        *tokens = at;
                        *close = token;
                        return true;
                }
                if (!sp__token_literal(&token) && token.kind != SP__TOKEN_PARAM && token.kind != ',' && !sign(&token))
                        return false;
        }
        return false;
}

/* Rows behind the first one of VALUES, as long as they are plain. */
static bool rows_skip(struct sp__tokens *tokens)
{
        bool any = false;

        for (;;) {
                struct sp__tokens at = *tokens;
                struct sp__token token;

                if (!token_take(&at, &token) || token.kind != ',' || !token_take(&at, &token) || token.kind != '(' ||
                    !list_skip(&at, ')', &token))
                        return any;
                *tokens = at;
                any = true;
        }
}

static void gap(struct writer *writer, const struct sp__token *token)
{
        if (writer->last.end && token->start > writer->last.end)
                sp__buf_char(writer->out, ' ');
}

/* Behind IN and ARRAY a list of values is written as one; true when it was. */
static bool list_squash(struct writer *writer, struct sp__tokens *tokens, const struct sp__token *token)
{
        bool in = token->kind == '(' && sp__token_is(&writer->last, writer->text, "in");
        bool array = token->kind == '[' && sp__token_is(&writer->last, writer->text, "array");
        struct sp__token close;

        if ((!in && !array) || !list_skip(tokens, in ? ')' : ']', &close))
                return false;
        gap(writer, token);
        sp__buf_text(writer->out, in ? "(...)" : "[...]");
        writer->last = close;
        return true;
}

static void token_write(struct writer *writer, struct sp__tokens *tokens, const struct sp__token *token)
{
        struct sp__tokens ahead = *tokens;
        struct sp__token next;

        if (list_squash(writer, tokens, token))
                return;
        if (sign(token) && expects_operand(writer->text, &writer->last) && token_take(&ahead, &next) && number(&next)) {
                gap(writer, token);
                sp__buf_char(writer->out, '?');
                *tokens = ahead;
                writer->last = next;
                return;
        }
        gap(writer, token);
        if (sp__token_literal(token))
                sp__buf_char(writer->out, '?');
        else
                copy(writer, token);
        writer->last = *token;
        if (sp__token_is(token, writer->text, "values"))
                writer->rows = true;
        else if (token->kind == ')' && writer->rows) {
                writer->rows = false;
                if (rows_skip(tokens))
                        sp__buf_text(writer->out, ", ...");
        }
}

void sp__sql_text(const char *text, struct sp__tokens tokens, bool settings, struct sp__buf *out)
{
        struct writer writer = {text, out, {0}, false};
        struct sp__token token;

        while (token_take(&tokens, &token)) {
                if (token.kind == ';')
                        continue;
                token_write(&writer, &tokens, &token);
                if (settings && (token.kind == '=' || sp__token_is(&token, text, "to"))) {
                        sp__buf_text(out, " ?");
                        return;
                }
        }
}

uint64_t sp__sql_literals(const char *text, struct sp__tokens tokens)
{
        struct sp__token token;
        uint64_t hash = 0;

        while (token_take(&tokens, &token)) {
                if (sp__token_literal(&token) || sign(&token))
                        hash = sp__hash(text + token.start, token.end - token.start, hash);
        }
        return hash;
}
