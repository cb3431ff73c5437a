/* SPDX-License-Identifier: MIT */
/* A completion comes out once, and the descriptor is readable as long as there is one. */
#include "../support/child.h"
#include "core/queue.h"
#include "work.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { PRODUCERS = 4, CONSUMERS = 2, EACH = 5000, TOTAL = PRODUCERS * EACH };

static bool readable(const sp_queue *queue)
{
        struct pollfd fd = {.fd = sp_queue_fd(queue), .events = POLLIN};

        return poll(&fd, 1, 0) == 1;
}

static sp_status put(sp_queue *queue, struct work_counts *counts, uint64_t tag)
{
        sp__op *op = work_new(counts, NULL);
        sp_status status = sp__op_to_queue(op, queue, tag);

        if (status != SP_OK) {
                sp__op_abandon(op);
                return status;
        }
        work_answer(op);
        sp__op_unref(op);
        return SP_OK;
}

static void test_the_descriptor_tells_whether_there_is_one(void **state)
{
        struct work_counts counts = {0};
        sp_completion *out[4];
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_false(readable(queue));
        for (uint64_t i = 0; i < 4; i++)
                assert_int_equal(put(queue, &counts, i), SP_OK);
        for (uint64_t i = 0; i < 4; i++) {
                assert_true(readable(queue));
                assert_int_equal(sp_queue_take(queue, out, 1), 1);
                assert_int_equal(sp_completion_tag(out[0]), i);
                sp_completion_free(out[0]);
        }
        assert_false(readable(queue));
        assert_int_equal(sp_queue_take(queue, out, 4), 0);
        assert_int_equal(sp_queue_wait(queue, out, 4, 0), 0);
        assert_int_equal(sp_queue_wait(queue, out, 4, 5), 0);
        assert_int_equal(sp_queue_wait(queue, out, 0, -1), 0);
        assert_int_equal(counts.destroyed, 4);
        sp_queue_free(queue);
}

static void test_a_full_queue_refuses_until_something_was_taken(void **state)
{
        struct work_counts counts = {0};
        sp_completion *out[2];
        sp_queue *queue;

        assert_int_equal(sp_queue_new(2, &queue), SP_OK);
        assert_int_equal(put(queue, &counts, 0), SP_OK);
        assert_int_equal(sp__queue_reserve(queue), SP_OK);
        assert_int_equal(put(queue, &counts, 1), SP_FULL);
        assert_int_equal(sp_queue_pending(queue), 2);
        sp__queue_cancel(queue);
        assert_int_equal(put(queue, &counts, 2), SP_OK);
        assert_int_equal(put(queue, &counts, 3), SP_FULL);
        assert_int_equal(sp_queue_take(queue, out, 2), 2);
        assert_int_equal(sp_queue_pending(queue), 0);
        sp_completion_free(out[0]);
        sp_completion_free(out[1]);
        assert_int_equal(counts.destroyed, 4);
        sp_queue_free(queue);
}

static void test_a_freed_queue_drops_what_it_has_and_what_comes(void **state)
{
        struct work_counts counts = {0};
        sp_queue *queue;
        sp__op *op = work_new(&counts, NULL);

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(put(queue, &counts, 0), SP_OK);
        assert_int_equal(sp__op_to_queue(op, queue, 1), SP_OK);
        sp_queue_free(queue);
        assert_int_equal(counts.destroyed, 1);
        work_answer(op);
        sp__op_unref(op);
        assert_int_equal(counts.destroyed, 2);
        sp_queue_free(NULL);
}

struct traffic {
        sp_queue *queue;
        struct work_counts counts;
        atomic_int producer, taken;
        atomic_char seen[TOTAL];
};

static void *produce(void *arg)
{
        struct traffic *traffic = arg;
        uint64_t first = (uint64_t)atomic_fetch_add(&traffic->producer, 1) * EACH;

        for (uint64_t i = 0; i < EACH; i++) {
                while (put(traffic->queue, &traffic->counts, first + i) == SP_FULL)
                        sched_yield();
        }
        return NULL;
}

static void *consume(void *arg)
{
        struct traffic *traffic = arg;
        sp_completion *batch[16];

        while (atomic_load(&traffic->taken) < TOTAL) {
                size_t n = sp_queue_wait(traffic->queue, batch, 16, 20);

                for (size_t i = 0; i < n; i++) {
                        atomic_fetch_add(&traffic->seen[sp_completion_tag(batch[i])], 1);
                        sp_completion_free(batch[i]);
                }
                atomic_fetch_add(&traffic->taken, (int)n);
        }
        return NULL;
}

static void test_each_comes_out_once_under_many_producers_and_consumers(void **state)
{
        struct traffic *traffic = calloc(1, sizeof *traffic);
        pthread_t threads[PRODUCERS + CONSUMERS];
        sp_completion *left;

        assert_int_equal(sp_queue_new(100, &traffic->queue), SP_OK);
        for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
                pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, traffic);
        for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < TOTAL; i++)
                assert_int_equal(traffic->seen[i], 1);
        assert_int_equal(sp_queue_pending(traffic->queue), 0);
        /* A wake-up may come behind what it was for. */
        assert_int_equal(sp_queue_take(traffic->queue, &left, 1), 0);
        assert_false(readable(traffic->queue));
        sp_queue_free(traffic->queue);
        free(traffic);
}

/* By the descriptor alone: one wake-up that is lost, and nobody comes any more. */
static void test_none_is_left_lying_without_a_wake_up(void **state)
{
        struct traffic *traffic = calloc(1, sizeof *traffic);
        pthread_t threads[PRODUCERS];
        sp_completion *batch[3];
        int taken = 0;

        assert_int_equal(sp_queue_new(0, &traffic->queue), SP_OK);
        for (int i = 0; i < PRODUCERS; i++)
                pthread_create(&threads[i], NULL, produce, traffic);
        while (taken < TOTAL) {
                struct pollfd fd = {.fd = sp_queue_fd(traffic->queue), .events = POLLIN};
                size_t n;

                assert_int_equal(poll(&fd, 1, 30000), 1);
                n = sp_queue_take(traffic->queue, batch, 3);
                for (size_t i = 0; i < n; i++)
                        sp_completion_free(batch[i]);
                taken += (int)n;
        }
        for (int i = 0; i < PRODUCERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(sp_queue_take(traffic->queue, batch, 1), 0);
        assert_false(readable(traffic->queue));
        sp_queue_free(traffic->queue);
        free(traffic);
}

static int in_child(sp_queue *queue, struct work_counts *counts)
{
        sp_completion *out;

        if (put(queue, counts, 1) != SP_FORKED)
                return 1;
        if (sp_queue_take(queue, &out, 1) != 0 || sp_queue_wait(queue, &out, 1, -1) != 0)
                return 2;
        if (sp_queue_pending(queue) != 0)
                return 3;
        sp_queue_free(queue);
        return 0;
}

static void test_a_child_of_fork_takes_nothing(void **state)
{
        struct work_counts counts = {0};
        sp_completion *out;
        sp_queue *queue;
        int status;
        pid_t child;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(put(queue, &counts, 7), SP_OK);
        child = child_fork();
        if (child == 0)
                _exit(in_child(queue, &counts));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_true(readable(queue));
        assert_int_equal(sp_queue_take(queue, &out, 1), 1);
        assert_int_equal(sp_completion_tag(out), 7);
        sp_completion_free(out);
        sp_queue_free(queue);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_descriptor_tells_whether_there_is_one),
            cmocka_unit_test(test_a_full_queue_refuses_until_something_was_taken),
            cmocka_unit_test(test_a_freed_queue_drops_what_it_has_and_what_comes),
            cmocka_unit_test(test_each_comes_out_once_under_many_producers_and_consumers),
            cmocka_unit_test(test_none_is_left_lying_without_a_wake_up),
            cmocka_unit_test(test_a_child_of_fork_takes_nothing),
        };

        return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
