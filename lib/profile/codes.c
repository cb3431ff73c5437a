/* SPDX-License-Identifier: MIT */
#include "profile/codes.h"

#include <inttypes.h>
#include <string.h>

enum { CODE_LEN = 5 };

/* 0: it is none. SQLSTATEs are digits and capital letters. */
static uint64_t packed(const char *code)
{
        uint64_t number = 0;

        for (int i = 0; i < CODE_LEN; i++) {
                char c = code[i];

                if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')))
                        return 0;
                number = number << 8 | (unsigned char)c;
        }
        return code[CODE_LEN] ? 0 : number;
}

static _Atomic int64_t *counter_of(struct sp__codes *codes, uint64_t number)
{
        for (int i = 0; number && i < SP__CODES; i++) {
                uint64_t there = 0;

                if (atomic_compare_exchange_strong(&codes->codes[i], &there, number) || there == number)
                        return &codes->counts[i];
        }
        return &codes->others;
}

void sp__codes_count(struct sp__codes *codes, const char *code)
{
        atomic_fetch_add_explicit(counter_of(codes, packed(code)), 1, memory_order_relaxed);
}

void sp__codes_write(const struct sp__codes *codes, struct sp__buf *out)
{
        int64_t others = atomic_load_explicit(&codes->others, memory_order_relaxed);
        const char *comma = "";

        sp__buf_char(out, '{');
        for (int i = 0; i < SP__CODES; i++) {
                uint64_t number = atomic_load_explicit(&codes->codes[i], memory_order_relaxed);
                int64_t count = atomic_load_explicit(&codes->counts[i], memory_order_relaxed);

                if (!number || !count)
                        continue;
                sp__buf_format(out, "%s\"", comma);
                for (int shift = 8 * (CODE_LEN - 1); shift >= 0; shift -= 8)
                        sp__buf_char(out, (char)(number >> shift & 0xff));
                sp__buf_format(out, "\":%" PRId64, count);
                comma = ",";
        }
        if (others)
                sp__buf_format(out, "%s\"other\":%" PRId64, comma, others);
        sp__buf_char(out, '}');
}
