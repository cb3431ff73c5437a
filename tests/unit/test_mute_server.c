/* SPDX-License-Identifier: MIT */
/* A server that accepts and then says nothing costs its callers their deadline, and nobody more than that. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <sugarperf/sugarperf.h>

enum { CONNECTIONS = 64, CANCEL_CODE = 80877102 };

/* Greets each connection where it is told to; neither answers a statement, nor a cancel request, nor hangs up. */
struct server {
        int listener;
        int port;
        bool greets;
        pthread_t thread;
        atomic_int cancels;
        int fds[CONNECTIONS];
        int count;
};

static bool read_all(int fd, char *to, size_t len)
{
        while (len > 0) {
                ssize_t n = recv(fd, to, len, 0);

                if (n <= 0)
                        return false;
                to += n;
                len -= (size_t)n;
        }
        return true;
}

static void greet(struct server *server, int fd)
{
        static const char welcome[] = "R\0\0\0\10\0\0\0\0"
                                      "K\0\0\0\14\0\0\0\1\0\0\0\2"
                                      "Z\0\0\0\5I";
        char head[8], rest[1024];
        uint32_t len, code;

        if (!read_all(fd, head, sizeof head))
                return;
        memcpy(&len, head, 4);
        memcpy(&code, head + 4, 4);
        len = ntohl(len);
        if (ntohl(code) == CANCEL_CODE)
                atomic_fetch_add(&server->cancels, 1);
        else if (len - 8 < sizeof rest && read_all(fd, rest, len - 8) &&
                 send(fd, welcome, sizeof welcome - 1, MSG_NOSIGNAL) < 0)
                return;
}

static void *server_body(void *arg)
{
        struct server *server = arg;

        while (server->count < CONNECTIONS) {
                int fd = accept(server->listener, NULL, NULL);

                if (fd < 0)
                        break;
                server->fds[server->count++] = fd;
                if (server->greets)
                        greet(server, fd);
        }
        return NULL;
}

static void server_start(struct server *server, bool greets)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;

        *server = (struct server){.greets = greets, .listener = socket(AF_INET, SOCK_STREAM, 0)};
        assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(server->listener, CONNECTIONS), 0);
        assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
        server->port = ntohs(address.sin_port);
        assert_int_equal(pthread_create(&server->thread, NULL, server_body, server), 0);
}

static void server_stop(struct server *server)
{
        shutdown(server->listener, SHUT_RDWR);
        pthread_join(server->thread, NULL);
        for (int i = 0; i < server->count; i++)
                close(server->fds[i]);
        close(server->listener);
}

static sp_pool *pool_at(const struct server *server, const char *const settings[])
{
        sp_config *config = sp_config_new();
        char url[128], name[64];
        sp_pool *pool;

        snprintf(url, sizeof url, "postgresql://app:hunter2@127.0.0.1:%d/db?sslmode=disable&gssencmode=disable",
                 server->port);
        assert_int_equal(sp_config_set(config, "pool.url", url, NULL), SP_OK);
        for (size_t i = 0; settings[i]; i++) {
                const char *equals = strchr(settings[i], '=');

                snprintf(name, sizeof name, "%.*s", (int)(equals - settings[i]), settings[i]);
                assert_int_equal(sp_config_set(config, name, equals + 1, NULL), SP_OK);
        }
        assert_int_equal(sp_pool_new(config, NULL, &pool, NULL), SP_OK);
        sp_config_free(config);
        return pool;
}

static sp_stmt *stmt_of(const char *text)
{
        sp_stmt *stmt;

        assert_int_equal(sp_stmt_new(NULL, text, strlen(text), 0, &stmt, NULL), SP_OK);
        return stmt;
}

static sp_ctx *ctx_of(const char *timeout)
{
        sp_ctx *ctx = sp_ctx_new(NULL);

        assert_int_equal(sp_ctx_set(ctx, "timeout", timeout, NULL), SP_OK);
        return ctx;
}

static void says(const sp_error *error, const char *const texts[])
{
        assert_non_null(error);
        for (size_t i = 0; texts[i]; i++) {
                if (!strstr(sp_error_message(error), texts[i]))
                        fail_msg("\"%s\" does not say \"%s\"", sp_error_message(error), texts[i]);
        }
        assert_null(strstr(sp_error_message(error), "hunter2"));
}

/* What a statement and the wish for a session end with, blocking and through a queue. */
static void ends_with(sp_pool *pool, sp_ctx *ctx, sp_status status, const char *code, const char *const texts[])
{
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_session *session;
        sp_completion *done;
        sp_result *result;
        sp_error *error;
        sp_queue *queue;

        /* First those of the queue: they wait beside the blocking ones. */
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, ctx, stmt, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_pool_acquire_async(pool, ctx, queue, 2), SP_OK);
        assert_int_equal(sp_pool_query(pool, ctx, stmt, NULL, &result, &error), status);
        says(error, texts);
        assert_string_equal(sp_error_code(error), code);
        sp_error_free(error);
        assert_int_equal(sp_pool_acquire(pool, ctx, &session, &error), status);
        says(error, texts);
        assert_string_equal(sp_error_code(error), code);
        sp_error_free(error);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
                assert_int_equal(sp_completion_status(done), status);
                says(sp_completion_error(done), texts);
                assert_string_equal(sp_error_code(sp_completion_error(done)), code);
                sp_completion_free(done);
        }
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
}

/* Of two limits the one that ends the call is told, so a limit ten times as long shows: the other one ends it. */
static void test_connecting_ends_with_the_connect_timeout(void **state)
{
        struct server server;
        char place[32];
        sp_pool *pool;

        server_start(&server, false);
        snprintf(place, sizeof place, "127.0.0.1:%d", server.port);
        pool = pool_at(&server, (const char *[]){"pool.connect_timeout=900ms", "pool.acquire_timeout=8s",
                                                 "pool.query_timeout=8s", NULL});
        ends_with(pool, NULL, SP_UNAVAILABLE, "",
                  (const char *[]){place, " did not answer the connection attempt within 900 ms (pool.connect_timeout)",
                                   NULL});
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_who_waits_for_a_mute_server_is_told_its_place(void **state)
{
        struct server server;
        sp_value *value;
        char place[32];
        sp_pool *pool;
        size_t len;

        server_start(&server, false);
        snprintf(place, sizeof place, "127.0.0.1:%d", server.port);
        pool = pool_at(&server, (const char *[]){"pool.connect_timeout=60s", "pool.acquire_timeout=200ms", NULL});
        ends_with(pool, NULL, SP_TIMEOUT, "",
                  (const char *[]){place, "has not answered the connection attempt", "pool.connect_timeout is 60000 ms",
                                   "within 200 ms (pool.acquire_timeout)", NULL});
        assert_int_equal(sp_pool_health(pool, NULL, &value), SP_OK);
        assert_non_null(strstr(sp_value_data(value, &len), "\"unhealthy\""));
        assert_non_null(strstr(sp_value_data(value, &len), place));
        sp_value_unref(value);
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_whoever_comes_after_a_failed_attempt_is_told_of_it(void **state)
{
        struct server server;
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_error *error = NULL;
        sp_result *result;
        char place[32];
        sp_pool *pool;
        sp_ctx *ctx;

        server_start(&server, false);
        snprintf(place, sizeof place, "127.0.0.1:%d", server.port);
        pool = pool_at(&server, (const char *[]){"pool.connect_timeout=2s", "pool.acquire_timeout=60s",
                                                 "pool.query_timeout=60s", NULL});
        assert_int_equal(sp_pool_query(pool, NULL, stmt, NULL, &result, NULL), SP_UNAVAILABLE);
        ctx = ctx_of("500ms");
        assert_int_equal(sp_pool_query(pool, ctx, stmt, NULL, &result, &error), SP_TIMEOUT);
        says(error,
             (const char *[]){place, "within 2000 ms (pool.connect_timeout)", " ms (the caller's deadline)", NULL});
        sp_error_free(error);
        sp_ctx_unref(ctx);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_waiting_ends_with_the_acquire_timeout(void **state)
{
        struct server server;
        sp_ctx *ctx = ctx_of("8s");
        sp_session *session;
        sp_pool *pool;

        server_start(&server, true);
        pool = pool_at(&server,
                       (const char *[]){"pool.max=1", "pool.acquire_timeout=900ms", "pool.query_timeout=5m", NULL});
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        ends_with(pool, ctx, SP_TIMEOUT, "acquire",
                  (const char *[]){"within 900 ms (pool.acquire_timeout)", "pool.max is 1", NULL});
        sp_session_release(session);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_waiting_ends_with_the_callers_deadline(void **state)
{
        struct server server;
        sp_session *session;
        sp_pool *pool;
        sp_ctx *ctx;

        server_start(&server, true);
        pool = pool_at(&server,
                       (const char *[]){"pool.max=1", "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL});
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        ctx = ctx_of("1s");
        ends_with(pool, ctx, SP_TIMEOUT, "acquire",
                  (const char *[]){" ms (the caller's deadline)", "pool.max is 1", NULL});
        sp_session_release(session);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
        server_stop(&server);
}

/* One through a queue and one that blocks, both sent. */
static void statements_say(const char *const settings[], const char *deadline, const char *text)
{
        struct server server;
        sp_stmt *stmt = stmt_of("SELECT 1");
        sp_error *error = NULL;
        sp_completion *done;
        sp_result *result;
        sp_queue *queue;
        sp_pool *pool;
        sp_ctx *ctx;

        server_start(&server, true);
        pool = pool_at(&server, settings);
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        ctx = deadline ? ctx_of(deadline) : NULL;
        assert_int_equal(sp_pool_query_async(pool, ctx, stmt, NULL, queue, 1), SP_OK);
        assert_int_equal(sp_pool_query(pool, ctx, stmt, NULL, &result, &error), SP_TIMEOUT);
        says(error, (const char *[]){"was not answered within ", text, NULL});
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_TIMEOUT);
        says(sp_completion_error(done), (const char *[]){text, NULL});
        sp_completion_free(done);
        sp_error_free(error);
        sp_queue_free(queue);
        sp_stmt_unref(stmt);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_a_statement_ends_with_the_query_timeout(void **state)
{
        statements_say((const char *[]){"pool.query_timeout=900ms", "pool.acquire_timeout=8s", NULL}, NULL,
                       "900 ms (pool.query_timeout)");
}

/* Also where the pool's own is shorter: who sets a deadline means it. */
static void test_a_statement_ends_with_its_callers_deadline_instead(void **state)
{
        statements_say((const char *[]){"pool.query_timeout=100ms", "pool.acquire_timeout=8s", NULL}, "900ms",
                       " ms (the caller's deadline)");
}

static void test_health_of_a_mute_server_is_told_within_its_time(void **state)
{
        struct server server;
        sp_value *value;
        sp_pool *pool;
        size_t len;

        server_start(&server, true);
        pool = pool_at(&server, (const char *[]){"pool.max=2", NULL});
        assert_int_equal(sp_pool_health(pool, NULL, &value), SP_OK);
        assert_non_null(strstr(sp_value_data(value, &len), "\"unhealthy\""));
        sp_value_unref(value);
        sp_pool_free(pool);
        server_stop(&server);
}

static void test_a_cancel_request_that_nobody_hears_does_not_keep_the_pool(void **state)
{
        struct server server;
        sp_stmt *stmt = stmt_of("SELECT 1");
        int64_t began;
        sp_pool *pool;

        server_start(&server, true);
        pool = pool_at(&server, (const char *[]){"pool.max=4", "pool.query_timeout=100ms", NULL});
        for (int i = 0; i < 3; i++) {
                sp_result *result;

                assert_int_equal(sp_pool_query(pool, NULL, stmt, NULL, &result, NULL), SP_TIMEOUT);
        }
        while (atomic_load(&server.cancels) == 0)
                sched_yield();
        began = sp__now();
        sp_pool_free(pool);
        /* For ever, were it not bounded. */
        assert_true(sp__now() - began < 30 * SP__SECOND);
        sp_stmt_unref(stmt);
        server_stop(&server);
}

static void test_a_server_that_stops_reading_costs_only_time(void **state)
{
        enum { SIZE = 16 << 20 };
        struct server server;
        sp_stmt *stmt = stmt_of("SELECT $1::text");
        sp_params *params = sp_params_new();
        char *text = calloc(1, SIZE);
        sp_completion *done;
        sp_result *result;
        sp_queue *queue;
        sp_pool *pool;

        memset(text, 'x', SIZE - 1);
        sp_params_add_text(params, text, SIZE - 1);
        server_start(&server, true);
        pool = pool_at(&server, (const char *[]){"pool.max=2", "pool.query_timeout=300ms", NULL});
        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        assert_int_equal(sp_pool_query_async(pool, NULL, stmt, params, queue, 1), SP_OK);
        assert_int_equal(sp_pool_query(pool, NULL, stmt, params, &result, NULL), SP_TIMEOUT);
        assert_int_equal(sp_queue_wait(queue, &done, 1, -1), 1);
        assert_int_equal(sp_completion_status(done), SP_TIMEOUT);
        sp_completion_free(done);
        sp_queue_free(queue);
        sp_pool_free(pool);
        server_stop(&server);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_connecting_ends_with_the_connect_timeout),
            cmocka_unit_test(test_who_waits_for_a_mute_server_is_told_its_place),
            cmocka_unit_test(test_whoever_comes_after_a_failed_attempt_is_told_of_it),
            cmocka_unit_test(test_waiting_ends_with_the_acquire_timeout),
            cmocka_unit_test(test_waiting_ends_with_the_callers_deadline),
            cmocka_unit_test(test_a_statement_ends_with_the_query_timeout),
            cmocka_unit_test(test_a_statement_ends_with_its_callers_deadline_instead),
            cmocka_unit_test(test_health_of_a_mute_server_is_told_within_its_time),
            cmocka_unit_test(test_a_cancel_request_that_nobody_hears_does_not_keep_the_pool),
            cmocka_unit_test(test_a_server_that_stops_reading_costs_only_time),
        };

        return cmocka_run_group_tests_name("mute server", tests, NULL, NULL);
}
