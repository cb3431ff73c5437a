/* SPDX-License-Identifier: MIT */
/* Raw keys in a cluster: the value stands at the key's own node, alone; who wrote there meanwhile wins, also while its slot moves. */
#include "../integration/cache_way.h"
#include "cache/cache.h"
#include "redis/slot.h"
#include "redis_nodes.h"

#include <stdio.h>
#include <string.h>

/* Two caches that share a raw template, and a key of it. */
struct raw {
        const struct cache_way *way;
        sp_cache *one, *two;
        char name[40];
        char key[64];
        int slot;
};

static sp_cache *cache_of(const struct raw *raw)
{
        char where[192], text[64];
        sp_cache *cache;

        snprintf(where, sizeof where, "redis.url=%s", nodes_url());
        cache = cache_with(raw->way, (const char *[]){where, "cache.namespace=rawspace", NULL});
        snprintf(text, sizeof text, "%s:{id}", raw->name);
        declare(cache, text, "raw=text", NULL);
        return cache;
}

static void next_key(struct raw *raw)
{
        static int number;

        snprintf(raw->key, sizeof raw->key, "%s:%d", raw->name, number++);
        raw->slot = sp__slot_of(raw->key, strlen(raw->key));
}

static void begin(struct raw *raw, void **state)
{
        *raw = (struct raw){.way = way_of(state)};
        fresh_key("craw", raw->name, sizeof raw->name);
        raw->one = cache_of(raw);
        raw->two = cache_of(raw);
        next_key(raw);
}

static void end(struct raw *raw)
{
        sp_cache_free(raw->one);
        sp_cache_free(raw->two);
}

static const struct redis_server *home(const struct raw *raw)
{
        return &nodes[owner_of(raw->slot)];
}

/* What another program sees at the key's node; NULL: nothing. */
static void stands(const struct raw *raw, const char *expected)
{
        redisReply *reply = redis_ask(home(raw), "GET %s", raw->key);

        assert_non_null(reply);
        if (expected)
                assert_string_equal(reply->str, expected);
        else
                assert_int_equal(reply->type, REDIS_REPLY_NIL);
        freeReplyObject(reply);
}

static void other_program_writes(const struct raw *raw, const char *text)
{
        free(redis_says(home(raw), "SET %s %s", raw->key, text));
}

static sp_status fill(const struct raw *raw, sp_lease *lease, const char *text)
{
        return raw->way->fill(lease, NULL, text, strlen(text), SP_CODEC_TEXT, 0, NULL);
}

static void both_read(const struct raw *raw, const char *expected)
{
        reads(raw->way, raw->one, raw->key, expected);
        reads(raw->way, raw->two, raw->key, expected);
}

static void test_each_value_stands_at_its_node_as_it_is(void **state)
{
        struct raw raw;

        begin(&raw, state);
        for (int i = 0; i < 20; i++) {
                next_key(&raw);
                assert_int_equal(fill(&raw, lease_of(raw.way, raw.one, raw.key), "loaded"), SP_OK);
                stands(&raw, "loaded");
                both_read(&raw, "loaded");
                other_program_writes(&raw, "theirs");
                both_read(&raw, "theirs");
                assert_int_equal(drop_key(raw.way, raw.one, raw.key, NULL), SP_OK);
                stands(&raw, NULL);
                assert_int_equal(state_of(raw.way, raw.two, raw.key), SP_LOOKUP_LEASE);
        }
        end(&raw);
}

/* The lease has moved along with its key, or with the place where there is none. */
static void test_a_load_outlasts_the_move_of_its_slot(void **state)
{
        struct raw raw;

        begin(&raw, state);
        for (int round = 0; round < 2 * PRIMARIES; round++) {
                sp_lease *lease;

                next_key(&raw);
                lease = lease_of(raw.way, raw.one, raw.key);
                move_slot(raw.slot, node_after(raw.slot), round % 2 ? NEXT_FIRST : FORMER_FIRST);
                if (round % 3 == 0)
                        other_program_writes(&raw, "theirs");
                assert_int_equal(fill(&raw, lease, "loaded"), round % 3 == 0 ? SP_LEASE_LOST : SP_OK);
                stands(&raw, round % 3 == 0 ? "theirs" : "loaded");
                both_read(&raw, round % 3 == 0 ? "theirs" : "loaded");
        }
        end(&raw);
}

static void test_what_is_on_its_way_is_read_and_deleted_wherever_it_is(void **state)
{
        struct raw raw;
        int to, from;

        begin(&raw, state);
        for (int round = 0; round < 4; round++) {
                next_key(&raw);
                to = node_after(raw.slot);
                assert_int_equal(fill(&raw, lease_of(raw.way, raw.one, raw.key), "loaded"), SP_OK);
                from = move_begin(raw.slot, to);
                both_read(&raw, "loaded");
                if (round % 2)
                        move_keys(raw.slot, from, to);
                both_read(&raw, "loaded");
                if (round / 2)
                        assert_int_equal(drop_key(raw.way, raw.two, raw.key, NULL), SP_OK);
                move_keys(raw.slot, from, to);
                move_end(raw.slot, from, to, NEXT_FIRST);
                stands(&raw, round / 2 ? NULL : "loaded");
        }
        end(&raw);
}

/* The same with an entry of ours, which may have gone by then, and its lease not. */
static void test_an_entry_on_its_way_is_invalidated(void **state)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];
        struct raw raw;
        int slot, from, to;

        begin(&raw, state);
        for (int round = 0; round < 4; round++) {
                sp_lease *lease;

                fresh_key("t:moving", raw.key, sizeof raw.key);
                slot = sp__slot_of(name, sp__cache_entry_name(raw.one, raw.key, strlen(raw.key), name));
                to = node_after(slot);
                lease = lease_of(raw.way, raw.one, raw.key);
                if (round % 2)
                        assert_int_equal(fill(&raw, lease, "old"), SP_OK);
                from = move_begin(slot, to);
                assert_int_equal(drop_key(raw.way, raw.two, raw.key, NULL), SP_OK);
                if (round % 2 == 0)
                        sp_lease_release(lease);
                move_keys(slot, from, to);
                move_end(slot, from, to, round / 2 ? NEXT_FIRST : FORMER_FIRST);
                assert_int_equal(state_of(raw.way, raw.two, raw.key), SP_LOOKUP_LEASE);
        }
        end(&raw);
}

#define BOTH_OF(test)                                                                                                  \
        {#test, test, NULL, NULL, (void *)(uintptr_t)&cache_ways[0]},                                                  \
        {                                                                                                              \
#test ", asynchronous", test, NULL, NULL, (void *)(uintptr_t)&cache_ways[1]                            \
        }

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_OF(test_each_value_stands_at_its_node_as_it_is),
            BOTH_OF(test_a_load_outlasts_the_move_of_its_slot),
            BOTH_OF(test_what_is_on_its_way_is_read_and_deleted_wherever_it_is),
            BOTH_OF(test_an_entry_on_its_way_is_invalidated),
        };

        return cmocka_run_group_tests_name("redis cluster raw", tests, nodes_set_up, nodes_tear_down);
}
