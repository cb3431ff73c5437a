/* SPDX-License-Identifier: MIT */
#include "fake_redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORDS = 16, OUT = 16384 };

struct request {
        size_t count;
        struct {
                const char *data;
                size_t len;
        } words[WORDS];
};

struct out {
        size_t len;
        char bytes[OUT];
};

static unsigned roll(struct fake_redis *fake, unsigned sides)
{
        return (unsigned)(sp__random_next(&fake->random) % sides);
}

static void add(struct out *out, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(out->bytes + out->len, OUT - out->len, format, args);
        va_end(args);
        if (n > 0 && (size_t)n < OUT - out->len)
                out->len += (size_t)n;
}

/* The next whole request; its length, 0: not there yet. */
static size_t parse(const char *bytes, size_t len, struct request *out)
{
        const char *at = bytes, *end = bytes + len;
        size_t words;

        if (len < 4 || *at != '*' || !memchr(at, '\n', len))
                return 0;
        words = strtoul(at + 1, NULL, 10);
        at = (const char *)memchr(at, '\n', len) + 1;
        out->count = 0;
        for (size_t i = 0; i < words; i++) {
                const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
                size_t size = line ? strtoul(at + 1, NULL, 10) : 0;

                if (!line || (size_t)(end - line) < size + 3)
                        return 0;
                if (out->count < WORDS) {
                        out->words[out->count].data = line + 1;
                        out->words[out->count++].len = size;
                }
                at = line + 1 + size + 2;
        }
        return (size_t)(at - bytes);
}

static bool is(const struct request *request, size_t index, const char *text)
{
        return index < request->count && request->words[index].len == strlen(text) &&
               strncasecmp(request->words[index].data, text, strlen(text)) == 0;
}

static void note_write(struct fake_redis *fake, const struct request *request)
{
        unsigned long number = strtoul(request->words[1].data, NULL, 10);

        if (number < FAKE_WRITES)
                atomic_fetch_add(&fake->written[number], 1);
}

static void answer_well(struct fake_redis *fake, const struct request *request, struct out *out)
{
        if (is(request, 0, "PING"))
                add(out, "+PONG\r\n");
        else if (is(request, 0, "SUBSCRIBE"))
                add(out, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        else if (is(request, 0, "ROLE"))
                add(out, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
        else if (is(request, 0, "SENTINEL"))
                add(out, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n", snprintf(NULL, 0, "%d", fake->port), fake->port);
        else if (is(request, 0, "CLUSTER"))
                add(out, "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nid\r\n", fake->port);
        else if (is(request, 0, "INFO"))
                add(out, "$12\r\nrun_id:abc\r\n\r\n");
        else if (is(request, 0, "AUTH") || is(request, 0, "SELECT") || is(request, 0, "ASKING"))
                add(out, "+OK\r\n");
        else if (is(request, 0, "MGET"))
                add(out, "*1\r\n$1\r\nx\r\n");
        else if (is(request, 0, "GET"))
                add(out, "$5\r\nvalue\r\n");
        else
                add(out, ":1\r\n");
}

/* Well-formed, and not what was asked for. */
static void answer_strangely(struct fake_redis *fake, struct out *out)
{
        static const char *const texts[] = {"+OK\r\n",
                                            "-ERR no\r\n",
                                            "-\r\n",
                                            "-LOADING Redis is loading\r\n",
                                            "-READONLY You can't write\r\n",
                                            "-TRYAGAIN Multiple keys\r\n",
                                            "-CLUSTERDOWN Hash slot not served\r\n",
                                            "-MOVED\r\n",
                                            "-MOVED x y\r\n",
                                            "-MOVED 99999 127.0.0.1:1\r\n",
                                            "-MOVED 5 :\r\n",
                                            "-MOVED 5 127.0.0.1:0\r\n",
                                            "-ASK 7 127.0.0.1:1\r\n",
                                            "-NOSCRIPT No matching script\r\n",
                                            "$-1\r\n",
                                            "*-1\r\n",
                                            "*0\r\n",
                                            "$0\r\n\r\n",
                                            ":-9223372036854775808\r\n",
                                            "*2\r\n$-1\r\n*1\r\n*1\r\n:1\r\n",
                                            "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nh\r\n:1\r\n",
                                            "*1\r\n*3\r\n:5\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
                                            "*1\r\n*2\r\n:0\r\n:1\r\n",
                                            "*2\r\n$0\r\n\r\n$1\r\n0\r\n",
                                            "*2\r\n$9\r\n127.0.0.1\r\n$6\r\n999999\r\n",
                                            "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\na 1\r\n",
                                            "*3\r\n$5\r\nslave\r\n:1\r\n*0\r\n",
                                            "$536870912\r\nx",
                                            "*1048577\r\n",
                                            "*9999999999\r\n",
                                            ":1:\r\n"};

        if (roll(fake, 8) == 0)
                add(out, "-MOVED %u 127.0.0.1:%d\r\n", roll(fake, 16384), fake->port);
        else if (roll(fake, 8) == 0)
                add(out, "-ASK %u 127.0.0.1:%d\r\n", roll(fake, 16384), fake->port);
        else
                add(out, "%s", texts[roll(fake, sizeof texts / sizeof *texts)]);
}

static void mutilate(struct fake_redis *fake, struct out *out)
{
        unsigned times = 1 + roll(fake, 4);

        while (times-- && out->len > 0) {
                size_t at = roll(fake, (unsigned)out->len);

                switch (roll(fake, 4)) {
                case 0:
                        out->bytes[at] = (char)roll(fake, 256);
                        break;
                case 1:
                        out->bytes[at] = "+-:$*\r\n0123456789"[roll(fake, 17)];
                        break;
                case 2:
                        out->len = at;
                        break;
                default:
                        memmove(out->bytes + at, out->bytes + at + 1, out->len - at - 1);
                        out->len--;
                }
        }
}

/* false: hang up. */
static bool send_some(struct fake_redis *fake, int fd, const struct out *out)
{
        size_t at = 0;

        while (at < out->len) {
                size_t piece = 1 + (atomic_load(&fake->hostile) ? roll(fake, (unsigned)out->len) : out->len);
                ssize_t n = send(fd, out->bytes + at, piece < out->len - at ? piece : out->len - at, MSG_NOSIGNAL);

                if (n <= 0 || (atomic_load(&fake->hostile) && roll(fake, 12) == 0))
                        return false;
                at += (size_t)n;
                if (at < out->len && roll(fake, 4) == 0)
                        poll(NULL, 0, 1);
        }
        return true;
}

static void answer(struct fake_redis *fake, const struct request *request, struct out *out)
{
        unsigned mood = atomic_load(&fake->hostile) ? roll(fake, 16) : 15;

        if (is(request, 0, "WRITE"))
                note_write(fake, request);
        if (mood == 0)
                return;
        if (mood < 4)
                answer_strangely(fake, out);
        else
                answer_well(fake, request, out);
        if (mood == 4)
                answer_well(fake, request, out);
        if (mood == 5)
                mutilate(fake, out);
}

static void hang_up(struct fake_redis *fake, int index)
{
        close(fake->connections[index].fd);
        fake->connections[index].fd = -1;
}

static void serve(struct fake_redis *fake, int index)
{
        char *bytes = fake->connections[index].bytes;
        size_t *len = &fake->connections[index].len, taken;
        ssize_t n = recv(fake->connections[index].fd, bytes + *len, FAKE_BUFFER - *len, 0);
        struct out out = {.len = 0};
        struct request request;

        if (n <= 0) {
                hang_up(fake, index);
                return;
        }
        *len += (size_t)n;
        while ((taken = parse(bytes, *len, &request)) > 0) {
                answer(fake, &request, &out);
                memmove(bytes, bytes + taken, *len - taken);
                *len -= taken;
        }
        if (*len == FAKE_BUFFER || !send_some(fake, fake->connections[index].fd, &out))
                hang_up(fake, index);
}

static void take_in(struct fake_redis *fake)
{
        int fd = accept(fake->listener, NULL, NULL);

        for (int i = 0; fd >= 0 && i < FAKE_CONNECTIONS; i++) {
                if (fake->connections[i].fd < 0) {
                        fake->connections[i].fd = fd;
                        fake->connections[i].len = 0;
                        return;
                }
        }
        close(fd);
}

static void *body(void *arg)
{
        struct fake_redis *fake = arg;
        struct pollfd fds[FAKE_CONNECTIONS + 1];

        while (!atomic_load(&fake->stop)) {
                for (int i = 0; i < FAKE_CONNECTIONS; i++)
                        fds[i] = (struct pollfd){.fd = fake->connections[i].fd, .events = POLLIN};
                fds[FAKE_CONNECTIONS] = (struct pollfd){.fd = fake->listener, .events = POLLIN};
                poll(fds, FAKE_CONNECTIONS + 1, 10);
                for (int i = 0; i < FAKE_CONNECTIONS; i++) {
                        if (fds[i].fd >= 0 && fds[i].revents)
                                serve(fake, i);
                }
                if (fds[FAKE_CONNECTIONS].revents)
                        take_in(fake);
        }
        for (int i = 0; i < FAKE_CONNECTIONS; i++) {
                if (fake->connections[i].fd >= 0)
                        close(fake->connections[i].fd);
        }
        return NULL;
}

void fake_start(struct fake_redis *fake, uint64_t seed)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;

        memset(fake, 0, sizeof *fake);
        fake->random.state = seed;
        for (int i = 0; i < FAKE_CONNECTIONS; i++)
                fake->connections[i].fd = -1;
        fake->listener = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fake->listener, 64), 0);
        assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &len), 0);
        fake->port = ntohs(address.sin_port);
        assert_int_equal(pthread_create(&fake->thread, NULL, body, fake), 0);
}

void fake_stop(struct fake_redis *fake)
{
        atomic_store(&fake->stop, true);
        pthread_join(fake->thread, NULL);
        close(fake->listener);
}
