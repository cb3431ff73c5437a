/* SPDX-License-Identifier: MIT */
/** Queues as operations see them. */
#ifndef SP_CORE_QUEUE_H
#define SP_CORE_QUEUE_H

#include "core/op.h"

/** A place for one completion and a reference to the queue, so that the completion cannot fail. SP_INVALID: NULL; SP_FULL, SP_FORKED. */
sp_status sp__queue_reserve(sp_queue *queue);
/** Gives the place back, for a submission that was refused. */
void sp__queue_cancel(sp_queue *queue);
/**
 * Fills the places of these operations (by their done_link), whose references pass to it, in one turn of the lock and with one
 * wake-up. Any thread, no locks needed.
 */
void sp__queue_push(sp_queue *queue, struct sp__list *ops);

#endif
