/* SPDX-License-Identifier: MIT */
/* A port that closes and is opened again while a thread is still on its way back from it. */
#include "fake_port.h"

#include <pthread.h>

struct hog {
        atomic_bool over;
};

static void *hog_body(void *arg)
{
        struct hog *hog = arg;

        while (!atomic_load(&hog->over)) {
                /* Keeps the processor from those who matter less. */
        }
        return NULL;
}

static void pin(pthread_t thread, int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        assert_int_equal(pthread_setaffinity_np(thread, sizeof set, &set), 0);
}

static int some_cpu(void)
{
        cpu_set_t set;
        int cpu = 0;

        assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
        while (!CPU_ISSET(cpu, &set))
                cpu++;
        return cpu;
}

/* From now on it is woken long after others are. */
static void slow_down(pthread_t thread, pthread_t hog)
{
        int cpu = some_cpu();

        pin(thread, cpu);
        pin(hog, cpu);
        assert_int_equal(pthread_setschedparam(thread, SCHED_IDLE, &(struct sched_param){0}), 0);
}

static void reopen(struct fake *fake)
{
        sp__lock(&fake->port.lock);
        sp__port_detach(&fake->port);
        sp__op_unref(SP__OF(sp__list_pop(&fake->flights), sp__op, link));
        sp__port_attach(&fake->port, fake->fd, EPOLLIN);
        sp__unlock(&fake->port.lock);
}

static void test_who_comes_to_a_port_that_was_opened_anew_takes_nobodys_wake_up(void **state)
{
        sp__op *slow = blocking(sp__now() + 60 * SP__SECOND), *quick = blocking(SP__FOREVER);
        struct world *world = *state;
        pthread_t one, two, spins;
        struct hog hog = {false};

        fake_send(&world->one, slow, slow);
        one = wait_in_thread(slow);
        until_polling(&world->one, slow);
        assert_int_equal(pthread_create(&spins, NULL, hog_body, &hog), 0);
        slow_down(one, spins);
        reopen(&world->one);
        fake_send(&world->one, quick, quick);
        two = wait_in_thread(quick);
        until_polling(&world->one, quick);
        sp__op_leave(slow);
        fake_send(&world->two, slow, slow);
        answer(&world->one);
        ends(quick, two, SP_OK);
        atomic_store(&hog.over, true);
        pthread_join(spins, NULL);
        answer(&world->two);
        ends(slow, one, SP_OK);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_who_comes_to_a_port_that_was_opened_anew_takes_nobodys_wake_up,
                                            world_open, world_close),
        };

        return cmocka_run_group_tests_name("port-anew", tests, NULL, NULL);
}
