/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 128 };

char *sp__buf_room(struct sp__buf *buf, size_t more)
{
        size_t cap = buf->cap ? buf->cap : FIRST_ROOM;
        char *data;

        if (buf->failed)
                return NULL;
        if (buf->cap - buf->len >= more && buf->data)
                return buf->data + buf->len;
        while (cap - buf->len < more)
                cap *= 2;
        data = realloc(buf->data, cap);
        if (!data) {
                buf->failed = true;
                return NULL;
        }
        buf->data = data;
        buf->cap = cap;
        return data + buf->len;
}

void sp__buf_add(struct sp__buf *buf, const void *data, size_t len)
{
        char *to = sp__buf_room(buf, len);

        if (!to || len == 0)
                return;
        memcpy(to, data, len);
        buf->len += len;
}

void sp__buf_text(struct sp__buf *buf, const char *text)
{
        sp__buf_add(buf, text, strlen(text));
}

void sp__buf_char(struct sp__buf *buf, char c)
{
        sp__buf_add(buf, &c, 1);
}

void sp__buf_vformat(struct sp__buf *buf, const char *format, va_list args)
{
        va_list again;
        char *to;
        int len;

        va_copy(again, args);
        len = vsnprintf(NULL, 0, format, again);
        va_end(again);
        if (len < 0 || !(to = sp__buf_room(buf, (size_t)len + 1)))
                return;
        vsnprintf(to, (size_t)len + 1, format, args);
        buf->len += (size_t)len;
}

void sp__buf_format(struct sp__buf *buf, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        sp__buf_vformat(buf, format, args);
        va_end(args);
}

void sp__point_restore(char *number)
{
        char *from = number + strspn(number, "+-0123456789e"), *after = from + strcspn(from, "+-0123456789e");

        if (from == number || from[-1] < '0' || from[-1] > '9' || from == after)
                return; /* nan, inf, or without a point */
        *from = '.';
        memmove(from + 1, after, strlen(after) + 1);
}

void sp__buf_fixed(struct sp__buf *buf, double value, int digits)
{
        char text[352]; /* the largest has 309 digits before the point */

        snprintf(text, sizeof text, "%.*f", digits, value);
        sp__point_restore(text);
        sp__buf_text(buf, text);
}

void sp__buf_u16(struct sp__buf *buf, uint16_t value)
{
        uint8_t b[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

        sp__buf_add(buf, b, sizeof b);
}

void sp__buf_u32(struct sp__buf *buf, uint32_t value)
{
        sp__buf_u16(buf, (uint16_t)value);
        sp__buf_u16(buf, (uint16_t)(value >> 16));
}

void sp__buf_u64(struct sp__buf *buf, uint64_t value)
{
        sp__buf_u32(buf, (uint32_t)value);
        sp__buf_u32(buf, (uint32_t)(value >> 32));
}

void sp__buf_json(struct sp__buf *buf, const char *text, size_t len)
{
        sp__buf_char(buf, '"');
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c == '"' || c == '\\')
                        sp__buf_format(buf, "\\%c", c);
                else if (c < 0x20)
                        sp__buf_format(buf, "\\u%04x", c);
                else
                        sp__buf_char(buf, (char)c);
        }
        sp__buf_char(buf, '"');
}

void sp__buf_identifier(struct sp__buf *buf, const char *name)
{
        sp__buf_char(buf, '"');
        for (; *name; name++) {
                if (*name == '"')
                        sp__buf_char(buf, '"');
                sp__buf_char(buf, *name);
        }
        sp__buf_char(buf, '"');
}

void sp__buf_clear(struct sp__buf *buf)
{
        buf->len = 0;
        buf->failed = false;
}

void sp__buf_free(struct sp__buf *buf)
{
        free(buf->data);
        *buf = (struct sp__buf)SP__BUF_INIT;
}
