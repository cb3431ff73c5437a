/* SPDX-License-Identifier: MIT */
#include "redis/subscriber.h"

#include "base/random.h"
#include "core/error.h"
#include "loop/exit.h"
#include "loop/port.h"
#include "loop/resolve.h"
#include "redis/command.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PAUSE_FIRST (10 * SP__MS)
#define PAUSE_MOST  SP__SECOND

enum state { OFF, LOCATING, RESOLVING, CONNECTING, GREETING, LISTENING };

/* Engine's thread alone, but what the port's lock guards: its fd, and the wire while it is read. */
struct sp__subscriber {
        struct sp__port port;
        struct sp__engine *engine;
        struct sp__link *link;
        SSL_CTX *tls;               /* a reference, or NULL */
        struct sp__address address; /* where it is connected to, or tries to be */
        char *channel;
        struct sp__subscriber_options options;
        enum state state;
        struct sp__wire wire;
        bool open;          /* false: the last read met the end */
        unsigned greetings; /* replies that are due before the one to SUBSCRIBE */
        bool pinged;        /* no answer yet */
        unsigned failures;
        struct sp__random random;
        struct sp__timer timer;
        struct sp__locate locate;
        struct sp__resolving resolve;
        size_t number; /* of the host's: another one at each attempt */
        struct sp__task task;
        bool ending;
        void (*ended)(void *arg);
        struct sp__task end;
};

static void set_timer(struct sp__subscriber *subscriber, int64_t after)
{
        sp__timer_set(subscriber->engine, &subscriber->timer, sp__now() + after);
}

static void shut(struct sp__subscriber *subscriber)
{
        sp__lock(&subscriber->port.lock);
        if (subscriber->port.fd >= 0)
                sp__port_detach(&subscriber->port);
        sp__wire_close(&subscriber->wire);
        sp__unlock(&subscriber->port.lock);
        subscriber->state = OFF;
        subscriber->pinged = false;
}

static int64_t next_pause(struct sp__subscriber *subscriber)
{
        int64_t pause = PAUSE_FIRST << (subscriber->failures < 8 ? subscriber->failures : 8);

        subscriber->failures++;
        if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        return (int64_t)((double)pause * (0.5 + sp__random_unit(&subscriber->random) / 2));
}

/* Takes `why`. */
static void lose(struct sp__subscriber *subscriber, sp_error *why)
{
        shut(subscriber);
        set_timer(subscriber, next_pause(subscriber));
        subscriber->options.down(subscriber->options.arg, why);
        sp_error_free(why);
}

static void lose_for(struct sp__subscriber *subscriber, const char *reason)
{
        const char *where =
            subscriber->address.where ? subscriber->address.where : sp__link_address(subscriber->link)->where;

        subscriber->number++;
        lose(subscriber, sp__error_new(subscriber->wire.distrusted ? SP_CONFIG : SP_UNAVAILABLE, NULL,
                                       "Redis at %s: %s", where, reason));
}

/* Whoever writes is the engine's thread, but the fd is the port's. */
static bool send_out(struct sp__subscriber *subscriber)
{
        bool good;

        sp__lock(&subscriber->port.lock);
        good = sp__wire_flush(&subscriber->wire);
        if (good)
                sp__port_want(&subscriber->port, sp__wire_pending(&subscriber->wire) ? EPOLLIN | EPOLLOUT : EPOLLIN);
        sp__unlock(&subscriber->port.lock);
        if (!good)
                lose_for(subscriber, subscriber->wire.reason);
        return good;
}

static void attach(struct sp__subscriber *subscriber, const char *number)
{
        int fd;

        sp__lock(&subscriber->port.lock);
        fd = sp__wire_open(&subscriber->wire, &subscriber->address, number, subscriber->tls);
        if (fd >= 0) {
                subscriber->state = CONNECTING;
                subscriber->open = true;
                sp__port_attach(&subscriber->port, fd, EPOLLIN | EPOLLOUT);
                sp__port_engage(&subscriber->port);
        }
        sp__unlock(&subscriber->port.lock);
        if (fd < 0)
                lose_for(subscriber, subscriber->wire.reason);
        else
                set_timer(subscriber, subscriber->options.connect_timeout);
}

static void end(struct sp__subscriber *subscriber);

/* The engine's thread, after the helper found the host's numbers. */
static void attach_resolved(struct sp__task *task)
{
        struct sp__subscriber *subscriber = SP__OF(task, struct sp__subscriber, task);
        const struct sp__numbers *numbers = &subscriber->resolve.numbers;

        subscriber->state = OFF;
        if (subscriber->ending)
                end(subscriber);
        else if (subscriber->resolve.reason)
                lose_for(subscriber, subscriber->resolve.reason);
        else
                attach(subscriber, numbers->text[subscriber->number % numbers->count]);
}

static void resolved(struct sp__resolving *resolve)
{
        struct sp__subscriber *subscriber = SP__OF(resolve, struct sp__subscriber, resolve);

        subscriber->task.run = attach_resolved;
        sp__engine_post(subscriber->engine, &subscriber->task);
}

static void resolve(struct sp__subscriber *subscriber)
{
        if (!sp__address_named(&subscriber->address)) {
                attach(subscriber, NULL);
                return;
        }
        subscriber->state = RESOLVING;
        subscriber->resolve.host = subscriber->address.host;
        subscriber->resolve.then = resolved;
        sp__resolve_start(&subscriber->resolve, subscriber->engine);
}

/* The engine's thread, after it was found where to listen. */
static void take_address(struct sp__task *task)
{
        struct sp__subscriber *subscriber = SP__OF(task, struct sp__subscriber, task);
        sp_error *error = subscriber->locate.error;

        subscriber->locate.error = NULL;
        subscriber->state = OFF;
        if (subscriber->ending) {
                sp_error_free(error);
                end(subscriber);
        } else if (error) {
                lose(subscriber, error);
        } else {
                sp__address_free(&subscriber->address);
                subscriber->address = subscriber->locate.address;
                subscriber->locate.address = (struct sp__address){.port = 0};
                resolve(subscriber);
        }
}

static void located(struct sp__locate *locate)
{
        struct sp__subscriber *subscriber = SP__OF(locate, struct sp__subscriber, locate);

        subscriber->task.run = take_address;
        sp__engine_post(subscriber->engine, &subscriber->task);
}

static void connect_now(struct sp__subscriber *subscriber)
{
        subscriber->state = LOCATING;
        subscriber->locate.then = located;
        sp__link_find(subscriber->link, subscriber->failures, &subscriber->locate);
}

/* Its place or its number is being asked for: the answer comes, whatever happens. */
static bool asks(const struct sp__subscriber *subscriber)
{
        return subscriber->state == LOCATING || subscriber->state == RESOLVING;
}

static void greet(struct sp__subscriber *subscriber)
{
        subscriber->state = GREETING;
        subscriber->greetings = sp__wire_greet(&subscriber->wire, &subscriber->address);
        sp__wire_put(&subscriber->wire, (const char *[]){"SUBSCRIBE", subscriber->channel}, 2);
}

static bool is_word(const redisReply *reply, const char *word)
{
        size_t len;
        const char *bytes = sp__reply_bytes(reply, &len);

        return bytes && len == strlen(word) && memcmp(bytes, word, len) == 0;
}

/* false: it was lost. */
static bool welcome(struct sp__subscriber *subscriber, const redisReply *reply)
{
        if (reply->type == REDIS_REPLY_ERROR) {
                lose(subscriber, sp__redis_error(reply, subscriber->address.where));
                return false;
        }
        if (subscriber->greetings > 0) {
                subscriber->greetings--;
                return true;
        }
        if (!is_word(sp__reply_at(reply, 0), "subscribe")) {
                lose_for(subscriber, "an answer that makes no sense");
                return false;
        }
        subscriber->state = LISTENING;
        subscriber->failures = 0;
        set_timer(subscriber, subscriber->options.ping);
        subscriber->options.up(subscriber->options.arg);
        return true;
}

static bool hear(struct sp__subscriber *subscriber, const redisReply *reply)
{
        const char *bytes;
        size_t len;

        if (subscriber->state == GREETING)
                return welcome(subscriber, reply);
        if (is_word(sp__reply_at(reply, 0), "pong")) {
                subscriber->pinged = false;
                return true;
        }
        bytes = sp__reply_bytes(sp__reply_at(reply, 2), &len);
        if (!bytes || !is_word(sp__reply_at(reply, 0), "message")) {
                lose_for(subscriber, "an answer that makes no sense");
                return false;
        }
        subscriber->options.message(subscriber->options.arg, bytes, len);
        return true;
}

static bool listens(const struct sp__subscriber *subscriber)
{
        return subscriber->state == GREETING || subscriber->state == LISTENING;
}

static void hear_all(struct sp__subscriber *subscriber)
{
        redisReply *reply = NULL;
        bool good = true, stays = true;

        while (stays && (good = sp__wire_next(&subscriber->wire, &reply)) && reply) {
                stays = hear(subscriber, reply);
                freeReplyObject(reply);
        }
        if (!stays)
                return;
        if (!good || !subscriber->open)
                lose_for(subscriber, subscriber->wire.reason);
}

static void ready(struct sp__port *port, uint32_t events, struct sp__batch *done)
{
        struct sp__subscriber *subscriber = SP__OF(port, struct sp__subscriber, port);

        if (listens(subscriber) && events & ~(uint32_t)EPOLLOUT)
                subscriber->open = sp__wire_read(&subscriber->wire);
}

static void after(struct sp__port *port)
{
        struct sp__subscriber *subscriber = SP__OF(port, struct sp__subscriber, port);

        sp__unlock(&port->lock);
        if (subscriber->state == CONNECTING) {
                if (!sp__wire_stands(&subscriber->wire)) {
                        lose_for(subscriber, subscriber->wire.reason);
                        return;
                }
                greet(subscriber);
        }
        if (listens(subscriber))
                hear_all(subscriber);
        if (listens(subscriber))
                send_out(subscriber);
}

static bool busy(const struct sp__port *port)
{
        return true;
}

static const struct sp__port_kind subscriber_kind = {.ready = ready, .busy = busy, .after = after};

static void ping(struct sp__subscriber *subscriber)
{
        if (subscriber->pinged) {
                lose_for(subscriber, "no answer to a PING on the channel of invalidations");
                return;
        }
        if (subscriber->options.deaf && subscriber->options.deaf(subscriber->options.arg)) {
                lose_for(subscriber, "it does not tell what others publish");
                /* Nothing failed: it begins where it belongs. */
                subscriber->failures = 0;
                return;
        }
        subscriber->pinged = true;
        sp__wire_put(&subscriber->wire, (const char *[]){"PING"}, 1);
        if (send_out(subscriber))
                set_timer(subscriber, subscriber->options.ping);
}

static void fire(struct sp__timer *timer)
{
        struct sp__subscriber *subscriber = SP__OF(timer, struct sp__subscriber, timer);

        if (subscriber->ending)
                return;
        if (subscriber->state == OFF)
                connect_now(subscriber);
        else if (subscriber->state == LISTENING)
                ping(subscriber);
        else if (!asks(subscriber))
                lose_for(subscriber, "no connection in time (redis.connect_timeout)");
}

struct sp__subscriber *sp__subscriber_new(struct sp__engine *engine, struct sp__link *link, const char *channel,
                                          const struct sp__subscriber_options *options)
{
        struct sp__subscriber *subscriber = calloc(1, sizeof *subscriber);

        if (!subscriber)
                return NULL;
        subscriber->channel = strdup(channel);
        if (!subscriber->channel || !sp__port_init(&subscriber->port, &subscriber_kind, engine)) {
                free(subscriber->channel);
                free(subscriber);
                return NULL;
        }
        subscriber->engine = engine;
        subscriber->link = link;
        subscriber->tls = sp__link_tls(link);
        if (subscriber->tls)
                SSL_CTX_up_ref(subscriber->tls);
        subscriber->options = *options;
        subscriber->random.state = sp__random_seed();
        subscriber->timer.fire = fire;
        sp__list_init(&subscriber->task.link);
        sp__list_init(&subscriber->end.link);
        return subscriber;
}

void sp__subscriber_start(struct sp__subscriber *subscriber)
{
        set_timer(subscriber, 0);
}

static void end(struct sp__subscriber *subscriber)
{
        void (*ended)(void *arg) = subscriber->ended;
        void *arg = subscriber->options.arg;

        sp__timer_stop(subscriber->engine, &subscriber->timer);
        shut(subscriber);
        sp__port_destroy(&subscriber->port);
        sp__address_free(&subscriber->address);
        sp__address_free(&subscriber->locate.address);
        SSL_CTX_free(subscriber->tls);
        free(subscriber->channel);
        free(subscriber);
        if (ended)
                ended(arg);
}

static void begin_end(struct sp__task *task)
{
        struct sp__subscriber *subscriber = SP__OF(task, struct sp__subscriber, end);

        subscriber->ending = true;
        if (!asks(subscriber))
                end(subscriber);
}

void sp__subscriber_free(struct sp__subscriber *subscriber, void (*ended)(void *arg))
{
        if (!subscriber)
                return;
        if (sp__engine_forked(subscriber->engine)) {
                if (!sp__exit_begun())
                        sp__wire_close(&subscriber->wire);
                return;
        }
        subscriber->ended = ended;
        subscriber->end.run = begin_end;
        sp__engine_post(subscriber->engine, &subscriber->end);
}
