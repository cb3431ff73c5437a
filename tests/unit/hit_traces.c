/* SPDX-License-Identifier: MIT */
#include "hit_traces.h"

#include "cache/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUE = 100, SIZES = 8 };

static void add(struct hit_trace *trace, uint32_t key)
{
        if (trace->count == trace->room) {
                trace->room = trace->room ? trace->room * 2 : 1 << 16;
                trace->asks = realloc(trace->asks, trace->room * sizeof *trace->asks);
        }
        trace->asks[trace->count++] = key;
        if (key >= trace->keys)
                trace->keys = key + 1;
}

struct zipf {
        uint32_t count;
        double *upto;
};

static struct zipf zipf_new(uint32_t count, double skew)
{
        struct zipf zipf = {count, malloc(count * sizeof(double))};
        double sum = 0;

        for (uint32_t i = 0; i < count; i++)
                zipf.upto[i] = sum += pow(i + 1, -skew);
        return zipf;
}

static uint32_t zipf_next(const struct zipf *zipf, struct sp__random *random)
{
        double wanted = sp__random_unit(random) * zipf->upto[zipf->count - 1];
        uint32_t low = 0, high = zipf->count - 1;

        while (low < high) {
                uint32_t middle = (low + high) / 2;

                if (zipf->upto[middle] <= wanted)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void hit_trace_zipf(struct hit_trace *trace, struct sp__random *random, uint32_t first, uint32_t keys, double skew,
                    int asks)
{
        struct zipf zipf = zipf_new(keys, skew);

        for (int i = 0; i < asks; i++)
                add(trace, first + zipf_next(&zipf, random));
        free(zipf.upto);
}

void hit_trace_loop(struct hit_trace *trace, uint32_t first, uint32_t keys, int rounds)
{
        for (int round = 0; round < rounds; round++) {
                for (uint32_t i = 0; i < keys; i++)
                        add(trace, first + i);
        }
}

void hit_trace_scan(struct hit_trace *trace, struct sp__random *random)
{
        for (uint32_t i = 0; i < 20; i++) {
                hit_trace_zipf(trace, random, 0, 5000, 0.9, 10000);
                hit_trace_loop(trace, 5000 + i * 3000, 3000, 1);
        }
}

void hit_trace_shifting(struct hit_trace *trace, struct sp__random *random)
{
        for (uint32_t i = 0; i < 20; i++)
                hit_trace_zipf(trace, random, i * 500, 5000, 0.9, 15000);
}

void hit_trace_near(struct hit_trace *trace, uint32_t first, uint32_t keys, uint32_t distance)
{
        for (uint32_t i = 0; i < keys; i++) {
                add(trace, first + i);
                if (i >= distance)
                        add(trace, first + i - distance);
        }
}

void hit_trace_mixed(struct hit_trace *trace, struct sp__random *random)
{
        for (uint32_t i = 0; i < 8; i++) {
                hit_trace_zipf(trace, random, 0, 20000, 0.8, 20000);
                hit_trace_loop(trace, 20000, 1500, 8);
                hit_trace_near(trace, 30000 + i * 10000, 10000, 20);
        }
}

bool hit_trace_read(struct hit_trace *trace, const char *folder)
{
        char command[512];
        unsigned key;
        FILE *file;

        snprintf(command, sizeof command, "gzip -dc '%s/%s.txt.gz'", folder, trace->name);
        file = popen(command, "r");
        while (file && fscanf(file, "%u", &key) == 1)
                add(trace, key);
        return file && pclose(file) == 0 && trace->count > 0;
}

int64_t hit_bytes_for(int64_t entries)
{
        return entries * 193;
}

static size_t value_bytes(const struct hit_trace *trace, uint32_t key)
{
        return trace->sized ? (size_t)50 << (key * UINT32_C(2654435761) >> 16) % SIZES : VALUE;
}

static size_t name_of(uint32_t key, char *out)
{
        return (size_t)sprintf(out, "key:%08u", (unsigned)key);
}

static bool ask_store(struct sp__store *store, struct sp__mirror *mirror, const struct hit_trace *trace, uint32_t key)
{
        static char bytes[50 << SIZES];
        struct sp__item item = {.fresh_until = SP__FOREVER, .kept_until = SP__FOREVER};
        struct sp__mark mark;
        sp_value *value;
        char name[16];
        size_t len = name_of(key, name);

        if (sp__store_get(store, name, len, 0, &value, NULL) == SP__FOUND_FRESH) {
                sp__striped_add(sp__store_hits(store), 1);
                sp_value_unref(value);
                return true;
        }
        sp__mirror_mark(mirror, &mark);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new(bytes, value_bytes(trace, key), SP_CODEC_BYTES);
        sp__store_put(store, name, len, &item);
        sp_value_unref(item.value);
        return false;
}

/* What an entry takes, as the models count it: near enough that what is over does not matter. */
static int64_t cost(const struct hit_trace *trace, uint32_t key)
{
        return trace->sized ? (int64_t)value_bytes(trace, key) + 90 : 1;
}

/* Hits of a store of `max` bytes, and what it held in the end. */
double hit_store_run(const struct hit_trace *trace, int64_t max, int64_t *held)
{
        struct sp__mirror mirror;
        struct sp__store *store;
        size_t hits = 0;

        sp__mirror_init(&mirror, false, 0);
        store = sp__store_new(max, &mirror);
        for (size_t i = 0; i < trace->count; i++)
                hits += ask_store(store, &mirror, trace, trace->asks[i]);
        *held = 0;
        for (uint32_t key = 0; key < trace->keys; key++) {
                char name[16];
                sp_value *value;

                if (sp__store_get(store, name, name_of(key, name), 0, &value, NULL) == SP__FOUND_FRESH) {
                        *held += cost(trace, key);
                        sp_value_unref(value);
                }
        }
        sp__store_free(store);
        sp__mirror_destroy(&mirror);
        return 100.0 * (double)hits / (double)trace->count;
}

double hit_model_run(enum hit_model_kind kind, const struct hit_trace *trace, int64_t max)
{
        struct hit_model *model = hit_model_new(kind, max, trace->keys);
        size_t hits = 0;

        for (size_t i = 0; i < trace->count; i++)
                hits += hit_model_ask(model, trace->asks[i], cost(trace, trace->asks[i]));
        hit_model_free(model);
        return 100.0 * (double)hits / (double)trace->count;
}
