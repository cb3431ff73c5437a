/* SPDX-License-Identifier: MIT */
#include "pg_proxy.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
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

enum { PAIRS = 128, CHUNK = 65536 };

struct pair {
        int near, far; /* 0: free */
        bool forgotten;
        int64_t since; /* it carries from then on */
};

struct pg_proxy {
        int listener, server_port;
        pthread_t thread;
        char url[512];
        struct pair pairs[PAIRS];
        atomic_bool stop, forget, cut, refuse;
        atomic_int came, delay;
};

static int socket_on(int port, bool listens)
{
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int failed = listens ? bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, PAIRS)
                             : connect(fd, (struct sockaddr *)&address, sizeof address);

        if (!failed)
                return fd;
        close(fd);
        return -1;
}

static void hang_up(struct pair *pair)
{
        close(pair->near);
        close(pair->far);
        *pair = (struct pair){0};
}

static void welcome(struct pg_proxy *proxy)
{
        int near = accept(proxy->listener, NULL, NULL);
        int far = near >= 0 && !atomic_load(&proxy->refuse) ? socket_on(proxy->server_port, false) : -1;

        for (int i = 0; i < PAIRS && far >= 0; i++) {
                if (proxy->pairs[i].near)
                        continue;
                proxy->pairs[i] = (struct pair){near, far, false, sp__now() + atomic_load(&proxy->delay) * SP__MS};
                atomic_fetch_add(&proxy->came, 1);
                return;
        }
        atomic_fetch_add(&proxy->came, 1);
        if (near >= 0)
                close(near);
        if (far >= 0)
                close(far);
}

/* false: it is over. */
static bool forward(int from, int to)
{
        char bytes[CHUNK];
        ssize_t len = recv(from, bytes, sizeof bytes, 0), sent = 0;

        while (len > 0 && sent < len) {
                ssize_t n = send(to, bytes + sent, (size_t)(len - sent), MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                sent += n;
        }
        return len > 0;
}

static void harm(struct pg_proxy *proxy)
{
        bool forget = atomic_exchange(&proxy->forget, false), cut = atomic_exchange(&proxy->cut, false);

        for (int i = 0; i < PAIRS; i++) {
                if (!proxy->pairs[i].near)
                        continue;
                proxy->pairs[i].forgotten |= forget;
                if (cut)
                        hang_up(&proxy->pairs[i]);
        }
}

static void turn(struct pg_proxy *proxy)
{
        struct pollfd fds[1 + 2 * PAIRS];

        int64_t now = sp__now();

        harm(proxy);
        fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (int i = 0; i < PAIRS; i++) {
                const struct pair *pair = &proxy->pairs[i];
                bool carries = pair->near && !pair->forgotten && now >= pair->since;

                fds[1 + 2 * i] = (struct pollfd){.fd = carries ? pair->near : -1, .events = POLLIN};
                fds[2 + 2 * i] = (struct pollfd){.fd = carries ? pair->far : -1, .events = POLLIN};
        }
        if (poll(fds, 1 + 2 * PAIRS, 1) <= 0)
                return;
        for (int i = 0; i < PAIRS; i++) {
                struct pair *pair = &proxy->pairs[i];
                bool open = true;

                if (fds[1 + 2 * i].revents)
                        open = forward(pair->near, pair->far);
                if (open && fds[2 + 2 * i].revents)
                        open = forward(pair->far, pair->near);
                if (!open)
                        hang_up(pair);
        }
        if (fds[0].revents)
                welcome(proxy);
}

static void *body(void *arg)
{
        struct pg_proxy *proxy = arg;

        while (!atomic_load(&proxy->stop))
                turn(proxy);
        return NULL;
}

static int port_of(int listener)
{
        struct sockaddr_in address;
        socklen_t len = sizeof address;

        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        return ntohs(address.sin_port);
}

struct pg_proxy *pg_proxy_start(void)
{
        struct pg_proxy *proxy = calloc(1, sizeof *proxy);
        const char *url = getenv("DATABASE_URL"), *colon = strrchr(url, ':'), *at = strchr(url, '@');
        const char *host = at ? at + 1 : strstr(url, "//") + 2;

        assert_non_null(proxy);
        proxy->server_port = atoi(colon + 1);
        proxy->listener = socket_on(0, true);
        assert_true(proxy->listener >= 0 && proxy->server_port > 0);
        snprintf(proxy->url, sizeof proxy->url, "pool.url=%.*s127.0.0.1:%d%s", (int)(host - url), url,
                 port_of(proxy->listener), strchr(colon, '/'));
        assert_int_equal(pthread_create(&proxy->thread, NULL, body, proxy), 0);
        return proxy;
}

void pg_proxy_stop(struct pg_proxy *proxy)
{
        atomic_store(&proxy->stop, true);
        pthread_join(proxy->thread, NULL);
        for (int i = 0; i < PAIRS; i++) {
                if (proxy->pairs[i].near)
                        hang_up(&proxy->pairs[i]);
        }
        close(proxy->listener);
        free(proxy);
}

const char *pg_proxy_url(const struct pg_proxy *proxy)
{
        return proxy->url;
}

/* Once this returns it is done, or will be before another byte passes. */
static void order(atomic_bool *what)
{
        atomic_store(what, true);
        while (atomic_load(what))
                poll(NULL, 0, 1);
}

void pg_proxy_forget(struct pg_proxy *proxy)
{
        order(&proxy->forget);
}

void pg_proxy_cut(struct pg_proxy *proxy)
{
        order(&proxy->cut);
}

void pg_proxy_refuse(struct pg_proxy *proxy, bool refuse)
{
        atomic_store(&proxy->refuse, refuse);
}

void pg_proxy_delay(struct pg_proxy *proxy, int ms)
{
        atomic_store(&proxy->delay, ms);
}

int pg_proxy_came(const struct pg_proxy *proxy)
{
        return atomic_load(&proxy->came);
}
