/* SPDX-License-Identifier: MIT */
/** Asks for a host's number on the engine's helper thread, since the C library's resolver blocks. */
#ifndef SP_REDIS_RESOLVE_H
#define SP_REDIS_RESOLVE_H

#include "loop/engine.h"
#include "redis/address.h"

#include <netinet/in.h>

struct sp__resolve {
        struct sp__task task;
        const struct sp__address *address;
        char number[INET6_ADDRSTRLEN];
        const char *reason; /* static; NULL: it was found */
        /** On the helper thread, no lock held. */
        void (*then)(struct sp__resolve *resolve);
};

/** One at a time; `then` is called once. */
void sp__resolve_start(struct sp__resolve *resolve, struct sp__engine *engine);

#endif
