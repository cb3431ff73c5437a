/* SPDX-License-Identifier: MIT */
/* One side of a benchmark: arguments, callers, warm-up, time and the one JSON line that bench.py reads. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRIVER_SETTINGS 16

struct driver_options {
        const char *url;
        const char *mode;
        uint32_t callers; /* threads, or operations in flight */
        uint32_t items;   /* what is asked for is 1 … items */
        uint32_t size;    /* bytes of a value */
        double seconds;
        double warmup;
        const char *settings[DRIVER_SETTINGS]; /* "name=value" of the library's configuration */
        size_t settings_count;
};

struct driver_caller;

/* A thread: opens what it needs, driver_ready(), works while driver_going(), closes. */
typedef void (*driver_body)(struct driver_caller *caller, void *arg);
typedef void (*driver_step)(void *state, uint32_t item);

/* Ends the program with one line on stderr where an argument is unknown or wrong. */
void driver_parse(int argc, char **argv, struct driver_options *out);
/* Runs `threads` bodies and prints the result. */
void driver_run(const struct driver_options *options, uint32_t threads, driver_body body, void *arg);

const struct driver_options *driver_options_of(const struct driver_caller *caller);
/* Waits until all threads are open, so that nobody measures another's connecting. */
void driver_ready(struct driver_caller *caller);
bool driver_going(const struct driver_caller *caller);
/* An item at random. */
uint32_t driver_item(struct driver_caller *caller);
/* `count` operations that took from `start` to `end`; they count only in the measured time. */
void driver_record(struct driver_caller *caller, int64_t start, int64_t end, uint32_t count);
/* For what may take as long as the measured time: goes on until one counts, and counts the first even if it ended after it, which is
 * then as much longer. */
bool driver_wants_one(const struct driver_caller *caller);
bool driver_counted(const struct driver_caller *caller);
void driver_record_late(struct driver_caller *caller, int64_t start, int64_t end, uint32_t count);
/* The whole work of a blocking caller; `batch` operations share one reading of the clock. */
void driver_loop(struct driver_caller *caller, driver_step step, void *state, uint32_t batch);

int64_t driver_now(void);
/* What a caller does with what it got: its CPU is busy for so long. */
void driver_work(int64_t ns);
_Noreturn void driver_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
