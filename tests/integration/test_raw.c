/* SPDX-License-Identifier: MIT */
/*
 * Raw keys: the value stands in Redis as it is, what other programs write is read at once, and who wrote while it was loaded wins.
 */
#include "../support/foreign.h"
#include "base/random.h"
#include "cache/cache.h"
#include "cache_way.h"
#include "redis/slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A raw template of its own, and a key of it. */
struct raw {
        sp_cache *cache;
        char name[40];
        char key[64];
};

static void begin(struct raw *raw, const struct cache_way *way, const char *options)
{
        char text[64];

        raw->cache = cache_with(way, NULL);
        fresh_key("raw", raw->name, sizeof raw->name);
        snprintf(text, sizeof text, "%s:{id}", raw->name);
        declare(raw->cache, text, options, NULL);
        snprintf(raw->key, sizeof raw->key, "%s:7", raw->name);
}

static void end(struct raw *raw)
{
        sp_cache_free(raw->cache);
}

/* NULL: there is nothing. */
static void foreign_reads(const char *key, const char *expected)
{
        redisReply *reply = foreign("GET %s", key);

        if (expected)
                assert_string_equal(reply->str, expected);
        else
                assert_int_equal(reply->type, REDIS_REPLY_NIL);
        freeReplyObject(reply);
}

static sp_status fill_json(const struct cache_way *way, sp_lease *lease, const char *text)
{
        return way->fill(lease, NULL, text, strlen(text), SP_CODEC_JSON, 0, NULL);
}

/* What a context that refreshes gets: a lease over what there is. */
static sp_lease *refreshing(const struct cache_way *way, struct raw *raw)
{
        sp_ctx *ctx = ctx_set("cache", "refresh");
        sp_lookup *lookup = NULL;
        sp_lease *lease;

        assert_int_equal(way->lookup(raw->cache, ctx, raw->key, strlen(raw->key), &lookup, NULL), SP_OK);
        lease = sp_lookup_take_lease(lookup);
        assert_non_null(lease);
        sp_lookup_free(lookup);
        sp_ctx_unref(ctx);
        return lease;
}

static void test_a_value_stands_in_redis_as_it_is(void **state)
{
        const struct cache_way *way = way_of(state);
        redisReply *left;
        struct raw raw;

        begin(&raw, way, "raw=json ttl=1h");
        assert_int_equal(fill_json(way, lease_of(way, raw.cache, raw.key), "{\"id\":7}"), SP_OK);
        foreign_reads(raw.key, "{\"id\":7}");
        left = foreign("PTTL %s", raw.key);
        assert_true(left->integer > 3000000 && left->integer <= 3600000);
        freeReplyObject(left);
        reads(way, raw.cache, raw.key, "{\"id\":7}");
        end(&raw);
}

static void test_what_others_write_is_read_at_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_value *value = NULL;
        sp_lookup *lookup = NULL;
        struct raw raw;

        begin(&raw, way, "raw=json");
        for (int i = 0; i < 3; i++) {
                char text[16];

                snprintf(text, sizeof text, "[%d]", i);
                foreign_does("SET %s %s", raw.key, text);
                reads(way, raw.cache, raw.key, text);
        }
        assert_int_equal(sp_cache_peek(raw.cache, raw.key, strlen(raw.key), &value), 0);
        assert_int_equal(way->lookup(raw.cache, NULL, raw.key, strlen(raw.key), &lookup, NULL), SP_OK);
        assert_int_equal(sp_value_codec(sp_lookup_value(lookup)), SP_CODEC_JSON);
        sp_lookup_free(lookup);
        foreign_does("DEL %s", raw.key);
        assert_int_equal(state_of(way, raw.cache, raw.key), SP_LOOKUP_LEASE);
        end(&raw);
}

static void test_who_wrote_during_a_load_wins(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_lease *lease;
        struct raw raw;

        begin(&raw, way, "raw=json");
        lease = lease_of(way, raw.cache, raw.key);
        foreign_does("SET %s theirs", raw.key);
        assert_int_equal(fill_json(way, lease, "loaded"), SP_LEASE_LOST);
        foreign_reads(raw.key, "theirs");

        lease = refreshing(way, &raw);
        assert_int_equal(fill_json(way, lease, "anew"), SP_OK);
        foreign_reads(raw.key, "anew");

        lease = refreshing(way, &raw);
        foreign_does("SET %s theirs", raw.key);
        assert_int_equal(fill_json(way, lease, "loaded"), SP_LEASE_LOST);
        foreign_reads(raw.key, "theirs");

        lease = refreshing(way, &raw);
        foreign_does("DEL %s", raw.key);
        assert_int_equal(fill_json(way, lease, "loaded"), SP_LEASE_LOST);
        foreign_reads(raw.key, NULL);
        end(&raw);
}

static void test_who_deletes_the_lease_too_ends_the_load(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_lease *lease;
        struct raw raw;

        begin(&raw, way, "raw=json");
        lease = lease_of(way, raw.cache, raw.key);
        foreign_does("UNLINK %s {%s}:sp:l", raw.key, raw.key);
        assert_int_equal(fill_json(way, lease, "loaded"), SP_LEASE_LOST);
        foreign_reads(raw.key, NULL);
        lease = lease_of(way, raw.cache, raw.key);
        assert_int_equal(drop_key(way, raw.cache, raw.key, NULL), SP_OK);
        assert_int_equal(fill_json(way, lease, "loaded"), SP_LEASE_LOST);
        foreign_reads(raw.key, NULL);
        end(&raw);
}

static void test_set_touch_and_delete_are_others_to_see(void **state)
{
        const struct cache_way *way = way_of(state);
        redisReply *left;
        struct raw raw;

        begin(&raw, way, "raw=text");
        assert_int_equal(way->touch(raw.cache, NULL, raw.key, strlen(raw.key), 1000, NULL), SP_NOT_FOUND);
        assert_int_equal(way->set(raw.cache, NULL, raw.key, strlen(raw.key), "mine", 4, SP_CODEC_TEXT, 60000, NULL),
                         SP_OK);
        foreign_reads(raw.key, "mine");
        reads(way, raw.cache, raw.key, "mine");
        assert_int_equal(way->touch(raw.cache, NULL, raw.key, strlen(raw.key), 3600000, NULL), SP_OK);
        left = foreign("PTTL %s", raw.key);
        assert_true(left->integer > 60000);
        freeReplyObject(left);
        assert_int_equal(drop_key(way, raw.cache, raw.key, NULL), SP_OK);
        foreign_reads(raw.key, NULL);
        assert_int_equal(state_of(way, raw.cache, raw.key), SP_LOOKUP_LEASE);
        end(&raw);
}

static void share_a_slot(sp_cache *cache, const char *key, const char *expected)
{
        char entry[SP_KEY_MAX + SP__NAME_EXTRA], lease[SP_KEY_MAX + SP__NAME_EXTRA];
        size_t entry_len = sp__cache_entry_name(cache, key, strlen(key), entry);
        size_t lease_len = sp__cache_lease_name(cache, key, strlen(key), lease);

        assert_int_equal(entry_len, strlen(key));
        assert_memory_equal(entry, key, entry_len);
        assert_int_equal(lease_len, strlen(expected));
        assert_memory_equal(lease, expected, lease_len);
        assert_int_equal(sp__slot_of(entry, entry_len), sp__slot_of(lease, lease_len));
}

static void test_a_key_and_its_lease_are_on_one_node_of_a_cluster(void **state)
{
        sp_cache *cache = cache_with(way_of(state), NULL);

        declare(cache, "raw:user:{id}", "raw=json", NULL);
        declare(cache, "raw:cart:{userId#}:items", "raw=json", NULL);
        share_a_slot(cache, "raw:user:7", "{raw:user:7}:sp:l");
        share_a_slot(cache, "raw:cart:{user-3}:items", "}raw:cart:{user-3}:items:sp:l");
        sp_cache_free(cache);
}

enum { NAMED_MOST = 5, NAMED = 4 + 16 + 64 + 256 + 1024 };

struct named {
        char lease[SP_KEY_MAX + SP__NAME_EXTRA];
        size_t len;
};

static int compare_names(const void *a, const void *b)
{
        const struct named *one = a, *two = b;

        return one->len == two->len ? memcmp(one->lease, two->lease, one->len) : one->len < two->len ? -1 : 1;
}

/* The key of that number, of all that these letters make. */
static size_t key_of_number(size_t number, char *out)
{
        size_t len = 0;

        for (number += 1; number > 0; number = (number - 1) / 4)
                out[len++] = "{}:l"[(number - 1) % 4];
        return len;
}

/* Else who wants the one waits for the other, or ends it. */
static void test_no_lease_is_called_as_an_entry_or_another_lease(void **state)
{
        sp_cache *cache = cache_with(way_of(state), NULL);
        struct named *all = calloc(NAMED, sizeof *all);
        char key[2 * NAMED_MOST], entry[SP_KEY_MAX + SP__NAME_EXTRA];

        assert_non_null(all);
        for (size_t i = 0; i < NAMED; i++) {
                size_t len = key_of_number(i, key), entry_len = sp__cache_entry_name(cache, key, len, entry);

                all[i].len = sp__cache_lease_name(cache, key, len, all[i].lease);
                if (all[i].lease[0] != '{' && all[i].lease[0] != '}')
                        fail_msg("the lease of %.*s could be an entry", (int)len, key);
                if (sp__slot_of(entry, entry_len) != sp__slot_of(all[i].lease, all[i].len))
                        fail_msg("the lease of %.*s is elsewhere", (int)len, key);
        }
        qsort(all, NAMED, sizeof *all, compare_names);
        for (size_t i = 1; i < NAMED; i++)
                assert_int_not_equal(compare_names(&all[i - 1], &all[i]), 0);
        free(all);
        sp_cache_free(cache);
}

static void test_a_key_with_braces_is_loaded_beside_one_that_is_longer(void **state)
{
        static const char *const pairs[][2] = {
            {"cart:{u1}:items", "cart:{u1}:items:l"}, {"note{1", "note{1:l"}, {"note}1", "note}1:l"}};
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);

        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
                sp_lookup *lookup = NULL;
                sp_ctx *ctx = sp_ctx_new(NULL);

                assert_int_equal(sp_ctx_set(ctx, "timeout", "1s", NULL), SP_OK);
                drop_key(way, cache, pairs[i][0], NULL);
                put_text(way, cache, pairs[i][1], "longer");
                assert_int_equal(way->lookup(cache, ctx, pairs[i][0], strlen(pairs[i][0]), &lookup, NULL), SP_OK);
                assert_int_equal(way->fill(sp_lookup_take_lease(lookup), ctx, "one", 3, SP_CODEC_TEXT, 0, NULL), SP_OK);
                sp_lookup_free(lookup);
                reads(way, cache, pairs[i][0], "one");
                reads(way, cache, pairs[i][1], "longer");
                assert_int_equal(drop_key(way, cache, pairs[i][1], NULL), SP_OK);
                sp_ctx_unref(ctx);
        }
        sp_cache_free(cache);
}

static void test_that_there_is_nothing_is_not_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        struct raw raw;

        begin(&raw, way, "raw=json");
        assert_int_equal(way->fill(lease_of(way, raw.cache, raw.key), NULL, NULL, 0, SP_CODEC_ABSENT, 0, NULL), SP_OK);
        foreign_reads(raw.key, NULL);
        assert_int_equal(state_of(way, raw.cache, raw.key), SP_LOOKUP_LEASE);
        end(&raw);
}

static void test_what_needs_more_than_a_value_is_refused(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_template *tmpl = NULL;
        sp_error *error = NULL;
        sp_lease *lease;
        struct raw raw;

        begin(&raw, way, "raw=json");
        lease = lease_of(way, raw.cache, raw.key);
        assert_int_equal(sp_lease_tag(lease, "tag", 3), SP_UNSUPPORTED);
        assert_int_equal(way->fill(lease, NULL, "x", 1, SP_CODEC_TEXT, 0, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), raw.name));
        sp_error_free(error);
        assert_int_equal(way->set(raw.cache, NULL, raw.key, strlen(raw.key), NULL, 0, SP_CODEC_ABSENT, 0, NULL),
                         SP_INVALID);
        assert_int_equal(sp_template_new("sp:other:{id}", "raw=json", &tmpl, NULL), SP_OK);
        error = NULL;
        assert_int_equal(sp_cache_declare(raw.cache, tmpl, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "\"sp:\""));
        sp_error_free(error);
        sp_template_unref(tmpl);
        end(&raw);
}

static sp_status load_of_another_codec(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        *out = sp_value_new("{}", 2, *(uint32_t *)arg);
        return SP_OK;
}

/* Else each call loads it anew, and nobody knows why. */
static void test_who_loads_what_can_never_be_stored_is_told(void **state)
{
        sp_error *error = NULL;
        sp_value *value = NULL;
        uint32_t codec = SP_CODEC_TEXT;
        struct raw raw;

        begin(&raw, way_of(state), "raw=json");
        assert_int_equal(sp_cache_get_or_load(raw.cache, NULL, raw.key, strlen(raw.key), load_of_another_codec, &codec,
                                              &value, &error),
                         SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "is for codec 3 alone"));
        sp_error_free(error);
        codec = 300;
        assert_int_equal(
            sp_cache_get_or_load(raw.cache, NULL, "codec:300", 9, load_of_another_codec, &codec, &value, NULL),
            SP_INVALID);
        codec = SP_CODEC_JSON;
        assert_int_equal(sp_cache_get_or_load(raw.cache, NULL, raw.key, strlen(raw.key), load_of_another_codec, &codec,
                                              &value, NULL),
                         SP_OK);
        sp_value_unref(value);
        foreign_reads(raw.key, "{}");
        end(&raw);
}

static void test_another_kind_of_value_is_left_alone(void **state)
{
        const struct cache_way *way = way_of(state);
        redisReply *length;
        struct raw raw;

        begin(&raw, way, "raw=json");
        foreign_does("RPUSH %s a b", raw.key);
        assert_int_equal(fill_json(way, lease_of(way, raw.cache, raw.key), "{}"), SP_OK);
        length = foreign("LLEN %s", raw.key);
        assert_int_equal(length->integer, 2);
        freeReplyObject(length);
        end(&raw);
}

static void test_many_raw_keys_in_one_call(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_lookups *lookups = NULL;
        sp_params *keys = sp_params_new();
        struct raw raw;
        char key[64];
        size_t len;

        begin(&raw, way, "raw=json");
        for (int i = 0; i < 3; i++) {
                snprintf(key, sizeof key, "%s:%d", raw.name, i);
                assert_int_equal(sp_params_add_text(keys, key, strlen(key)), SP_OK);
        }
        foreign_does("SET %s theirs", key);
        assert_int_equal(way->lookup_many(raw.cache, NULL, keys, &lookups, NULL), SP_OK);
        assert_int_equal(sp_lookups_state(lookups, 0), SP_LOOKUP_LEASE);
        assert_string_equal(sp_value_data(sp_lookups_value(lookups, 2), &len), "theirs");
        assert_int_equal(sp_lookups_put(lookups, 0, "x", 1, SP_CODEC_TEXT, 0, NULL), SP_INVALID);
        assert_int_equal(sp_lookups_put(lookups, 0, "[0]", 3, SP_CODEC_JSON, 0, NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_OK);
        sp_lookups_free(lookups);
        snprintf(key, sizeof key, "%s:0", raw.name);
        foreign_reads(key, "[0]");
        sp_params_free(keys);
        end(&raw);
}

static void test_a_query_stores_its_cell(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT '{\"of\": \"a text\"}'");
        sp_value *value = NULL;
        sp_error *error = NULL;
        struct raw raw;

        begin(&raw, way, "raw=json");
        assert_int_equal(
            way->query(raw.cache, pool, NULL, raw.key, strlen(raw.key), stmt, NULL, SP_QUERY_RESULT, &value, &error),
            SP_INVALID);
        sp_error_free(error);
        assert_int_equal(
            way->query(raw.cache, pool, NULL, raw.key, strlen(raw.key), stmt, NULL, SP_QUERY_CELL, &value, NULL),
            SP_OK);
        assert_int_equal(sp_value_codec(value), SP_CODEC_JSON);
        sp_value_unref(value);
        foreign_reads(raw.key, "{\"of\": \"a text\"}");
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        end(&raw);
}

/*
 * A number that only grows; another program, and a cache of ours, tell Redis of it. Readers, each alone with its cache, never see
 * less than had been told when they began to read.
 */
enum { READERS = 2, CHANGES = 300 };

struct number {
        const struct cache_way *way;
        struct raw raws[READERS + 1];
        const char *key;
        atomic_long now, told;
        atomic_bool over;
        atomic_long reads, old, failed;
};

struct reader {
        struct number *number;
        sp_cache *cache;
        pthread_t thread;
};

static sp_status load_number(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct number *number = arg;
        char text[24];
        int len = snprintf(text, sizeof text, "%ld", atomic_load(&number->now));

        wait_ms(1);
        *out = sp_value_new(text, (size_t)len, SP_CODEC_JSON);
        return SP_OK;
}

static void *read_number(void *arg)
{
        struct reader *reader = arg;
        struct number *number = reader->number;

        while (!atomic_load(&number->over)) {
                long least = atomic_load(&number->told);
                sp_value *value = NULL;
                size_t len;

                atomic_fetch_add(&number->reads, 1);
                if (sp_cache_get_or_load(reader->cache, NULL, number->key, strlen(number->key), load_number, number,
                                         &value, NULL) != SP_OK)
                        atomic_fetch_add(&number->failed, 1);
                else if (atol(sp_value_data(value, &len)) < least)
                        atomic_fetch_add(&number->old, 1);
                sp_value_unref(value);
        }
        return NULL;
}

static void change_number(struct number *number, uint64_t kind)
{
        long now = atomic_fetch_add(&number->now, 1) + 1;

        if (kind == 0)
                foreign_does("SET %s %ld", number->key, now);
        else if (kind == 1)
                foreign_does("UNLINK %s {%s}:sp:l", number->key, number->key);
        else
                assert_int_equal(drop_key(number->way, number->raws[READERS].cache, number->key, NULL), SP_OK);
        atomic_store(&number->told, now);
}

static void test_nobody_reads_what_was_overwritten_before(void **state)
{
        struct number number = {.way = way_of(state)};
        struct sp__random random = {sp__random_seed()};
        struct reader readers[READERS];

        print_message("# seed %llu\n", (unsigned long long)random.state);
        begin(&number.raws[READERS], number.way, "raw=json");
        number.key = number.raws[READERS].key;
        for (int i = 0; i < READERS; i++) {
                char text[64];

                number.raws[i].cache = cache_with(number.way, NULL);
                snprintf(text, sizeof text, "%s:{id}", number.raws[READERS].name);
                declare(number.raws[i].cache, text, "raw=json", NULL);
                readers[i] = (struct reader){.number = &number, .cache = number.raws[i].cache};
                assert_int_equal(pthread_create(&readers[i].thread, NULL, read_number, &readers[i]), 0);
        }
        for (int i = 0; i < CHANGES; i++) {
                change_number(&number, sp__random_next(&random) % 3);
                if (sp__random_next(&random) % 2)
                        wait_ms(1);
        }
        while (atomic_load(&number.reads) < CHANGES)
                wait_ms(1);
        atomic_store(&number.over, true);
        for (int i = 0; i < READERS; i++) {
                pthread_join(readers[i].thread, NULL);
                end(&number.raws[i]);
        }
        end(&number.raws[READERS]);
        assert_int_equal(atomic_load(&number.old), 0);
        assert_int_equal(atomic_load(&number.failed), 0);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_a_value_stands_in_redis_as_it_is),
            WAY_TEST(test_what_others_write_is_read_at_once),
            WAY_TEST(test_who_wrote_during_a_load_wins),
            WAY_TEST(test_who_deletes_the_lease_too_ends_the_load),
            WAY_TEST(test_set_touch_and_delete_are_others_to_see),
            WAY_TEST(test_a_key_and_its_lease_are_on_one_node_of_a_cluster),
            WAY_TEST(test_no_lease_is_called_as_an_entry_or_another_lease),
            WAY_TEST(test_a_key_with_braces_is_loaded_beside_one_that_is_longer),
            WAY_TEST(test_that_there_is_nothing_is_not_stored),
            WAY_TEST(test_what_needs_more_than_a_value_is_refused),
            WAY_TEST(test_who_loads_what_can_never_be_stored_is_told),
            WAY_TEST(test_another_kind_of_value_is_left_alone),
            WAY_TEST(test_many_raw_keys_in_one_call),
            WAY_TEST(test_a_query_stores_its_cell),
            WAY_TEST(test_nobody_reads_what_was_overwritten_before),
        };

        return RUN_OVER_WAYS("raw", tests, WAYS_WITH_REDIS);
}
