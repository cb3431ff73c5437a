/* SPDX-License-Identifier: MIT */
/*
 * Several processes read, load, write and invalidate the same few rows while subscriptions are killed, stalled and robbed
 * of messages, the log's hash and the scripts are deleted, and holders of leases die. A row's version only grows. No read may return one
 * that was superseded by an acknowledged invalidation of this process's own, nor one whose invalidation was acknowledged
 * anywhere longer ago than the bound; and once all is quiet everybody reads the last one.
 *
 *     test-race [seconds [seed]]
 */
#include "base/clock.h"
#include "base/random.h"
#include "redis_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/cache.h>
#include <sugarperf/invalidate.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 24, GROUPS = 3, PROCESSES = 4, READERS = 3, WRITERS = 2, ACKS = 512, BOUND_MS = 300 };

struct ack {
        _Atomic int64_t at;
        _Atomic int64_t version;
};

/* What all processes share: the rows, and who was told what when. */
struct world {
        _Atomic int64_t rows[KEYS];
        atomic_uint next_ack[KEYS];
        struct ack acks[KEYS][ACKS];
        _Atomic int64_t reads, hits, loads, writes, lost, refused, deaths;
        _Atomic int64_t bound_violations, own_violations, stale_at_end;
        int64_t writers_until, readers_until;
        uint64_t seed;
        int skip; /* one invalidation in so many is forgotten, 0: none */
        char name[64];
        char url[64];
        struct proxy_faults faults;
};

static struct world *world;
static int64_t seconds = 6;
static uint64_t given_seed;

struct process {
        sp_cache *cache;
        uint64_t seed;
        _Atomic int64_t own[KEYS]; /* the highest version whose invalidation returned here */
};

struct actor {
        struct process *process;
        struct sp__random random;
        pthread_t thread;
};

static void pause_up_to(struct sp__random *random, double chance, int64_t most)
{
        int64_t ns = (int64_t)(sp__random_unit(random) * (double)most);

        if (sp__random_unit(random) < chance)
                nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static size_t key_of(int i, char *out, size_t cap)
{
        return (size_t)snprintf(out, cap, "%s:g%d:%d", world->name, i % GROUPS, i);
}

static void record_ack(int i, int64_t version)
{
        struct ack *ack = &world->acks[i][atomic_fetch_add(&world->next_ack[i], 1) % ACKS];

        atomic_store(&ack->version, 0);
        atomic_store(&ack->at, sp__now());
        atomic_store(&ack->version, version);
}

/* The highest version whose invalidation was acknowledged by `at`. */
static int64_t acked_by(int i, int64_t at)
{
        int64_t highest = 0;

        for (int k = 0; k < ACKS; k++) {
                struct ack *ack = &world->acks[i][k];
                int64_t version = atomic_load(&ack->version), when = atomic_load(&ack->at);

                if (version > highest && when <= at && atomic_load(&ack->version) == version)
                        highest = version;
        }
        return highest;
}

struct load {
        struct actor *actor;
        int row;
};

/* A slow loader: it reads, then dawdles, and now and then it dies or gives up. */
static sp_status load(void *arg, sp_lease *lease, sp_value **out, sp_error **error)
{
        struct load *load = arg;
        struct sp__random *random = &load->actor->random;
        char text[32];
        int len;

        pause_up_to(random, .3, 20 * SP__MS);
        if (sp__random_unit(random) < .02)
                return SP_UNAVAILABLE;
        if (load->row % 2 && sp_lease_tag(lease, "odd", 3) != SP_OK)
                return SP_INTERNAL;
        len = snprintf(text, sizeof text, "%lld", (long long)atomic_load(&world->rows[load->row]));
        pause_up_to(random, .5, 60 * SP__MS);
        atomic_fetch_add(&world->loads, 1);
        *out = sp_value_new(text, (size_t)len, SP_CODEC_TEXT);
        return SP_OK;
}

/* The version that a read of the row returns; -1: the read failed. */
static int64_t read_row(struct actor *actor, int i)
{
        struct load loading = {actor, i};
        sp_value *value = NULL;
        char key[96];
        size_t len = key_of(i, key, sizeof key);
        int64_t version;

        if (sp_cache_get_or_load(actor->process->cache, NULL, key, len, load, &loading, &value, NULL) != SP_OK)
                return -1;
        version = atoll(sp_value_data(value, &len));
        sp_value_unref(value);
        return version;
}

/* Reads a row and judges what comes. */
static void check_row(struct actor *actor, int i)
{
        int64_t own = atomic_load(&actor->process->own[i]);
        int64_t need = acked_by(i, sp__now() - BOUND_MS * SP__MS), version = read_row(actor, i);

        if (version < 0) {
                atomic_fetch_add(&world->refused, 1);
                return;
        }
        atomic_fetch_add(&world->reads, 1);
        if (version < need)
                atomic_fetch_add(&world->bound_violations, 1);
        if (version < own)
                atomic_fetch_add(&world->own_violations, 1);
}

static void *reader(void *arg)
{
        struct actor *actor = arg;

        while (sp__now() < world->readers_until) {
                check_row(actor, (int)(sp__random_next(&actor->random) % KEYS));
                pause_up_to(&actor->random, .3, 4 * SP__MS);
        }
        return NULL;
}

static sp_status invalidate(struct actor *actor, int i)
{
        sp_targets *targets = sp_targets_new();
        double kind = sp__random_unit(&actor->random);
        char text[128], key[96];
        sp_status status;

        if (kind < .8) {
                sp_targets_key(targets, key, key_of(i, key, sizeof key));
        } else if (kind < .9) {
                sp_params *params = sp_params_new();

                snprintf(text, sizeof text, "%s:{group}:*", world->name);
                snprintf(key, sizeof key, "g%d", i % GROUPS);
                sp_params_add_text(params, key, strlen(key));
                sp_targets_pattern(targets, text, params);
                sp_params_free(params);
        } else if (kind < .97 && i % 2) {
                sp_targets_tag(targets, "odd", 3);
        } else {
                snprintf(text, sizeof text, "%s:*", world->name);
                sp_targets_pattern(targets, text, NULL);
        }
        status = sp_cache_invalidate(actor->process->cache, NULL, targets, NULL);
        sp_targets_free(targets);
        return status;
}

static void write_row(struct actor *actor, int i)
{
        int64_t version = atomic_fetch_add(&world->rows[i], 1) + 1, count = atomic_fetch_add(&world->writes, 1);
        bool forgotten = world->skip && count % world->skip == 0;
        sp_status status;
        int64_t own;

        pause_up_to(&actor->random, .4, 40 * SP__MS);
        status = forgotten ? SP_OK : invalidate(actor, i);
        if (status != SP_OK) {
                atomic_fetch_add(&world->lost, 1);
                return;
        }
        record_ack(i, version);
        own = atomic_load(&actor->process->own[i]);
        while (own < version && !atomic_compare_exchange_weak(&actor->process->own[i], &own, version))
                continue;
        /* At once: the message of it may not have come here yet. */
        check_row(actor, i);
}

static void *writer(void *arg)
{
        struct actor *actor = arg;

        while (sp__now() < world->writers_until) {
                write_row(actor, (int)(sp__random_next(&actor->random) % KEYS));
                pause_up_to(&actor->random, 1, 60 * SP__MS);
        }
        return NULL;
}

static sp_cache *open_cache(void)
{
        sp_config *config = sp_config_new();
        sp_template *tmpl = NULL;
        sp_cache *cache = NULL;
        char bound[16], text[128];

        snprintf(bound, sizeof bound, "%dms", BOUND_MS);
        assert_int_equal(sp_config_set(config, "redis.url", world->url, NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "cache.bound", bound, NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "cache.lease", "300ms", NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "cache.namespace", world->name, NULL), SP_OK);
        assert_int_equal(sp_cache_new(config, &cache, NULL), SP_OK);
        snprintf(text, sizeof text, "%s:{group}:{id}", world->name);
        assert_int_equal(sp_template_new(text, "ttl=3s", &tmpl, NULL), SP_OK);
        snprintf(text, sizeof text, "%s:*", world->name);
        assert_int_equal(sp_template_pattern(tmpl, text, NULL), SP_OK);
        snprintf(text, sizeof text, "%s:{group}:*", world->name);
        assert_int_equal(sp_template_pattern(tmpl, text, NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
        sp_config_free(config);
        return cache;
}

static void start(struct actor *actor, struct process *process, int number, void *(*body)(void *))
{
        actor->process = process;
        actor->random.state = process->seed * 131 + (uint64_t)number;
        pthread_create(&actor->thread, NULL, body, actor);
}

/* When all is quiet, within the bound. */
static void look_at_the_end(struct process *process)
{
        struct actor actor = {.process = process, .random.state = process->seed};

        nanosleep(&(struct timespec){.tv_nsec = (BOUND_MS + 100) * SP__MS}, NULL);
        for (int i = 0; i < KEYS; i++) {
                int64_t version = -1;

                while (version < 0)
                        version = read_row(&actor, i);
                if (version < atomic_load(&world->rows[i]))
                        atomic_fetch_add(&world->stale_at_end, 1);
        }
}

static void live(uint64_t seed)
{
        struct process process = {.cache = open_cache(), .seed = seed};
        struct actor actors[READERS + WRITERS];

        for (int i = 0; i < READERS + WRITERS; i++)
                start(&actors[i], &process, i, i < READERS ? reader : writer);
        for (int i = 0; i < READERS + WRITERS; i++)
                pthread_join(actors[i].thread, NULL);
        look_at_the_end(&process);
        atomic_fetch_add(&world->hits, sp_cache_hits(process.cache));
        sp_cache_free(process.cache);
}

static pid_t spawn(uint64_t seed)
{
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid != 0)
                return pid;
        live(seed);
        fflush(NULL);
        _exit(0);
}

static int redis_port(void)
{
        const char *at = strstr(getenv("REDIS_URL"), "127.0.0.1:");

        assert_non_null(at);
        return atoi(at + 10);
}

static redisContext *connect_redis(void)
{
        redisContext *redis = redisConnect("127.0.0.1", redis_port());

        assert_true(redis && !redis->err);
        return redis;
}

static void tell(redisContext *redis, const char *format, ...)
{
        va_list args;
        redisReply *reply;

        va_start(args, format);
        reply = redisvCommand(redis, format, args);
        va_end(args);
        if (reply)
                freeReplyObject(reply);
}

static void kill_one(struct sp__random *random, pid_t *pids)
{
        pid_t *pid = &pids[sp__random_next(random) % PROCESSES];

        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
        atomic_fetch_add(&world->deaths, 1);
        *pid = spawn(sp__random_next(random));
}

static void do_harm(redisContext *redis, struct sp__random *random, pid_t *pids)
{
        double kind = sp__random_unit(random);

        atomic_store(&world->faults.swallow, kind < .5 ? 40 : 0);
        if (kind < .2)
                tell(redis, "CLIENT KILL TYPE pubsub");
        else if (kind < .3)
                tell(redis, "UNLINK {%s}:v", world->name);
        else if (kind < .4)
                tell(redis, "HDEL {%s}:v %s", world->name, sp__random_unit(random) < .5 ? "@e" : "@n");
        else if (kind < .5)
                tell(redis, "SCRIPT FLUSH");
        else if (kind < .6)
                tell(redis, "HINCRBY {%s}:v @n 1", world->name);
        else if (kind < .7)
                tell(redis, "CLIENT PAUSE 50");
        else if (kind < .9)
                atomic_store(&world->faults.stall_until, sp__now() + 3 * BOUND_MS * SP__MS);
        else
                kill_one(random, pids);
}

static void begin(int64_t run_ns, int skip)
{
        world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(world != MAP_FAILED);
        world->seed = given_seed ? given_seed : sp__random_seed();
        world->skip = skip;
        world->readers_until = sp__now() + run_ns;
        world->writers_until = world->readers_until - SP__SECOND / 2;
        snprintf(world->name, sizeof world->name, "race%llx", (unsigned long long)sp__random_seed());
        printf("# seed %llu\n", (unsigned long long)world->seed);
}

static void report(void)
{
        printf(
            "# %lld reads, %lld hits, %lld loads, %lld failed reads, %lld writes, %lld unacknowledged, %lld deaths\n",
            (long long)world->reads, (long long)world->hits, (long long)world->loads, (long long)world->refused,
            (long long)world->writes, (long long)world->lost, (long long)world->deaths);
        printf("# beyond the bound %lld, own writes %lld, stale at the end %lld\n", (long long)world->bound_violations,
               (long long)world->own_violations, (long long)world->stale_at_end);
}

static void race(int64_t run_ns, int skip)
{
        struct sp__random random;
        redisContext *redis;
        pid_t pids[PROCESSES], proxy;
        int port;

        begin(run_ns, skip);
        random.state = world->seed;
        proxy = start_proxy(redis_port(), &world->faults, sp__random_next(&random), &port);
        snprintf(world->url, sizeof world->url, "redis://127.0.0.1:%d", port);
        for (int i = 0; i < PROCESSES; i++)
                pids[i] = spawn(sp__random_next(&random));
        redis = connect_redis();
        while (sp__now() < world->writers_until) {
                pause_up_to(&random, 1, 500 * SP__MS);
                do_harm(redis, &random, pids);
        }
        redisFree(redis);
        atomic_store(&world->faults.swallow, 0);
        for (int i = 0; i < PROCESSES; i++) {
                int status = 0;

                waitpid(pids[i], &status, 0);
                assert_int_equal(status, 0);
        }
        kill(proxy, SIGKILL);
        waitpid(proxy, NULL, 0);
        report();
}

static void test_no_read_is_older_than_promised(void **state)
{
        race(seconds * SP__SECOND, 0);
        assert_true(world->reads > 100);
        assert_true(world->loads > 10);
        assert_int_equal(world->bound_violations, 0);
        assert_int_equal(world->own_violations, 0);
        assert_int_equal(world->stale_at_end, 0);
        munmap(world, sizeof *world);
}

static void test_a_forgotten_invalidation_would_be_seen(void **state)
{
        race(3 * SP__SECOND, 3);
        assert_true(world->bound_violations + world->own_violations + world->stale_at_end > 0);
        munmap(world, sizeof *world);
}

int main(int argc, char **argv)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_no_read_is_older_than_promised),
            cmocka_unit_test(test_a_forgotten_invalidation_would_be_seen),
        };

        if (argc > 1)
                seconds = atoll(argv[1]);
        if (argc > 2)
                given_seed = strtoull(argv[2], NULL, 10);
        return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
