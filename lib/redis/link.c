/* SPDX-License-Identifier: MIT */
#include "redis/link.h"

#include "base/random.h"
#include "core/error.h"
#include "loop/port.h"
#include "loop/resolve.h"
#include "redis/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PAUSE_FIRST (20 * SP__MS)
#define PAUSE_MOST  SP__SECOND
#define IDLE        (10 * SP__MS)

enum { RUN_ID_MAX = 64 };

enum state { DOWN, RESOLVING, CONNECTING, GREETING, UP, BREAKING };

struct sp__link {
        struct sp__port port;
        struct sp__engine *engine;
        struct sp__address address;
        struct sp__link_options options;
        atomic_uint refs; /* the owner's, and the resolver's */

        /* The port's lock guards what follows. */
        enum state state;
        struct sp__wire wire;
        struct sp__list flying;  /* commands that were sent, oldest first */
        struct sp__list waiting; /* for the connection */
        unsigned greetings;      /* replies that are due before it is up */
        bool asked_id;
        bool stood;
        bool closed;
        int64_t used_at; /* when something was in flight last */
        unsigned failures;
        int64_t pause_until;
        sp_error *last; /* why it is down */
        struct sp__random random;

        struct sp__timer timer;
        bool timed;
        struct sp__resolving resolve;
        struct sp__task end;
};

static struct sp__link *link_of(struct sp__port *port)
{
        return SP__OF(port, struct sp__link, port);
}

static struct sp__command *first_of(struct sp__list *list)
{
        return sp__list_empty(list) ? NULL : sp__command_of(SP__OF(list->next, sp__op, link));
}

static void refuse(struct sp__command *command, const sp_error *why, struct sp__batch *done)
{
        sp_error *copy = sp__error_copy(why);

        sp__op_fail(&command->op, why ? sp_error_status(why) : SP_NOMEM, copy, done);
        sp__op_unref(&command->op);
}

static void refuse_all(struct sp__list *list, const sp_error *why, struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(list)))
                refuse(sp__command_of(SP__OF(link, sp__op, link)), why, done);
}

/* The fd goes: by whoever drives it, or while nobody does. */
static void shut(struct sp__link *link)
{
        if (link->port.fd >= 0)
                sp__port_detach(&link->port);
        sp__wire_close(&link->wire);
        link->state = DOWN;
}

static void pause_next(struct sp__link *link)
{
        unsigned doublings = link->failures < 8 ? link->failures : 8;
        int64_t pause = PAUSE_FIRST << doublings;

        if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        pause = (int64_t)((double)pause * (0.5 + sp__random_unit(&link->random) / 2));
        /* A connection that stood may be made again at once: the server may just have restarted. */
        link->pause_until = link->failures ? sp__now() + pause : 0;
        link->failures++;
}

/* Everything fails with `why` (owned). `drives`: the caller holds the token. */
static void break_up(struct sp__link *link, sp_error *why, bool drives, struct sp__batch *done)
{
        sp_error_free(link->last);
        link->last = why;
        pause_next(link);
        refuse_all(&link->flying, why, done);
        refuse_all(&link->waiting, why, done);
        if (drives || link->port.driver == SP__DRIVER_FREE || link->port.fd < 0) {
                shut(link);
                return;
        }
        link->state = BREAKING;
        sp__wire_break(&link->wire);
        sp__port_want(&link->port, EPOLLIN);
}

static sp_error *unreachable(const struct sp__link *link, const char *reason)
{
        return sp__error_new(SP_UNAVAILABLE, NULL, "Redis at %s: %s", link->address.where, reason);
}

static void watch_output(struct sp__link *link)
{
        sp__port_want(&link->port, sp__wire_pending(&link->wire) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void flush(struct sp__port *port, struct sp__batch *done)
{
        struct sp__link *link = link_of(port);

        if (link->state != UP && link->state != GREETING)
                return;
        if (!sp__wire_flush(&link->wire))
                break_up(link, unreachable(link, link->wire.reason), false, done);
        else
                watch_output(link);
}

static void put(struct sp__link *link, struct sp__command *command)
{
        sp__buf_add(&link->wire.out, command->request.data, command->request.len);
        sp__buf_free(&command->request);
        sp__list_push(&link->flying, &command->op.link);
}

static void stand(struct sp__link *link)
{
        struct sp__list *first;

        link->state = UP;
        link->stood = true;
        link->failures = 0;
        while ((first = sp__list_pop(&link->waiting)))
                put(link, sp__command_of(SP__OF(first, sp__op, link)));
}

/* AUTH and SELECT at once; what the server's life is called; then the owner's own greeting. */
static void greet(struct sp__link *link)
{
        link->state = GREETING;
        link->greetings = sp__wire_greet(&link->wire, &link->address);
        link->asked_id = link->options.greet != NULL;
        if (link->asked_id) {
                sp__wire_put(&link->wire, (const char *[]){"INFO", "server"}, 2);
                link->greetings++;
        }
        if (link->greetings == 0)
                stand(link);
}

static void read_run_id(const redisReply *reply, char out[RUN_ID_MAX])
{
        size_t len;
        const char *text = sp__reply_bytes(reply, &len), *at = text ? strstr(text, "run_id:") : NULL;

        if (!at || sscanf(at, "run_id:%63[0-9a-zA-Z]", out) != 1)
                snprintf(out, RUN_ID_MAX, "unknown-%016llx", (unsigned long long)sp__random_seed());
}

static void greet_owner(struct sp__link *link, const redisReply *info)
{
        char run_id[RUN_ID_MAX];

        read_run_id(info, run_id);
        link->asked_id = false;
        link->greetings++;
        link->options.greet(link->options.arg, run_id, &link->wire.out);
}

/* A database that the server has not is a mistake of the configuration, no outage. `left`: greetings that are due. */
static sp_error *unwelcome(const struct sp__link *link, const redisReply *reply, unsigned left)
{
        sp_error *error = sp__redis_error(reply, link->address.where);
        bool selecting = link->address.db && left == 1u + link->asked_id;

        if (!selecting || !error || sp_error_status(error) != SP_REDIS)
                return error;
        sp_error_free(error);
        return sp__error_new(SP_CONFIG, NULL, "Redis at %s refused database %d of redis.url: %s", link->address.where,
                             link->address.db, reply->str);
}

/* false: refused. */
static bool greeted(struct sp__link *link, const redisReply *reply, struct sp__batch *done)
{
        bool info = link->asked_id && link->greetings == 1;

        if (reply->type == REDIS_REPLY_ERROR && !info) {
                break_up(link, unwelcome(link, reply, link->greetings), true, done);
                return false;
        }
        if (info)
                greet_owner(link, reply);
        if (--link->greetings == 0)
                stand(link);
        return true;
}

/* Takes the reply. false: nobody asked for it. */
static bool answered(struct sp__link *link, redisReply *reply, struct sp__batch *done)
{
        struct sp__command *command = first_of(&link->flying);

        if (!command) {
                freeReplyObject(reply);
                return false;
        }
        command->replies[command->got++] = reply;
        if (command->got < command->due)
                return true;
        sp__list_remove(&command->op.link);
        sp__op_yield(&command->op, SP__YIELD_NONE, NULL, NULL, done);
        sp__op_unref(&command->op);
        return true;
}

static void nonsense(struct sp__link *link, const char *reason, struct sp__batch *done)
{
        break_up(link, sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: %s", link->address.where, reason), true, done);
}

static void read_replies(struct sp__link *link, struct sp__batch *done)
{
        redisReply *reply = NULL;
        bool open = sp__wire_read(&link->wire), good = true;
        char reason[sizeof link->wire.reason];

        memcpy(reason, link->wire.reason, sizeof reason);
        while (good && (good = sp__wire_next(&link->wire, &reply)) && reply) {
                if (link->state == UP) {
                        good = answered(link, reply, done);
                } else {
                        bool welcome = greeted(link, reply, done);

                        freeReplyObject(reply);
                        if (!welcome)
                                return;
                }
        }
        link->used_at = sp__now();
        if (!good)
                nonsense(link, "an answer that makes no sense", done);
        else if (!open)
                break_up(link, unreachable(link, reason), true, done);
}

static void ready(struct sp__port *port, uint32_t events, struct sp__batch *done)
{
        struct sp__link *link = link_of(port);

        if (link->state == BREAKING) {
                shut(link);
                return;
        }
        if (link->state == CONNECTING) {
                if (!sp__wire_stands(&link->wire)) {
                        break_up(link, unreachable(link, link->wire.reason), true, done);
                        return;
                }
                greet(link);
        } else if (events & ~(uint32_t)EPOLLOUT) {
                read_replies(link, done);
        }
        if (link->state != UP && link->state != GREETING)
                return;
        if (!sp__wire_flush(&link->wire))
                break_up(link, unreachable(link, link->wire.reason), true, done);
        else
                watch_output(link);
}

static bool busy(const struct sp__port *port)
{
        const struct sp__link *link = SP__OF(port, const struct sp__link, port);

        return link->state != UP || !sp__list_empty(&link->flying) || sp__wire_pending(&link->wire);
}

static const struct sp__port_kind link_kind = {.ready = ready, .flush = flush, .busy = busy};

static int64_t next_overdue(struct sp__link *link)
{
        struct sp__command *flying = first_of(&link->flying), *waiting = first_of(&link->waiting);
        int64_t at = flying ? flying->overdue_at : SP__FOREVER;

        return waiting && waiting->overdue_at < at ? waiting->overdue_at : at;
}

static void watch_time(struct sp__link *link)
{
        int64_t at = next_overdue(link);

        if (!link->timed && at != SP__FOREVER)
                link->timed = sp__timer_set(link->engine, &link->timer, at);
}

static void overdue(struct sp__timer *timer)
{
        struct sp__link *link = SP__OF(timer, struct sp__link, timer);
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&link->port.lock);
        link->timed = false;
        if (next_overdue(link) <= sp__now()) {
                const char *what = link->state == UP ? "no answer in time (redis.timeout)"
                                                     : "no connection in time (redis.connect_timeout)";

                break_up(link, sp__error_new(SP_UNAVAILABLE, NULL, "Redis at %s: %s", link->address.where, what), false,
                         &done);
        }
        watch_time(link);
        sp__unlock(&link->port.lock);
        sp__batch_deliver(&done);
}

static void attach(struct sp__link *link, const char *number, struct sp__batch *done)
{
        int fd = sp__wire_open(&link->wire, &link->address, number);

        if (fd < 0) {
                break_up(link, unreachable(link, link->wire.reason), true, done);
                return;
        }
        link->state = CONNECTING;
        sp__port_attach(&link->port, fd, EPOLLIN | EPOLLOUT);
}

static void unref(struct sp__link *link);

static void resolved(struct sp__resolving *resolve)
{
        struct sp__link *link = SP__OF(resolve, struct sp__link, resolve);
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&link->port.lock);
        if (link->state == RESOLVING) {
                if (resolve->reason)
                        break_up(link, unreachable(link, resolve->reason), true, &done);
                else
                        attach(link, resolve->numbers.text[0], &done);
                if (link->state == CONNECTING)
                        sp__port_engage(&link->port);
        }
        sp__unlock(&link->port.lock);
        sp__batch_deliver(&done);
        unref(link);
}

static void connect_now(struct sp__link *link, struct sp__batch *done)
{
        if (!sp__address_named(&link->address)) {
                attach(link, NULL, done);
                return;
        }
        link->state = RESOLVING;
        atomic_fetch_add(&link->refs, 1);
        link->resolve.host = link->address.host;
        link->resolve.then = resolved;
        sp__resolve_start(&link->resolve, link->engine);
}

/* Nobody looked at it for a while: was it closed? */
static bool went_away(struct sp__link *link)
{
        return link->state == UP && link->port.driver == SP__DRIVER_FREE && sp__now() - link->used_at > IDLE &&
               sp__wire_dead(&link->wire);
}

/* The port's lock is held. */
static void submit(struct sp__link *link, struct sp__command *command, sp__op *caller, struct sp__batch *done)
{
        bool idle = sp__list_empty(&link->flying) && sp__list_empty(&link->waiting);
        int64_t now = sp__now();

        if (went_away(link))
                shut(link);
        if (link->closed || link->state == BREAKING || (link->state == DOWN && now < link->pause_until)) {
                refuse(command, link->last, done);
                return;
        }
        command->overdue_at = now + link->options.timeout + (link->state == UP ? 0 : link->options.connect_timeout);
        if (link->state == UP)
                put(link, command);
        else
                sp__list_push(&link->waiting, &command->op.link);
        if (link->state == DOWN)
                connect_now(link, done);
        if (link->port.fd >= 0 && link->state != BREAKING)
                sp__port_enter(&link->port, caller, idle);
        watch_time(link);
        if (link->state == UP)
                sp__port_flush(&link->port, idle, done);
}

/* NULL: it may go. */
static sp_error *ask_breaker(struct sp__link *link, struct sp__command *command)
{
        sp_breaker *breaker = link->options.breaker;

        if (!breaker)
                return NULL;
        if (sp_breaker_acquire(breaker, &command->permit) != SP_OK)
                return sp__error_new(SP_OPEN, NULL, "circuit breaker \"%s\" is open", sp_breaker_name(breaker));
        command->breaker = sp_breaker_ref(breaker);
        command->since = sp__now();
        return NULL;
}

void sp__link_run(struct sp__link *link, struct sp__command *command, sp__op *caller, void (*then)(sp__op *op),
                  void *owner)
{
        sp_error *open = ask_breaker(link, command);
        struct sp__batch done;

        command->op.then = then;
        command->op.owner = owner;
        command->op.caller = caller;
        if (caller && atomic_load(&caller->port) != &link->port)
                sp__op_leave(caller);
        sp__batch_init(&done);
        sp__lock(&link->port.lock);
        if (command->request.failed || open)
                refuse(command, open, &done);
        else
                submit(link, command, caller, &done);
        sp__unlock(&link->port.lock);
        sp__batch_deliver(&done);
        sp_error_free(open);
}

sp_breaker *sp__link_breaker(struct sp__link *link)
{
        return link->options.breaker;
}

bool sp__link_stood(struct sp__link *link)
{
        bool stood;

        sp__lock(&link->port.lock);
        stood = link->stood;
        sp__unlock(&link->port.lock);
        return stood;
}

struct sp__link *sp__link_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__link_options *options)
{
        struct sp__link *link = calloc(1, sizeof *link);

        if (!link)
                return NULL;
        if (!sp__address_copy(&link->address, address) || !sp__port_init(&link->port, &link_kind, engine)) {
                sp__address_free(&link->address);
                free(link);
                return NULL;
        }
        link->engine = engine;
        link->options = *options;
        atomic_init(&link->refs, 1);
        sp__list_init(&link->flying);
        sp__list_init(&link->waiting);
        link->random.state = sp__random_seed();
        link->timer.fire = overdue;
        return link;
}

void sp__link_close(struct sp__link *link)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&link->port.lock);
        if (!link->closed) {
                link->closed = true;
                break_up(link, sp__error_new(SP_CLOSED, NULL, "closed"), false, &done);
        }
        sp__unlock(&link->port.lock);
        sp__batch_deliver(&done);
}

/* Events of this turn were handled before tasks: none can name it any more. */
static void end(struct sp__task *task)
{
        struct sp__link *link = SP__OF(task, struct sp__link, end);

        sp__timer_stop(link->engine, &link->timer);
        sp__lock(&link->port.lock);
        shut(link);
        sp__unlock(&link->port.lock);
        sp__port_destroy(&link->port);
        sp_error_free(link->last);
        sp__address_free(&link->address);
        sp_breaker_unref(link->options.breaker);
        free(link);
}

static void unref(struct sp__link *link)
{
        if (atomic_fetch_sub(&link->refs, 1) != 1)
                return;
        link->end.run = end;
        sp__list_init(&link->end.link);
        sp__engine_post(link->engine, &link->end);
}

void sp__link_free(struct sp__link *link)
{
        if (!link)
                return;
        if (sp__engine_forked(link->engine))
                sp__wire_close(&link->wire);
        else
                unref(link);
}
