/* SPDX-License-Identifier: MIT */
/* Where a pool connects to: names that are slow to resolve, several servers in one URL, of which some are away. */
#include "way.h"

#include "base/thread.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name server: "slow.test" is not answered before the gate is opened. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool opened;
static int asked;

int __real_getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int __wrap_getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
        const char *host = node;

        if (node && strcmp(node, "unknown.test") == 0)
                return EAI_NONAME;
        if (node && strcmp(node, "slow.test") == 0) {
                host = "127.0.0.1";
                pthread_mutex_lock(&gate);
                asked++;
                pthread_cond_broadcast(&moved);
                while (!opened)
                        pthread_cond_wait(&moved, &gate);
                pthread_mutex_unlock(&gate);
        }
        return __real_getaddrinfo(host, service, hints, found);
}

static void set_gate(bool open)
{
        pthread_mutex_lock(&gate);
        opened = open;
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&gate);
}

static void await_asked(void)
{
        pthread_mutex_lock(&gate);
        while (asked == 0)
                pthread_cond_wait(&moved, &gate);
        asked = 0;
        pthread_mutex_unlock(&gate);
}

static int server_port(void)
{
        const char *url = getenv("DATABASE_URL");

        return atoi(strrchr(url, ':') + 1);
}

/* "pool.url=…" on these hosts, in the database of the tests. */
static const char *url_of(char *buf, size_t cap, const char *format, int port)
{
        char hosts[200];

        snprintf(hosts, sizeof hosts, format, port);
        snprintf(buf, cap, "pool.url=postgresql://test:test@%s", hosts);
        return buf;
}

/* A port that nobody listens on (and that nobody else is given meanwhile), or one that takes connections and says nothing. */
static int make_port(int *port, bool mute)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        if (mute)
                assert_int_equal(listen(fd, 64), 0);
        *port = ntohs(address.sin_port);
        return fd;
}

static void test_a_name_is_resolved(void **state)
{
        char url[300];
        sp_pool *pool = pool_with((const char *[]){url_of(url, sizeof url, "localhost:%d/test", server_port()), NULL});

        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        sp_pool_free(pool);
}

static void test_an_unknown_name_is_told(void **state)
{
        char url[300];
        sp_pool *pool = pool_with((const char *[]){url_of(url, sizeof url, "unknown.test:%d/test", 5), NULL});

        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE), "unknown.test:5", "test:test");
        sp_pool_free(pool);
}

/* A statement that its caller gave up is ended at the server. */
static void cancels(const struct way *way, sp_pool *pool)
{
        static const char running[] = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(301)' AND "
                                      "state = 'active'";
        sp_ctx *ctx = ctx_of("50ms");

        sp_error_free(fails(way, pool, ctx, "SELECT pg_sleep(301)", SP_TIMEOUT));
        while (number(way, pool, running, 0) > 0)
                poll(NULL, 0, 1);
        sp_ctx_unref(ctx);
}

static void test_a_slow_name_server_holds_up_nobody_else(void **state)
{
        char url[300], named[300];
        sp_config *config = config_with(NULL);
        sp_error *error = NULL;
        sp_client *client;
        sp_pool *slow;

        url_of(url, sizeof url, "slow.test:%d/test", server_port());
        snprintf(named, sizeof named, "%s", url + strlen("pool.url="));
        assert_int_equal(sp_config_set(config, "pool.slow.url", named, NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "pool.slow.connect_timeout", "1s", NULL), SP_OK);
        url_of(url, sizeof url, "localhost:%d/test", server_port());
        assert_int_equal(sp_config_set(config, "pool.near.url", url + strlen("pool.url="), NULL), SP_OK);
        assert_int_equal(sp_config_set(config, "pool.statement_timeout", "0", NULL), SP_OK);
        assert_int_equal(sp_client_new(config, &client, &error), SP_OK);
        slow = sp_client_pool(client, "slow");
        set_gate(false);
        says(fails(way_of(state), slow, NULL, "SELECT 1", SP_UNAVAILABLE),
             "its address was not found out within 1000 ms", NULL);
        await_asked();
        /* The engine that all share goes on, and so do its look-ups. */
        assert_int_equal(number(way_of(state), sp_client_pool(client, "near"), "SELECT 1", 0), 1);
        for (int i = 0; i < 10; i++)
                assert_int_equal(number(way_of(state), sp_client_pool(client, NULL), "SELECT 1", 0), 1);
        cancels(way_of(state), sp_client_pool(client, NULL));
        set_gate(true);
        while (true) {
                sp_stmt *stmt = stmt_of("SELECT 1");
                sp_result *result = NULL;
                sp_status status = way_of(state)->query(slow, NULL, stmt, NULL, &result, NULL);

                sp_stmt_unref(stmt);
                sp_result_free(result);
                if (status == SP_OK)
                        break;
                assert_int_equal(status, SP_UNAVAILABLE);
        }
        sp_client_free(client);
        sp_config_free(config);
}

static void test_the_next_server_is_tried(void **state)
{
        char format[100], url[300];
        int away, fd = make_port(&away, false);
        sp_pool *pool;

        snprintf(format, sizeof format, "127.0.0.1:%d,unknown.test:1,127.0.0.1:%%d/test", away);
        pool = pool_with((const char *[]){url_of(url, sizeof url, format, server_port()), NULL});
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        sp_pool_free(pool);
        close(fd);
}

static void test_a_server_that_says_nothing_has_its_part_of_the_time(void **state)
{
        char format[100], url[300];
        int mute, fd = make_port(&mute, true);
        sp_pool *pool;

        snprintf(format, sizeof format, "127.0.0.1:%d,127.0.0.1:%%d/test", mute);
        pool = pool_with((const char *[]){url_of(url, sizeof url, format, server_port()), "pool.acquire_timeout=20s",
                                          "pool.connect_timeout=3s", "pool.max=2", "pool.query_timeout=20s", NULL});
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        sp_pool_free(pool);
        close(fd);
}

static void test_all_that_is_wrong_with_several_servers_is_told(void **state)
{
        char format[100], url[300], place[50];
        int mute, away, fd = make_port(&mute, true), other = make_port(&away, false);
        sp_error *error;
        sp_pool *pool;

        snprintf(format, sizeof format, "127.0.0.1:%d,unknown.test:1,127.0.0.1:%%d/test", mute);
        pool = pool_with((const char *[]){url_of(url, sizeof url, format, away), "pool.connect_timeout=1s", NULL});
        error = fails(way_of(state), pool, NULL, "SELECT 1", SP_UNAVAILABLE);
        snprintf(place, sizeof place, "127.0.0.1:%d: no answer in time", mute);
        assert_non_null(strstr(sp_error_message(error), place));
        assert_non_null(strstr(sp_error_message(error), "unknown.test:1: "));
        says(error, "refused", "test:test");
        sp_pool_free(pool);
        close(fd);
        close(other);
}

static void test_a_refused_password_is_not_tried_elsewhere(void **state)
{
        char url[300];
        sp_pool *pool;

        snprintf(url, sizeof url, "pool.url=postgresql://test:hunter2@127.0.0.1:%d,unknown.test/test", server_port());
        pool = pool_with((const char *[]){url, NULL});
        says(fails(way_of(state), pool, NULL, "SELECT 1", SP_AUTH), "password authentication failed", "hunter2");
        sp_pool_free(pool);
}

/* libpq looks a password up by the name, not by the number that it was given. */
static void test_a_password_file_knows_the_server_by_its_name(void **state)
{
        char path[] = "/tmp/sp-passfile-XXXXXX", url[300];
        int fd = mkstemp(path);
        sp_pool *pool;

        assert_true(fd >= 0);
        dprintf(fd, "127.0.0.1:*:*:test:wrong\nlocalhost:*:*:test:test\n");
        close(fd);
        snprintf(url, sizeof url, "pool.url=postgresql://test@localhost:%d/test?passfile=%s", server_port(), path);
        pool = pool_with((const char *[]){url, NULL});
        assert_int_equal(number(way_of(state), pool, "SELECT 1", 0), 1);
        sp_pool_free(pool);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_name_is_resolved),
            BOTH_WAYS(test_an_unknown_name_is_told),
            BOTH_WAYS(test_a_slow_name_server_holds_up_nobody_else),
            BOTH_WAYS(test_the_next_server_is_tried),
            BOTH_WAYS(test_a_server_that_says_nothing_has_its_part_of_the_time),
            BOTH_WAYS(test_all_that_is_wrong_with_several_servers_is_told),
            BOTH_WAYS(test_a_refused_password_is_not_tried_elsewhere),
            BOTH_WAYS(test_a_password_file_knows_the_server_by_its_name),
        };

        set_gate(true);
        return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
