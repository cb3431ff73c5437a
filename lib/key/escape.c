/* SPDX-License-Identifier: MIT */
/* The one-call forms of libcrypto's SHA-256 allocate; building a key must not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "key/escape.h"

#include <openssl/sha.h>

/* clang-format off */
const uint8_t sp__key_plain[256] = {
        ['!' ... '$'] = 1, ['&' ... ')'] = 1, ['+' ... '9'] = 1, [';' ... '>'] = 1, ['@' ... 'Z'] = 1, ['^' ... 'z'] = 1,
        ['|'] = 1, [0x80 ... 0xff] = 1,
};
/* clang-format on */

static char *hash_write(char *at, const char *end, const char *data, size_t len)
{
        static const char digits[] = "0123456789abcdef";
        unsigned char hash[SHA256_DIGEST_LENGTH];
        SHA256_CTX sha;

        if (end - at < SP__HASH_LEN)
                return NULL;
        SHA256_Init(&sha);
        SHA256_Update(&sha, data, len);
        SHA256_Final(hash, &sha);
        *at++ = '~';
        for (size_t i = 0; i < sizeof hash; i++) {
                *at++ = digits[hash[i] >> 4];
                *at++ = digits[hash[i] & 15];
        }
        return at;
}

static char *escape(char *at, const char *end, const char *data, size_t len)
{
        static const char digits[] = "0123456789ABCDEF";

        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)data[i];

                if (end - at < (sp__key_plain[c] ? 1 : 3))
                        return NULL;
                if (sp__key_plain[c]) {
                        *at++ = (char)c;
                        continue;
                }
                *at++ = '%';
                *at++ = digits[c >> 4];
                *at++ = digits[c & 15];
        }
        return at;
}

char *sp__part_write(char *at, const char *end, const char *data, size_t len, bool secret)
{
        if (secret || len > SP__PART_MAX)
                return hash_write(at, end, data, len);
        return escape(at, end, data, len);
}

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "%XX" at `at` stands for; -1 where it is none that needs to be escaped. */
static int escaped(const char *at, const char *end)
{
        int high, low;

        if (end - at < 3 || *at != '%')
                return -1;
        high = digit(at[1]);
        low = digit(at[2]);
        if (high < 0 || low < 0 || sp__key_plain[high << 4 | low])
                return -1;
        return high << 4 | low;
}

static bool hash_valid(const char *data, size_t len)
{
        for (size_t i = 1; i < len; i++) {
                if (!((data[i] >= '0' && data[i] <= '9') || (data[i] >= 'a' && data[i] <= 'f')))
                        return false;
        }
        return len == SP__HASH_LEN;
}

bool sp__part_valid(const char *data, size_t len, bool secret)
{
        const char *at = data, *end = data + len;
        size_t bytes = 0;

        if (len == 0)
                return false;
        if (*data == '~' || secret)
                return *data == '~' && hash_valid(data, len);
        for (; at < end; bytes++) {
                if (sp__key_plain[(unsigned char)*at])
                        at++;
                else if (escaped(at, end) >= 0)
                        at += 3;
                else
                        return false;
        }
        return bytes <= SP__PART_MAX;
}

size_t sp__part_read(const char *data, size_t len, char out[SP__PART_MAX])
{
        const char *at = data, *end = data + len;
        size_t bytes = 0;

        if (*data == '~')
                return 0;
        while (at < end && bytes < SP__PART_MAX) {
                bool plain = sp__key_plain[(unsigned char)*at];

                out[bytes++] = plain ? *at : (char)escaped(at, end);
                at += plain ? 1 : 3;
        }
        return bytes;
}
