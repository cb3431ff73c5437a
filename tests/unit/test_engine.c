/* SPDX-License-Identifier: MIT */
/* A task runs once, a timer fires once or was stopped, in order; the end runs what was posted. */
#include "../support/child.h"
#include "base/random.h"
#include "loop/engine_internal.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { TIMERS = 200, TASKS = 2000, THREADS = 8, ROUNDS = 2000 };

/* Of all engines: all tests run with one that sleeps at once, and one that looks on first. */
static int64_t spin;

static struct sp__engine *engine_new(void)
{
        struct sp__engine *engine;

        assert_int_equal(sp__engine_new(&engine, NULL), SP_OK);
        sp__engine_spin(engine, spin);
        return engine;
}

struct mark {
        struct sp__timer timer;
        struct sp__task task;
        struct sp__engine *engine;
        int64_t at;
        int64_t *last;
        atomic_int *count;
        atomic_int fired, wrong;
        int pipe[2];
        char byte; /* not on a stack that is unwound */
};

static void fire(struct sp__timer *timer)
{
        struct mark *mark = SP__OF(timer, struct mark, timer);

        mark->wrong += sp__now() < mark->at || mark->at < *mark->last || !sp__engine_here(mark->engine);
        *mark->last = mark->at;
        mark->fired++;
        atomic_fetch_add(mark->count, 1);
}

static void until(const atomic_int *count, int wanted)
{
        while (atomic_load(count) < wanted)
                sched_yield();
}

static void test_timers_fire_once_in_order_and_never_early(void **state)
{
        struct sp__random random = {sp__random_seed()};
        struct sp__engine *engine = engine_new();
        struct mark *marks = calloc(TIMERS, sizeof *marks);
        int64_t last = 0, base = sp__now() + 100 * SP__MS;
        atomic_int count = 0;

        printf("# seed %llu\n", (unsigned long long)random.state);
        for (size_t i = 0; i < TIMERS; i++) {
                marks[i].timer.fire = fire;
                marks[i].engine = engine;
                marks[i].last = &last;
                marks[i].count = &count;
                marks[i].at = base + (int64_t)(sp__random_next(&random) % (50 * SP__MS));
                /* Set far away, then moved. */
                assert_true(sp__timer_set(engine, &marks[i].timer, base + 3600 * SP__SECOND));
                assert_true(sp__timer_set(engine, &marks[i].timer, marks[i].at));
        }
        for (size_t i = 0; i < TIMERS; i += 4)
                assert_true(sp__timer_stop(engine, &marks[i].timer));
        assert_false(sp__timer_stop(engine, &marks[0].timer));
        until(&count, TIMERS - TIMERS / 4);
        assert_false(sp__engine_here(engine));
        sp__engine_free(engine);
        for (size_t i = 0; i < TIMERS; i++) {
                assert_int_equal(marks[i].fired, i % 4 != 0);
                assert_int_equal(marks[i].wrong, 0);
        }
        free(marks);
}

static void fire_count(struct sp__timer *timer)
{
        atomic_fetch_add(&SP__OF(timer, struct mark, timer)->fired, 1);
}

static void test_a_timer_is_stopped_or_fires_never_both(void **state)
{
        struct sp__engine *engine = engine_new();

        for (int i = 0; i < ROUNDS; i++) {
                struct mark mark = {.timer.fire = fire_count};
                int64_t until_ns = sp__now() + i % 50 * 1000;

                assert_true(sp__timer_set(engine, &mark.timer, sp__now() + 20000));
                while (sp__now() < until_ns)
                        continue;
                if (sp__timer_stop(engine, &mark.timer))
                        assert_int_equal(atomic_load(&mark.fired), 0);
                else
                        until(&mark.fired, 1);
        }
        sp__engine_free(engine);
}

static void run_count(struct sp__task *task)
{
        struct mark *mark = SP__OF(task, struct mark, task);

        atomic_fetch_add(&mark->wrong, !sp__engine_here(mark->engine));
        atomic_fetch_add(&mark->fired, 1);
        atomic_fetch_add(mark->count, 1);
}

struct poster {
        struct sp__engine *engine;
        struct mark *marks;
        atomic_int *count;
        void (*post)(struct sp__engine *, struct sp__task *);
};

static void *post_body(void *arg)
{
        struct poster *poster = arg;

        for (size_t i = 0; i < TASKS; i++) {
                struct mark *mark = &poster->marks[i];

                mark->task.run = run_count;
                mark->engine = poster->engine;
                mark->count = poster->count;
                poster->post(poster->engine, &mark->task);
        }
        return NULL;
}

static void post_from_many(void (*post)(struct sp__engine *, struct sp__task *), bool wait, int here)
{
        struct sp__engine *engine = engine_new();
        struct mark *marks = calloc((size_t)TASKS * THREADS, sizeof *marks);
        struct poster posters[THREADS];
        pthread_t threads[THREADS];
        atomic_int count = 0;

        for (size_t i = 0; i < THREADS; i++) {
                posters[i] = (struct poster){engine, marks + i * TASKS, &count, post};
                pthread_create(&threads[i], NULL, post_body, &posters[i]);
        }
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        if (wait)
                until(&count, TASKS * THREADS);
        sp__engine_free(engine);
        for (size_t i = 0; i < (size_t)TASKS * THREADS; i++) {
                assert_int_equal(marks[i].fired, 1);
                if (wait)
                        assert_int_equal(marks[i].wrong, !here);
        }
        free(marks);
}

static void give_short(struct sp__engine *engine, struct sp__task *task)
{
        sp__engine_offload(engine, SP__ASIDE_SHORT, task);
}

static void give_long(struct sp__engine *engine, struct sp__task *task)
{
        sp__engine_offload(engine, SP__ASIDE_LONG, task);
}

static void test_tasks_of_many_threads_run_once_on_the_engine(void **state)
{
        post_from_many(sp__engine_post, true, 1);
}

static void test_what_may_block_runs_once_beside_the_engine(void **state)
{
        post_from_many(give_short, true, 0);
        post_from_many(give_long, true, 0);
}

static void test_the_end_runs_what_was_posted(void **state)
{
        post_from_many(sp__engine_post, false, 1);
        post_from_many(give_short, false, 0);
        post_from_many(give_long, false, 0);
}

static void block(struct sp__task *task)
{
        struct mark *mark = SP__OF(task, struct mark, task);

        if (sp__engine_unbound(mark->engine)) {
                atomic_fetch_add(&mark->fired, 1);
                /* Nobody ever writes. */
                if (read(mark->pipe[0], &mark->byte, 1) < 0)
                        atomic_fetch_add(&mark->wrong, 1);
                sp__engine_bound();
        }
}

static void test_the_end_does_not_wait_for_what_blocks_without_end(void **state)
{
        for (enum sp__aside aside = 0; aside < SP__ASIDES; aside++) {
                struct sp__engine *engine = engine_new();
                struct mark marks[8] = {0};

                for (size_t i = 0; i < 8; i++) {
                        marks[i].task.run = block;
                        marks[i].engine = engine;
                        assert_int_equal(pipe(marks[i].pipe), 0);
                        sp__engine_offload(engine, aside, &marks[i].task);
                }
                until(&marks[0].fired, 1);
                sp__engine_free(engine);
                assert_int_equal(marks[7].fired, 0);
                for (size_t i = 0; i < 8; i++) {
                        close(marks[i].pipe[0]);
                        close(marks[i].pipe[1]);
                }
        }
}

static void test_what_blocks_holds_up_nothing_of_another_kind(void **state)
{
        struct sp__engine *engine = engine_new();
        struct mark stuck = {.task.run = block, .engine = engine}, quick = {.task.run = run_count, .engine = engine};
        atomic_int count = 0;

        quick.count = &count;
        assert_int_equal(pipe(stuck.pipe), 0);
        sp__engine_offload(engine, SP__ASIDE_LONG, &stuck.task);
        until(&stuck.fired, 1);
        sp__engine_offload(engine, SP__ASIDE_SHORT, &quick.task);
        until(&count, 1);
        close(stuck.pipe[1]);
        sp__engine_free(engine);
        close(stuck.pipe[0]);
}

static void test_a_child_of_fork_leaves_the_parents_engine_alone(void **state)
{
        struct sp__engine *engine = engine_new();
        struct mark mark = {.task.run = run_count, .engine = engine};
        atomic_int count = 0;
        int status;
        pid_t child;

        mark.count = &count;
        sp__engine_post(engine, &mark.task);
        until(&count, 1);
        child = child_fork();
        if (child == 0) {
                bool forked = sp__engine_forked(engine);

                sp__engine_free(engine);
                _exit(!forked);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_false(sp__engine_forked(engine));
        sp__engine_post(engine, &mark.task);
        until(&count, 2);
        sp__engine_free(engine);
        sp__engine_free(NULL);
}

static bool sleeps(struct sp__engine *engine)
{
        bool asleep;

        sp__lock(&engine->lock);
        asleep = engine->asleep;
        sp__unlock(&engine->lock);
        return asleep;
}

/* For an hour, so that no machine is too slow: it neither sleeps meanwhile nor keeps anybody waiting, not even for its end. */
static void test_an_engine_that_looks_on_is_not_asleep(void **state)
{
        struct sp__engine *engine = engine_new();
        struct mark marks[2] = {{.task.run = run_count, .engine = engine}, {.task.run = run_count, .engine = engine}};
        atomic_int count = 0;

        marks[0].count = marks[1].count = &count;
        sp__engine_post(engine, &marks[0].task);
        while (!sleeps(engine))
                sched_yield();
        sp__engine_spin(engine, 3600 * SP__SECOND);
        sp__engine_spin(engine, SP__US);
        if (atomic_load(&engine->spin_ns) == 0) {
                /* On an only CPU it never looks on. */
                sp__engine_free(engine);
                return;
        }
        assert_int_equal(atomic_load(&engine->spin_ns), 3600 * SP__SECOND);
        for (int i = 1; i < 1000; i++) {
                sp__engine_post(engine, &marks[i % 2].task);
                until(&count, i + 1);
                assert_false(sleeps(engine));
        }
        sp__engine_free(engine);
}

static int look_on(void **state)
{
        spin = SP__MS;
        return 0;
}

static int sleep_at_once(void **state)
{
        spin = 0;
        return 0;
}

#define BOTH(test) cmocka_unit_test(test), {#test ", looking on", test, look_on, sleep_at_once, NULL}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH(test_timers_fire_once_in_order_and_never_early),
            BOTH(test_a_timer_is_stopped_or_fires_never_both),
            BOTH(test_tasks_of_many_threads_run_once_on_the_engine),
            BOTH(test_what_may_block_runs_once_beside_the_engine),
            BOTH(test_the_end_runs_what_was_posted),
            BOTH(test_the_end_does_not_wait_for_what_blocks_without_end),
            BOTH(test_what_blocks_holds_up_nothing_of_another_kind),
            BOTH(test_a_child_of_fork_leaves_the_parents_engine_alone),
            cmocka_unit_test(test_an_engine_that_looks_on_is_not_asleep),
        };

        return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
