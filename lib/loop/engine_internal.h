/* SPDX-License-Identifier: MIT */
/** What engine.c and port.c share. */
#ifndef SP_LOOP_ENGINE_INTERNAL_H
#define SP_LOOP_ENGINE_INTERNAL_H

#include "loop/helper.h"

#include <stdatomic.h>

struct sp__engine {
        struct sp__fork fork;
        int epoll;
        int wake;

        sp__mutex lock; /* a leaf; guards what follows */
        struct sp__list tasks;
        struct sp__heap timers;
        pthread_t thread;
        bool started;
        bool stopping;
        bool asleep; /* in epoll_wait(), or about to: a wake-up is needed */

        _Atomic int64_t spin_ns; /* how long it looks on before it sleeps */
        /* The engine's thread only. */
        size_t lately;          /* tasks of the last turn that had any */
        unsigned misses, skips; /* it looked on in vain: so it sleeps at once the next times */

        struct sp__list dirty; /* ports to flush before the next sleep; the engine's thread only */

        struct sp__helper helpers[SP__ASIDES];
        atomic_uint ringing; /* threads that are about to wake it */
        atomic_bool hurried; /* its patience with what blocks is at an end */
        atomic_uint refs;
};

/** Starts the thread where it was not needed so far. Any lock may be held. */
void sp__engine_nudge(struct sp__engine *engine);
/** An event at a port. Engine's thread, no lock held. */
void sp__port_event(struct sp__port *port, uint32_t events);
/** Writes what was put off. Engine's thread, no lock held. */
void sp__port_flush_dirty(struct sp__engine *engine);

#endif
