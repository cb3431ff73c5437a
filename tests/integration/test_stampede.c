/* SPDX-License-Identifier: MIT */
/* What many processes want at once is loaded once, and never more at a time than is allowed. */
#include "../support/child.h"
#include "../support/foreign.h"
#include "cache_ways.h"

#include "base/clock.h"
#include "base/random.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4, CALLERS = 125, KEYS = 10000, THREADS = 16, LOADS = 2, TTL_MS = 2500, BOUND_MS = 1000 };

/* Shared by all processes. */
struct tally {
        atomic_int ready;
        atomic_int go;
        atomic_int loads;
        atomic_int right;
        atomic_int loading;
        atomic_int most;
        atomic_int refused;
        atomic_int of_key[KEYS];
        int keys; /* of them */
        char key[64];
};

static struct tally *tally;

static const struct cache_way *way_of(void **state)
{
        return *state;
}

static void sleep_ms(int64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * SP__MS}, NULL);
}

static void begin(void)
{
        tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(tally != MAP_FAILED);
        fresh_key("stampede", tally->key, sizeof tally->key);
}

static void end(void)
{
        munmap(tally, sizeof *tally);
}

/* Runs `body` in so many processes, which begin together; `harm` (may be NULL) is done to them meanwhile. */
static void everywhere(void (*body)(const struct cache_way *way), const struct cache_way *way,
                       void (*harm)(const pid_t pids[]))
{
        pid_t pids[PROCESSES];

        for (int i = 0; i < PROCESSES; i++) {
                pids[i] = child_fork();
                if (pids[i] == 0) {
                        body(way);
                        fflush(NULL);
                        _exit(0);
                }
        }
        while (atomic_load(&tally->ready) < PROCESSES)
                sleep_ms(1);
        atomic_store(&tally->go, 1);
        if (harm)
                harm(pids);
        for (int i = 0; i < PROCESSES; i++) {
                int status = 0;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
}

static void wait_for_all(void)
{
        atomic_fetch_add(&tally->ready, 1);
        while (!atomic_load(&tally->go))
                sleep_ms(1);
}

/* Takes its time, and sees how many do so at once. */
static void load_slowly(int64_t ms)
{
        int now = atomic_fetch_add(&tally->loading, 1) + 1, most = atomic_load(&tally->most);

        while (now > most && !atomic_compare_exchange_weak(&tally->most, &most, now))
                continue;
        atomic_fetch_add(&tally->loads, 1);
        sleep_ms(ms);
        atomic_fetch_sub(&tally->loading, 1);
}

static void judge(sp_value *value)
{
        size_t len = 0;

        if (value && strcmp(sp_value_data(value, &len), "loaded") == 0)
                atomic_fetch_add(&tally->right, 1);
}

static sp_status load_once(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        load_slowly(100);
        *out = sp_value_new("loaded", 6, SP_CODEC_TEXT);
        return SP_OK;
}

static void *one_caller(void *cache)
{
        sp_value *value = NULL;

        if (sp_cache_get_or_load(cache, NULL, tally->key, strlen(tally->key), load_once, NULL, &value, NULL) == SP_OK)
                judge(value);
        sp_value_unref(value);
        return NULL;
}

static void many_threads(sp_cache *cache)
{
        pthread_t threads[CALLERS];

        for (int i = 0; i < CALLERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, one_caller, cache), 0);
        for (int i = 0; i < CALLERS; i++)
                pthread_join(threads[i], NULL);
}

static void answer(sp_completion *completion)
{
        sp_lookup *lookup = sp_completion_take_lookup(completion);
        sp_lease *lease = sp_lookup_take_lease(lookup);

        if (lease) {
                load_slowly(100);
                assert_int_equal(sp_lease_fill(lease, NULL, "loaded", 6, SP_CODEC_TEXT, 0, NULL), SP_OK);
                atomic_fetch_add(&tally->right, 1);
        } else {
                judge(sp_lookup_value(lookup));
        }
        sp_lookup_free(lookup);
        sp_completion_free(completion);
}

static void many_completions(sp_cache *cache)
{
        sp_queue *queue = NULL;
        sp_completion *done;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        for (int i = 0; i < CALLERS; i++)
                assert_int_equal(sp_cache_lookup_async(cache, NULL, tally->key, strlen(tally->key), queue, 7), SP_OK);
        for (int i = 0; i < CALLERS; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, 60000), 1);
                answer(done);
        }
        sp_queue_free(queue);
}

static void call_all(const struct cache_way *way)
{
        sp_cache *cache = cache_with(way, NULL);

        wait_for_all();
        if (way->lookup == sp_cache_lookup)
                many_threads(cache);
        else
                many_completions(cache);
        sp_cache_free(cache);
}

static void test_500_callers_in_4_processes_make_one_load(void **state)
{
        begin();
        everywhere(call_all, way_of(state), NULL);
        assert_int_equal(atomic_load(&tally->loads), 1);
        assert_int_equal(atomic_load(&tally->right), PROCESSES * CALLERS);
        end();
}

static void query_all(const struct cache_way *way)
{
        sp_cache *cache = cache_with(way, NULL);
        sp_pool *pool = pool_with(NULL);
        sp_stmt *stmt = stmt_of("SELECT stampede_run() FROM pg_sleep(0.1)");
        sp_queue *queue = NULL;
        sp_completion *done;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        wait_for_all();
        for (int i = 0; i < CALLERS; i++)
                assert_int_equal(sp_cache_query_async(cache, pool, NULL, tally->key, strlen(tally->key), stmt, NULL,
                                                      SP_QUERY_CELL, queue, 7),
                                 SP_OK);
        for (int i = 0; i < CALLERS; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, 60000), 1);
                assert_int_equal(sp_completion_status(done), SP_OK);
                if (strcmp(sp_value_data(sp_completion_value(done), &len), "1") == 0)
                        atomic_fetch_add(&tally->right, 1);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_cache_free(cache);
        sp_pool_free(pool);
}

static void sql(const char *text)
{
        sp_pool *pool = pool_with(NULL);

        run(&ways[0], pool, text);
        sp_pool_free(pool);
}

static void test_500_queries_in_4_processes_run_once(void **state)
{
        begin();
        sql("CREATE TABLE stampede (n integer)");
        sql("INSERT INTO stampede VALUES (0)");
        sql("CREATE FUNCTION stampede_run() RETURNS integer LANGUAGE sql AS 'UPDATE stampede SET n = n + 1 RETURNING "
            "n'");
        everywhere(query_all, way_of(state), NULL);
        sql("DROP FUNCTION stampede_run()");
        sql("DROP TABLE stampede");
        assert_int_equal(atomic_load(&tally->right), PROCESSES * CALLERS);
        end();
}

static size_t key_of(int i, char *out, size_t cap)
{
        return (size_t)snprintf(out, cap, "%s:%d", tally->key, i);
}

/* Threads of one process read all keys over and over, each from another one on, until all were loaded again. */
struct reader {
        sp_cache *cache;
        int first;
        pthread_t thread;
};

static sp_status load_key(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        atomic_fetch_add(&tally->of_key[*(const int *)arg], 1);
        load_slowly(1);
        /* It does not expire again while this runs. */
        sp_lease_ttl(lease, 3600000);
        *out = sp_value_new("loaded", 6, SP_CODEC_TEXT);
        return SP_OK;
}

static void *read_all(void *arg)
{
        struct reader *reader = arg;

        for (int i = reader->first % tally->keys; atomic_load(&tally->loads) < tally->keys; i = (i + 1) % tally->keys) {
                sp_value *value = NULL;
                char key[96];
                size_t len = key_of(i, key, sizeof key);

                if (sp_cache_get_or_load(reader->cache, NULL, key, len, load_key, &i, &value, NULL) != SP_OK)
                        atomic_fetch_add(&tally->refused, 1);
                sp_value_unref(value);
        }
        return NULL;
}

/* On a busy machine neither a late answer nor a late load is given up, which would cost a second one. */
static void outlast_the_expiry(const struct cache_way *way)
{
        char bound[32];
        sp_cache *cache;
        struct reader readers[THREADS];

        snprintf(bound, sizeof bound, "cache.loads=%d", LOADS);
        cache = cache_with(way, (const char *[]){bound, "cache.jitter=0", "redis.connect_timeout=30s",
                                                 "redis.timeout=30s", "cache.lease=60s", NULL});
        wait_for_all();
        for (int i = 0; i < THREADS; i++) {
                readers[i] = (struct reader){.cache = cache, .first = (int)(sp__random_seed() % KEYS)};
                assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(readers[i].thread, NULL);
        sp_cache_free(cache);
}

/* All of them, with one time to live. */
static void fill_all(const struct cache_way *way)
{
        sp_cache *cache = cache_with(way, (const char *[]){"cache.jitter=0", NULL});
        sp_params *keys = sp_params_new();
        sp_lookups *lookups = NULL;

        for (int i = 0; i < tally->keys; i++) {
                char key[96];

                sp_params_add_text(keys, key, key_of(i, key, sizeof key));
        }
        assert_int_equal(sp_cache_lookup_many(cache, NULL, keys, &lookups, NULL), SP_OK);
        for (size_t i = 0; i < (size_t)tally->keys; i++)
                assert_int_equal(sp_lookups_put(lookups, i, "loaded", 6, SP_CODEC_TEXT, TTL_MS, NULL), SP_OK);
        assert_int_equal(sp_lookups_fill(lookups, NULL, NULL), SP_OK);
        sp_lookups_free(lookups);
        sp_params_free(keys);
        sp_cache_free(cache);
}

static void expire_together(const struct cache_way *way, int keys, void (*harm)(const pid_t pids[]))
{
        int most_of_one = 0;

        begin();
        tally->keys = keys;
        fill_all(way);
        everywhere(outlast_the_expiry, way, harm);
        for (int i = 0; i < keys; i++) {
                int loads = atomic_load(&tally->of_key[i]);

                most_of_one = loads > most_of_one ? loads : most_of_one;
        }
        printf("# %d loads of %d keys, at most %d at once, %d refused\n", atomic_load(&tally->loads), keys,
               atomic_load(&tally->most), atomic_load(&tally->refused));
        assert_int_equal(most_of_one, 1);
        assert_int_equal(atomic_load(&tally->loads), keys);
        assert_true(atomic_load(&tally->most) <= PROCESSES * LOADS);
        assert_int_equal(atomic_load(&tally->refused), 0);
        end();
}

static void test_10000_keys_that_expire_together_are_loaded_once_and_few_at_a_time(void **state)
{
        expire_together(way_of(state), KEYS, NULL);
}

/*
 * Subscriptions are killed, scripts forgotten, and processes stand still for longer than what they know is proven: in process
 * nothing may be believed, but what Redis has is loaded by nobody.
 */
static void make_unsure(const pid_t pids[])
{
        for (int round = 0; atomic_load(&tally->loads) < tally->keys; round++) {
                foreign_does("CLIENT KILL TYPE pubsub");
                foreign_does("SCRIPT FLUSH");
                kill(pids[round % PROCESSES], SIGSTOP);
                sleep_ms(round % 4 ? 100 : BOUND_MS + 300);
                kill(pids[round % PROCESSES], SIGCONT);
                sleep_ms(50);
        }
}

static void test_what_is_unsure_is_loaded_once_all_the_same(void **state)
{
        expire_together(way_of(state), KEYS / 5, make_unsure);
}

#define CASE(test, i) {#test ", way " #i, test, NULL, NULL, (void *)(uintptr_t)&cache_ways[i]}

int main(void)
{
        const struct CMUnitTest tests[] = {
            CASE(test_500_callers_in_4_processes_make_one_load, 0),
            CASE(test_500_callers_in_4_processes_make_one_load, 1),
            CASE(test_500_queries_in_4_processes_run_once, 1),
            CASE(test_10000_keys_that_expire_together_are_loaded_once_and_few_at_a_time, 0),
            CASE(test_what_is_unsure_is_loaded_once_all_the_same, 0),
        };

        return cmocka_run_group_tests_name("stampede", tests, NULL, NULL);
}
