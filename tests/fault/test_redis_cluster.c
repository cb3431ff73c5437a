/* SPDX-License-Identifier: MIT */
/* redis+cluster://: each command finds its node, also while slots move and nodes die, and takes effect once. */
#include "../integration/cache_ways.h"
#include "../integration/redis_ways.h"
#include "redis/slot.h"
#include "redis_set.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRIMARIES = 3, NODES = 4, KEYS = 300 };

/* Three primaries and a replica of the first. */
static struct redis_server nodes[NODES];

static const struct redis_way *way_of(void **state)
{
        return *state;
}

static char *id_of(int node)
{
        return redis_says(&nodes[node], "CLUSTER MYID");
}

static void start_nodes(void)
{
        static const char *const args[] = {"--cluster-enabled",
                                           "yes",
                                           "--cluster-node-timeout",
                                           "2000",
                                           "--save",
                                           "",
                                           "--cluster-require-full-coverage",
                                           "no",
                                           "--repl-diskless-sync-delay",
                                           "0",
                                           "--cluster-allow-replica-migration",
                                           "no",
                                           NULL};
        char *first;

        for (int i = 0; i < NODES; i++) {
                redis_start(&nodes[i], 0, args);
                free(redis_says(&nodes[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1));
        }
        for (int i = 0; i < PRIMARIES; i++)
                free(redis_says(&nodes[i], "CLUSTER ADDSLOTSRANGE %d %d", SP__SLOTS * i / PRIMARIES,
                                SP__SLOTS * (i + 1) / PRIMARIES - 1));
        for (int i = 1; i < NODES; i++)
                free(redis_says(&nodes[i], "CLUSTER MEET 127.0.0.1 %d", nodes[0].port));
        for (int i = 0; i < NODES; i++) {
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_known_nodes:4");
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_slots_ok:16384");
                redis_await(&nodes[i], "CLUSTER INFO", "cluster_state:ok");
        }
        first = id_of(0);
        free(redis_says(&nodes[3], "CLUSTER REPLICATE %s", first));
        free(first);
        redis_await(&nodes[3], "INFO replication", "master_link_status:up");
}

static const char *url(void)
{
        static char text[128];

        /* The first of those that are named is not there. */
        snprintf(text, sizeof text, "redis+cluster://127.0.0.1:1,127.0.0.1:%d", nodes[1].port);
        return text;
}

static sp_redis *cluster(void)
{
        return redis_to(url(), NULL);
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

static int owner_of(int slot)
{
        for (int i = 0; i < NODES; i++) {
                redisReply *reply = redis_ask(&nodes[i], "CLUSTER SLOTS");
                int port = 0;

                for (size_t k = 0; reply && reply->type == REDIS_REPLY_ARRAY && k < (size_t)reply->elements; k++) {
                        redisReply *range = reply->element[k];

                        if (range->element[0]->integer <= slot && slot <= range->element[1]->integer)
                                port = (int)range->element[2]->element[1]->integer;
                }
                if (reply)
                        freeReplyObject(reply);
                for (int k = 0; port && k < NODES; k++) {
                        if (nodes[k].port == port)
                                return k;
                }
        }
        fail_msg("nobody serves slot %d", slot);
        return -1;
}

static void tell_all(const char *format, int slot, const char *id)
{
        for (int i = 0; i < PRIMARIES; i++) {
                if (nodes[i].pid)
                        free(redis_says(&nodes[i], format, slot, id));
        }
}

/* All keys of a slot, one at a time. */
static void move_keys(int slot, int from, int to)
{
        while (true) {
                redisReply *keys = redis_ask(&nodes[from], "CLUSTER GETKEYSINSLOT %d 1", slot);

                assert_true(keys && keys->type == REDIS_REPLY_ARRAY);
                if (keys->elements == 0) {
                        freeReplyObject(keys);
                        return;
                }
                free(redis_says(&nodes[from], "MIGRATE 127.0.0.1 %d %b 0 5000", nodes[to].port, keys->element[0]->str,
                                (size_t)keys->element[0]->len));
                freeReplyObject(keys);
        }
}

/* `between` runs while the slot is half there, half here. */
static void move_slot(int slot, int to, void (*between)(void *arg), void *arg)
{
        int from = owner_of(slot);
        char *from_id = id_of(from), *to_id = id_of(to);

        assert_int_not_equal(from, to);
        free(redis_says(&nodes[to], "CLUSTER SETSLOT %d IMPORTING %s", slot, from_id));
        free(redis_says(&nodes[from], "CLUSTER SETSLOT %d MIGRATING %s", slot, to_id));
        if (between)
                between(arg);
        move_keys(slot, from, to);
        tell_all("CLUSTER SETSLOT %d NODE %s", slot, to_id);
        free(from_id);
        free(to_id);
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
        for (int round = 0; round < 4; round++)
                move_slot(slot, (owner_of(slot) + 1) % PRIMARIES, NULL, NULL);
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

struct half {
        const struct redis_way *way;
        sp_redis *redis;
};

/* What is still there is answered there; what is not, elsewhere (ASK); what needs both is tried again (TRYAGAIN). */
static void use_both_halves(void *arg)
{
        struct half *half = arg;

        answers(half->way, half->redis, "GET {half}:old", "1");
        answers(half->way, half->redis, "SET {half}:new 2", "OK");
        answers(half->way, half->redis, "GET {half}:new", "2");
        answers(half->way, half->redis, "DEL {half}:new", "1");
}

static void test_a_slot_that_is_half_moved_is_whole(void **state)
{
        struct half half = {.way = way_of(state), .redis = cluster()};
        int slot = sp__slot_of("half", 4);

        answers(half.way, half.redis, "SET {half}:old 1", "OK");
        move_slot(slot, (owner_of(slot) + 1) % PRIMARIES, use_both_halves, &half);
        answers(half.way, half.redis, "GET {half}:old", "1");
        sp_redis_free(half.redis);
}

static sp_cache *cache_in_cluster(const struct cache_way *way, const char *space)
{
        char where[192], named[64];

        snprintf(where, sizeof where, "redis.url=%s", url());
        snprintf(named, sizeof named, "cache.namespace=%s", space);
        return cache_with(way, (const char *[]){where, named, NULL});
}

static void gone_everywhere(const struct cache_way *way, sp_cache *one, sp_cache *two, const char *key)
{
        char *text;

        assert_int_equal(drop_key(way, one, key, NULL), SP_OK);
        text = text_of(way, one, key);
        assert_string_equal(text, "");
        free(text);
        while ((text = text_of(way, two, key)) && *text)
                free(text);
        free(text);
}

/* What one stores the other finds; when the log has moved an epoch ends, which costs a miss. */
static void share(const struct cache_way *way, sp_cache *one, sp_cache *two, char key[64])
{
        bool shared = false;

        while (!shared) {
                sp_lookup *lookup = NULL;
                char *text;

                fresh_key("t:cluster", key, 64);
                assert_int_equal(way->lookup(one, NULL, key, strlen(key), &lookup, NULL), SP_OK);
                fill_text(way, sp_lookup_take_lease(lookup), "old");
                sp_lookup_free(lookup);
                text = text_of(way, two, key);
                shared = strcmp(text, "old") == 0;
                free(text);
        }
}

static void test_a_cache_lives_in_a_cluster(void **state)
{
        const struct cache_way *way = &cache_ways[way_of(state) == &redis_ways[1]];
        const char *space = way_of(state)->name;
        sp_cache *one = cache_in_cluster(way, space), *two = cache_in_cluster(way, space);
        int home = sp__slot_of(space, strlen(space));
        char key[64];

        for (int i = 0; i < 20; i++) {
                share(way, one, two, key);
                gone_everywhere(way, one, two, key);
        }
        /* The log moves to another node, and to one that was never greeted. */
        for (int round = 0; round < PRIMARIES; round++) {
                move_slot(home, (owner_of(home) + 1) % PRIMARIES, NULL, NULL);
                share(way, one, two, key);
                gone_everywhere(way, one, two, key);
        }
        sp_cache_free(one);
        sp_cache_free(two);
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
        assert_int_equal(owner_of(sp__slot_of(mine, strlen(mine))), 3);
        /* Back to how it was. */
        redis_restart(&nodes[0]);
        redis_await(&nodes[0], "INFO replication", "master_link_status:up");
        take_over(0);
        redis_await(&nodes[3], "INFO replication", "master_link_status:up");
        await_answer(way, redis, text, "kept");
        sp_redis_free(redis);
}

static void test_a_node_that_hangs_fails_its_own_commands_alone(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = redis_to(url(), (const char *[]){"redis.timeout=100ms", NULL});
        char mine[32], other[32], text[96];
        sp_error *error;

        key_at(2, mine);
        key_at(1, other);
        snprintf(text, sizeof text, "SET %s 1", mine);
        answers(way, redis, text, "OK");
        redis_freeze(&nodes[2]);
        snprintf(text, sizeof text, "INCR %s", mine);
        error = refuses(way, redis, text, SP_LOST);
        says(error, "no answer in time", NULL);
        snprintf(text, sizeof text, "SET %s 2", other);
        answers(way, redis, text, "OK");
        redis_thaw(&nodes[2]);
        snprintf(text, sizeof text, "GET %s", other);
        await_answer(way, redis, text, "2");
        snprintf(text, sizeof text, "GET %s", mine);
        await_answer(way, redis, text, "2");
        sp_redis_free(redis);
}

static int set_up(void **state)
{
        start_nodes();
        return 0;
}

static int tear_down(void **state)
{
        for (int i = 0; i < NODES; i++)
                redis_kill(&nodes[i]);
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_each_key_is_found_at_its_node),
            BOTH_REDIS_WAYS(test_commands_of_many_keys_are_taken_apart),
            BOTH_REDIS_WAYS(test_a_slot_moves_and_each_write_counts_once),
            BOTH_REDIS_WAYS(test_a_slot_that_is_half_moved_is_whole),
            BOTH_REDIS_WAYS(test_a_cache_lives_in_a_cluster),
            BOTH_REDIS_WAYS(test_a_killed_node_is_followed_by_its_replica),
            BOTH_REDIS_WAYS(test_a_node_that_hangs_fails_its_own_commands_alone),
        };

        return cmocka_run_group_tests_name("redis cluster", tests, set_up, tear_down);
}
