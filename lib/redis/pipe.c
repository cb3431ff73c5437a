/* SPDX-License-Identifier: MIT */
#include "redis/pipe_internal.h"

#include "core/error.h"
#include "loop/exit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PAUSE_FIRST (20 * SP__MS)
#define PAUSE_MOST  SP__SECOND
#define IDLE        (10 * SP__MS)
/* A server that cannot write is left for another one, or for itself as something else, but not at every refusal. */
#define STAY SP__SECOND

enum { HOLD_MAX = 1 << 16 };

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

/* What was sent may have taken effect. */
static void refuse_sent(struct sp__command *command, const sp_error *why, struct sp__batch *done)
{
        sp_error *lost = NULL;

        command->sent = true;
        if (command->strict && why && sp_error_status(why) == SP_UNAVAILABLE)
                lost = sp__error_new(SP_LOST, NULL, "%s", sp_error_message(why));
        refuse(command, lost ? lost : why, done);
        sp_error_free(lost);
}

static void refuse_all(struct sp__pipe *pipe, const sp_error *why, struct sp__batch *done)
{
        struct sp__list *link;

        while ((link = sp__list_pop(&pipe->flying)))
                refuse_sent(sp__command_of(SP__OF(link, sp__op, link)), why, done);
        while ((link = sp__list_pop(&pipe->waiting)))
                refuse(sp__command_of(SP__OF(link, sp__op, link)), why, done);
}

void sp__pipe_shut(struct sp__pipe *pipe)
{
        if (pipe->state == SP__PIPE_UP)
                atomic_fetch_sub(&pipe->options.stats->standing, 1);
        if (pipe->port.fd >= 0)
                sp__port_detach(&pipe->port);
        sp__wire_close(&pipe->wire);
        pipe->state = SP__PIPE_DOWN;
        pipe->groups = 0;
        pipe->last = NULL;
        pipe->leaving = false;
}

static void pause_next(struct sp__pipe *pipe)
{
        unsigned doublings = pipe->failures < 8 ? pipe->failures : 8;
        int64_t pause = PAUSE_FIRST << doublings;

        if (pause > PAUSE_MOST)
                pause = PAUSE_MOST;
        pause = (int64_t)((double)pause * (0.5 + sp__random_unit(&pipe->random) / 2));
        /* A connection that stood may be made again at once: the server may just have restarted. */
        pipe->pause_until = pipe->failures ? sp__now() + pause : 0;
        pipe->failures++;
}

void sp__pipe_break(struct sp__pipe *pipe, sp_error *why, bool drives, struct sp__batch *done)
{
        sp_error_free(pipe->why);
        pipe->why = why;
        if (!pipe->closed)
                atomic_fetch_add(&pipe->options.stats->lost, 1);
        pause_next(pipe);
        refuse_all(pipe, why, done);
        pipe->last = NULL;
        if (drives || pipe->port.driver == SP__DRIVER_FREE || pipe->port.fd < 0) {
                sp__pipe_shut(pipe);
                return;
        }
        if (pipe->state == SP__PIPE_UP)
                atomic_fetch_sub(&pipe->options.stats->standing, 1);
        pipe->state = SP__PIPE_BREAKING;
        sp__wire_break(&pipe->wire);
        sp__port_want(&pipe->port, EPOLLIN);
}

/* A server that is not whom we trust is no outage. */
sp_error *sp__pipe_unreachable(const struct sp__pipe *pipe, const char *reason)
{
        return sp__error_new(pipe->wire.distrusted ? SP_CONFIG : SP_UNAVAILABLE, NULL, "Redis at %s: %s",
                             pipe->address.where, reason);
}

/* Sends what there is. false: it broke. */
static bool push_out(struct sp__pipe *pipe, bool drives, struct sp__batch *done)
{
        if (pipe->last) {
                pipe->last->closes = true;
                pipe->last = NULL;
                pipe->groups++;
        }
        if (!sp__wire_flush(&pipe->wire)) {
                sp__pipe_break(pipe, sp__pipe_unreachable(pipe, pipe->wire.reason), drives, done);
                return false;
        }
        sp__port_want(&pipe->port, sp__wire_pending(&pipe->wire) ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return true;
}

static bool talks(const struct sp__pipe *pipe)
{
        return pipe->state == SP__PIPE_UP || pipe->state == SP__PIPE_GREETING;
}

static void flush(struct sp__port *port, struct sp__batch *done)
{
        if (talks(sp__pipe_of(port)))
                push_out(sp__pipe_of(port), false, done);
}

static void put(struct sp__pipe *pipe, struct sp__command *command)
{
        sp__buf_add(&pipe->wire.out, command->request.data, command->request.len);
        sp__buf_free(&command->request);
        sp__list_push(&pipe->flying, &command->op.link);
        pipe->last = command;
}

void sp__pipe_stand(struct sp__pipe *pipe)
{
        struct sp__list *first;

        pipe->state = SP__PIPE_UP;
        pipe->stood = true;
        pipe->stands_at = sp__now();
        pipe->failures = 0;
        pipe->attempts = 0;
        atomic_fetch_add(&pipe->options.stats->connected, 1);
        atomic_fetch_add(&pipe->options.stats->standing, 1);
        while ((first = sp__list_pop(&pipe->waiting))) {
                struct sp__command *command = sp__command_of(SP__OF(first, sp__op, link));

                /* Nobody wants it any more, and it did not leave. */
                if (sp__op_pending(&command->op))
                        put(pipe, command);
                else
                        sp__op_unref(&command->op);
        }
}

static bool is_read_only(const redisReply *reply)
{
        return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "READONLY", 8) == 0;
}

/* Takes the reply. false: nobody asked for it. */
static bool answered(struct sp__pipe *pipe, redisReply *reply, struct sp__batch *done)
{
        struct sp__command *command = first_of(&pipe->flying);

        if (!command) {
                freeReplyObject(reply);
                return false;
        }
        if (is_read_only(reply) && pipe->used_at - pipe->stands_at > STAY)
                pipe->leaving = true;
        command->replies[command->got++] = reply;
        if (command->got < command->due)
                return true;
        pipe->groups -= command->closes;
        /* It was not sent yet, and is answered all the same. */
        if (pipe->last == command)
                pipe->last = NULL;
        sp__list_remove(&command->op.link);
        sp__histogram_record(pipe->options.stats->trips, pipe->used_at - command->since);
        sp__command_answer(command, pipe->address.where, done);
        sp__op_unref(&command->op);
        return true;
}

static void nonsense(struct sp__pipe *pipe, struct sp__batch *done)
{
        sp__pipe_break(
            pipe, sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", pipe->address.where),
            true, done);
}

/* All that is there. false: it broke. */
static bool take_replies(struct sp__pipe *pipe, struct sp__batch *done)
{
        redisReply *reply = NULL;

        while (true) {
                if (!sp__wire_next(&pipe->wire, &reply)) {
                        nonsense(pipe, done);
                        return false;
                }
                if (!reply)
                        return true;
                if (pipe->state == SP__PIPE_UP) {
                        if (answered(pipe, reply, done))
                                continue;
                        nonsense(pipe, done);
                        return false;
                }
                if (!sp__pipe_greeted(pipe, reply, done)) {
                        freeReplyObject(reply);
                        return false;
                }
                freeReplyObject(reply);
        }
}

static void read_replies(struct sp__pipe *pipe, struct sp__batch *done)
{
        bool open = sp__wire_read(&pipe->wire);
        char reason[sizeof pipe->wire.reason];

        memcpy(reason, pipe->wire.reason, sizeof reason);
        pipe->used_at = sp__now();
        if (take_replies(pipe, done) && !open)
                sp__pipe_break(pipe, sp__pipe_unreachable(pipe, reason), true, done);
}

/* The last answer of a server that is being left: what came meanwhile goes to the next one. */
static bool left(struct sp__pipe *pipe, struct sp__batch *done)
{
        if (!pipe->leaving || !sp__list_empty(&pipe->flying))
                return false;
        sp__pipe_shut(pipe);
        if (sp__list_empty(&pipe->waiting))
                return true;
        sp__pipe_connect(pipe, done);
        if (pipe->port.fd >= 0)
                sp__port_engage(&pipe->port);
        return true;
}

static void ready(struct sp__port *port, uint32_t events, struct sp__batch *done)
{
        struct sp__pipe *pipe = sp__pipe_of(port);

        if (pipe->state == SP__PIPE_BREAKING)
                sp__pipe_shut(pipe);
        else if (pipe->state == SP__PIPE_CONNECTING)
                sp__pipe_connected(pipe, done);
        else if (events & ~(uint32_t)EPOLLOUT)
                read_replies(pipe, done);
        if (talks(pipe) && !left(pipe, done))
                push_out(pipe, true, done);
}

static bool busy(const struct sp__port *port)
{
        const struct sp__pipe *pipe = SP__OF(port, const struct sp__pipe, port);

        return pipe->state != SP__PIPE_UP || !sp__list_empty(&pipe->flying) || sp__wire_pending(&pipe->wire);
}

static const struct sp__port_kind pipe_kind = {.ready = ready, .flush = flush, .busy = busy};

static int64_t next_overdue(struct sp__pipe *pipe)
{
        struct sp__command *flying = first_of(&pipe->flying), *waiting = first_of(&pipe->waiting);
        int64_t at = flying ? flying->overdue_at : SP__FOREVER;

        return waiting && waiting->overdue_at < at ? waiting->overdue_at : at;
}

static void watch_time(struct sp__pipe *pipe)
{
        int64_t at;

        if (pipe->timed)
                return;
        at = next_overdue(pipe);
        if (at != SP__FOREVER)
                pipe->timed = sp__timer_set(pipe->engine, &pipe->timer, at);
}

static void give_up(struct sp__pipe *pipe, struct sp__batch *done)
{
        const char *what = "no connection in time (redis.connect_timeout)";

        if (pipe->state == SP__PIPE_UP)
                what = "no answer in time (redis.timeout)";
        else if (pipe->state == SP__PIPE_GREETING && sp__wire_unsealed(&pipe->wire))
                what = "no answer to TLS in time (redis.connect_timeout): does it speak TLS?";
        if (pipe->state == SP__PIPE_CONNECTING)
                pipe->attempts++;
        sp__pipe_break(pipe, sp__error_new(SP_UNAVAILABLE, NULL, "Redis at %s: %s", pipe->address.where, what), false,
                       done);
}

static void overdue(struct sp__timer *timer)
{
        struct sp__pipe *pipe = SP__OF(timer, struct sp__pipe, timer);
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pipe->port.lock);
        pipe->timed = false;
        if (next_overdue(pipe) <= sp__now())
                give_up(pipe, &done);
        watch_time(pipe);
        sp__unlock(&pipe->port.lock);
        sp__batch_deliver(&done);
}

/* Nobody looked at it for a while: was it closed? */
static bool went_away(struct sp__pipe *pipe, int64_t now)
{
        return pipe->state == SP__PIPE_UP && pipe->port.driver == SP__DRIVER_FREE && now - pipe->used_at > IDLE &&
               sp__wire_dead(&pipe->wire);
}

/* Answers are due: whoever drives sends it with what else comes until then. */
static bool holds_back(const struct sp__pipe *pipe)
{
        return pipe->groups >= SP__PIPE_GROUPS && pipe->wire.out.len < HOLD_MAX;
}

/* The port's lock is held. */
static void submit(struct sp__pipe *pipe, struct sp__command *command, struct sp__batch *done)
{
        bool idle = sp__list_empty(&pipe->flying) && sp__list_empty(&pipe->waiting);
        int64_t now = sp__now();
        bool up;

        if (went_away(pipe, now))
                sp__pipe_shut(pipe);
        if (pipe->closed || pipe->state == SP__PIPE_BREAKING ||
            (pipe->state == SP__PIPE_DOWN && now < pipe->pause_until)) {
                refuse(command, pipe->why, done);
                return;
        }
        up = pipe->state == SP__PIPE_UP && !pipe->leaving;
        command->since = now;
        command->overdue_at = now + pipe->options.timeout + (up ? 0 : pipe->options.connect_timeout);
        if (up)
                put(pipe, command);
        else
                sp__list_push(&pipe->waiting, &command->op.link);
        if (pipe->state == SP__PIPE_DOWN)
                sp__pipe_connect(pipe, done);
        if (pipe->port.fd >= 0 && pipe->state != SP__PIPE_BREAKING)
                sp__port_enter(&pipe->port, command->op.caller, idle);
        watch_time(pipe);
        if (up && !holds_back(pipe))
                sp__port_flush(&pipe->port, idle, done);
}

void sp__pipe_run(struct sp__pipe *pipe, struct sp__command *command)
{
        sp__op *caller = command->op.caller;
        struct sp__batch done;

        if (caller && atomic_load(&caller->port) != &pipe->port)
                sp__op_leave(caller);
        sp__batch_init(&done);
        sp__lock(&pipe->port.lock);
        if (command->request.failed)
                refuse(command, NULL, &done);
        else
                submit(pipe, command, &done);
        sp__unlock(&pipe->port.lock);
        sp__batch_deliver(&done);
}

bool sp__pipe_stood(struct sp__pipe *pipe)
{
        bool stood;

        sp__lock(&pipe->port.lock);
        stood = pipe->stood;
        sp__unlock(&pipe->port.lock);
        return stood;
}

struct sp__pipe *sp__pipe_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__pipe_options *options)
{
        struct sp__pipe *pipe = calloc(1, sizeof *pipe);

        if (!pipe)
                return NULL;
        if (!sp__address_copy(&pipe->address, address) || !sp__port_init(&pipe->port, &pipe_kind, engine)) {
                sp__address_free(&pipe->address);
                free(pipe);
                return NULL;
        }
        pipe->engine = engine;
        pipe->options = *options;
        sp__redis_stats_ref(options->stats);
        if (options->tls)
                SSL_CTX_up_ref(options->tls);
        atomic_init(&pipe->refs, 1);
        sp__list_init(&pipe->flying);
        sp__list_init(&pipe->waiting);
        pipe->random.state = sp__random_seed();
        pipe->timer.fire = overdue;
        return pipe;
}

void sp__pipe_rest(struct sp__pipe *pipe)
{
        sp__lock(&pipe->port.lock);
        if (pipe->state == SP__PIPE_UP && pipe->port.driver == SP__DRIVER_FREE && sp__list_empty(&pipe->flying))
                sp__pipe_shut(pipe);
        sp__unlock(&pipe->port.lock);
}

void sp__pipe_close(struct sp__pipe *pipe)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pipe->port.lock);
        if (!pipe->closed) {
                pipe->closed = true;
                sp__pipe_break(pipe, sp__error_new(SP_CLOSED, NULL, "closed"), false, &done);
        }
        sp__unlock(&pipe->port.lock);
        sp__batch_deliver(&done);
}

/* Events of this turn were handled before tasks: none can name it any more. */
static void end(struct sp__task *task)
{
        struct sp__pipe *pipe = SP__OF(task, struct sp__pipe, end);

        sp__timer_stop(pipe->engine, &pipe->timer);
        sp__lock(&pipe->port.lock);
        sp__pipe_shut(pipe);
        sp__unlock(&pipe->port.lock);
        sp__port_destroy(&pipe->port);
        sp_error_free(pipe->why);
        sp_error_free(pipe->locate.error);
        sp__address_free(&pipe->locate.address);
        sp__address_free(&pipe->address);
        sp__redis_stats_unref(pipe->options.stats);
        SSL_CTX_free(pipe->options.tls);
        free(pipe);
}

void sp__pipe_unref(struct sp__pipe *pipe)
{
        if (atomic_fetch_sub(&pipe->refs, 1) != 1)
                return;
        pipe->end.run = end;
        sp__list_init(&pipe->end.link);
        sp__engine_post(pipe->engine, &pipe->end);
}

void sp__pipe_free(struct sp__pipe *pipe)
{
        if (!pipe)
                return;
        if (!sp__engine_forked(pipe->engine))
                sp__pipe_unref(pipe);
        else if (!sp__exit_begun())
                sp__wire_close(&pipe->wire);
}
