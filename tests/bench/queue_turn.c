/* SPDX-License-Identifier: MIT */
/*
 * An engine's turn that ends 16 operations, and the thread that takes them from their queue. `--mode turn`: all at once, as
 * sp__batch_deliver() does; `--mode each`: one after the other.
 */
#include "driver.h"

#include "core/op.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/sugarperf.h>

enum { TURN = 16, TAKE = 64, AHEAD = 4 };

static void cancel(sp__op *op, sp_status why)
{
        (void)op;
        (void)why;
}

static void destroy(sp__op *op)
{
        free(op);
}

static const struct sp__op_kind kind = {.cancel = cancel, .destroy = destroy};

static void *take_all(void *queue)
{
        sp_completion *taken[TAKE];
        bool last = false;

        while (!last) {
                size_t count = sp_queue_wait(queue, taken, TAKE, -1);

                for (size_t i = 0; i < count; i++) {
                        last |= sp_completion_tag(taken[i]) == 0;
                        sp_completion_free(taken[i]);
                }
        }
        return NULL;
}

static void end_one(sp_queue *queue, uint64_t tag, struct sp__batch *done)
{
        sp__op *op = calloc(1, sizeof *op);

        if (!op)
                driver_die("out of memory");
        sp__op_init(op, &kind, NULL, SP__FOREVER);
        if (sp__op_to_queue(op, queue, tag) != SP_OK)
                driver_die("the queue is full");
        sp__op_yield(op, SP__YIELD_NONE, NULL, NULL, done);
        sp__op_unref(op);
}

static void turn(sp_queue *queue, bool each)
{
        struct sp__batch done;

        sp__batch_init(&done);
        for (int i = 0; i < TURN; i++) {
                end_one(queue, 1, &done);
                if (each)
                        sp__batch_deliver(&done);
        }
        sp__batch_deliver(&done);
}

/* No further ahead than a few turns, as 64 callers would be. */
static void body(struct driver_caller *caller, void *queue)
{
        bool each = strcmp(driver_options_of(caller)->mode, "each") == 0;

        driver_ready(caller);
        while (driver_going(caller)) {
                int64_t start = driver_now();

                turn(queue, each);
                while (sp_queue_pending(queue) > AHEAD * TURN)
                        ;
                driver_record(caller, start, driver_now(), TURN);
        }
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct sp__batch done;
        pthread_t taker;
        sp_queue *queue;

        driver_parse(argc, argv, &options);
        if (sp_queue_new(0, &queue) != SP_OK || pthread_create(&taker, NULL, take_all, queue) != 0)
                driver_die("no queue, or no thread");
        driver_run(&options, 1, body, queue);
        sp__batch_init(&done);
        end_one(queue, 0, &done);
        sp__batch_deliver(&done);
        pthread_join(taker, NULL);
        sp_queue_free(queue);
        return 0;
}
