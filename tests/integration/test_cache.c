/* SPDX-License-Identifier: MIT */
/* A value is loaded once, found in both levels, and gone everywhere in this process when its invalidation returns. */
#include "../support/child.h"
#include "cache_way.h"

#include "cache/cache.h"
#include "redis/address.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/schedule.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_a_lease_is_filled_and_found_in_both_levels(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other;
        sp_value *value = NULL;
        char key[64];
        size_t len;

        fresh_key("t:first", key, sizeof key);
        assert_int_equal(sp_cache_peek(cache, key, strlen(key), &value), 0);
        put_text(way, cache, key, "one");
        assert_int_equal(sp_cache_peek(cache, key, strlen(key), &value), 1);
        assert_string_equal(sp_value_data(value, &len), "one");
        assert_int_equal(sp_value_codec(value), SP_CODEC_TEXT);
        sp_value_unref(value);
        reads(way, cache, key, "one");
        other = cache_with(way, NULL);
        reads(way, other, key, way->redis ? "one" : "");
        if (way->redis)
                assert_int_equal(sp_cache_hits(other), 1);
        assert_int_equal(sp_cache_misses(cache), 1);
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_a_released_lease_goes_to_the_next(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = cache_with(way, NULL);
        char key[64];

        fresh_key("t:release", key, sizeof key);
        sp_lease_release(lease_of(way, cache, key));
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        put_text(way, other, key, "theirs");
        reads(way, cache, key, way->redis ? "theirs" : "");
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_an_invalidated_key_is_a_miss_at_once(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_value *value;
        char key[64];

        fresh_key("t:drop", key, sizeof key);
        put_text(way, cache, key, "old");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(sp_cache_peek(cache, key, strlen(key), &value), 0);
        put_text(way, cache, key, "new");
        reads(way, cache, key, "new");
        sp_cache_free(cache);
}

static void test_a_fill_after_an_invalidation_is_lost(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lease *lease;
        char key[64];

        fresh_key("t:late", key, sizeof key);
        lease = lease_of(way, cache, key);
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        assert_int_equal(fill_text(way, lease, "old"), SP_LEASE_LOST);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);

        lease = lease_of(way, cache, key);
        assert_int_equal(sp_lease_tag(lease, "tag-of-late", 11), SP_OK);
        assert_int_equal(drop_tag(way, cache, "tag-of-late"), SP_OK);
        assert_int_equal(fill_text(way, lease, "old"), SP_LEASE_LOST);
        assert_int_equal(state_of(way, cache, key), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
}

static void test_a_tag_of_the_loader_drops_its_entries_alone(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        char tagged[64], plain[64], tag[64];
        sp_lease *lease;

        fresh_key("t:tagged", tagged, sizeof tagged);
        fresh_key("t:plain", plain, sizeof plain);
        fresh_key("tag", tag, sizeof tag);
        lease = lease_of(way, cache, tagged);
        assert_int_equal(sp_lease_tag(lease, tag, strlen(tag)), SP_OK);
        assert_int_equal(fill_text(way, lease, "tagged"), SP_OK);
        put_text(way, cache, plain, "plain");
        assert_int_equal(drop_tag(way, cache, tag), SP_OK);
        assert_int_equal(state_of(way, cache, tagged), SP_LOOKUP_LEASE);
        reads(way, cache, plain, "plain");
        sp_cache_free(cache);
}

static void test_a_pattern_drops_the_keys_that_match_alone(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_error *error = NULL;

        declare(cache, "pat:recs:{userId}:{limit}", NULL, (const char *[]){"pat:recs:*", "pat:recs:{userId}:*", NULL});
        (void)drop_pattern(way, cache, "pat:recs:*", NULL, NULL);
        put_text(way, cache, "pat:recs:u1:10", "mine");
        put_text(way, cache, "pat:recs:u1:20", "also mine");
        put_text(way, cache, "pat:recs:u2:10", "theirs");
        assert_int_equal(drop_pattern(way, cache, "pat:recs:{userId}:*", "u1", NULL), SP_OK);
        assert_int_equal(state_of(way, cache, "pat:recs:u1:10"), SP_LOOKUP_LEASE);
        assert_int_equal(state_of(way, cache, "pat:recs:u1:20"), SP_LOOKUP_LEASE);
        reads(way, cache, "pat:recs:u2:10", "theirs");
        assert_int_equal(drop_pattern(way, cache, "pat:recs:*", NULL, NULL), SP_OK);
        assert_int_equal(state_of(way, cache, "pat:recs:u2:10"), SP_LOOKUP_LEASE);
        assert_int_equal(drop_pattern(way, cache, "pat:nobody:*", NULL, way->redis ? &error : NULL), SP_INVALID);
        if (error)
                says(error, "pat:nobody:*", NULL);
        sp_cache_free(cache);
}

static void test_an_absent_value_is_remembered_for_its_own_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache =
            cache_with(way, (const char *[]){"cache.negative=1h", "cache.ttl=1ms", "cache.jitter=0", NULL});
        sp_lookup *lookup = NULL;
        char key[64];

        fresh_key("t:absent", key, sizeof key);
        assert_int_equal(way->fill(lease_of(way, cache, key), NULL, NULL, 0, SP_CODEC_ABSENT, 0, NULL), SP_OK);
        assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &lookup, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(lookup), SP_LOOKUP_HIT);
        assert_int_equal(sp_value_codec(sp_lookup_value(lookup)), SP_CODEC_ABSENT);
        sp_lookup_free(lookup);
        sp_cache_free(cache);
}

static void test_a_stale_value_is_served_while_one_refreshes(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", "cache.retry=0", NULL});
        sp_lookup *first = NULL, *second = NULL;
        int64_t until;
        char key[64];

        declare(cache, "stale:one:{id}", "ttl=20ms stale=1h", NULL);
        fresh_key("stale:one", key, sizeof key);
        put_text(way, cache, key, "old");
        until = sp__now() + 25 * SP__MS;
        while (sp__now() < until)
                reads(way, cache, key, "old");
        assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &first, NULL), SP_OK);
        assert_int_equal(way->lookup(cache, NULL, key, strlen(key), &second, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(first), SP_LOOKUP_STALE);
        assert_int_equal(sp_lookup_state(second), SP_LOOKUP_STALE);
        assert_null(sp_lookup_take_lease(second));
        assert_int_equal(way->fill(sp_lookup_take_lease(first), NULL, "new", 3, SP_CODEC_TEXT, 3600000, NULL), SP_OK);
        reads(way, cache, key, "new");
        sp_lookup_free(first);
        sp_lookup_free(second);
        sp_cache_free(cache);
}

static void test_redis_alone_where_there_is_no_memory(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.memory=0", NULL});
        sp_value *value;
        char key[64];

        fresh_key("t:alone", key, sizeof key);
        put_text(way, cache, key, "one");
        assert_int_equal(sp_cache_peek(cache, key, strlen(key), &value), 0);
        reads(way, cache, key, way->redis ? "one" : "");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        reads(way, cache, key, "");
        sp_cache_free(cache);
}

struct crowd {
        const struct cache_way *way;
        sp_cache *caches[2];
        const char *key;
        pthread_barrier_t gate;
        atomic_int loads;
        atomic_int right;
};

static void *crowd_member(void *arg)
{
        struct crowd *crowd = arg;
        static atomic_uint turn;
        sp_cache *cache = crowd->caches[atomic_fetch_add(&turn, 1) % 2];
        sp_lookup *lookup = NULL;
        size_t len = 0;

        pthread_barrier_wait(&crowd->gate);
        if (crowd->way->lookup(cache, NULL, crowd->key, strlen(crowd->key), &lookup, NULL) != SP_OK)
                return NULL;
        if (sp_lookup_state(lookup) == SP_LOOKUP_LEASE) {
                atomic_fetch_add(&crowd->loads, 1);
                crowd->way->fill(sp_lookup_take_lease(lookup), NULL, "loaded", 6, SP_CODEC_TEXT, 0, NULL);
                atomic_fetch_add(&crowd->right, 1);
        } else if (strcmp(sp_value_data(sp_lookup_value(lookup), &len), "loaded") == 0) {
                atomic_fetch_add(&crowd->right, 1);
        }
        sp_lookup_free(lookup);
        return NULL;
}

static void test_many_threads_on_a_cold_key_make_one_load(void **state)
{
        enum { THREADS = 32 };
        const struct cache_way *way = way_of(state);
        struct crowd crowd = {.way = way};
        pthread_t threads[THREADS];
        char key[64];

        crowd.caches[0] = cache_with(way, NULL);
        crowd.caches[1] = way->redis ? cache_with(way, NULL) : crowd.caches[0];
        crowd.key = fresh_key("t:crowd", key, sizeof key);
        pthread_barrier_init(&crowd.gate, NULL, THREADS);
        for (int i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, crowd_member, &crowd);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&crowd.loads), 1);
        assert_int_equal(atomic_load(&crowd.right), THREADS);
        pthread_barrier_destroy(&crowd.gate);
        if (way->redis)
                sp_cache_free(crowd.caches[1]);
        sp_cache_free(crowd.caches[0]);
}

static void test_the_oldest_waiter_loads_when_the_lease_is_over(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, (const char *[]){"cache.lease=50ms", NULL});
        sp_lease *dead;
        char key[64];

        fresh_key("t:dead", key, sizeof key);
        dead = lease_of(way, cache, key);
        put_text(way, cache, key, "by the next");
        assert_int_equal(fill_text(way, dead, "late"), SP_LEASE_LOST);
        reads(way, cache, key, "by the next");
        sp_cache_free(cache);
}

static void test_a_deadline_and_a_cancel_end_the_wait(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_lookup *lookup;
        sp_lease *lease;
        char key[64];

        fresh_key("t:wait", key, sizeof key);
        lease = lease_of(way, cache, key);
        assert_int_equal(sp_ctx_set(ctx, "timeout", "20ms", NULL), SP_OK);
        assert_int_equal(way->lookup(cache, ctx, key, strlen(key), &lookup, NULL), SP_TIMEOUT);
        sp_ctx_cancel(ctx);
        assert_int_equal(way->lookup(cache, ctx, key, strlen(key), &lookup, NULL), SP_CANCELLED);
        assert_int_equal(atomic_load(&cache->errors), 1);
        assert_int_equal(atomic_load(&cache->misses), 1);
        assert_int_equal(fill_text(way, lease, "one"), SP_OK);
        reads(way, cache, key, "one");
        assert_int_equal(atomic_load(&cache->errors), 1);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void *close_cache(void *arg)
{
        sp_cache_close(arg);
        return NULL;
}

static void test_closing_wakes_who_waits(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_lookup *lookup;
        sp_lease *lease;
        pthread_t thread;
        sp_status status;
        char key[64];

        fresh_key("t:close", key, sizeof key);
        lease = lease_of(way, cache, key);
        pthread_create(&thread, NULL, close_cache, cache);
        /* Before or while it waits: closed either way. */
        status = way->lookup(cache, NULL, key, strlen(key), &lookup, NULL);
        assert_int_equal(status, SP_CLOSED);
        pthread_join(thread, NULL);
        sp_lease_release(lease);
        sp_cache_free(cache);
}

static void test_answers_and_leases_outlive_the_cache(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_completion *done[4];
        sp_queue *queue = NULL;
        sp_lease *lease, *late;
        char keys[3][64];
        size_t count = 0;

        for (int i = 0; i < 3; i++)
                fresh_key("t:outlive", keys[i], sizeof keys[i]);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        put_text(way, cache, keys[0], "one");
        lease = lease_of(way, cache, keys[1]);
        late = lease_of(way, cache, keys[2]);
        /* A hit, one who waits, and a lease in nobody's hands. */
        assert_int_equal(sp_cache_lookup_async(cache, NULL, keys[0], strlen(keys[0]), queue, 7), SP_OK);
        assert_int_equal(sp_cache_lookup_async(cache, NULL, keys[1], strlen(keys[1]), queue, 7), SP_OK);
        assert_int_equal(sp_cache_lookup_async(cache, NULL, "t:outlive", 9, queue, 7), SP_OK);
        sp_cache_free(cache);
        sp_lease_release(lease);
        assert_int_equal(fill_text(way, late, "late"), SP_CLOSED);
        while (count < 3)
                count += sp_queue_wait(queue, done + count, 3 - count, -1);
        while (count > 0)
                sp_completion_free(done[--count]);
        sp_queue_free(queue);
}

static void test_hosts_by_name_sockets_and_databases(void **state)
{
        const struct cache_way *way = way_of(state);
        const char *port = strrchr(getenv("REDIS_URL"), ':');
        char named[128], local[256], key[64];
        sp_cache *cache, *other;

        if (!way->redis)
                return;
        fresh_key("t:address", key, sizeof key);
        snprintf(named, sizeof named, "redis.url=redis://sugar:sweet@localhost%.*s/1", (int)strcspn(port, "/"), port);
        snprintf(local, sizeof local, "redis.url=%.*s?db=1", (int)strcspn(getenv("SP_TEST_REDIS_SOCKET"), "?"),
                 getenv("SP_TEST_REDIS_SOCKET"));
        cache = cache_with(way, (const char *[]){named, NULL});
        put_text(way, cache, key, "in database 1");
        other = cache_with(way, (const char *[]){local, NULL});
        reads(way, other, key, "in database 1");
        sp_cache_free(other);
        other = cache_with(way, NULL);
        reads(way, other, key, "");
        sp_cache_free(other);
        sp_cache_free(cache);
}

static int refused_in_a_child(const struct cache_way *way, sp_cache *cache, const char *key)
{
        sp_lookup *lookup = NULL;
        sp_value *value = NULL;
        int right = way->lookup(cache, NULL, key, strlen(key), &lookup, NULL) == SP_FORKED &&
                    !sp_cache_peek(cache, key, strlen(key), &value) && drop_key(way, cache, key, NULL) == SP_FORKED;

        sp_cache_free(cache);
        return right;
}

static void test_a_child_is_refused_and_leaves_the_parents_connections(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        int status = 0;
        char key[64];
        pid_t pid;

        fresh_key("t:fork", key, sizeof key);
        put_text(way, cache, key, "one");
        pid = child_fork();
        if (pid == 0)
                _exit(refused_in_a_child(way, cache, key) ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        reads(way, cache, key, "one");
        assert_int_equal(drop_key(way, cache, key, NULL), SP_OK);
        put_text(way, cache, key, "two");
        sp_cache_free(cache);
}

struct loading {
        int calls;
        sp_status status;
        const char *text;
};

static sp_status loader(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct loading *loading = arg;

        loading->calls++;
        if (loading->status == SP_OK)
                *out = sp_value_new(loading->text, strlen(loading->text), SP_CODEC_TEXT);
        return loading->status;
}

static void test_get_or_load(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct loading loading = {.status = SP_SQL, .text = "loaded"};
        sp_value *value = NULL;
        size_t len;
        char key[64];

        fresh_key("t:load", key, sizeof key);
        assert_int_equal(sp_cache_get_or_load(cache, NULL, key, strlen(key), loader, &loading, &value, NULL), SP_SQL);
        loading.status = SP_OK;
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_cache_get_or_load(cache, NULL, key, strlen(key), loader, &loading, &value, NULL),
                                 SP_OK);
                assert_string_equal(sp_value_data(value, &len), "loaded");
                sp_value_unref(value);
        }
        assert_int_equal(loading.calls, 2);
        loading.status = SP_NOT_FOUND;
        fresh_key("t:nothing", key, sizeof key);
        for (int i = 0; i < 2; i++)
                assert_int_equal(sp_cache_get_or_load(cache, NULL, key, strlen(key), loader, &loading, &value, NULL),
                                 SP_NOT_FOUND);
        assert_int_equal(loading.calls, 3);
        sp_cache_free(cache);
}

static sp_status query_text(const struct cache_way *way, sp_cache *cache, sp_pool *pool, const char *key,
                            const char *text, uint32_t mode, sp_value **out)
{
        sp_stmt *stmt = stmt_of(text);
        sp_status status = way->query(cache, pool, NULL, key, strlen(key), stmt, NULL, mode, out, NULL);

        sp_stmt_unref(stmt);
        return status;
}

static void test_a_query_runs_once(void **state)
{
        static const char text[] = "SELECT clock_timestamp()::text";
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_pool *pool = pool_with(NULL);
        sp_value *first = NULL, *second = NULL;
        size_t len, again;
        char key[64];

        fresh_key("t:query", key, sizeof key);
        assert_int_equal(query_text(way, cache, pool, key, text, SP_QUERY_RESULT, &first), SP_OK);
        assert_int_equal(query_text(way, cache, pool, key, text, SP_QUERY_RESULT, &second), SP_OK);
        assert_int_equal(sp_value_codec(first), SP_CODEC_RESULT);
        sp_value_data(first, &len);
        assert_memory_equal(sp_value_data(first, &again), sp_value_data(second, &again), len);
        sp_value_unref(first);
        sp_value_unref(second);

        fresh_key("t:cell", key, sizeof key);
        assert_int_equal(query_text(way, cache, pool, key, "SELECT '{\"a\": 1}'::jsonb", SP_QUERY_CELL, &first), SP_OK);
        assert_int_equal(sp_value_codec(first), SP_CODEC_JSON);
        assert_string_equal(sp_value_data(first, &len), "{\"a\": 1}");
        sp_value_unref(first);
        fresh_key("t:none", key, sizeof key);
        for (int i = 0; i < 2; i++)
                assert_int_equal(query_text(way, cache, pool, key, "SELECT 1 WHERE false", SP_QUERY_CELL, &first),
                                 SP_NOT_FOUND);
        assert_int_equal(query_text(way, cache, pool, "t:error", "SELECT 1/0", SP_QUERY_CELL, &first), SP_SQL);
        assert_int_equal(state_of(way, cache, "t:error"), SP_LOOKUP_LEASE);
        sp_cache_free(cache);
        sp_pool_free(pool);
}

/* Whether it is refused, by name. */
static bool is_refused(const struct cache_way *way, sp_cache *cache, sp_pool *pool, const char *text, uint32_t flags)
{
        sp_error *error = NULL;
        sp_value *value = NULL;
        sp_status status;
        char key[64];
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new("writing", text, strlen(text), flags, &stmt, NULL), SP_OK);
        fresh_key("t:write", key, sizeof key);
        status = way->query(cache, pool, NULL, key, strlen(key), stmt, NULL, SP_QUERY_CELL, &value, &error);
        assert_true(status == SP_OK || status == SP_INVALID);
        if (status == SP_INVALID)
                assert_non_null(strstr(sp_error_message(error), "statement \"writing\" writes"));
        sp_error_free(error);
        sp_value_unref(value);
        sp_stmt_unref(stmt);
        return status == SP_INVALID;
}

static void test_what_writes_is_refused(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_pool *pool = pool_with(NULL);
        sp_template *tmpl = NULL;
        sp_warm *warm = NULL;
        sp_stmt *list = stmt_of("SELECT 1"), *load = stmt_of("UPDATE t_written SET n = n + 1 RETURNING n");

        run(&ways[0], pool, "CREATE TABLE IF NOT EXISTS t_written AS SELECT 7 AS n");
        run(&ways[0], pool,
            "CREATE OR REPLACE FUNCTION t_write() RETURNS integer LANGUAGE sql VOLATILE AS "
            "'UPDATE t_written SET n = n + 1 RETURNING 1'");
        assert_true(is_refused(way, cache, pool, "UPDATE t_written SET n = n + 1 RETURNING n", 0));
        assert_true(is_refused(way, cache, pool, "UPDATE t_written SET n = 7 RETURNING n", SP_STMT_IDEMPOTENT));
        assert_true(
            is_refused(way, cache, pool, "WITH w AS (UPDATE t_written SET n = n + 1 RETURNING n) SELECT n FROM w", 0));
        assert_true(is_refused(way, cache, pool, "SELECT n FROM t_written FOR UPDATE", 0));
        assert_true(is_refused(way, cache, pool, "SELECT 'declared'", SP_STMT_WRITE));
        assert_false(is_refused(way, cache, pool, "WITH w AS (SELECT n FROM t_written) SELECT n FROM w", 0));
        assert_int_equal(number(&ways[0], pool, "SELECT n FROM t_written WHERE $1 = 1", 1), 7);
        /* That it writes its text does not show. */
        assert_false(is_refused(way, cache, pool, "SELECT t_write()", 0));
        assert_int_equal(sp_template_new("t:warm:{id}", NULL, &tmpl, NULL), SP_OK);
        assert_int_equal(sp_warm_new(cache, pool, list, NULL, tmpl, load, SP_QUERY_CELL, &warm, NULL), SP_INVALID);
        run(&ways[0], pool, "DROP FUNCTION t_write()");
        run(&ways[0], pool, "DROP TABLE t_written");
        sp_stmt_unref(load);
        sp_stmt_unref(list);
        sp_template_unref(tmpl);
        sp_cache_free(cache);
        sp_pool_free(pool);
}

static void test_the_report_and_the_rate(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_value *report = NULL;
        char key[64];
        size_t len;

        assert_true(sp_cache_hit_rate(cache) == 0);
        fresh_key("t:rate", key, sizeof key);
        put_text(way, cache, key, "one");
        for (int i = 0; i < 3; i++)
                reads(way, cache, key, "one");
        assert_int_equal(sp_cache_report(cache, &report), SP_OK);
        assert_string_equal(sp_value_data(report, &len),
                            "{\"cache_hits_total\":3,\"cache_misses_total\":1,\"cache_hit_rate\":75.00}");
        sp_value_unref(report);
        sp_cache_free(cache);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_a_lease_is_filled_and_found_in_both_levels),
            WAY_TEST(test_a_released_lease_goes_to_the_next),
            WAY_TEST(test_an_invalidated_key_is_a_miss_at_once),
            WAY_TEST(test_a_fill_after_an_invalidation_is_lost),
            WAY_TEST(test_a_tag_of_the_loader_drops_its_entries_alone),
            WAY_TEST(test_a_pattern_drops_the_keys_that_match_alone),
            WAY_TEST(test_an_absent_value_is_remembered_for_its_own_time),
            WAY_TEST(test_a_stale_value_is_served_while_one_refreshes),
            WAY_TEST(test_redis_alone_where_there_is_no_memory),
            WAY_TEST(test_many_threads_on_a_cold_key_make_one_load),
            WAY_TEST(test_the_oldest_waiter_loads_when_the_lease_is_over),
            WAY_TEST(test_a_deadline_and_a_cancel_end_the_wait),
            WAY_TEST(test_closing_wakes_who_waits),
            WAY_TEST(test_answers_and_leases_outlive_the_cache),
            WAY_TEST(test_hosts_by_name_sockets_and_databases),
            WAY_TEST(test_a_child_is_refused_and_leaves_the_parents_connections),
            WAY_TEST(test_get_or_load),
            WAY_TEST(test_a_query_runs_once),
            WAY_TEST(test_what_writes_is_refused),
            WAY_TEST(test_the_report_and_the_rate),
        };

        return RUN_OVER_WAYS("cache", tests, CACHE_WAYS);
}
