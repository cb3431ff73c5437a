/* SPDX-License-Identifier: MIT */
/* The in-process level stays within its bytes, keeps what is asked for, and serves nothing that the log does not prove. */
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

struct shelf {
        struct sp__mirror mirror;
        struct sp__store *store;
};

static void open_shelf(struct shelf *shelf, int64_t max)
{
        sp__mirror_init(&shelf->mirror, false, 0);
        shelf->store = sp__store_new(max, &shelf->mirror);
        assert_non_null(shelf->store);
}

static void close_shelf(struct shelf *shelf)
{
        sp__store_free(shelf->store);
        sp__mirror_destroy(&shelf->mirror);
}

static size_t name_of(uint64_t i, char *out)
{
        return (size_t)sprintf(out, "key:%llu", (unsigned long long)i);
}

static void put_at(struct shelf *shelf, uint64_t i, const void *bytes, size_t len, int64_t fresh, int64_t kept)
{
        struct sp__item item = {.fresh_until = fresh, .kept_until = kept, .tag_count = 1, .tags = {i + 1}};
        struct sp__mark mark;
        char name[32];

        sp__mirror_mark(&shelf->mirror, &mark);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new(bytes, len, SP_CODEC_BYTES);
        sp__store_put(shelf->store, name, name_of(i, name), &item);
        sp_value_unref(item.value);
}

static void put(struct shelf *shelf, uint64_t i, const void *bytes, size_t len)
{
        put_at(shelf, i, bytes, len, SP__FOREVER, SP__FOREVER);
}

static enum sp__found get(struct shelf *shelf, uint64_t i, sp_value **value)
{
        char name[32];

        return sp__store_get(shelf->store, name, name_of(i, name), 0, value, NULL);
}

static bool has(struct shelf *shelf, uint64_t i)
{
        sp_value *value;
        bool found = get(shelf, i, &value) == SP__FOUND_FRESH;

        if (!found)
                return false;
        sp__striped_add(sp__store_hits(shelf->store), 1);
        sp_value_unref(value);
        return true;
}

static void test_it_stays_within_its_bytes(void **state)
{
        enum { MAX = 256 * 1024 };
        struct sp__random random = {sp__random_seed()};
        struct sp__store_stats stats;
        struct shelf shelf;
        char bytes[4096];

        print_message("# seed %llu\n", (unsigned long long)random.state);
        memset(bytes, 'x', sizeof bytes);
        open_shelf(&shelf, MAX);
        for (int i = 0; i < 20000; i++) {
                put(&shelf, sp__random_next(&random) % 3000, bytes, sp__random_next(&random) % sizeof bytes);
                sp__store_stats(shelf.store, &stats);
                assert_true(stats.bytes <= MAX);
        }
        assert_true(stats.evictions > 0);
        assert_true(stats.bytes > MAX / 2);
        close_shelf(&shelf);
}

static void test_what_is_larger_than_all_of_it_is_not_kept(void **state)
{
        struct sp__store_stats stats;
        struct shelf shelf;
        char bytes[4096] = "";

        open_shelf(&shelf, 2048);
        put(&shelf, 1, "small", 5);
        put(&shelf, 2, bytes, sizeof bytes);
        assert_false(has(&shelf, 2));
        assert_true(has(&shelf, 1));
        sp__store_stats(shelf.store, &stats);
        assert_int_equal(stats.entries, 1);
        close_shelf(&shelf);
}

static void test_a_value_outlives_its_entry(void **state)
{
        struct shelf shelf;
        sp_value *value = NULL;
        size_t len;

        open_shelf(&shelf, 1 << 20);
        put(&shelf, 1, "mine", 4);
        assert_int_equal(get(&shelf, 1, &value), SP__FOUND_FRESH);
        put(&shelf, 1, "other", 5);
        close_shelf(&shelf);
        assert_string_equal(sp_value_data(value, &len), "mine");
        sp_value_unref(value);
}

static void test_a_scan_leaves_what_is_asked_for(void **state)
{
        enum { HOT = 100, SCAN = 20000, EVERY = 10 };
        struct shelf shelf;
        int hits = 0;

        open_shelf(&shelf, 256 * 1024);
        for (uint64_t i = 0; i < SCAN; i++) {
                uint64_t hot = i / EVERY % HOT;

                put(&shelf, HOT + i, "scan", 4);
                if (i % EVERY > 0)
                        continue;
                if (has(&shelf, hot))
                        hits++;
                else
                        put(&shelf, hot, "hot", 3);
        }
        assert_true(hits > SCAN / EVERY * 8 / 10);
        close_shelf(&shelf);
}

static void test_what_nobody_asks_for_any_more_makes_room(void **state)
{
        enum { OLD = 500, NEW = 500, ROUNDS = 60 };
        struct shelf shelf;
        int left = 0;

        open_shelf(&shelf, 64 * 1024);
        for (uint64_t i = 0; i < 20 * OLD; i++) {
                if (!has(&shelf, i % OLD))
                        put(&shelf, i % OLD, "old", 3);
        }
        for (uint64_t i = 0; i < ROUNDS * NEW; i++) {
                if (!has(&shelf, OLD + i % NEW))
                        put(&shelf, OLD + i % NEW, "new", 3);
        }
        for (uint64_t i = 0; i < NEW; i++)
                left += has(&shelf, OLD + i);
        assert_true(left > NEW / 2);
        close_shelf(&shelf);
}

static void test_an_invalidated_tag_hides_its_entries_alone(void **state)
{
        struct shelf shelf;

        open_shelf(&shelf, 1 << 20);
        put(&shelf, 1, "one", 3);
        put(&shelf, 2, "two", 3);
        assert_true(has(&shelf, 1));
        sp__mirror_bump(&shelf.mirror, (uint64_t[]){2}, 1);
        assert_false(has(&shelf, 1));
        assert_true(has(&shelf, 2));
        put(&shelf, 1, "new", 3);
        assert_true(has(&shelf, 1));
        close_shelf(&shelf);
}

static void test_what_is_expired_is_stale_and_then_nothing(void **state)
{
        struct sp__item stale;
        struct shelf shelf;
        sp_value *value = NULL;
        char name[32];

        open_shelf(&shelf, 1 << 20);
        put_at(&shelf, 1, "stale", 5, sp__now() - 1, SP__FOREVER);
        put_at(&shelf, 2, "over", 4, sp__now() - 2, sp__now() - 1);
        assert_int_equal(sp__store_get(shelf.store, name, name_of(1, name), 0, &value, &stale), SP__FOUND_STALE);
        assert_int_equal(stale.tags[0], 2);
        sp_value_unref(value);
        assert_int_equal(get(&shelf, 2, &value), SP__FOUND_NOTHING);
        close_shelf(&shelf);
}

static void test_an_older_load_does_not_replace_a_newer_one(void **state)
{
        struct sp__item item = {.fresh_until = SP__FOREVER, .kept_until = SP__FOREVER};
        struct sp__mark mark;
        struct shelf shelf;
        sp_value *value = NULL;
        size_t len;
        char name[32];

        open_shelf(&shelf, 1 << 20);
        sp__mirror_mark(&shelf.mirror, &mark);
        sp__mirror_bump(&shelf.mirror, (uint64_t[]){99}, 1);
        put(&shelf, 1, "newer", 5);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = sp_value_new("older", 5, SP_CODEC_BYTES);
        sp__store_put(shelf.store, name, name_of(1, name), &item);
        sp_value_unref(item.value);
        assert_int_equal(get(&shelf, 1, &value), SP__FOUND_FRESH);
        assert_string_equal(sp_value_data(value, &len), "newer");
        sp_value_unref(value);
        close_shelf(&shelf);
}

static void test_more_templates_than_an_entry_knew_hide_it(void **state)
{
        struct shelf shelf;
        sp_value *value;
        char name[32];

        open_shelf(&shelf, 1 << 20);
        put(&shelf, 1, "one", 3);
        assert_int_equal(sp__store_get(shelf.store, name, name_of(1, name), 1, &value, NULL), SP__FOUND_NOTHING);
        close_shelf(&shelf);
}

static void test_a_large_value_is_referred_to_and_a_small_one_copied(void **state)
{
        static const char large[5000] = "large";
        struct sp__item item = {.fresh_until = SP__FOREVER, .kept_until = SP__FOREVER};
        struct shelf shelf;
        struct sp__mark mark;
        sp_value *value = sp_value_new(large, sizeof large, SP_CODEC_JSON), *found = NULL;
        size_t len;

        open_shelf(&shelf, 1 << 20);
        sp__mirror_mark(&shelf.mirror, &mark);
        item.e = mark.e;
        item.v0 = mark.v0;
        item.value = value;
        sp__store_put(shelf.store, "large", 5, &item);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(sp__store_get(shelf.store, "large", 5, 0, &found, NULL), SP__FOUND_FRESH);
                assert_ptr_equal(found, value);
                sp_value_unref(found);
        }
        sp_value_unref(value);
        assert_int_equal(sp__store_get(shelf.store, "large", 5, 0, &found, NULL), SP__FOUND_FRESH);
        close_shelf(&shelf);
        assert_string_equal(sp_value_data(found, &len), "large");
        assert_int_equal(len, sizeof large);
        assert_int_equal(sp_value_codec(found), SP_CODEC_JSON);
        sp_value_unref(found);
}

static void test_more_references_are_held_than_a_thread_has_pins(void **state)
{
        enum { HELD = 100 };
        sp_value *held[HELD];
        struct shelf shelf;
        size_t len;

        open_shelf(&shelf, 1 << 20);
        put(&shelf, 1, "one", 3);
        put(&shelf, 2, "two", 3);
        for (int i = 0; i < HELD; i++)
                assert_int_equal(get(&shelf, 1 + (uint64_t)i % 2, &held[i]), SP__FOUND_FRESH);
        sp__store_drop(shelf.store, "key:1", 5);
        assert_false(has(&shelf, 1));
        for (int i = 0; i < HELD; i++) {
                assert_string_equal(sp_value_data(held[i], &len), i % 2 ? "two" : "one");
                sp_value_unref(held[i]);
        }
        assert_true(has(&shelf, 2));
        close_shelf(&shelf);
}

static void test_an_entry_gets_other_times(void **state)
{
        struct sp__item item;
        struct shelf shelf;
        sp_value *value;
        char name[32];
        int64_t now = sp__now();

        open_shelf(&shelf, 1 << 20);
        put(&shelf, 1, "one", 3);
        assert_true(sp__store_extend(shelf.store, name, name_of(1, name), 0, SP__FOREVER, now - SP__MS,
                                     now + 3600 * SP__SECOND));
        assert_int_equal(sp__store_get(shelf.store, name, name_of(1, name), 0, &value, &item), SP__FOUND_STALE);
        /* To within a thousandth. */
        assert_true(item.kept_until <= now + 3600 * SP__SECOND && item.kept_until > now + 3596 * SP__SECOND);
        assert_int_equal(item.fresh_until >> 10, (now - SP__MS) >> 10);
        sp_value_unref(value);
        assert_true(sp__store_extend(shelf.store, name, name_of(1, name), 0, SP__FOREVER, now + SP__SECOND * 3600,
                                     now + SP__SECOND * 3600));
        assert_true(has(&shelf, 1));
        assert_false(sp__store_extend(shelf.store, name, name_of(2, name), 0, SP__FOREVER, now, now));
        close_shelf(&shelf);
}

struct user {
        struct shelf *shelf;
        uint64_t seed;
        pthread_t thread;
        int wrong;
};

static void *use(void *arg)
{
        struct user *user = arg;
        struct sp__random random = {user->seed};

        for (int i = 0; i < 20000; i++) {
                uint64_t key = sp__random_next(&random) % 200;
                sp_value *value;
                size_t len;

                if (sp__random_next(&random) % 4 == 0) {
                        put(user->shelf, key, &key, sizeof key);
                } else if (sp__random_next(&random) % 50 == 0) {
                        sp__mirror_bump(&user->shelf->mirror, (uint64_t[]){key + 1}, 1);
                } else if (get(user->shelf, key, &value) == SP__FOUND_FRESH) {
                        user->wrong += memcmp(sp_value_data(value, &len), &key, sizeof key) != 0;
                        sp_value_unref(value);
                }
        }
        return NULL;
}

static void test_threads_get_their_own_keys_values(void **state)
{
        struct user users[4];
        struct shelf shelf;

        open_shelf(&shelf, 16 * 1024);
        for (int i = 0; i < 4; i++) {
                users[i] = (struct user){.shelf = &shelf, .seed = sp__random_seed()};
                pthread_create(&users[i].thread, NULL, use, &users[i]);
        }
        for (int i = 0; i < 4; i++) {
                pthread_join(users[i].thread, NULL);
                assert_int_equal(users[i].wrong, 0);
        }
        close_shelf(&shelf);
}

static void test_what_is_made_older_is_stale_and_then_nothing(void **state)
{
        enum { HOUR = 3600 };
        int64_t now = sp__now(), hour = HOUR * 1000 * SP__MS;
        struct shelf shelf;
        sp_value *value;

        open_shelf(&shelf, 1 << 20);
        put_at(&shelf, 1, "value", 5, now + hour, now + 3 * hour);
        put(&shelf, 2, "value", 5);
        for (uint64_t i = 3; i < 200; i++)
                put_at(&shelf, i, "value", 5, now + 2 * hour, now + 2 * hour);
        sp__store_age(shelf.store, hour / 2);
        assert_true(has(&shelf, 1));
        sp__store_age(shelf.store, hour);
        assert_int_equal(get(&shelf, 1, &value), SP__FOUND_STALE);
        sp_value_unref(value);
        for (uint64_t i = 3; i < 200; i++)
                assert_true(has(&shelf, i));
        /* Longer ago than the machine may be up. */
        sp__store_age(shelf.store, 3 * hour);
        assert_int_equal(get(&shelf, 1, &value), SP__FOUND_NOTHING);
        for (uint64_t i = 3; i < 200; i++)
                assert_int_equal(get(&shelf, i, &value), SP__FOUND_NOTHING);
        sp__store_age(shelf.store, SP__FOREVER);
        assert_true(has(&shelf, 2));
        close_shelf(&shelf);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_it_stays_within_its_bytes),
            cmocka_unit_test(test_what_is_larger_than_all_of_it_is_not_kept),
            cmocka_unit_test(test_a_value_outlives_its_entry),
            cmocka_unit_test(test_a_scan_leaves_what_is_asked_for),
            cmocka_unit_test(test_what_nobody_asks_for_any_more_makes_room),
            cmocka_unit_test(test_an_invalidated_tag_hides_its_entries_alone),
            cmocka_unit_test(test_what_is_expired_is_stale_and_then_nothing),
            cmocka_unit_test(test_an_older_load_does_not_replace_a_newer_one),
            cmocka_unit_test(test_more_templates_than_an_entry_knew_hide_it),
            cmocka_unit_test(test_a_large_value_is_referred_to_and_a_small_one_copied),
            cmocka_unit_test(test_more_references_are_held_than_a_thread_has_pins),
            cmocka_unit_test(test_an_entry_gets_other_times),
            cmocka_unit_test(test_what_is_made_older_is_stale_and_then_nothing),
            cmocka_unit_test(test_threads_get_their_own_keys_values),
        };

        return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
