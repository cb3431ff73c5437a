/* SPDX-License-Identifier: MIT */
/* How large what is stored may be: the cache says, or a template, and who waits for a larger value gets it all the same. */
#include "cache_way.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void test_what_is_too_large_is_refused_and_gives_the_lease_back(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.value_max=4B", NULL});
        char key[64], long_key[SP_KEY_MAX + 1];
        sp_lookup *lookup;
        sp_lease *lease;

        fresh_key("t:large", key, sizeof key);
        assert_int_equal(fill_text(way, lease_of(way, cache, key), "12345"), SP_LIMIT);
        lease = lease_of(way, cache, key);
        for (int i = 0; i < 16; i++)
                assert_int_equal(sp_lease_tag(lease, "x", 1), SP_OK);
        assert_int_equal(sp_lease_tag(lease, "x", 1), SP_LIMIT);
        assert_int_equal(fill_text(way, lease, "1234"), SP_OK);
        memset(long_key, 'k', sizeof long_key);
        assert_int_equal(way->lookup(cache, NULL, long_key, sizeof long_key, &lookup, NULL), SP_LIMIT);
        put_text(way, cache, "t:plain", "1");
        assert_int_equal(drop_key(way, cache, "t:plain", NULL), SP_OK);
        sp_cache_free(cache);
}

/* Callers that want one key at once, whose value is too large to be kept. */
enum { WANTING = 8 };

struct wanting {
        sp_cache *cache;
        const char *key;
        atomic_int loads, right;
};

static sp_status load_much(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct wanting *wanting = arg;

        atomic_fetch_add(&wanting->loads, 1);
        wait_ms(200);
        *out = sp_value_new("123456789", 9, SP_CODEC_TEXT);
        return SP_OK;
}

static void *want(void *arg)
{
        struct wanting *wanting = arg;
        sp_value *value = NULL;
        size_t len = 0;

        if (sp_cache_get_or_load(wanting->cache, NULL, wanting->key, strlen(wanting->key), load_much, wanting, &value,
                                 NULL) == SP_OK &&
            strcmp(sp_value_data(value, &len), "123456789") == 0)
                atomic_fetch_add(&wanting->right, 1);
        sp_value_unref(value);
        return NULL;
}

static void test_a_template_limits_its_values_and_who_waits_gets_them_all_the_same(void **state)
{
        const struct cache_way *way = way_of(state);
        struct wanting wanting = {.cache = cache_with(way, (const char *[]){"cache.value_max=4B", NULL})};
        pthread_t threads[WANTING];
        sp_error *error = NULL;
        char key[64], wide[64];

        wanting.key = fresh_key("t:max", key, sizeof key);
        fresh_key("t:wide", wide, sizeof wide);
        declare(wanting.cache, "t:max:{id}", "max=8", NULL);
        declare(wanting.cache, "t:wide:{id}", "max=1KB", NULL);
        put_text(way, wanting.cache, wide, "longer than four bytes");
        assert_int_equal(way->fill(lease_of(way, wanting.cache, key), NULL, "123456789", 9, SP_CODEC_TEXT, 0, &error),
                         SP_LIMIT);
        assert_string_equal(sp_error_message(error), "the value has 9 bytes, \"max\" of template \"t:max:{id}\" is 8");
        sp_error_free(error);
        assert_int_equal(way->set(wanting.cache, NULL, key, strlen(key), "123456789", 9, SP_CODEC_TEXT, 0, NULL),
                         SP_LIMIT);
        for (int i = 0; i < WANTING; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, want, &wanting), 0);
        for (int i = 0; i < WANTING; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&wanting.right), WANTING);
        /* Who came when that one was over loaded for himself. */
        assert_true(atomic_load(&wanting.loads) < WANTING);
        assert_int_equal(state_of(way, wanting.cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(wanting.cache);
}

static void test_a_query_gives_what_is_too_large_to_be_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.value_max=4B", NULL});
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT 'longer than four bytes'");
        sp_value *value = NULL;
        char key[64];
        size_t len;

        fresh_key("t:query", key, sizeof key);
        assert_int_equal(way->query(cache, pool, NULL, key, strlen(key), stmt, NULL, SP_QUERY_CELL, &value, NULL),
                         SP_OK);
        assert_string_equal(sp_value_data(value, &len), "longer than four bytes");
        sp_value_unref(value);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_what_is_too_large_is_refused_and_gives_the_lease_back),
            WAY_TEST(test_a_template_limits_its_values_and_who_waits_gets_them_all_the_same),
            WAY_TEST(test_a_query_gives_what_is_too_large_to_be_stored),
        };

        return RUN_OVER_WAYS("limits", tests, CACHE_WAYS);
}
