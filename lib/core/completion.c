/* SPDX-License-Identifier: MIT */
/* An operation as the caller sees it once it was taken from its queue. */
#include "core/op.h"

uint64_t sp_completion_tag(const sp_completion *completion)
{
        return completion->tag;
}

sp_status sp_completion_status(const sp_completion *completion)
{
        return completion->status;
}

const sp_error *sp_completion_error(const sp_completion *completion)
{
        return completion->error;
}

static void *peek(const sp_completion *completion, enum sp__yield yield)
{
        return completion->yield == yield ? completion->what : NULL;
}

static void *take(sp_completion *completion, enum sp__yield yield)
{
        void *what = peek(completion, yield);

        if (what)
                completion->what = NULL;
        return what;
}

const struct sp_result *sp_completion_result(const sp_completion *completion)
{
        return peek(completion, SP__YIELD_RESULT);
}

sp_value *sp_completion_value(const sp_completion *completion)
{
        return peek(completion, SP__YIELD_VALUE);
}

struct sp_result *sp_completion_take_result(sp_completion *completion)
{
        return take(completion, SP__YIELD_RESULT);
}

struct sp_session *sp_completion_take_session(sp_completion *completion)
{
        return take(completion, SP__YIELD_SESSION);
}

struct sp_lookup *sp_completion_take_lookup(sp_completion *completion)
{
        return take(completion, SP__YIELD_LOOKUP);
}

struct sp_lookups *sp_completion_take_lookups(sp_completion *completion)
{
        return take(completion, SP__YIELD_LOOKUPS);
}

struct sp_turn *sp_completion_take_turn(sp_completion *completion)
{
        return take(completion, SP__YIELD_TURN);
}

struct sp_stream *sp_completion_take_stream(sp_completion *completion)
{
        return take(completion, SP__YIELD_STREAM);
}

struct sp_copy *sp_completion_take_copy(sp_completion *completion)
{
        return take(completion, SP__YIELD_COPY);
}

void sp_completion_free(sp_completion *completion)
{
        sp__op_unref(completion);
}
