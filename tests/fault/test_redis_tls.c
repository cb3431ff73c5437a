/* SPDX-License-Identifier: MIT */
/* rediss:// speaks TLS, with a server that is whom we trust, for its name; else it says why not. */
#include "../integration/cache_ways.h"
#include "../integration/redis_ways.h"
#include "redis_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct redis_server server, strict, plain;
static char folder[128];

static const struct redis_way *way_of(void **state)
{
        return *state;
}

static char *file_of(const char *name)
{
        char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
        return path;
}

static void openssl(const char *format, ...)
{
        char command[1024], all[1200];
        va_list args;

        va_start(args, format);
        vsnprintf(command, sizeof command, format, args);
        va_end(args);
        snprintf(all, sizeof all, "cd %s && openssl %s 2>/dev/null", folder, command);
        assert_int_equal(system(all), 0);
}

/* An authority, and certificates of it: for localhost, for another host, and a client's. */
static void make_certificates(void)
{
        static const char *const names[] = {"localhost", "elsewhere", "client"};
        const char *new_key = "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

        openssl("%s -x509 -days 2 -subj '/CN=test authority' -keyout ca.key -out ca.crt", new_key);
        for (int i = 0; i < 3; i++) {
                openssl("%s -subj /CN=%s -keyout %s.key -out %s.csr", new_key, names[i], names[i], names[i]);
                openssl("x509 -req -days 2 -in %s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out %s.crt", names[i],
                        names[i]);
        }
        openssl("%s -x509 -days 2 -subj '/CN=another authority' -keyout other.key -out other.crt", new_key);
}

static void start_tls(struct redis_server *out, const char *asks_clients)
{
        const char *const args[] = {"--tls-cert-file",
                                    file_of("localhost.crt"),
                                    "--tls-key-file",
                                    file_of("localhost.key"),
                                    "--tls-ca-cert-file",
                                    file_of("ca.crt"),
                                    "--tls-auth-clients",
                                    asks_clients,
                                    "--save",
                                    "",
                                    NULL};

        out->tls = true;
        redis_start(out, 0, args);
}

static sp_redis *secure(const struct redis_server *to, const char *host, const char *const settings[])
{
        char url[96];

        snprintf(url, sizeof url, "rediss://%s:%d", host, to->port);
        return redis_to(url, settings);
}

static char *setting(const char *name, const char *file)
{
        char *text = NULL;

        assert_true(asprintf(&text, "redis.%s=%s/%s", name, folder, file) > 0);
        return text;
}

static void test_a_trusted_server_is_spoken_to(void **state)
{
        const struct redis_way *way = way_of(state);
        char *ca = setting("tls_ca", "ca.crt");
        sp_redis *redis = secure(&server, "localhost", (const char *[]){ca, NULL});
        sp_params *words = words_of("SET big");
        char *big = calloc(1, 3000000), *got;
        sp_reply *reply = NULL;

        answers(way, redis, "PING", "PONG");
        memset(big, 'x', 2999999);
        sp_params_add_text(words, big, 2999999);
        assert_int_equal(way->command(redis, NULL, words, &reply, NULL), SP_OK);
        sp_reply_free(reply);
        got = says_reply(way, redis, "GET big");
        assert_string_equal(got, big);
        free(got);
        free(big);
        free(ca);
        sp_params_free(words);
        sp_redis_free(redis);
}

static void refused(const struct redis_way *way, const char *host, const char *const settings[], const char *why)
{
        sp_redis *redis = secure(&server, host, settings);

        says(refuses(way, redis, "PING", SP_CONFIG), why, NULL);
        sp_redis_free(redis);
}

static void test_others_are_not(void **state)
{
        const struct redis_way *way = way_of(state);
        char *ca = setting("tls_ca", "ca.crt"), *other = setting("tls_ca", "other.crt");
        sp_redis *redis;

        refused(way, "localhost", (const char *[]){other, NULL}, "certificate is not trusted");
        refused(way, "localhost", NULL, "certificate is not trusted");
        /* The certificate is for localhost. */
        refused(way, "127.0.0.1", (const char *[]){ca, NULL}, "IP address mismatch");
        redis = secure(&server, "127.0.0.1", (const char *[]){ca, "redis.tls_verify=ca", NULL});
        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
        redis = secure(&server, "127.0.0.1", (const char *[]){other, "redis.tls_verify=none", NULL});
        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
        free(other);
        free(ca);
}

static void test_a_server_that_asks_for_a_certificate_gets_ours(void **state)
{
        const struct redis_way *way = way_of(state);
        char *ca = setting("tls_ca", "ca.crt"), *cert = setting("tls_cert", "client.crt"),
             *key = setting("tls_key", "client.key");
        sp_redis *redis = secure(&strict, "localhost", (const char *[]){ca, cert, key, NULL});

        answers(way, redis, "PING", "PONG");
        sp_redis_free(redis);
        redis = secure(&strict, "localhost", (const char *[]){ca, NULL});
        says(refuses(way, redis, "PING", SP_UNAVAILABLE), "Redis at localhost", NULL);
        sp_redis_free(redis);
        free(ca);
        free(cert);
        free(key);
}

static void test_files_that_cannot_be_used_are_told(void **state)
{
        static const char *const names[] = {"redis.tls_ca", "redis.tls_cert"};

        for (size_t i = 0; i < 2; i++) {
                sp_config *config = sp_config_new();
                sp_redis *redis = NULL;
                sp_error *error = NULL;

                sp_config_set(config, "redis.url", "rediss://localhost", NULL);
                sp_config_set(config, names[i], "/nowhere.pem", NULL);
                assert_int_equal(sp_redis_new(config, &redis, &error), SP_CONFIG);
                says(error, names[i], NULL);
                sp_config_free(config);
        }
}

static void test_one_that_speaks_no_tls_is_no_puzzle(void **state)
{
        const struct redis_way *way = way_of(state);
        sp_redis *redis = secure(&plain, "localhost", NULL);
        char url[64];

        says(refuses(way, redis, "PING", SP_UNAVAILABLE), "does it speak TLS?", NULL);
        sp_redis_free(redis);
        snprintf(url, sizeof url, "redis://localhost:%d", server.port);
        redis = redis_to(url, NULL);
        /* It hangs up on what it cannot read, and so did not run it; but that we cannot know. */
        sp_error_free(refuses(way, redis, "PING", SP_LOST));
        sp_redis_free(redis);
}

static void test_a_cache_over_tls_hears_of_invalidations(void **state)
{
        const struct cache_way *way = &cache_ways[way_of(state) == &redis_ways[1]];
        char *ca = setting("tls_ca", "ca.crt"), url[96], key[64], *text;
        sp_cache *one, *two;

        snprintf(url, sizeof url, "redis.url=rediss://localhost:%d", server.port);
        one = cache_with(way, (const char *[]){url, ca, NULL});
        two = cache_with(way, (const char *[]){url, ca, NULL});
        put_text(way, one, fresh_key("t:tls", key, sizeof key), "old");
        text = text_of(way, two, key);
        assert_string_equal(text, "old");
        free(text);
        assert_int_equal(drop_key(way, one, key, NULL), SP_OK);
        while ((text = text_of(way, two, key)) && *text)
                free(text);
        free(text);
        free(ca);
        sp_cache_free(one);
        sp_cache_free(two);
}

static int set_up(void **state)
{
        snprintf(folder, sizeof folder, "%s", getenv("SP_TEST_SERVERS"));
        make_certificates();
        start_tls(&server, "no");
        start_tls(&strict, "yes");
        redis_start(&plain, 0, NULL);
        return 0;
}

static int tear_down(void **state)
{
        redis_kill(&server);
        redis_kill(&strict);
        redis_kill(&plain);
        return 0;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            BOTH_REDIS_WAYS(test_a_trusted_server_is_spoken_to),
            BOTH_REDIS_WAYS(test_others_are_not),
            BOTH_REDIS_WAYS(test_a_server_that_asks_for_a_certificate_gets_ours),
            BOTH_REDIS_WAYS(test_files_that_cannot_be_used_are_told),
            BOTH_REDIS_WAYS(test_one_that_speaks_no_tls_is_no_puzzle),
            BOTH_REDIS_WAYS(test_a_cache_over_tls_hears_of_invalidations),
        };

        return cmocka_run_group_tests_name("redis tls", tests, set_up, tear_down);
}
