/* SPDX-License-Identifier: MIT */
/*
 * What the in-process level holds, and what it takes. `beyond`: bytes that an entry takes beyond its key and its value, on
 * average over a million; `resident`: bytes by which the process grew when a million entries, then as many of other sizes, went into
 * a level of 128 MB; `hits TRACE`: hits of the trace in percent; `asked TRACE`: what they are to reach, LRU's to a hundredth, and the
 * better of S3-FIFO's and W-TinyLFU's less two. A trace is made here, or NAME of a directory NAME.txt.gz: `DIRECTORY/NAME=ENTRIES`.
 */
#include "../unit/hit_traces.h"

#include "base/clock.h"
#include "cache/kept.h"
#include "cache/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MILLION = 1000000, SMALL = 16, BOUND = 128 << 20, MADE_ENTRIES = 1000 };

static void die(const char *text)
{
        fprintf(stderr, "%s\n", text);
        exit(1);
}

static void say(double count, int64_t ops, int64_t begun)
{
        printf("{\"ops\": %lld, \"seconds\": %.6f, \"p50_us\": 0, \"p99_us\": 0, \"user_cpu\": 0, \"sys_cpu\": 0, "
               "\"count\": %.4f}\n",
               (long long)ops, (double)(sp__now() - begun) / 1e9, count);
}

static size_t name_of(uint64_t i, char *out)
{
        return (size_t)sprintf(out, "user:%08llu:interests", (unsigned long long)i);
}

static void put(struct sp__store *store, struct sp__mirror *mirror, uint64_t i, size_t size)
{
        static const char bytes[64];
        struct sp__item item = {.fresh_until = SP__FOREVER, .kept_until = SP__FOREVER};
        struct sp__mark mark;
        char name[32];

        sp__mirror_mark(mirror, &mark);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new(bytes, size, SP_CODEC_BYTES);
        sp__store_put(store, name, name_of(i, name), &item);
        sp_value_unref(item.value);
}

static int64_t resident(void)
{
        long pages = 0, all;
        FILE *file = fopen("/proc/self/statm", "r");

        if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2)
                die("/proc/self/statm cannot be read");
        fclose(file);
        return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static double beyond(struct sp__store *store, struct sp__mirror *mirror)
{
        struct sp__store_stats stats;

        for (uint64_t i = 0; i < MILLION; i++)
                put(store, mirror, i, SMALL);
        sp__store_stats(store, &stats);
        if (stats.entries != MILLION)
                die("not all of a million entries are there");
        return SP__KEPT_HEAD + 1 + (double)stats.beside / (double)stats.entries;
}

static double grown(struct sp__store *store, struct sp__mirror *mirror)
{
        struct sp__random random = {1};
        int64_t before = resident();

        for (uint64_t i = 0; i < MILLION; i++)
                put(store, mirror, i, SMALL);
        for (uint64_t i = 0; i < MILLION; i++)
                put(store, mirror, sp__random_next(&random) % (2 * MILLION), sp__random_next(&random) % 64);
        return (double)(resident() - before);
}

static void measure_store(double (*what)(struct sp__store *, struct sp__mirror *), int64_t max, int64_t ops)
{
        int64_t begun = sp__now();
        struct sp__mirror mirror;
        struct sp__store *store;

        sp__mirror_init(&mirror, false, 0);
        store = sp__store_new(max, &mirror);
        if (!store)
                die("out of memory");
        say(what(store, &mirror), ops, begun);
        sp__store_free(store);
        sp__mirror_destroy(&mirror);
}

/* Each made from the same seed, so that all sides have the same asks. */
static bool make(struct hit_trace *trace)
{
        struct sp__random random = {1};

        if (strcmp(trace->name, "zipf") == 0)
                hit_trace_zipf(trace, &random, 0, 20000, 0.9, 300000);
        else if (strcmp(trace->name, "scan") == 0)
                hit_trace_scan(trace, &random);
        else if (strcmp(trace->name, "loop") == 0)
                hit_trace_loop(trace, 0, 2000, 100);
        else if (strcmp(trace->name, "shifting") == 0)
                hit_trace_shifting(trace, &random);
        else if (strcmp(trace->name, "mixed") == 0)
                hit_trace_mixed(trace, &random);
        return trace->count > 0;
}

/* Takes the text apart; how many entries are to be held. */
static int64_t read_trace(struct hit_trace *trace, char *text)
{
        char *entries = strchr(text, '='), *name = strrchr(text, '/');

        trace->name = text;
        if (make(trace))
                return MADE_ENTRIES;
        if (!entries || !name)
                die("there is no such trace");
        *entries = *name = 0;
        trace->name = name + 1;
        if (!hit_trace_read(trace, text))
                die("the trace cannot be read");
        return atoll(entries + 1);
}

static double asked(const struct hit_trace *trace, int64_t held)
{
        double lru = hit_model_run(HIT_LRU, trace, held) - 0.01, s3 = hit_model_run(HIT_S3_FIFO, trace, held);
        double tiny = hit_model_run(HIT_W_TINYLFU, trace, held), best = (s3 > tiny ? s3 : tiny) - 2;

        return lru > best ? lru : best;
}

static void measure_hits(char *text, bool of_models)
{
        int64_t begun = sp__now(), held, entries;
        struct hit_trace trace = {.name = NULL};
        double hits;

        entries = read_trace(&trace, text);
        hits = hit_store_run(&trace, hit_bytes_for(entries), &held);
        say(of_models ? asked(&trace, held) : hits, (int64_t)trace.count, begun);
        free(trace.asks);
}

int main(int argc, char **argv)
{
        const char *mode = argc > 1 ? argv[1] : "";

        if (strcmp(mode, "beyond") == 0)
                measure_store(beyond, 2 * BOUND, MILLION);
        else if (strcmp(mode, "resident") == 0)
                measure_store(grown, BOUND, 2 * MILLION);
        else if (argc == 3 && (strcmp(mode, "hits") == 0 || strcmp(mode, "asked") == 0))
                measure_hits(argv[2], strcmp(mode, "asked") == 0);
        else
                die("usage: beyond | resident | hits TRACE | asked TRACE");
        return 0;
}
