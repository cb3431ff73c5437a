/* SPDX-License-Identifier: MIT */
#include "../support/child.h"
#include "redis_proxy.h"

#include "base/clock.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 64, CHUNK = 65536 };

struct pair {
        int near; /* 0: free */
        int far;
        bool stream;
        int64_t held_until;
};

struct proxy {
        int listener;
        int redis_port;
        struct proxy_faults *faults;
        struct sp__random random;
        struct pair pairs[PAIRS];
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
        *pair = (struct pair){.near = 0};
}

static void welcome(struct proxy *proxy)
{
        int near = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC),
            far = near < 0 ? -1 : socket_on(proxy->redis_port, false);

        for (int i = 0; i < PAIRS && far >= 0; i++) {
                if (proxy->pairs[i].near)
                        continue;
                proxy->pairs[i] = (struct pair){.near = near, .far = far};
                return;
        }
        if (near >= 0)
                close(near);
        if (far >= 0)
                close(far);
}

/* Whole messages alone: a chunk that begins and ends with one. */
static bool swallowed(struct proxy *proxy, const char *bytes, ssize_t len)
{
        static const char head[] = "*3\r\n$7\r\nmessage\r\n";
        int percent = atomic_load(&proxy->faults->swallow);

        return len > (ssize_t)sizeof head && memcmp(bytes, head, sizeof head - 1) == 0 && bytes[len - 1] == '\n' &&
               (int)(sp__random_next(&proxy->random) % 100) < percent;
}

static bool pass_on(int to, const char *bytes, ssize_t len)
{
        while (len > 0) {
                ssize_t n = send(to, bytes, (size_t)len, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                bytes += n;
                len -= n;
        }
        return true;
}

/* false: it is over. */
static bool forward(struct proxy *proxy, struct pair *pair, bool from_near)
{
        static char bytes[CHUNK];
        ssize_t len = recv(from_near ? pair->near : pair->far, bytes, sizeof bytes, 0);

        if (len <= 0)
                return false;
        if (from_near && memmem(bytes, (size_t)len, "SUBSCRIBE", 9))
                pair->stream = true;
        if (!from_near && pair->stream) {
                if (sp__random_unit(&proxy->random) < .3)
                        pair->held_until = sp__now() + (int64_t)(sp__random_unit(&proxy->random) * 30) * SP__MS;
                if (swallowed(proxy, bytes, len))
                        return true;
        }
        return pass_on(from_near ? pair->far : pair->near, bytes, len);
}

static bool is_held(struct proxy *proxy, const struct pair *pair, int64_t now)
{
        return pair->stream && (now < pair->held_until || now < atomic_load(&proxy->faults->stall_until));
}

static void turn(struct proxy *proxy)
{
        struct pollfd fds[1 + 2 * PAIRS];
        int64_t now = sp__now();

        fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (int i = 0; i < PAIRS; i++) {
                const struct pair *pair = &proxy->pairs[i];

                fds[1 + 2 * i] = (struct pollfd){.fd = pair->near ? pair->near : -1, .events = POLLIN};
                fds[2 + 2 * i] =
                    (struct pollfd){.fd = pair->near && !is_held(proxy, pair, now) ? pair->far : -1, .events = POLLIN};
        }
        if (poll(fds, 1 + 2 * PAIRS, 2) <= 0)
                return;
        for (int i = 0; i < PAIRS; i++) {
                struct pair *pair = &proxy->pairs[i];
                bool open = true;

                if (fds[1 + 2 * i].revents)
                        open = forward(proxy, pair, true);
                if (open && fds[2 + 2 * i].revents)
                        open = forward(proxy, pair, false);
                if (!open)
                        hang_up(pair);
        }
        if (fds[0].revents)
                welcome(proxy);
}

pid_t start_proxy(int redis_port, struct proxy_faults *faults, uint64_t seed, int *port)
{
        struct proxy proxy = {.redis_port = redis_port, .faults = faults, .random.state = seed};
        struct sockaddr_in address;
        socklen_t len = sizeof address;
        pid_t pid, parent = getpid();

        proxy.listener = socket_on(0, true);
        assert_true(proxy.listener >= 0);
        assert_int_equal(getsockname(proxy.listener, (struct sockaddr *)&address, &len), 0);
        *port = ntohs(address.sin_port);
        pid = child_fork();
        if (pid != 0) {
                close(proxy.listener);
                return pid;
        }
        while (getppid() == parent)
                turn(&proxy);
        _exit(0);
}
