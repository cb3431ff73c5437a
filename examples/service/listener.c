/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BACKLOG = 1024, PAUSE_MS = 10 };

struct listener {
        struct listener_options options;
        int socket, port;
        int stop; /* an eventfd */
        pthread_t thread;
};

static bool bind_and_listen(struct listener *listener)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)listener->options.port)};
        socklen_t len = sizeof address;
        int on = 1;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (setsockopt(listener->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
            bind(listener->socket, (struct sockaddr *)&address, len) != 0 || listen(listener->socket, BACKLOG) != 0 ||
            getsockname(listener->socket, (struct sockaddr *)&address, &len) != 0)
                return false;
        listener->port = ntohs(address.sin_port);
        return true;
}

/* False: it failed, errno says why. */
static bool accept_one(struct listener *listener)
{
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(listener->socket, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return false;
        listener->options.take(listener->options.arg, fd, (struct sockaddr *)&address, len);
        return true;
}

/*
 * False: the rest must wait a while (no room, no descriptor, no memory). One backlog at a time, or who connects faster than that
 * would keep it from being stopped.
 */
static bool accept_all(struct listener *listener, bool last)
{
        for (int i = 0; i <= BACKLOG; i++) {
                if (!last && !listener->options.room(listener->options.arg))
                        return false;
                if (accept_one(listener) || errno == EINTR || errno == ECONNABORTED)
                        continue;
                return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        return true;
}

static void *run(void *arg)
{
        struct listener *listener = arg;
        struct pollfd events[] = {{.fd = listener->stop, .events = POLLIN}, {.fd = listener->socket, .events = POLLIN}};
        bool ready = true;

        while (poll(events, ready ? 2 : 1, ready ? -1 : PAUSE_MS) < 0 || !events[0].revents)
                ready = accept_all(listener, false);
        accept_all(listener, true);
        return NULL;
}

/* errno stays what it was. */
static void listener_free(struct listener *listener)
{
        int error = errno;

        if (listener->socket >= 0)
                close(listener->socket);
        if (listener->stop >= 0)
                close(listener->stop);
        free(listener);
        errno = error;
}

struct listener *listener_start(const struct listener_options *options)
{
        struct listener *listener = calloc(1, sizeof *listener);

        if (!listener)
                return NULL;
        listener->options = *options;
        listener->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        listener->stop = eventfd(0, EFD_CLOEXEC);
        if (listener->socket < 0 || listener->stop < 0 || !bind_and_listen(listener) ||
            (errno = pthread_create(&listener->thread, NULL, run, listener)) != 0) {
                listener_free(listener);
                return NULL;
        }
        return listener;
}

int listener_port(const struct listener *listener)
{
        return listener->port;
}

void listener_stop(struct listener *listener)
{
        eventfd_write(listener->stop, 1);
        pthread_join(listener->thread, NULL);
        listener_free(listener);
}
