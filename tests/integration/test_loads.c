/* SPDX-License-Identifier: MIT */
/* How many load at once in one process (cache.loads), where keys are many. */
#include "many_keys.h"

#include <string.h>

/* Those who waited for what a call loads have no part in its slot. */
static void test_who_inherits_keys_of_a_failed_load_needs_a_slot(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.loads=2", NULL});
        sp_ctx *ctx = ctx_set("timeout", "200ms");
        sp_completion *done[KEYS] = {NULL};
        sp_queue *queue = NULL;
        sp_lookups *lookups;
        struct keys keys;
        int leases = 0;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        keys_make(&keys);
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(sp_cache_lookup_async(cache, ctx, keys.text[i], strlen(keys.text[i]), queue, i),
                                 SP_OK);
        sp_lookups_free(lookups);
        for (size_t i = 0; i < KEYS; i++) {
                assert_int_equal(sp_queue_wait(queue, &done[i], 1, -1), 1);
                if (sp_completion_status(done[i]) != SP_TIMEOUT)
                        leases++;
        }
        assert_true(leases <= 2);
        for (size_t i = 0; i < KEYS; i++)
                sp_completion_free(done[i]);
        sp_queue_free(queue);
        sp_params_free(keys.params);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void test_what_redis_has_waits_for_no_slot(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.loads=1", "cache.lease=5s", NULL});
        sp_cache *other = way->redis ? cache_with(way, NULL) : cache;
        sp_lookups *lookups = NULL;
        char slow[64];
        struct keys keys;
        sp_lease *lease;

        keys_make(&keys);
        for (int i = 0; i < KEYS; i++)
                put_text(way, other, keys.text[i], "warm");
        lease = lease_of(way, cache, fresh_key("loads:slow", slow, sizeof slow));
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(sp_lookups_state(lookups, i), SP_LOOKUP_HIT);
        assert_int_equal(sp_cache_hits(cache), KEYS);
        sp_lookups_free(lookups);
        /* It is still running. */
        assert_int_equal(fill_text(way, lease, "slow"), SP_OK);
        sp_params_free(keys.params);
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

/* Who was in line while the slot was taken looks, and then loads. */
static void test_who_stood_in_line_loads_what_is_missing(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.loads=1", "cache.lease=1m", NULL});
        sp_cache *other = way->redis ? cache_with(way, NULL) : cache;
        sp_lookups *lookups = NULL;
        sp_completion *done = NULL;
        sp_queue *queue = NULL;
        char slow[64];
        struct keys keys;
        sp_lease *lease;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        keys_make(&keys);
        put_text(way, other, keys.text[2], "warm");
        lease = lease_of(way, cache, fresh_key("loads:slow", slow, sizeof slow));
        assert_int_equal(sp_cache_lookup_many_async(cache, NULL, keys.params, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 30), 0);
        sp_lease_release(lease);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        lookups = sp_completion_take_lookups(done);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(sp_lookups_state(lookups, i), i == 2 ? SP_LOOKUP_HIT : SP_LOOKUP_LEASE);
        sp_lookups_free(lookups);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_params_free(keys.params);
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_who_stands_in_line_for_many_keys_ends_with_his_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.loads=1", "cache.lease=1m", NULL});
        sp_ctx *ctx;
        sp_lookups *lookups = NULL;
        sp_completion *done = NULL;
        sp_queue *queue = NULL;
        char slow[64];
        struct keys keys;
        sp_lease *lease;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        keys_make(&keys);
        lease = lease_of(way, cache, fresh_key("loads:slow", slow, sizeof slow));
        /* What is there is looked for before, at once. */
        ctx = ctx_set("timeout", "200ms");
        assert_int_equal(sp_cache_lookup_many_async(cache, ctx, keys.params, queue, 1), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 10), 0);
        assert_int_equal(sp_queue_wait(queue, &done, 1, 5000), 1);
        assert_int_equal(sp_completion_status(done), SP_TIMEOUT);
        /* Neither keeps a slot, nor has what it would have loaded. */
        sp_lease_release(lease);
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(sp_lookups_state(lookups, i), SP_LOOKUP_LEASE);
        sp_lookups_free(lookups);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_params_free(keys.params);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_who_inherits_keys_of_a_failed_load_needs_a_slot),
            WAY_TEST(test_what_redis_has_waits_for_no_slot),
            WAY_TEST(test_who_stood_in_line_loads_what_is_missing),
            WAY_TEST(test_who_stands_in_line_for_many_keys_ends_with_his_time),
        };

        return RUN_OVER_WAYS("loads", tests, CACHE_WAYS);
}
