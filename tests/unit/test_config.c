/* SPDX-License-Identifier: MIT */
/* A configuration refuses what its table does not allow, names the offender, and never shows a secret. */
#include "core/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void refused(const char *name, const char *value, const char *const words[])
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;

        assert_int_equal(sp_config_set(config, name, value, &error), SP_CONFIG);
        assert_non_null(error);
        for (size_t i = 0; words[i]; i++) {
                if (!strstr(sp_error_message(error), words[i]))
                        fail_msg("\"%s\" does not say %s", sp_error_message(error), words[i]);
        }
        assert_null(strstr(sp_error_message(error), "hunter2"));
        sp_error_free(error);
        sp_config_free(config);
}

static void test_the_offender_and_what_is_allowed_are_named(void **state)
{
        refused("pool.maximum", "20", (const char *[]){"pool.maximum", NULL});
        refused("pool.max", "many", (const char *[]){"pool.max", "many", "1–1000", NULL});
        refused("pool.max", "1e3", (const char *[]){"pool.max", "1e3", "a whole number", "1–1000", NULL});
        refused("pool.lifetime", "1.5h", (const char *[]){"pool.lifetime", "a whole number of ms, s", "1s–30d", NULL});
        refused("redis.url", "http://hunter2", (const char *[]){"redis.url", "redis://", "unix://", NULL});
        refused("pool.max", "0", (const char *[]){"pool.max", NULL});
        refused("pool.orders.max", "1001", (const char *[]){"pool.orders.max", NULL});
        refused("pool.acquire_timeout", "-1s", (const char *[]){"pool.acquire_timeout", NULL});
        refused("cache.memory", "5XB", (const char *[]){"cache.memory", NULL});
        refused("cache.outage", "panic", (const char *[]){"cache.outage", "load", NULL});
        refused("pool.url", "http://app:hunter2@db/x", (const char *[]){"pool.url", "postgresql://", NULL});
        refused("cache.orders.memory", "1MB", (const char *[]){"cache.orders.memory", NULL});
        refused("pool..max", "1", (const char *[]){"pool..max", NULL});
        refused("pool.a*b.max", "1", (const char *[]){"pool.a*b.max", NULL});
}

static void test_a_name_that_is_none_brings_the_nearest(void **state)
{
        refused("pool.maxx", "20", (const char *[]){"\"pool.maxx\"", "did you mean \"pool.max\"?", NULL});
        refused("pool.Orders-2.maxx", "20", (const char *[]){"did you mean \"pool.Orders-2.max\"?", NULL});
        refused("pool.orders.aquire_timeout", "20", (const char *[]){"\"pool.orders.acquire_timeout\"?", NULL});
        refused("pool_max", "20", (const char *[]){"did you mean \"pool.max\"?", NULL});
        refused("POOL.MAX", "20", (const char *[]){"did you mean \"pool.max\"?", NULL});
        refused("pool.a*b.max", "1", (const char *[]){"see docs/configuration.md", NULL});
        refused("frobnicate", "1", (const char *[]){"see docs/configuration.md", NULL});
}

static void test_what_was_refused_is_not_offered(void **state)
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;

        assert_int_equal(sp_config_set(config, "pool.max", "1001", &error), SP_CONFIG);
        assert_null(strstr(sp_error_message(error), "whole"));
        sp_error_free(error);
        sp_config_free(config);
}

static void test_units_of_durations_and_sizes(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
        } cases[] = {{"250", 250},   {"250ms", 250},    {"30s", 30000},
                     {"5m", 300000}, {"12h", 43200000}, {"7d", 604800000}};
        int64_t value;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_true(sp__parse_duration(cases[i].text, &value));
                assert_int_equal(value, cases[i].ms);
        }
        assert_true(sp__parse_size("64KB", &value));
        assert_int_equal(value, 65536);
        assert_false(sp__parse_duration("99999999999999999999d", &value));
        assert_false(sp__parse_duration("9223372036854775807d", &value));
        assert_false(sp__parse_duration("", &value));
        assert_false(sp__parse_duration("1.5s", &value));
}

static void test_an_instance_falls_back_to_the_plain_name(void **state)
{
        sp_config *config = sp_config_new();

        assert_int_equal(sp_config_set(config, "pool.max", "7", NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "pool.orders.min", "3", NULL), SP_OK);
        assert_int_equal(sp__config_int(config, "pool", "orders", "max"), 7);
        assert_int_equal(sp__config_int(config, "pool", "orders", "min"), 3);
        assert_int_equal(sp__config_int(config, "pool", NULL, "min"), 5);
        assert_int_equal(sp__config_int(NULL, "pool", NULL, "acquire_timeout"), 2000);
        assert_string_equal(sp__config_instance(config, "pool", 0), "orders");
        assert_null(sp__config_instance(config, "pool", 1));
        sp_config_free(config);
}

static void test_secrets_read_as_stars(void **state)
{
        sp_config *config = sp_config_new();

        assert_string_equal(sp_config_get(config, "pool.password"), "");
        sp_config_set(config, "pool.password", "hunter2", NULL);
        sp_config_set(config, "pool.url", "postgresql://app:hunter2@db/x", NULL);
        assert_string_equal(sp_config_get(config, "pool.password"), "***");
        assert_string_equal(sp_config_get(config, "pool.url"), "***");
        assert_string_equal(sp__config_text(config, "pool", NULL, "password"), "hunter2");
        assert_null(sp_config_get(config, "no.such"));
        sp_config_free(config);
}

static void test_the_environment_keeps_what_was_set(void **state)
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;

        setenv("DB_POOL_SIZE", "12", 1);
        setenv("SUGARPERF_POOL_MIN", "2", 1);
        setenv("SUGARPERF_CACHE_BOUND", "500ms", 1);
        sp_config_set(config, "pool.min", "4", NULL);
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        assert_int_equal(sp__config_int(config, "pool", NULL, "max"), 12);
        assert_int_equal(sp__config_int(config, "pool", NULL, "min"), 4);
        assert_int_equal(sp__config_int(config, "cache", NULL, "bound"), 500);
        setenv("SUGARPERF_CACHE_TTL", "soon", 1);
        assert_int_equal(sp_config_env(config, &error), SP_CONFIG);
        assert_non_null(strstr(sp_error_message(error), "SUGARPERF_CACHE_TTL"));
        sp_error_free(error);
        for (const char *const *name = (const char *const[]){"DB_POOL_SIZE", "SUGARPERF_POOL_MIN",
                                                             "SUGARPERF_CACHE_BOUND", "SUGARPERF_CACHE_TTL", NULL};
             *name; name++)
                unsetenv(*name);
        sp_config_free(config);
}

static void test_the_environment_names_instances(void **state)
{
        static const char *const variables[][4] = {
            /* variable, value, setting, instead of the value */
            {"SUGARPERF_POOL_ORDERS_MAX", "4", "pool.orders.max", NULL},
            {"SUGARPERF_POOL_USER_DATA_URL", "postgresql://db/x", "pool.user_data.url", "***"},
            {"SUGARPERF_POOL_ORDERS_ACQUIRE_TIMEOUT", "7s", "pool.orders.acquire_timeout", NULL},
            {"SUGARPERF_POLICY_GEO_BACKOFF_MAX", "9s", "policy.geo.backoff_max", NULL},
            {"SUGARPERF_POLICY_BACKOFF_MAX", "8s", "policy.backoff_max", NULL},
            {"SUGARPERF_BREAKER_MAIL_FAILURES", "3", "breaker.mail.failures", NULL},
            {"SUGARPERF_BREAKER_POOL_FAILURES", "2", "breaker.pool.failures", NULL},
            {"SUGARPERF_BREAKER_POOL_ORDERS_FAILURES", "1", "breaker.pool-orders.failures", NULL},
            {"SUGARPERF_POOL_DEFAULT_LANES", "3", "pool.lanes", NULL},
            {"SUGARPERF_POOL_GEO_MIN", "", "pool.geo.min", "5"},
        };
        sp_config *config = sp_config_new();
        sp_error *error = NULL;

        for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
                setenv(variables[i][0], variables[i][1], 1);
        sp_config_set(config, "pool.orders.max", "2", NULL);
        if (sp_config_env(config, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        assert_string_equal(sp_config_get(config, "pool.orders.max"), "2");
        sp_config_free(config);
        config = sp_config_new();
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
                const char *wanted = variables[i][3] ? variables[i][3] : variables[i][1];

                assert_string_equal(sp_config_get(config, variables[i][2]), wanted);
                unsetenv(variables[i][0]);
        }
        assert_string_equal(sp_config_get(config, "pool.max"), "20");
        sp_config_free(config);
}

static void test_where_a_value_comes_from_is_kept(void **state)
{
        sp_config *config = sp_config_new(), *copy;

        setenv("DB_POOL_SIZE", "12", 1);
        setenv("SUGARPERF_POOL_ORDERS_MIN", "1", 1);
        sp_config_set(config, "pool.min", "4", NULL);
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        unsetenv("DB_POOL_SIZE");
        unsetenv("SUGARPERF_POOL_ORDERS_MIN");
        copy = sp__config_copy(config);
        sp_config_free(config);
        assert_string_equal(sp__config_source(copy, "pool", NULL, "max"), "DB_POOL_SIZE");
        assert_string_equal(sp__config_source(copy, "pool", "orders", "max"), "DB_POOL_SIZE");
        assert_string_equal(sp__config_source(copy, "pool", "orders", "min"), "SUGARPERF_POOL_ORDERS_MIN");
        assert_string_equal(sp__config_source(copy, "pool", NULL, "min"), "");
        assert_string_equal(sp__config_source(copy, "pool", NULL, "lanes"), "");
        sp_config_set(copy, "pool.max", "3", NULL);
        assert_string_equal(sp__config_source(copy, "pool", NULL, "max"), "");
        sp_config_free(copy);
}

static void test_a_variable_that_is_no_setting_is_refused(void **state)
{
        static const char *const variables[][2] = {
            /* variable, what was meant */
            {"SUGARPERF_POOL_MX", "SUGARPERF_POOL_MAX?"},
            {"SUGARPERF_POOL_ORDERS_MX", "SUGARPERF_POOL_ORDERS_MAX?"},
            {"SUGARPERF_POOL_AQUIRE_TIMEOUT", "SUGARPERF_POOL_ACQUIRE_TIMEOUT?"},
            {"SUGARPERF_POOL_ORDERS_ACQUIRE_TIMOUT", "SUGARPERF_POOL_ORDERS_ACQUIRE_TIMEOUT?"},
            {"SUGARPERF_pool_max", "SUGARPERF_POOL_MAX?"},
            {"SUGARPERF_REDIS_ORDERS_URL", "docs/configuration.md"},
            {"SUGARPERF_POOL__", "docs/configuration.md"},
            {"SUGARPERF_POOL__MAX", "SUGARPERF_POOL_MAX?"},
            {"SUGARPERF_", "docs/configuration.md"},
            {"SUGARPERF_POOL", "docs/configuration.md"},
        };
        sp_config *config = sp_config_new();
        char huge[4096] = "SUGARPERF_POOL_";

        setenv("SUGARPERF_BUILD", "/nowhere", 1);
        setenv("SUGARPERF_PACKAGE", "/nowhere", 1);
        setenv("SUGARPERFECT", "1", 1);
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
                sp_error *error = NULL;

                setenv(variables[i][0], "hunter2", 1);
                assert_int_equal(sp_config_env(config, &error), SP_CONFIG);
                if (!strstr(sp_error_message(error), variables[i][0]) ||
                    !strstr(sp_error_message(error), variables[i][1]) || strstr(sp_error_message(error), "hunter2"))
                        fail_msg("%s: %s", variables[i][0], sp_error_message(error));
                sp_error_free(error);
                unsetenv(variables[i][0]);
        }
        memset(huge + strlen(huge), 'X', sizeof huge - strlen(huge) - 1);
        memcpy(huge + sizeof huge - 5, "_MAX", 4);
        setenv(huge, "1", 1);
        assert_int_equal(sp_config_env(config, NULL), SP_CONFIG);
        unsetenv(huge);
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        sp_config_free(config);
}

static void test_every_default_is_allowed_by_its_own_row(void **state)
{
        for (size_t i = 0; i < sp__config_rows; i++) {
                sp_config *config = sp_config_new();

                assert_int_equal(sp_config_set(config, sp_config_row_name(i), sp_config_row_default(i), NULL), SP_OK);
                assert_non_null(sp_config_row_help(i));
                sp_config_free(config);
        }
        assert_null(sp_config_row_name(sp__config_rows));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_offender_and_what_is_allowed_are_named),
            cmocka_unit_test(test_a_name_that_is_none_brings_the_nearest),
            cmocka_unit_test(test_what_was_refused_is_not_offered),
            cmocka_unit_test(test_units_of_durations_and_sizes),
            cmocka_unit_test(test_an_instance_falls_back_to_the_plain_name),
            cmocka_unit_test(test_secrets_read_as_stars),
            cmocka_unit_test(test_the_environment_keeps_what_was_set),
            cmocka_unit_test(test_the_environment_names_instances),
            cmocka_unit_test(test_where_a_value_comes_from_is_kept),
            cmocka_unit_test(test_a_variable_that_is_no_setting_is_refused),
            cmocka_unit_test(test_every_default_is_allowed_by_its_own_row),
        };

        return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
