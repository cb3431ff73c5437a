/* SPDX-License-Identifier: MIT */
/** Names come from outside; one byte that is no UTF-8 would make a scraper reject the whole page. */
#ifndef SP_OBSERVE_UTF8_H
#define SP_OBSERVE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool sp__utf8_continues(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80;
}

/** Bytes of the character that `text` (ended by a zero byte) begins with, 1–4; 0: no valid UTF-8 (RFC 3629). */
static inline size_t sp__utf8_len(const char *text)
{
        unsigned char a = (unsigned char)text[0], b = (unsigned char)text[1];

        if (a < 0x80)
                return 1;
        if (a < 0xc2 || a > 0xf4 || !sp__utf8_continues(text[1]))
                return 0;
        if (a < 0xe0)
                return 2;
        if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f) ||
            !sp__utf8_continues(text[2]))
                return 0;
        if (a < 0xf0)
                return 3;
        return sp__utf8_continues(text[3]) ? 4 : 0;
}

/** Length of `text`, cut to at most `max` bytes before a character rather than within it. */
static inline size_t sp__utf8_cut(const char *text, size_t max)
{
        size_t len = strnlen(text, max + 1);

        if (len <= max)
                return len;
        len = max;
        while (len > 0 && max - len < 4 && sp__utf8_continues(text[len]))
                len--;
        return sp__utf8_continues(text[len]) ? max : len;
}

#endif
