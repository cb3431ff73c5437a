/* SPDX-License-Identifier: MIT */
/**
 * The time limit of an operation that nobody waits for: a timer that ends it with SP_TIMEOUT at its deadline. A caller that
 * waits minds the time itself (sp__op_wait()). It belongs to the operation, and stops with it.
 *
 * Threads: set before the operation is shared; stopped by whoever settles it.
 */
#ifndef SP_LOOP_LIMIT_H
#define SP_LOOP_LIMIT_H

#include "core/op.h"
#include "loop/engine.h"

struct sp__limit {
        struct sp__timer timer; /* holds a reference while set */
        sp__op *op;             /* NULL: it was never set */
};

/** Nothing where there is no deadline. Out of memory: the operation has none either, as what it waits for has its own. */
void sp__limit_set(struct sp__limit *limit, struct sp__engine *engine, sp__op *op);
/** For the kind's settled(). */
void sp__limit_stop(struct sp__limit *limit, struct sp__engine *engine);

#endif
