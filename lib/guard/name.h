/* SPDX-License-Identifier: MIT */
/** Names of breakers and policies: they are labels of metrics, lines of logs and parts of settings. */
#ifndef SP_GUARD_NAME_H
#define SP_GUARD_NAME_H

#include "observe/utf8.h"

enum { SP__GUARD_NAME_MAX = 128 };

#define SP__GUARD_NAME_DEFAULT "default"
#define SP__GUARD_NAME_RULE    "1 to 128 bytes of printable text in UTF-8"

/* The control characters of ASCII and of Latin-1, and Unicode's two ends of a line. */
static inline bool sp__unprintable(const unsigned char *at)
{
        return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0) ||
               (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9));
}

static inline bool sp__guard_name(const char *name)
{
        size_t len = strnlen(name, SP__GUARD_NAME_MAX + 1);

        for (const char *at = name; at < name + len; at += sp__utf8_len(at)) {
                if (sp__utf8_len(at) == 0 || sp__unprintable((const unsigned char *)at))
                        return false;
        }
        return len > 0 && len <= SP__GUARD_NAME_MAX;
}

#endif
