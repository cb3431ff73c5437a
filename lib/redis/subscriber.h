/* SPDX-License-Identifier: MIT */
/**
 * A connection of its own that listens to one channel, for as long as it lives: it connects again by itself, and gives a
 * connection up that does not answer a PING within the time between two of them.
 *
 * Threads: new, start, stop and free from any; everything else happens on the engine's thread, which drives it.
 */
#ifndef SP_REDIS_SUBSCRIBER_H
#define SP_REDIS_SUBSCRIBER_H

#include "loop/engine.h"
#include "redis/link.h"

struct sp__subscriber;

/** Told on the engine's thread, with no lock held. */
struct sp__subscriber_options {
        int64_t connect_timeout; /* ns */
        int64_t ping;            /* ns between two PINGs */
        void (*up)(void *arg);   /* the subscription stands: from now on nothing is missed */
        void (*message)(void *arg, const void *data, size_t len);
        /** It is lost, or could not be made; it will be tried again. `why` lives as long as the call. */
        void (*down)(void *arg, const sp_error *why);
        /** Asked before each PING: whether it misses what is said, so that it is connected anew. May be NULL. */
        bool (*deaf)(void *arg);
        void *arg;
};

/** Listens where the link's trips go; it must outlive the subscriber. NULL: out of memory or descriptors. */
struct sp__subscriber *sp__subscriber_new(struct sp__engine *engine, struct sp__link *link, const char *channel,
                                          const struct sp__subscriber_options *options);
/** Begins to connect. Once. */
void sp__subscriber_start(struct sp__subscriber *subscriber);
/** Its end comes on the engine's thread, after which `ended(arg)` is called there: no other call comes any more. */
void sp__subscriber_free(struct sp__subscriber *subscriber, void (*ended)(void *arg));

#endif
