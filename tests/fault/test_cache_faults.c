/* SPDX-License-Identifier: MIT */
/* Redis goes, hangs, is full or comes back from an old snapshot: calls end in time, nothing old is read, nothing restarts. */
#include "../integration/cache_way.h"
#include "../support/ctl.h"
#include "../support/foreign.h"

#include "cache/cache.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_text(const struct cache_way *way, sp_cache *cache, const char *key, const char *expected)
{
        char *text = text_of(way, cache, key);
        bool same = strcmp(text, expected) == 0;

        free(text);
        return same;
}

static sp_status look(const struct cache_way *way, sp_cache *cache, const char *key, sp_error **error)
{
        sp_lookup *lookup = NULL;
        sp_status status = way->lookup(cache, NULL, key, strlen(key), &lookup, error);

        if (status == SP_OK)
                sp_lookup_free(lookup);
        return status;
}

/* Until values are shared through Redis again: what one cache stores the other one finds. */
static void await_recovery(const struct cache_way *way, sp_cache *cache)
{
        sp_cache *other = cache_with(way, NULL);
        char key[64];
        bool shared = false;

        while (!shared) {
                sp_lookup *lookup = NULL;
                sp_lease *lease;

                fresh_key("f:recovery", key, sizeof key);
                assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &lookup, NULL), SP_OK);
                lease = sp_lookup_take_lease(lookup);
                sp_lookup_free(lookup);
                assert_int_equal(fill_text(way, lease, "shared"), SP_OK);
                shared = state_of(way, other, key) == SP_LOOKUP_HIT;
        }
        sp_cache_free(other);
}

/* Until the text is kept in process; an invalidation that was owed may come between. */
static void keep(const struct cache_way *way, sp_cache *cache, const char *key, const char *text)
{
        sp_value *value = NULL;

        while (!sp_cache_peek(cache, key, strlen(key), &value)) {
                sp_lookup *lookup = NULL;
                sp_lease *lease;

                assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &lookup, NULL), SP_OK);
                lease = sp_lookup_take_lease(lookup);
                sp_lookup_free(lookup);
                if (lease)
                        (void)fill_text(way, lease, text);
        }
        sp_value_unref(value);
}

static void test_without_redis_one_loads_for_all_or_calls_fail(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *loads, *fails;
        sp_error *error = NULL;
        char key[64];

        control("stop", "redis");
        loads = cache_with(way, NULL);
        fails = cache_with(way, (const char *[]){"cache.outage=fail", NULL});
        fresh_key("f:down", key, sizeof key);
        put_text(way, loads, key, "loaded");
        reads(way, loads, key, "loaded");
        assert_int_equal(look(way, fails, key, &error), SP_UNAVAILABLE);
        says(error, "127.0.0.1:", NULL);
        error = NULL;
        assert_int_equal(drop_key(way, loads, key, &error), SP_UNAVAILABLE);
        says(error, "127.0.0.1:", NULL);
        control("start", "redis");
        await_recovery(way, loads);
        keep(way, loads, key, "kept");
        sp_cache_free(fails);
        sp_cache_free(loads);
}

static void test_an_invalidation_that_redis_missed_holds_here_and_is_made_up_for(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = cache_with(way, NULL);
        char key[64];

        fresh_key("f:owed", key, sizeof key);
        put_text(way, cache, key, "old");
        reads(way, other, key, "old");
        foreign_does("CONFIG SET maxmemory 1");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_REDIS);
        put_text(way, cache, key, "loaded, and held for as long as the bound allows");
        foreign_does("CONFIG SET maxmemory 0");
        while (is_text(way, other, key, "old"))
                continue;
        keep(way, cache, key, "new");
        reads(way, cache, key, "new");
        sp_cache_free(other);
        sp_cache_free(cache);
}

/* Redis refuses for longer than an entry lives: nothing is left that the invalidation could end. */
static void test_what_is_owed_lapses_with_the_last_entry_that_it_is_about(void **state)
{
        static const char *const settings[] = {"cache.ttl=300ms", "cache.lease=100ms", NULL};
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, settings), *other = cache_with(way, settings);
        int64_t until = sp__now() + 20 * SP__SECOND;
        char key[64];

        fresh_key("f:lapsed", key, sizeof key);
        put_text(way, cache, key, "old");
        reads(way, other, key, "old");
        foreign_does("CONFIG SET maxmemory 1");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_REDIS);
        assert_true(sp__mirror_owing(&cache->log.mirror) > 0);
        while (sp__mirror_owing(&cache->log.mirror) > 0) {
                assert_false(is_text(way, cache, key, "old"));
                assert_true(sp__now() < until);
        }
        assert_false(is_text(way, cache, key, "old"));
        assert_false(is_text(way, other, key, "old"));
        foreign_does("CONFIG SET maxmemory 0");
        keep(way, cache, key, "new");
        reads(way, cache, key, "new");
        sp_cache_free(other);
        sp_cache_free(cache);
}

static sp_status set_text(const struct cache_way *way, sp_cache *cache, const char *key, const char *text)
{
        return way->set(cache, NULL, key, strlen(key), text, strlen(text), SP_CODEC_TEXT, 0, NULL);
}

static void fail_to_set(const struct cache_way *way, sp_cache *cache, const char *key)
{
        assert_int_equal(set_text(way, cache, key, "refused"), SP_REDIS);
}

static void fail_to_drop(const struct cache_way *way, sp_cache *cache, const char *key)
{
        assert_int_equal(drop_key(way, cache, key, NULL), SP_REDIS);
}

/* As a log that went back owes it. */
static void owe_all(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp__log_owe_all(&cache->log);
}

/* What was owed is made up for behind the scenes: never at the cost of what was set since. */
static void outlives(const struct cache_way *way, const char *form,
                     void (*refused)(const struct cache_way *way, sp_cache *cache, const char *key))
{
        sp_cache *cache = cache_with(way, NULL), *other = cache_with(way, NULL);
        char name[64], text[80], key[80];

        fresh_key("f:outlives", name, sizeof name);
        snprintf(text, sizeof text, "%s:{id}", name);
        snprintf(key, sizeof key, "%s:1", name);
        if (form)
                declare(cache, text, form, NULL);
        assert_int_equal(set_text(way, cache, key, "old"), SP_OK);
        if (!form)
                reads(way, other, key, "old");
        foreign_does("CONFIG SET maxmemory 1");
        refused(way, cache, key);
        foreign_does("CONFIG SET maxmemory 0");
        assert_int_equal(set_text(way, cache, key, "new"), SP_OK);
        reads(way, cache, key, "new");
        while (sp__mirror_owing(&cache->log.mirror) > 0)
                wait_ms(1);
        reads(way, cache, key, "new");
        /* The other one hears of it by its notices, a moment later. */
        while (!form && is_text(way, other, key, "old"))
                continue;
        if (!form)
                reads(way, other, key, "new");
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_a_set_outlives_what_was_owed_before_it(void **state)
{
        const struct cache_way *way = way_of(state);

        outlives(way, NULL, fail_to_set);
        outlives(way, NULL, fail_to_drop);
        outlives(way, NULL, owe_all);
        outlives(way, "raw=text", fail_to_drop);
}

/* Another process may load at once, not when the lease has run out. */
static void gives_back(const struct cache_way *way, const char *ill, const char *well, bool fills)
{
        static const char *const settings[] = {"cache.lease=1m", NULL};
        sp_cache *cache = cache_with(way, settings), *other = cache_with(way, settings);
        sp_ctx *ctx = ctx_set("timeout", "5s");
        sp_lookup *lookup = NULL;
        sp_lease *lease;
        char key[64];

        fresh_key("f:back", key, sizeof key);
        lease = lease_of(way, cache, key);
        foreign_does(ill);
        if (fills)
                assert_int_equal(fill_text(way, lease, "loaded"), SP_OK);
        else
                sp_lease_release(lease);
        foreign_does(well);
        assert_int_equal(way->lookup(other, ctx, key, strlen(key), &lookup, NULL), SP_OK);
        sp_lookup_free(lookup);
        sp_ctx_unref(ctx);
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_a_lease_is_given_back_where_redis_refused_or_lost_it(void **state)
{
        const struct cache_way *way = way_of(state);

        gives_back(way, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", true);
        gives_back(way, "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", true);
        gives_back(way, "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", false);
        gives_back(way, "CLIENT KILL TYPE normal", "PING", true);
        gives_back(way, "CLIENT KILL TYPE normal", "PING", false);
}

/* It was taken in a server that hung, and whose answer came too late. */
static void test_a_lease_is_given_back_where_the_answer_to_its_taking_was_lost(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.lease=1m", "redis.timeout=100ms", NULL});
        sp_cache *other = cache_with(way, (const char *[]){"cache.lease=1m", NULL});
        sp_ctx *anew = ctx_set("cache", "refresh"), *patience = ctx_set("timeout", "5s");
        sp_lookup *lookup = NULL, *theirs = NULL;
        char key[64];

        fresh_key("f:taken", key, sizeof key);
        put_text(way, cache, key, "one");
        put_text(way, other, fresh_key("f:warm", (char[64]){0}, 64), "one");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        control("freeze", "redis");
        assert_int_equal(way->lookup(cache, anew, key, strlen(key), &lookup, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_LEASE);
        control("thaw", "redis");
        assert_int_equal(way->lookup(other, patience, key, strlen(key), &theirs, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(theirs), SP_LOOKUP_LEASE);
        sp_lookup_free(theirs);
        sp_lookup_free(lookup);
        sp_ctx_unref(patience);
        sp_ctx_unref(anew);
        sp_cache_free(other);
        sp_cache_free(cache);
}

/* What gives a lease back late does not take the next one of the same process. */
static void test_a_lease_that_is_given_back_late_is_not_the_next_one(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.lease=1m", "cache.retry=1h", "cache.jitter=0", NULL});
        sp_ctx *anew = ctx_set("cache", "refresh");
        char name[64], text[80], key[80];
        sp_lookup *lookup = NULL;
        sp_lease *lease;

        fresh_key("f:next", name, sizeof name);
        snprintf(text, sizeof text, "%s:{id}", name);
        snprintf(key, sizeof key, "%s:1", name);
        declare(cache, text, "ttl=20ms stale=1h", NULL);
        put_text(way, cache, key, "one");
        wait_ms(30);
        assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &lookup, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_STALE);
        foreign_does("CONFIG SET min-replicas-to-write 1");
        sp_lookup_free(lookup);
        wait_ms(20);
        foreign_does("CONFIG SET min-replicas-to-write 0");
        assert_int_equal(way->lookup(cache, anew, key, strlen(key), &lookup, NULL), SP_OK);
        lease = sp_lookup_take_lease(lookup);
        sp_lookup_free(lookup);
        assert_non_null(lease);
        wait_ms(200);
        assert_int_equal(fill_text(way, lease, "two"), SP_OK);
        sp_ctx_unref(anew);
        sp_cache_free(cache);
}

/* Its lease went to another one, who is filling it: who waits for that one is not sent to load. */
static void test_a_fill_that_comes_too_late_leaves_the_next_one_its_waiters(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"redis.timeout=100ms", NULL});
        sp_completion *done[3] = {NULL};
        sp_queue *queue = NULL;
        sp_lookup *lookup;
        sp_lease *late, *next;
        char key[64];

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        late = lease_of(way, cache, fresh_key("f:late", key, sizeof key));
        assert_int_equal(sp_cache_lookup_async(cache, NULL, key, strlen(key), queue, 0), SP_OK);
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(sp_queue_wait(queue, done, 1, -1), 1);
        lookup = sp_completion_take_lookup(done[0]);
        next = sp_lookup_take_lease(lookup);
        sp_lookup_free(lookup);
        assert_int_equal(sp_cache_lookup_async(cache, NULL, key, strlen(key), queue, 1), SP_OK);
        control("freeze", "redis");
        assert_int_equal(sp_lease_fill_async(next, NULL, "next", 4, SP_CODEC_TEXT, 0, queue, 2), SP_OK);
        assert_int_equal(fill_text(way, late, "late"), SP_LEASE_LOST);
        for (int i = 1; i < 3; i++) {
                assert_int_equal(sp_queue_wait(queue, &done[i], 1, -1), 1);
                if (sp_completion_tag(done[i]) != 1)
                        continue;
                lookup = sp_completion_take_lookup(done[i]);
                assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_HIT);
                sp_lookup_free(lookup);
        }
        control("thaw", "redis");
        for (int i = 0; i < 3; i++)
                sp_completion_free(done[i]);
        sp_queue_free(queue);
        sp_cache_free(cache);
}

static void test_a_server_that_hangs_is_given_up_in_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"redis.timeout=100ms", "cache.outage=fail", NULL});
        sp_error *error = NULL;
        char key[64];
        int64_t begun;

        fresh_key("f:hang", key, sizeof key);
        put_text(way, cache, "f:hang:warm", "one");
        assert_int_equal(drop_key(way, cache, "f:hang:warm", NULL), SP_OK);
        foreign_does("CLIENT PAUSE 1500 ALL");
        begun = sp__now();
        assert_int_equal(look(way, cache, key, &error), SP_UNAVAILABLE);
        assert_true(sp__now() - begun < 1400 * SP__MS);
        says(error, "127.0.0.1:", NULL);
        while (look(way, cache, key, NULL) != SP_OK)
                continue;
        put_text(way, cache, key, "one");
        reads(way, cache, key, "one");
        sp_cache_free(cache);
}

/* Whatever Redis's own time is. */
static void test_an_invalidation_ends_with_its_caller_s_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"redis.timeout=60s", NULL});
        sp_ctx *ctx = ctx_set("timeout", "100ms");
        sp_targets *targets = sp_targets_new();

        put_text(way, cache, "f:late", "one");
        sp_targets_key(targets, "f:late", 6);
        control("freeze", "redis");
        assert_int_equal(way->invalidate(cache, ctx, targets, NULL), SP_TIMEOUT);
        control("thaw", "redis");
        while (is_text(way, cache, "f:late", "one"))
                continue;
        sp_targets_free(targets);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

/* Its caller does not know whether it holds, so what it was about is not served from memory. */
static void test_what_is_cut_off_by_its_caller_s_time_is_bypassed_at_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"redis.timeout=60s", "cache.bound=60s", NULL});
        sp_ctx *ctx = ctx_set("timeout", "50ms");
        sp_targets *targets = sp_targets_new();
        char dropped[64], set[64];
        sp_value *value;

        fresh_key("f:cut:dropped", dropped, sizeof dropped);
        fresh_key("f:cut:set", set, sizeof set);
        keep(way, cache, dropped, "old");
        keep(way, cache, set, "old");
        sp_targets_key(targets, dropped, strlen(dropped));
        control("freeze", "redis");
        assert_int_equal(way->invalidate(cache, ctx, targets, NULL), SP_TIMEOUT);
        assert_false(sp_cache_peek(cache, dropped, strlen(dropped), &value));
        assert_int_equal(way->set(cache, ctx, set, strlen(set), "new", 3, SP_CODEC_TEXT, 0, NULL), SP_TIMEOUT);
        assert_false(sp_cache_peek(cache, set, strlen(set), &value));
        control("thaw", "redis");
        assert_int_equal(set_text(way, cache, set, "newer"), SP_OK);
        while (sp__mirror_owing(&cache->log.mirror) > 0)
                wait_ms(1);
        reads(way, cache, set, "newer");
        assert_false(is_text(way, cache, dropped, "old"));
        sp_targets_free(targets);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

/* As of a value of other programs', which nothing tells from a later one. */
static void test_a_set_that_was_given_up_is_not_made_again_with_its_script(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"redis.timeout=60s", "cache.bound=60s", NULL});
        sp_ctx *ctx = ctx_set("timeout", "50ms");
        char name[64], text[80], key[80];
        redisReply *reply;

        fresh_key("f:again", name, sizeof name);
        snprintf(text, sizeof text, "%s:{id}", name);
        snprintf(key, sizeof key, "%s:7", name);
        declare(cache, text, "raw=text", NULL);
        assert_int_equal(set_text(way, cache, key, "old"), SP_OK);
        foreign_does("SCRIPT FLUSH");
        control("freeze", "redis");
        assert_int_equal(way->set(cache, ctx, key, strlen(key), "new", 3, SP_CODEC_TEXT, 0, NULL), SP_TIMEOUT);
        control("thaw", "redis");
        /* It waits for what is under way. */
        sp_cache_free(cache);
        reply = foreign("GET %s", key);
        assert_string_equal(reply->str, "old");
        freeReplyObject(reply);
        sp_ctx_unref(ctx);
}

static void test_a_server_back_from_an_old_snapshot_has_nothing_that_was_invalidated(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other;
        char key[64];

        fresh_key("f:snapshot", key, sizeof key);
        put_text(way, cache, key, "old");
        foreign_does("SAVE");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        put_text(way, cache, key, "new");
        control("kill", "redis");
        control("start", "redis");
        other = cache_with(way, NULL);
        reads(way, other, key, "");
        await_recovery(way, cache);
        assert_false(is_text(way, cache, key, "old"));
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_values_are_served_from_memory_only_within_the_bound(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.bound=200ms", NULL});
        sp_value *value;
        int64_t stopped;
        char key[64];

        fresh_key("f:bound", key, sizeof key);
        keep(way, cache, key, "one");
        control("stop", "redis");
        stopped = sp__now();
        while (sp_cache_peek(cache, key, strlen(key), &value)) {
                sp_value_unref(value);
                assert_true(sp__now() - stopped < 2 * SP__SECOND);
        }
        control("start", "redis");
        await_recovery(way, cache);
        sp_cache_free(cache);
}

static void test_a_wrong_password_is_told_apart_and_never_shown(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_config *config = sp_config_new();
        sp_cache *cache = NULL;
        sp_error *error = NULL;
        char url[128];

        snprintf(url, sizeof url, "redis://sugar:hunter2@%s", strstr(getenv("REDIS_URL"), "127.0.0.1"));
        assert_int_equal(sp_config_set(config, "redis.url", url, NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(look(way, cache, "f:auth", &error), SP_AUTH);
        says(error, "WRONGPASS", "hunter2");
        sp_cache_free(cache);
        sp_config_free(config);
}

static void test_a_database_that_redis_has_not_is_told(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_config *config = sp_config_new();
        sp_cache *cache = NULL;
        sp_error *error = NULL;
        char url[128];

        snprintf(url, sizeof url, "redis://127.0.0.1:%d/9999", atoi(strstr(getenv("REDIS_URL"), "127.0.0.1:") + 10));
        assert_int_equal(sp_config_set(config, "redis.url", url, NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(look(way, cache, "f:db", &error), SP_CONFIG);
        says(error, "9999", "no such text");
        sp_cache_free(cache);
        sp_config_free(config);
}

/* A listener that nobody accepts from: the kernel answers, the server never does. Connecting to the stream and for commands must
 * not follow one upon the other, or this is too late. */
static void test_a_mute_server_costs_one_connect_timeout(void **state)
{
        const struct cache_way *way = way_of(state);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        sp_config *config = sp_config_new();
        sp_cache *cache = NULL;
        sp_lookup *lookup = NULL;
        sp_ctx *ctx = sp_ctx_new(NULL);
        char url[64];

        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listener, 16), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        snprintf(url, sizeof url, "redis://127.0.0.1:%d", ntohs(address.sin_port));
        assert_int_equal(sp_config_set(config, "redis.url", url, NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "redis.connect_timeout", "2s", NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "redis.timeout", "10ms", NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        assert_int_equal(sp_ctx_set(ctx, "timeout", "3500ms", NULL), SP_OK);
        assert_int_equal(way->lookup(cache, ctx, "f:mute", 6, &lookup, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_LEASE);
        sp_lookup_free(lookup);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
        sp_config_free(config);
        close(listener);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_without_redis_one_loads_for_all_or_calls_fail),
            WAY_TEST(test_an_invalidation_that_redis_missed_holds_here_and_is_made_up_for),
            WAY_TEST(test_what_is_owed_lapses_with_the_last_entry_that_it_is_about),
            WAY_TEST(test_a_set_outlives_what_was_owed_before_it),
            WAY_TEST(test_a_lease_is_given_back_where_redis_refused_or_lost_it),
            WAY_TEST(test_a_lease_is_given_back_where_the_answer_to_its_taking_was_lost),
            WAY_TEST(test_a_lease_that_is_given_back_late_is_not_the_next_one),
            WAY_TEST(test_a_fill_that_comes_too_late_leaves_the_next_one_its_waiters),
            WAY_TEST(test_a_server_that_hangs_is_given_up_in_time),
            WAY_TEST(test_an_invalidation_ends_with_its_caller_s_time),
            WAY_TEST(test_what_is_cut_off_by_its_caller_s_time_is_bypassed_at_once),
            WAY_TEST(test_a_set_that_was_given_up_is_not_made_again_with_its_script),
            WAY_TEST(test_a_server_back_from_an_old_snapshot_has_nothing_that_was_invalidated),
            WAY_TEST(test_values_are_served_from_memory_only_within_the_bound),
            WAY_TEST(test_a_wrong_password_is_told_apart_and_never_shown),
            WAY_TEST(test_a_database_that_redis_has_not_is_told),
            WAY_TEST(test_a_mute_server_costs_one_connect_timeout),
        };

        return RUN_OVER_WAYS("cache faults", tests, WAYS_WITH_REDIS);
}
