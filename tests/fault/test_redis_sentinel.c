/* SPDX-License-Identifier: MIT */
/* redis+sentinel:// finds the primary and follows it: killed, or demoted, without a restart, and no write is sent twice. */
#include "../integration/cache_ways.h"
#include "../integration/redis_ways.h"
#include "redis_set.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVERS = 2 };

struct set {
        struct redis_server servers[SERVERS], sentinel;
        int dead_port; /* of a sentinel that is not there */
        const char *password;
};

static const struct redis_way *way_of(void **state)
{
        return *state;
}

static void start_sentinel(struct set *set)
{
        char path[200];
        const char *const args[] = {path, "--sentinel", NULL};
        FILE *file;
        int port = redis_free_port();

        snprintf(path, sizeof path, "%s/sentinel-%d.conf", getenv("SP_TEST_SERVERS"), port);
        file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file,
                "sentinel monitor mymaster 127.0.0.1 %d 1\n"
                "sentinel down-after-milliseconds mymaster 500\n"
                "sentinel failover-timeout mymaster 3000\n",
                set->servers[0].port);
        if (set->password)
                fprintf(file, "requirepass %s\n", set->password);
        fclose(file);
        redis_start(&set->sentinel, port, args);
        set->sentinel.args[0] = strdup(path);
}

static void start(struct set *set)
{
        static const char *const plain[] = {"--save", "", "--repl-diskless-sync-delay", "0", NULL};
        char port[16];
        const char *const follows[] = {"--save", "", "--replicaof", "127.0.0.1", port, NULL};

        redis_start(&set->servers[0], 0, plain);
        snprintf(port, sizeof port, "%d", set->servers[0].port);
        redis_start(&set->servers[1], 0, follows);
        redis_await(&set->servers[1], "INFO replication", "master_link_status:up");
        start_sentinel(set);
        if (!set->password)
                redis_await(&set->sentinel, "INFO sentinel", "slaves=1");
        set->dead_port = redis_free_port();
}

static void stop(struct set *set)
{
        redis_kill(&set->sentinel);
        for (int i = 0; i < SERVERS; i++)
                redis_kill(&set->servers[i]);
        free((char *)(uintptr_t)set->sentinel.args[0]);
}

static const char *url_of(const struct set *set, char url[160])
{
        snprintf(url, 160, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/mymaster/0", set->dead_port, set->sentinel.port);
        return url;
}

static const struct redis_server *primary_of(const struct set *set)
{
        for (int i = 0; i < SERVERS; i++) {
                redisReply *reply = redis_ask(&set->servers[i], "ROLE");
                bool primary =
                    reply && reply->type == REDIS_REPLY_ARRAY && strcmp(reply->element[0]->str, "master") == 0;

                if (reply)
                        freeReplyObject(reply);
                if (primary)
                        return &set->servers[i];
        }
        return NULL;
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

        start(&set);
        redis = redis_to(url_of(&set, url), NULL);
        next = append_numbers(way, redis, 0, 100, &failures);
        assert_int_equal(failures, 0);
        redis_kill(&set.servers[0]);
        append_numbers(way, redis, next, 100, &failures);
        assert_true(failures > 0);
        no_number_is_there_twice(&set.servers[1]);
        sp_redis_free(redis);
        stop(&set);
}

static void test_a_demoted_primary_is_left(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = NULL};
        sp_redis *redis;
        char url[160];
        int next, failures;

        start(&set);
        redis = redis_to(url_of(&set, url), NULL);
        next = append_numbers(way, redis, 0, 100, &failures);
        /* Until it has heard of the replica's state. */
        redis_await(&set.sentinel, "SENTINEL FAILOVER mymaster", "OK");
        redis_await(&set.servers[1], "INFO replication", "role:master");
        redis_await(&set.servers[0], "INFO replication", "role:slave");
        append_numbers(way, redis, next, 100, &failures);
        assert_ptr_equal(primary_of(&set), &set.servers[1]);
        no_number_is_there_twice(&set.servers[1]);
        sp_redis_free(redis);
        stop(&set);
}

static void test_sentinels_that_do_not_help_are_told(void **state)
{
        const struct redis_way *way = way_of(state);
        struct set set = {.password = "sesame"};
        sp_redis *redis;
        char url[160];

        start(&set);
        redis = redis_to(url_of(&set, url), NULL);
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
        stop(&set);
}

static void test_a_cache_follows(void **state)
{
        const struct cache_way *way = &cache_ways[way_of(state) == &redis_ways[1]];
        struct set set = {.password = NULL};
        char setting[192], url[160], key[64], *text;
        sp_cache *one, *two;

        start(&set);
        snprintf(setting, sizeof setting, "redis.url=%s", url_of(&set, url));
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
        stop(&set);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_a_killed_primary_is_followed_by_another),
            BOTH_REDIS_WAYS(test_a_demoted_primary_is_left),
            BOTH_REDIS_WAYS(test_sentinels_that_do_not_help_are_told),
            BOTH_REDIS_WAYS(test_a_cache_follows),
        };

        return cmocka_run_group_tests_name("redis sentinel", tests, NULL, NULL);
}
