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

int main(void)
{
        static const struct way_test tests[] = {WAY_TEST(test_entries_made_together_do_not_expire_together)};

        return RUN_OVER_WAYS("expiry", tests, CACHE_WAYS);
}
