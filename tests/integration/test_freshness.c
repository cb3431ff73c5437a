/* SPDX-License-Identifier: MIT */
/* How fresh what is served is: ends that slide or are the value's own, what stands in for a load, and who may store at all. */
#include "cache_way.h"

#include "cache/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t unix_ms(void)
{
        struct timespec at;

        clock_gettime(CLOCK_REALTIME, &at);
        return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static sp_lookup *look(const struct cache_way *way, sp_cache *cache, sp_ctx *ctx, const char *key)
{
        sp_lookup *lookup = NULL;
        sp_error *error = NULL;

        if (way->lookup(cache, ctx, key, strlen(key), &lookup, &error) != SP_OK)
                fail_msg("%s", error ? sp_error_message(error) : "no error");
        return lookup;
}

/* Expects a lease of this caller's, with or without a value. */
static sp_lease *take(sp_lookup *lookup, int state)
{
        sp_lease *lease = sp_lookup_take_lease(lookup);

        assert_int_equal(sp_lookup_state(lookup), state);
        assert_non_null(lease);
        sp_lookup_free(lookup);
        return lease;
}

/* Whether it is there; it lasts a second, and may be gone only where the machine paused. */
static bool still(const struct cache_way *way, sp_cache *cache, const char *key, int64_t *used)
{
        int64_t now = sp__now();
        char *text = text_of(way, cache, key);
        bool there = strcmp(text, "one") == 0;

        assert_true(there || sp__now() - *used >= SP__SECOND / 2);
        *used = now;
        free(text);
        return there;
}

/* For longer than it would last unused; in Redis too. */
static bool slides(const struct cache_way *way, sp_cache *cache, sp_cache *other, const char *key)
{
        int64_t used = sp__now(), until = used + 1500 * SP__MS;

        put_text(way, cache, key, "one");
        while (sp__now() < until) {
                if (!still(way, cache, key, &used))
                        return false;
                wait_ms(10);
        }
        return still(way, other, key, &used);
}

static void test_what_is_used_slides(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL}), *other = cache;
        char key[64];

        if (way->redis)
                other = cache_with(way, NULL);
        declare(cache, "slide:it:{id}", "ttl=1h sliding=1s", NULL);
        if (other != cache)
                declare(other, "slide:it:{id}", "ttl=1h sliding=1s", NULL);
        do
                fresh_key("slide:it", key, sizeof key);
        while (!slides(way, cache, other, key));
        wait_ms(1100);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_sliding_ends_with_the_time_to_live(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL});
        int64_t begun = sp__now();
        char key[64];

        fresh_key("slide:end", key, sizeof key);
        declare(cache, "slide:end:{id}", "ttl=300ms sliding=200ms", NULL);
        put_text(way, cache, key, "one");
        while (state_of(way, cache, key) == SP_LOOKUP_HIT) {
                wait_ms(5);
                assert_true(sp__now() - begun < 30 * SP__SECOND);
        }
        sp_cache_free(cache);
}

static void test_a_value_that_expires_itself_is_never_served_past_that(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lease *lease;
        int64_t end;
        char key[64];

        fresh_key("token:of", key, sizeof key);
        declare(cache, "token:of:{id}", "ttl=1h stale=1h", NULL);
        lease = lease_of(way, cache, key);
        end = unix_ms() + 400;
        assert_int_equal(sp_lease_expires(lease, end), SP_OK);
        assert_int_equal(fill_text(way, lease, "token"), SP_OK);
        while (unix_ms() < end - 100)
                reads(way, cache, key, "token");
        while (unix_ms() <= end)
                wait_ms(1);
        lease = lease_of(way, cache, key);
        /* It has expired already: nobody gets it. */
        assert_int_equal(sp_lease_expires(lease, unix_ms() - 1000), SP_OK);
        assert_int_equal(fill_text(way, lease, "old token"), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        assert_int_equal(sp_lease_expires(NULL, 1), SP_INVALID);
        sp_cache_free(cache);
}

static sp_status load_for(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        assert_int_equal(sp_lease_ttl(lease, *(const int64_t *)arg), SP_OK);
        assert_true(sp_lease_remaining(lease) > 0);
        *out = sp_value_new("one", 3, SP_CODEC_TEXT);
        return SP_OK;
}

static void test_the_loader_says_how_long(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.ttl=1ms", NULL});
        sp_value *value = NULL;
        int64_t ttls[] = {3600000, 0};
        char key[64];

        for (int i = 0; i < 2; i++) {
                fresh_key("t:loader", key, sizeof key);
                assert_int_equal(sp_cache_get_or_load(cache, NULL, key, strlen(key), load_for, &ttls[i], &value, NULL),
                                 SP_OK);
                sp_value_unref(value);
                wait_ms(5);
                assert_int_equal(state_of(way, cache, key), i == 0 ? SP_LOOKUP_HIT : SP_LOOKUP_LEASE);
        }
        sp_cache_free(cache);
}

static sp_status find_nothing(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        assert_int_equal(sp_lease_expires(lease, unix_ms() + 3600000), SP_OK);
        return SP_NOT_FOUND;
}

/* Whatever end a value would have had. */
static void test_that_there_is_nothing_is_remembered_for_its_own_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.negative=20ms", "cache.jitter=0", NULL});
        sp_value *value = NULL;
        char key[64];

        fresh_key("t:nothing", key, sizeof key);
        assert_int_equal(sp_cache_get_or_load(cache, NULL, key, strlen(key), find_nothing, NULL, &value, NULL),
                         SP_NOT_FOUND);
        wait_ms(30);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

/* A caller of his own. */
struct caller {
        const struct cache_way *way;
        sp_cache *cache;
        const char *key;
        sp_lookup *lookup;
        sp_status status;
        pthread_t thread;
};

static void *call(void *arg)
{
        struct caller *caller = arg;

        caller->status =
            caller->way->lookup(caller->cache, NULL, caller->key, strlen(caller->key), &caller->lookup, NULL);
        return NULL;
}

static void test_what_is_stale_stands_in_when_a_load_takes_too_long(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL});
        struct caller caller = {.way = way, .cache = cache};
        sp_lease *lease;
        char key[64];
        size_t len;

        caller.key = fresh_key("soft:it", key, sizeof key);
        declare(cache, "soft:it:{id}", "ttl=1ms stale=1h soft=2s", NULL);
        put_text(way, cache, key, "old");
        wait_ms(5);
        lease = take(look(way, cache, NULL, key), SP_LOOKUP_STALE);
        pthread_create(&caller.thread, NULL, call, &caller);
        wait_ms(50);
        assert_int_equal(way->fill(lease, NULL, "new", 3, SP_CODEC_TEXT, 3600000, NULL), SP_OK);
        pthread_join(caller.thread, NULL);
        assert_int_equal(caller.status, SP_OK);
        assert_int_equal(sp_lookup_state(caller.lookup), SP_LOOKUP_HIT);
        assert_string_equal(sp_value_data(sp_lookup_value(caller.lookup), &len), "new");
        sp_lookup_free(caller.lookup);

        caller.key = fresh_key("soft:late", key, sizeof key);
        declare(cache, "soft:late:{id}", "ttl=1ms stale=1h soft=30ms", NULL);
        put_text(way, cache, key, "old");
        wait_ms(5);
        lease = take(look(way, cache, NULL, key), SP_LOOKUP_STALE);
        call(&caller);
        assert_int_equal(caller.status, SP_OK);
        assert_int_equal(sp_lookup_state(caller.lookup), SP_LOOKUP_STALE);
        assert_string_equal(sp_value_data(sp_lookup_value(caller.lookup), &len), "old");
        assert_null(sp_lookup_take_lease(caller.lookup));
        sp_lookup_free(caller.lookup);
        sp_lease_release(lease);
        sp_cache_free(cache);
}

static void test_nobody_waits_longer_than_the_hard_limit(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct caller caller = {.way = way, .cache = cache};
        sp_lease *lease;
        char key[64];

        caller.key = fresh_key("hard:it", key, sizeof key);
        declare(cache, "hard:it:{id}", "hard=400ms", NULL);
        lease = lease_of(way, cache, key);
        call(&caller);
        assert_int_equal(caller.status, SP_TIMEOUT);
        assert_int_equal(fill_text(way, lease, "one"), SP_OK);
        reads(way, cache, key, "one");
        sp_cache_free(cache);
}

static void test_a_load_that_failed_is_not_tried_again_at_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=300ms", NULL});
        sp_lease *lease = NULL;
        sp_lookup *lookup;
        int64_t failed;
        char key[64];

        fresh_key("safe:it", key, sizeof key);
        declare(cache, "safe:it:{id}", "ttl=1ms stale=1h", NULL);
        put_text(way, cache, key, "old");
        wait_ms(5);
        failed = sp__now();
        sp_lease_release(take(look(way, cache, NULL, key), SP_LOOKUP_STALE));
        while (!lease) {
                lookup = look(way, cache, NULL, key);
                assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_STALE);
                lease = sp_lookup_take_lease(lookup);
                sp_lookup_free(lookup);
        }
        assert_true(sp__now() - failed >= 300 * SP__MS);
        /* What rests ends where it is invalidated. */
        sp_lease_release(lease);
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

static void test_a_value_is_loaded_anew_before_its_end(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL});
        sp_lease *lease;
        char key[64];

        fresh_key("ahead:it", key, sizeof key);
        declare(cache, "ahead:it:{id}", "ttl=2s refresh=1", NULL);
        lease = lease_of(way, cache, key);
        wait_ms(300);
        assert_int_equal(fill_text(way, lease, "one"), SP_OK);
        for (lease = NULL; !lease; wait_ms(5)) {
                sp_lookup *lookup = look(way, cache, NULL, key);

                assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_HIT);
                lease = sp_lookup_take_lease(lookup);
                sp_lookup_free(lookup);
        }
        /* It is one caller's to load, for all others it is fresh. */
        reads(way, cache, key, "one");
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_HIT);
        assert_int_equal(fill_text(way, lease, "two"), SP_OK);
        reads(way, cache, key, "two");
        sp_cache_free(cache);
}

static void test_stale_is_never_served_where_it_must_not(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.stale=1h", "cache.ttl=1ms", "cache.jitter=0", NULL});
        char key[64], never[64];

        fresh_key("t:any", key, sizeof key);
        fresh_key("permit:of", never, sizeof never);
        declare(cache, "permit:of:{id}", "ttl=1ms stale=never", NULL);
        put_text(way, cache, key, "one");
        put_text(way, cache, never, "yes");
        wait_ms(5);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_STALE);
        assert_int_equal(state_of(way, cache, never), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

static void test_a_context_that_only_reads_stores_nothing(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("cache", "read"), *child = sp_ctx_new(ctx);
        sp_lease *first, *second;
        char key[64];

        fresh_key("t:read", key, sizeof key);
        first = take(look(way, cache, ctx, key), SP_LOOKUP_LEASE);
        second = take(look(way, cache, child, key), SP_LOOKUP_LEASE);
        assert_int_equal(sp_lease_remaining(first), -1);
        assert_int_equal(fill_text(way, first, "one"), SP_OK);
        sp_lease_release(second);
        assert_int_equal(way->set(cache, ctx, key, strlen(key), "one", 3, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        put_text(way, cache, key, "stored");
        first = NULL;
        sp_lookup_free(look(way, cache, ctx, key));
        reads(way, cache, key, "stored");
        sp_ctx_unref(child);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void test_a_refresh_loads_what_is_there(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("cache", "refresh");
        sp_lease *lease;
        char key[64];

        fresh_key("t:refresh", key, sizeof key);
        put_text(way, cache, key, "old");
        lease = take(look(way, cache, ctx, key), SP_LOOKUP_LEASE);
        reads(way, cache, key, "old");
        assert_int_equal(fill_text(way, lease, "new"), SP_OK);
        reads(way, cache, key, "new");
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

/* What was read before it was asked for may be older than what made its caller ask. */
static void test_a_refresh_is_no_load_that_began_before_it(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("cache", "refresh");
        sp_completion *done;
        sp_queue *queue = NULL;
        sp_lookup *lookup;
        sp_lease *lease;
        char key[64];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        lease = lease_of(way, cache, fresh_key("t:anew", key, sizeof key));
        assert_int_equal(sp_cache_lookup_async(cache, NULL, key, strlen(key), queue, 0), SP_OK);
        for (uint64_t i = 1; i < 3; i++)
                assert_int_equal(sp_cache_lookup_async(cache, ctx, key, strlen(key), queue, i), SP_OK);
        assert_int_equal(fill_text(way, lease, "old"), SP_OK);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                lookup = sp_completion_take_lookup(done);
                assert_int_equal(sp_lookup_state(lookup),
                                 sp_completion_tag(done) == 1 ? SP_LOOKUP_LEASE : SP_LOOKUP_HIT);
                /* The one that loads anew does so for both. */
                lease = sp_lookup_take_lease(lookup);
                if (lease)
                        assert_int_equal(fill_text(way, lease, "new"), SP_OK);
                sp_lookup_free(lookup);
                sp_completion_free(done);
        }
        reads(way, cache, key, "new");
        sp_queue_free(queue);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void test_a_bypass_neither_looks_nor_stores(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *off = cache_with(way, (const char *[]){"cache.mode=bypass", NULL});
        sp_ctx *ctx = ctx_set("cache", "bypass");
        sp_value *value;
        char key[64];

        fresh_key("t:bypass", key, sizeof key);
        put_text(way, cache, key, "old");
        assert_int_equal(fill_text(way, take(look(way, cache, ctx, key), SP_LOOKUP_LEASE), "new"), SP_OK);
        reads(way, cache, key, "old");
        assert_int_equal(fill_text(way, take(look(way, off, NULL, key), SP_LOOKUP_LEASE), "new"), SP_OK);
        assert_int_equal(state_of(way, off, key), SP_LOOKUP_LEASE);
        assert_int_equal(sp_cache_peek(off, key, strlen(key), &value), 0);
        sp_ctx_unref(ctx);
        sp_cache_free(off);
        sp_cache_free(cache);
}

static void test_what_a_transaction_read_is_not_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_pool *pool = pool_with(NULL);
        sp_ctx *root = sp_ctx_new(NULL), *ctx = sp_ctx_new(root);
        sp_session *session = NULL;
        sp_lease *before;
        char key[64], other[64];

        fresh_key("t:transaction", key, sizeof key);
        fresh_key("t:before", other, sizeof other);
        before = lease_of(way, cache, other);
        assert_int_equal(sp_pool_acquire(pool, ctx, &session, NULL), SP_OK);
        assert_int_equal(sp_session_begin(session, ctx, "repeatable read", NULL), SP_OK);
        assert_int_equal(fill_text(way, take(look(way, cache, root, key), SP_LOOKUP_LEASE), "seen inside"), SP_OK);
        assert_int_equal(way->fill(before, root, "seen inside", 11, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        assert_int_equal(state_of(way, cache, other), SP_LOOKUP_LEASE);
        assert_int_equal(sp_session_commit(session, ctx, NULL), SP_OK);
        assert_int_equal(fill_text(way, take(look(way, cache, root, key), SP_LOOKUP_LEASE), "seen after"), SP_OK);
        reads(way, cache, key, "seen after");
        /* What is given back with a transaction open has none any more. */
        assert_int_equal(sp_session_begin(session, ctx, NULL, NULL), SP_OK);
        sp_session_release(session);
        assert_int_equal(fill_text(way, take(look(way, cache, root, other), SP_LOOKUP_LEASE), "later"), SP_OK);
        reads(way, cache, other, "later");
        sp_ctx_unref(ctx);
        sp_ctx_unref(root);
        sp_cache_free(cache);
        sp_pool_free(pool);
}

static sp_status query_text(const struct cache_way *way, sp_cache *cache, sp_pool *pool, const char *key,
                            const char *text, char *out, size_t cap)
{
        sp_stmt *stmt = stmt_of(text);
        sp_value *value = NULL;
        sp_status status = way->query(cache, pool, NULL, key, strlen(key), stmt, NULL, SP_QUERY_CELL, &value, NULL);
        size_t len = 0;

        out[0] = 0;
        if (status == SP_OK)
                strncat(out, sp_value_data(value, &len), cap - 1);
        sp_value_unref(value);
        sp_stmt_unref(stmt);
        return status;
}

/* Each caller has less time than it takes, and takes what is stale. */
static void test_a_query_is_refreshed_whatever_time_its_callers_have(void **state)
{
        static const char *const late = "SELECT 'new' FROM pg_sleep(0.1)";
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=0", NULL});
        sp_pool *pool = pool_with(NULL);
        sp_ctx *ctx = ctx_set("timeout", "60ms");
        int64_t until = sp__now() + 5 * SP__SECOND;
        sp_stmt *stmt = stmt_of(late);
        char key[64], text[32];

        fresh_key("soon:query", key, sizeof key);
        declare(cache, "soon:query:{id}", "ttl=1ms stale=1h soft=10ms", NULL);
        assert_int_equal(query_text(way, cache, pool, key, "SELECT 'old'", text, sizeof text), SP_OK);
        wait_ms(5);
        do {
                sp_value *value = NULL;
                size_t len = 0;

                assert_true(sp__now() < until);
                if (way->query(cache, pool, ctx, key, strlen(key), stmt, NULL, SP_QUERY_CELL, &value, NULL) == SP_OK)
                        snprintf(text, sizeof text, "%s", (const char *)sp_value_data(value, &len));
                sp_value_unref(value);
        } while (strcmp(text, "new") != 0);
        sp_stmt_unref(stmt);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
        sp_pool_free(pool);
}

static void test_a_query_that_fails_or_is_late_leaves_what_is_stale(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=0", NULL});
        sp_pool *pool = pool_with(NULL);
        char key[64], text[32];

        fresh_key("safe:query", key, sizeof key);
        run(&ways[0], pool, "SELECT 1");
        declare(cache, "safe:query:{id}", "ttl=1ms stale=1h soft=300ms hard=1500ms", NULL);
        assert_int_equal(query_text(way, cache, pool, key, "SELECT 'old'", text, sizeof text), SP_OK);
        wait_ms(5);
        assert_int_equal(query_text(way, cache, pool, key, "SELECT 1/0", text, sizeof text), SP_OK);
        assert_string_equal(text, "old");
        assert_int_equal(query_text(way, cache, pool, key, "SELECT 'late' FROM pg_sleep(10)", text, sizeof text),
                         SP_OK);
        assert_string_equal(text, "old");
        wait_ms(1800);
        assert_int_equal(query_text(way, cache, pool, key, "SELECT 'new'", text, sizeof text), SP_OK);
        assert_string_equal(text, "new");
        sp_cache_free(cache);
        sp_pool_free(pool);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_what_is_used_slides),
            WAY_TEST(test_sliding_ends_with_the_time_to_live),
            WAY_TEST(test_a_value_that_expires_itself_is_never_served_past_that),
            WAY_TEST(test_the_loader_says_how_long),
            WAY_TEST(test_that_there_is_nothing_is_remembered_for_its_own_time),
            WAY_TEST(test_what_is_stale_stands_in_when_a_load_takes_too_long),
            WAY_TEST(test_nobody_waits_longer_than_the_hard_limit),
            WAY_TEST(test_a_load_that_failed_is_not_tried_again_at_once),
            WAY_TEST(test_a_value_is_loaded_anew_before_its_end),
            WAY_TEST(test_stale_is_never_served_where_it_must_not),
            WAY_TEST(test_a_context_that_only_reads_stores_nothing),
            WAY_TEST(test_a_refresh_loads_what_is_there),
            WAY_TEST(test_a_refresh_is_no_load_that_began_before_it),
            WAY_TEST(test_a_bypass_neither_looks_nor_stores),
            WAY_TEST(test_what_a_transaction_read_is_not_stored),
            WAY_TEST(test_a_query_is_refreshed_whatever_time_its_callers_have),
            WAY_TEST(test_a_query_that_fails_or_is_late_leaves_what_is_stale),
        };

        return RUN_OVER_WAYS("freshness", tests, CACHE_WAYS);
}
