/* SPDX-License-Identifier: MIT */
/* How a pipe comes to stand: where the server is, its number, the connection, who we are there. */
#include "redis/pipe_internal.h"

#include "core/error.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

/* One of the host's numbers after the other; of those that do not answer at all, another one at each attempt. */
static const char *number_of(struct sp__pipe *pipe)
{
        const struct sp__numbers *numbers = &pipe->resolve.numbers;

        if (!sp__address_named(&pipe->address))
                return NULL;
        return numbers->text[(pipe->attempts + pipe->next) % numbers->count];
}

static bool has_more_numbers(const struct sp__pipe *pipe)
{
        return sp__address_named(&pipe->address) && pipe->next + 1 < pipe->resolve.numbers.count;
}

static bool try_number(struct sp__pipe *pipe)
{
        int fd = sp__wire_open(&pipe->wire, &pipe->address, number_of(pipe), pipe->options.tls);

        if (fd < 0)
                return false;
        pipe->state = SP__PIPE_CONNECTING;
        sp__port_attach(&pipe->port, fd, EPOLLIN | EPOLLOUT);
        return true;
}

/* From the next number on. */
static bool try_others(struct sp__pipe *pipe)
{
        while (has_more_numbers(pipe)) {
                pipe->next++;
                if (try_number(pipe))
                        return true;
        }
        return false;
}

static void attach(struct sp__pipe *pipe, struct sp__batch *done)
{
        pipe->next = 0;
        if (!try_number(pipe) && !try_others(pipe))
                sp__pipe_break(pipe, sp__pipe_unreachable(pipe, pipe->wire.reason), true, done);
}

/* The answer to a question came, of this attempt or of an earlier one. The lock is taken here, and let go of. */
static void go_on(struct sp__pipe *pipe, enum sp__pipe_state asked, void (*step)(struct sp__pipe *, struct sp__batch *))
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&pipe->port.lock);
        pipe->asking = false;
        if (pipe->state == asked)
                step(pipe, &done);
        else if (pipe->state == SP__PIPE_LOCATING || pipe->state == SP__PIPE_RESOLVING)
                sp__pipe_connect(pipe, &done);
        if (pipe->state == SP__PIPE_CONNECTING)
                sp__port_engage(&pipe->port);
        sp__unlock(&pipe->port.lock);
        sp__batch_deliver(&done);
        sp__pipe_unref(pipe);
}

static void take_numbers(struct sp__pipe *pipe, struct sp__batch *done)
{
        if (pipe->resolve.reason)
                sp__pipe_break(pipe, sp__pipe_unreachable(pipe, pipe->resolve.reason), true, done);
        else
                attach(pipe, done);
}

static void resolved(struct sp__resolving *resolve)
{
        go_on(SP__OF(resolve, struct sp__pipe, resolve), SP__PIPE_RESOLVING, take_numbers);
}

static void resolve(struct sp__pipe *pipe, struct sp__batch *done)
{
        if (!sp__address_named(&pipe->address)) {
                attach(pipe, done);
                return;
        }
        pipe->state = SP__PIPE_RESOLVING;
        pipe->asking = true;
        atomic_fetch_add(&pipe->refs, 1);
        pipe->resolve.host = pipe->address.host;
        pipe->resolve.then = resolved;
        sp__resolve_start(&pipe->resolve, pipe->engine);
}

static void take_address(struct sp__pipe *pipe, struct sp__batch *done)
{
        sp_error *error = pipe->locate.error;

        pipe->locate.error = NULL;
        if (error) {
                sp__pipe_break(pipe, error, true, done);
                return;
        }
        sp__address_free(&pipe->address);
        pipe->address = pipe->locate.address;
        pipe->locate.address = (struct sp__address){.port = 0};
        resolve(pipe, done);
}

static void located(struct sp__locate *locate)
{
        go_on(SP__OF(locate, struct sp__pipe, locate), SP__PIPE_LOCATING, take_address);
}

/* On the engine's thread, for whoever is asked may take locks and answer at once. */
static void ask_for_place(struct sp__task *task)
{
        struct sp__pipe *pipe = SP__OF(task, struct sp__pipe, resolve.task);

        sp_error_free(pipe->locate.error);
        pipe->locate.error = NULL;
        sp__address_free(&pipe->locate.address);
        pipe->locate.then = located;
        pipe->options.locate(pipe->options.locate_arg, &pipe->locate);
}

/* A question that is still out from an earlier attempt, which was given up, is waited for: its answer serves this one too. */
void sp__pipe_connect(struct sp__pipe *pipe, struct sp__batch *done)
{
        if (!pipe->options.locate && !pipe->asking) {
                resolve(pipe, done);
                return;
        }
        pipe->state = pipe->options.locate ? SP__PIPE_LOCATING : SP__PIPE_RESOLVING;
        if (pipe->asking)
                return;
        pipe->asking = true;
        atomic_fetch_add(&pipe->refs, 1);
        sp__list_init(&pipe->resolve.task.link);
        pipe->resolve.task.run = ask_for_place;
        sp__engine_post(pipe->engine, &pipe->resolve.task);
}

/* Who we are at once; then what the server is and what its life is called; then the owner's own greeting. */
static void greet(struct sp__pipe *pipe)
{
        pipe->state = SP__PIPE_GREETING;
        memset(&pipe->greeting, 0, sizeof pipe->greeting);
        pipe->greeting.due = sp__wire_greet(&pipe->wire, &pipe->address);
        pipe->greeting.select = pipe->address.db != 0;
        pipe->greeting.auths = pipe->greeting.due - pipe->greeting.select;
        pipe->greeting.role = pipe->options.primary;
        pipe->greeting.info = pipe->options.greet != NULL;
        if (pipe->greeting.role)
                sp__wire_put(&pipe->wire, (const char *[]){"ROLE"}, 1);
        if (pipe->greeting.info)
                sp__wire_put(&pipe->wire, (const char *[]){"INFO", "server"}, 2);
        pipe->greeting.due += pipe->greeting.role + pipe->greeting.info;
        /* Only an answer proves that the server took us, after TLS. */
        if (pipe->greeting.due == 0 && pipe->address.tls) {
                sp__wire_put(&pipe->wire, (const char *[]){"PING"}, 1);
                pipe->greeting.due++;
        }
        if (pipe->greeting.due == 0)
                sp__pipe_stand(pipe);
}

void sp__pipe_connected(struct sp__pipe *pipe, struct sp__batch *done)
{
        if (sp__wire_stands(&pipe->wire)) {
                greet(pipe);
                return;
        }
        if (has_more_numbers(pipe)) {
                sp__port_detach(&pipe->port);
                sp__wire_close(&pipe->wire);
                if (try_others(pipe)) {
                        sp__port_engage(&pipe->port);
                        return;
                }
        }
        sp__pipe_break(pipe, sp__pipe_unreachable(pipe, pipe->wire.reason), true, done);
}

static void read_run_id(const redisReply *reply, char out[SP__RUN_ID])
{
        size_t len;
        const char *text = sp__reply_bytes(reply, &len), *at = text ? strstr(text, "run_id:") : NULL;

        if (!at || sscanf(at, "run_id:%63[0-9a-zA-Z]", out) != 1)
                snprintf(out, SP__RUN_ID, "unknown-%016llx", (unsigned long long)sp__random_seed());
}

static void greet_owner(struct sp__pipe *pipe, const redisReply *info)
{
        char run_id[SP__RUN_ID];

        read_run_id(info, run_id);
        if (pipe->options.greet(pipe->options.arg, run_id, &pipe->wire.out))
                pipe->greeting.due++;
}

static bool begins_with(const redisReply *reply, const char *word)
{
        return strncmp(reply->str, word, strlen(word)) == 0;
}

static bool strays(const redisReply *reply)
{
        return begins_with(reply, "MOVED") || begins_with(reply, "ASK") || begins_with(reply, "CLUSTERDOWN") ||
               begins_with(reply, "TRYAGAIN");
}

static bool refuse(struct sp__pipe *pipe, sp_error *why, struct sp__batch *done)
{
        sp__pipe_break(pipe, why, true, done);
        return false;
}

/* A password that the server does not want, a database that it has not: a mistake of the configuration, no outage. */
static sp_error *unwelcome(const struct sp__pipe *pipe, const redisReply *reply, sp_status status, const char *what)
{
        sp_error *error = sp__redis_error(reply, pipe->address.where);

        if (!error || sp_error_status(error) != SP_REDIS)
                return error;
        sp_error_free(error);
        return sp__error_new(status, NULL, "Redis at %s refused %s of redis.url: %s", pipe->address.where, what,
                             reply->str);
}

static bool authenticated(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done)
{
        pipe->greeting.auths--;
        return reply->type != REDIS_REPLY_ERROR ||
               refuse(pipe, unwelcome(pipe, reply, SP_AUTH, "the user or the password"), done);
}

static bool selected(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done)
{
        char what[32];

        pipe->greeting.select = false;
        snprintf(what, sizeof what, "database %d", pipe->address.db);
        return reply->type != REDIS_REPLY_ERROR || refuse(pipe, unwelcome(pipe, reply, SP_CONFIG, what), done);
}

/* Where ROLE is not allowed to us the server is taken at the sentinel's word. */
static bool is_primary(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done)
{
        size_t len;
        const char *role = sp__reply_bytes(sp__reply_at(reply, 0), &len);

        pipe->greeting.role = false;
        if (reply->type == REDIS_REPLY_ERROR && !begins_with(reply, "NOPERM"))
                return refuse(pipe, sp__redis_error(reply, pipe->address.where), done);
        return !role || (len == 6 && memcmp(role, "master", 6) == 0) ||
               refuse(pipe, sp__pipe_unreachable(pipe, "it is a replica, the primary is expected there"), done);
}

static bool owner_greeted(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done)
{
        if (reply->type != REDIS_REPLY_ERROR)
                return true;
        if (!pipe->options.strayed || !strays(reply))
                return refuse(pipe, sp__redis_error(reply, pipe->address.where), done);
        pipe->options.strayed(pipe->options.arg);
        return true;
}

bool sp__pipe_greeted(struct sp__pipe *pipe, const redisReply *reply, struct sp__batch *done)
{
        bool good = true;

        if (pipe->greeting.auths) {
                good = authenticated(pipe, reply, done);
        } else if (pipe->greeting.select) {
                good = selected(pipe, reply, done);
        } else if (pipe->greeting.role) {
                good = is_primary(pipe, reply, done);
        } else if (pipe->greeting.info) {
                pipe->greeting.info = false;
                greet_owner(pipe, reply);
        } else {
                good = owner_greeted(pipe, reply, done);
        }
        if (good && --pipe->greeting.due == 0)
                sp__pipe_stand(pipe);
        return good;
}
