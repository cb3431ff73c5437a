/* SPDX-License-Identifier: MIT */
/*
 * Threads that read, load, invalidate and drop the same few keys, in a store so small that entries go all the time: after an
 * invalidation has returned nobody is given what was there before. The truth is a version a key, raised before each
 * invalidation; a reader notes the last version whose invalidation had returned before it began.
 */
#include "base/random.h"
#include "cache/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { KEYS = 60, THREADS = 4, HELD = 24, ROUNDS = 60000 };

struct scene {
        struct sp__mirror mirror;
        struct sp__store *store;
        _Atomic uint64_t version[KEYS]; /* what the database has */
        _Atomic uint64_t settled[KEYS]; /* of which the invalidation has returned */
        _Atomic int64_t hits;
};

/* What a value says of itself; padded, so that some are copied and some are referred to. */
struct content {
        uint64_t key;
        uint64_t version;
        uint64_t check;
};

struct actor {
        struct scene *scene;
        struct sp__random random;
        pthread_t thread;
        sp_value *held[HELD]; /* references that live on while others come and go */
        const char *wrong;
};

static uint64_t check_of(const struct content *content)
{
        return content->key * 31 + content->version * 17 + 5;
}

static size_t name_of(uint64_t key, char *out)
{
        return (size_t)sprintf(out, "key:%llu", (unsigned long long)key);
}

static size_t size_of(uint64_t key)
{
        return key % 7 == 0 ? 6000 : sizeof(struct content) + key;
}

static void load(struct scene *scene, uint64_t key)
{
        struct sp__item item = {
            .fresh_until = SP__FOREVER, .kept_until = SP__FOREVER, .tag_count = 1, .tags = {key + 1}};
        struct content content = {.key = key};
        char bytes[6000] = "", name[32];
        struct sp__mark mark;

        sp__mirror_mark(&scene->mirror, &mark);
        content.version = atomic_load(&scene->version[key]);
        content.check = check_of(&content);
        memcpy(bytes, &content, sizeof content);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new(bytes, size_of(key), SP_CODEC_BYTES);
        sp__store_put(scene->store, name, name_of(key, name), &item);
        sp_value_unref(item.value);
}

static void write_new(struct scene *scene, uint64_t key)
{
        uint64_t version = atomic_fetch_add(&scene->version[key], 1) + 1, settled;

        sp__mirror_bump(&scene->mirror, (uint64_t[]){key + 1}, 1);
        settled = atomic_load(&scene->settled[key]);
        while (settled < version && !atomic_compare_exchange_weak(&scene->settled[key], &settled, version))
                ;
}

static const char *look_into(const sp_value *value, uint64_t key, uint64_t least)
{
        struct content content;
        size_t len;
        const char *bytes = sp_value_data(value, &len);

        if (len != size_of(key))
                return "a value of another length";
        memcpy(&content, bytes, sizeof content);
        if (content.key != key || content.check != check_of(&content))
                return "another key's value, or one that is over";
        return content.version < least ? "a value from before an invalidation that had returned" : NULL;
}

static void hold(struct actor *actor, sp_value *value)
{
        sp_value **place = &actor->held[sp__random_next(&actor->random) % HELD];

        if (*place && sp__random_next(&actor->random) % 2)
                sp_value_unref(sp_value_ref(*place));
        sp_value_unref(*place);
        *place = value;
}

static void read_one(struct actor *actor, uint64_t key)
{
        struct scene *scene = actor->scene;
        uint64_t least = atomic_load(&scene->settled[key]);
        sp_value *value;
        char name[32];

        if (sp__store_get(scene->store, name, name_of(key, name), 0, &value, NULL) != SP__FOUND_FRESH) {
                load(scene, key);
                return;
        }
        atomic_fetch_add_explicit(&scene->hits, 1, memory_order_relaxed);
        actor->wrong = look_into(value, key, least);
        if (sp__random_next(&actor->random) % 4 == 0)
                hold(actor, value);
        else
                sp_value_unref(value);
}

static void *act(void *arg)
{
        struct actor *actor = arg;
        struct scene *scene = actor->scene;
        char name[32];

        for (int i = 0; i < ROUNDS && !actor->wrong; i++) {
                uint64_t dice = sp__random_next(&actor->random) % 100, key = sp__random_next(&actor->random) % KEYS;

                if (dice < 4)
                        write_new(scene, key);
                else if (dice < 6)
                        sp__store_drop(scene->store, name, name_of(key, name));
                else if (dice < 10)
                        load(scene, key);
                else
                        read_one(actor, key);
        }
        return NULL;
}

static void run(int64_t max)
{
        struct sp__random random = {sp__random_seed()};
        struct actor actors[THREADS] = {{.scene = NULL}};
        struct scene scene = {.hits = 0};
        struct sp__store_stats stats;

        print_message("# seed %llu\n", (unsigned long long)random.state);
        sp__mirror_init(&scene.mirror, false, 0);
        scene.store = sp__store_new(max, &scene.mirror);
        for (int i = 0; i < THREADS; i++) {
                actors[i].scene = &scene;
                actors[i].random.state = sp__random_next(&random);
                pthread_create(&actors[i].thread, NULL, act, &actors[i]);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(actors[i].thread, NULL);
        sp__store_stats(scene.store, &stats);
        sp__store_free(scene.store);
        /* Values that are held outlive the store; given back by another thread than took them. */
        for (int i = 0; i < THREADS; i++) {
                for (int k = 0; k < HELD; k++)
                        sp_value_unref(actors[i].held[k]);
        }
        sp__mirror_destroy(&scene.mirror);
        for (int i = 0; i < THREADS; i++) {
                if (actors[i].wrong)
                        fail_msg("%s", actors[i].wrong);
        }
        assert_true(atomic_load(&scene.hits) > THREADS * ROUNDS / 20);
        print_message("# %lld hits, %lld evictions\n", (long long)scene.hits, (long long)stats.evictions);
}

static void test_nobody_is_given_what_was_invalidated(void **state)
{
        run(1 << 20);
}

static void test_nor_while_entries_go_all_the_time(void **state)
{
        run(24 * 1024);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nobody_is_given_what_was_invalidated),
            cmocka_unit_test(test_nor_while_entries_go_all_the_time),
        };

        return cmocka_run_group_tests_name("store-race", tests, NULL, NULL);
}
