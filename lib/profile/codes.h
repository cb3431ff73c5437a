/* SPDX-License-Identifier: MIT */
/**
 * Errors by SQLSTATE: a few codes, first come, and one counter for the others. Without locks.
 *
 * Threads: any.
 */
#ifndef SP_PROFILE_CODES_H
#define SP_PROFILE_CODES_H

#include "base/buf.h"

#include <stdatomic.h>

enum { SP__CODES = 8 };

struct sp__codes {
        _Atomic uint64_t codes[SP__CODES]; /* five characters as a number; 0: free. Set once */
        _Atomic int64_t counts[SP__CODES];
        _Atomic int64_t others; /* no code, or a further one */
};

/** `code`: five characters, else it counts among the others. */
void sp__codes_count(struct sp__codes *codes, const char *code);
/** {"23505":3,"other":1} */
void sp__codes_write(const struct sp__codes *codes, struct sp__buf *out);

#endif
