/* SPDX-License-Identifier: MIT */
/* A parameter can never widen a key, every language builds the same one, and no secret stands in it. */
#include "base/random.h"
#include "core/params.h"
#include "key/registry.h"
#include "key/template.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static sp_template *template(const char *text)
{
        sp_template *tmpl = NULL;
        sp_error *error = NULL;

        if (sp_template_new(text, NULL, &tmpl, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return tmpl;
}

static sp_status format(const char *text, const json_t *values, char *buf, size_t *len)
{
        sp_template *tmpl = template(text);
        sp_params *params = sp_params_new();
        sp_status status;
        const json_t *value;
        size_t i;

        json_array_foreach(values, i, value)
        {
                if (json_is_null(value))
                        sp_params_add_null(params);
                else
                        sp_params_add_text(params, json_string_value(value), json_string_length(value));
        }
        status = sp_key_format(tmpl, params, buf, SP_KEY_MAX, len);
        sp_params_free(params);
        sp_template_unref(tmpl);
        return status;
}

static json_t *vectors(void)
{
        json_error_t error;
        json_t *root = json_load_file("tests/vectors/keys.json", JSON_ALLOW_NUL, &error);

        if (!root)
                fail_msg("tests/vectors/keys.json: %s", error.text);
        return root;
}

static void test_keys_are_those_of_every_other_language(void **state)
{
        json_t *root = vectors(), *vector;
        char key[SP_KEY_MAX];
        size_t i, len = 0;

        assert_true(json_array_size(json_object_get(root, "keys")) > 0);
        json_array_foreach(json_object_get(root, "keys"), i, vector)
        {
                const char *wanted = json_string_value(json_object_get(vector, "key"));

                assert_int_equal(format(json_string_value(json_object_get(vector, "template")),
                                        json_object_get(vector, "params"), key, &len),
                                 SP_OK);
                if (len != strlen(wanted) || memcmp(key, wanted, len) != 0)
                        fail_msg("%s: %.*s", json_string_value(json_object_get(vector, "name")), (int)len, key);
        }
        json_decref(root);
}

static void test_what_no_key_can_be_made_of_is_refused(void **state)
{
        json_t *root = vectors(), *vector;
        char key[SP_KEY_MAX];
        size_t i, len = 77;

        json_array_foreach(json_object_get(root, "refused"), i, vector)
        {
                sp_status status = format(json_string_value(json_object_get(vector, "template")),
                                          json_object_get(vector, "params"), key, &len);

                assert_string_equal(sp_status_name(status), json_string_value(json_object_get(vector, "code")));
                assert_int_equal(len, 77);
        }
        json_decref(root);
}

static const struct {
        const char *text;
        const char *options;
        const char *says;
} hostile[] = {
    {NULL, NULL, "text"},
    {"", NULL, "empty"},
    {"rec", NULL, "two at least"},
    {"{id}", NULL, "two at least"},
    {":x", NULL, "empty"},
    {"rec:", NULL, "empty"},
    {"rec::x", NULL, "empty"},
    {"rec:{userId", NULL, "{userId"},
    {"rec:userId}", NULL, "userId}"},
    {"rec:{}", NULL, "{}"},
    {"rec:{!}", NULL, "{!}"},
    {"rec:{a!!}", NULL, "{a!!}"},
    {"rec:{a-b}", NULL, "{a-b}"},
    {"rec:{1a}", NULL, "{1a}"},
    {"rec:{a b}", NULL, "{a b}"},
    {"rec:{{a}}", NULL, "{{a}}"},
    {"rec:{#}", NULL, "{#}"},
    {"rec:{a#!}", NULL, "{a#!}"},
    {"rec:{a#}:{b#}", NULL, "decides the slot"},
    {"rec:{a}{b}", NULL, "one parameter a segment"},
    {"rec:{a}x", NULL, "one parameter a segment"},
    {"rec:{a}:{a}", NULL, "like another"},
    {"rec:{a}:{a!}", NULL, "like another"},
    {"rec:*", NULL, "\"*\""},
    {"rec:a?", NULL, "a?"},
    {"rec:a b", NULL, "a b"},
    {"rec:a%3A", NULL, "a%3A"},
    {"rec:~x", NULL, "~x"},
    {"rec:a\n", NULL, "character"},
    {"rec:x:{id}", "ttl=soon", "ttl=soon"},
    {"rec:x:{id}", "ttl=0", "ttl=0"},
    {"rec:x:{id}", "ttl=-1s", "ttl"},
    {"rec:x:{id}", "ttl=", "ttl"},
    {"rec:x:{id}", "ttl", "\"ttl\""},
    {"rec:x:{id}", "tll=1h", "\"tll\""},
    {"rec:x:{id}", "ttl=1h ttl=2h", "twice"},
    {"rec:x:{id}", "size=5XB", "size=5XB"},
    {"rec:x:{id}", "stale=5000y", "stale"},
    {"rec:x:{id}", "=1h", "\"\""},
};

static void test_a_template_that_cannot_be_one_names_what_is_wrong(void **state)
{
        sp_template *tmpl = (void *)&tmpl;
        char text[1024] = "rec:{id}";

        for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
                sp_error *error = NULL;

                if (sp_template_new(hostile[i].text, hostile[i].options, &tmpl, &error) != SP_INVALID)
                        fail_msg("%s %s is not refused", hostile[i].text, hostile[i].options);
                if (!strstr(sp_error_message(error), hostile[i].says))
                        fail_msg("%s: %s", hostile[i].text, sp_error_message(error));
                sp_error_free(error);
                assert_ptr_equal(tmpl, (void *)&tmpl);
        }
        for (int i = 0; i < 31; i++)
                strcat(text, ":x");
        assert_int_equal(sp_template_new(text, NULL, &tmpl, NULL), SP_LIMIT);
        memset(text, 'x', 600);
        memcpy(text, "a:b", 3);
        text[600] = 0;
        assert_int_equal(sp_template_new(text, NULL, &tmpl, NULL), SP_LIMIT);
        assert_ptr_equal(tmpl, (void *)&tmpl);
}

static void test_options_and_parameters_are_told(void **state)
{
        sp_template *tmpl = NULL;

        assert_int_equal(sp_template_new("rec:recommendations:{userId}:{limit!}",
                                         " ttl=2h  size=5KB stale=5m negative=0 ", &tmpl, NULL),
                         SP_OK);
        assert_int_equal(sp_template_ttl_ms(tmpl), 7200000);
        assert_int_equal(sp__template_size(tmpl), 5120);
        assert_int_equal(sp__template_stale_ms(tmpl), 300000);
        assert_int_equal(sp__template_negative_ms(tmpl), 0);
        assert_string_equal(sp_template_text(tmpl), "rec:recommendations:{userId}:{limit!}");
        assert_int_equal(sp_template_params(tmpl), 2);
        assert_string_equal(sp_template_param(tmpl, 0), "userId");
        assert_string_equal(sp_template_param(tmpl, 1), "limit");
        assert_null(sp_template_param(tmpl, 2));
        sp_template_unref(sp_template_ref(tmpl));
        sp_template_unref(tmpl);
        sp_template_unref(NULL);
        tmpl = template("rec:x");
        assert_int_equal(sp_template_ttl_ms(tmpl), 3600000);
        assert_int_equal(sp__template_negative_ms(tmpl), 30000);
        assert_int_equal(sp__template_stale_ms(tmpl), -1);
        assert_int_equal(sp__template_soft_ms(tmpl), 0);
        assert_int_equal(sp__template_hard_ms(tmpl), 0);
        assert_int_equal(sp__template_refresh(tmpl), 0);
        assert_int_equal(sp__template_sliding_ms(tmpl), 0);
        sp_template_unref(tmpl);
        assert_int_equal(sp_template_new("rec:x", "stale=never soft=100ms hard=2s refresh=3 sliding=30m", &tmpl, NULL),
                         SP_OK);
        assert_int_equal(sp__template_stale_ms(tmpl), 0);
        assert_int_equal(sp__template_soft_ms(tmpl), 100);
        assert_int_equal(sp__template_hard_ms(tmpl), 2000);
        assert_int_equal(sp__template_refresh(tmpl), 3);
        assert_int_equal(sp__template_sliding_ms(tmpl), 1800000);
        assert_int_equal(sp__template_raw(tmpl), 0);
        sp_template_unref(tmpl);
        assert_int_equal(sp_template_new("rec:x:{id}", "raw=json max=64KB", &tmpl, NULL), SP_OK);
        assert_int_equal(sp__template_raw(tmpl), SP_CODEC_JSON);
        assert_int_equal(sp__template_value_max(tmpl), 65536);
        sp_template_unref(tmpl);
}

static void test_raw_keys_have_nothing_beside_their_values(void **state)
{
        static const char *const wrong[] = {"raw=json stale=5m",    "raw=text refresh=1", "raw=json sliding=1m",
                                            "raw=json negative=1s", "soft=1s raw=json",   "raw=xml"};
        struct sp__keys *keys = sp__keys_new();
        sp_template *tmpl = NULL, *other = NULL;
        sp_error *error = NULL;

        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                assert_int_equal(sp_template_new("rec:x:{id}", wrong[i], &tmpl, NULL), SP_INVALID);
        assert_int_equal(sp_template_new("{id}:x", "raw=json", &tmpl, NULL), SP_INVALID);
        assert_int_equal(sp_template_new("rec:x:{id}", "raw=text", &tmpl, NULL), SP_OK);
        assert_int_equal(sp__template_raw(tmpl), SP_CODEC_TEXT);
        assert_int_equal(sp_template_pattern(tmpl, "rec:x:*", &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "raw"));
        sp_error_free(error);
        /* A pattern of the one would not reach those keys that stand raw. */
        assert_int_equal(sp_template_new("rec:{kind}:{id}", NULL, &other, NULL), SP_OK);
        assert_int_equal(sp__keys_declare(keys, tmpl, NULL), SP_OK);
        error = NULL;
        assert_int_equal(sp__keys_declare(keys, other, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "raw"));
        sp_error_free(error);
        sp_template_unref(other);
        sp_template_unref(tmpl);
        sp__keys_free(keys);
}

/* The escaping of the header, written down once more and as plainly as it gets. */
static size_t reference(const unsigned char *data, size_t len, bool secret, char *out)
{
        size_t at = 0;

        if (secret || len > 128) {
                unsigned char hash[32];

                EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL);
                at += (size_t)sprintf(out, "~");
                for (int i = 0; i < 32; i++)
                        at += (size_t)sprintf(out + at, "%02x", hash[i]);
                return at;
        }
        for (size_t i = 0; i < len; i++) {
                if (data[i] <= ' ' || data[i] == 127 || strchr(":*?[]{}%~\\", data[i]))
                        at += (size_t)sprintf(out + at, "%%%02X", data[i]);
                else
                        out[at++] = (char)data[i];
        }
        return at;
}

static size_t random_bytes(struct sp__random *random, unsigned char *out, size_t max)
{
        size_t len = 1 + sp__random_next(random) % max;
        bool rude = sp__random_next(random) & 1;

        for (size_t i = 0; i < len; i++)
                out[i] = rude ? (unsigned char)":*?[]{}%~\\ %3A"[sp__random_next(random) % 14]
                              : (unsigned char)sp__random_next(random);
        return len;
}

static void test_format_then_parse_is_identity_for_any_bytes(void **state)
{
        struct sp__random random = {sp__random_seed()};
        sp_template *tmpl = template("rec:{first}:limit={second}:x"), *secret = template("rec:{first}:s={second!}:x");
        sp_params *params = sp_params_new(), *back = sp_params_new();

        print_message("# seed %" PRIu64 "\n", random.state);
        for (int round = 0; round < 20000; round++) {
                unsigned char first[200], second[200];
                char key[SP_KEY_MAX], wanted[SP_KEY_MAX];
                size_t a = random_bytes(&random, first, round % 2 ? 20 : 140), b = random_bytes(&random, second, 20);
                size_t len = 0, at, part_len = 0;

                sp_params_clear(params);
                sp_params_add_text(params, first, a);
                sp_params_add_text(params, second, b);
                assert_int_equal(sp_key_format(tmpl, params, key, sizeof key, &len), SP_OK);
                at = (size_t)sprintf(wanted, "rec:");
                at += reference(first, a, false, wanted + at);
                at += (size_t)sprintf(wanted + at, ":limit=");
                at += reference(second, b, false, wanted + at);
                at += (size_t)sprintf(wanted + at, ":x");
                assert_int_equal(len, at);
                assert_memory_equal(key, wanted, len);
                assert_true(sp__template_matches(tmpl, key, len));
                assert_int_equal(sp_key_parse(tmpl, key, len, back), a > 128 ? SP_NOT_FOUND : SP_OK);
                if (a <= 128) {
                        assert_int_equal(sp_params_count(back), 2);
                        assert_memory_equal(sp__params_get(back, 0, &part_len), first, a);
                        assert_int_equal(part_len, a);
                        assert_memory_equal(sp__params_get(back, 1, &part_len), second, b);
                        assert_int_equal(part_len, b);
                }
                assert_int_equal(sp_key_format(secret, params, key, sizeof key, &len), SP_OK);
                assert_true(sp__template_matches(secret, key, len));
                assert_int_equal(sp_key_parse(secret, key, len, back), SP_NOT_FOUND);
        }
        sp_params_free(params);
        sp_params_free(back);
        sp_template_unref(tmpl);
        sp_template_unref(secret);
}

static void test_the_parameter_of_the_slot_is_in_braces_and_comes_back(void **state)
{
        static const char *const foreign[] = {"cart:user-3:items",  "cart:{}:items",    "cart:{user-3:items",
                                              "cart:user-3}:items", "cart:{{a}}:items", "cart:{:items",
                                              "cart:{a}b:items",    "cart:{~abc}:items"};
        sp_template *tmpl = template("cart:{userId#}:items"), *secret = template("cart:{token!#}:{part}");
        sp_params *params = sp_params_new(), *back = sp_params_new();
        char key[SP_KEY_MAX];
        size_t len = 0, part_len = 0;

        sp_params_add_text(params, "a}b", 3);
        assert_int_equal(sp_key_format(tmpl, params, key, sizeof key, &len), SP_OK);
        assert_int_equal(len, 18);
        assert_memory_equal(key, "cart:{a%7Db}:items", len);
        assert_int_equal(sp_key_parse(tmpl, key, len, back), SP_OK);
        assert_memory_equal(sp__params_get(back, 0, &part_len), "a}b", 3);
        assert_int_equal(part_len, 3);
        for (size_t cap = 0; cap < 18; cap++)
                assert_int_equal(sp_key_format(tmpl, params, key, cap, &len), SP_LIMIT);
        for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
                if (sp__template_matches(tmpl, foreign[i], strlen(foreign[i])))
                        fail_msg("\"%s\" matches", foreign[i]);
        }
        sp_params_add_text(params, "x", 1);
        assert_int_equal(sp_key_format(secret, params, key, sizeof key, &len), SP_OK);
        assert_int_equal(len, 5 + 67 + 2);
        assert_true(sp__template_matches(secret, key, len));
        assert_int_equal(sp_key_parse(secret, key, len, back), SP_NOT_FOUND);
        sp_params_free(params);
        sp_params_free(back);
        sp_template_unref(tmpl);
        sp_template_unref(secret);
}

static void test_only_the_template_s_own_keys_match(void **state)
{
        static const char *const foreign[] = {
            "",
            "rec",
            "rec:",
            "rec:user",
            "rec:user:",
            "rec:user:a:",
            "rec:user:a:b:c",
            "rec:users:a:b",
            "re:user:a:b",
            "rec:user:a*:b",
            "rec:user:a b:b",
            "rec:user:%3a:b",
            "rec:user:%41:b",
            "rec:user:%3:b",
            "rec:user:%:b",
            "rec:user:a::b",
            ":user:a:b",
            "rec:user:~:b",
            "rec:user:~abc:b",
            "rec:user:a~:b",
            "rec:user:a:b\n",
            "REC:user:a:b",
            "rec:user:~0EC9EB33E74510BCDD1F2EA55206E82F21649C5C2BECBF2B433EB475B34C01BD:b",
        };
        sp_template *tmpl = template("rec:user:{id}:{part}"), *secret = template("rec:user:{id!}:b");
        sp_template *many = template("a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:a:{x}");
        sp_params *out = sp_params_new();
        char longer[200];

        for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
                if (sp__template_matches(tmpl, foreign[i], strlen(foreign[i])))
                        fail_msg("\"%s\" matches", foreign[i]);
                assert_int_equal(sp_key_parse(tmpl, foreign[i], strlen(foreign[i]), out), SP_NOT_FOUND);
        }
        assert_int_equal(sp_params_count(out), 0);
        assert_true(sp__template_matches(tmpl, "rec:user:a%3Ab:c", 16));
        assert_false(sp__template_matches(secret, "rec:user:plain:b", 16));
        snprintf(longer, sizeof longer, "rec:user:%0129d:b", 1);
        assert_false(sp__template_matches(tmpl, longer, strlen(longer)));
        memset(longer, ':', sizeof longer);
        assert_false(sp__template_matches(tmpl, longer, sizeof longer));
        assert_false(sp__template_matches(many, longer, sizeof longer));
        sp_params_free(out);
        sp_template_unref(many);
        sp_template_unref(tmpl);
        sp_template_unref(secret);
}

static void test_a_key_that_does_not_fit_is_refused_and_nothing_is_overrun(void **state)
{
        sp_template *tmpl = template("rec:{a}:{b}:{c}:{d!}");
        sp_params *params = sp_params_new();
        char key[SP_KEY_MAX + 1], stars[128];
        size_t len = 77, wanted = 4 + 3 * 30 + 3 + 65;

        memset(stars, '*', sizeof stars);
        for (int i = 0; i < 4; i++)
                sp_params_add_text(params, stars, 10);
        for (size_t cap = 0; cap < wanted; cap++) {
                memset(key, 'z', sizeof key);
                assert_int_equal(sp_key_format(tmpl, params, key, cap, &len), SP_LIMIT);
                assert_int_equal(key[cap], 'z');
                assert_int_equal(len, 77);
        }
        assert_int_equal(sp_key_format(tmpl, params, key, wanted, &len), SP_OK);
        assert_int_equal(len, wanted);
        sp_params_clear(params);
        for (int i = 0; i < 4; i++)
                sp_params_add_text(params, stars, sizeof stars);
        assert_int_equal(sp_key_format(tmpl, params, key, SIZE_MAX / 4, &len), SP_LIMIT);
        assert_int_equal(sp_key_format(tmpl, NULL, key, sizeof key, &len), SP_INVALID);
        assert_int_equal(sp_key_check(tmpl, params, NULL), SP_LIMIT);
        sp_params_free(params);
        sp_template_unref(tmpl);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_keys_are_those_of_every_other_language),
            cmocka_unit_test(test_what_no_key_can_be_made_of_is_refused),
            cmocka_unit_test(test_a_template_that_cannot_be_one_names_what_is_wrong),
            cmocka_unit_test(test_options_and_parameters_are_told),
            cmocka_unit_test(test_raw_keys_have_nothing_beside_their_values),
            cmocka_unit_test(test_format_then_parse_is_identity_for_any_bytes),
            cmocka_unit_test(test_the_parameter_of_the_slot_is_in_braces_and_comes_back),
            cmocka_unit_test(test_only_the_template_s_own_keys_match),
            cmocka_unit_test(test_a_key_that_does_not_fit_is_refused_and_nothing_is_overrun),
        };

        return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
