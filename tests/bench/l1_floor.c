/* SPDX-License-Identifier: MIT */
/*
 * What no in-process cache of shared values can do without, and nothing more: hash the key, find it in a table, compare
 * it, see by a coarse clock that it has not expired, take a reference and give it back.
 */
#include "driver.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 256

struct entry {
        atomic_uint refs;
        uint32_t len;
        int64_t expires;
        char key[28];
        char value[];
};

struct table {
        struct entry **slots;
        uint64_t mask;
        char (*keys)[28]; /* by item, from 1 */
};

static struct entry **slot_of(const struct table *table, const char *key, uint32_t len)
{
        uint64_t at = XXH3_64bits(key, len);

        for (;; at++) {
                struct entry **slot = &table->slots[at & table->mask];

                if (!*slot || ((*slot)->len == len && memcmp((*slot)->key, key, len) == 0))
                        return slot;
        }
}

static int64_t coarse_seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return now.tv_sec;
}

static void hit(void *state, uint32_t item)
{
        const struct table *table = state;
        const char *key = table->keys[item];
        struct entry *entry = *slot_of(table, key, (uint32_t)strlen(key));

        if (!entry || entry->expires < coarse_seconds())
                driver_die("%s is not in the table", key);
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        if (entry->value[0] != 'v')
                driver_die("%s has another value", key);
        if (atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) == 1)
                free(entry);
}

static void *take(size_t count, size_t size)
{
        void *memory = calloc(count, size);

        if (!memory)
                driver_die("out of memory");
        return memory;
}

static void fill(struct table *table, const struct driver_options *options)
{
        uint64_t slots = 1;

        while (slots < 2 * (uint64_t)options->items)
                slots *= 2;
        table->mask = slots - 1;
        table->slots = take(slots, sizeof *table->slots);
        table->keys = take(options->items + 1, sizeof *table->keys);
        for (uint32_t item = 1; item <= options->items; item++) {
                struct entry *entry = take(1, sizeof *entry + options->size);

                entry->len = (uint32_t)snprintf(entry->key, sizeof entry->key, "bench:item:%u", (unsigned)item);
                entry->refs = 1;
                entry->expires = coarse_seconds() + 3600;
                memset(entry->value, 'v', options->size);
                memcpy(table->keys[item], entry->key, sizeof entry->key);
                *slot_of(table, entry->key, entry->len) = entry;
        }
}

static void body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, hit, arg, BATCH);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct table table;

        driver_parse(argc, argv, &options);
        fill(&table, &options);
        driver_run(&options, options.callers, body, &table);
        for (uint64_t i = 0; i <= table.mask; i++)
                free(table.slots[i]);
        free(table.slots);
        free(table.keys);
        return 0;
}
