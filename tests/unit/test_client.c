/* SPDX-License-Identifier: MIT */
/* A client is what was configured, ends in any order of close, drain and free, and leaves nothing behind. */
#include "../support/child.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

/* ThreadSanitizer ends a child of fork() that starts threads. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_AFTER_FORK 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_AFTER_FORK 0
#endif
#endif
#ifndef THREADS_AFTER_FORK
#define THREADS_AFTER_FORK 1
#endif

static sp_client *client_of(const char *const settings[])
{
        sp_config *config = settings ? sp_config_new() : NULL;
        sp_error *error = NULL;
        sp_client *client;

        for (size_t i = 0; settings && settings[i]; i += 2)
                assert_int_equal(sp_config_set(config, settings[i], settings[i + 1], NULL), SP_OK);
        if (sp_client_new(config, &client, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return client;
}

static int descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int count = 0;

        while (readdir(dir))
                count++;
        closedir(dir);
        return count;
}

static void test_a_client_needs_no_configuration(void **state)
{
        sp_client *client = client_of(NULL);

        assert_null(sp_client_pool(client, NULL));
        assert_null(sp_client_pool(client, "orders"));
        assert_non_null(sp_client_cache(client));
        assert_non_null(sp_client_profiler(client));
        assert_non_null(sp_client_metrics(client));
        sp_client_free(client);
        sp_client_free(NULL);
        sp_client_close(NULL);
}

static void test_pools_have_names(void **state)
{
        sp_client *client = client_of((const char *[]){"pool.url", "postgresql://127.0.0.1:1/x", "pool.orders.max", "3",
                                                       "pool.users.max", "4", NULL});

        assert_non_null(sp_client_pool(client, NULL));
        assert_ptr_equal(sp_client_pool(client, "default"), sp_client_pool(client, NULL));
        assert_int_equal(sp_pool_max(sp_client_pool(client, "orders")), 3);
        assert_int_equal(sp_pool_max(sp_client_pool(client, "users")), 4);
        assert_null(sp_client_pool(client, "other"));
        sp_client_free(client);
}

static void test_a_breaker_is_made_once(void **state)
{
        sp_client *client = client_of((const char *[]){"breaker.payment.failures", "1", NULL});
        sp_breaker *payment = sp_client_breaker(client, "payment");
        uint64_t permit;

        assert_non_null(payment);
        assert_ptr_equal(sp_client_breaker(client, "payment"), payment);
        assert_ptr_not_equal(sp_client_breaker(client, "mail"), payment);
        assert_null(sp_client_breaker(client, ""));
        assert_int_equal(sp_breaker_acquire(payment, &permit), SP_OK);
        sp_breaker_record(payment, permit, SP_OUTCOME_FAILURE, 1);
        assert_int_equal(sp_breaker_acquire(payment, &permit), SP_OPEN);
        sp_client_free(client);
}

static void test_after_close_everything_is_refused(void **state)
{
        sp_client *client = client_of((const char *[]){"pool.url", "postgresql://127.0.0.1:1/x", NULL});
        sp_result *result;
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL), SP_UNAVAILABLE);
        assert_int_equal(sp_client_drain(client, 0), SP_OK);
        sp_client_close(client);
        sp_client_close(client);
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL), SP_CLOSED);
        assert_int_equal(sp_client_drain(client, -1), SP_OK);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

static void test_a_bad_url_makes_no_client_and_shows_no_secret(void **state)
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_config_set(config, "pool.orders.url", "postgresql://a:hunter2@db:port/x", NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, &error), SP_INVALID);
        assert_null(client);
        assert_non_null(strstr(sp_error_message(error), "pool.orders.url"));
        assert_null(strstr(sp_error_message(error), "hunter2"));
        sp_error_free(error);
        sp_config_free(config);
}

static void test_many_clients_come_and_go(void **state)
{
        sp_client *clients[50];
        int before;

        sp_client_free(client_of(NULL));
        before = descriptors();
        for (size_t i = 0; i < 50; i++)
                clients[i] = client_of((const char *[]){"pool.url", "postgresql://127.0.0.1:1/x", NULL});
        for (size_t i = 0; i < 50; i++)
                sp_client_free(clients[i]);
        assert_int_equal(descriptors(), before);
}

static int in_child(sp_client *client, sp_stmt *stmt)
{
        sp_result *result;

        if (sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL) != SP_FORKED)
                return 1;
        if (sp_client_drain(client, -1) != SP_FORKED)
                return 2;
        if (sp_client_breaker(client, "payment"))
                return 3;
        sp_client_close(client);
        sp_client_free(client);
        client = client_of((const char *[]){"pool.url", "postgresql://127.0.0.1:1/x", NULL});
        if (!THREADS_AFTER_FORK)
                /* Not started, so not asked. */
                sp_client_close(client);
        else if (sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL) != SP_UNAVAILABLE)
                return 4;
        sp_client_free(client);
        return 0;
}

static void test_a_forked_child_makes_one_of_its_own(void **state)
{
        sp_client *client = client_of((const char *[]){"pool.url", "postgresql://127.0.0.1:1/x", NULL});
        sp_result *result;
        sp_stmt *stmt;
        int status;
        pid_t child;

        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        /* So that its threads run. */
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL), SP_UNAVAILABLE);
        child = child_fork();
        if (child == 0)
                _exit(in_child(client, stmt));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), NULL, stmt, NULL, &result, NULL), SP_UNAVAILABLE);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_client_needs_no_configuration),
            cmocka_unit_test(test_pools_have_names),
            cmocka_unit_test(test_a_breaker_is_made_once),
            cmocka_unit_test(test_after_close_everything_is_refused),
            cmocka_unit_test(test_a_bad_url_makes_no_client_and_shows_no_secret),
            cmocka_unit_test(test_many_clients_come_and_go),
            cmocka_unit_test(test_a_forked_child_makes_one_of_its_own),
        };

        return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
