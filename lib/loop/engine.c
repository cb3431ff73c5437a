/* SPDX-License-Identifier: MIT */
#include "loop/engine_internal.h"

#include "core/error.h"
#include "loop/exit.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 64, ROUNDS = 16, FEW = 4, MISSES = 63 };

/* How long the end waits for what the helper does. */
#define PATIENCE SP__SECOND

/* The engine that the thread is, for sp__engine_here(). */
static _Thread_local const struct sp__engine *self;

static bool open_fds(struct sp__engine *engine)
{
        /* Each write is told once, so that nobody has to read. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

        engine->epoll = epoll_create1(EPOLL_CLOEXEC);
        engine->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return engine->epoll >= 0 && engine->wake >= 0 &&
               epoll_ctl(engine->epoll, EPOLL_CTL_ADD, engine->wake, &event) == 0;
}

static void close_fds(struct sp__engine *engine)
{
        if (engine->epoll >= 0)
                close(engine->epoll);
        if (engine->wake >= 0)
                close(engine->wake);
}

sp_status sp__engine_new(struct sp__engine **out, sp_error **error)
{
        struct sp__engine *engine = calloc(1, sizeof *engine);

        if (!engine)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (!open_fds(engine) || !sp__fork_init(&engine->fork)) {
                close_fds(engine);
                free(engine);
                return sp__fail(error, SP_NOMEM,
                                "no descriptors or memory left for an event loop: raise the open-file limit");
        }
        sp__mutex_init(&engine->lock);
        sp__helper_init(&engine->helpers[SP__ASIDE_SHORT], "sp-helper", SP__HELPER_MOST);
        sp__helper_init(&engine->helpers[SP__ASIDE_LONG], "sp-lookup", SP__HELPER_MOST);
        atomic_init(&engine->refs, 1);
        sp__list_init(&engine->tasks);
        sp__list_init(&engine->dirty);
        *out = engine;
        return SP_OK;
}

bool sp__engine_forked(const struct sp__engine *engine)
{
        return sp__forked(&engine->fork) || sp__exit_begun();
}

bool sp__engine_here(const struct sp__engine *engine)
{
        return self == engine;
}

/* Whether it is to be woken, by wake(), once the lock is gone, which is the first that it takes. The lock is held. */
static bool sleeps(struct sp__engine *engine)
{
        bool asleep = engine->asleep;

        engine->asleep = false;
        if (asleep)
                atomic_fetch_add(&engine->ringing, 1);
        return asleep;
}

/* Its end waits for who is here. */
static void wake(struct sp__engine *engine)
{
        uint64_t one = 1;

        if (write(engine->wake, &one, sizeof one) < 0) {
                /* Full: it is awake anyway. */
        }
        atomic_fetch_sub(&engine->ringing, 1);
}

static int64_t next_timer(const struct sp__engine *engine)
{
        const struct sp__heap_node *first = sp__heap_first(&engine->timers);

        return first ? first->key : SP__FOREVER;
}

/* How long to sleep; -2 when the engine shall end. */
static int prepare_sleep(struct sp__engine *engine)
{
        int ms;

        sp__lock(&engine->lock);
        if (!sp__list_empty(&engine->tasks)) {
                ms = 0;
        } else if (engine->stopping) {
                ms = -2;
        } else {
                engine->asleep = true;
                ms = sp__poll_ms(sp__now(), next_timer(engine));
        }
        sp__unlock(&engine->lock);
        return ms;
}

static void handle_events(const struct epoll_event *events, int count)
{
        for (int i = 0; i < count; i++) {
                if (events[i].data.ptr)
                        sp__port_event(events[i].data.ptr, events[i].events);
        }
}

static struct sp__timer *pop_timer(struct sp__engine *engine, int64_t now)
{
        struct sp__heap_node *node = NULL;

        sp__lock(&engine->lock);
        if (next_timer(engine) <= now) {
                node = sp__heap_first(&engine->timers);
                sp__heap_remove(&engine->timers, node);
        }
        sp__unlock(&engine->lock);
        return node ? SP__OF(node, struct sp__timer, node) : NULL;
}

static void fire_timers(struct sp__engine *engine)
{
        int64_t now = sp__now();
        struct sp__timer *timer;

        while ((timer = pop_timer(engine, now)))
                timer->fire(timer);
}

/* All that were posted; how many. */
static size_t run_posted(struct sp__engine *engine)
{
        struct sp__list tasks, *link;
        size_t count = 0;

        sp__list_init(&tasks);
        sp__lock(&engine->lock);
        engine->asleep = false;
        sp__list_join(&tasks, &engine->tasks);
        sp__unlock(&engine->lock);
        for (; (link = sp__list_pop(&tasks)); count++) {
                struct sp__task *task = SP__OF(link, struct sp__task, link);

                task->run(task);
        }
        return count;
}

/*
 * Tasks run after events: an object whose last task frees it cannot be named by an event of the same batch. What is posted
 * meanwhile belongs to the same turn, so that one flush sends it: who submits in a row wakes the engine with the first.
 */
static void run_tasks(struct sp__engine *engine)
{
        size_t some, all = 0;

        for (int round = 0; round < ROUNDS && (some = run_posted(engine)) > 0; round++)
                all += some;
        if (all > 0)
                engine->lately = all;
}

/* 1: there are tasks; -1: nothing will come any more. */
static int called(struct sp__engine *engine)
{
        int what;

        sp__lock(&engine->lock);
        what = !sp__list_empty(&engine->tasks) ? 1 : engine->stopping ? -1 : 0;
        sp__unlock(&engine->lock);
        return what;
}

static bool skips(struct sp__engine *engine)
{
        bool skip = engine->skips > 0;

        engine->skips -= skip;
        return skip;
}

static int missed(struct sp__engine *engine)
{
        engine->misses = engine->misses < MISSES ? 2 * engine->misses + 1 : MISSES;
        engine->skips = engine->misses;
        return -1;
}

/*
 * Who looks on is not to be woken, which on an idle CPU takes longer than a near server's answer. Where much is under way a
 * turn has many answers, and the servers need the CPUs. How many events; -1: nothing came, and after that it is not tried
 * for a while, so that a far server costs little.
 */
static int look_on(struct sp__engine *engine, struct epoll_event *events)
{
        int64_t spin = atomic_load_explicit(&engine->spin_ns, memory_order_relaxed), until;
        int count = 0, what;

        if (spin == 0 || engine->lately > FEW || skips(engine))
                return -1;
        until = sp__now() + spin;
        while ((what = called(engine)) == 0 && (count = epoll_wait(engine->epoll, events, EVENTS, 0)) == 0) {
                if (sp__now() >= until)
                        return missed(engine);
        }
        engine->misses = 0;
        return what < 0 ? -1 : count;
}

static void turn(struct sp__engine *engine, const struct epoll_event *events, int count)
{
        sp__exit_enter();
        handle_events(events, count);
        fire_timers(engine);
        run_tasks(engine);
        sp__port_flush_dirty(engine);
        sp__exit_leave();
}

static void *engine_body(void *arg)
{
        struct sp__engine *engine = arg;
        struct epoll_event events[EVENTS];
        int ms, count;

        self = engine;
        while ((ms = prepare_sleep(engine)) != -2) {
                count = epoll_wait(engine->epoll, events, EVENTS, ms);
                do
                        turn(engine, events, count);
                while ((count = look_on(engine, events)) >= 0);
        }
        return NULL;
}

/* The lock is held. A thread that cannot be started is tried again at the next need. */
static void start(struct sp__engine *engine)
{
        if (engine->started)
                return;
        sp__exit_watch();
        engine->started = sp__thread_start(&engine->thread, engine_body, engine, "sp-engine");
}

void sp__engine_nudge(struct sp__engine *engine)
{
        sp__lock(&engine->lock);
        start(engine);
        sp__unlock(&engine->lock);
}

void sp__engine_spin(struct sp__engine *engine, int64_t ns)
{
        cpu_set_t cpus;
        int64_t before = atomic_load(&engine->spin_ns);

        /* The only CPU is what the server, or who waits, needs. */
        if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) < 2)
                return;
        while (before < ns && !atomic_compare_exchange_weak(&engine->spin_ns, &before, ns)) {
                /* Another pool's. */
        }
}

void sp__engine_post(struct sp__engine *engine, struct sp__task *task)
{
        bool asleep;

        sp__lock(&engine->lock);
        start(engine);
        sp__list_push(&engine->tasks, &task->link);
        asleep = sleeps(engine);
        sp__unlock(&engine->lock);
        if (asleep)
                wake(engine);
}

bool sp__timer_set(struct sp__engine *engine, struct sp__timer *timer, int64_t at)
{
        bool set, asleep;

        sp__lock(&engine->lock);
        start(engine);
        sp__heap_remove(&engine->timers, &timer->node);
        set = sp__heap_push(&engine->timers, &timer->node, at);
        asleep = set && sp__heap_first(&engine->timers) == &timer->node && sleeps(engine);
        sp__unlock(&engine->lock);
        if (asleep)
                wake(engine);
        return set;
}

bool sp__timer_stop(struct sp__engine *engine, struct sp__timer *timer)
{
        bool was_set;

        sp__lock(&engine->lock);
        was_set = timer->node.place != 0;
        sp__heap_remove(&engine->timers, &timer->node);
        sp__unlock(&engine->lock);
        return was_set;
}

bool sp__engine_unbound(struct sp__engine *engine)
{
        return !atomic_load(&engine->hurried) && pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0;
}

void sp__engine_bound(void)
{
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

void sp__engine_offload(struct sp__engine *engine, enum sp__aside aside, struct sp__task *task)
{
        sp__helper_give(&engine->helpers[aside], task);
}

static void stop_helpers(struct sp__engine *engine)
{
        int64_t deadline = sp__now() + PATIENCE;

        for (size_t i = 0; i < SP__ASIDES; i++)
                sp__helper_stop(&engine->helpers[i]);
        for (size_t i = 0; i < SP__ASIDES; i++)
                sp__helper_wait(&engine->helpers[i], deadline);
        atomic_store(&engine->hurried, true);
        for (size_t i = 0; i < SP__ASIDES; i++)
                sp__helper_end(&engine->helpers[i]);
}

static void stop_thread(struct sp__engine *engine)
{
        bool started, asleep;

        sp__lock(&engine->lock);
        engine->stopping = true;
        started = engine->started;
        asleep = sleeps(engine);
        sp__unlock(&engine->lock);
        if (asleep)
                wake(engine);
        if (started)
                pthread_join(engine->thread, NULL);
        while (atomic_load(&engine->ringing) > 0)
                sched_yield();
}

struct sp__engine *sp__engine_ref(struct sp__engine *engine)
{
        atomic_fetch_add(&engine->refs, 1);
        return engine;
}

void sp__engine_unref(struct sp__engine *engine)
{
        if (!engine || atomic_fetch_sub(&engine->refs, 1) != 1)
                return;
        for (size_t i = 0; i < SP__ASIDES; i++)
                sp__helper_destroy(&engine->helpers[i]);
        sp__fork_destroy(&engine->fork);
        sp__mutex_destroy(&engine->lock);
        free(engine);
}

void sp__engine_free(struct sp__engine *engine)
{
        if (!engine)
                return;
        if (sp__engine_forked(engine)) {
                /* The threads are the parent's, and so may be what they left half done. */
                if (!sp__exit_begun())
                        close_fds(engine);
                return;
        }
        stop_helpers(engine);
        stop_thread(engine);
        /* What the helpers posted last, or was posted when no thread could be started. */
        run_tasks(engine);
        close_fds(engine);
        sp__heap_free(&engine->timers);
        sp__engine_unref(engine);
}
