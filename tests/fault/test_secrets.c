/* SPDX-License-Identifier: MIT */
/*
 * TLS up to verify-full, SCRAM, and passwords that change while the pool runs: in a file, by a program, by the application. No
 * secret shows anywhere. SP_TEST_SERVERS names the set that may be harmed; SP_TEST_CA its authority.
 */
#include "../integration/way.h"
#include "load.h"

#include "base/buf.h"
#include "pg/pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every secret of these tests has this in it. */
#define SECRET "hunter2"

static char path[] = "/tmp/sp-secret-XXXXXX";

static int port(void)
{
        return atoi(strrchr(getenv("SP_TEST_PG"), ':') + 1);
}

/* A server's own account, without a password. */
static sp_pool *chief_pool(void)
{
        char url[300];

        snprintf(url, sizeof url, "pool.url=%s", getenv("SP_TEST_PG_SOCKET"));
        return pool_with((const char *[]){url, NULL});
}

static void set_role_password(sp_pool *chief, const char *password)
{
        char text[128];

        snprintf(text, sizeof text, "ALTER ROLE sugar PASSWORD '%s'", password);
        run(&ways[0], chief, text);
}

static void end_connections(sp_pool *chief)
{
        run(&ways[0], chief, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sugar'");
}

/* As editors do it. */
static void write_secret(const char *text)
{
        char next[64];
        int fd;

        snprintf(next, sizeof next, "%s.next", path);
        fd = open(next, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dprintf(fd, "%s\n", text);
        close(fd);
        assert_int_equal(rename(next, path), 0);
}

/* A pool of the role "sugar" at `host`, with up to three settings more. */
static sp_pool *sugar_pool(const char *host, const char *options, const char *one, const char *two, const char *three)
{
        char url[400];

        snprintf(url, sizeof url, "pool.url=postgresql://sugar@%s:%d/test?%s", host, port(), options);
        return pool_with((const char *[]){url, "pool.max=4", one, two, three, NULL});
}

static void works(const struct way *way, sp_pool *pool)
{
        assert_int_equal(number(way, pool, "SELECT 1", 0), 1);
}

static bool shows(const void *data, size_t len)
{
        return memmem(data, len, SECRET, strlen(SECRET)) != NULL;
}

/* What a pool tells of itself. */
static void keeps_secrets(sp_pool *pool)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__expo expo;
        const void *data;
        sp_value *health;
        size_t len;

        assert_int_equal(sp_pool_health(pool, NULL, &health), SP_OK);
        data = sp_value_data(health, &len);
        assert_false(shows(data, len));
        sp_value_unref(health);
        sp__expo_init(&expo, 0);
        sp__pool_collect(pool, &expo);
        assert_true(sp__expo_text(&expo, &text));
        assert_false(shows(text.data, text.len));
        sp__buf_free(&text);
        sp__expo_free(&expo);
}

static void test_tls_knows_the_server_by_its_name(void **state)
{
        char options[200];
        sp_pool *pool;

        snprintf(options, sizeof options, "sslmode=verify-full&sslrootcert=%s", getenv("SP_TEST_CA"));
        pool = sugar_pool("localhost", options, "pool.password=sweet", NULL, NULL);
        assert_int_equal(
            number(way_of(state), pool, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()", 0), 1);
        sp_pool_free(pool);
        pool = sugar_pool("127.0.0.1", options, "pool.password=sweet", NULL, NULL);
        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "does not match host name", "sweet");
        sp_pool_free(pool);
        snprintf(options, sizeof options, "sslmode=verify-ca&sslrootcert=%s", getenv("SP_TEST_CA"));
        pool = sugar_pool("127.0.0.1", options, "pool.password=sweet", NULL, NULL);
        works(way_of(state), pool);
        sp_pool_free(pool);
}

static void test_another_authority_is_not_believed(void **state)
{
        char command[400], options[200];
        sp_pool *pool;

        snprintf(command, sizeof command,
                 "openssl req -x509 -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 "
                 "-subj /CN=another -keyout /dev/null -out %s.ca 2>/dev/null",
                 path);
        assert_int_equal(system(command), 0);
        snprintf(options, sizeof options, "sslmode=verify-full&sslrootcert=%s.ca", path);
        pool = sugar_pool("localhost", options, "pool.password=sweet", NULL, NULL);
        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "certificate verify failed", "sweet");
        sp_pool_free(pool);
        snprintf(command, sizeof command, "%s.ca", path);
        unlink(command);
}

static void test_scram_is_bound_to_the_channel(void **state)
{
        sp_pool *pool =
            sugar_pool("localhost", "sslmode=require&channel_binding=require", "pool.password=sweet", NULL, NULL);

        works(way_of(state), pool);
        sp_pool_free(pool);
        pool = sugar_pool("localhost", "sslmode=disable&channel_binding=require", "pool.password=sweet", NULL, NULL);
        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "channel binding", "sweet");
        sp_pool_free(pool);
}

static void test_a_refused_password_shows_nowhere(void **state)
{
        sp_pool *pool = sugar_pool("127.0.0.1", "sslmode=disable", "pool.password=" SECRET, NULL, NULL);

        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_AUTH), "password authentication failed", SECRET);
        keeps_secrets(pool);
        sp_pool_free(pool);
}

static void test_a_configured_secret_is_not_shown(void **state)
{
        static const char *const settings[][2] = {{"pool.password", SECRET},
                                                  {"pool.password_command", "echo " SECRET},
                                                  {"pool.url", "postgresql://sugar:" SECRET "@localhost/x"}};
        sp_config *config = sp_config_new();

        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
                assert_int_equal(sp_config_set(config, settings[i][0], settings[i][1], NULL), SP_OK);
                assert_null(strstr(sp_config_get(config, settings[i][0]), SECRET));
        }
        sp_config_free(config);
}

enum { ROTATIONS = 3 };

/* The password changes and all connections end; `rotate` tells the pool some time later. No call fails. */
static void rotates_under_load(sp_pool *pool, void (*rotate)(sp_pool *, const char *))
{
        struct load load = {.pool = pool, .text = "SELECT 1"};
        sp_pool *chief = chief_pool();
        char password[32];

        load_begin(&load);
        for (int i = 0; i < ROTATIONS; i++) {
                load_goes_on(&load, 100);
                snprintf(password, sizeof password, SECRET "-%d", i);
                set_role_password(chief, password);
                end_connections(chief);
                rotate(pool, password);
                load_goes_on(&load, 100);
        }
        load_end(&load);
        set_role_password(chief, "sweet");
        keeps_secrets(pool);
        sp_pool_free(chief);
        sp_pool_free(pool);
}

static void rotate_file(sp_pool *pool, const char *password)
{
        write_secret(password);
}

static void test_a_password_changes_in_its_file_under_load(void **state)
{
        char file[64];

        snprintf(file, sizeof file, "pool.password_file=%s", path);
        write_secret("sweet");
        rotates_under_load(sugar_pool("127.0.0.1", "sslmode=disable", file, "pool.password=" SECRET, NULL),
                           rotate_file);
}

static void test_a_password_changes_with_its_command_under_load(void **state)
{
        char command[64];

        snprintf(command, sizeof command, "pool.password_command=cat '%s'", path);
        write_secret("sweet");
        rotates_under_load(sugar_pool("127.0.0.1", "sslmode=disable", command, NULL, NULL), rotate_file);
}

static void rotate_by_hand(sp_pool *pool, const char *password)
{
        assert_int_equal(sp_pool_set_password(pool, password, strlen(password), NULL), SP_OK);
}

static void test_a_password_is_changed_by_the_application_under_load(void **state)
{
        sp_pool *pool = sugar_pool("127.0.0.1", "sslmode=disable", NULL, NULL, NULL);

        rotate_by_hand(pool, "sweet");
        rotates_under_load(pool, rotate_by_hand);
}

static void *ask(void *arg)
{
        works(&ways[0], arg);
        return NULL;
}

/* The next refusal: its number, and its reason. */
static uint64_t refusal(sp_pool *pool, uint64_t seen, const char *reason)
{
        sp_completion *done = NULL;
        const char *text, *at;
        sp_queue *queue;
        size_t len;
        uint64_t number;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_watch_password_async(pool, NULL, seen, queue, 7), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_OK);
        text = sp_value_data(sp_completion_value(done), &len);
        at = strstr(text, "\"refusal\":");
        assert_non_null(at);
        assert_non_null(strstr(text, reason));
        number = strtoull(at + strlen("\"refusal\":"), NULL, 10);
        sp_completion_free(done);
        sp_queue_free(queue);
        return number;
}

static void test_the_application_is_asked_for_a_password(void **state)
{
        sp_pool *pool =
            sugar_pool("127.0.0.1", "sslmode=disable", "pool.acquire_timeout=20s", "pool.query_timeout=20s", NULL);
        sp_queue *queue;
        pthread_t caller;
        uint64_t seen;
        sp_completion *done;

        /* Armed before the first call, so that it waits for the answer. */
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_watch_password_async(pool, NULL, 0, queue, 1), SP_OK);
        pthread_create(&caller, NULL, ask, pool);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        sp_completion_free(done);
        seen = refusal(pool, 0, "wanted");
        rotate_by_hand(pool, SECRET);
        while (true) {
                sp_queue *next;
                bool refused;

                /* Those that were under way may still be told of. */
                assert_int_equal(sp_queue_new(0, &next), SP_OK);
                assert_int_equal(sp_pool_watch_password_async(pool, NULL, seen, next, 1), SP_OK);
                assert_int_equal(sp_queue_wait(next, &done, 1, -1), 1);
                refused = strstr(sp_value_data(sp_completion_value(done), &(size_t){0}), "refused") != NULL;
                seen++;
                sp_completion_free(done);
                sp_queue_free(next);
                if (refused)
                        break;
        }
        rotate_by_hand(pool, "sweet");
        pthread_join(caller, NULL);
        keeps_secrets(pool);
        assert_int_equal(sp_pool_watch_password_async(pool, NULL, 1000, queue, 2), SP_OK);
        sp_pool_free(pool);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_CLOSED);
        sp_completion_free(done);
        sp_queue_free(queue);
}

static void test_what_a_command_does_wrong_is_told_and_bounded(void **state)
{
        static const char *const rows[][2] = {
            {"pool.password_command=sh -c 'echo " SECRET "; exit 3'", "it failed"},
            {"pool.password_command=/nowhere/" SECRET, "it "},
            {"pool.password_command=true", "it printed no password"},
            {"pool.password_command=yes " SECRET, "it printed more than 16 KiB"},
            {"pool.password_command=sh -c 'sleep 60; echo " SECRET "'", "its password was not found out within 200 ms"},
            {"pool.password_file=/nowhere/at/all", "pool.password_file cannot be read"},
            {"pool.password_file=/dev/null", "pool.password_file holds no password"},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                sp_pool *pool = sugar_pool("127.0.0.1", "sslmode=disable", rows[i][0], "pool.connect_timeout=200ms",
                                           "pool.acquire_timeout=500ms");
                sp_stmt *stmt = stmt_of("SELECT 1");
                sp_error *error = NULL;
                sp_result *result;

                assert_true(way_of(state)->query(pool, NULL, stmt, NULL, &result, &error) != SP_OK);
                says(error, rows[i][1], SECRET);
                keeps_secrets(pool);
                sp_stmt_unref(stmt);
                sp_pool_free(pool);
        }
}

static void test_a_command_is_words_not_a_shell(void **state)
{
        sp_config *config = sp_config_new();
        sp_error *error = NULL;
        sp_pool *pool;

        /* A shell would make two commands of it. */
        pool = sugar_pool("127.0.0.1", "sslmode=disable", "pool.password_command=printf sw%s;echo eet", NULL, NULL);
        sp_error_free(fails(way_of(state), pool, NULL, "SELECT 1", SP_TIMEOUT));
        sp_pool_free(pool);
        pool = sugar_pool("127.0.0.1", "sslmode=disable", "pool.password_command=printf '%s''ee%s' \"sw\" \\t", NULL,
                          NULL);
        works(way_of(state), pool);
        sp_pool_free(pool);
        assert_int_equal(sp_config_set(config, "pool.password_command", "echo '" SECRET, NULL), SP_OK);
        assert_int_equal(sp_pool_new(config, NULL, &pool, &error), SP_INVALID);
        says(error, "quotation mark", SECRET);
        sp_config_free(config);
}

static int begin(void **state)
{
        int fd = mkstemp(path);

        close(fd);
        return fd >= 0 ? 0 : -1;
}

static int end(void **state)
{
        return unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_tls_knows_the_server_by_its_name),
            BOTH_WAYS(test_another_authority_is_not_believed),
            BOTH_WAYS(test_scram_is_bound_to_the_channel),
            BOTH_WAYS(test_a_refused_password_shows_nowhere),
            cmocka_unit_test(test_a_configured_secret_is_not_shown),
            cmocka_unit_test(test_a_password_changes_in_its_file_under_load),
            cmocka_unit_test(test_a_password_changes_with_its_command_under_load),
            cmocka_unit_test(test_a_password_is_changed_by_the_application_under_load),
            cmocka_unit_test(test_the_application_is_asked_for_a_password),
            BOTH_WAYS(test_what_a_command_does_wrong_is_told_and_bounded),
            BOTH_WAYS(test_a_command_is_words_not_a_shell),
        };

        return cmocka_run_group_tests_name("secrets", tests, begin, end);
}
