/* SPDX-License-Identifier: MIT */
/* What an invalidation names and what a key stands under are the same text, whatever the parameters are. */
#include "base/random.h"
#include "key/registry.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A template with patterns; the list ends with NULL. */
static sp_template *template(const char *text, const char *const patterns[])
{
        sp_template *tmpl = NULL;
        sp_error *error = NULL;

        if (sp_template_new(text, NULL, &tmpl, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        for (size_t i = 0; patterns && patterns[i]; i++) {
                if (sp_template_pattern(tmpl, patterns[i], &error) != SP_OK)
                        fail_msg("%s", sp_error_message(error));
        }
        return tmpl;
}

static struct sp__keys *declared(sp_template *const templates[])
{
        struct sp__keys *keys = sp__keys_new();
        sp_error *error = NULL;

        for (size_t i = 0; templates[i]; i++) {
                if (sp__keys_declare(keys, templates[i], &error) != SP_OK)
                        fail_msg("%s", sp_error_message(error));
                sp_template_unref(templates[i]);
        }
        return keys;
}

static bool tagged(const struct sp__tags *tags, const char *text, size_t len)
{
        for (size_t i = 0; i < tags->count; i++) {
                if (tags->tags[i].len == len && memcmp(tags->bytes + tags->tags[i].at, text, len) == 0)
                        return true;
        }
        return false;
}

static void tags_are(const struct sp__keys *keys, const char *key, const char *tmpl, const char *const wanted[])
{
        static struct sp__tags tags;
        const sp_template *found = sp__keys_tags(keys, key, strlen(key), &tags);
        size_t count = 0;

        assert_ptr_equal(found, sp__keys_find(keys, key, strlen(key)));
        if (!tmpl) {
                assert_null(found);
                assert_int_equal(tags.count, 0);
                return;
        }
        assert_non_null(found);
        assert_string_equal(sp_template_text(found), tmpl);
        for (; wanted[count]; count++) {
                if (!tagged(&tags, wanted[count], strlen(wanted[count])))
                        fail_msg("%s has not the tag %s", key, wanted[count]);
        }
        assert_int_equal(tags.count, count);
}

#define LIST(...)                                                                                                      \
        (const char *const[])                                                                                          \
        {                                                                                                              \
                __VA_ARGS__, NULL                                                                                      \
        }

static void test_a_key_stands_under_the_patterns_of_its_template(void **state)
{
        sp_template *const templates[] = {
            template("rec:recommendations:{userId}:{limit}",
                     LIST("rec:recommendations:*", "rec:recommendations:{userId}:*", "rec:recommendations:*:{limit}",
                          "rec:recommendations:*:10", "rec:*")),
            template("rec:user:{id}:interests", LIST("rec:user:*:interests", "rec:user:{id}:*", "rec:*")),
            template("auth:session:{token!}", LIST("auth:session:{token}", "auth:*")),
            template("content:list:limit={limit}", LIST("content:list:limit={limit}", "content:list:limit=10")),
            NULL,
        };
        struct sp__keys *keys = declared(templates);

        tags_are(keys, "rec:recommendations:user-3:10", "rec:recommendations:{userId}:{limit}",
                 LIST("rec:recommendations:*", "rec:recommendations:user-3:*", "rec:recommendations:*:10", "rec:*"));
        tags_are(keys, "rec:recommendations:user-3:20", "rec:recommendations:{userId}:{limit}",
                 LIST("rec:recommendations:*", "rec:recommendations:user-3:*", "rec:recommendations:*:20", "rec:*"));
        tags_are(keys, "rec:recommendations:a%3Ab:20", "rec:recommendations:{userId}:{limit}",
                 LIST("rec:recommendations:*", "rec:recommendations:a%3Ab:*", "rec:recommendations:*:20", "rec:*"));
        tags_are(keys, "rec:user:7:interests", "rec:user:{id}:interests",
                 LIST("rec:user:*:interests", "rec:user:7:*", "rec:*"));
        tags_are(keys, "content:list:limit=10", "content:list:limit={limit}", LIST("content:list:limit=10"));
        tags_are(keys, "content:list:limit=11", "content:list:limit={limit}", LIST("content:list:limit=11"));
        tags_are(keys, "rec:user:7:other", NULL, NULL);
        tags_are(keys, "auth:session:plain", NULL, NULL);
        tags_are(keys, "", NULL, NULL);
        tags_are(keys, "rec", NULL, NULL);
        tags_are(keys, "a:b:c:d:e", NULL, NULL);
        assert_non_null(sp__keys_pattern(keys, "auth:*"));
        assert_null(sp__keys_pattern(keys, "auth"));
        assert_null(sp__keys_pattern(keys, "rec:recommendations:{userId}"));
        sp__keys_free(keys);
}

static void test_a_key_of_several_templates_has_the_tags_of_all(void **state)
{
        sp_template *const templates[] = {
            template("auth:{kind}:{id}:{part}", LIST("auth:{kind}:*")),
            template("auth:user:{id}:{part}", LIST("auth:user:{id}:*", "auth:user:*")),
            template("auth:user:{id}:roles", LIST("auth:user:*:roles", "auth:user:*")),
            template("{app}:user:{id}:roles", LIST("{app}:*")),
            NULL,
        };
        struct sp__keys *keys = declared(templates);

        tags_are(keys, "auth:user:7:roles", "auth:user:{id}:roles",
                 LIST("auth:user:*", "auth:user:7:*", "auth:user:*:roles", "auth:*"));
        tags_are(keys, "auth:user:7:name", "auth:user:{id}:{part}", LIST("auth:user:*", "auth:user:7:*"));
        tags_are(keys, "auth:bot:7:roles", "auth:{kind}:{id}:{part}", LIST("auth:bot:*"));
        tags_are(keys, "pay:user:7:roles", "{app}:user:{id}:roles", LIST("pay:*"));
        sp__keys_free(keys);
}

/* An id may be what another template has as text: it is one key, and whoever made it finds its parts in it. */
static void test_a_key_that_two_templates_make_is_one_key_of_both(void **state)
{
        sp_template *wide = template("user:{id}:profile", LIST("user:{id}:*")), *one = NULL;
        struct sp__keys *keys = declared((sp_template *const[]){sp_template_ref(wide), NULL});
        sp_params *params = sp_params_new();
        char key[SP_KEY_MAX], same[SP_KEY_MAX];
        size_t len, same_len;

        assert_int_equal(sp_template_new("user:all:profile", "ttl=7s", &one, NULL), SP_OK);
        assert_int_equal(sp_template_pattern(one, "user:all:profile", NULL), SP_OK);
        assert_int_equal(sp__keys_declare(keys, one, NULL), SP_OK);
        assert_int_equal(sp_key_format(one, params, same, sizeof same, &same_len), SP_OK);
        sp_params_add_text(params, "all", 3);
        assert_int_equal(sp_key_format(wide, params, key, sizeof key, &len), SP_OK);
        assert_int_equal(len, same_len);
        assert_memory_equal(key, same, len);
        assert_int_equal(sp_template_ttl_ms(sp__keys_find(keys, key, len)), 7000);
        tags_are(keys, "user:all:profile", "user:all:profile", LIST("user:all:*", "user:all:profile"));
        tags_are(keys, "user:7:profile", "user:{id}:profile", LIST("user:7:*"));
        assert_int_equal(sp_key_parse(one, key, len, params), SP_OK);
        assert_int_equal(sp_params_count(params), 0);
        assert_int_equal(sp_key_parse(wide, key, len, params), SP_OK);
        assert_int_equal(sp_params_count(params), 1);
        sp_params_free(params);
        sp_template_unref(wide);
        sp_template_unref(one);
        sp__keys_free(keys);
}

static void test_both_sides_write_the_same_tag(void **state)
{
        static const char *const patterns[] = {"rec:{a}:*", "rec:{a}:p={b}:*", "rec:*:p={b}:{c}", "rec:{a}:*:{c}",
                                               NULL};
        static const int filled[][3] = {{0}, {0, 1}, {1, 2}, {0, 2}}, counts[] = {1, 2, 2, 2};
        static const char bytes[] = ":*?[]{}%~\\ ab3\x7f\xc3";
        struct sp__random random = {sp__random_seed()};
        sp_template *tmpl = template("rec:{a}:p={b}:{c!}", patterns);
        sp_params *params = sp_params_new();
        static struct sp__tags tags;

        print_message("# seed %" PRIu64 "\n", random.state);
        for (int round = 0; round < 10000; round++) {
                char values[3][140], key[SP_KEY_MAX], tag[SP_KEY_MAX];
                size_t lens[3], len = 0;

                sp_params_clear(params);
                for (int i = 0; i < 3; i++) {
                        lens[i] = 1 + sp__random_next(&random) % (round % 10 ? 12 : 140);
                        for (size_t j = 0; j < lens[i]; j++)
                                values[i][j] = bytes[sp__random_next(&random) % (sizeof bytes - 1)];
                        sp_params_add_text(params, values[i], lens[i]);
                }
                assert_int_equal(sp_key_format(tmpl, params, key, sizeof key, &len), SP_OK);
                tags.count = tags.used = 0;
                sp__template_tags(tmpl, key, len, &tags);
                assert_int_equal(tags.count, 4);
                for (int p = 0; patterns[p]; p++) {
                        sp_params_clear(params);
                        for (int i = 0; i < counts[p]; i++)
                                sp_params_add_text(params, values[filled[p][i]], lens[filled[p][i]]);
                        assert_int_equal(sp__pattern_format(tmpl, patterns[p], params, tag, sizeof tag, &len, NULL),
                                         SP_OK);
                        assert_true(tagged(&tags, tag, len));
                }
        }
        sp_params_free(params);
        sp_template_unref(tmpl);
}

static void test_patterns_that_match_nothing_are_refused(void **state)
{
        static const char *const bad[] = {
            "rec:user",
            "rec:user:{id}",
            "rec:user:{id}:{part}:x",
            "rec:users:*",
            "rec:user:{part}:*",
            "rec:user:{x}:*",
            "rec:us*",
            "*:user",
            "rec:user:a*:*",
            "rec:user:{id}:p={part}",
            "",
            "*",
            "rec:*:",
            "rec:user:?:part",
            "rec:user:**:part",
        };
        sp_template *tmpl = template("rec:user:{id}:{part}", NULL), *secret = template("auth:session:{token!}", NULL);
        sp_params *params = sp_params_new();
        sp_error *error = NULL;
        char buf[SP_KEY_MAX];
        size_t len = 77;

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                if (sp_template_pattern(tmpl, bad[i], &error) != SP_INVALID)
                        fail_msg("%s is not refused", bad[i]);
                if (!strstr(sp_error_message(error), bad[i]))
                        fail_msg("%s: %s", bad[i], sp_error_message(error));
                sp_error_free(error);
        }
        assert_int_equal(sp_template_pattern(tmpl, NULL, NULL), SP_INVALID);
        assert_int_equal(sp_template_pattern(secret, "auth:session:plain", NULL), SP_INVALID);
        for (int i = 0; i < 9; i++) {
                snprintf(buf, sizeof buf, "rec:user:%d:*", i);
                assert_int_equal(sp_template_pattern(tmpl, buf, NULL), i < 8 ? SP_OK : SP_LIMIT);
                assert_int_equal(sp_template_pattern(tmpl, "rec:user:0:*", NULL), SP_OK);
        }
        assert_int_equal(sp_template_pattern(secret, "auth:session:{token}", NULL), SP_OK);
        assert_int_equal(sp__pattern_format(secret, "auth:session:{token}", params, buf, sizeof buf, &len, &error),
                         SP_INVALID);
        sp_error_free(error);
        sp_params_add_text(params, "s3cret", 6);
        assert_int_equal(sp__pattern_format(secret, "auth:session:*", params, buf, sizeof buf, &len, &error),
                         SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "auth:session:*"));
        sp_error_free(error);
        assert_int_equal(sp__pattern_format(secret, "auth:session:{token}", params, buf, 20, &len, &error), SP_LIMIT);
        assert_null(strstr(sp_error_message(error), "s3cret"));
        sp_error_free(error);
        assert_int_equal(len, 77);
        assert_int_equal(sp__pattern_format(secret, "auth:session:{token}", params, buf, sizeof buf, &len, NULL),
                         SP_OK);
        assert_int_equal(len, 13 + 65);
        sp_params_free(params);
        sp_template_unref(tmpl);
        sp_template_unref(secret);
}

static void declare(struct sp__keys *keys, const char *text, const char *options, const char *pattern, sp_status wanted)
{
        sp_template *tmpl = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_template_new(text, options, &tmpl, NULL), SP_OK);
        if (pattern)
                assert_int_equal(sp_template_pattern(tmpl, pattern, NULL), SP_OK);
        if (sp__keys_declare(keys, tmpl, &error) != wanted)
                fail_msg("%s: %s", text, error ? sp_error_message(error) : "declared");
        if (wanted != SP_OK)
                assert_non_null(strstr(sp_error_message(error), text));
        else
                assert_int_equal(sp_template_pattern(tmpl, "rec:never:before", NULL), SP_INVALID);
        sp_error_free(error);
        sp_template_unref(tmpl);
}

static void test_declarations_that_contradict_are_refused(void **state)
{
        struct sp__keys *keys = sp__keys_new();

        declare(keys, "rec:user:{id}", "ttl=1h", "rec:user:*", SP_OK);
        declare(keys, "rec:user:{id}", NULL, "rec:user:*", SP_OK);
        declare(keys, "rec:user:{id}", "ttl=2h", "rec:user:*", SP_INVALID);
        declare(keys, "rec:user:{id}", "ttl=1h", NULL, SP_INVALID);
        declare(keys, "rec:user:{id}", "ttl=1h", "rec:*", SP_INVALID);
        declare(keys, "rec:user:{name}", NULL, NULL, SP_INVALID);
        declare(keys, "rec:user:{id!}", NULL, NULL, SP_INVALID);
        declare(keys, "rec:user:me", NULL, NULL, SP_OK);
        declare(keys, "rec:{kind}:{id}", NULL, "rec:{kind}:*", SP_OK);
        declare(keys, "rec:{kind!}:{id}:{x}", NULL, "rec:{kind}:*", SP_INVALID);
        declare(keys, "rec:user:u={id}", NULL, NULL, SP_OK);
        declare(keys, "rec:user:v={id}", NULL, NULL, SP_OK);
        sp__keys_free(keys);
        sp__keys_free(NULL);
}

struct race {
        struct sp__keys *keys;
        atomic_bool stop;
};

static void *reader(void *arg)
{
        struct race *race = arg;
        struct sp__tags *tags = malloc(sizeof *tags);
        size_t failed = 0;

        while (!atomic_load(&race->stop)) {
                const sp_template *tmpl = sp__keys_tags(race->keys, "s0:user:7", 9, tags);

                failed += !tmpl || strcmp(sp_template_text(tmpl), "s0:user:{id}") != 0 || tags->count != 1 ||
                          !sp__keys_pattern(race->keys, "s0:*");
        }
        free(tags);
        return failed ? arg : NULL;
}

static void test_keys_are_found_while_templates_are_declared(void **state)
{
        struct race race = {.keys = sp__keys_new()};
        pthread_t threads[2];
        void *failed;
        char text[64], pattern[64];

        declare(race.keys, "s0:user:{id}", NULL, "s0:*", SP_OK);
        for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, reader, &race), 0);
        for (int i = 1; i < 200; i++) {
                snprintf(text, sizeof text, "s%d:user:{id}", i);
                snprintf(pattern, sizeof pattern, "s%d:*", i);
                declare(race.keys, text, NULL, pattern, SP_OK);
        }
        atomic_store(&race.stop, true);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(pthread_join(threads[i], &failed), 0);
                assert_null(failed);
        }
        for (int i = 0; i < 200; i++) {
                snprintf(text, sizeof text, "s%d:user:x", i);
                assert_non_null(sp__keys_find(race.keys, text, strlen(text)));
        }
        sp__keys_free(race.keys);
}

static void test_a_pattern_names_the_slot_as_the_key_does(void **state)
{
        static const char *const patterns[] = {"cart:{userId}:*", NULL};
        struct sp__keys *keys = declared((sp_template *const[]){template("cart:{userId#}:{part}", patterns), NULL});
        static const char key[] = "cart:{user-3}:items";
        const sp_template *tmpl;
        static struct sp__tags tags;
        sp_params *params = sp_params_new();
        char text[SP_KEY_MAX];
        size_t len;

        sp_params_add_text(params, "user-3", 6);
        tmpl = sp__keys_tags(keys, key, sizeof key - 1, &tags);
        assert_non_null(tmpl);
        assert_int_equal(sp__pattern_format(tmpl, patterns[0], params, text, sizeof text, &len, NULL), SP_OK);
        assert_true(tagged(&tags, text, len));
        assert_null(sp__keys_find(keys, "cart:user-3:items", 17));
        sp_params_free(params);
        sp__keys_free(keys);
}

static void test_what_was_declared_is_listed(void **state)
{
        static const char *const patterns[] = {"b:*", NULL};
        struct sp__keys *keys =
            declared((sp_template *const[]){template("b:{id}", patterns), template("a:x", NULL), NULL});
        struct sp__keys *none = sp__keys_new();
        struct sp__buf text = SP__BUF_INIT;

        sp__keys_list(none, &text);
        assert_int_equal(text.len, 2);
        assert_memory_equal(text.data, "[]", 2);
        sp__buf_clear(&text);
        sp__keys_list(keys, &text);
        sp__buf_char(&text, 0);
        assert_non_null(strstr(
            text.data,
            "{\"template\":\"a:x\",\"ttl_ms\":3600000,\"size\":0,\"max\":0,\"raw\":false,\"negative_ms\":30000,"));
        assert_non_null(strstr(text.data, "{\"template\":\"b:{id}\",\"ttl_ms\":3600000,"));
        assert_non_null(strstr(text.data, "\"patterns\":[\"b:*\"]}]"));
        assert_true(strstr(text.data, "a:x") < strstr(text.data, "b:{id}"));
        sp__buf_free(&text);
        sp__keys_free(keys);
        sp__keys_free(none);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_key_stands_under_the_patterns_of_its_template),
            cmocka_unit_test(test_a_key_of_several_templates_has_the_tags_of_all),
            cmocka_unit_test(test_a_key_that_two_templates_make_is_one_key_of_both),
            cmocka_unit_test(test_both_sides_write_the_same_tag),
            cmocka_unit_test(test_patterns_that_match_nothing_are_refused),
            cmocka_unit_test(test_declarations_that_contradict_are_refused),
            cmocka_unit_test(test_keys_are_found_while_templates_are_declared),
            cmocka_unit_test(test_a_pattern_names_the_slot_as_the_key_does),
            cmocka_unit_test(test_what_was_declared_is_listed),
        };

        return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
