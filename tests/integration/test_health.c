/* SPDX-License-Identifier: MIT */
/* A client tells how all of it is, in one document, whatever is down, and in time. */
#include "../support/child.h"
#include "way.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOWHERE "postgresql://a:hunter2@127.0.0.1:1/x"

static sp_client *client_of(const char *const settings[])
{
        sp_config *config = config_with(settings);
        sp_error *error = NULL;
        sp_client *client = NULL;

        if (sp_client_new(config, &client, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        sp_config_free(config);
        return client;
}

static void holds(const char *text, const char *what)
{
        if (!strstr(text, what))
                fail_msg("%s does not hold %s", text, what);
}

static const char *health_of(sp_client *client, sp_value **value)
{
        size_t len;

        assert_int_equal(sp_client_health(client, NULL, value), SP_OK);
        assert_int_equal(sp_value_codec(*value), SP_CODEC_JSON);
        return sp_value_data(*value, &len);
}

static void is_told(sp_client *client, const char *const parts[])
{
        sp_value *value = NULL;
        const char *text = health_of(client, &value);

        for (; *parts; parts++)
                holds(text, *parts);
        assert_null(strstr(text, "hunter2"));
        sp_value_unref(value);
}

static void test_all_is_well(void **state)
{
        sp_client *client = client_of((const char *[]){"pool.orders.max=2", NULL});
        sp_queue *queue = queue_of();
        sp_completion *done;
        size_t len;

        is_told(client,
                (const char *[]){
                    "{\"status\":\"healthy\",\"database\":\"connected\",\"poolMetrics\":{\"activeConnections\":",
                    ",\"pools\":{\"orders\":{\"status\":\"healthy\",\"database\":\"connected\",\"poolMetrics\":{",
                    "}}},\"redis\":{\"status\":\"connected\",\"latencyMs\":", "},\"breakers\":[],\"feeds\":[]}", NULL});
        assert_int_equal(sp_client_health_async(client, NULL, queue, 42), SP_OK);
        done = queue_completion(queue);
        assert_int_equal(sp_completion_status(done), SP_OK);
        holds(sp_value_data(sp_completion_value(done), &len), "{\"status\":\"healthy\",\"database\":\"connected\"");
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_client_free(client);
}

static void test_a_client_of_nothing_is_well(void **state)
{
        sp_client *client = NULL;
        sp_value *value = NULL;

        assert_int_equal(sp_client_new(NULL, &client, NULL), SP_OK);
        assert_string_equal(health_of(client, &value),
                            "{\"status\":\"healthy\",\"pools\":{},\"redis\":null,\"breakers\":[],\"feeds\":[]}");
        sp_value_unref(value);
        sp_client_free(client);
}

static void test_without_redis_work_goes_on(void **state)
{
        sp_client *client = client_of((const char *[]){"redis.url=redis://:hunter2@127.0.0.1:1", NULL});

        is_told(client, (const char *[]){"{\"status\":\"degraded\",\"database\":\"connected\"",
                                         "\"redis\":{\"status\":\"disconnected\",\"error\":\"", NULL});
        sp_client_free(client);
}

static void test_without_a_database_it_does_not(void **state)
{
        sp_client *client = client_of((const char *[]){"pool.url=" NOWHERE, NULL});

        is_told(client, (const char *[]){"{\"status\":\"unhealthy\",\"database\":\"disconnected\",\"error\":\"",
                                         "\",\"poolMetrics\":{", "\"redis\":{\"status\":\"connected\"", NULL});
        sp_client_free(client);
        client = client_of((const char *[]){"pool.orders.url=" NOWHERE, NULL});
        is_told(client, (const char *[]){
                            "{\"status\":\"unhealthy\",\"database\":\"connected\",\"poolMetrics\"",
                            "\"pools\":{\"orders\":{\"status\":\"unhealthy\",\"database\":\"disconnected\"", NULL});
        sp_client_free(client);
}

static void test_an_open_breaker_stands_in_front(void **state)
{
        sp_client *client = client_of((const char *[]){"breaker.mail.failures=1", NULL});
        char name[32];
        uint64_t permit;
        sp_breaker *mail;

        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof name, "other-%d", i);
                assert_non_null(sp_client_breaker(client, name));
        }
        is_told(client, (const char *[]){"{\"status\":\"healthy\"", "\"breakers\":[{\"name\":\"other-0\",", NULL});
        mail = sp_client_breaker(client, "mail");
        assert_int_equal(sp_breaker_acquire(mail, &permit), SP_OK);
        sp_breaker_record(mail, permit, SP_OUTCOME_FAILURE, 1);
        is_told(client, (const char *[]){"{\"status\":\"degraded\"",
                                         "\"breakers\":[{\"name\":\"mail\",\"state\":\"OPEN\",\"failureCount\":1,"
                                         "\"nextResetTime\":\"2",
                                         "},{\"name\":\"other-0\",\"state\":\"CLOSED\"", NULL});
        sp_breaker_reset(mail);
        is_told(client, (const char *[]){"{\"status\":\"healthy\"", NULL});
        sp_client_free(client);
}

/* Whoever calls next is let through. */
static void test_a_breaker_that_nobody_calls_any_more_is_not_ill_for_ever(void **state)
{
        sp_client *client = client_of((const char *[]){"breaker.mail.failures=1", "breaker.mail.open_time=1ms",
                                                       "breaker.mail.probe_timeout=1h", NULL});
        sp_breaker *mail = sp_client_breaker(client, "mail");
        uint64_t permit;

        assert_int_equal(sp_breaker_acquire(mail, &permit), SP_OK);
        sp_breaker_record(mail, permit, SP_OUTCOME_FAILURE, 1);
        while (sp_breaker_state(mail) != SP_BREAKER_HALF_OPEN)
                poll(NULL, 0, 1);
        is_told(client, (const char *[]){"{\"status\":\"healthy\"", "\"state\":\"HALF_OPEN\"", NULL});
        assert_int_equal(sp_breaker_acquire(mail, &permit), SP_OK);
        is_told(client, (const char *[]){"{\"status\":\"degraded\"", "\"state\":\"HALF_OPEN\"", NULL});
        sp_client_free(client);
}

/* Connects by itself, and never says a word. */
static int mute(char *settings[2])
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(fd, 16), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        assert_true(asprintf(&settings[0], "pool.url=postgresql://a@127.0.0.1:%d/x", ntohs(address.sin_port)) > 0);
        assert_true(asprintf(&settings[1], "redis.url=redis://127.0.0.1:%d", ntohs(address.sin_port)) > 0);
        return fd;
}

static void test_whoever_is_mute_is_told_as_away(void **state)
{
        char *urls[2];
        int fd = mute(urls);
        sp_client *client = client_of((const char *[]){urls[0], urls[1], "pool.connect_timeout=1d",
                                                       "redis.connect_timeout=1d", "redis.timeout=1d", NULL});
        sp_ctx *ctx = ctx_of("20ms");
        sp_value *value = NULL;
        size_t len;

        is_told(client, (const char *[]){"{\"status\":\"unhealthy\",\"database\":\"disconnected\"",
                                         "\"redis\":{\"status\":\"disconnected\"", NULL});
        assert_int_equal(sp_client_health(client, ctx, &value), SP_OK);
        holds(sp_value_data(value, &len), "{\"status\":\"unhealthy\"");
        sp_value_unref(value);
        sp_ctx_unref(ctx);
        sp_client_free(client);
        close(fd);
        free(urls[0]);
        free(urls[1]);
}

static void test_it_ends_with_its_caller_or_its_client(void **state)
{
        char *urls[2];
        int fd = mute(urls);
        sp_client *client = client_of((const char *[]){urls[0], urls[1], NULL});
        sp_queue *queue = queue_of();
        sp_ctx *ctx = sp_ctx_new(NULL);
        sp_completion *done;
        sp_value *value = NULL;
        size_t len;

        assert_int_equal(sp_client_health_async(client, ctx, queue, 42), SP_OK);
        sp_ctx_cancel(ctx);
        done = queue_completion(queue);
        assert_int_equal(sp_completion_status(done), SP_CANCELLED);
        sp_completion_free(done);
        assert_int_equal(sp_client_health(client, ctx, &value), SP_CANCELLED);
        assert_int_equal(sp_client_health_async(client, NULL, queue, 42), SP_OK);
        sp_client_close(client);
        done = queue_completion(queue);
        sp_client_free(client);
        holds(sp_value_data(sp_completion_value(done), &len), "{\"status\":\"unhealthy\"");
        sp_completion_free(done);
        sp_ctx_unref(ctx);
        sp_queue_free(queue);
        close(fd);
        free(urls[0]);
        free(urls[1]);
}

static void test_a_feed_that_cannot_read_is_told(void **state)
{
        sp_client *client = client_of((const char *[]){"feed.create=false", "feed.slot=health_none", NULL});
        sp_rules *rules = NULL;
        sp_feed *feed = NULL;
        sp_value *value = NULL;
        sp_error *error = NULL;

        assert_int_equal(sp_rules_new(sp_client_cache(client), &rules, NULL), SP_OK);
        if (sp_client_feed(client, NULL, rules, &feed, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        while (!strstr(health_of(client, &value), "{\"status\":\"degraded\",\"database\":\"connected\"")) {
                sp_value_unref(value);
                value = NULL;
        }
        sp_value_unref(value);
        is_told(client, (const char *[]){"\"feeds\":[{\"state\":\"", "\"slot\":\"health_none\"", NULL});
        sp_rules_unref(rules);
        sp_client_free(client);
}

static void test_a_child_has_none(void **state)
{
        sp_client *client = client_of(NULL);
        pid_t child = child_fork();
        int status;

        if (child == 0) {
                sp_value *value = NULL;

                _exit(sp_client_health(client, NULL, &value) == SP_FORKED ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        sp_client_free(client);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_all_is_well),
            cmocka_unit_test(test_a_client_of_nothing_is_well),
            cmocka_unit_test(test_without_redis_work_goes_on),
            cmocka_unit_test(test_without_a_database_it_does_not),
            cmocka_unit_test(test_an_open_breaker_stands_in_front),
            cmocka_unit_test(test_a_breaker_that_nobody_calls_any_more_is_not_ill_for_ever),
            cmocka_unit_test(test_whoever_is_mute_is_told_as_away),
            cmocka_unit_test(test_it_ends_with_its_caller_or_its_client),
            cmocka_unit_test(test_a_feed_that_cannot_read_is_told),
            cmocka_unit_test(test_a_child_has_none),
        };

        return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
