/* SPDX-License-Identifier: MIT */
/** Contexts as operations see them. */
#ifndef SP_CORE_CTX_H
#define SP_CORE_CTX_H

#include "core/op.h"

#include <sugarperf/ctx.h>

/** Monotonic ns; SP__FOREVER for none. */
int64_t sp__ctx_deadline(const sp_ctx *ctx);
/** false: it was cancelled, and the operation is not registered. Takes the context's lock, a leaf. */
bool sp__ctx_add(sp_ctx *ctx, sp__op *op);
/** Does nothing for an operation that is not registered. */
void sp__ctx_remove(sp_ctx *ctx, sp__op *op);
/** The "tag" and "trace" that were set, its own or the nearest ancestor's; NULL for none. */
const char *sp__ctx_tag(const sp_ctx *ctx);
const char *sp__ctx_trace(const sp_ctx *ctx);
/** Whether reads are to go to the primary ("reads"). */
bool sp__ctx_primary(const sp_ctx *ctx);
/** A write of its unit of work (all contexts of one root) was answered just now, or may have taken effect. */
void sp__ctx_note_write(const sp_ctx *ctx);
/** When that was, for the last time; 0: never. */
int64_t sp__ctx_wrote(const sp_ctx *ctx);

#endif
