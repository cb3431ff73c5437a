/* SPDX-License-Identifier: MIT */
/** An operation for tests: counts what became of it. */
#ifndef TESTS_WORK_H
#define TESTS_WORK_H

#include "core/ctx.h"
#include "core/op.h"

#include <stdlib.h>

struct work_counts {
        atomic_int cancels, settled, destroyed, told;
};

struct work {
        sp__op op;
        struct work_counts *counts;
};

static inline void work_cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        atomic_fetch_add(&SP__OF(op, struct work, op)->counts->cancels, 1);
        sp__batch_init(&done);
        sp__op_fail(op, why, NULL, &done);
        sp__batch_deliver(&done);
}

static inline void work_settled(sp__op *op)
{
        atomic_fetch_add(&SP__OF(op, struct work, op)->counts->settled, 1);
}

static inline void work_destroy(sp__op *op)
{
        struct work *work = SP__OF(op, struct work, op);

        atomic_fetch_add(&work->counts->destroyed, 1);
        free(work);
}

static inline void work_told(sp__op *op)
{
        atomic_fetch_add(&SP__OF(op, struct work, op)->counts->told, 1);
}

static const struct sp__op_kind work_kind = {.cancel = work_cancel, .settled = work_settled, .destroy = work_destroy};

/** Told by continuation, which counts. */
static inline sp__op *work_new(struct work_counts *counts, sp_ctx *ctx)
{
        struct work *work = calloc(1, sizeof *work);

        sp__op_init(&work->op, &work_kind, ctx, SP__FOREVER);
        work->counts = counts;
        work->op.then = work_told;
        return &work->op;
}

/** Answers it, unless another one did. */
static inline bool work_answer(sp__op *op)
{
        struct sp__batch done;
        bool won;

        sp__batch_init(&done);
        won = sp__op_yield(op, SP__YIELD_NONE, NULL, NULL, &done);
        sp__batch_deliver(&done);
        return won;
}

#endif
