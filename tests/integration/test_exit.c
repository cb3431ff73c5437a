/* SPDX-License-Identifier: MIT */
/* exit() in the middle of everything ends the process with the status that was asked for. */
#include "../support/sanitized.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

enum {
        LATEST_US = 10000,
        TIMES = SANITIZED ? 15 : 40,
        FEEDS = 10,
        USERS = 8,
        INQUIRIES = 60,
        ASKED_FOR = 7,
        WORKED_ON = 8
};

/* Where what is asked for arrives; NULL: nothing is. */
static sp_queue *answers;

static size_t arrived(void)
{
        sp_completion *some[INQUIRIES];
        size_t count = answers ? sp_queue_take(answers, some, INQUIRIES) : 0;

        for (size_t i = 0; i < count; i++)
                sp_completion_free(some[i]);
        return count;
}

/* The last handler of all: OpenSSL's were there. Whoever still works now does so with what is no more. */
static void linger(void)
{
        arrived();
        usleep(20000);
        if (arrived())
                _exit(WORKED_ON);
}

/* The program of the child: connections are being made, each with a password, when it leaves. */
static int leave(const char *after_us)
{
        static const char text[] = "SELECT 1";
        sp_config *config = sp_config_new();
        sp_result *result = NULL;
        sp_pool *pool;
        sp_stmt *stmt;

        if (sp_config_set(config, "pool.url", getenv("DATABASE_URL"), NULL) != SP_OK ||
            sp_config_set(config, "pool.min", "20", NULL) != SP_OK || sp_pool_new(config, NULL, &pool, NULL) != SP_OK ||
            sp_stmt_new("one", text, sizeof text - 1, 0, &stmt, NULL) != SP_OK ||
            sp_pool_query(pool, NULL, stmt, NULL, &result, NULL) != SP_OK)
                return 1;
        usleep((useconds_t)atoi(after_us));
        exit(ASKED_FOR);
}

static sp_status feed_of(const sp_config *config, sp_pool *pool, sp_feed **out)
{
        sp_cache *cache;
        sp_rules *rules;

        if (sp_cache_new(config, &cache, NULL) != SP_OK || sp_rules_new(cache, &rules, NULL) != SP_OK)
                return SP_NOMEM;
        return sp_feed_new(config, pool, rules, out, NULL);
}

static int connects(const sp_feed *feed)
{
        sp_value *value = NULL;
        size_t len;
        int does = sp_feed_report(feed, &value) == SP_OK && !strstr(sp_value_data(value, &len), "\"standby\"") &&
                   !strstr(sp_value_data(value, &len), "\"checking\"");

        sp_value_unref(value);
        return does;
}

/* Change feeds, which have threads and connections of their own. */
static int leave_feeds(const char *after_us)
{
        sp_config *config = sp_config_new();
        sp_feed *feeds[FEEDS];
        sp_pool *pool;

        if (sp_config_set(config, "pool.url", getenv("DATABASE_URL"), NULL) != SP_OK ||
            sp_config_set(config, "cache.namespace", "exit", NULL) != SP_OK ||
            sp_pool_new(config, NULL, &pool, NULL) != SP_OK)
                return 1;
        for (int i = 0; i < FEEDS; i++) {
                if (feed_of(config, pool, &feeds[i]) != SP_OK)
                        return 1;
        }
        while (!connects(feeds[FEEDS / 2]))
                usleep(20);
        usleep((useconds_t)atoi(after_us));
        exit(ASKED_FOR);
}

/* The profiler asks the server about itself, on a thread and a connection of its own. */
static int leave_inquiries(const char *after_us)
{
        sp_config *config = sp_config_new();
        sp_completion *first;
        sp_client *client;

        if (sp_config_set(config, "pool.url", getenv("DATABASE_URL"), NULL) != SP_OK ||
            sp_client_new(config, &client, NULL) != SP_OK || sp_queue_new(0, &answers) != SP_OK)
                return 1;
        for (uint64_t i = 0; i < INQUIRIES; i++) {
                if (sp_profiler_server_async(sp_client_profiler(client), NULL, "default", answers, i) != SP_OK)
                        return 1;
        }
        if (sp_queue_wait(answers, &first, 1, 20000) != 1)
                return 1;
        usleep((useconds_t)atoi(after_us));
        exit(ASKED_FOR);
}

struct used {
        sp_pool *pool;
        atomic_int answers;
};

/* The engine answers, and lets go of the session last. */
static void *use_sessions(void *arg)
{
        static const char text[] = "SELECT 1";
        struct used *used = arg;
        sp_stmt *stmt = NULL;
        sp_session *session = NULL;
        sp_completion *answer;
        sp_queue *queue;

        if (sp_stmt_new("one", text, sizeof text - 1, 0, &stmt, NULL) != SP_OK || sp_queue_new(0, &queue) != SP_OK)
                _exit(1);
        while (sp_pool_acquire(used->pool, NULL, &session, NULL) == SP_OK) {
                if (sp_session_query_async(session, NULL, stmt, NULL, queue, 0) == SP_OK &&
                    sp_queue_wait(queue, &answer, 1, 1000) == 1)
                        sp_completion_free(answer);
                atomic_fetch_add(&used->answers, 1);
                sp_session_release(session);
        }
        for (;;)
                pause();
}

/* Sessions are given back by threads that know nothing of it. */
static int leave_sessions(const char *after_us)
{
        sp_config *config = sp_config_new();
        static struct used used; /* threads go on to use it */
        pthread_t thread;

        if (sp_config_set(config, "pool.url", getenv("DATABASE_URL"), NULL) != SP_OK ||
            sp_config_set(config, "pool.max", "3", NULL) != SP_OK ||
            sp_pool_new(config, NULL, &used.pool, NULL) != SP_OK)
                return 1;
        for (int i = 0; i < USERS; i++) {
                if (pthread_create(&thread, NULL, use_sessions, &used) != 0)
                        return 1;
        }
        while (atomic_load(&used.answers) < USERS)
                usleep(20);
        usleep((useconds_t)atoi(after_us));
        exit(ASKED_FOR);
}

/* ThreadSanitizer sleeps for a second at each exit. */
static void hurry_tsan(void)
{
        const char *options = getenv("TSAN_OPTIONS");
        char text[512];

        snprintf(text, sizeof text, "%s:atexit_sleep_ms=0", options ? options : "");
        setenv("TSAN_OPTIONS", text, 1);
}

static void leaves(const char *program)
{
        for (int i = 0; i < TIMES; i++) {
                pid_t pid = fork();
                int status = 0;
                char after_us[16];

                /* Sooner or later, so that some leave in the middle of a password's mathematics. */
                snprintf(after_us, sizeof after_us, "%d", i * (LATEST_US / TIMES));
                if (pid == 0) {
                        /* What is still reachable at such an end is not lost. */
                        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
                        hurry_tsan();
                        execl("/proc/self/exe", "test-exit", program, after_us, (char *)NULL);
                        _exit(127);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != ASKED_FOR)
                        fail_msg("run %d: status %#x", i, (unsigned)status);
        }
}

static void test_the_process_ends_while_connections_are_made(void **state)
{
        leaves("leave");
}

static void test_the_process_ends_while_change_feeds_connect(void **state)
{
        leaves("feeds");
}

static void test_the_process_ends_while_the_profiler_asks_the_server(void **state)
{
        leaves("inquiries");
}

static void test_the_process_ends_while_sessions_are_given_back(void **state)
{
        leaves("sessions");
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_process_ends_while_connections_are_made),
                                           cmocka_unit_test(test_the_process_ends_while_change_feeds_connect),
                                           cmocka_unit_test(test_the_process_ends_while_the_profiler_asks_the_server),
                                           cmocka_unit_test(test_the_process_ends_while_sessions_are_given_back)};
        static const struct {
                const char *name;
                int (*leave)(const char *after_us);
        } programs[] = {
            {"leave", leave}, {"feeds", leave_feeds}, {"inquiries", leave_inquiries}, {"sessions", leave_sessions}};

        if (argc > 2)
                atexit(linger);
        for (size_t i = 0; argc > 2 && i < sizeof programs / sizeof *programs; i++) {
                if (strcmp(argv[1], programs[i].name) == 0)
                        return programs[i].leave(argv[2]);
        }
        return cmocka_run_group_tests_name("exit", tests, NULL, NULL);
}
