/* SPDX-License-Identifier: MIT */
/* What entries take: the books say it, the kernel agrees, and a hit takes nothing at all. */
#include "base/random.h"
#include "cache/kept.h"
#include "cache/store.h"
#include "core/params.h"
#include "../support/sanitized.h"

#include <sugarperf/cache.h>

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Of this thread: a cache has one of its own. */
static _Thread_local long allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
        allocations++;
        return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        allocations++;
        return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        allocations++;
        return __real_realloc(old, size);
}

struct shelf {
        struct sp__mirror mirror;
        struct sp__store *store;
};

static void open_shelf(struct shelf *shelf, int64_t max)
{
        sp__mirror_init(&shelf->mirror, false, 0);
        shelf->store = sp__store_new(max, &shelf->mirror);
        assert_non_null(shelf->store);
}

static void close_shelf(struct shelf *shelf)
{
        sp__store_free(shelf->store);
        sp__mirror_destroy(&shelf->mirror);
}

static size_t name_of(uint64_t i, char *out)
{
        return (size_t)sprintf(out, "user:%08llu:interests", (unsigned long long)i);
}

static void put(struct shelf *shelf, uint64_t i, size_t size)
{
        static const char bytes[8192];
        struct sp__item item = {.fresh_until = SP__FOREVER, .kept_until = SP__FOREVER};
        struct sp__mark mark;
        char name[32];

        sp__mirror_mark(&shelf->mirror, &mark);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new(bytes, size, SP_CODEC_BYTES);
        sp__store_put(shelf->store, name, name_of(i, name), &item);
        sp_value_unref(item.value);
}

static bool hit(struct shelf *shelf, uint64_t i)
{
        sp_value *value;
        char name[32];

        if (sp__store_get(shelf->store, name, name_of(i, name), 0, &value, NULL) != SP__FOUND_FRESH)
                return false;
        sp_value_unref(value);
        return true;
}

/* The books count beside that what malloc makes of it: its own 8 bytes, rounding to 16, and a twelfth for its gaps. */
static void test_an_entry_takes_64_bytes_beyond_key_and_value(void **state)
{
        enum { STEPS = 12, FIRST = 150000, STEP = 20000 };
        double sum = 0;

        if (SANITIZED)
                return;
        for (uint64_t step = 0; step < STEPS; step++) {
                struct sp__store_stats stats;
                struct shelf shelf;
                double beyond, booked;
                char name[32];

                open_shelf(&shelf, 256 << 20);
                for (uint64_t i = 0; i < FIRST + step * STEP; i++)
                        put(&shelf, i, 16);
                sp__store_stats(shelf.store, &stats);
                beyond = SP__KEPT_HEAD + 1 + (double)stats.beside / (double)stats.entries;
                booked = (double)stats.bytes / (double)stats.entries - (double)name_of(0, name) - 16;
                print_message("# %lld entries: %.1f bytes beyond key and value, %.1f with malloc's\n",
                              (long long)stats.entries, beyond, booked);
                sum += beyond;
                close_shelf(&shelf);
        }
        print_message("# on average %.1f\n", sum / STEPS);
        assert_true(sum / STEPS <= 64);
}

static int64_t resident(void)
{
        long pages = 0, all;
        FILE *file = fopen("/proc/self/statm", "r");

        assert_non_null(file);
        assert_int_equal(fscanf(file, "%ld %ld", &all, &pages), 2);
        fclose(file);
        return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void test_a_million_entries_stay_within_the_bound_as_the_kernel_sees_it(void **state)
{
        enum { ENTRIES = 1000000 };
        const int64_t max = 128 << 20;
        struct sp__random random = {sp__random_seed()};
        int64_t before = resident(), after;
        struct sp__store_stats stats;
        struct shelf shelf;

        if (SANITIZED)
                return;
        print_message("# seed %llu\n", (unsigned long long)random.state);
        open_shelf(&shelf, max);
        for (uint64_t i = 0; i < ENTRIES; i++)
                put(&shelf, i, 16);
        sp__store_stats(shelf.store, &stats);
        print_message("# a million put: %lld stay, %lld bytes\n", (long long)stats.entries, (long long)stats.bytes);
        /* And when they come and go in other sizes. */
        for (uint64_t i = 0; i < 2 * ENTRIES; i++)
                put(&shelf, sp__random_next(&random) % (2 * ENTRIES), sp__random_next(&random) % 64);
        after = resident() - before;
        sp__store_stats(shelf.store, &stats);
        print_message("# %lld entries, %lld bytes, of which %lld are resident\n", (long long)stats.entries,
                      (long long)stats.bytes, (long long)after);
        assert_true(stats.bytes <= max);
        assert_true(after <= max + max / 10);
        close_shelf(&shelf);
}

static sp_status load_small(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        *out = sp_value_new("12345678", 8, SP_CODEC_TEXT);
        return *out ? SP_OK : SP_NOMEM;
}

/* What is known of single keys of the log grows behind what was loaded: it is a part of the bound, and a small one. */
static void test_what_is_loaded_and_then_set_stays_within_the_bound_as_the_kernel_sees_it(void **state)
{
        enum { LOADED = 150000, SET = 250000 };
        const int64_t max = 16 << 20;
        sp_config *config;
        sp_cache *cache = NULL;
        int64_t before, after;
        char key[32];

        if (SANITIZED)
                return;
        config = sp_config_new();
        assert_int_equal(sp_config_set(config, "cache.memory", "16MB", NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        before = resident();
        for (int i = 0; i < LOADED + SET; i++) {
                size_t len = (size_t)snprintf(key, sizeof key, "small:%08d", i);
                sp_value *value = NULL;

                if (i < LOADED)
                        assert_int_equal(sp_cache_get_or_load(cache, NULL, key, len, load_small, NULL, &value, NULL),
                                         SP_OK);
                else
                        assert_int_equal(sp_cache_set(cache, NULL, key, len, "12345678", 8, SP_CODEC_TEXT, 0, NULL),
                                         SP_OK);
                sp_value_unref(value);
        }
        after = resident() - before;
        print_message("# %lld of %lld bytes are resident\n", (long long)after, (long long)max);
        assert_true(after <= max + max / 10);
        sp_cache_free(cache);
        sp_config_free(config);
        malloc_trim(0);
}

static void test_a_hit_allocates_nothing(void **state)
{
        enum { KEYS = 1000 };
        struct shelf shelf;
        long before;

        open_shelf(&shelf, 16 << 20);
        for (uint64_t i = 0; i < KEYS; i++)
                put(&shelf, i, i % 3 ? 64 : 8000);
        before = allocations;
        for (uint64_t i = 0; i < 10 * KEYS; i++)
                assert_true(hit(&shelf, i % KEYS));
        assert_int_equal(allocations, before);
        close_shelf(&shelf);
}

static void test_a_peek_allocates_nothing(void **state)
{
        enum { KEYS = 100 };
        sp_config *config = sp_config_new();
        sp_cache *cache = NULL;
        char key[32], data[64] = {0};
        sp_value *value;
        long before;

        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        for (int i = 0; i < KEYS; i++) {
                int len = snprintf(key, sizeof key, "peek:%d", i);

                assert_int_equal(
                    sp_cache_set(cache, NULL, key, (size_t)len, data, sizeof data, SP_CODEC_BYTES, 0, NULL), SP_OK);
        }
        before = allocations;
        for (int i = 0; i < 100 * KEYS; i++) {
                int len = snprintf(key, sizeof key, "peek:%d", i % KEYS);

                assert_int_equal(sp_cache_peek(cache, key, (size_t)len, &value), 1);
                sp_value_unref(value);
        }
        assert_int_equal(allocations, before);
        sp_cache_free(cache);
        sp_config_free(config);
}

static void test_building_a_key_allocates_nothing(void **state)
{
        sp_params *params = sp_params_new();
        sp_template *tmpl = NULL;
        char key[SP_KEY_MAX], id[300];
        size_t len;
        long before;

        memset(id, ':', sizeof id);
        assert_int_equal(sp_template_new("auth:{userId#}:{token!}:{name}", NULL, &tmpl, NULL), SP_OK);
        sp_params_add_text(params, "user-3", 6);
        sp_params_add_text(params, "secret", 6);
        sp_params_add_text(params, id, sizeof id);
        before = allocations;
        for (int i = 0; i < 100; i++)
                assert_int_equal(sp_key_format(tmpl, params, key, sizeof key, &len), SP_OK);
        assert_int_equal(allocations, before);
        sp_params_free(params);
        sp_template_unref(tmpl);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_is_loaded_and_then_set_stays_within_the_bound_as_the_kernel_sees_it),
            cmocka_unit_test(test_a_million_entries_stay_within_the_bound_as_the_kernel_sees_it),
            cmocka_unit_test(test_an_entry_takes_64_bytes_beyond_key_and_value),
            cmocka_unit_test(test_a_hit_allocates_nothing),
            cmocka_unit_test(test_a_peek_allocates_nothing),
            cmocka_unit_test(test_building_a_key_allocates_nothing),
        };

        return cmocka_run_group_tests_name("store-memory", tests, NULL, NULL);
}
