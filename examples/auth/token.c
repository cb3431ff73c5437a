/* SPDX-License-Identifier: MIT */
#include "token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAC_SIZE = 32, HEX_LEN = 64 };

static void hex(const unsigned char *data, size_t len, char *out)
{
        for (size_t i = 0; i < len; i++)
                snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static void sign(const char *secret, const char *text, size_t len, char out[HEX_LEN + 1])
{
        unsigned char mac[EVP_MAX_MD_SIZE];

        HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, len, mac, NULL);
        hex(mac, MAC_SIZE, out);
}

void token_make(const char *secret, const struct token *token, char out[TOKEN_MAX])
{
        int len = snprintf(out, TOKEN_MAX, "%s~%lld~", token->user, (long long)token->expires);

        sign(secret, out, (size_t)len - 1, out + len);
}

bool token_read(const char *secret, const char *text, struct token *out)
{
        const char *last = strrchr(text, '~'), *first = strchr(text, '~');
        char mac[HEX_LEN + 1];
        size_t len;

        if (!last || first == last || strlen(last + 1) != HEX_LEN)
                return false;
        sign(secret, text, (size_t)(last - text), mac);
        if (CRYPTO_memcmp(mac, last + 1, HEX_LEN) != 0)
                return false;
        len = (size_t)(first - text);
        if (len >= sizeof out->user)
                return false;
        memcpy(out->user, text, len);
        out->user[len] = 0;
        out->expires = strtoll(first + 1, NULL, 10);
        return out->expires > (int64_t)time(NULL);
}

void token_hash(const char *text, char out[TOKEN_HASH_SIZE])
{
        unsigned char digest[EVP_MAX_MD_SIZE];

        EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
        hex(digest, 32, out);
}
