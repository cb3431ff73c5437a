/* SPDX-License-Identifier: MIT */
/* Just enough of HTTP/1.1 to ask a server that sends Content-Length, at a cost that does not blur what is measured. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 16 * 1024, LARGEST = 1024 * 1024 };

static int connect_to(int port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0)
                return -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS)
                return fd;
        close(fd);
        return -1;
}

void load_link_close(struct load_link *link)
{
        if (link->fd >= 0)
                close(link->fd);
        free(link->buffer);
        *link = (struct load_link){.fd = -1};
}

static enum load_step broken(struct load_link *link, struct load_answer *answer)
{
        struct load_request request = link->request;

        load_link_close(link);
        link->request = request;
        *answer = (struct load_answer){0};
        return LOAD_ANSWERED;
}

static bool room(struct load_link *link)
{
        size_t capacity = link->capacity ? link->capacity * 2 : FIRST;
        char *grown;

        if (link->got + 1 < link->capacity)
                return true;
        grown = capacity <= LARGEST ? realloc(link->buffer, capacity) : NULL;
        if (!grown)
                return false;
        link->buffer = grown;
        link->capacity = capacity;
        return true;
}

static const char *header(const char *head, const char *name)
{
        const char *at = strcasestr(head, name);

        return at ? at + strlen(name) : NULL;
}

/* Whether the whole answer is here. */
static bool parse(struct load_link *link, struct load_answer *answer)
{
        char *body = strstr(link->buffer, "\r\n\r\n");
        const char *length, *source;
        bool whole;

        if (!body)
                return false;
        *body = 0;
        length = header(link->buffer, "\r\nContent-Length: ");
        source = header(link->buffer, "\r\nX-Cache: ");
        whole = link->got >= (size_t)(body + 4 - link->buffer) + (length ? strtoul(length, NULL, 10) : 0);
        if (whole) {
                answer->status = atoi(link->buffer + strlen("HTTP/1.1 "));
                answer->source[0] = 0;
                if (source)
                        snprintf(answer->source, sizeof answer->source, "%.*s", (int)strcspn(source, "\r"), source);
        }
        *body = '\r';
        return whole;
}

static enum load_step receive(struct load_link *link, struct load_answer *answer)
{
        ssize_t got;

        for (;;) {
                if (!room(link))
                        return broken(link, answer);
                got = read(link->fd, link->buffer + link->got, link->capacity - link->got - 1);
                if (got < 0 && errno == EAGAIN)
                        return LOAD_WAIT_READ;
                if (got <= 0)
                        return broken(link, answer);
                link->got += (size_t)got;
                link->buffer[link->got] = 0;
                if (parse(link, answer)) {
                        link->busy = false;
                        return LOAD_ANSWERED;
                }
        }
}

enum load_step load_link_continue(struct load_link *link, struct load_answer *answer)
{
        while (link->sent < link->request.len) {
                ssize_t sent =
                    send(link->fd, link->request.text + link->sent, link->request.len - link->sent, MSG_NOSIGNAL);

                if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN))
                        return LOAD_WAIT_WRITE;
                if (sent < 0)
                        return broken(link, answer);
                link->sent += (size_t)sent;
        }
        return receive(link, answer);
}

enum load_step load_link_start(struct load_link *link, int port, const struct load_request *request,
                               struct load_answer *answer)
{
        link->request = *request;
        link->sent = link->got = 0;
        link->busy = true;
        if (link->fd < 0 && (link->fd = connect_to(port)) < 0)
                return broken(link, answer);
        return load_link_continue(link, answer);
}
