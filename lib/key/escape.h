/* SPDX-License-Identifier: MIT */
/** How a parameter is written into one segment of a key, and read back. The form is canonical: one value, one text. */
#ifndef SP_KEY_ESCAPE_H
#define SP_KEY_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        SP__PART_MAX = 128, /* bytes of a parameter that is not hashed */
        SP__HASH_LEN = 65   /* '~' and 64 hexadecimal digits */
};

/** Whether a byte stands for itself. */
extern const uint8_t sp__key_plain[256];

/** Writes a parameter at `at`; the place behind it, NULL when it does not fit before `end`. */
char *sp__part_write(char *at, const char *end, const char *data, size_t len, bool secret);
/** Whether `data` is what sp__part_write() makes of some parameter. */
bool sp__part_valid(const char *data, size_t len, bool secret);
/**
 * The parameter that a valid part was made of, into `out`; its length. 0 where it is not known: it was hashed.
 */
size_t sp__part_read(const char *data, size_t len, char out[SP__PART_MAX]);

#endif
