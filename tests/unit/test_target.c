/* SPDX-License-Identifier: MIT */
/* What is configured reaches libpq, the URL before the separate settings, and no secret reaches an error. */
#include "pg/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static sp_config *config_of(const char *const settings[])
{
        sp_config *config = sp_config_new();

        for (size_t i = 0; settings[i]; i += 2)
                assert_int_equal(sp_config_set(config, settings[i], settings[i + 1], NULL), SP_OK);
        return config;
}

static void target_of(struct sp__target *target, const char *pool, const char *const settings[])
{
        sp_config *config = config_of(settings);

        assert_int_equal(sp__target_new(config, pool, target, NULL), SP_OK);
        sp_config_free(config);
}

static const char *value(const struct sp__target *target, const char *keyword)
{
        for (size_t i = 0; target->keywords[i]; i++) {
                if (strcmp(target->keywords[i], keyword) == 0)
                        return target->values[i];
        }
        return "none";
}

static void test_the_url_comes_before_separate_settings(void **state)
{
        struct sp__target target;

        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://app:sec%40ret@db:6000/shop", "pool.host", "other",
                                   "pool.user", "other", "pool.database", "other", NULL});
        assert_string_equal(target.hosts.rows[0].name, "db");
        assert_string_equal(target.hosts.rows[0].port, "6000");
        assert_string_equal(value(&target, "user"), "app");
        assert_string_equal(value(&target, "password"), "sec@ret");
        assert_string_equal(value(&target, "dbname"), "shop");
        assert_string_equal(sp__target_place(&target), "db:6000");
        sp__target_free(&target);
        target_of(
            &target, NULL,
            (const char *[]){"pool.url", "postgresql://db/shop", "pool.user", "app", "pool.password", "hunter2", NULL});
        assert_string_equal(value(&target, "user"), "app");
        assert_string_equal(value(&target, "password"), "hunter2");
        assert_null(strstr(sp__target_place(&target), "hunter2"));
        sp__target_free(&target);
}

static void test_separate_settings_are_enough(void **state)
{
        struct sp__target target;

        target_of(&target, NULL,
                  (const char *[]){"pool.host", "db", "pool.port", "7000", "pool.database", "shop", NULL});
        assert_string_equal(target.hosts.rows[0].name, "db");
        assert_string_equal(target.hosts.rows[0].port, "7000");
        assert_string_equal(value(&target, "client_encoding"), "UTF8");
        assert_string_equal(value(&target, "fallback_application_name"), "sugarperf");
        sp__target_free(&target);
        target_of(&target, NULL, (const char *[]){NULL});
        assert_string_equal(sp__target_place(&target), "the local socket:5432");
        sp__target_free(&target);
}

static void test_a_named_pool_has_its_own(void **state)
{
        const char *const settings[] = {
            "pool.url", "postgresql://db/shop", "pool.orders.url", "postgresql://od", "pool.orders.user", "clerk",
            NULL};
        struct sp__target target;

        target_of(&target, "orders", settings);
        assert_string_equal(target.hosts.rows[0].name, "od");
        assert_string_equal(value(&target, "user"), "clerk");
        sp__target_free(&target);
        target_of(&target, "other", settings);
        assert_string_equal(target.hosts.rows[0].name, "db");
        assert_string_equal(value(&target, "user"), "none");
        sp__target_free(&target);
}

static void test_options_are_merged_with_the_time_limit(void **state)
{
        struct sp__target target;

        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://db/shop?options=-c%20search_path%3Dshop",
                                   "pool.statement_timeout", "3s", NULL});
        assert_string_equal(value(&target, "options"), "-c statement_timeout=3000 -c search_path=shop");
        sp__target_free(&target);
        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://db/shop?options=-c%20statement_timeout%3D7", NULL});
        assert_string_equal(value(&target, "options"), "-c statement_timeout=7");
        sp__target_free(&target);
}

/* PGOPTIONS is what libpq would have taken, which asks for it only where nothing else was given. */
static void test_options_of_the_environment_are_merged_too(void **state)
{
        static const char *const url[] = {"pool.url", "postgresql://db/shop", NULL};
        struct sp__target target;

        setenv("PGOPTIONS", "-c search_path=shop", 1);
        target_of(&target, NULL, url);
        assert_string_equal(value(&target, "options"), "-c statement_timeout=1000 -c search_path=shop");
        assert_false(target.limits);
        sp__target_free(&target);
        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://db/shop?options=-c%20work_mem%3D8MB", NULL});
        assert_string_equal(value(&target, "options"), "-c statement_timeout=1000 -c work_mem=8MB");
        sp__target_free(&target);
        setenv("PGOPTIONS", "-c statement_timeout=7", 1);
        target_of(&target, NULL, url);
        assert_string_equal(value(&target, "options"), "-c statement_timeout=7");
        assert_true(target.limits);
        sp__target_free(&target);
        unsetenv("PGOPTIONS");
}

static void test_a_url_that_is_none_shows_nothing_of_itself(void **state)
{
        static const char *const urls[] = {
            "postgresql://app:hunter2@db:port/x",
            "postgresql://app:hun@ter2@db/x",
            "postgresql://app:hun/ter2@db/x",
            "postgresql://app:hunter2@db/x%zz",
            "postgresql://app:hunter2@[::1/x",
            "postgresql://app:hun ter2 @db/x?=",
            "postgresql://app:x?hun=ter2",
            "postgresql://db/x?hunter2=a@b",
            "postgresql://db/x?password=x&hunter2=1",
        };

        for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
                sp_config *config = config_of((const char *[]){"pool.url", urls[i], NULL});
                struct sp__target target;
                sp_error *error = NULL;

                if (sp__target_new(config, NULL, &target, &error) == SP_OK) {
                        fail_msg("%s: taken", urls[i]);
                }
                assert_int_equal(sp_error_status(error), SP_INVALID);
                assert_non_null(strstr(sp_error_message(error), "pool.url"));
                assert_null(strstr(sp_error_message(error), "hun"));
                assert_null(strstr(sp_error_message(error), "ter2"));
                sp_error_free(error);
                sp_config_free(config);
        }
}

static void says(const char *url, const char *words)
{
        sp_config *config = config_of((const char *[]){"pool.url", url, NULL});
        struct sp__target target;
        sp_error *error = NULL;

        assert_int_equal(sp__target_new(config, NULL, &target, &error), SP_INVALID);
        if (!strstr(sp_error_message(error), words))
                fail_msg("%s: %s", url, sp_error_message(error));
        assert_null(strstr(sp_error_message(error), "hunter2"));
        sp_error_free(error);
        sp_config_free(config);
}

static void test_an_option_that_libpq_has_not_is_named(void **state)
{
        says("postgresql://app:hunter2@db/x?frobnicate=hunter2", "\"frobnicate\"");
        says("postgresql://db:5432/x?sslmode=require&sslmod=hunter2", "\"sslmod\"");
        says("postgresql://db/x?ssl=hunter2&sslmode=require", "cannot be parsed");
}

static void test_a_value_of_the_environment_is_told_by_its_variable(void **state)
{
        sp_config *config = sp_config_new();
        struct sp__target target;
        sp_error *error = NULL;

        setenv("DATABASE_URL", "postgresql://app:hunter2@db/x%zz", 1);
        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        unsetenv("DATABASE_URL");
        assert_int_equal(sp__target_new(config, NULL, &target, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "pool.url (DATABASE_URL)"));
        sp_error_free(error);
        sp_config_free(config);
}

static void test_several_servers_are_taken_apart(void **state)
{
        struct sp__target target;

        target_of(&target, NULL, (const char *[]){"pool.url", "postgresql://u@db1:6000,10.0.0.2:7000,[::1]/x", NULL});
        assert_int_equal(target.hosts.count, 3);
        assert_string_equal(sp__target_place(&target), "db1:6000,10.0.0.2:7000,::1:5432");
        assert_true(target.hosts.rows[0].named);
        assert_false(target.hosts.rows[1].named);
        assert_false(target.hosts.rows[2].named);
        sp__target_free(&target);
        target_of(
            &target, NULL,
            (const char *[]){"pool.url", "postgresql:///x?host=db1,db2,/run/pg&hostaddr=10.0.0.1,,&port=9", NULL});
        assert_int_equal(target.hosts.count, 3);
        assert_string_equal(target.hosts.rows[0].number, "10.0.0.1");
        assert_string_equal(target.hosts.rows[1].port, "9");
        assert_false(target.hosts.rows[0].named);
        assert_true(target.hosts.rows[1].named);
        assert_false(target.hosts.rows[2].named);
        sp__target_free(&target);
        target_of(&target, NULL, (const char *[]){"pool.host", "db1,db2", "pool.port", "7", NULL});
        assert_string_equal(sp__target_place(&target), "db1:7,db2:7");
        sp__target_free(&target);
}

static void test_what_is_wanted_of_a_server_is_in_the_url_or_beside_it(void **state)
{
        struct sp__target target;

        target_of(&target, NULL, (const char *[]){"pool.url", "postgresql://a,b", NULL});
        assert_string_equal(target.wants, "any");
        sp__target_free(&target);
        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://a,b", "pool.target_session_attrs", "primary", NULL});
        assert_string_equal(target.wants, "primary");
        sp__target_free(&target);
        target_of(&target, NULL,
                  (const char *[]){"pool.url", "postgresql://a,b/x?target_session_attrs=read-write",
                                   "pool.target_session_attrs", "standby", NULL});
        assert_string_equal(target.wants, "read-write");
        sp__target_free(&target);
}

static void test_lists_that_do_not_agree_are_refused(void **state)
{
        sp_config *config = config_of((const char *[]){"pool.url", "postgresql://a,b,c/x?port=1,2", NULL});
        struct sp__target target;
        sp_error *error = NULL;

        assert_int_equal(sp__target_new(config, NULL, &target, &error), SP_INVALID);
        assert_non_null(strstr(sp_error_message(error), "as many ports as hosts"));
        sp_error_free(error);
        sp_config_free(config);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_url_comes_before_separate_settings),
            cmocka_unit_test(test_separate_settings_are_enough),
            cmocka_unit_test(test_a_named_pool_has_its_own),
            cmocka_unit_test(test_options_are_merged_with_the_time_limit),
            cmocka_unit_test(test_options_of_the_environment_are_merged_too),
            cmocka_unit_test(test_a_url_that_is_none_shows_nothing_of_itself),
            cmocka_unit_test(test_an_option_that_libpq_has_not_is_named),
            cmocka_unit_test(test_a_value_of_the_environment_is_told_by_its_variable),
            cmocka_unit_test(test_several_servers_are_taken_apart),
            cmocka_unit_test(test_what_is_wanted_of_a_server_is_in_the_url_or_beside_it),
            cmocka_unit_test(test_lists_that_do_not_agree_are_refused),
        };

        return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
