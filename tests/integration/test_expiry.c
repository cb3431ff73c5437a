/* SPDX-License-Identifier: MIT */
/* How long what is in a cache is kept. */
#include "cache_way.h"

#include "cache/cache.h"
#include "cache/entry.h"
#include "redis/address.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/* The time to live that the entry in Redis was given. */
static int64_t ttl_in_redis(redisContext *redis, sp_cache *cache, const char *key)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];
        size_t len = sp__cache_entry_name(cache, key, strlen(key), name);
        redisReply *reply = redisCommand(redis, "GET %b", name, len);
        struct sp__entry entry;

        assert_non_null(reply);
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_int_equal(sp__entry_decode(reply->str, reply->len, &entry), SP__ENTRY_GOOD);
        freeReplyObject(reply);
        return entry.fresh_until - entry.made;
}

static void test_entries_made_together_do_not_expire_together(void **state)
{
        enum { KEYS = 8 };
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.ttl=100h", "cache.jitter=20", NULL});
        const int64_t most = INT64_C(100) * 3600000;
        struct sp__address at = {.port = 0};
        redisContext *redis = NULL;
        int64_t ttls[KEYS];
        char key[64];

        if (way->redis) {
                assert_int_equal(sp__address_parse(getenv("REDIS_URL"), "REDIS_URL", &at, NULL), SP_OK);
                redis = redisConnect(at.host, at.port);
                assert_non_null(redis);
        }
        for (int i = 0; redis && i < KEYS; i++) {
                put_text(way, cache, fresh_key("t:apart", key, sizeof key), "one");
                ttls[i] = ttl_in_redis(redis, cache, key);
                assert_in_range(ttls[i], most * 8 / 10, most);
                for (int k = 0; k < i; k++)
                        assert_true(ttls[i] != ttls[k]);
        }
        if (redis)
                redisFree(redis);
        sp__address_free(&at);
        sp_cache_free(cache);
}

static void test_a_time_past_ten_years_counts_as_ten_years(void **state)
{
        static const int64_t times[] = {INT64_MAX, INT64_MAX / 2, INT64_C(9000000000000000)};
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.memory=0", NULL});
        sp_lease *lease;
        char key[64];

        if (!way->redis) {
                sp_cache_free(cache);
                cache = cache_with(way, NULL);
        }
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
                fresh_key("t:long", key, sizeof key);
                assert_int_equal(way->set(cache, NULL, key, strlen(key), "set", 3, SP_CODEC_TEXT, times[i], NULL),
                                 SP_OK);
                reads(way, cache, key, "set");
                assert_int_equal(way->touch(cache, NULL, key, strlen(key), times[i], NULL), SP_OK);
                reads(way, cache, key, "set");
                lease = lease_of(way, cache, fresh_key("t:long", key, sizeof key));
                assert_int_equal(way->fill(lease, NULL, "filled", 6, SP_CODEC_TEXT, times[i], NULL), SP_OK);
                reads(way, cache, key, "filled");
                lease = lease_of(way, cache, fresh_key("t:long", key, sizeof key));
                assert_int_equal(sp_lease_expires(lease, times[i]), SP_OK);
                assert_int_equal(fill_text(way, lease, "expires"), SP_OK);
                reads(way, cache, key, "expires");
        }
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_entries_made_together_do_not_expire_together),
            WAY_TEST(test_a_time_past_ten_years_counts_as_ten_years),
        };

        return RUN_OVER_WAYS("expiry", tests, CACHE_WAYS);
}
