/* SPDX-License-Identifier: MIT */
/* What no breaker that threads share can do without: its lock twice a call; `--mode reject`: a counter and a coarse clock. */
#include "driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define BATCH 1024

struct floor {
        pthread_mutex_t lock;
        uint64_t calls;
        _Atomic uint64_t refused;
};

static void record(void *state, uint32_t item)
{
        struct floor *floor = state;

        pthread_mutex_lock(&floor->lock);
        floor->calls += item;
        pthread_mutex_unlock(&floor->lock);
        pthread_mutex_lock(&floor->lock);
        floor->calls++;
        pthread_mutex_unlock(&floor->lock);
}

static void reject(void *state, uint32_t item)
{
        struct floor *floor = state;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        atomic_fetch_add_explicit(&floor->refused, item + (uint64_t)now.tv_sec, memory_order_relaxed);
}

static void record_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, record, arg, BATCH);
}

static void reject_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, reject, arg, BATCH);
}

int main(int argc, char **argv)
{
        struct floor floor = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct driver_options options;

        driver_parse(argc, argv, &options);
        driver_run(&options, options.callers, strcmp(options.mode, "reject") == 0 ? reject_body : record_body, &floor);
        return 0;
}
