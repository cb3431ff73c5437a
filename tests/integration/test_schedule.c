/* SPDX-License-Identifier: MIT */
/* Turns come to one of a fleet, at their time; warming loads what a list names. */
#include "../support/child.h"
#include "cache_way.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/redis.h>
#include <sugarperf/schedule.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_int_least64_t later_s; /* the wall clock, seconds ahead */

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
        int answer = __real_clock_gettime(clock, out);

        if (clock == CLOCK_REALTIME)
                out->tv_sec += atomic_load(&later_s);
        return answer;
}

/* Blocking and asynchronous, for the calls of this header. */
static sp_completion *only(sp_queue *queue)
{
        sp_completion *completion = NULL;

        assert_int_equal(sp_queue_wait(queue, &completion, 1, 60000), 1);
        return completion;
}

static sp_status wait_turn(const struct cache_way *way, sp_schedule *schedule, sp_ctx *ctx, sp_turn **out)
{
        sp_queue *queue = NULL;
        sp_completion *completion;
        sp_status status;

        if (way->lookup == sp_cache_lookup)
                return sp_schedule_wait(schedule, ctx, out, NULL);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_schedule_wait_async(schedule, ctx, queue, 7), SP_OK);
        completion = only(queue);
        status = sp_completion_status(completion);
        if (status == SP_OK)
                *out = sp_completion_take_turn(completion);
        sp_completion_free(completion);
        sp_queue_free(queue);
        return status;
}

static sp_status run_warm(const struct cache_way *way, sp_warm *warm, sp_ctx *ctx, uint32_t concurrency)
{
        sp_queue *queue = NULL;
        sp_completion *completion;
        sp_status status;

        if (way->lookup == sp_cache_lookup)
                return sp_warm_run(warm, ctx, concurrency, NULL);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_warm_run_async(warm, ctx, concurrency, queue, 7), SP_OK);
        completion = only(queue);
        status = sp_completion_status(completion);
        sp_completion_free(completion);
        sp_queue_free(queue);
        return status;
}

static const char *fresh_name(char *out, size_t cap)
{
        char key[64];

        snprintf(out, cap, "t.%s", fresh_key("x", key, sizeof key) + 2);
        return out;
}

static sp_schedule *schedule_of(sp_cache *cache, const char *name, const char *when)
{
        sp_schedule *schedule = NULL;
        sp_error *error = NULL;

        if (sp_schedule_new(cache, name, when, &schedule, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return schedule;
}

enum { MEMBERS = 3, TURNS = 4 };

struct member {
        const struct cache_way *way;
        sp_ctx *ctx; /* its waiting ends with it */
        atomic_int tid;
        sp_cache *cache;
        sp_schedule *schedule;
        int64_t due[TURNS * MEMBERS];
        int count;
        pthread_t thread;
};

static void *take_part(void *arg)
{
        struct member *member = arg;
        sp_turn *turn = NULL;

        while (wait_turn(member->way, member->schedule, member->ctx, &turn) == SP_OK) {
                member->due[member->count++ % (TURNS * MEMBERS)] = sp_turn_due(turn);
                sp_turn_end(turn, true);
        }
        return NULL;
}

static void test_one_of_the_fleet_gets_each_turn(void **state)
{
        const struct cache_way *way = way_of(state);
        struct member members[MEMBERS];
        int64_t all[TURNS * MEMBERS * MEMBERS];
        int count = 0;
        char name[64];

        if (!way->redis)
                return;
        fresh_name(name, sizeof name);
        for (int i = 0; i < MEMBERS; i++) {
                members[i] = (struct member){.way = way, .cache = cache_with(way, NULL), .ctx = sp_ctx_new(NULL)};
                members[i].schedule = schedule_of(members[i].cache, name, "every 1s");
                pthread_create(&members[i].thread, NULL, take_part, &members[i]);
        }
        nanosleep(&(struct timespec){.tv_sec = TURNS, .tv_nsec = 0}, NULL);
        for (int i = 0; i < MEMBERS; i++)
                sp_ctx_cancel(members[i].ctx);
        for (int i = 0; i < MEMBERS; i++) {
                pthread_join(members[i].thread, NULL);
                for (int k = 0; k < members[i].count; k++)
                        all[count++] = members[i].due[k];
                sp_schedule_free(members[i].schedule);
                sp_cache_free(members[i].cache);
                sp_ctx_unref(members[i].ctx);
        }
        assert_true(count >= 1);
        for (int i = 0; i < count; i++) {
                assert_int_equal(all[i] % 1000, 0);
                for (int k = 0; k < i; k++)
                        assert_true(all[i] != all[k]);
        }
}

static void test_a_turn_that_was_not_done_comes_again(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_schedule *schedule;
        sp_turn *turn = NULL;
        int64_t due;
        char name[64];

        schedule = schedule_of(cache, fresh_name(name, sizeof name), "start");
        assert_int_equal(wait_turn(way, schedule, NULL, &turn), SP_OK);
        due = sp_turn_due(turn);
        sp_turn_end(turn, false);
        assert_int_equal(wait_turn(way, schedule, NULL, &turn), SP_OK);
        assert_true(sp_turn_due(turn) >= due);
        sp_turn_end(turn, true);
        sp_schedule_free(schedule);
        sp_turn_end(NULL, true);
        sp_cache_free(cache);
}

static void test_a_start_comes_once_to_those_who_start_together(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("timeout", "300ms");
        sp_schedule *first, *second;
        sp_turn *turn = NULL;
        char name[64];

        fresh_name(name, sizeof name);
        first = schedule_of(cache, name, "start");
        second = schedule_of(other, name, "start");
        assert_int_equal(wait_turn(way, first, NULL, &turn), SP_OK);
        sp_turn_end(turn, true);
        assert_int_equal(wait_turn(way, second, ctx, &turn), way->redis ? SP_TIMEOUT : SP_OK);
        if (!way->redis)
                sp_turn_end(turn, true);
        sp_schedule_free(first);
        sp_schedule_free(second);
        sp_ctx_unref(ctx);
        sp_cache_free(other);
        sp_cache_free(cache);
}

static void test_a_start_that_took_long_is_not_made_again_by_who_waited(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *other = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("timeout", "300ms");
        sp_schedule *first, *second;
        sp_turn *turn = NULL;
        char name[64];

        if (way->redis) {
                fresh_name(name, sizeof name);
                first = schedule_of(cache, name, "start");
                second = schedule_of(other, name, "start");
                assert_int_equal(wait_turn(way, first, NULL, &turn), SP_OK);
                atomic_fetch_add(&later_s, 62);
                sp_turn_end(turn, true);
                assert_int_equal(wait_turn(way, second, ctx, &turn), SP_TIMEOUT);
                atomic_store(&later_s, 0);
                sp_schedule_free(first);
                sp_schedule_free(second);
        }
        sp_ctx_unref(ctx);
        sp_cache_free(other);
        sp_cache_free(cache);
}

static sp_reply *redis_says(sp_redis *redis, const char *command, const char *key)
{
        sp_params *params = sp_params_new();
        sp_reply *reply = NULL;

        sp_params_add_text(params, command, strlen(command));
        sp_params_add_text(params, key, strlen(key));
        assert_int_equal(sp_redis_command(redis, NULL, params, &reply, NULL), SP_OK);
        sp_params_free(params);
        return reply;
}

static int64_t redis_count(sp_redis *redis, const char *command, const char *key)
{
        sp_reply *reply = redis_says(redis, command, key);
        int64_t count = -1;

        assert_int_equal(sp_reply_int(reply, &count), SP_OK);
        sp_reply_free(reply);
        return count;
}

static void test_a_turn_that_redis_forgot_stays_its_holders(void **state)
{
        const struct cache_way *way = way_of(state);
        const char *const settings[] = {"cache.lease=300ms", NULL};
        sp_cache *cache = cache_with(way, settings), *other = cache_with(way, settings);
        sp_ctx *ctx = ctx_set("timeout", "150ms");
        sp_schedule *first, *second;
        sp_config *config = sp_config_new();
        sp_redis *redis = NULL;
        sp_turn *turn = NULL, *none = NULL;
        char name[64], key[96];
        int64_t until = sp__now() + 5 * SP__SECOND;

        if (way->redis) {
                assert_int_equal(sp_config_env(config, NULL), SP_OK);
                assert_int_equal(sp_redis_new(config, &redis, NULL), SP_OK);
                fresh_name(name, sizeof name);
                snprintf(key, sizeof key, "{sp:turn:%s}:t", name);
                first = schedule_of(cache, name, "start");
                second = schedule_of(other, name, "start");
                assert_int_equal(wait_turn(way, first, NULL, &turn), SP_OK);
                assert_int_equal(redis_count(redis, "DEL", key), 1);
                while (redis_count(redis, "EXISTS", key) == 0)
                        assert_true(sp__now() < until);
                assert_int_equal(wait_turn(way, second, ctx, &none), SP_TIMEOUT);
                sp_turn_end(turn, true);
                while (redis_count(redis, "EXISTS", key) == 1)
                        assert_true(sp__now() < until);
                sp_schedule_free(first);
                sp_schedule_free(second);
                sp_redis_free(redis);
        }
        sp_config_free(config);
        sp_ctx_unref(ctx);
        sp_cache_free(other);
        sp_cache_free(cache);
}

/* Takes the turn, says so, and is killed with it. */
static void die_with_turn(const struct cache_way *way, const char *name, int pipe)
{
        sp_cache *cache = cache_with(way, (const char *[]){"cache.lease=300ms", NULL});
        sp_schedule *schedule = schedule_of(cache, name, "start");
        sp_turn *turn = NULL;
        int64_t due = -1;

        if (wait_turn(way, schedule, NULL, &turn) == SP_OK)
                due = sp_turn_due(turn);
        (void)!write(pipe, &due, sizeof due);
        for (;;)
                pause();
}

static void test_who_dies_with_a_turn_loses_it(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_schedule *schedule;
        sp_cache *cache;
        sp_turn *turn = NULL;
        int64_t due = 0;
        char name[64];
        int ends[2];
        pid_t pid;

        if (!way->redis)
                return;
        fresh_name(name, sizeof name);
        assert_int_equal(pipe(ends), 0);
        pid = child_fork();
        if (pid == 0)
                die_with_turn(way, name, ends[1]);
        assert_int_equal(read(ends[0], &due, sizeof due), sizeof due);
        assert_true(due > 0);
        cache = cache_with(way, (const char *[]){"cache.lease=300ms", NULL});
        schedule = schedule_of(cache, name, "start");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(wait_turn(way, schedule, NULL, &turn), SP_OK);
        sp_turn_end(turn, true);
        sp_schedule_free(schedule);
        sp_cache_free(cache);
        close(ends[0]);
        close(ends[1]);
}

static void *wait_in_vain(void *arg)
{
        struct member *member = arg;
        sp_turn *turn = NULL;

        atomic_store(&member->tid, gettid());
        member->count = wait_turn(member->way, member->schedule, NULL, &turn);
        return NULL;
}

/* It is in the call that it was about to make. */
static bool sleeps(pid_t tid)
{
        char path[64], state = 0;
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
        return state == 'S';
}

static void test_who_waits_can_be_woken(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = ctx_set("timeout", "20ms");
        struct member member = {.way = way};
        sp_turn *turn = NULL;
        char name[64];

        member.schedule = schedule_of(cache, fresh_name(name, sizeof name), "yearly");
        assert_int_equal(wait_turn(way, member.schedule, ctx, &turn), SP_TIMEOUT);
        pthread_create(&member.thread, NULL, wait_in_vain, &member);
        while (atomic_load(&member.tid) == 0 || !sleeps(atomic_load(&member.tid)))
                sched_yield();
        sp_schedule_free(member.schedule);
        pthread_join(member.thread, NULL);
        assert_int_equal(member.count, SP_CLOSED);
        sp_ctx_unref(ctx);
        sp_cache_free(cache);
}

static void test_what_is_no_schedule_is_refused(void **state)
{
        sp_cache *cache = cache_with(way_of(state), NULL);
        sp_schedule *schedule = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_schedule_new(cache, "with blank", "hourly", &schedule, &error), SP_INVALID);
        says(error, "letters", NULL);
        error = NULL;
        assert_int_equal(sp_schedule_new(cache, "good", "sometimes", &schedule, &error), SP_INVALID);
        says(error, "minute", NULL);
        schedule = schedule_of(cache, "good", "30 3 * * *");
        assert_int_equal(sp_schedule_next(schedule, 0), (3 * 60 + 30) * 60000);
        assert_int_equal(sp_schedule_next(NULL, 0), -1);
        sp_schedule_free(schedule);
        sp_schedule_free(NULL);
        sp_cache_free(cache);
}

/* A warming of numbers: what a number's value is, a table says. */
struct warmth {
        sp_pool *pool;
        sp_template *tmpl;
        sp_stmt *list, *load;
        sp_warm *warm;
        char prefix[64];
};

static void warmth_make(struct warmth *warmth, sp_cache *cache, const char *list, const char *load)
{
        char text[96];

        fresh_key("warm", warmth->prefix, sizeof warmth->prefix);
        snprintf(text, sizeof text, "%s:{id}", warmth->prefix);
        warmth->pool = pool_with(NULL);
        assert_int_equal(sp_template_new(text, NULL, &warmth->tmpl, NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, warmth->tmpl, NULL), SP_OK);
        warmth->list = stmt_of(list);
        warmth->load = stmt_of(load);
        assert_int_equal(sp_warm_new(cache, warmth->pool, warmth->list, NULL, warmth->tmpl, warmth->load, SP_QUERY_CELL,
                                     &warmth->warm, NULL),
                         SP_OK);
}

static void warmth_free(struct warmth *warmth)
{
        sp_warm_free(warmth->warm);
        sp_stmt_unref(warmth->list);
        sp_stmt_unref(warmth->load);
        sp_template_unref(warmth->tmpl);
        sp_pool_free(warmth->pool);
}

static void expect(const struct cache_way *way, sp_cache *cache, const struct warmth *warmth, int id,
                   const char *expected)
{
        char key[96], *text;

        snprintf(key, sizeof key, "%s:%d", warmth->prefix, id);
        text = text_of(way, cache, key);
        assert_string_equal(text, expected);
        free(text);
}

static void test_warming_loads_what_the_list_names(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct warmth warmth;

        warmth_make(&warmth, cache, "SELECT i, i * 10 FROM generate_series(1, 50) AS i",
                    "SELECT ($1::int + $2::int)::text WHERE $1::int <> 7");
        assert_int_equal(run_warm(way, warmth.warm, NULL, 8), SP_OK);
        assert_int_equal(sp_warm_rows(warmth.warm), 50);
        assert_int_equal(sp_warm_loaded(warmth.warm), 50);
        assert_int_equal(sp_warm_failed(warmth.warm), 0);
        expect(way, cache, &warmth, 1, "11");
        expect(way, cache, &warmth, 50, "550");
        assert_int_equal(sp_cache_hits(cache), 2);
        warmth_free(&warmth);
        sp_cache_free(cache);
}

static void test_warming_loads_anew_what_is_there(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct warmth warmth;
        char key[96];

        warmth_make(&warmth, cache, "SELECT 1", "SELECT 'new' WHERE $1 = '1'");
        snprintf(key, sizeof key, "%s:1", warmth.prefix);
        put_text(way, cache, key, "old");
        assert_int_equal(run_warm(way, warmth.warm, NULL, 1), SP_OK);
        expect(way, cache, &warmth, 1, "new");
        warmth_free(&warmth);
        sp_cache_free(cache);
}

static void warms_nothing(const struct cache_way *way, sp_cache *cache, sp_cache *witness, const char *mode)
{
        sp_ctx *ctx = mode ? ctx_set("cache", mode) : NULL;
        struct warmth warmth;
        char key[96];

        warmth_make(&warmth, cache, "SELECT 1", "SELECT $1::text");
        snprintf(key, sizeof key, "%s:1", warmth.prefix);
        assert_int_equal(run_warm(way, warmth.warm, ctx, 1), SP_OK);
        assert_int_equal(sp_warm_rows(warmth.warm) + sp_warm_loaded(warmth.warm), 0);
        assert_int_equal(sp_warm_failed(warmth.warm), 0);
        assert_int_equal(state_of(way, witness, key), SP_LOOKUP_LEASE);
        warmth_free(&warmth);
        sp_ctx_unref(ctx);
}

static void test_warming_stores_nothing_where_nothing_may_be_stored(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL), *reads = cache_with(way, (const char *[]){"cache.mode=read", NULL}),
                 *bypasses = cache_with(way, (const char *[]){"cache.mode=bypass", NULL});

        warms_nothing(way, cache, cache, "read");
        warms_nothing(way, cache, cache, "bypass");
        warms_nothing(way, reads, way->redis ? cache : reads, NULL);
        warms_nothing(way, reads, way->redis ? cache : reads, "refresh");
        warms_nothing(way, bypasses, way->redis ? cache : bypasses, NULL);
        sp_cache_free(bypasses);
        sp_cache_free(reads);
        sp_cache_free(cache);
}

static void test_loads_that_fail_are_counted(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        struct warmth warmth;

        warmth_make(&warmth, cache, "SELECT CASE WHEN i = 3 THEN '' ELSE i::text END FROM generate_series(0, 9) AS i",
                    "SELECT (10 / $1::int)::text");
        assert_int_equal(run_warm(way, warmth.warm, NULL, 4), SP_OK);
        assert_int_equal(sp_warm_rows(warmth.warm), 10);
        assert_int_equal(sp_warm_failed(warmth.warm), 2);
        assert_int_equal(sp_warm_loaded(warmth.warm), 8);
        assert_int_equal(sp_warm_run(warmth.warm, NULL, 0, NULL), SP_INVALID);
        warmth_free(&warmth);
        warmth_make(&warmth, cache, "SELECT 1/0", "SELECT $1::text");
        assert_int_equal(run_warm(way, warmth.warm, NULL, 4), SP_SQL);
        warmth_free(&warmth);
        sp_cache_free(cache);
}

static void test_warming_can_be_cancelled_and_runs_once_at_a_time(void **state)
{
        const struct cache_way *way = way_of(state);
        sp_cache *cache = cache_with(way, NULL);
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_queue *queue = NULL;
        sp_completion *completion;
        struct warmth warmth;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        warmth_make(&warmth, cache, "SELECT i FROM generate_series(1, 1000) AS i",
                    "SELECT $1::text FROM pg_sleep(0.02)");
        assert_int_equal(sp_warm_run_async(warmth.warm, ctx, 2, queue, 7), SP_OK);
        assert_int_equal(sp_warm_run(warmth.warm, NULL, 2, NULL), SP_FULL);
        while (sp_warm_loaded(warmth.warm) < 3)
                continue;
        sp_ctx_cancel(ctx);
        completion = only(queue);
        assert_int_equal(sp_completion_status(completion), SP_CANCELLED);
        sp_completion_free(completion);
        assert_true(sp_warm_loaded(warmth.warm) < 1000);
        sp_cache_free(cache);
        warmth_free(&warmth);
        sp_queue_free(queue);
        sp_ctx_unref(ctx);
}

int main(void)
{
        static const struct way_test tests[] = {
            WAY_TEST(test_one_of_the_fleet_gets_each_turn),
            WAY_TEST(test_a_turn_that_was_not_done_comes_again),
            WAY_TEST(test_a_start_comes_once_to_those_who_start_together),
            WAY_TEST(test_a_start_that_took_long_is_not_made_again_by_who_waited),
            WAY_TEST(test_a_turn_that_redis_forgot_stays_its_holders),
            WAY_TEST(test_who_dies_with_a_turn_loses_it),
            WAY_TEST(test_who_waits_can_be_woken),
            WAY_TEST(test_what_is_no_schedule_is_refused),
            WAY_TEST(test_warming_loads_what_the_list_names),
            WAY_TEST(test_warming_loads_anew_what_is_there),
            WAY_TEST(test_warming_stores_nothing_where_nothing_may_be_stored),
            WAY_TEST(test_loads_that_fail_are_counted),
            WAY_TEST(test_warming_can_be_cancelled_and_runs_once_at_a_time),
        };

        return RUN_OVER_WAYS("schedule", tests, CACHE_WAYS);
}
