/* SPDX-License-Identifier: MIT */
/**
 * How many loads may be under way in this process at once (`cache.loads`): first come, first served. The cache's lock guards
 * it; who waits is told on the engine's thread, with no lock held, and has a slot then.
 */
#ifndef SP_CACHE_SLOTS_H
#define SP_CACHE_SLOTS_H

#include "loop/engine.h"

struct sp__slots {
        int64_t max; /* 0: no bound */
        int64_t used;
        struct sp__list line;
};

/** Who waits; `task` is run when it has one. */
struct sp__slot {
        struct sp__list link;
        struct sp__task task;
};

void sp__slots_init(struct sp__slots *slots, int64_t max);
/** true: the caller has one. false: it stands in line. */
bool sp__slots_take(struct sp__slots *slots, struct sp__slot *slot);
bool sp__slots_full(const struct sp__slots *slots);
void sp__slots_give(struct sp__slots *slots, struct sp__engine *engine);
/** There is no bound any more: everybody in line gets one. */
void sp__slots_open(struct sp__slots *slots, struct sp__engine *engine);

#endif
