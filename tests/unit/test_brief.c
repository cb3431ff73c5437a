/* SPDX-License-Identifier: MIT */
/* The brief lock: one at a time, also with more threads than cores, and who sleeps comes back. */
#include "base/brief.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 8, TURNS = 50000 };

struct scene {
        sp__brief lock;
        int64_t turns; /* under the lock, by no atomic step */
        int64_t most;  /* how many were inside at once */
        int64_t inside;
};

static void turn(struct scene *scene)
{
        sp__brief_lock(&scene->lock);
        scene->inside++;
        if (scene->inside > scene->most)
                scene->most = scene->inside;
        scene->turns++;
        scene->inside--;
        sp__brief_unlock(&scene->lock);
}

static void *turns(void *arg)
{
        for (int i = 0; i < TURNS; i++)
                turn(arg);
        return NULL;
}

static void *one_turn(void *arg)
{
        turn(arg);
        return NULL;
}

static void start(pthread_t *threads, void *(*body)(void *), struct scene *scene)
{
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, body, scene), 0);
}

static void join(pthread_t *threads)
{
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

static void test_one_is_inside_at_a_time(void **state)
{
        struct scene scene = {0};
        pthread_t threads[THREADS];

        sp__brief_init(&scene.lock);
        start(threads, turns, &scene);
        join(threads);
        assert_int_equal(scene.turns, THREADS * TURNS);
        assert_int_equal(scene.most, 1);
        assert_int_equal(atomic_load(&scene.lock), SP__BRIEF_FREE);
}

/* As when the holder lost its core: the others are past all pauses, and nobody wakes them. */
static void test_who_waited_long_gets_its_turn(void **state)
{
        struct scene scene = {0};
        pthread_t threads[THREADS];

        sp__brief_init(&scene.lock);
        sp__brief_lock(&scene.lock);
        start(threads, one_turn, &scene);
        poll(NULL, 0, 5);
        assert_int_equal(scene.turns, 0);
        sp__brief_unlock(&scene.lock);
        join(threads);
        assert_int_equal(scene.turns, THREADS);
        assert_int_equal(atomic_load(&scene.lock), SP__BRIEF_FREE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_one_is_inside_at_a_time),
            cmocka_unit_test(test_who_waited_long_gets_its_turn),
        };

        return cmocka_run_group_tests_name("brief", tests, NULL, NULL);
}
