/* SPDX-License-Identifier: MIT */
/*
 * Redis is slow, gone, full, read-only, loading, or flushed, while callers go on: what was configured holds, the database is
 * asked no more than it must be, and nothing needs a restart.
 */
#include "../integration/cache_way.h"
#include "../support/ctl.h"
#include "../support/foreign.h"

#include "cache/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Callers that want a few keys all the time, and how often each was loaded. */
enum { KEYS = 20, CALLERS = 6 };

struct crowd {
        const struct cache_way *way;
        sp_cache *cache;
        char prefix[64];
        atomic_bool over;
        atomic_llong reads, loads, failed;
        atomic_int loading, most;
        pthread_t threads[CALLERS];
};

static void load(struct crowd *crowd, sp_lease *lease)
{
        int now = atomic_fetch_add(&crowd->loading, 1) + 1, most = atomic_load(&crowd->most);

        while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now))
                continue;
        atomic_fetch_add(&crowd->loads, 1);
        wait_ms(2);
        atomic_fetch_sub(&crowd->loading, 1);
        (void)fill_text(crowd->way, lease, "loaded");
}

static void *one_of_the_crowd(void *arg)
{
        struct crowd *crowd = arg;

        for (unsigned i = 0; !atomic_load(&crowd->over); i++) {
                sp_lookup *lookup = NULL;
                sp_error *error = NULL;
                sp_lease *lease;
                char key[96];
                int len = snprintf(key, sizeof key, "%s:%u", crowd->prefix, i % KEYS);

                atomic_fetch_add(&crowd->reads, 1);
                if (crowd->way->lookup(crowd->cache, NULL, key, (size_t)len, &lookup, &error) != SP_OK) {
                        if (atomic_fetch_add(&crowd->failed, 1) == 0)
                                printf("# %s\n", error ? sp_error_message(error) : "no error");
                        sp_error_free(error);
                        continue;
                }
                lease = sp_lookup_take_lease(lookup);
                if (lease)
                        load(crowd, lease);
                sp_lookup_free(lookup);
        }
        return NULL;
}

static void gather(struct crowd *crowd, const struct cache_way *way, const char *const settings[])
{
        memset(crowd, 0, sizeof *crowd);
        crowd->way = way;
        crowd->cache = cache_with(way, settings);
        fresh_key("out", crowd->prefix, sizeof crowd->prefix);
        for (int i = 0; i < CALLERS; i++)
                assert_int_equal(pthread_create(&crowd->threads[i], NULL, one_of_the_crowd, crowd), 0);
}

static void dismiss(struct crowd *crowd)
{
        atomic_store(&crowd->over, true);
        for (int i = 0; i < CALLERS; i++)
                pthread_join(crowd->threads[i], NULL);
        sp_cache_free(crowd->cache);
}

/* Until all keys are served from memory, so that nothing is loaded any more. */
static void await_calm(struct crowd *crowd)
{
        int64_t begun = sp__now();

        for (;;) {
                long long loads = atomic_load(&crowd->loads), reads = atomic_load(&crowd->reads);

                wait_ms(300);
                if (atomic_load(&crowd->loads) == loads && atomic_load(&crowd->reads) > reads + KEYS)
                        return;
                assert_true(sp__now() - begun < 60 * SP__SECOND);
        }
}

/* What the outage may cost: each key once for each bound that it lasted, in this process, and once more at either end. */
static void judge(struct crowd *crowd, long long loads, int64_t lasted, int64_t bound)
{
        long long cost = atomic_load(&crowd->loads) - loads, most = KEYS * (lasted / bound + 3);

        printf("# %lld reads, %lld failed, %lld loads of %d keys in %.1f s, at most %d at once\n",
               (long long)atomic_load(&crowd->reads), (long long)atomic_load(&crowd->failed), cost, KEYS,
               (double)lasted / 1e9, atomic_load(&crowd->most));
        assert_true(cost <= most);
        assert_int_equal(atomic_load(&crowd->failed), 0);
}

static const char *const settings[] = {"redis.timeout=100ms", "redis.connect_timeout=100ms", "cache.loads=3",
                                       "redis.breaker=true", NULL};

static void live_through(const struct cache_way *way, void (*begin)(void), void (*end)(void), int64_t ms)
{
        struct crowd crowd;
        long long loads;
        int64_t begun;

        gather(&crowd, way, settings);
        await_calm(&crowd);
        loads = atomic_load(&crowd.loads);
        begun = sp__now();
        begin();
        wait_ms(ms);
        end();
        await_calm(&crowd);
        judge(&crowd, loads, sp__now() - begun, SP__SECOND);
        assert_true(atomic_load(&crowd.most) <= 3);
        dismiss(&crowd);
}

static void stop(void)
{
        control("stop", "redis");
}

static void start(void)
{
        control("start", "redis");
}

static void freeze(void)
{
        control("freeze", "redis");
}

static void thaw(void)
{
        control("thaw", "redis");
}

static void fill_up(void)
{
        foreign_does("CONFIG SET maxmemory 1");
}

static void make_room(void)
{
        foreign_does("CONFIG SET maxmemory 0");
}

static void forbid_writes(void)
{
        foreign_does("REPLICAOF 127.0.0.1 1");
}

static void allow_writes(void)
{
        foreign_does("REPLICAOF NO ONE");
}

static void flush(void)
{
        foreign_does("FLUSHALL");
}

static void nothing(void)
{
}

static void test_gone(void **state)
{
        live_through(way_of(state), stop, start, 2500);
}

static void test_frozen(void **state)
{
        live_through(way_of(state), freeze, thaw, 2500);
}

static void test_full(void **state)
{
        live_through(way_of(state), fill_up, make_room, 2500);
}

static void test_read_only(void **state)
{
        live_through(way_of(state), forbid_writes, allow_writes, 2500);
}

static void test_flushed(void **state)
{
        live_through(way_of(state), flush, nothing, 0);
}

/* So many keys that it takes a while to read them at the start. */
static void test_loading(void **state)
{
        foreign_does("EVAL %s 0", "for i = 1, 600000 do redis.call('set', 'ballast:' .. i, 'x') end");
        foreign_does("SAVE");
        live_through(way_of(state), stop, start, 0);
        foreign_does("FLUSHALL");
}

static void test_calls_fail_where_that_is_wished_and_the_breaker_recovers(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache =
            cache_with(way, (const char *[]){"cache.outage=fail", "redis.breaker=true", "breaker.redis.failures=3",
                                             "breaker.redis.open_time=200ms", "redis.timeout=100ms", NULL});
        sp_breaker *breaker = sp__cache_breaker(cache);
        sp_lookup *lookup = NULL;
        sp_status status = SP_OK;
        int64_t begun = sp__now();
        char key[64];

        fresh_key("out:fail", key, sizeof key);
        put_text(way, cache, key, "one");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_CLOSED);
        control("freeze", "redis");
        while (status != SP_OPEN) {
                status = way->lookup(cache, NULL, key, strlen(key), &lookup, NULL);
                if (status == SP_OK)
                        sp_lookup_free(lookup);
                assert_true(sp__now() - begun < 60 * SP__SECOND);
        }
        control("thaw", "redis");
        do {
                status = way->lookup(cache, NULL, key, strlen(key), &lookup, NULL);
                if (status == SP_OK)
                        sp_lookup_free(lookup);
                assert_true(sp__now() - begun < 60 * SP__SECOND);
        } while (status != SP_OK || sp_breaker_state(breaker) != SP_BREAKER_CLOSED);
        sp_cache_free(cache);
}

static void test_an_invalidation_ends_what_is_held_without_redis(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache;
        char key[64], *text;

        control("stop", "redis");
        cache = cache_with(way, (const char *[]){"cache.bound=1h", NULL});
        fresh_key("out:held", key, sizeof key);
        put_text(way, cache, key, "held");
        text = text_of(way, cache, key);
        assert_string_equal(text, "held");
        free(text);
        assert_int_equal(drop_key(way, cache, key, NULL), SP_UNAVAILABLE);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
        cache = cache_with(way, (const char *[]){"cache.bound=100ms", NULL});
        put_text(way, cache, key, "held");
        wait_ms(150);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        control("start", "redis");
        sp_cache_free(cache);
}

static const char *const stale_settings[] = {"cache.outage=stale", "redis.timeout=100ms", "redis.connect_timeout=100ms",
                                             "cache.bound=300ms", NULL};

/* Until this process can prove nothing any more. */
static void lose_redis(const struct cache_way *way, sp_cache *cache, const char *key)
{
        int64_t begun = sp__now();

        control("stop", "redis");
        while (state_of(way, cache, key) == SP_LOOKUP_HIT)
                assert_true(sp__now() - begun < 60 * SP__SECOND);
}

static void test_what_is_in_process_is_served_where_that_is_wished(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, stale_settings);
        sp_lookup *lookup = NULL;
        char key[64], never[64], other[64];

        fresh_key("out:kept", key, sizeof key);
        fresh_key("out:never", never, sizeof never);
        fresh_key("out:other", other, sizeof other);
        declare(cache, "out:never:{id}", "ttl=1h stale=never", NULL);
        put_text(way, cache, key, "kept");
        put_text(way, cache, never, "permitted");
        lose_redis(way, cache, key);
        assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &lookup, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_STALE);
        assert_null(sp_lookup_take_lease(lookup));
        sp_lookup_free(lookup);
        reads(way, cache, key, "kept");
        assert_int_equal(state_of(way, cache, never), SP_LOOKUP_LEASE);
        assert_int_equal(state_of(way, cache, other), SP_LOOKUP_LEASE);
        control("start", "redis");
        sp_cache_free(cache);
}

static void test_what_was_invalidated_here_is_not_served_without_redis(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, stale_settings);
        char key[64], before[64], tag[64];
        sp_lease *lease;

        fresh_key("out:after", key, sizeof key);
        fresh_key("out:before", before, sizeof before);
        fresh_key("out:tag", tag, sizeof tag);
        put_text(way, cache, key, "old");
        lease = lease_of(way, cache, before);
        assert_int_equal(sp_lease_tag(lease, tag, strlen(tag)), SP_OK);
        assert_int_equal(fill_text(way, lease, "old"), SP_OK);
        assert_int_equal(drop_tag(way, cache, tag), SP_OK);
        lose_redis(way, cache, key);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_STALE);
        assert_int_equal(state_of(way, cache, before), SP_LOOKUP_LEASE);
        assert_int_equal(drop_key(way, cache, key, NULL), SP_UNAVAILABLE);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        control("start", "redis");
        sp_cache_free(cache);
}

static void test_the_database_is_left_alone_where_stale_is_served(void **state)
{
        struct crowd crowd;
        long long loads, reads_before;

        gather(&crowd, way_of(state), stale_settings);
        await_calm(&crowd);
        loads = atomic_load(&crowd.loads);
        reads_before = atomic_load(&crowd.reads);
        control("stop", "redis");
        wait_ms(2000);
        assert_int_equal(atomic_load(&crowd.loads), loads);
        assert_true(atomic_load(&crowd.reads) > reads_before + KEYS);
        assert_int_equal(atomic_load(&crowd.failed), 0);
        control("start", "redis");
        await_calm(&crowd);
        dismiss(&crowd);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_gone),
            WAY_TEST(test_frozen),
            WAY_TEST(test_full),
            WAY_TEST(test_read_only),
            WAY_TEST(test_flushed),
            WAY_TEST(test_loading),
            WAY_TEST(test_calls_fail_where_that_is_wished_and_the_breaker_recovers),
            WAY_TEST(test_an_invalidation_ends_what_is_held_without_redis),
            WAY_TEST(test_what_is_in_process_is_served_where_that_is_wished),
            WAY_TEST(test_what_was_invalidated_here_is_not_served_without_redis),
            WAY_TEST(test_the_database_is_left_alone_where_stale_is_served),
        };

        return RUN_OVER_WAYS("cache outages", tests, WAYS_WITH_REDIS);
}
