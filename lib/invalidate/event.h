/* SPDX-License-Identifier: MIT */
/** What is told of an invalidation, and to whom. */
#ifndef SP_INVALIDATE_EVENT_H
#define SP_INVALIDATE_EVENT_H

#include "cache/cache.h"
#include "invalidate/aims.h"
#include "redis/command.h"

/** The event's members. */
void sp__event_write(const sp_cache *cache, const struct sp__aims *aims, struct sp__buf *body);
/** One more command of the trip, for other processes. */
void sp__event_publish(sp_cache *cache, const struct sp__aims *aims, struct sp__command *command);
/** To those who watch here. */
void sp__event_tell(sp_cache *cache, const struct sp__aims *aims);

#endif
