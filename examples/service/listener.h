/* SPDX-License-Identifier: MIT */
/**
 * A listening socket of 127.0.0.1 and the thread that accepts at it.
 *
 * microhttpd is given connections, not the socket: its MHD_quiesce_daemon() and its event loops both take the socket out of
 * an epoll set, unguarded, and who comes second aborts the process.
 */
#ifndef SERVICE_LISTENER_H
#define SERVICE_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener;

/* Both are called by the listener's thread. */
struct listener_options {
        int port;                /* 0: a free one */
        bool (*room)(void *arg); /* for one more; until there is, who comes waits in the backlog */
        void (*take)(void *arg, int fd, const struct sockaddr *address,
                     socklen_t len); /* the descriptor is its own now */
        void *arg;
};

/* NULL and errno when the port cannot be had. */
struct listener *listener_start(const struct listener_options *options);
int listener_port(const struct listener *listener);
/*
 * Hands on what stands in the backlog, room or not, and ends: from here on who connects is refused, and the port is free for the
 * next one.
 */
void listener_stop(struct listener *listener);

#endif
