/* SPDX-License-Identifier: MIT */
#include "broken_pg.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, TURN_MS = 20 };

struct broken_pg {
        int listener;
        int fds[CONNECTIONS]; /* 0: none */
        bool greeted[CONNECTIONS];
        const void *script;
        size_t len;
        bool hangs_up;
        atomic_bool stop;
        pthread_t thread;
        char url[96];
};

static void hang_up(struct broken_pg *server, int i)
{
        close(server->fds[i]);
        server->fds[i] = 0;
}

/* The startup message comes in one piece here. */
static void hear(struct broken_pg *server, int i)
{
        static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
        char bytes[65536];
        ssize_t got = recv(server->fds[i], bytes, sizeof bytes, 0);
        bool first = !server->greeted[i];
        const void *answer = first ? welcome : server->script;
        size_t len = first ? sizeof welcome - 1 : server->len;

        server->greeted[i] = true;
        if (got <= 0 || send(server->fds[i], answer, len, MSG_NOSIGNAL) < 0 || (!first && server->hangs_up))
                hang_up(server, i);
}

static void welcome(struct broken_pg *server)
{
        int fd = accept(server->listener, NULL, NULL);

        for (int i = 0; i < CONNECTIONS; i++) {
                if (server->fds[i])
                        continue;
                server->fds[i] = fd;
                server->greeted[i] = false;
                return;
        }
        close(fd);
}

static void *body(void *arg)
{
        struct broken_pg *server = arg;

        while (!atomic_load(&server->stop)) {
                struct pollfd fds[CONNECTIONS + 1] = {{.fd = server->listener, .events = POLLIN}};

                for (int i = 0; i < CONNECTIONS; i++)
                        fds[i + 1] = (struct pollfd){.fd = server->fds[i] ? server->fds[i] : -1, .events = POLLIN};
                poll(fds, CONNECTIONS + 1, TURN_MS);
                if (fds[0].revents)
                        welcome(server);
                for (int i = 0; i < CONNECTIONS; i++) {
                        if (fds[i + 1].revents)
                                hear(server, i);
                }
        }
        return NULL;
}

struct broken_pg *broken_pg_start(const void *script, size_t len, bool hangs_up)
{
        struct broken_pg *server = calloc(1, sizeof *server);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;

        server->script = script;
        server->len = len;
        server->hangs_up = hangs_up;
        server->listener = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
            listen(server->listener, CONNECTIONS) != 0 ||
            getsockname(server->listener, (struct sockaddr *)&address, &size) != 0 ||
            pthread_create(&server->thread, NULL, body, server) != 0)
                abort();
        snprintf(server->url, sizeof server->url, "pool.url=postgresql://test@127.0.0.1:%d/test?sslmode=disable",
                 ntohs(address.sin_port));
        return server;
}

void broken_pg_stop(struct broken_pg *server)
{
        atomic_store(&server->stop, true);
        pthread_join(server->thread, NULL);
        for (int i = 0; i < CONNECTIONS; i++) {
                if (server->fds[i])
                        hang_up(server, i);
        }
        close(server->listener);
        free(server);
}

const char *broken_pg_url(const struct broken_pg *server)
{
        return server->url;
}
