/* SPDX-License-Identifier: MIT */
/**
 * Threads beside the engine's for what may block: each takes the oldest task. They start at need, as many as there are tasks
 * that nobody has time for, up to a limit.
 *
 * Threads: any, but the end, which is one's.
 */
#ifndef SP_LOOP_HELPER_H
#define SP_LOOP_HELPER_H

#include "loop/engine.h"

enum { SP__HELPER_MOST = 4 };

struct sp__helper {
        const char *name;
        size_t most;
        sp__mutex lock; /* a leaf; guards what follows */
        sp__cond cond;
        struct sp__list work;
        size_t waiting; /* tasks */
        size_t idle;    /* threads that wait for one */
        size_t started, ended;
        bool stopping;
        pthread_t threads[SP__HELPER_MOST];
};

void sp__helper_init(struct sp__helper *helper, const char *name, size_t most);
void sp__helper_destroy(struct sp__helper *helper);
void sp__helper_give(struct sp__helper *helper, struct sp__task *task);
/** No thread waits for more work from now on. */
void sp__helper_stop(struct sp__helper *helper);
/** Until they have ended, or `deadline`. */
void sp__helper_wait(struct sp__helper *helper, int64_t deadline);
/** Cuts off what blocks where it may be, and runs here what nobody has begun. */
void sp__helper_end(struct sp__helper *helper);

#endif
