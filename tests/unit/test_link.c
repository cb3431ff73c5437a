/* SPDX-License-Identifier: MIT */
/* Whatever answers at the other end, each trip is answered once and in time, and the link finds back. */
#include "base/random.h"
#include "base/thread.h"
#include "core/error.h"
#include "guard/breaker.h"
#include "redis/link.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
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

enum { TRIPS = 8 };

/* A server that says what it is told to, or answers each PING. */
struct server {
        int listener;
        int port;
        pthread_t thread;
        atomic_bool stop;
        atomic_bool honest;
        sp__mutex lock;
        char text[512];
        size_t len;
};

static void answer(struct server *server, int fd, const char *bytes, ssize_t len)
{
        if (!atomic_load(&server->honest)) {
                sp__lock(&server->lock);
                if (send(fd, server->text, server->len, MSG_NOSIGNAL) < 0) {
                        /* It hung up already. */
                }
                sp__unlock(&server->lock);
                return;
        }
        for (ssize_t i = 0; i + 4 <= len; i++) {
                if (memcmp(bytes + i, "PING", 4) == 0 && send(fd, "+PONG\r\n", 7, MSG_NOSIGNAL) < 0)
                        return;
        }
}

static void serve(struct server *server, int fd)
{
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        char bytes[4096];
        ssize_t len = 1;

        while (len > 0 && !atomic_load(&server->stop)) {
                if (poll(&poller, 1, 20) <= 0)
                        continue;
                len = recv(fd, bytes, sizeof bytes, 0);
                if (len > 0)
                        answer(server, fd, bytes, len);
        }
        close(fd);
}

static void *server_body(void *arg)
{
        struct server *server = arg;
        struct pollfd poller = {.fd = server->listener, .events = POLLIN};

        while (!atomic_load(&server->stop)) {
                int fd = poll(&poller, 1, 20) > 0 ? accept(server->listener, NULL, NULL) : -1;

                if (fd >= 0)
                        serve(server, fd);
        }
        return NULL;
}

static void start_server(struct server *server)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;

        memset(server, 0, sizeof *server);
        sp__mutex_init(&server->lock);
        server->listener = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(server->listener, 16), 0);
        assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
        server->port = ntohs(address.sin_port);
        pthread_create(&server->thread, NULL, server_body, server);
}

static void stop_server(struct server *server)
{
        atomic_store(&server->stop, true);
        pthread_join(server->thread, NULL);
        close(server->listener);
        sp__mutex_destroy(&server->lock);
}

static void say(struct server *server, const void *bytes, size_t len)
{
        sp__lock(&server->lock);
        memcpy(server->text, bytes, len);
        server->len = len;
        sp__unlock(&server->lock);
}

/* Counts what came back. */
struct counter {
        sp__mutex lock;
        sp__cond cond;
        int good, bad;
        sp_status last;
};

static void counted(sp__op *op)
{
        struct counter *counter = op->owner;

        sp__lock(&counter->lock);
        counter->last = op->status;
        if (op->status == SP_OK)
                counter->good++;
        else
                counter->bad++;
        pthread_cond_signal(&counter->cond);
        sp__unlock(&counter->lock);
}

static void ping(struct sp__link *link, struct counter *counter)
{
        struct sp__command *command = sp__command_new();

        sp__command_begin(command, 1);
        sp__command_text(command, "PING");
        sp__link_run(link, command, NULL, counted, counter);
}

static void await(struct counter *counter, int count)
{
        sp__lock(&counter->lock);
        while (counter->good + counter->bad < count)
                sp__cond_wait(&counter->cond, &counter->lock, SP__FOREVER);
        sp__unlock(&counter->lock);
}

struct rig {
        struct server server;
        struct sp__engine *engine;
        struct sp__link *link;
        struct counter counter;
};

static void set_up_at(struct rig *rig, const char *host, sp_breaker *breaker)
{
        struct sp__link_options options = {
            .connect_timeout = 2 * SP__SECOND, .timeout = 60 * SP__MS, .breaker = breaker};
        struct sp__address address;
        char url[64];

        start_server(&rig->server);
        snprintf(url, sizeof url, "redis://%s:%d", host, rig->server.port);
        assert_int_equal(sp__address_parse(url, "redis.url", &address, NULL), SP_OK);
        assert_int_equal(sp__engine_new(&rig->engine, NULL), SP_OK);
        rig->link = sp__link_new(rig->engine, &address, &options);
        assert_non_null(rig->link);
        sp__address_free(&address);
        rig->counter = (struct counter){.good = 0};
        sp__mutex_init(&rig->counter.lock);
        sp__cond_init(&rig->counter.cond);
}

static void set_up(struct rig *rig)
{
        set_up_at(rig, "127.0.0.1", NULL);
}

static void tear_down(struct rig *rig)
{
        sp__link_close(rig->link);
        sp__link_free(rig->link);
        sp__engine_free(rig->engine);
        stop_server(&rig->server);
        sp__cond_destroy(&rig->counter.cond);
        sp__mutex_destroy(&rig->counter.lock);
}

/* Until it is itself again. */
static void find_back(struct rig *rig)
{
        int asked = rig->counter.good + rig->counter.bad;

        atomic_store(&rig->server.honest, true);
        do {
                ping(rig->link, &rig->counter);
                await(&rig->counter, ++asked);
        } while (rig->counter.last != SP_OK);
        atomic_store(&rig->server.honest, false);
}

static void suffer(struct rig *rig, const void *bytes, size_t len)
{
        int before = rig->counter.good + rig->counter.bad;

        say(&rig->server, bytes, len);
        for (int i = 0; i < TRIPS; i++)
                ping(rig->link, &rig->counter);
        await(&rig->counter, before + TRIPS);
        find_back(rig);
        assert_true(rig->counter.good + rig->counter.bad >= before + TRIPS);
}

static void test_answers_that_make_no_sense(void **state)
{
        static const char *const texts[] = {"",
                                            "hello\r\n",
                                            "$-7\r\n",
                                            "$5\r\nab",
                                            "*1000000000\r\n",
                                            "*-5\r\n",
                                            "$536870912\r\nx",
                                            ":99999999999999999999999\r\n",
                                            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
                                            "+a\r\n+b\r\n+c\r\n+d\r\n+e\r\n+f\r\n+g\r\n+h\r\n+i\r\n+j\r\n+k\r\n+l\r\n",
                                            "-ERR\r\n-\r\n-NOSCRIPT\r\n",
                                            "+\r\n*0\r\n$0\r\n\r\n$-1\r\n*-1\r\n"};
        struct rig rig;

        set_up(&rig);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                suffer(&rig, texts[i], strlen(texts[i]));
        tear_down(&rig);
}

static void test_answers_of_random_bytes(void **state)
{
        struct sp__random random = {sp__random_seed()};
        char bytes[sizeof((struct server *)0)->text];
        struct rig rig;

        print_message("# seed %llu\n", (unsigned long long)random.state);
        set_up(&rig);
        for (int i = 0; i < 20; i++) {
                size_t len = sp__random_next(&random) % sizeof bytes;

                for (size_t k = 0; k < len; k++)
                        bytes[k] = "+-:$*\r\n0123456789ab\0"[sp__random_next(&random) % 20];
                suffer(&rig, bytes, len);
        }
        tear_down(&rig);
}

static void test_closing_answers_what_is_under_way(void **state)
{
        struct rig rig;

        set_up(&rig);
        say(&rig.server, "", 0);
        for (int i = 0; i < TRIPS; i++)
                ping(rig.link, &rig.counter);
        sp__link_close(rig.link);
        await(&rig.counter, TRIPS);
        assert_int_equal(rig.counter.last, SP_CLOSED);
        ping(rig.link, &rig.counter);
        await(&rig.counter, TRIPS + 1);
        assert_int_equal(rig.counter.last, SP_CLOSED);
        tear_down(&rig);
}

/* What the server says of itself counts against it, what it says of the command does not. */
static void test_what_an_error_says_of_the_server_reaches_the_breaker(void **state)
{
        static const struct {
                const char *text;
                int outcome;
        } cases[] = {{"+OK\r\n", SP_OUTCOME_SUCCESS},
                     {"-WRONGTYPE Operation\r\n", SP_OUTCOME_SUCCESS},
                     {"-ERR unknown command\r\n", SP_OUTCOME_SUCCESS},
                     {"-NOSCRIPT No matching\r\n", SP_OUTCOME_SUCCESS},
                     {"-OOM command not allowed\r\n", SP_OUTCOME_FAILURE},
                     {"-READONLY You can't write\r\n", SP_OUTCOME_FAILURE},
                     {"-LOADING Redis is loading\r\n", SP_OUTCOME_FAILURE},
                     {"-MISCONF Errors writing\r\n", SP_OUTCOME_FAILURE},
                     {"-MASTERDOWN Link\r\n", SP_OUTCOME_FAILURE},
                     {"-CLUSTERDOWN Hash slot\r\n", SP_OUTCOME_FAILURE},
                     {"-BUSY Redis is busy\r\n", SP_OUTCOME_FAILURE},
                     {"-NOREPLICAS Not enough\r\n", SP_OUTCOME_FAILURE},
                     {"-NOAUTH Authentication required.\r\n", SP_OUTCOME_FAILURE},
                     {"hello\r\n", SP_OUTCOME_FAILURE},
                     {"", SP_OUTCOME_FAILURE}};
        sp_breaker *breaker = NULL;
        sp_config *config = sp_config_new();
        struct rig rig;

        assert_int_equal(sp_config_set(config, "breaker.failures", "0", NULL), SP_OK);
        assert_int_equal(sp__breaker_new(config, "redis", "redis", NULL, &breaker, NULL), SP_OK);
        sp_config_free(config);
        set_up_at(&rig, "127.0.0.1", sp_breaker_ref(breaker));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                int64_t before = sp_breaker_calls(breaker, cases[i].outcome);
                int asked = rig.counter.good + rig.counter.bad;

                say(&rig.server, cases[i].text, strlen(cases[i].text));
                ping(rig.link, &rig.counter);
                await(&rig.counter, asked + 1);
                if (sp_breaker_calls(breaker, cases[i].outcome) != before + 1)
                        fail_msg("%s", cases[i].text);
                find_back(&rig);
        }
        tear_down(&rig);
        sp_breaker_unref(breaker);
}

/* A name server that knows two numbers, of which the first leads nowhere; or that takes its time. */
static atomic_int name_delay_ms;
static atomic_int name_asked, name_at_once, name_most_at_once;

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
        struct addrinfo *first = NULL, *second = NULL;
        int delay = atomic_load(&name_delay_ms), now;

        if (strcmp(host, "two.test") != 0)
                return __real_getaddrinfo(host, service, hints, out);
        now = atomic_fetch_add(&name_at_once, 1) + 1;
        if (now > atomic_load(&name_most_at_once))
                atomic_store(&name_most_at_once, now);
        poll(NULL, 0, delay);
        atomic_fetch_add(&name_asked, 1);
        atomic_fetch_sub(&name_at_once, 1);
        if (__real_getaddrinfo("127.255.255.254", service, hints, &first) != 0 ||
            __real_getaddrinfo("127.0.0.1", service, hints, &second) != 0)
                return EAI_FAIL;
        first->ai_next = second;
        *out = first;
        return 0;
}

static void test_a_host_of_which_one_number_answers_is_found(void **state)
{
        struct rig rig;

        atomic_store(&name_delay_ms, 0);
        set_up_at(&rig, "two.test", NULL);
        atomic_store(&rig.server.honest, true);
        ping(rig.link, &rig.counter);
        await(&rig.counter, 1);
        assert_int_equal(rig.counter.last, SP_OK);
        tear_down(&rig);
}

static void test_a_slow_name_server_is_asked_once_at_a_time(void **state)
{
        struct sp__link_options options = {.connect_timeout = 10 * SP__MS, .timeout = 10 * SP__MS};
        struct sp__address address;
        struct rig rig;
        int asked = 0;

        atomic_store(&name_delay_ms, 300);
        atomic_store(&name_most_at_once, 0);
        set_up_at(&rig, "two.test", NULL);
        sp__link_close(rig.link);
        sp__link_free(rig.link);
        assert_int_equal(sp__address_parse("redis://two.test:1", "redis.url", &address, NULL), SP_OK);
        rig.link = sp__link_new(rig.engine, &address, &options);
        sp__address_free(&address);
        /* Attempts are given up and begun anew while the first question is still out. */
        for (int64_t until = sp__now() + 700 * SP__MS; sp__now() < until; poll(NULL, 0, 5)) {
                ping(rig.link, &rig.counter);
                await(&rig.counter, ++asked);
        }
        assert_int_equal(atomic_load(&name_most_at_once), 1);
        tear_down(&rig);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_answers_that_make_no_sense),
            cmocka_unit_test(test_answers_of_random_bytes),
            cmocka_unit_test(test_closing_answers_what_is_under_way),
            cmocka_unit_test(test_what_an_error_says_of_the_server_reaches_the_breaker),
            cmocka_unit_test(test_a_host_of_which_one_number_answers_is_found),
            cmocka_unit_test(test_a_slow_name_server_is_asked_once_at_a_time),
        };

        return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
