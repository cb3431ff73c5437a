/* SPDX-License-Identifier: MIT */
/**
 * The engine: one thread that drives all asynchronous work of a client: fds (as ports, see port.h), timers and tasks. It
 * starts when it is first needed. Work that may block (a cancel request, a name look-up) goes to its helper threads.
 *
 * Threads: everything here is safe from any thread but sp__engine_free(), which is called once, last, and not by the
 * engine's own threads. Tasks and timers run on the engine's thread with no lock held.
 */
#ifndef SP_LOOP_ENGINE_H
#define SP_LOOP_ENGINE_H

#include "base/fork.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/thread.h"

#include <sugarperf/base.h>

struct sp__engine;
struct sp__port;

struct sp__task {
        struct sp__list link;
        void (*run)(struct sp__task *task);
};

struct sp__timer {
        struct sp__heap_node node;
        void (*fire)(struct sp__timer *timer);
};

sp_status sp__engine_new(struct sp__engine **out, sp_error **error);
/**
 * Stops all threads, the helpers within a second or so. Tasks that wait are run, timers are not. In a child after fork(): closes
 * descriptors, no more. What others hold by a reference is then good for sp__engine_forked() and stopping timers alone.
 */
void sp__engine_free(struct sp__engine *engine);
struct sp__engine *sp__engine_ref(struct sp__engine *engine);
void sp__engine_unref(struct sp__engine *engine);
/**
 * Whether this process was forked off since, or ends (loop/exit.h): no other call may be made then, and where it ends nothing may
 * be freed, for the engine may be in the middle of its last turn.
 */
bool sp__engine_forked(const struct sp__engine *engine);
/** Whether the caller is the engine's thread. */
bool sp__engine_here(const struct sp__engine *engine);

/** Before it sleeps it looks on for so long, while little is under way: see engine.c. The longest that it was ever told. */
void sp__engine_spin(struct sp__engine *engine, int64_t ns);

/** Runs it on the engine's thread, soon, once. It must not be posted again before it ran. */
void sp__engine_post(struct sp__engine *engine, struct sp__task *task);
/**
 * What a task is run beside: each kind has helpers of its own, so that a name server which does not answer holds up no cancel
 * request; a few at once.
 */
enum sp__aside { SP__ASIDE_SHORT, SP__ASIDE_LONG, SP__ASIDES };
/** Runs it on a helper thread: it may block for a bounded time. */
void sp__engine_offload(struct sp__engine *engine, enum sp__aside aside, struct sp__task *task);
/**
 * Around a call in such a task that may block without end: true, make it, then sp__engine_bound(); sp__engine_free() cuts it
 * off by pthread_cancel(3), so what follows belongs into a pthread_cleanup_push(3). false: the engine ends, do without.
 */
bool sp__engine_unbound(struct sp__engine *engine);
void sp__engine_bound(void);

/** Sets or moves it. false: out of memory, it is not set. Whoever sets it keeps its memory until it fired or was stopped. */
bool sp__timer_set(struct sp__engine *engine, struct sp__timer *timer, int64_t at);
/** true: it was set and will not fire. false: it was not set, or it fires just now. */
bool sp__timer_stop(struct sp__engine *engine, struct sp__timer *timer);

#endif
