/* SPDX-License-Identifier: MIT */
/* Many keys in one call; what is set, deleted and touched. */
#include "many_keys.h"

#include "core/ctx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void test_what_is_missing_is_loaded_at_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lookups *lookups;
        struct keys keys;
        size_t len;

        keys_make(&keys);
        put_text(way, cache, keys.text[1], "one");
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++) {
                assert_int_equal(sp_lookups_state(lookups, i), i == 1 ? SP_LOOKUP_HIT : SP_LOOKUP_LEASE);
                assert_memory_equal(sp_lookups_key(lookups, i, &len), keys.text[i], strlen(keys.text[i]));
        }
        assert_string_equal(sp_value_data(sp_lookups_value(lookups, 1), &len), "one");
        assert_int_equal(sp_lookups_next(lookups, 0), 0);
        assert_int_equal(sp_lookups_next(lookups, 1), 2);
        assert_int_equal(sp_lookups_next(lookups, KEYS), KEYS);
        assert_int_equal(sp_lookups_put(lookups, 1, "two", 3, SP_CODEC_TEXT, 0, NULL), SP_INVALID);
        assert_int_equal(sp_lookups_put(lookups, 0, "zero", 4, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(sp_lookups_put(lookups, 2, "2", 1, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(sp_lookups_put(lookups, 2, "two", 3, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_OK);
        assert_int_equal(sp_lookups_state(lookups, 2), SP_LOOKUP_HIT);
        assert_string_equal(sp_value_data(sp_lookups_value(lookups, 2), &len), "two");
        assert_int_equal(sp_value_codec(sp_lookups_value(lookups, 3)), SP_CODEC_ABSENT);
        assert_int_equal(sp_lookups_next(lookups, 0), KEYS);
        sp_lookups_free(lookups);
        reads(way, cache, keys.text[0], "zero");
        reads(way, cache, keys.text[2], "two");
        assert_int_equal(state_of(way, cache, keys.text[3]), SP_LOOKUP_HIT);
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

static void test_another_process_finds_them_in_one_trip(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = way->redis ? cache_with(way, NULL) : cache;
        sp_lookups *lookups;
        struct keys keys;

        keys_make(&keys);
        for (int i = 0; i < KEYS; i++)
                put_text(way, cache, keys.text[i], keys.text[i]);
        lookups = look(way, other, &keys);
        for (size_t i = 0; i < KEYS; i++) {
                size_t len;

                assert_int_equal(sp_lookups_state(lookups, i), SP_LOOKUP_HIT);
                assert_string_equal(sp_value_data(sp_lookups_value(lookups, i), &len), keys.text[i]);
        }
        sp_lookups_free(lookups);
        assert_int_equal(sp_cache_hits(other), KEYS);
        sp_params_free(keys.params);
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_who_holds_leases_does_not_wait_for_others(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = way->redis ? cache_with(way, NULL) : cache;
        sp_lookups *lookups;
        struct keys keys;
        sp_lease *lease;

        keys_make(&keys);
        lease = lease_of(way, other, keys.text[2]);
        lookups = look(way, cache, &keys);
        assert_int_equal(sp_lookups_state(lookups, 1), SP_LOOKUP_LEASE);
        assert_int_equal(sp_lookups_state(lookups, 2), SP_LOOKUP_BUSY);
        assert_null(sp_lookups_value(lookups, 2));
        assert_int_equal(sp_lookups_put(lookups, 2, "x", 1, SP_CODEC_TEXT, 0, NULL), SP_INVALID);
        /* Nobody waits for those that were not filled. */
        sp_lookups_free(lookups);
        assert_int_equal(fill_text(way, lease, "theirs"), SP_OK);
        reads(way, cache, keys.text[2], "theirs");
        lookups = look(way, cache, &keys);
        assert_int_equal(sp_lookups_state(lookups, 2), SP_LOOKUP_HIT);
        assert_int_equal(sp_lookups_state(lookups, 1), SP_LOOKUP_LEASE);
        sp_lookups_free(lookups);
        sp_params_free(keys.params);
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

/* All are looked up and loaded, none is filled. */
static sp_lookups *loaded(const struct cache_way *way, sp_cache *cache, struct keys *keys)
{
        sp_lookups *lookups;

        keys_make(keys);
        lookups = look(way, cache, keys);
        for (size_t k = 0; k < KEYS; k++)
                assert_int_equal(sp_lookups_put(lookups, k, "value", 5, SP_CODEC_TEXT, 0, NULL), SP_OK);
        return lookups;
}

/* They are being filled, and their caller no longer waits for it. */
static sp_lookups *abandoned(const struct cache_way *way, sp_cache *cache, sp_queue *queue)
{
        sp_ctx *ctx = sp_ctx_new(NULL);
        struct keys keys;
        sp_lookups *lookups = loaded(way, cache, &keys);

        assert_int_equal(sp_lookups_fill_async(lookups, ctx, queue, 1), SP_OK);
        sp_ctx_cancel(ctx);
        sp_ctx_unref(ctx);
        sp_params_free(keys.params);
        return lookups;
}

static void take_one(sp_queue *queue)
{
        sp_completion *done;

        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        sp_completion_free(done);
}

/* It goes on to its end, and so does what it stores. */
static void test_who_no_longer_waits_for_a_fill_may_free_it(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int i = 0; i < 50; i++) {
                sp_lookups_free(abandoned(way, cache, queue));
                take_one(queue);
        }
        sp_queue_free(queue);
        sp_cache_free(cache);
}

/* What is being stored is no longer its caller's to store or to give back, though he stopped waiting for it. */
static void test_who_no_longer_waits_for_a_fill_may_fill_again_or_give_up(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int i = 0; i < 200; i++) {
                sp_lookups *lookups = abandoned(way, cache, queue);

                assert_int_equal(sp_lookups_next(lookups, 0), KEYS);
                assert_int_equal(sp_lookups_put(lookups, 0, "other", 5, SP_CODEC_TEXT, 0, NULL), SP_INVALID);
                if (i % 2)
                        assert_int_equal(sp_lookups_give_up(lookups), 1);
                else
                        assert_int_equal(sp_lookups_fill(lookups, NULL, NULL), SP_OK);
                sp_lookups_free(lookups);
                take_one(queue);
        }
        sp_queue_free(queue);
        sp_cache_free(cache);
}

/* A context that is over when its loader returns: what was loaded is right for the caller, and others may load. */
static void test_what_is_filled_too_late_is_given_and_not_held(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        struct keys keys;
        sp_lookups *lookups = loaded(way, cache, &keys);
        size_t len;

        sp_ctx_cancel(ctx);
        assert_int_equal(way->fill_many(lookups, ctx, NULL), SP_CANCELLED);
        assert_int_equal(sp_lookups_next(lookups, 0), KEYS);
        for (size_t k = 0; k < KEYS; k++)
                assert_string_equal(sp_value_data(sp_lookups_value(lookups, k), &len), "value");
        put_text(way, cache, keys.text[2], "theirs");
        sp_lookups_free(lookups);
        reads(way, cache, keys.text[2], "theirs");
        sp_params_free(keys.params);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void test_a_key_that_stands_twice_is_loaded_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lookups *lookups = NULL;
        sp_params *params = sp_params_new();
        char key[64];
        int leases = 0;

        fresh_key("many:twice", key, sizeof key);
        sp_params_add_text(params, key, strlen(key));
        sp_params_add_text(params, key, strlen(key));
        assert_int_equal(way->lookup_many(cache, NULL, params, &lookups, NULL), SP_OK);
        for (size_t i = 0; i < 2; i++)
                leases += sp_lookups_state(lookups, i) == SP_LOOKUP_LEASE;
        assert_int_equal(leases, 1);
        sp_lookups_free(lookups);
        sp_params_free(params);
        sp_cache_free(cache);
}

static void test_what_is_no_list_of_keys_is_refused(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_params *params = sp_params_new();
        sp_lookups *lookups = NULL;
        sp_error *error = NULL;

        assert_int_equal(way->lookup_many(cache, NULL, params, &lookups, &error), SP_INVALID);
        says(error, "no keys", NULL);
        error = NULL;
        sp_params_add_text(params, "", 0);
        assert_int_equal(way->lookup_many(cache, NULL, params, &lookups, &error), SP_INVALID);
        says(error, "empty", NULL);
        error = NULL;
        sp_params_clear(params);
        for (int i = 0; i <= SP_KEYS_MAX; i++)
                sp_params_add_int(params, i);
        assert_int_equal(way->lookup_many(cache, NULL, params, &lookups, &error), SP_LIMIT);
        says(error, "10001", NULL);
        assert_null(lookups);
        sp_params_free(params);
        sp_cache_free(cache);
}

struct loading {
        int calls;
        int keys;
        sp_status status;
};

static sp_status load_missing(void *arg, sp_lookups *lookups, sp_error **error)
{
        struct loading *loading = arg;

        loading->calls++;
        if (loading->status != SP_OK)
                return loading->status;
        for (size_t i = sp_lookups_next(lookups, 0); i < sp_lookups_count(lookups);
             i = sp_lookups_next(lookups, i + 1)) {
                size_t len;
                const void *key = sp_lookups_key(lookups, i, &len);

                assert_int_equal(sp_lookups_put(lookups, i, key, len, SP_CODEC_TEXT, 0, error), SP_OK);
                loading->keys++;
        }
        return SP_OK;
}

static void *fill_later(void *lease)
{
        nanosleep(&(struct timespec){.tv_nsec = 30 * SP__MS}, NULL);
        assert_int_equal(sp_lease_fill(lease, NULL, "theirs", 6, SP_CODEC_TEXT, 0, NULL), SP_OK);
        return NULL;
}

static void *release_later(void *lease)
{
        nanosleep(&(struct timespec){.tv_nsec = 30 * SP__MS}, NULL);
        sp_lease_release(lease);
        return NULL;
}

static void test_get_many_calls_its_loader_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct loading loading = {.status = SP_SQL};
        sp_lookups *lookups = NULL;
        sp_error *error = NULL;
        struct keys keys;
        pthread_t thread;
        size_t len;

        keys_make(&keys);
        assert_int_equal(sp_cache_get_many(cache, NULL, keys.params, load_missing, &loading, &lookups, &error), SP_SQL);
        assert_non_null(error);
        sp_error_free(error);
        loading = (struct loading){.status = SP_OK};
        pthread_create(&thread, NULL, fill_later, lease_of(way, cache, keys.text[3]));
        assert_int_equal(sp_cache_get_many(cache, NULL, keys.params, load_missing, &loading, &lookups, NULL), SP_OK);
        pthread_join(thread, NULL);
        assert_int_equal(loading.calls, 1);
        assert_int_equal(loading.keys, KEYS - 1);
        for (size_t i = 0; i < KEYS; i++)
                assert_string_equal(sp_value_data(sp_lookups_value(lookups, i), &len),
                                    i == 3 ? "theirs" : keys.text[i]);
        sp_lookups_free(lookups);
        /* The other one gives up: it is loaded here then. */
        assert_int_equal(drop_key(way, cache, keys.text[3], NULL), SP_OK);
        pthread_create(&thread, NULL, release_later, lease_of(way, cache, keys.text[3]));
        assert_int_equal(sp_cache_get_many(cache, NULL, keys.params, load_missing, &loading, &lookups, NULL), SP_OK);
        pthread_join(thread, NULL);
        assert_int_equal(loading.calls, 2);
        assert_int_equal(loading.keys, KEYS);
        assert_string_equal(sp_value_data(sp_lookups_value(lookups, 3), &len), keys.text[3]);
        sp_lookups_free(lookups);
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

/* A value that was only to be refreshed stands in; what is not there at all cannot. */
static void test_a_load_of_many_that_fails_leaves_what_there_is(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=0", NULL});
        struct loading loading = {.status = SP_SQL};
        sp_lookups *lookups = NULL;
        struct keys keys;
        size_t len;

        declare(cache, "many:{run}:{id}", "ttl=1ms stale=1h", NULL);
        keys_make(&keys);
        for (int i = 0; i < KEYS; i++) {
                put_text(way, cache, keys.text[i], keys.text[i]);
                while (state_of(way, cache, keys.text[i]) != SP_LOOKUP_STALE)
                        wait_ms(1);
        }
        assert_int_equal(sp_cache_get_many(cache, NULL, keys.params, load_missing, &loading, &lookups, NULL), SP_OK);
        assert_int_equal(loading.calls, 1);
        for (size_t i = 0; i < KEYS; i++)
                assert_string_equal(sp_value_data(sp_lookups_value(lookups, i), &len), keys.text[i]);
        sp_lookups_free(lookups);
        lookups = look(way, cache, &keys);
        assert_int_equal(sp_lookups_next(lookups, 0), 0);
        assert_int_equal(sp_lookups_give_up(lookups), 1);
        assert_int_equal(sp_lookups_next(lookups, 0), KEYS);
        sp_lookups_free(lookups);
        assert_int_equal(drop_key(way, cache, keys.text[2], NULL), SP_OK);
        lookups = look(way, cache, &keys);
        assert_int_equal(sp_lookups_give_up(lookups), 0);
        sp_lookups_free(lookups);
        /* Another one may load it at once. */
        put_text(way, cache, keys.text[2], "new");
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

static void test_one_of_many_that_is_too_large_is_given_and_not_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.value_max=1KB", NULL});
        char large[2000] = {0};
        sp_lookups *lookups;
        struct keys keys;
        size_t len;

        keys_make(&keys);
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(
                    sp_lookups_put(lookups, i, large, i == 1 ? sizeof large : 1, SP_CODEC_BYTES, 1000, NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_OK);
        assert_non_null(sp_value_data(sp_lookups_value(lookups, 1), &len));
        assert_int_equal(len, sizeof large);
        sp_lookups_free(lookups);
        assert_int_equal(state_of(way, cache, keys.text[0]), SP_LOOKUP_HIT);
        assert_int_equal(state_of(way, cache, keys.text[1]), SP_LOOKUP_LEASE);
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

/* Its size and its time, too. */
static void test_what_is_put_last_is_what_counts(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.value_max=1KB", NULL});
        char large[2000] = {0};
        sp_lookups *lookups;
        struct keys keys;

        keys_make(&keys);
        lookups = look(way, cache, &keys);
        assert_int_equal(sp_lookups_put(lookups, 0, large, sizeof large, SP_CODEC_BYTES, 0, NULL), SP_OK);
        assert_int_equal(sp_lookups_put(lookups, 1, "short", 5, SP_CODEC_TEXT, 1, NULL), SP_OK);
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(sp_lookups_put(lookups, i, "last", 4, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_OK);
        sp_lookups_free(lookups);
        wait_ms(5);
        for (size_t i = 0; i < 2; i++)
                reads(way, cache, keys.text[i], "last");
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

static void test_many_that_were_invalidated_during_their_load_are_not_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lookups *lookups;
        struct keys keys;

        keys_make(&keys);
        lookups = look(way, cache, &keys);
        for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(sp_lookups_put(lookups, i, "old", 3, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(drop_key(way, cache, keys.text[4], NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_OK);
        sp_lookups_free(lookups);
        assert_int_equal(state_of(way, cache, keys.text[4]), SP_LOOKUP_LEASE);
        reads(way, cache, keys.text[0], "old");
        sp_params_free(keys.params);
        sp_cache_free(cache);
}

static void test_leases_of_many_outlive_the_cache(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.loads=2", NULL});
        sp_lookups *lookups;
        struct keys keys;

        keys_make(&keys);
        lookups = look(way, cache, &keys);
        sp_cache_free(cache);
        sp_lookups_free(lookups);
        sp_params_free(keys.params);
}

static void test_what_is_filled_after_the_cache_is_refused_and_given(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lookups *lookups;
        struct keys keys;
        size_t len;

        keys_make(&keys);
        lookups = look(way, cache, &keys);
        sp_cache_free(cache);
        assert_int_equal(sp_lookups_put(lookups, 0, "late", 4, SP_CODEC_TEXT, 0, NULL), SP_OK);
        assert_int_equal(way->fill_many(lookups, NULL, NULL), SP_CLOSED);
        assert_memory_equal(sp_value_data(sp_lookups_value(lookups, 0), &len), "late", 4);
        assert_int_equal(sp_lookups_next(lookups, 0), sp_lookups_count(lookups));
        sp_lookups_free(lookups);
        sp_params_free(keys.params);
}

static sp_status set_text(const struct cache_way *way, sp_cache *cache, sp_ctx *ctx, const char *key, const char *text)
{
        return way->set(cache, ctx, key, strlen(key), text, strlen(text), SP_CODEC_TEXT, 0, NULL);
}

static void test_what_is_set_is_there_everywhere(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = way->redis ? cache_with(way, NULL) : cache;
        char key[64];

        fresh_key("set", key, sizeof key);
        put_text(way, cache, key, "loaded");
        assert_int_equal(set_text(way, cache, NULL, key, "set"), SP_OK);
        reads(way, cache, key, "set");
        reads(way, other, key, "set");
        assert_int_equal(set_text(way, other, NULL, key, "set again"), SP_OK);
        reads(way, other, key, "set again");
        if (other != cache)
                sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_a_load_that_was_overtaken_by_a_set_is_not_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lease *lease;
        char key[64];

        fresh_key("set:during", key, sizeof key);
        lease = lease_of(way, cache, key);
        assert_int_equal(set_text(way, cache, NULL, key, "set"), SP_OK);
        assert_int_equal(fill_text(way, lease, "loaded before"), SP_LEASE_LOST);
        reads(way, cache, key, "set");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

static void test_a_pattern_ends_what_was_set(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);

        declare(cache, "setpat:of:{id}", NULL, (const char *[]){"setpat:of:*", NULL});
        assert_int_equal(set_text(way, cache, NULL, "setpat:of:1", "set"), SP_OK);
        reads(way, cache, "setpat:of:1", "set");
        assert_int_equal(drop_pattern(way, cache, "setpat:of:*", NULL, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, "setpat:of:1"), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

static void test_what_is_deleted_is_gone(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        char key[64];

        fresh_key("delete", key, sizeof key);
        put_text(way, cache, key, "one");
        assert_int_equal(sp_cache_delete(cache, NULL, key, strlen(key), NULL), SP_OK);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        assert_int_equal(sp_cache_delete(cache, NULL, key, 0, NULL), SP_INVALID);
        sp_cache_free(cache);
}

static void test_what_is_touched_lives_on(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL});
        int64_t until;
        char key[64];

        fresh_key("touch", key, sizeof key);
        assert_int_equal(way->touch(cache, NULL, key, strlen(key), 1000, NULL), SP_NOT_FOUND);
        assert_int_equal(way->fill(lease_of(way, cache, key), NULL, "one", 3, SP_CODEC_TEXT, 400, NULL), SP_OK);
        until = sp__now() + 450 * SP__MS;
        assert_int_equal(way->touch(cache, NULL, key, strlen(key), 3600000, NULL), SP_OK);
        while (sp__now() < until)
                reads(way, cache, key, "one");
        reads(way, cache, key, "one");
        assert_int_equal(way->touch(cache, NULL, key, strlen(key), 1, NULL), SP_OK);
        until = sp__now() + 20 * SP__MS;
        while (sp__now() < until)
                continue;
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_what_is_missing_is_loaded_at_once),
            WAY_TEST(test_another_process_finds_them_in_one_trip),
            WAY_TEST(test_who_holds_leases_does_not_wait_for_others),
            WAY_TEST(test_who_no_longer_waits_for_a_fill_may_free_it),
            WAY_TEST(test_who_no_longer_waits_for_a_fill_may_fill_again_or_give_up),
            WAY_TEST(test_what_is_filled_too_late_is_given_and_not_held),
            WAY_TEST(test_a_key_that_stands_twice_is_loaded_once),
            WAY_TEST(test_what_is_no_list_of_keys_is_refused),
            WAY_TEST(test_get_many_calls_its_loader_once),
            WAY_TEST(test_a_load_of_many_that_fails_leaves_what_there_is),
            WAY_TEST(test_one_of_many_that_is_too_large_is_given_and_not_stored),
            WAY_TEST(test_what_is_put_last_is_what_counts),
            WAY_TEST(test_many_that_were_invalidated_during_their_load_are_not_stored),
            WAY_TEST(test_leases_of_many_outlive_the_cache),
            WAY_TEST(test_what_is_filled_after_the_cache_is_refused_and_given),
            WAY_TEST(test_what_is_set_is_there_everywhere),
            WAY_TEST(test_a_load_that_was_overtaken_by_a_set_is_not_stored),
            WAY_TEST(test_a_pattern_ends_what_was_set),
            WAY_TEST(test_what_is_deleted_is_gone),
            WAY_TEST(test_what_is_touched_lives_on),
        };

        return RUN_OVER_WAYS("many", tests, CACHE_WAYS);
}
