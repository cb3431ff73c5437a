/* SPDX-License-Identifier: MIT */
/* redis+cluster://: each command finds its node, also while slots move and nodes die, and takes effect once. */
#include "../integration/redis_ways.h"
#include "redis/slot.h"
#include "redis_nodes.h"

#include <sugarperf/client.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 300 };

static const struct redis_way *way_of(void **state)
{
        return *state;
}

static sp_redis *cluster(void)
{
        return redis_to(nodes_url(), NULL);
}

static void test_each_key_is_found_at_its_node(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = cluster();
        char text[128], expected[32];

        for (int i = 0; i < KEYS; i++) {
                snprintf(text, sizeof text, "SET k:%d v%d", i, i);
                answers(way, redis, text, "OK");
        }
        for (int i = 0; i < KEYS; i++) {
                snprintf(text, sizeof text, "GET k:%d", i);
                snprintf(expected, sizeof expected, "v%d", i);
                answers(way, redis, text, expected);
        }
        answers(way, redis, "EVAL return(redis.call('get',KEYS[1])) 1 k:7", "v7");
        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
}

static void test_commands_of_many_keys_are_taken_apart(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = cluster();
        sp_reply *reply = NULL;
        sp_error *error;
        size_t len;

        answers(way, redis, "SET many:a 1", "OK");
        answers(way, redis, "SET many:b 2", "OK");
        answers(way, redis, "SET many:c 3", "OK");
        assert_int_equal(tell(way, redis, "MGET many:c many:none many:a many:b", &reply, NULL), SP_OK);
        assert_int_equal(sp_reply_count(reply), 4);
        assert_string_equal(sp_reply_data(sp_reply_at(reply, 0), &len), "3");
        assert_int_equal(sp_reply_kind(sp_reply_at(reply, 1)), SP_REPLY_NIL);
        assert_string_equal(sp_reply_data(sp_reply_at(reply, 2), &len), "1");
        assert_string_equal(sp_reply_data(sp_reply_at(reply, 3), &len), "2");
        sp_reply_free(reply);
        answers(way, redis, "EXISTS many:a many:b many:c many:none", "3");
        answers(way, redis, "UNLINK many:a many:b many:c many:none", "3");
        /* What cannot be taken apart the server refuses. */
        error = refuses(way, redis, "SINTER many:a many:b", SP_REDIS);
        assert_string_equal(sp_error_code(error), "CROSSSLOT");
        sp_error_free(error);
        answers(way, redis, "MSET {many}:a 1 {many}:b 2", "OK");
        sp_redis_free(redis);
}

struct writer {
        const struct redis_way *way;
        sp_redis *redis;
        atomic_bool stop;
        int written;
};

static void *write_on(void *arg)
{
        struct writer *writer = arg;

        while (!atomic_load(&writer->stop)) {
                char text[64];

                snprintf(text, sizeof text, "INCR {moving}:%d", writer->written % 50);
                free(says_reply(writer->way, writer->redis, text));
                writer->written++;
        }
        return NULL;
}

static void test_a_slot_moves_and_each_write_counts_once(void **state)
{
        struct writer writer = {.way = way_of(state), .redis = cluster()};
        int slot = sp__slot_of("moving", 6), sum = 0;
        pthread_t thread;
        char text[64];

        answers(writer.way, writer.redis, "PING", "PONG");
        assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
        for (int round = 0; round < 6; round++)
                move_slot(slot, node_after(slot), round % 2 ? NEXT_FIRST : FORMER_FIRST);
        atomic_store(&writer.stop, true);
        pthread_join(thread, NULL);
        for (int i = 0; i < 50; i++) {
                char *said;

                snprintf(text, sizeof text, "GET {moving}:%d", i);
                said = says_reply(writer.way, writer.redis, text);
                sum += atoi(said);
                free(said);
                snprintf(text, sizeof text, "DEL {moving}:%d", i);
                free(says_reply(writer.way, writer.redis, text));
        }
        assert_int_equal(sum, writer.written);
        sp_redis_free(writer.redis);
}

/* What is still there is answered there; what is not, elsewhere (ASK); what needs both is tried again (TRYAGAIN). */
static void test_a_slot_that_is_half_moved_is_whole(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = cluster();
        int slot = sp__slot_of("half", 4), to = node_after(slot), from;

        answers(way, redis, "SET {half}:old 1", "OK");
        from = move_begin(slot, to);
        answers(way, redis, "GET {half}:old", "1");
        answers(way, redis, "SET {half}:new 2", "OK");
        answers(way, redis, "GET {half}:new", "2");
        answers(way, redis, "DEL {half}:new", "1");
        move_keys(slot, from, to);
        move_end(slot, from, to, FORMER_FIRST);
        answers(way, redis, "GET {half}:old", "1");
        sp_redis_free(redis);
}

/* How often the nodes sent a command elsewhere. */
static int redirects(void)
{
        int sum = 0;

        for (int i = 0; i < PRIMARIES; i++) {
                char *info = redis_says(&nodes[i], "INFO errorstats"), *at = strstr(info, "errorstat_MOVED:count=");

                sum += at ? atoi(at + strlen("errorstat_MOVED:count=")) : 0;
                free(info);
        }
        return sum;
}

/* Each of two nodes names the other one. */
static void test_nodes_that_do_not_agree_are_no_treadmill(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis =
            redis_to(nodes_url(), (const char *[]){"redis.timeout=200ms", "redis.connect_timeout=200ms", NULL});
        int slot = sp__slot_of("nowhere", 7), owner = owner_of(slot), before;
        char *other = node_id(node_after(slot));
        sp_error *error;

        answers(way, redis, "SET {nowhere}:a 1", "OK");
        answers(way, redis, "DEL {nowhere}:a", "1");
        before = redirects();
        free(redis_says(&nodes[owner], "CLUSTER SETSLOT %d NODE %s", slot, other));
        error = refuses(way, redis, "GET {nowhere}:a", SP_UNAVAILABLE);
        assert_string_equal(sp_error_code(error), "MOVED");
        says(error, "do not agree", NULL);
        assert_in_range(redirects() - before, 4, 60);
        tell_owner(slot, owner);
        answers(way, redis, "SET {nowhere}:a 1", "OK");
        answers(way, redis, "DEL {nowhere}:a", "1");
        free(other);
        sp_redis_free(redis);
}

/* Until it is answered again. */
static void await_answer(const struct redis_way *way, sp_redis *redis, const char *text, const char *expected)
{
        bool same = false;

        while (!same) {
                sp_reply *reply = NULL;
                size_t len;

                same = tell(way, redis, text, &reply, NULL) == SP_OK && sp_reply_data(reply, &len) &&
                       strcmp(sp_reply_data(reply, &len), expected) == 0;
                sp_reply_free(reply);
                poll(NULL, 0, 5);
        }
}

/* A key of the node. */
static void key_at(int node, char key[32])
{
        for (int i = 0;; i++) {
                snprintf(key, 32, "at:%d", i);
                if (owner_of(sp__slot_of(key, strlen(key))) == node)
                        return;
        }
}

/* A replica becomes the primary; where that takes too long it is tried again. */
static void take_over(int node)
{
        bool primary = false;

        while (!primary) {
                redisReply *reply = redis_ask(&nodes[node], "CLUSTER FAILOVER");

                freeReplyObject(reply);
                for (int i = 0; i < 50 && !primary; i++) {
                        char *info = redis_says(&nodes[node], "INFO replication");

                        primary = strstr(info, "role:master") != NULL;
                        free(info);
                        poll(NULL, 0, 20);
                }
        }
}

static void test_a_killed_node_is_followed_by_its_replica(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = cluster();
        char mine[32], other[32], text[96];

        key_at(0, mine);
        key_at(1, other);
        snprintf(text, sizeof text, "SET %s kept", mine);
        answers(way, redis, text, "OK");
        snprintf(text, sizeof text, "SET %s other", other);
        answers(way, redis, text, "OK");
        snprintf(text, sizeof text, "%d", nodes[0].port);
        redis_await(&nodes[3], "INFO replication", text);
        free(redis_says(&nodes[0], "WAIT 1 1000"));
        redis_kill(&nodes[0]);
        /* The others' slots are served meanwhile. */
        snprintf(text, sizeof text, "GET %s", other);
        answers(way, redis, text, "other");
        snprintf(text, sizeof text, "GET %s", mine);
        await_answer(way, redis, text, "kept");
        /* The others hear of it a little later. */
        while (owner_of(sp__slot_of(mine, strlen(mine))) != 3)
                poll(NULL, 0, 5);
        /* Back to how it was. */
        redis_restart(&nodes[0]);
        redis_await(&nodes[0], "INFO replication", "master_link_status:up");
        take_over(0);
        /* Within some seconds a replica counts the votes of its last election for the next one, too, and nobody follows it. */
        redis_kill(&nodes[3]);
        redis_restart(&nodes[3]);
        redis_await(&nodes[3], "INFO replication", "master_link_status:up");
        await_answer(way, redis, text, "kept");
        sp_redis_free(redis);
}

static void test_a_node_that_hangs_fails_its_own_commands_alone(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = redis_to(nodes_url(), (const char *[]){"redis.timeout=100ms", NULL});
        char mine[32], other[32], text[96];
        sp_error *error;

        key_at(2, mine);
        key_at(1, other);
        snprintf(text, sizeof text, "SET %s 1", mine);
        answers(way, redis, text, "OK");
        node_freeze(2);
        snprintf(text, sizeof text, "INCR %s", mine);
        error = refuses(way, redis, text, SP_LOST);
        says(error, "no answer in time", NULL);
        snprintf(text, sizeof text, "SET %s 2", other);
        answers(way, redis, text, "OK");
        node_thaw(2);
        snprintf(text, sizeof text, "GET %s", other);
        await_answer(way, redis, text, "2");
        snprintf(text, sizeof text, "GET %s", mine);
        await_answer(way, redis, text, "2");
        sp_redis_free(redis);
}

/* Until its breaker is open, which says which node it is. */
static void await_open(const struct redis_way *way, sp_redis *redis, const char *text, int node)
{
        sp_status status = SP_OK;
        sp_reply *reply = NULL;
        sp_error *error;
        char name[64];

        while (status != SP_OPEN) {
                error = NULL;
                status = tell(way, redis, text, &reply, &error);
                assert_true(status == SP_LOST || status == SP_UNAVAILABLE || status == SP_OPEN);
                if (status != SP_OPEN)
                        sp_error_free(error);
        }
        snprintf(name, sizeof name, "redis@127.0.0.1:%d/primary", nodes[node].port);
        says(error, name, NULL);
}

static void test_a_breaker_opens_for_its_own_node_alone(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis =
            redis_to(nodes_url(), (const char *[]){"redis.timeout=100ms", "redis.breaker=true",
                                                   "breaker.redis.failures=2", "breaker.redis.open_time=200ms", NULL});
        char mine[32], other[32], text[96];

        key_at(2, mine);
        key_at(1, other);
        snprintf(text, sizeof text, "SET %s 1", mine);
        answers(way, redis, text, "OK");
        node_freeze(2);
        snprintf(text, sizeof text, "GET %s", mine);
        await_open(way, redis, text, 2);
        snprintf(text, sizeof text, "SET %s 3", other);
        answers(way, redis, text, "OK");
        node_thaw(2);
        snprintf(text, sizeof text, "GET %s", mine);
        await_answer(way, redis, text, "1");
        sp_redis_free(redis);
}

/* Those of nodes that the client heard of later, too. */
static void test_the_breakers_of_all_nodes_are_shown(void **state)
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;
        sp_error *error = NULL;
        char name[64];
        size_t len;

        assert_int_equal(sp_config_set(config, "redis.url", nodes_url(), &error), SP_OK);
        assert_int_equal(sp_config_set(config, "redis.breaker", "true", &error), SP_OK);
        assert_int_equal(sp_client_new(config, &client, &error), SP_OK);
        for (int node = 0; node < PRIMARIES; node++) {
                sp_value *page = NULL;

                snprintf(name, sizeof name, "redis@127.0.0.1:%d/primary", nodes[node].port);
                while (!page || !strstr(sp_value_data(page, &len), name)) {
                        char key[32];
                        sp_lookup *lookup = NULL;

                        key_at(node, key);
                        sp_cache_lookup(sp_client_cache(client), NULL, key, strlen(key), &lookup, NULL);
                        sp_lookup_free(lookup);
                        sp_value_unref(page);
                        page = NULL;
                        assert_int_equal(sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &page),
                                         SP_OK);
                }
                sp_value_unref(page);
        }
        sp_client_free(client);
        sp_config_free(config);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_each_key_is_found_at_its_node),
            BOTH_REDIS_WAYS(test_commands_of_many_keys_are_taken_apart),
            BOTH_REDIS_WAYS(test_a_slot_moves_and_each_write_counts_once),
            BOTH_REDIS_WAYS(test_a_slot_that_is_half_moved_is_whole),
            BOTH_REDIS_WAYS(test_nodes_that_do_not_agree_are_no_treadmill),
            BOTH_REDIS_WAYS(test_a_killed_node_is_followed_by_its_replica),
            BOTH_REDIS_WAYS(test_a_node_that_hangs_fails_its_own_commands_alone),
            BOTH_REDIS_WAYS(test_a_breaker_opens_for_its_own_node_alone),
            cmocka_unit_test(test_the_breakers_of_all_nodes_are_shown),
        };

        return cmocka_run_group_tests_name("redis cluster", tests, nodes_set_up, nodes_tear_down);
}
