/* SPDX-License-Identifier: MIT */
/* The state-machine cases of other libraries, on a virtual clock; Node and Python run the same file. */
#include "breaker_play.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SETTINGS_MAX = 16 };

static void run(const json_t *vector)
{
        const char *settings[2 * SETTINGS_MAX + 1] = {0};
        const char *key;
        json_t *config = json_object_get(vector, "config"), *value;
        struct rig rig;
        size_t at = 0;

        json_object_foreach(config, key, value)
        {
                assert_true(at < SETTINGS_MAX);
                settings[2 * at] = key;
                settings[2 * at++ + 1] = json_string_value(value);
        }
        rig = rig_new_with(settings);
        print_message("# %s: %s\n", json_string_value(json_object_get(vector, "of")),
                      json_string_value(json_object_get(vector, "name")));
        play(&rig, json_string_value(json_object_get(vector, "steps")));
        rig_free(&rig);
}

static void test_the_cases_of_the_others(void **state)
{
        json_error_t error;
        json_t *vectors = json_load_file("tests/vectors/breaker.json", 0, &error);

        if (!vectors)
                fail_msg("tests/vectors/breaker.json:%d: %s", error.line, error.text);
        assert_true(json_array_size(vectors) > 90);
        for (size_t i = 0; i < json_array_size(vectors); i++)
                run(json_array_get(vectors, i));
        json_decref(vectors);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_cases_of_the_others)};

        return cmocka_run_group_tests_name("breaker vectors", tests, NULL, NULL);
}
