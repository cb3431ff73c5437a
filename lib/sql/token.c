/* SPDX-License-Identifier: MIT */
#include "sql/token.h"

#include <string.h>
#include <strings.h>

/* message ScanResult { int32 version = 1; repeated ScanToken tokens = 2; }
 * message ScanToken { int32 start = 1; int32 end = 2; Token token = 4; KeywordKind keyword_kind = 5; } */
enum {
        WIRE_VARINT = 0,
        WIRE_BYTES = 2,
        RESULT_TOKENS = 2,
        TOKEN_START = 1,
        TOKEN_END = 2,
        TOKEN_KIND = 4,
        TOKEN_WORD = 5
};

static uint64_t varint(const char **at, const char *end)
{
        uint64_t value = 0;

        for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
                uint8_t byte = (uint8_t) * (*at)++;

                value |= (uint64_t)(byte & 0x7f) << shift;
                if (byte < 0x80)
                        break;
        }
        return value;
}

static void token_read(const char *at, const char *end, struct sp__token *token)
{
        *token = (struct sp__token){0};
        while (at < end) {
                uint64_t tag = varint(&at, end), value = varint(&at, end);

                switch (tag >> 3) {
                case TOKEN_START:
                        token->start = (uint32_t)value;
                        break;
                case TOKEN_END:
                        token->end = (uint32_t)value;
                        break;
                case TOKEN_KIND:
                        token->kind = (uint32_t)value;
                        break;
                case TOKEN_WORD:
                        token->keyword = value != 0;
                        break;
                default:
                        break;
                }
        }
}

bool sp__token_next(struct sp__tokens *tokens, struct sp__token *token)
{
        while (tokens->at < tokens->end) {
                uint64_t tag = varint(&tokens->at, tokens->end), value = varint(&tokens->at, tokens->end);
                const char *body = tokens->at;

                if ((tag & 7) == WIRE_VARINT)
                        continue;
                if ((tag & 7) != WIRE_BYTES || value > (uint64_t)(tokens->end - body))
                        return false;
                tokens->at = body + value;
                if (tag >> 3 == RESULT_TOKENS) {
                        token_read(body, tokens->at, token);
                        return true;
                }
        }
        return false;
}

bool sp__token_is(const struct sp__token *token, const char *text, const char *word)
{
        size_t len = token->end - token->start;

        return token->keyword && strlen(word) == len && strncasecmp(text + token->start, word, len) == 0;
}

bool sp__token_among(const struct sp__token *token, const char *text, const char *const words[])
{
        for (size_t i = 0; token->keyword && words[i]; i++) {
                if (sp__token_is(token, text, words[i]))
                        return true;
        }
        return false;
}
