/* SPDX-License-Identifier: MIT */
/* redis+sentinel:// finds the primary and follows it: killed, or demoted, without a restart, and no write is sent twice. */
#include "../integration/cache_ways.h"
#include "../integration/redis_ways.h"
#include "redis_watched.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct redis_way *way_of(void **state)
{
        return *state;
}

/* Appends numbers until `enough` more were taken after the first failure, or that many at all without one. */
static int append_numbers(const struct redis_way *way, sp_redis *redis, int from, int enough, int *failures)
{
        int good = 0;

        *failures = 0;
        while (good < enough) {
                sp_reply *reply = NULL;
                char text[64];

                snprintf(text, sizeof text, "RPUSH list %d", from++);
                if (tell(way, redis, text, &reply, NULL) == SP_OK) {
                        sp_reply_free(reply);
                        good++;
                } else {
                        (*failures)++;
                        good = 0;
                        poll(NULL, 0, 5);
                }
        }
        return from;
}

static void no_number_is_there_twice(const struct redis_server *server)
{
        redisReply *all = redis_ask(server, "LRANGE list 0 -1");

        assert_true(all && all->type == REDIS_REPLY_ARRAY && all->elements > 0);
        for (size_t i = 1; i < (size_t)all->elements; i++)
                assert_true(atoi(all->element[i]->str) > atoi(all->element[i - 1]->str));
        freeReplyObject(all);
}

static void test_a_killed_primary_is_followed_by_another(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = NULL};
        sp_redis *redis;
        char url[160];
        int next, failures;

        watched_start(&set);
        redis = redis_to(watched_url(&set, url), NULL);
        next = append_numbers(way, redis, 0, 100, &failures);
        assert_int_equal(failures, 0);
        redis_kill(&set.servers[0]);
        append_numbers(way, redis, next, 100, &failures);
        assert_true(failures > 0);
        no_number_is_there_twice(&set.servers[1]);
        sp_redis_free(redis);
        watched_stop(&set);
}

/* The error of a breaker that refuses; NULL: it was taken. */
static sp_error *append_until_open(const struct redis_way *way, sp_redis *redis)
{
        for (;;) {
                sp_reply *reply = NULL;
                sp_error *error = NULL;
                sp_status status = tell(way, redis, "RPUSH list 1", &reply, &error);

                if (status == SP_OPEN || status == SP_OK) {
                        sp_reply_free(reply);
                        return error;
                }
                sp_error_free(error);
        }
}

static void test_each_primary_has_its_breaker_and_an_open_one_does_not_hide_the_next(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = NULL};
        sp_error *error;
        sp_redis *redis;
        char url[160], name[64];

        watched_start(&set);
        redis = redis_to(watched_url(&set, url), (const char *[]){"redis.breaker=true", "breaker.redis.failures=2",
                                                                  "breaker.redis.open_time=1h", NULL});
        assert_null(append_until_open(way, redis));
        redis_kill(&set.servers[0]);
        snprintf(name, sizeof name, "redis@127.0.0.1:%d/primary", set.servers[0].port);
        while ((error = append_until_open(way, redis))) {
                says(error, name, NULL);
                poll(NULL, 0, 5);
        }
        assert_ptr_equal(watched_primary(&set), &set.servers[1]);
        sp_redis_free(redis);
        watched_stop(&set);
}

static void test_a_demoted_primary_is_left(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = NULL};
        sp_redis *redis;
        char url[160];
        int next, failures;

        watched_start(&set);
        redis = redis_to(watched_url(&set, url), NULL);
        next = append_numbers(way, redis, 0, 100, &failures);
        watched_switch(&set);
        append_numbers(way, redis, next, 100, &failures);
        assert_ptr_equal(watched_primary(&set), &set.servers[1]);
        no_number_is_there_twice(&set.servers[1]);
        sp_redis_free(redis);
        watched_stop(&set);
}

static void test_sentinels_that_do_not_help_are_told(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = "sesame"};
        sp_redis *redis;
        char url[160];

        watched_start(&set);
        redis = redis_to(watched_url(&set, url), NULL);
        says(refuses(way, redis, "PING", SP_UNAVAILABLE), "refused", NULL);
        sp_redis_free(redis);
        snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/mymaster", set.sentinel.port);
        redis = redis_to(url, NULL);
        says(refuses(way, redis, "PING", SP_AUTH), "NOAUTH", NULL);
        sp_redis_free(redis);
        redis = redis_to(url, (const char *[]){"redis.sentinel_password=hunter2", NULL});
        says(refuses(way, redis, "PING", SP_AUTH), "WRONGPASS", "hunter2");
        sp_redis_free(redis);
        redis = redis_to(url, (const char *[]){"redis.sentinel_password=sesame", NULL});
        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
        snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/nobody", set.sentinel.port);
        redis = redis_to(url, (const char *[]){"redis.sentinel_password=sesame", NULL});
        says(refuses(way, redis, "PING", SP_UNAVAILABLE), "no primary of that name", NULL);
        sp_redis_free(redis);
        watched_stop(&set);
}

static void test_a_cache_follows(void **state)
{
        const struct cache_way *way = &cache_ways[way_of(state) == &redis_ways[1]];
        struct set set = {.password = NULL};
        char setting[192], url[160], key[64], *text;
        sp_cache *one, *two;

        watched_start(&set);
        snprintf(setting, sizeof setting, "redis.url=%s", watched_url(&set, url));
        one = cache_with(way, (const char *[]){setting, NULL});
        two = cache_with(way, (const char *[]){setting, NULL});
        put_text(way, one, fresh_key("t:sentinel", key, sizeof key), "old");
        text = text_of(way, two, key);
        assert_string_equal(text, "old");
        free(text);
        redis_kill(&set.servers[0]);
        while (drop_key(way, one, key, NULL) != SP_OK)
                poll(NULL, 0, 5);
        /* In this process at once; elsewhere within the bound. */
        text = text_of(way, one, key);
        assert_string_equal(text, "");
        free(text);
        while ((text = text_of(way, two, key)) && *text)
                free(text);
        free(text);
        sp_cache_free(one);
        sp_cache_free(two);
        watched_stop(&set);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_a_killed_primary_is_followed_by_another),
            BOTH_REDIS_WAYS(test_each_primary_has_its_breaker_and_an_open_one_does_not_hide_the_next),
            BOTH_REDIS_WAYS(test_a_demoted_primary_is_left),
            BOTH_REDIS_WAYS(test_sentinels_that_do_not_help_are_told),
            BOTH_REDIS_WAYS(test_a_cache_follows),
        };

        return cmocka_run_group_tests_name("redis sentinel", tests, NULL, NULL);
}
