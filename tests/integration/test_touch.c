/* SPDX-License-Identifier: MIT */
/* What a touch can give more time, and what it cannot: only what there is, and no longer than that lives by itself. */
#include "cache_way.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SOON_MS = 40, HOUR_MS = 3600000 };

static int64_t wall_ms(void)
{
        struct timespec at;

        clock_gettime(CLOCK_REALTIME, &at);
        return (int64_t)at.tv_sec * 1000 + at.tv_nsec / SP__MS;
}

static sp_cache *exact_cache(const struct cache_way *way)
{
        return cache_with(way, (const char *[]){"cache.jitter=0", NULL});
}

static sp_status touch(const struct cache_way *way, sp_cache *cache, const char *key)
{
        return way->touch(cache, NULL, key, strlen(key), HOUR_MS, NULL);
}

static void set(const struct cache_way *way, sp_cache *cache, const char *key, int64_t ttl_ms)
{
        assert_int_equal(way->set(cache, NULL, key, strlen(key), "one", 3, SP_CODEC_TEXT, ttl_ms, NULL), SP_OK);
}

static void is_gone(const struct cache_way *way, sp_cache *cache, const char *key)
{
        assert_int_equal(touch(way, cache, key), SP_NOT_FOUND);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
}

static void test_what_expired_is_not_revived(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);
        char key[64];

        fresh_key("touch:expired", key, sizeof key);
        set(way, cache, key, SOON_MS);
        wait_ms(2 * SOON_MS);
        is_gone(way, cache, key);
        sp_cache_free(cache);
}

static void test_what_is_stale_is_made_fresh(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);

        declare(cache, "touch:stale:{id}", "ttl=40ms stale=1h", NULL);
        set(way, cache, "touch:stale:1", 0);
        wait_ms(2 * SOON_MS);
        assert_int_equal(touch(way, cache, "touch:stale:1"), SP_OK);
        assert_int_equal(state_of(way, cache, "touch:stale:1"), SP_LOOKUP_HIT);
        sp_cache_free(cache);
}

/* Nor does it matter that its load just failed, for which it would stand in for a while. */
static void test_what_is_stale_for_a_load_that_failed_is_made_fresh(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=1h", NULL});
        const char *key = "touch:failed:1";

        declare(cache, "touch:failed:{id}", "ttl=40ms stale=1h", NULL);
        set(way, cache, key, 0);
        wait_ms(2 * SOON_MS);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_STALE);
        assert_int_equal(touch(way, cache, key), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_HIT);
        sp_cache_free(cache);
}

static void test_what_nobody_used_for_its_time_is_over(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);

        declare(cache, "touch:slides:{id}", "ttl=1h sliding=40ms", NULL);
        drop_key(way, cache, "touch:slides:2", NULL);
        set(way, cache, "touch:slides:1", 0);
        put_text(way, cache, "touch:slides:2", "two");
        wait_ms(2 * SOON_MS);
        is_gone(way, cache, "touch:slides:1");
        is_gone(way, cache, "touch:slides:2");
        sp_cache_free(cache);
}

static void test_that_there_is_nothing_gets_no_more_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);
        char key[64];

        fresh_key("touch:nothing", key, sizeof key);
        assert_int_equal(way->fill(lease_of(way, cache, key), NULL, NULL, 0, SP_CODEC_ABSENT, HOUR_MS, NULL), SP_OK);
        assert_int_equal(touch(way, cache, key), SP_NOT_FOUND);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_HIT);
        sp_cache_free(cache);
}

/* A token. */
static void test_what_ends_by_itself_ends_then(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);
        int64_t end = wall_ms() + 200;
        sp_lease *lease;
        sp_status status;
        char key[64];

        fresh_key("touch:token", key, sizeof key);
        lease = lease_of(way, cache, key);
        assert_int_equal(sp_lease_expires(lease, end), SP_OK);
        assert_int_equal(fill_text(way, lease, "token"), SP_OK);
        for (int i = 0; i < 2; i++) {
                status = touch(way, cache, key);
                if (status != SP_OK)
                        assert_true(status == SP_NOT_FOUND && wall_ms() >= end - 1);
                /* Into memory again, from where it is touched the second time. */
                state_of(way, cache, key);
        }
        while (wall_ms() <= end)
                wait_ms(1);
        is_gone(way, cache, key);
        sp_cache_free(cache);
}

static void test_what_was_invalidated_is_gone(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way), *other = way->redis ? exact_cache(way) : NULL;
        sp_targets *targets = sp_targets_new();
        sp_lease *lease;
        char key[64];

        declare(cache, "touch:pat:{id}", NULL, (const char *[]){"touch:pat:*", NULL});
        set(way, cache, "touch:pat:1", HOUR_MS);
        assert_int_equal(drop_pattern(way, cache, "touch:pat:*", NULL, NULL), SP_OK);
        is_gone(way, cache, "touch:pat:1");

        fresh_key("touch:tagged", key, sizeof key);
        lease = lease_of(way, cache, key);
        assert_int_equal(sp_lease_tag(lease, key, strlen(key)), SP_OK);
        assert_int_equal(fill_text(way, lease, "tagged"), SP_OK);
        assert_int_equal(sp_targets_tag(targets, key, strlen(key)), SP_OK);
        assert_int_equal(touch(way, cache, key), SP_OK);
        assert_int_equal(sp_cache_invalidate(cache, NULL, targets, NULL), SP_OK);
        /* Also for who knows nothing of it yet. */
        if (other)
                assert_int_equal(touch(way, other, key), SP_NOT_FOUND);
        is_gone(way, cache, key);
        sp_targets_free(targets);
        sp_cache_free(other);
        sp_cache_free(cache);
}

/* As long as one that was loaded. */
static void test_that_there_is_nothing_is_set_for_its_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);

        declare(cache, "touch:absent:{id}", "ttl=1h negative=40ms", NULL);
        assert_int_equal(way->set(cache, NULL, "touch:absent:1", 14, NULL, 0, SP_CODEC_ABSENT, 0, NULL), SP_OK);
        wait_ms(2 * SOON_MS);
        assert_int_equal(state_of(way, cache, "touch:absent:1"), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

struct setter {
        const struct cache_way *way;
        sp_cache *cache;
        pthread_barrier_t *barrier;
        const char *prefix;
};

enum { ROUNDS = 150 };

static void *set_each(void *arg)
{
        struct setter *setter = arg;
        char key[80];

        for (int i = 0; i < ROUNDS; i++) {
                snprintf(key, sizeof key, "%s:%d", setter->prefix, i);
                pthread_barrier_wait(setter->barrier);
                set(setter->way, setter->cache, key, HOUR_MS);
        }
        return NULL;
}

static void test_of_two_that_are_set_at_once_one_remains(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = exact_cache(way);
        struct setter setters[2];
        pthread_barrier_t barrier;
        pthread_t threads[2];
        char prefix[64], key[80];

        fresh_key("set:race", prefix, sizeof prefix);
        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
                setters[i] = (struct setter){way, way->redis ? exact_cache(way) : cache, &barrier, prefix};
                assert_int_equal(pthread_create(&threads[i], NULL, set_each, &setters[i]), 0);
        }
        for (int i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < ROUNDS; i++) {
                snprintf(key, sizeof key, "%s:%d", prefix, i);
                assert_int_equal(state_of(way, cache, key), SP_LOOKUP_HIT);
                assert_int_equal(state_of(way, setters[i % 2].cache, key), SP_LOOKUP_HIT);
        }
        for (int i = 0; i < 2 && way->redis; i++)
                sp_cache_free(setters[i].cache);
        pthread_barrier_destroy(&barrier);
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_what_expired_is_not_revived),
            WAY_TEST(test_what_is_stale_is_made_fresh),
            WAY_TEST(test_what_is_stale_for_a_load_that_failed_is_made_fresh),
            WAY_TEST(test_what_nobody_used_for_its_time_is_over),
            WAY_TEST(test_that_there_is_nothing_gets_no_more_time),
            WAY_TEST(test_what_ends_by_itself_ends_then),
            WAY_TEST(test_what_was_invalidated_is_gone),
            WAY_TEST(test_that_there_is_nothing_is_set_for_its_time),
            WAY_TEST(test_of_two_that_are_set_at_once_one_remains),
        };

        return RUN_OVER_WAYS("touch", tests, CACHE_WAYS);
}
