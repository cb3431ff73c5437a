/* SPDX-License-Identifier: MIT */
#include "redis/wire.h"

#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CHUNK = 16384, CHUNKS = 16, KEEP = 1 << 20, ELEMENTS_MAX = 1 << 20 };

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

int sp__wire_open(struct sp__wire *wire, const struct sp__address *address, const char *number, SSL_CTX *tls)
{
        const char *host = number ? number : address->host;

        wire->distrusted = false;
        wire->context = address->local ? redisConnectUnixNonBlock(host) : redisConnectNonBlock(host, address->port);
        if (!wire->context || wire->context->err) {
                broken(wire, wire->context ? wire->context->errstr : "out of memory");
                sp__wire_close(wire);
                return -1;
        }
        bound_replies(wire);
        if (address->tls && !sp__tls_open(&wire->tls, tls, address->host)) {
                broken(wire, "out of memory for TLS");
                sp__wire_close(wire);
                return -1;
        }
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
        sp__tls_close(&wire->tls);
        sp__buf_free(&wire->sealed);
        sp__buf_free(&wire->out);
}

void sp__wire_break(struct sp__wire *wire)
{
        if (wire->context)
                shutdown(wire->context->fd, SHUT_RDWR);
}

enum { LINE = 24 };

/* "*3\r\n": the end of what was written. */
static char *write_line(char *at, char mark, size_t number)
{
        char digits[LINE];
        int count = 0;

        do {
                digits[count++] = (char)('0' + number % 10);
        } while ((number /= 10) > 0);
        *at++ = mark;
        while (count > 0)
                *at++ = digits[--count];
        *at++ = '\r';
        *at++ = '\n';
        return at;
}

void sp__resp_head(struct sp__buf *out, size_t count)
{
        char *room = sp__buf_room(out, LINE);

        if (room)
                out->len += (size_t)(write_line(room, '*', count) - room);
}

void sp__resp_bulk(struct sp__buf *out, const void *data, size_t len)
{
        char *room = sp__buf_room(out, LINE + len + 2), *at;

        if (!room)
                return;
        at = write_line(room, '$', len);
        if (len > 0)
                memcpy(at, data, len);
        at += len;
        *at++ = '\r';
        *at++ = '\n';
        out->len += (size_t)(at - room);
}

void sp__wire_put(struct sp__wire *wire, const char *const words[], size_t count)
{
        sp__resp_head(&wire->out, count);
        for (size_t i = 0; i < count; i++)
                sp__resp_bulk(&wire->out, words[i], strlen(words[i]));
}

unsigned sp__wire_greet(struct sp__wire *wire, const struct sp__address *address)
{
        const char *password = address->password ? address->password : "";
        unsigned due = 0;
        char db[16];

        if (address->user) {
                sp__wire_put(wire, (const char *[]){"AUTH", address->user, password}, 3);
                due++;
        } else if (address->password) {
                sp__wire_put(wire, (const char *[]){"AUTH", password}, 2);
                due++;
        }
        if (address->db) {
                snprintf(db, sizeof db, "%d", address->db);
                sp__wire_put(wire, (const char *[]){"SELECT", db}, 2);
                due++;
        }
        return due;
}

static void all_sent(struct sp__wire *wire, struct sp__buf *out)
{
        wire->sent = 0;
        if (out->cap > KEEP)
                sp__buf_free(out);
        else
                sp__buf_clear(out);
}

static bool send_all(struct sp__wire *wire, struct sp__buf *out)
{
        while (wire->sent < out->len) {
                ssize_t n = send(wire->context->fd, out->data + wire->sent, out->len - wire->sent, MSG_NOSIGNAL);

                if (n >= 0)
                        wire->sent += (size_t)n;
                else if (errno == EAGAIN || errno == EWOULDBLOCK)
                        return true;
                else if (errno != EINTR)
                        return broken(wire, strerror(errno));
        }
        all_sent(wire, out);
        return true;
}

/* What could not be sealed goes out all the same: it may say why. */
static bool seal(struct sp__wire *wire)
{
        bool good = sp__tls_seal(&wire->tls, &wire->out, &wire->sealed, wire->reason, sizeof wire->reason);

        if (good)
                return true;
        wire->distrusted = sp__tls_distrusts(&wire->tls);
        if (send(wire->context->fd, wire->sealed.data, wire->sealed.len, MSG_NOSIGNAL) < 0) {
                /* The server is gone: it need not know. */
        }
        return false;
}

bool sp__wire_flush(struct sp__wire *wire)
{
        bool tls = sp__tls_is_open(&wire->tls);

        if (wire->out.failed || wire->sealed.failed)
                return broken(wire, "out of memory");
        if (tls && !seal(wire))
                return false;
        return send_all(wire, tls ? &wire->sealed : &wire->out);
}

bool sp__wire_unsealed(const struct sp__wire *wire)
{
        return sp__tls_is_open(&wire->tls) && !SSL_is_init_finished(wire->tls.ssl);
}

static bool feed(struct sp__wire *wire, const char *data, size_t len)
{
        return redisReaderFeed(wire->context->reader, data, len) == REDIS_OK ||
               broken(wire, wire->context->reader->errstr);
}

static bool feed_sealed(struct sp__wire *wire, const char *data, size_t len)
{
        char clear[CHUNK];
        int n;

        if (!sp__tls_feed(&wire->tls, data, len))
                return broken(wire, "out of memory");
        while ((n = sp__tls_open_up(&wire->tls, clear, CHUNK, wire->reason, sizeof wire->reason)) > 0) {
                if (!feed(wire, clear, (size_t)n))
                        return false;
        }
        wire->distrusted = n < 0 && sp__tls_distrusts(&wire->tls);
        return n == 0;
}

bool sp__wire_read(struct sp__wire *wire)
{
        bool tls = sp__tls_is_open(&wire->tls);
        char chunk[CHUNK];

        for (int i = 0; i < CHUNKS; i++) {
                ssize_t n = recv(wire->context->fd, chunk, sizeof chunk, 0);

                if (n == 0)
                        return broken(wire, sp__wire_unsealed(wire)
                                                ? "the server closed the connection: does it speak TLS?"
                                                : "the server closed the connection");
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return true;
                if (n < 0 && errno != EINTR)
                        return broken(wire, strerror(errno));
                if (n > 0 && !(tls ? feed_sealed : feed)(wire, chunk, (size_t)n))
                        return false;
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

sp_status sp__redis_status(const redisReply *reply, char code[SP__CODE_MAX])
{
        static const char *const auth[] = {"WRONGPASS", "NOAUTH", NULL};
        static const char *const away[] = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN", NULL};

        if (sscanf(reply->str, "%31[A-Z]", code) != 1)
                code[0] = 0;
        return is_one_of(code, auth) ? SP_AUTH : is_one_of(code, away) ? SP_UNAVAILABLE : SP_REDIS;
}

sp_error *sp__redis_error(const redisReply *reply, const char *where)
{
        const char *args = strstr(reply->str, ", with args");
        int shown = args ? (int)(args - reply->str) : (int)strlen(reply->str);
        char code[SP__CODE_MAX];
        sp_status status = sp__redis_status(reply, code);
        bool moved = strcmp(code, "MOVED") == 0 || strcmp(code, "ASK") == 0;

        return sp__error_new(status, code, "Redis at %s answered: %.*s%s", where, shown, reply->str,
                             moved ? " (a cluster is redis+cluster:// in redis.url)" : "");
}
