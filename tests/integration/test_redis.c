/* SPDX-License-Identifier: MIT */
/* Any Redis command: what it answers is read by kind, who we are there is right or refused without being shown. */
#include "redis_ways.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct redis_way *way_of(void **state)
{
        return *state;
}

static sp_redis *here(void)
{
        return redis_to(getenv("REDIS_URL"), NULL);
}

/* The test's Redis with other words before the host. */
static char *url_as(const char *who, int db)
{
        const char *host = strstr(getenv("REDIS_URL"), "127.0.0.1:");
        char *url = NULL;

        assert_non_null(host);
        assert_true(asprintf(&url, "redis://%s%.*s/%d", who, (int)strcspn(host, "/"), host, db) > 0);
        return url;
}

static sp_redis *as(const char *who, int db)
{
        char *url = url_as(who, db);
        sp_redis *redis = redis_to(url, NULL);

        free(url);
        return redis;
}

static void test_replies_are_read_by_kind(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = here();
        sp_reply *reply = NULL;
        const sp_reply *third;
        int64_t number = -1;
        size_t len = 0;

        answers(way, redis, "SET raw:kind 12", "OK");
        assert_int_equal(tell(way, redis, "GET raw:kind", &reply, NULL), SP_OK);
        assert_int_equal(sp_reply_kind(reply), SP_REPLY_TEXT);
        assert_int_equal(sp_reply_int(reply, &number), SP_OK);
        assert_int_equal(number, 12);
        sp_reply_free(reply);
        assert_int_equal(tell(way, redis, "INCRBY raw:kind 30", &reply, NULL), SP_OK);
        assert_int_equal(sp_reply_kind(reply), SP_REPLY_INT);
        assert_null(sp_reply_data(reply, &len));
        assert_int_equal(sp_reply_int(reply, &number), SP_OK);
        assert_int_equal(number, 42);
        sp_reply_free(reply);
        assert_int_equal(tell(way, redis, "GET raw:nothing", &reply, NULL), SP_OK);
        assert_int_equal(sp_reply_kind(reply), SP_REPLY_NIL);
        assert_int_equal(sp_reply_int(reply, &number), SP_INVALID);
        sp_reply_free(reply);
        assert_int_equal(tell(way, redis, "EVAL return{1,false,{'a','b'},redis.error_reply('X_y')} 0", &reply, NULL),
                         SP_OK);
        assert_int_equal(sp_reply_count(reply), 4);
        assert_int_equal(sp_reply_kind(sp_reply_at(reply, 1)), SP_REPLY_NIL);
        third = sp_reply_at(reply, 2);
        assert_int_equal(sp_reply_kind(third), SP_REPLY_ARRAY);
        assert_string_equal(sp_reply_data(sp_reply_at(third, 1), &len), "b");
        assert_int_equal(sp_reply_kind(sp_reply_at(reply, 3)), SP_REPLY_ERROR);
        assert_null(sp_reply_at(reply, 4));
        assert_null(sp_reply_at(third, 2));
        sp_reply_free(reply);
        sp_redis_free(redis);
}

static void test_words_are_bytes(void **state)
{
        const struct redis_way *way = way_of(state);
        static const char bytes[] = "a\0b\r\n$5\r\n";
        sp_redis *redis = here();
        sp_params *words = sp_params_new();
        sp_reply *reply = NULL;
        size_t len = 0;

        sp_params_add_text(words, "SET", 3);
        sp_params_add_bytes(words, bytes, sizeof bytes - 1);
        sp_params_add_bytes(words, bytes, sizeof bytes - 1);
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_OK);
        sp_reply_free(reply);
        sp_params_clear(words);
        sp_params_add_text(words, "GET", 3);
        sp_params_add_bytes(words, bytes, sizeof bytes - 1);
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_OK);
        assert_memory_equal(sp_reply_data(reply, &len), bytes, sizeof bytes - 1);
        assert_int_equal(len, sizeof bytes - 1);
        sp_reply_free(reply);
        sp_params_clear(words);
        sp_params_add_text(words, "ECHO", 4);
        sp_params_add_text(words, "", 0);
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_OK);
        assert_string_equal(sp_reply_data(reply, &len), "");
        sp_reply_free(reply);
        sp_params_free(words);
        sp_redis_free(redis);
}

static void test_an_array_of_many_elements_comes_whole(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = here();
        sp_reply *reply = NULL;

        assert_int_equal(
            tell(way, redis, "EVAL local\tt={}\tfor\ti=1,200000\tdo\tt[i]=i\tend\treturn\tt 0", &reply, NULL), SP_OK);
        assert_int_equal(sp_reply_count(reply), 200000);
        sp_reply_free(reply);
        sp_redis_free(redis);
}

static void test_an_error_is_the_outcome(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = here();
        sp_error *error;

        answers(way, redis, "SET raw:text x", "OK");
        error = refuses(way, redis, "LPUSH raw:text y", SP_REDIS);
        assert_string_equal(sp_error_code(error), "WRONGTYPE");
        sp_error_free(error);
        error = refuses(way, redis, "NONSENSE hunter2", SP_REDIS);
        says(error, "unknown command", "hunter2");
        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
}

static void test_what_harms_others_is_refused(void **state)
{
        static const char *const bad[] = {
            "blpop a 0",        "SUBSCRIBE a", "MULTI",        "SELECT 1",         "XREAD BLOCK 0 STREAMS s $",
            "CLIENT REPLY OFF", "HELLO 3",     "AUTH hunter2", "SCRIPT DEBUG YES", "script debug sync"};
        const struct redis_way *way = way_of(state);
        sp_redis *redis = here();
        sp_params *words = sp_params_new();
        sp_reply *reply = NULL;

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                says(refuses(way, redis, bad[i], SP_UNSUPPORTED), "everybody shares", "hunter2");
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_INVALID);
        sp_params_add_text(words, "PING", 4);
        sp_params_add_null(words);
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_INVALID);
        sp_params_free(words);
        answers(way, redis, "CLIENT SETNAME harmless", "OK");
        sp_redis_free(redis);
}

static void test_who_we_are_is_right_or_refused(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = as("sugar:sweet@", 0);

        answers(way, redis, "ACL WHOAMI", "sugar");
        sp_redis_free(redis);
        redis = as("sugar:hunter2@", 0);
        says(refuses(way, redis, "PING", SP_AUTH), "WRONGPASS", "hunter2");
        sp_redis_free(redis);
        redis = as("nobody:hunter2@", 0);
        says(refuses(way, redis, "PING", SP_AUTH), "WRONGPASS", "hunter2");
        sp_redis_free(redis);
        /* A password where the server wants none. */
        redis = as(":hunter2@", 0);
        says(refuses(way, redis, "PING", SP_AUTH), "refused the user or the password", "hunter2");
        sp_redis_free(redis);
        redis = as("sugar@", 0);
        says(refuses(way, redis, "PING", SP_AUTH), "WRONGPASS", NULL);
        sp_redis_free(redis);
}

static void test_databases_are_apart(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *one = as("", 1), *two = as("", 2), *none = as("", 9999);

        answers(way, one, "SET raw:db one", "OK");
        answers(way, two, "SET raw:db two", "OK");
        answers(way, one, "GET raw:db", "one");
        answers(way, two, "GET raw:db", "two");
        says(refuses(way, none, "PING", SP_CONFIG), "database 9999", NULL);
        sp_redis_free(one);
        sp_redis_free(two);
        sp_redis_free(none);
}

static void test_a_unix_socket_is_a_place_too(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = redis_to(getenv("SP_TEST_REDIS_SOCKET"), NULL);

        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
        redis = redis_to("unix:///nowhere/redis.sock", NULL);
        says(refuses(way, redis, "PING", SP_UNAVAILABLE), "/nowhere/redis.sock", NULL);
        sp_redis_free(redis);
}

static void test_a_server_that_is_no_cluster_says_so(void **state)
{
        const struct redis_way *way = way_of(state);
        const char *host = strstr(getenv("REDIS_URL"), "127.0.0.1:");
        sp_redis *redis;
        char url[128];

        snprintf(url, sizeof url, "redis+cluster://%.*s", (int)strcspn(host, "/"), host);
        redis = redis_to(url, NULL);
        says(refuses(way, redis, "GET a", SP_CONFIG), "is no cluster", NULL);
        sp_redis_free(redis);
}

/* Connections are taken in by the system, and nobody answers. */
static int mute_listener(char url[64])
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fd, 16), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        snprintf(url, 64, "redis://127.0.0.1:%d", ntohs(address.sin_port));
        return fd;
}

static void test_a_deadline_ends_the_call(void **state)
{
        const struct redis_way *way = way_of(state);
        char url[64];
        int listener = mute_listener(url);
        sp_redis *redis = redis_to(url, (const char *[]){"redis.timeout=1h", "redis.connect_timeout=1h", NULL});
        sp_params *words = words_of("INCR a");
        sp_ctx *ctx = ctx_of("20ms");
        sp_reply *reply = NULL;

        assert_int_equal(way->command(redis, ctx, words, &reply, NULL), SP_TIMEOUT);
        sp_ctx_cancel(ctx);
        assert_int_equal(way->command(redis, ctx, words, &reply, NULL), SP_CANCELLED);
        sp_ctx_unref(ctx);
        sp_params_free(words);
        sp_redis_free(redis);
        close(listener);
}

static void test_a_closed_one_refuses(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = here();

        answers(way, redis, "PING", "PONG");
        sp_redis_close(redis);
        sp_error_free(refuses(way, redis, "PING", SP_CLOSED));
        sp_redis_free(redis);
}

static void test_a_client_has_one_over_its_own_connection(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_config *config = sp_config_new();
        sp_client *client = NULL;
        sp_value *page = NULL;
        size_t len;

        assert_int_equal(sp_config_set(config, "redis.url", getenv("REDIS_URL"), NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        answers(way, sp_client_redis(client), "PING", "PONG");
        assert_int_equal(sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &page), SP_OK);
        assert_non_null(
            strstr(sp_value_data(page, &len), "db_client_operation_duration_seconds_count{db_system_name=\"redis\"}"));
        assert_non_null(strstr(sp_value_data(page, &len), "sugarperf_redis_connections 1"));
        sp_value_unref(page);
        sp_client_free(client);
        sp_config_free(config);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_replies_are_read_by_kind),
            BOTH_REDIS_WAYS(test_words_are_bytes),
            BOTH_REDIS_WAYS(test_an_array_of_many_elements_comes_whole),
            BOTH_REDIS_WAYS(test_an_error_is_the_outcome),
            BOTH_REDIS_WAYS(test_what_harms_others_is_refused),
            BOTH_REDIS_WAYS(test_who_we_are_is_right_or_refused),
            BOTH_REDIS_WAYS(test_databases_are_apart),
            BOTH_REDIS_WAYS(test_a_unix_socket_is_a_place_too),
            BOTH_REDIS_WAYS(test_a_server_that_is_no_cluster_says_so),
            BOTH_REDIS_WAYS(test_a_deadline_ends_the_call),
            BOTH_REDIS_WAYS(test_a_closed_one_refuses),
            BOTH_REDIS_WAYS(test_a_client_has_one_over_its_own_connection),
        };

        return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
