/* SPDX-License-Identifier: MIT */
/**
 * Tokens that speak for themselves: "<user>~<expires, seconds since 1970>~<HMAC-SHA256 of both in hex>". Whether one is genuine
 * and not expired takes no look-up; whether it was revoked, and its user is active, the database knows.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

enum { TOKEN_MAX = 256, TOKEN_HASH_SIZE = 65 };

struct token {
        char user[129];
        int64_t expires; /* seconds since 1970 */
};

void token_make(const char *secret, const struct token *token, char out[TOKEN_MAX]);
/* False: it is not one of ours, or has expired. */
bool token_read(const char *secret, const char *text, struct token *out);
/* SHA-256 in hex, as the blacklist has it. */
void token_hash(const char *text, char out[TOKEN_HASH_SIZE]);

#endif
