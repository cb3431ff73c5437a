/* SPDX-License-Identifier: MIT */
#include "driver.h"
#include "driver_time.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PHASE_WARMUP, PHASE_MEASURE, PHASE_STOP };

struct driver {
        const struct driver_options *options;
        driver_body body;
        void *arg;
        pthread_barrier_t open; /* all callers and the main thread */
        atomic_int phase;
        int64_t begin; /* of the measured time */
};

struct driver_caller {
        struct driver *driver;
        pthread_t thread;
        uint64_t random;
        uint64_t count;
        int64_t late; /* when what counted ended after the measured time; 0: nothing did */
        struct driver_times times;
};

void driver_die(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        /* Other threads may run: no handlers. */
        _Exit(1);
}

static uint32_t number(const char *name, const char *text)
{
        char *end;
        long value;

        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || *end || end == text || value < 1 || value > 100000000)
                driver_die("%s: %s is not a number from 1 to 100000000", name, text);
        return (uint32_t)value;
}

static double duration(const char *name, const char *text)
{
        char *end;
        double value = strtod(text, &end);

        if (*end || end == text || !(value > 0 && value <= 3600))
                driver_die("%s: %s is not a number of seconds up to 3600", name, text);
        return value;
}

static void setting(struct driver_options *out, const char *text)
{
        if (out->settings_count == DRIVER_SETTINGS || !strchr(text, '='))
                driver_die("--set: %s is not name=value, or there are too many", text);
        out->settings[out->settings_count++] = text;
}

static void option(struct driver_options *out, const char *name, const char *value)
{
        if (strcmp(name, "--url") == 0)
                out->url = value;
        else if (strcmp(name, "--mode") == 0)
                out->mode = value;
        else if (strcmp(name, "--callers") == 0)
                out->callers = number(name, value);
        else if (strcmp(name, "--items") == 0)
                out->items = number(name, value);
        else if (strcmp(name, "--size") == 0)
                out->size = number(name, value);
        else if (strcmp(name, "--seconds") == 0)
                out->seconds = duration(name, value);
        else if (strcmp(name, "--warmup") == 0)
                out->warmup = duration(name, value);
        else if (strcmp(name, "--set") == 0)
                setting(out, value);
        else
                driver_die("unknown argument %s", name);
}

void driver_parse(int argc, char **argv, struct driver_options *out)
{
        *out = (struct driver_options){
            .url = "", .mode = "", .callers = 1, .items = 1000, .size = 64, .seconds = 1, .warmup = 0.3};
        for (int i = 1; i < argc; i += 2) {
                if (i + 1 == argc)
                        driver_die("%s needs a value", argv[i]);
                option(out, argv[i], argv[i + 1]);
        }
}

int64_t driver_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void driver_work(int64_t ns)
{
        for (int64_t end = driver_now() + ns; driver_now() < end;)
                ;
}

static void sleep_for(double seconds)
{
        struct timespec left = {.tv_sec = (time_t)seconds,
                                .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

        while (nanosleep(&left, &left) != 0 && errno == EINTR)
                ;
}

const struct driver_options *driver_options_of(const struct driver_caller *caller)
{
        return caller->driver->options;
}

void driver_ready(struct driver_caller *caller)
{
        pthread_barrier_wait(&caller->driver->open);
}

bool driver_going(const struct driver_caller *caller)
{
        return atomic_load_explicit(&caller->driver->phase, memory_order_relaxed) != PHASE_STOP;
}

/* xorshift64* (Vigna 2016); the high bits, scaled (Lemire 2019). */
uint32_t driver_item(struct driver_caller *caller)
{
        uint64_t x = caller->random;

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        caller->random = x;
        x = (x * UINT64_C(0x2545F4914F6CDD1D)) >> 32;
        return 1 + (uint32_t)((x * caller->driver->options->items) >> 32);
}

static void add(struct driver_caller *caller, int64_t start, int64_t end, uint32_t count)
{
        caller->count += count;
        driver_times_add(&caller->times, (uint64_t)(end - start) / count, count);
}

void driver_record(struct driver_caller *caller, int64_t start, int64_t end, uint32_t count)
{
        if (atomic_load_explicit(&caller->driver->phase, memory_order_relaxed) == PHASE_MEASURE)
                add(caller, start, end, count);
}

bool driver_counted(const struct driver_caller *caller)
{
        return caller->count > 0;
}

bool driver_wants_one(const struct driver_caller *caller)
{
        return driver_going(caller) || !driver_counted(caller);
}

void driver_record_late(struct driver_caller *caller, int64_t start, int64_t end, uint32_t count)
{
        if (driver_going(caller)) {
                driver_record(caller, start, end, count);
        } else if (caller->count == 0 && start >= caller->driver->begin) {
                add(caller, start, end, count);
                caller->late = end;
        }
}

void driver_loop(struct driver_caller *caller, driver_step step, void *state, uint32_t batch)
{
        int64_t start, end;

        driver_ready(caller);
        start = driver_now();
        while (driver_going(caller)) {
                for (uint32_t i = 0; i < batch; i++)
                        step(state, driver_item(caller));
                end = driver_now();
                driver_record(caller, start, end, batch);
                start = end;
        }
}

static void *caller_main(void *arg)
{
        struct driver_caller *caller = arg;

        caller->driver->body(caller, caller->driver->arg);
        return NULL;
}

static void start_callers(struct driver *driver, struct driver_caller *callers, uint32_t threads)
{
        if (pthread_barrier_init(&driver->open, NULL, threads + 1) != 0)
                driver_die("pthread_barrier_init failed");
        for (uint32_t i = 0; i < threads; i++) {
                callers[i].driver = driver;
                callers[i].random = UINT64_C(0x9E3779B97F4A7C15) * (i + 1);
                if (pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) != 0)
                        driver_die("pthread_create failed for caller %u", (unsigned)i);
        }
        pthread_barrier_wait(&driver->open);
}

static void mark(const char *word)
{
        puts(word);
        fflush(stdout);
}

static double seconds_of(struct timeval after, struct timeval before)
{
        return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_usec - before.tv_usec) / 1e6;
}

/* Sum over all callers into the first, then one line. */
static void print_result(struct driver_caller *callers, uint32_t threads, double seconds, const struct rusage *before,
                         const struct rusage *after)
{
        for (uint32_t i = 1; i < threads; i++) {
                callers[0].count += callers[i].count;
                driver_times_merge(&callers[0].times, &callers[i].times);
        }
        printf("{\"ops\": %llu, \"seconds\": %.6f, \"p50_us\": %.4f, \"p99_us\": %.4f, \"user_cpu\": %.6f, "
               "\"sys_cpu\": %.6f}\n",
               (unsigned long long)callers[0].count, seconds, driver_times_quantile(&callers[0].times, 0.5) / 1e3,
               driver_times_quantile(&callers[0].times, 0.99) / 1e3, seconds_of(after->ru_utime, before->ru_utime),
               seconds_of(after->ru_stime, before->ru_stime));
}

void driver_run(const struct driver_options *options, uint32_t threads, driver_body body, void *arg)
{
        struct driver driver = {.options = options, .body = body, .arg = arg, .phase = PHASE_WARMUP};
        struct driver_caller *callers = calloc(threads, sizeof *callers);
        struct rusage before, after;
        int64_t end;

        if (!callers)
                driver_die("out of memory");
        start_callers(&driver, callers, threads);
        sleep_for(options->warmup);
        mark("start");
        getrusage(RUSAGE_SELF, &before);
        driver.begin = driver_now();
        atomic_store(&driver.phase, PHASE_MEASURE);
        sleep_for(options->seconds);
        atomic_store(&driver.phase, PHASE_STOP);
        end = driver_now();
        getrusage(RUSAGE_SELF, &after);
        mark("stop");
        for (uint32_t i = 0; i < threads; i++) {
                pthread_join(callers[i].thread, NULL);
                end = callers[i].late > end ? callers[i].late : end;
        }
        print_result(callers, threads, (double)(end - driver.begin) / 1e9, &before, &after);
        pthread_barrier_destroy(&driver.open);
        free(callers);
}
