/* SPDX-License-Identifier: MIT */
/** Asks for a host's numbers. The C library's resolver blocks: the engine's helper thread asks. */
#ifndef SP_LOOP_RESOLVE_H
#define SP_LOOP_RESOLVE_H

#include "loop/engine.h"

/** An IPv6 number with its scope; how many numbers of a host are taken. */
enum { SP__NUMBER_LEN = 80, SP__NUMBERS_MAX = 8 };

struct sp__numbers {
        char text[SP__NUMBERS_MAX][SP__NUMBER_LEN];
        size_t count;
};

/** Blocks. NULL: found, at least one. Else why not; static. */
const char *sp__resolve(const char *host, struct sp__numbers *out);

struct sp__resolving {
        struct sp__task task;
        const char *host;
        struct sp__numbers numbers;
        const char *reason; /* static; NULL: it was found */
        /** On the helper thread, no lock held. */
        void (*then)(struct sp__resolving *resolving);
};

/** One at a time; `then` is called once. */
void sp__resolve_start(struct sp__resolving *resolving, struct sp__engine *engine);

#endif
