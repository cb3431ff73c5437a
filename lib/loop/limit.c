/* SPDX-License-Identifier: MIT */
#include "loop/limit.h"

static void fire(struct sp__timer *timer)
{
        sp__op *op = SP__OF(timer, struct sp__limit, timer)->op;

        op->kind->cancel(op, SP_TIMEOUT);
        sp__op_unref(op);
}

void sp__limit_set(struct sp__limit *limit, struct sp__engine *engine, sp__op *op)
{
        if (op->deadline == SP__FOREVER)
                return;
        limit->timer.fire = fire;
        limit->op = sp__op_ref(op);
        if (!sp__timer_set(engine, &limit->timer, op->deadline))
                sp__op_unref(op);
}

void sp__limit_stop(struct sp__limit *limit, struct sp__engine *engine)
{
        if (limit->op && sp__timer_stop(engine, &limit->timer))
                sp__op_unref(limit->op);
}
