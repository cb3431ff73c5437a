/* SPDX-License-Identifier: MIT */
/**
 * Leases in Redis that are given back without anybody waiting for it. Where that is refused or lost it is tried again until the
 * lease has run out: others wait for it.
 *
 * Threads: any; the log's lock guards it.
 */
#ifndef SP_CACHE_RELEASES_H
#define SP_CACHE_RELEASES_H

#include "loop/engine.h"

#include <stddef.h>

struct sp__log;

struct sp__releases {
        struct sp__timer timer;
        bool timed;
        unsigned count;
        struct sp__list list; /* to be tried again */
};

void sp__releases_init(struct sp__log *log);
/** Nothing is tried again any more. */
void sp__releases_stop(struct sp__log *log);
/** The lease of that name, if it is `token`'s, which is so for `ns` from now on at most. */
void sp__log_release(struct sp__log *log, const char *name, size_t len, const char *token, int64_t ns);

#endif
