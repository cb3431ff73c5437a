/* SPDX-License-Identifier: MIT */
/* Breakers and policies of a client: by name, built in before pool and Redis, dropped when they rest. */
#include "client/client.h"

#include "pg_proxy.h"

#include <sugarperf/sugarperf.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static sp_client *client_of(const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;

        assert_int_equal(sp_config_env(config, NULL), SP_OK);
        for (size_t i = 0; settings[i]; i += 2)
                assert_int_equal(sp_config_set(config, settings[i], settings[i + 1], NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
        sp_config_free(config);
        return client;
}

static bool shows(sp_client *client, const char *text)
{
        sp_value *page = NULL;
        size_t len;
        bool found;

        assert_int_equal(sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &page), SP_OK);
        found = strstr(sp_value_data(page, &len), text) != NULL;
        sp_value_unref(page);
        return found;
}

static sp_status ask_in(sp_client *client, sp_ctx *ctx, const char *text, sp_error **error)
{
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;
        sp_status status;

        assert_int_equal(sp_stmt_new(NULL, text, strlen(text), 0, &stmt, NULL), SP_OK);
        status = sp_pool_query(sp_client_pool(client, NULL), ctx, stmt, NULL, &result, error);
        sp_result_free(result);
        sp_stmt_unref(stmt);
        return status;
}

static sp_status ask(sp_client *client, const char *text, sp_error **error)
{
        return ask_in(client, NULL, text, error);
}

/* The name of the built-in breaker that begins so, from the page of metrics. */
static sp_breaker *built_in(sp_client *client, const char *begins)
{
        char label[64], name[256];
        sp_value *page = NULL;
        const char *at;
        size_t len;

        snprintf(label, sizeof label, "{name=\"%s", begins);
        assert_int_equal(sp_metrics_text(sp_client_metrics(client), SP_METRICS_PROMETHEUS, &page), SP_OK);
        at = strstr(sp_value_data(page, &len), label);
        assert_non_null(at);
        at += strlen("{name=\"");
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "\""), at);
        sp_value_unref(page);
        return sp_client_breaker(client, name);
}

static void test_a_pool_s_breaker_counts_what_the_server_answers(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"pool.breaker", "true", "breaker.pool.failures", "3", NULL});
        sp_breaker *breaker = built_in(client, "pool@");
        sp_error *error = NULL;
        sp_value *health = NULL;

        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(ask(client, "SELECT 1/0", NULL), SP_SQL);
        assert_int_equal(sp_breaker_calls(breaker, SP_OUTCOME_SUCCESS), 1);
        assert_int_equal(sp_breaker_calls(breaker, SP_OUTCOME_IGNORED), 1);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(ask(client, "SELECT 1", &error), SP_OPEN);
        assert_non_null(strstr(sp_error_message(error), "circuit breaker \"pool@"));
        sp_error_free(error);
        assert_int_equal(sp_pool_health(sp_client_pool(client, NULL), NULL, &health), SP_OK);
        sp_value_unref(health);
        sp_breaker_reset(breaker);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_in_flight(breaker), 0);
        sp_client_free(client);
}

/* Parameters that are missing are the caller's mistake, which the server calls a protocol violation. */
static void test_a_caller_s_mistake_opens_the_breaker_for_nobody(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"pool.breaker", "true", "breaker.pool.failures", "1", NULL});
        sp_error *error = NULL;

        assert_int_equal(ask(client, "SELECT $1::int", &error), SP_SQL);
        assert_string_equal(sp_error_code(error), "08P01");
        sp_error_free(error);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_state(built_in(client, "pool@")), SP_BREAKER_CLOSED);
        sp_client_free(client);
}

/* Under overload deadlines pass on their way: that says nothing of a server that is well. */
static void test_who_comes_after_its_deadline_opens_the_breaker_for_nobody(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"pool.breaker", "true", "breaker.pool.failures", "1", NULL});
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_stmt *stmt = NULL;
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_ctx_set(ctx, "timeout", "1ms", NULL), SP_OK);
        while (sp_ctx_remaining(ctx) > 0)
                poll(NULL, 0, 1);
        poll(NULL, 0, 1); /* less than a millisecond may be left */
        assert_int_equal(sp_pool_query(sp_client_pool(client, NULL), ctx, stmt, NULL, &result, &error), SP_TIMEOUT);
        sp_error_free(error);
        assert_int_equal(sp_breaker_state(built_in(client, "pool@")), SP_BREAKER_CLOSED);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        sp_ctx_unref(ctx);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

static void test_a_pool_s_breaker_hears_how_long_a_statement_took(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"pool.breaker", "true", "breaker.pool.failures", "0", "breaker.pool.slow",
                                            "5ms", "breaker.pool.slow_rate", "100", "breaker.pool.minimum", "1", NULL});

        assert_int_equal(ask(client, "SELECT pg_sleep(0.01)", NULL), SP_OK);
        assert_int_equal(sp_breaker_state(built_in(client, "pool@")), SP_BREAKER_OPEN);
        sp_client_free(client);
}

static int port_of(const char *url)
{
        return atoi(strrchr(url, ':') + 1);
}

static int server_port(void)
{
        return port_of(getenv("DATABASE_URL"));
}

/* A pool of both, the first of which it prefers. */
static sp_client *client_of_two(int one, int two)
{
        char url[200];

        snprintf(url, sizeof url, "postgresql://test:test@127.0.0.1:%d,127.0.0.1:%d/test", one, two);
        return client_of((const char *const[]){"pool.url", url, "pool.breaker", "true", "breaker.pool.failures", "2",
                                               "breaker.pool.open_time", "1h", "pool.query_timeout", "20s", NULL});
}

static sp_breaker *breaker_at(sp_client *client, int port)
{
        char begins[64];

        snprintf(begins, sizeof begins, "pool@127.0.0.1:%d/primary\"", port);
        return built_in(client, begins);
}

/* It hangs: its connections stand, new ones too, and nothing is answered. */
static void ask_until_open(sp_client *client, const sp_breaker *breaker)
{
        while (sp_breaker_state(breaker) != SP_BREAKER_OPEN) {
                sp_ctx *ctx = sp_ctx_new(NULL);

                assert_int_equal(sp_ctx_set(ctx, "timeout", "200ms", NULL), SP_OK);
                assert_int_not_equal(ask_in(client, ctx, "SELECT 1", NULL), SP_OPEN);
                sp_ctx_unref(ctx);
        }
}

static void test_a_host_that_hangs_opens_its_own_breaker_and_the_other_serves(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_client *client = client_of_two(port_of(pg_proxy_url(proxy)), server_port());
        sp_breaker *hangs = breaker_at(client, port_of(pg_proxy_url(proxy))),
                   *other = breaker_at(client, server_port());

        assert_ptr_not_equal(hangs, other);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_calls(hangs, SP_OUTCOME_SUCCESS), 1);
        pg_proxy_delay(proxy, 3600000);
        pg_proxy_forget(proxy);
        ask_until_open(client, hangs);
        for (int i = 0; i < 10; i++)
                assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_calls(other, SP_OUTCOME_SUCCESS), 10);
        assert_int_equal(sp_breaker_state(other), SP_BREAKER_CLOSED);
        sp_client_free(client);
        pg_proxy_stop(proxy);
}

static void test_statements_go_where_a_breaker_is_not_open_by_hand(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_client *client = client_of_two(port_of(pg_proxy_url(proxy)), server_port());
        sp_breaker *one = breaker_at(client, port_of(pg_proxy_url(proxy))), *two = breaker_at(client, server_port());
        sp_error *error = NULL;

        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        sp_breaker_force(one, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_calls(one, SP_OUTCOME_SUCCESS), 1);
        assert_int_equal(sp_breaker_calls(two, SP_OUTCOME_SUCCESS), 1);
        sp_breaker_force(two, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(ask(client, "SELECT 1", &error), SP_OPEN);
        assert_non_null(strstr(sp_error_message(error), "the circuit breakers of all hosts of pool \"default\""));
        sp_error_free(error);
        sp_breaker_reset(one);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_int_equal(sp_breaker_calls(one, SP_OUTCOME_SUCCESS), 2);
        assert_int_equal(sp_breaker_in_flight(one) + sp_breaker_in_flight(two), 0);
        sp_client_free(client);
        pg_proxy_stop(proxy);
}

static void test_a_statement_that_finds_no_host_counts_at_each(void **state)
{
        struct pg_proxy *proxy = pg_proxy_start();
        sp_client *client = client_of_two(port_of(pg_proxy_url(proxy)), 1);
        sp_breaker *one = breaker_at(client, port_of(pg_proxy_url(proxy))), *two = breaker_at(client, 1);

        pg_proxy_refuse(proxy, true);
        for (int i = 0; i < 2; i++)
                assert_int_not_equal(ask(client, "SELECT 1", NULL), SP_OPEN);
        assert_int_equal(sp_breaker_state(one), SP_BREAKER_OPEN);
        assert_int_equal(sp_breaker_state(two), SP_BREAKER_OPEN);
        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OPEN);
        sp_client_free(client);
        pg_proxy_stop(proxy);
}

static void test_a_replica_s_breaker_is_shown_with_its_role(void **state)
{
        char name[64];
        sp_client *client =
            client_of((const char *const[]){"pool.breaker", "true", "pool.replicas", getenv("DATABASE_URL"), NULL});

        snprintf(name, sizeof name, "{name=\"pool@127.0.0.1:%d/primary\"", server_port());
        assert_true(shows(client, name));
        snprintf(name, sizeof name, "{name=\"pool@127.0.0.1:%d/replica\"", server_port());
        assert_true(shows(client, name));
        sp_client_free(client);
}

static void test_the_health_report_and_a_refusal_through_a_queue(void **state)
{
        sp_client *client = client_of((const char *const[]){"pool.breaker", "true", NULL});
        sp_breaker *breaker = built_in(client, "pool@");
        sp_value *health = NULL;
        sp_completion *got = NULL;
        sp_queue *queue = NULL;
        sp_stmt *stmt = NULL;
        size_t len;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(sp_pool_query_async(sp_client_pool(client, NULL), NULL, stmt, NULL, queue, 3), SP_OK);
        assert_int_equal(sp_queue_wait(queue, &got, 1, 10000), 1);
        assert_int_equal(sp_completion_status(got), SP_OPEN);
        assert_non_null(strstr(sp_error_message(sp_completion_error(got)), "circuit breaker \"pool@"));
        sp_completion_free(got);
        /* The report asks the server itself. */
        assert_int_equal(sp_pool_health(sp_client_pool(client, NULL), NULL, &health), SP_OK);
        assert_non_null(strstr(sp_value_data(health, &len), "\"healthy\""));
        sp_value_unref(health);
        assert_int_equal(sp_breaker_rejected(breaker), 1);
        sp_stmt_unref(stmt);
        sp_queue_free(queue);
        sp_client_free(client);
}

static void test_a_session_goes_on_while_the_breaker_is_open(void **state)
{
        sp_client *client = client_of((const char *const[]){"pool.breaker", "true", NULL});
        sp_breaker *breaker = built_in(client, "pool@");
        sp_session *session = NULL;
        sp_result *result = NULL;
        sp_stmt *stmt = NULL;

        assert_int_equal(sp_stmt_new(NULL, "SELECT 1", 8, 0, &stmt, NULL), SP_OK);
        assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OK);
        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(sp_session_query(session, NULL, stmt, NULL, &result, NULL), SP_OK);
        sp_result_free(result);
        sp_session_release(session);
        session = NULL;
        assert_int_equal(sp_pool_acquire(sp_client_pool(client, NULL), NULL, &session, NULL), SP_OPEN);
        assert_int_equal(sp_breaker_in_flight(breaker), 0);
        sp_stmt_unref(stmt);
        sp_client_free(client);
}

static void test_an_open_breaker_of_redis_is_an_outage_of_redis(void **state)
{
        sp_client *client = client_of((const char *const[]){"redis.breaker", "true", NULL});
        sp_breaker *breaker = built_in(client, "redis@");
        sp_cache *cache = sp_client_cache(client);
        sp_lookup *found = NULL;
        sp_lease *lease;

        sp_breaker_force(breaker, SP_BREAKER_FORCED_OPEN);
        assert_int_equal(sp_cache_lookup(cache, NULL, "guard:a", 7, &found, NULL), SP_OK);
        assert_int_equal(sp_lookup_state(found), SP_LOOKUP_LEASE);
        lease = sp_lookup_take_lease(found);
        sp_lease_release(lease);
        sp_lookup_free(found);
        assert_true(sp_breaker_rejected(breaker) > 0);
        sp_breaker_reset(breaker);
        found = NULL;
        assert_int_equal(sp_cache_lookup(cache, NULL, "guard:b", 7, &found, NULL), SP_OK);
        sp_lease_release(sp_lookup_take_lease(found));
        sp_lookup_free(found);
        assert_true(sp_breaker_calls(breaker, SP_OUTCOME_SUCCESS) > 0);
        assert_int_equal(sp_breaker_failures(breaker), 0);
        sp_client_free(client);
}

static void test_off_as_they_come(void **state)
{
        sp_client *client = client_of((const char *const[]){NULL});

        assert_int_equal(ask(client, "SELECT 1", NULL), SP_OK);
        assert_false(shows(client, "sugarperf_circuitbreaker_"));
        sp_client_free(client);
}

static void test_one_name_is_one_breaker(void **state)
{
        sp_client *client = client_of((const char *const[]){"breaker.pay.failures", "1", NULL});
        sp_breaker *breaker = sp_client_breaker(client, "pay"), *held = sp_client_breaker_ref(client, "pay");
        uint64_t permit;

        assert_ptr_equal(breaker, held);
        assert_ptr_not_equal(breaker, sp_client_breaker(client, "other"));
        assert_int_equal(sp_breaker_acquire(held, &permit), SP_OK);
        sp_breaker_record(held, permit, SP_OUTCOME_FAILURE, 1);
        assert_int_equal(sp_breaker_state(breaker), SP_BREAKER_OPEN);
        assert_true(shows(client, "sugarperf_circuitbreaker_state{name=\"pay\",state=\"open\"} 1"));
        sp_breaker_unref(held);
        sp_client_free(client);
}

static void test_no_name_is_the_default_and_a_wrong_one_is_refused(void **state)
{
        sp_client *client = client_of((const char *const[]){NULL});
        sp_breaker *breaker = sp_client_breaker(client, NULL);

        assert_string_equal(sp_breaker_name(breaker), "default");
        assert_ptr_equal(sp_client_breaker(client, "default"), breaker);
        assert_ptr_equal(sp_client_policy(client, NULL), sp_client_policy(client, "default"));
        assert_null(sp_client_breaker(client, ""));
        assert_null(sp_client_breaker_ref(client, "a\nb"));
        assert_null(sp_client_policy(client, ""));
        assert_null(sp_client_policy_ref(client, "\xff"));
        sp_client_free(client);
}

static void test_a_policy_whose_breaker_cannot_be_is_told_at_once(void **state)
{
        static const char *const settings[] = {"policy.breaker", "policy.pay.breaker"};

        for (size_t i = 0; i < 2; i++) {
                sp_config *config = sp_config_new();
                sp_client *client = NULL;
                sp_error *error = NULL;

                assert_int_equal(sp_config_set(config, settings[i], "pay\nments", NULL), SP_OK);
                assert_int_equal(sp_client_new(config, &client, &error), SP_CONFIG);
                assert_non_null(strstr(sp_error_message(error), settings[i]));
                assert_null(strchr(sp_error_message(error), '\n'));
                sp_error_free(error);
                assert_int_equal(sp_config_set(config, settings[i], "payments", NULL), SP_OK);
                assert_int_equal(sp_client_new(config, &client, NULL), SP_OK);
                assert_non_null(sp_client_policy(client, "pay"));
                sp_client_free(client);
                sp_config_free(config);
        }
}

/* Nobody reads the metrics: those that rest go when many more come. */
static void test_names_that_come_and_go_do_not_pile_up(void **state)
{
        sp_client *client = client_of((const char *const[]){"breaker.idle", "1ms", "policy.idle", "1ms", NULL});
        sp_policy *held = sp_client_policy_ref(client, "held");
        size_t before;
        int made = 0;

        do {
                char name[32];

                before = client->breakers.count + client->policies.count;
                snprintf(name, sizeof name, "tenant-%d", made++);
                sp_breaker_unref(sp_client_breaker_ref(client, name));
                sp_policy_unref(sp_client_policy_ref(client, name));
        } while (client->breakers.count + client->policies.count >= before || client->policies.count > 100);
        assert_ptr_equal(sp_client_policy(client, "held"), held);
        sp_policy_unref(held);
        sp_client_free(client);
}

static void test_each_of_many_names_is_found(void **state)
{
        enum { NAMES = 3000 };
        sp_client *client = client_of((const char *const[]){NULL});
        sp_breaker *breakers[NAMES];
        char name[32];

        for (int i = 0; i < NAMES; i++) {
                snprintf(name, sizeof name, "tenant-%d", i);
                breakers[i] = sp_client_breaker_ref(client, name);
        }
        for (int i = 0; i < NAMES; i++) {
                snprintf(name, sizeof name, "tenant-%d", i);
                assert_ptr_equal(sp_client_breaker(client, name), breakers[i]);
                assert_string_equal(sp_breaker_name(breakers[i]), name);
                sp_breaker_unref(breakers[i]);
        }
        assert_int_equal(client->breakers.count, NAMES);
        sp_client_free(client);
}

/* One is looked at at each scrape: it rests when a scrape finds it as the last one did, `breaker.idle` later. */
static void scrape_until_gone(sp_client *client, const char *text)
{
        while (shows(client, text)) {}
}

static void test_those_that_rest_are_dropped_with_their_metrics(void **state)
{
        sp_client *client = client_of((const char *const[]){"breaker.idle", "20ms", NULL});
        sp_breaker *held = sp_client_breaker_ref(client, "tenant-1"), *kept = sp_client_breaker(client, "kept");
        uint64_t permit;

        sp_breaker_unref(sp_client_breaker_ref(client, "tenant-2"));
        scrape_until_gone(client, "name=\"tenant-2\"");
        scrape_until_gone(client, "name=\"tenant-1\"");
        scrape_until_gone(client, "name=\"kept\"");
        assert_ptr_equal(sp_client_breaker(client, "kept"), kept);
        assert_int_equal(sp_breaker_acquire(kept, &permit), SP_OK);
        assert_true(shows(client, "name=\"kept\""));
        sp_breaker_record(kept, permit, SP_OUTCOME_SUCCESS, 1);
        assert_ptr_equal(sp_client_breaker_ref(client, "tenant-1"), held);
        sp_breaker_unref(held);
        sp_breaker_unref(held);
        sp_client_free(client);
}

static void test_a_policy_that_rests_is_dropped_with_its_metrics(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"policy.idle", "20ms", "policy.waits.concurrency", "1", NULL});
        sp_policy *held = sp_client_policy_ref(client, "held"), *kept = sp_client_policy(client, "kept");
        sp_policy *waits = sp_client_policy_ref(client, "waits");
        sp_call *call = NULL;

        sp_policy_unref(sp_client_policy_ref(client, "gone"));
        assert_int_equal(sp_call_new(waits, NULL, &call, NULL), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        sp_policy_unref(waits);
        scrape_until_gone(client, "name=\"gone\"");
        scrape_until_gone(client, "name=\"held\"");
        scrape_until_gone(client, "name=\"kept\"");
        assert_int_equal(client->policies.count, 3);
        assert_true(shows(client, "sugarperf_policy_running{name=\"waits\"} 1"));
        sp_call_free(call);
        scrape_until_gone(client, "name=\"waits\"");
        assert_int_equal(client->policies.count, 2);
        assert_ptr_equal(sp_client_policy(client, "kept"), kept);
        assert_ptr_equal(sp_client_policy_ref(client, "held"), held);
        sp_policy_unref(held);
        sp_policy_unref(held);
        sp_client_free(client);
}

static void test_a_policy_has_the_breaker_that_it_names(void **state)
{
        sp_client *client = client_of((const char *const[]){"policy.pay.breaker", "pay", "breaker.pay.failures", "1",
                                                            "policy.pay.attempts", "3", NULL});
        sp_policy *policy = sp_client_policy(client, "pay");
        sp_call *call = NULL;

        assert_ptr_equal(policy, sp_client_policy(client, "pay"));
        assert_int_equal(sp_call_new(policy, NULL, &call, NULL), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_OK);
        assert_true(sp_call_leave(call, SP_OUTCOME_FAILURE, true));
        assert_int_equal(sp_breaker_state(sp_client_breaker(client, "pay")), SP_BREAKER_OPEN);
        assert_int_equal(sp_call_enter(call, NULL), SP_OPEN);
        sp_call_free(call);
        assert_true(shows(client, "sugarperf_policy_events_total{name=\"pay\",event=\"open\"} 1"));
        sp_client_close(client);
        assert_null(sp_client_policy(client, "another"));
        assert_int_equal(sp_call_new(policy, NULL, &call, NULL), SP_OK);
        assert_int_equal(sp_call_enter(call, NULL), SP_CLOSED);
        sp_call_free(call);
        sp_client_free(client);
}

static void test_closing_wakes_those_who_wait_and_lets_those_inside_leave(void **state)
{
        sp_client *client =
            client_of((const char *const[]){"policy.one.concurrency", "1", "policy.one.waiting", "9", NULL});
        sp_policy *policy = sp_client_policy(client, "one");
        sp_call *inside = NULL, *waiting = NULL;
        sp_completion *got = NULL;
        sp_queue *queue = NULL;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_call_new(policy, NULL, &inside, NULL), SP_OK);
        assert_int_equal(sp_call_new(policy, NULL, &waiting, NULL), SP_OK);
        assert_int_equal(sp_call_enter(inside, NULL), SP_OK);
        assert_int_equal(sp_call_enter_async(waiting, queue, 5), SP_OK);
        sp_client_close(client);
        assert_int_equal(sp_queue_wait(queue, &got, 1, 10000), 1);
        assert_int_equal(sp_completion_status(got), SP_CLOSED);
        sp_completion_free(got);
        sp_client_free(client);
        /* A call outlives its client. */
        assert_false(sp_call_leave(inside, SP_OUTCOME_SUCCESS, false));
        sp_call_free(inside);
        sp_call_free(waiting);
        sp_queue_free(queue);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_pool_s_breaker_counts_what_the_server_answers),
            cmocka_unit_test(test_a_caller_s_mistake_opens_the_breaker_for_nobody),
            cmocka_unit_test(test_who_comes_after_its_deadline_opens_the_breaker_for_nobody),
            cmocka_unit_test(test_a_pool_s_breaker_hears_how_long_a_statement_took),
            cmocka_unit_test(test_a_host_that_hangs_opens_its_own_breaker_and_the_other_serves),
            cmocka_unit_test(test_statements_go_where_a_breaker_is_not_open_by_hand),
            cmocka_unit_test(test_a_statement_that_finds_no_host_counts_at_each),
            cmocka_unit_test(test_a_replica_s_breaker_is_shown_with_its_role),
            cmocka_unit_test(test_the_health_report_and_a_refusal_through_a_queue),
            cmocka_unit_test(test_a_session_goes_on_while_the_breaker_is_open),
            cmocka_unit_test(test_an_open_breaker_of_redis_is_an_outage_of_redis),
            cmocka_unit_test(test_off_as_they_come),
            cmocka_unit_test(test_one_name_is_one_breaker),
            cmocka_unit_test(test_no_name_is_the_default_and_a_wrong_one_is_refused),
            cmocka_unit_test(test_a_policy_whose_breaker_cannot_be_is_told_at_once),
            cmocka_unit_test(test_names_that_come_and_go_do_not_pile_up),
            cmocka_unit_test(test_each_of_many_names_is_found),
            cmocka_unit_test(test_a_policy_that_rests_is_dropped_with_its_metrics),
            cmocka_unit_test(test_those_that_rest_are_dropped_with_their_metrics),
            cmocka_unit_test(test_a_policy_has_the_breaker_that_it_names),
            cmocka_unit_test(test_closing_wakes_those_who_wait_and_lets_those_inside_leave),
        };

        return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
