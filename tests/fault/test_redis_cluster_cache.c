/* SPDX-License-Identifier: MIT */
/* The cache in a cluster: its log, entries and leases while their slots move, and when nobody tells of invalidations any more. */
#include "../integration/cache_way.h"
#include "redis/slot.h"
#include "redis_nodes.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WITH_BOTH(test)                                                                                                \
        {#test " (blocking)", test, NULL, NULL, (void *)(uintptr_t)&cache_ways[0]},                                    \
        {                                                                                                              \
#test " (queue)", test, NULL, NULL, (void *)(uintptr_t)&cache_ways[1]                                  \
        }

/* Each way has namespaces of its own. */
static const char *word_of(const struct cache_way *way)
{
        return way == &cache_ways[0] ? "blocking" : "queue";
}

static sp_cache *cache_so(const struct cache_way *way, const char *space, const char *const more[])
{
        const char *settings[8] = {NULL};
        char where[192], named[96];

        snprintf(where, sizeof where, "redis.url=%s", nodes_url());
        snprintf(named, sizeof named, "cache.namespace=%s", space);
        settings[0] = where;
        settings[1] = named;
        for (int i = 0; more && more[i]; i++)
                settings[i + 2] = more[i];
        return cache_with(way, settings);
}

static sp_cache *cache_in_cluster(const struct cache_way *way, const char *space)
{
        return cache_so(way, space, NULL);
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
        const struct cache_way *way = way_of(state);
        const char *space = word_of(way);
        sp_cache *one = cache_in_cluster(way, space), *two = cache_in_cluster(way, space);
        int home = sp__slot_of(space, strlen(space));
        char key[64];

        for (int i = 0; i < 20; i++) {
                share(way, one, two, key);
                gone_everywhere(way, one, two, key);
        }
        /* The log moves to another node, and to one that was never greeted. */
        for (int round = 0; round < 2 * PRIMARIES; round++) {
                move_slot(home, node_after(home), round % 2 ? NEXT_FIRST : FORMER_FIRST);
                share(way, one, two, key);
                gone_everywhere(way, one, two, key);
        }
        sp_cache_free(one);
        sp_cache_free(two);
}

/* A node runs only what has one key while a slot is on its way. */
static void test_an_invalidation_does_not_wait_for_a_slot(void **state)
{
        const struct cache_way *way = way_of(state);
        char space[64], key[64];
        sp_cache *one, *two;
        int home, to, from;

        snprintf(space, sizeof space, "half-%s", word_of(way));
        one = cache_in_cluster(way, space);
        two = cache_in_cluster(way, space);
        home = sp__slot_of(space, strlen(space));
        share(way, one, two, key);
        to = node_after(home);
        from = move_begin(home, to);
        gone_everywhere(way, one, two, key);
        share(way, one, two, key);
        move_keys(home, from, to);
        gone_everywhere(way, one, two, key);
        share(way, one, two, key);
        move_end(home, from, to, NEXT_FIRST);
        gone_everywhere(way, one, two, key);
        sp_cache_free(one);
        sp_cache_free(two);
}

static int listeners(int node, const char *space)
{
        redisReply *reply = redis_ask(&nodes[node], "PUBSUB NUMSUB {%s}:s", space);
        int count;

        assert_true(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
        count = (int)reply->element[1]->integer;
        freeReplyObject(reply);
        return count;
}

static void await_listeners(int node, const char *space, int count)
{
        while (listeners(node, space) != count)
                poll(NULL, 0, 10);
}

/* Neither hears of the other one any more. */
static void part(int one, int two)
{
        char *one_id = node_id(one), *two_id = node_id(two);

        free(redis_says(&nodes[one], "CLUSTER FORGET %s", two_id));
        free(redis_says(&nodes[two], "CLUSTER FORGET %s", one_id));
        free(one_id);
        free(two_id);
}

static bool knows_all(int node)
{
        char *info = redis_says(&nodes[node], "CLUSTER INFO");
        bool all = strstr(info, "cluster_known_nodes:4") && strstr(info, "cluster_slots_ok:16384");

        free(info);
        return all;
}

/* Redis 8 tells the others whom to forget, who then do not hear of him from each other for a minute. */
static void join(void)
{
        for (int node = 0; node < NODES;) {
                if (knows_all(node)) {
                        node++;
                        continue;
                }
                for (int other = 0; other < NODES; other++) {
                        if (other != node)
                                free(redis_says(&nodes[node], "CLUSTER MEET 127.0.0.1 %d", nodes[other].port));
                }
                poll(NULL, 0, 200);
        }
}

/* It answers PING, but what is published in the cluster does not come there. */
static void test_a_node_that_tells_nothing_is_not_listened_to(void **state)
{
        const struct cache_way *way = way_of(state);
        char space[64], key[64];
        sp_cache *one, *two;
        int home, from, to;

        snprintf(space, sizeof space, "deaf-%s", word_of(way));
        one = cache_in_cluster(way, space);
        two = cache_in_cluster(way, space);
        home = sp__slot_of(space, strlen(space));
        share(way, one, two, key);
        for (from = 0; listeners(from, space) == 0;)
                from = (from + 1) % PRIMARIES;
        if (owner_of(home) == from)
                move_slot(home, node_after(home), NEXT_FIRST);
        to = owner_of(home);
        gone_everywhere(way, one, two, key);
        share(way, one, two, key);
        part(from, to);
        gone_everywhere(way, one, two, key);
        await_listeners(from, space, 0);
        join();
        share(way, one, two, key);
        gone_everywhere(way, one, two, key);
        sp_cache_free(one);
        sp_cache_free(two);
}

/* How often the node said that keys are in two places. */
static int split_at(int node)
{
        char *info = redis_says(&nodes[node], "INFO errorstats"), *at = strstr(info, "errorstat_TRYAGAIN:count=");
        int count = at ? atoi(at + strlen("errorstat_TRYAGAIN:count=")) : 0;

        free(info);
        return count;
}

enum { LOADS = 3 };

struct load {
        const struct cache_way *way;
        sp_cache *cache;
        sp_lease *lease; /* NULL: it is to be got first */
        char key[64];
        atomic_bool done;
        pthread_t thread;
};

static void *load(void *arg)
{
        struct load *load = arg;
        sp_lease *lease = load->lease ? load->lease : lease_of(load->way, load->cache, load->key);

        assert_int_equal(fill_text(load->way, lease, "new"), SP_OK);
        atomic_store(&load->done, true);
        return NULL;
}

/* All keys of a load stand in one slot, not that of the log. */
static int name_keys(struct load loads[LOADS], const char *space)
{
        char tag[64];
        int slot;

        do {
                fresh_key("t", tag, sizeof tag);
                slot = sp__slot_of(tag, strlen(tag));
        } while (slot == sp__slot_of(space, strlen(space)));
        for (int i = 0; i < LOADS; i++)
                snprintf(loads[i].key, sizeof loads[i].key, "{%s}:%d", tag, i);
        return slot;
}

/* Both nodes refused often enough for a breaker to open, or somebody went on without Redis. */
static void await_refusals(const struct load loads[LOADS], const int nodes_of[2], const int before[2])
{
        bool done = false;

        while (!done && (split_at(nodes_of[0]) < before[0] + 8 || split_at(nodes_of[1]) < before[1] + 8)) {
                poll(NULL, 0, 5);
                for (int i = 0; i < LOADS; i++)
                        done = done || atomic_load(&loads[i].done);
        }
}

static void times_out(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_ctx *ctx = ctx_set("timeout", "50ms");
        sp_lookup *lookup = NULL;

        assert_int_equal(way->lookup(cache, ctx, key, strlen(key), &lookup, NULL), SP_TIMEOUT);
        sp_ctx_unref(ctx);
}

/*
 * A lease and its entry are in two places: where the entry is there and no lease, where there is neither, and where there is a lease
 * and no entry, nothing is executed until the slot has moved. That is waited for, as long as the caller may wait, and no breaker opens.
 */
static void test_a_load_waits_for_a_slot_that_is_half_moved(void **state)
{
        const struct cache_way *way = way_of(state);
        const char *const settings[] = {"redis.timeout=20s", "redis.breaker=true", "breaker.redis.failures=3",
                                        "cache.lease=1m", NULL};
        char space[64], late[80];
        struct load loads[LOADS] = {0};
        sp_cache *one, *two;
        int slot, both[2], before[2];

        snprintf(space, sizeof space, "split-%s", word_of(way));
        one = cache_so(way, space, settings);
        two = cache_so(way, space, settings);
        slot = name_keys(loads, space);
        snprintf(late, sizeof late, "%s:late", loads[0].key);
        put_text(way, one, loads[0].key, "old");
        assert_int_equal(drop_key(way, one, loads[0].key, NULL), SP_OK);
        loads[2].lease = lease_of(way, one, loads[2].key);
        both[1] = node_after(slot);
        both[0] = move_begin(slot, both[1]);
        for (int i = 0; i < 2; i++)
                before[i] = split_at(both[i]);
        for (int i = 0; i < LOADS; i++) {
                loads[i].way = way;
                loads[i].cache = one;
                pthread_create(&loads[i].thread, NULL, load, &loads[i]);
        }
        await_refusals(loads, both, before);
        times_out(way, two, late);
        move_keys(slot, both[0], both[1]);
        move_end(slot, both[0], both[1], FORMER_FIRST);
        for (int i = 0; i < LOADS; i++)
                pthread_join(loads[i].thread, NULL);
        for (int i = 0; i < LOADS; i++)
                reads(way, two, loads[i].key, "new");
        sp_cache_free(one);
        sp_cache_free(two);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            WITH_BOTH(test_a_cache_lives_in_a_cluster),
            WITH_BOTH(test_an_invalidation_does_not_wait_for_a_slot),
            WITH_BOTH(test_a_load_waits_for_a_slot_that_is_half_moved),
            /* The last one: nodes that knew each other once vote late. */
            WITH_BOTH(test_a_node_that_tells_nothing_is_not_listened_to),
        };

        return cmocka_run_group_tests_name("redis cluster cache", tests, nodes_set_up, nodes_tear_down);
}
