/* SPDX-License-Identifier: MIT */
/** A growing run of bytes. One thread at a time. A failed allocation is remembered: check `failed` once, at the end. */
#ifndef SP_BASE_BUF_H
#define SP_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__buf {
        char *data;
        size_t len;
        size_t cap;
        bool failed;
};

#define SP__BUF_INIT                                                                                                   \
        {                                                                                                              \
                0                                                                                                      \
        }

/** Room for `more` bytes behind `len`; NULL (and `failed`) when out of memory. */
char *sp__buf_room(struct sp__buf *buf, size_t more);
void sp__buf_add(struct sp__buf *buf, const void *data, size_t len);
void sp__buf_text(struct sp__buf *buf, const char *text);
void sp__buf_char(struct sp__buf *buf, char c);
void sp__buf_format(struct sp__buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sp__buf_vformat(struct sp__buf *buf, const char *format, va_list args);
/** So many digits behind the point, which is one in every locale of the host program's. For finite numbers. */
void sp__buf_fixed(struct sp__buf *buf, double value, int digits);
/** The locale's decimal point, of one or more bytes, in a number that printf() wrote, becomes that of C. */
void sp__point_restore(char *number);
/** Little endian. */
void sp__buf_u16(struct sp__buf *buf, uint16_t value);
void sp__buf_u32(struct sp__buf *buf, uint32_t value);
void sp__buf_u64(struct sp__buf *buf, uint64_t value);
/** A JSON string with its quotes. */
void sp__buf_json(struct sp__buf *buf, const char *text, size_t len);
/** A quoted identifier of SQL's. */
void sp__buf_identifier(struct sp__buf *buf, const char *name);
/** Empties it and keeps its memory. */
void sp__buf_clear(struct sp__buf *buf);
void sp__buf_free(struct sp__buf *buf);

/** Packed forms are little endian. */
static inline void sp__put_u32(void *to, uint32_t value)
{
        uint8_t *b = to;

        for (int i = 0; i < 4; i++)
                b[i] = (uint8_t)(value >> 8 * i);
}

static inline uint16_t sp__get_u16(const void *data)
{
        const uint8_t *b = data;

        return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t sp__get_u32(const void *data)
{
        const uint8_t *b = data;

        return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t sp__get_u64(const void *data)
{
        return sp__get_u32(data) | (uint64_t)sp__get_u32((const char *)data + 4) << 32;
}

#endif
