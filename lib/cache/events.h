/* SPDX-License-Identifier: MIT */
/**
 * Who wants to hear of invalidations, here and in other processes of the namespace: the last few, numbered. Others' come by a
 * channel of Redis's, which is listened to from the first watch on; nobody waits for them and some may be lost.
 *
 * Threads: any.
 */
#ifndef SP_CACHE_EVENTS_H
#define SP_CACHE_EVENTS_H

#include "base/buf.h"
#include "loop/engine.h"
#include "redis/link.h"

#include <stdatomic.h>
#include <sugarperf/ctx.h>
#include <sugarperf/queue.h>

enum { SP__EVENT_MAX = 16384, SP__EVENTS_CHANNEL_MAX = 160, SP__EVENTS_TOKEN_LEN = 17 };

struct sp__events {
        struct sp__watchers *news;
        struct sp__subscriber *subscriber; /* NULL: no Redis, or not wished for */
        char channel[SP__EVENTS_CHANNEL_MAX];
        char token[SP__EVENTS_TOKEN_LEN]; /* of this cache, so that it knows its own */
        atomic_bool watched;
};

/** `link` NULL: of this process alone. false: out of memory or descriptors. */
bool sp__events_init(struct sp__events *events, struct sp__engine *engine, struct sp__link *link, const char *name,
                     int64_t connect_ns, int64_t ping_ns);
/** All that wait end with SP_CLOSED; `ended(arg)` is called, on the engine's thread, once nothing comes any more. */
void sp__events_end(struct sp__events *events, void (*ended)(void *arg), void *arg);
/** After that, or where sp__events_init() failed. In a child of fork(): closes descriptors. */
void sp__events_destroy(struct sp__events *events);

sp_status sp__events_watch(struct sp__events *events, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag);
/** Whether anybody here, or (if it is told there) anywhere, may want to know. */
static inline bool sp__events_wanted(struct sp__events *events)
{
        return events->subscriber || atomic_load_explicit(&events->watched, memory_order_relaxed);
}
/** Tells it here. `body`: members of a JSON object. Taken. */
void sp__events_tell(struct sp__events *events, struct sp__buf *body);

#endif
