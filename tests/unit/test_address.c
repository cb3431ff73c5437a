/* SPDX-License-Identifier: MIT */
/* A URL of Redis is taken apart as it was meant, or refused without being shown. */
#include "redis/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void same(const char *a, const char *b)
{
        if (b)
                assert_string_equal(a, b);
        else
                assert_null(a);
}

static void test_what_a_url_says(void **state)
{
        static const struct {
                const char *url, *host, *where, *user, *password;
                int port, db;
                bool local, named;
        } cases[] = {
            {"redis://localhost", "localhost", "localhost:6379", NULL, NULL, 6379, 0, false, true},
            {"redis://10.0.0.1:7000/3", "10.0.0.1", "10.0.0.1:7000", NULL, NULL, 7000, 3, false, false},
            {"redis://[::1]:7000/", "::1", "[::1]:7000", NULL, NULL, 7000, 0, false, false},
            {"redis://[::1]", "::1", "[::1]:6379", NULL, NULL, 6379, 0, false, false},
            {"redis://:p%40ss%2Fw%3a@h/1", "h", "h:6379", NULL, "p@ss/w:", 6379, 1, false, true},
            {"redis://app:s@h:1?db=2", "h", "h:1", "app", "s", 1, 2, false, true},
            {"redis://a:b@c@h", "h", "h:6379", "a", "b@c", 6379, 0, false, true},
            {"unix:///run/redis.sock", "/run/redis.sock", "/run/redis.sock", NULL, NULL, 6379, 0, true, false},
            {"unix://app:s@/run/r%20s?db=4", "/run/r s", "/run/r s", "app", "s", 6379, 4, true, false},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct sp__address address, copy;
                sp_error *error = NULL;

                if (sp__address_parse(cases[i].url, "redis.url", &address, &error) != SP_OK)
                        fail_msg("%s: %s", cases[i].url, sp_error_message(error));
                assert_true(sp__address_copy(&copy, &address));
                sp__address_free(&address);
                same(copy.host, cases[i].host);
                same(copy.where, cases[i].where);
                same(copy.user, cases[i].user);
                same(copy.password, cases[i].password);
                assert_int_equal(copy.port, cases[i].port);
                assert_int_equal(copy.db, cases[i].db);
                assert_int_equal(copy.local, cases[i].local);
                assert_int_equal(sp__address_named(&copy), cases[i].named);
                sp__address_free(&copy);
        }
}

static void test_several_places(void **state)
{
        static const char url[] = "rediss+sentinel://app:s%2Cs@one,[::1]:7,three:8/my%2Fmaster/4";
        struct sp__address address, copy, one;

        assert_int_equal(sp__address_parse(url, "redis.url", &address, NULL), SP_OK);
        assert_true(sp__address_copy(&copy, &address));
        sp__address_free(&address);
        assert_int_equal(copy.kind, SP__ADDRESS_SENTINEL);
        assert_true(copy.tls);
        assert_int_equal(copy.place_count, 3);
        assert_string_equal(copy.places[0].host, "one");
        assert_int_equal(copy.places[0].port, 26379);
        assert_string_equal(copy.places[1].host, "::1");
        assert_int_equal(copy.places[2].port, 8);
        assert_string_equal(copy.service, "my/master");
        assert_string_equal(copy.where, "my/master by sentinel one:26379");
        assert_true(sp__address_at(&one, &copy, "::2", 99));
        assert_int_equal(one.kind, SP__ADDRESS_ONE);
        assert_string_equal(one.where, "[::2]:99");
        assert_string_equal(one.user, "app");
        assert_string_equal(one.password, "s,s");
        assert_int_equal(one.db, 4);
        assert_true(one.tls);
        sp__address_free(&one);
        sp__address_free(&copy);
        assert_int_equal(sp__address_parse("redis+cluster://a,b:7000", "redis.url", &address, NULL), SP_OK);
        assert_int_equal(address.kind, SP__ADDRESS_CLUSTER);
        assert_int_equal(address.place_count, 2);
        assert_int_equal(address.places[0].port, 6379);
        assert_string_equal(address.where, "cluster a:6379");
        sp__address_free(&address);
}

static void refused(const char *url, sp_status status)
{
        struct sp__address address = {.port = 1};
        sp_error *error = NULL;

        assert_int_equal(sp__address_parse(url, "redis.url", &address, &error), status);
        assert_null(strstr(sp_error_message(error), "hunter2"));
        assert_non_null(strstr(sp_error_message(error), "redis.url"));
        assert_int_equal(address.port, 1);
        sp_error_free(error);
}

static void test_what_is_malformed_is_refused(void **state)
{
        static const char *const bad[] = {"redis://",
                                          "redis://:hunter2@",
                                          "redis://hunter2@h:0",
                                          "redis://h:65536",
                                          "redis://h:12x",
                                          "redis://h:-1",
                                          "redis://h/one",
                                          "redis://h/1/2",
                                          "redis://h/99999999999999999999",
                                          "redis://u:hunter2%4@h",
                                          "redis://u:hunter2%00@h",
                                          "redis://u:hunter2%zz@h",
                                          "redis://[::1",
                                          "redis://[::1]x:7",
                                          "unix://",
                                          "unix:///",
                                          "unix://hunter2/run",
                                          "unix:///run?name=x",
                                          "redis://h,g",
                                          "redis+sentinel://h",
                                          "redis+sentinel://h/",
                                          "redis+sentinel://u:hunter2@h,/name",
                                          "redis+sentinel://h/name/one",
                                          "redis+cluster://u:hunter2@h/1",
                                          "redis+cluster://,h",
                                          "http://h"};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                refused(bad[i], SP_INVALID);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_a_url_says),
            cmocka_unit_test(test_several_places),
            cmocka_unit_test(test_what_is_malformed_is_refused),
        };

        return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
