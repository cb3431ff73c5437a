/* SPDX-License-Identifier: MIT */
/* One process of the races, and what its threads do. */
#include "../support/child.h"
#include "race.h"

#include "core/ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sugarperf/cache.h>
#include <sugarperf/invalidate.h>
#include <time.h>
#include <unistd.h>

struct world *world;

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

void pause_up_to(struct sp__random *random, double chance, int64_t most)
{
        int64_t ns = (int64_t)(sp__random_unit(random) * (double)most);

        if (sp__random_unit(random) < chance)
                nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

bool is_raw(int row)
{
        return row % 6 == 5;
}

size_t key_of(int i, char *out, size_t cap)
{
        if (is_raw(i))
                return (size_t)snprintf(out, cap, "%s-raw:%d", world->name, i);
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
        int64_t snapshot; /* what its transaction sees; -1: it reads what is committed now */
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
        if (load->row % 2 && !is_raw(load->row) && sp_lease_tag(lease, "odd", 3) != SP_OK)
                return SP_INTERNAL;
        len = snprintf(text, sizeof text, "%lld",
                       (long long)(load->snapshot >= 0 ? load->snapshot : atomic_load(&world->rows[load->row])));
        pause_up_to(random, .5, 60 * SP__MS);
        atomic_fetch_add(&world->loads, 1);
        *out = sp_value_new(text, (size_t)len, SP_CODEC_TEXT);
        return SP_OK;
}

/* The version that a read of the row returns; -1: the read failed. */
static int64_t read_row(struct actor *actor, int i)
{
        struct load loading = {actor, i, -1};
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

/* A transaction whose snapshot may be old by the time it asks the cache: right for it, and for nobody else. */
static void read_in_transaction(struct actor *actor, int i)
{
        struct load loading = {actor, i, atomic_load(&world->rows[i])};
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_value *value = NULL;
        char key[96];
        size_t len = key_of(i, key, sizeof key);

        sp__ctx_transaction(ctx, 1);
        pause_up_to(&actor->random, .8, 80 * SP__MS);
        if (sp_cache_get_or_load(actor->process->cache, ctx, key, len, load, &loading, &value, NULL) == SP_OK)
                sp_value_unref(value);
        sp__ctx_transaction(ctx, -1);
        sp_ctx_unref(ctx);
        atomic_fetch_add(&world->transactions, 1);
}

/* Whether a read of the row that began then can be judged. */
static bool is_judged(int i, int64_t begun)
{
        return !is_raw(i) || begun >= atomic_load(&world->raw_from);
}

/* Reads a row and judges what comes. */
static void check_row(struct actor *actor, int i)
{
        int64_t own = atomic_load(&actor->process->own[i]), begun = sp__now();
        int64_t need = acked_by(i, begun - BOUND_MS * SP__MS), version;
        bool judged = is_judged(i, begun);

        version = read_row(actor, i);
        if (version < 0) {
                atomic_fetch_add(&world->refused, 1);
                return;
        }
        if (!judged || !is_judged(i, begun))
                return;
        atomic_fetch_add(is_raw(i) ? &world->raw_reads : &world->reads, 1);
        if (version < need)
                atomic_fetch_add(&world->bound_violations, 1);
        if (version < own)
                atomic_fetch_add(&world->own_violations, 1);
}

static void *reader(void *arg)
{
        struct actor *actor = arg;

        while (sp__now() < atomic_load(&world->readers_until)) {
                int row = (int)(sp__random_next(&actor->random) % KEYS);

                if (sp__random_unit(&actor->random) < (world->bug == SP__BUG_TRANSACTION ? .2 : .02))
                        read_in_transaction(actor, row);
                else
                        check_row(actor, row);
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

        if (kind < .8 || is_raw(i)) {
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

        while (sp__now() < atomic_load(&world->writers_until)) {
                write_row(actor, (int)(sp__random_next(&actor->random) % KEYS));
                pause_up_to(&actor->random, 1, 60 * SP__MS);
        }
        return NULL;
}

static void declare_raw(sp_cache *cache)
{
        sp_template *tmpl = NULL;
        char text[128];

        snprintf(text, sizeof text, "%s-raw:{id}", world->name);
        assert_int_equal(sp_template_new(text, "raw=text ttl=3s", &tmpl, NULL), SP_OK);
        assert_int_equal(sp_cache_declare(cache, tmpl, NULL), SP_OK);
        sp_template_unref(tmpl);
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
        declare_raw(cache);
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

pid_t race_spawn(uint64_t seed, int number)
{
        pid_t pid;

        pid = child_fork();
        if (pid != 0)
                return pid;
        race_probe(seed, number);
        live(seed);
        fflush(NULL);
        _exit(0);
}
