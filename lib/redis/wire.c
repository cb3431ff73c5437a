/* SPDX-License-Identifier: MIT */
#include "redis/wire.h"

#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CHUNK = 16384, CHUNKS = 16, KEEP = 1 << 20, ELEMENTS_MAX = 1 << 16 };

static bool broken(struct sp__wire *wire, const char *reason)
{
        snprintf(wire->reason, sizeof wire->reason, "%s", reason);
        return false;
}

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* hiredis would allocate for as many elements as a broken server names. */
static void *create_array(const redisReadTask *task, element_count elements)
{
        const struct sp__wire *wire = task->privdata;

        return elements <= ELEMENTS_MAX ? wire->usual_functions->createArray(task, elements) : NULL;
}

static void bound_replies(struct sp__wire *wire)
{
        redisReader *reader = wire->context->reader;

        wire->usual_functions = reader->fn;
        wire->functions = *reader->fn;
        wire->functions.createArray = create_array;
        reader->fn = &wire->functions;
        reader->privdata = wire;
}

int sp__wire_open(struct sp__wire *wire, const struct sp__address *address, const char *number)
{
        const char *host = number ? number : address->host;

        wire->context = address->local ? redisConnectUnixNonBlock(host) : redisConnectNonBlock(host, address->port);
        if (!wire->context || wire->context->err) {
                broken(wire, wire->context ? wire->context->errstr : "out of memory");
                sp__wire_close(wire);
                return -1;
        }
        bound_replies(wire);
        return wire->context->fd;
}

bool sp__wire_stands(struct sp__wire *wire)
{
        int code = 0;
        socklen_t len = sizeof code;

        if (getsockopt(wire->context->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
                code = errno;
        return code == 0 || broken(wire, strerror(code));
}

void sp__wire_close(struct sp__wire *wire)
{
        if (wire->context)
                redisFree(wire->context);
        wire->context = NULL;
        wire->sent = 0;
        sp__buf_free(&wire->out);
}

void sp__wire_break(struct sp__wire *wire)
{
        if (wire->context)
                shutdown(wire->context->fd, SHUT_RDWR);
}

void sp__resp_head(struct sp__buf *out, size_t count)
{
        sp__buf_format(out, "*%zu\r\n", count);
}

void sp__resp_bulk(struct sp__buf *out, const void *data, size_t len)
{
        sp__buf_format(out, "$%zu\r\n", len);
        sp__buf_add(out, data, len);
        sp__buf_add(out, "\r\n", 2);
}

void sp__wire_put(struct sp__wire *wire, const char *const words[], size_t count)
{
        sp__resp_head(&wire->out, count);
        for (size_t i = 0; i < count; i++)
                sp__resp_bulk(&wire->out, words[i], strlen(words[i]));
}

unsigned sp__wire_greet(struct sp__wire *wire, const struct sp__address *address)
{
        unsigned due = 0;
        char db[16];

        if (address->user && address->password) {
                sp__wire_put(wire, (const char *[]){"AUTH", address->user, address->password}, 3);
                due++;
        } else if (address->password) {
                sp__wire_put(wire, (const char *[]){"AUTH", address->password}, 2);
                due++;
        }
        if (address->db) {
                snprintf(db, sizeof db, "%d", address->db);
                sp__wire_put(wire, (const char *[]){"SELECT", db}, 2);
                due++;
        }
        return due;
}

static void all_sent(struct sp__wire *wire)
{
        wire->sent = 0;
        if (wire->out.cap > KEEP)
                sp__buf_free(&wire->out);
        else
                sp__buf_clear(&wire->out);
}

bool sp__wire_flush(struct sp__wire *wire)
{
        if (wire->out.failed)
                return broken(wire, "out of memory");
        while (sp__wire_pending(wire)) {
                ssize_t n =
                    send(wire->context->fd, wire->out.data + wire->sent, wire->out.len - wire->sent, MSG_NOSIGNAL);

                if (n >= 0)
                        wire->sent += (size_t)n;
                else if (errno == EAGAIN || errno == EWOULDBLOCK)
                        return true;
                else if (errno != EINTR)
                        return broken(wire, strerror(errno));
        }
        all_sent(wire);
        return true;
}

bool sp__wire_read(struct sp__wire *wire)
{
        char chunk[CHUNK];

        for (int i = 0; i < CHUNKS; i++) {
                ssize_t n = recv(wire->context->fd, chunk, sizeof chunk, 0);

                if (n == 0)
                        return broken(wire, "the server closed the connection");
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return true;
                if (n < 0 && errno != EINTR)
                        return broken(wire, strerror(errno));
                if (n > 0 && redisReaderFeed(wire->context->reader, chunk, (size_t)n) != REDIS_OK)
                        return broken(wire, wire->context->reader->errstr);
                if (n > 0 && n < CHUNK)
                        return true;
        }
        return true;
}

bool sp__wire_next(struct sp__wire *wire, redisReply **reply)
{
        void *got = NULL;

        if (redisReaderGetReply(wire->context->reader, &got) != REDIS_OK)
                return broken(wire, wire->context->reader->errstr);
        *reply = got;
        return true;
}

bool sp__wire_dead(const struct sp__wire *wire)
{
        char byte;
        ssize_t n = recv(wire->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static bool is_one_of(const char *word, const char *const words[])
{
        while (*words && strcmp(word, *words) != 0)
                words++;
        return *words != NULL;
}

sp_error *sp__redis_error(const redisReply *reply, const char *where)
{
        static const char *const auth[] = {"WRONGPASS", "NOAUTH", NULL};
        static const char *const away[] = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN", NULL};
        const char *args = strstr(reply->str, ", with args");
        int shown = args ? (int)(args - reply->str) : (int)strlen(reply->str);
        char code[32] = "";
        sp_status status;

        if (sscanf(reply->str, "%31[A-Z]", code) != 1)
                code[0] = 0;
        status = is_one_of(code, auth) ? SP_AUTH : is_one_of(code, away) ? SP_UNAVAILABLE : SP_REDIS;
        return sp__error_new(status, code, "Redis at %s answered: %.*s", where, shown, reply->str);
}
