/* SPDX-License-Identifier: MIT */
/* Somebody always waits for an answer: the caller that drives, else the next caller, else the engine. */
#include "fake_port.h"

enum { ROUNDS = 500 };

static void test_a_lone_blocked_caller_needs_no_engine(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *op = blocking(SP__FOREVER);

                fake_send(&world->one, op, op);
                answer(&world->one);
                sp__op_wait(op);
                assert_int_equal(op->status, SP_OK);
                sp__op_unref(op);
                assert_int_equal(world->one.port.driver, SP__DRIVER_FREE);
        }
        assert_false(world->engine->started);
}

static void test_the_token_passes_to_the_next_blocked_caller(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *first = blocking(SP__FOREVER), *second = blocking(SP__FOREVER);
                pthread_t one, two;

                fake_send(&world->one, first, first);
                fake_send(&world->one, second, second);
                assert_ptr_equal(driver_of(&world->one), first);
                one = wait_in_thread(first);
                two = wait_in_thread(second);
                answer(&world->one);
                ends(first, one, SP_OK);
                assert_ptr_equal(driver_of(&world->one), second);
                answer(&world->one);
                ends(second, two, SP_OK);
        }
        assert_false(world->engine->started);
}

static void test_who_is_about_to_poll_writes_for_the_others(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *first = blocking(SP__FOREVER), *second = blocking(SP__FOREVER);
                pthread_t one, two;

                fake_send(&world->one, first, first);
                fake_put(&world->one, second, second, 1);
                assert_int_equal(world->one.unwritten, 1);
                two = wait_in_thread(second);
                one = wait_in_thread(first);
                arrives(&world->one);
                answer(&world->one);
                answer(&world->one);
                ends(first, one, SP_OK);
                ends(second, two, SP_OK);
        }
}

static void test_the_engine_writes_what_the_driver_left(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *first = blocking(SP__FOREVER), *second = work_new(SP__FOREVER);

                fake_send(&world->one, first, first);
                fake_put(&world->one, second, NULL, 1);
                first->kind->cancel(first, SP_CANCELLED);
                sp__op_wait(first);
                arrives(&world->one);
                answer(&world->one);
                answer(&world->one);
                while (driver_of(&world->one) || in_flight(&world->one))
                        sched_yield();
                sp__op_unref(first);
                sp__op_unref(second);
        }
}

static void test_the_token_passes_to_the_engine_when_no_caller_is_left(void **state)
{
        struct world *world = *state;
        sp_completion *done;
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int i = 0; i < ROUNDS; i++) {
                sp__op *first = blocking(SP__FOREVER), *second = work_new(SP__FOREVER);
                pthread_t thread;

                assert_int_equal(sp__op_to_queue(second, queue, 7), SP_OK);
                fake_send(&world->one, first, first);
                fake_send(&world->one, second, NULL);
                thread = wait_in_thread(first);
                answer(&world->one);
                ends(first, thread, SP_OK);
                assert_int_equal(world->one.port.driver, SP__DRIVER_ENGINE);
                answer(&world->one);
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_tag(done), 7);
                sp_completion_free(done);
                sp__op_unref(second);
        }
        sp_queue_free(queue);
}

static void test_a_caller_that_polls_hears_of_its_end(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *op = blocking(SP__FOREVER);
                pthread_t thread;

                fake_send(&world->one, op, op);
                thread = wait_in_thread(op);
                if (i % 2)
                        until_polling(&world->one, op);
                op->kind->cancel(op, SP_CANCELLED);
                ends(op, thread, SP_CANCELLED);
                /* Its answer is still due, and the engine waits for it. */
                assert_int_equal(world->one.port.driver, SP__DRIVER_ENGINE);
                answer(&world->one);
                while (driver_of(&world->one) || in_flight(&world->one))
                        sched_yield();
        }
}

static void test_a_caller_that_polls_follows_its_operation_elsewhere(void **state)
{
        struct world *world = *state;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *outer = blocking(SP__FOREVER), *step = work_new(SP__FOREVER);
                pthread_t thread;

                fake_send(&world->one, step, outer);
                thread = wait_in_thread(outer);
                if (i % 2)
                        until_polling(&world->one, outer);
                /* The first step is given up, the next one is sent elsewhere; the first one's answer never comes. */
                sp__op_leave(outer);
                fake_send(&world->two, outer, outer);
                answer(&world->two);
                ends(outer, thread, SP_OK);
                sp__lock(&world->one.port.lock);
                sp__list_remove(&step->link);
                sp__unlock(&world->one.port.lock);
                sp__op_unref(step);
                sp__op_unref(step);
                /* The engine, or nobody: never one who left. */
                assert_null(driver_of(&world->one));
                assert_null(driver_of(&world->two));
                sp__lock(&world->one.port.lock);
                if (world->one.port.driver == SP__DRIVER_ENGINE) {
                        sp__port_detach(&world->one.port);
                        sp__port_attach(&world->one.port, world->one.fd, EPOLLIN);
                }
                sp__unlock(&world->one.port.lock);
        }
}

static void test_a_caller_waits_at_one_port_and_the_engine_at_the_other(void **state)
{
        struct world *world = *state;
        sp__op *outer = blocking(SP__FOREVER), *step = blocking(SP__FOREVER);
        pthread_t thread;

        fake_send(&world->one, outer, outer);
        fake_send(&world->two, step, outer);
        assert_ptr_equal(driver_of(&world->one), outer);
        assert_int_equal(world->two.port.driver, SP__DRIVER_ENGINE);
        answer(&world->two);
        sp__op_wait(step);
        sp__op_unref(step);
        thread = wait_in_thread(outer);
        answer(&world->one);
        ends(outer, thread, SP_OK);
}

static void test_those_at_a_port_that_closes_look_elsewhere(void **state)
{
        struct world *world = *state;
        sp__op *first = blocking(SP__FOREVER), *second = blocking(SP__FOREVER);
        pthread_t one, two;
        struct sp__list *link;

        fake_send(&world->one, first, first);
        fake_send(&world->one, second, second);
        one = wait_in_thread(first);
        two = wait_in_thread(second);
        until_polling(&world->one, first);
        sp__lock(&world->one.port.lock);
        sp__port_detach(&world->one.port);
        while ((link = sp__list_pop(&world->one.flights)))
                sp__op_unref(SP__OF(link, sp__op, link));
        sp__unlock(&world->one.port.lock);
        sp__op_leave(first);
        sp__op_leave(second);
        fake_send(&world->two, first, first);
        fake_send(&world->two, second, second);
        assert_int_equal(write(world->two.peer, "xx", 2), 2);
        ends(first, one, SP_OK);
        ends(second, two, SP_OK);
        assert_false(world->engine->started);
}

static void test_what_is_to_be_written_is_seen_by_the_one_who_polls(void **state)
{
        struct world *world = *state;
        sp__op *op = blocking(SP__FOREVER);
        pthread_t thread;

        fake_send(&world->one, op, op);
        thread = wait_in_thread(op);
        until_polling(&world->one, op);
        sp__lock(&world->one.port.lock);
        sp__port_want(&world->one.port, EPOLLIN | EPOLLOUT);
        sp__unlock(&world->one.port.lock);
        while (!(atomic_load(&world->one.events) & EPOLLOUT))
                sched_yield();
        answer(&world->one);
        ends(op, thread, SP_OK);
}

static void test_a_deadline_ends_the_wait_and_passes_the_token(void **state)
{
        struct world *world = *state;
        sp__op *first = blocking(sp__now() + 20 * SP__MS), *second = blocking(SP__FOREVER);
        pthread_t one, two;

        fake_send(&world->one, first, first);
        fake_send(&world->one, second, second);
        one = wait_in_thread(first);
        two = wait_in_thread(second);
        ends(first, one, SP_TIMEOUT);
        assert_ptr_equal(driver_of(&world->one), second);
        assert_int_equal(write(world->one.peer, "xx", 2), 2);
        ends(second, two, SP_OK);
}

static void test_a_deadline_that_comes_second_is_told_once_and_waits(void **state)
{
        struct world *world = *state;
        sp__op *op = blocking(sp__now() + 20 * SP__MS);
        struct work *work = SP__OF(op, struct work, op);
        struct sp__batch done;
        pthread_t thread;

        /* Somebody is about to end it, and takes his time. */
        assert_true(sp__op_claim(op));
        fake_send(&world->one, op, op);
        thread = wait_in_thread(op);
        while (atomic_load(&work->cancels) == 0)
                sched_yield();
        while (driver_of(&world->one))
                sched_yield();
        sp__batch_init(&done);
        sp__op_end(op, SP_OK, NULL, &done);
        sp__batch_deliver(&done);
        pthread_join(thread, NULL);
        assert_int_equal(atomic_load(&work->cancels), 1);
        assert_int_equal(op->status, SP_OK);
        sp__op_unref(op);
}

/* Callers, asynchronous work and cancellations at one port, answered in order: each is told once. */
struct crowd {
        struct world *world;
        atomic_int told;
};

static void *crowd_body(void *arg)
{
        struct crowd *crowd = arg;

        for (int i = 0; i < ROUNDS; i++) {
                sp__op *op = blocking(i % 7 ? SP__FOREVER : sp__now() + 100000);

                fake_send(&crowd->world->one, op, op);
                answer(&crowd->world->one);
                sp__op_wait(op);
                assert_true(op->status == SP_OK || op->status == SP_TIMEOUT);
                sp__op_unref(op);
                atomic_fetch_add(&crowd->told, 1);
        }
        return NULL;
}

static void test_every_caller_of_a_crowd_is_told(void **state)
{
        struct crowd crowd = {.world = *state};
        pthread_t threads[8];

        for (size_t i = 0; i < 8; i++)
                pthread_create(&threads[i], NULL, crowd_body, &crowd);
        for (size_t i = 0; i < 8; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&crowd.told), 8 * ROUNDS);
}

static void test_a_caller_told_before_it_waits_does_not_wait(void **state)
{
        struct world *world = *state;
        sp__op *op = blocking(SP__FOREVER);

        fake_send(&world->one, op, op);
        settle(op);
        sp__op_wait(op);
        assert_int_equal(op->status, SP_OK);
        sp__op_unref(op);
        assert_int_equal(world->one.port.driver, SP__DRIVER_ENGINE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_a_lone_blocked_caller_needs_no_engine, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_the_token_passes_to_the_next_blocked_caller, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_who_is_about_to_poll_writes_for_the_others, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_the_engine_writes_what_the_driver_left, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_the_token_passes_to_the_engine_when_no_caller_is_left, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_a_caller_that_polls_hears_of_its_end, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_a_caller_that_polls_follows_its_operation_elsewhere, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_a_caller_waits_at_one_port_and_the_engine_at_the_other, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_those_at_a_port_that_closes_look_elsewhere, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_what_is_to_be_written_is_seen_by_the_one_who_polls, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_a_deadline_ends_the_wait_and_passes_the_token, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_a_deadline_that_comes_second_is_told_once_and_waits, world_open,
                                            world_close),
            cmocka_unit_test_setup_teardown(test_every_caller_of_a_crowd_is_told, world_open, world_close),
            cmocka_unit_test_setup_teardown(test_a_caller_told_before_it_waits_does_not_wait, world_open, world_close),
        };

        return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
