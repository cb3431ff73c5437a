/* SPDX-License-Identifier: MIT */
#include "redis/sentinel.h"

#include "base/clock.h"
#include "base/thread.h"
#include "core/error.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

/* How often a breaker that refuses has the sentinels asked for another primary. */
#define LOOK_NS SP__SECOND

struct sp__sentinel {
        atomic_uint refs; /* the owner's, and each question's */
        struct sp__engine *engine;
        struct sp__address address;
        atomic_size_t first; /* who knew last */
        struct sp__guards *guards;
        _Atomic int64_t look_after; /* whoever is refused asks no earlier */
        sp__mutex lock;             /* a leaf; guards what follows */
        sp_breaker *breaker;        /* of the primary that was named last, or NULL */
        size_t count;
        struct sp__pipe *pipes[];
};

struct question {
        struct sp__sentinel *sentinel;
        struct sp__locate *locate;
        size_t first;
        size_t asked;
        sp_error *error; /* of who was asked first: the others fail for the same reason, or know less */
};

static void unref(struct sp__sentinel *sentinel)
{
        if (atomic_fetch_sub(&sentinel->refs, 1) != 1)
                return;
        for (size_t i = 0; i < sentinel->count; i++)
                sp__pipe_free(sentinel->pipes[i]);
        sp__address_free(&sentinel->address);
        sp_breaker_unref(sentinel->breaker);
        sp__guards_unref(sentinel->guards);
        sp__mutex_destroy(&sentinel->lock);
        free(sentinel);
}

static bool add_pipe(struct sp__sentinel *sentinel, const struct sp__place *place, const struct sp__address *who,
                     const struct sp__pipe_options *options)
{
        struct sp__address address;
        struct sp__pipe *pipe;

        if (!sp__address_at(&address, who, place->host, place->port))
                return false;
        pipe = sp__pipe_new(sentinel->engine, &address, options);
        sp__address_free(&address);
        if (pipe)
                sentinel->pipes[sentinel->count++] = pipe;
        return pipe != NULL;
}

static bool add_pipes(struct sp__sentinel *sentinel, const char *user, const char *password,
                      const struct sp__pipe_options *options)
{
        const struct sp__address *address = &sentinel->address;
        const struct sp__address who = {
            .tls = address->tls, .user = (char *)(uintptr_t)user, .password = (char *)(uintptr_t)password};
        const struct sp__pipe_options plain = {.connect_timeout = options->connect_timeout,
                                               .timeout = options->timeout,
                                               .tls = options->tls,
                                               .stats = options->stats};

        for (size_t i = 0; i < address->place_count; i++) {
                if (!add_pipe(sentinel, &address->places[i], &who, &plain))
                        return false;
        }
        return true;
}

struct sp__sentinel *sp__sentinel_new(struct sp__engine *engine, const struct sp__address *address, const char *user,
                                      const char *password, const struct sp__pipe_options *options,
                                      struct sp__guards *guards)
{
        struct sp__sentinel *sentinel = calloc(1, sizeof *sentinel + address->place_count * sizeof sentinel->pipes[0]);

        if (!sentinel)
                return NULL;
        atomic_init(&sentinel->refs, 1);
        sp__mutex_init(&sentinel->lock);
        sentinel->engine = engine;
        sentinel->guards = sp__guards_ref(guards);
        if (sp__address_copy(&sentinel->address, address) && add_pipes(sentinel, user, password, options))
                return sentinel;
        sp__sentinel_close(sentinel);
        sp__sentinel_free(sentinel);
        return NULL;
}

/* Takes the error; NULL: the address is there. */
static void answer(struct question *question, sp_error *error)
{
        struct sp__sentinel *sentinel = question->sentinel;
        struct sp__locate *locate = question->locate;

        sp_error_free(question->error);
        free(question);
        locate->error = error;
        locate->then(locate);
        unref(sentinel);
}

static void ask(struct question *question);

/* Takes the error. */
static void ask_next(struct question *question, sp_error *error)
{
        struct sp__sentinel *sentinel = question->sentinel;

        if (question->error)
                sp_error_free(error);
        else
                question->error = error;
        if (++question->asked < sentinel->count) {
                ask(question);
                return;
        }
        error = question->error;
        question->error = NULL;
        atomic_store(&sentinel->first, question->first + 1);
        answer(question, error ? error : sp__error_new(SP_NOMEM, NULL, "out of memory"));
}

/* A port of 1–65535; 0: it is none. */
static uint16_t port_of(const redisReply *reply)
{
        int64_t port;

        return sp__reply_int(reply, &port) && port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

/* From now on its breaker is asked. Without memory for one the former stays. */
static void name_primary(struct sp__sentinel *sentinel, const char *where)
{
        sp_breaker *named, *former;

        if (sp__guards_at(sentinel->guards, where, &named, NULL) != SP_OK || !named)
                return;
        sp__lock(&sentinel->lock);
        former = sentinel->breaker;
        sentinel->breaker = named;
        sp__unlock(&sentinel->lock);
        sp_breaker_unref(former);
}

sp_breaker *sp__sentinel_breaker(struct sp__sentinel *sentinel)
{
        sp_breaker *breaker;

        sp__lock(&sentinel->lock);
        breaker = sp_breaker_ref(sentinel->breaker);
        sp__unlock(&sentinel->lock);
        return breaker;
}

static void looked(struct sp__locate *locate)
{
        sp__address_free(&locate->address);
        sp_error_free(locate->error);
        free(locate);
}

/* What it is for is said by the answer's way through name_primary(). */
void sp__sentinel_refused(struct sp__sentinel *sentinel)
{
        int64_t now = sp__now(), after = atomic_load(&sentinel->look_after);
        struct sp__locate *locate;

        if (now < after || !atomic_compare_exchange_strong(&sentinel->look_after, &after, now + LOOK_NS))
                return;
        locate = calloc(1, sizeof *locate);
        if (!locate)
                return;
        locate->then = looked;
        sp__sentinel_find(sentinel, locate);
}

static void take_place(struct question *question, const redisReply *reply)
{
        struct sp__sentinel *sentinel = question->sentinel;
        const struct sp__address *address = &sentinel->address;
        size_t len;
        const char *host = sp__reply_bytes(sp__reply_at(reply, 0), &len);
        uint16_t port = port_of(sp__reply_at(reply, 1));

        if (!host || !port) {
                ask_next(question,
                         sp__error_new(SP_UNAVAILABLE, NULL, "Redis at %s: the sentinel knows no primary of that name",
                                       address->where));
        } else if (!sp__address_at(&question->locate->address, address, host, port)) {
                answer(question, sp__error_new(SP_NOMEM, NULL, "out of memory"));
        } else {
                atomic_store(&sentinel->first, question->first + question->asked);
                name_primary(sentinel, question->locate->address.where);
                answer(question, NULL);
        }
}

static void asked(sp__op *op)
{
        struct question *question = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *refused = op->status == SP_OK ? sp__command_refused(command) : NULL;

        if (op->status == SP_CLOSED)
                answer(question, sp__error_copy(op->error));
        else if (op->status != SP_OK)
                ask_next(question, sp__error_copy(op->error));
        else if (refused)
                ask_next(question, sp__redis_error(refused, question->sentinel->address.where));
        else
                take_place(question, command->replies[0]);
}

static void ask(struct question *question)
{
        struct sp__sentinel *sentinel = question->sentinel;
        struct sp__command *command = sp__command_new();

        if (!command) {
                answer(question, sp__error_new(SP_NOMEM, NULL, "out of memory"));
                return;
        }
        sp__command_begin(command, 3);
        sp__command_text(command, "SENTINEL");
        sp__command_text(command, "get-master-addr-by-name");
        sp__command_text(command, sentinel->address.service);
        command->op.then = asked;
        command->op.owner = question;
        sp__pipe_run(sentinel->pipes[(question->first + question->asked) % sentinel->count], command);
}

void sp__sentinel_find(struct sp__sentinel *sentinel, struct sp__locate *locate)
{
        struct question *question = calloc(1, sizeof *question);

        if (!question) {
                locate->error = sp__error_new(SP_NOMEM, NULL, "out of memory");
                locate->then(locate);
                return;
        }
        atomic_fetch_add(&sentinel->refs, 1);
        question->sentinel = sentinel;
        question->locate = locate;
        question->first = atomic_load(&sentinel->first);
        ask(question);
}

void sp__sentinel_close(struct sp__sentinel *sentinel)
{
        for (size_t i = 0; i < sentinel->count; i++)
                sp__pipe_close(sentinel->pipes[i]);
}

void sp__sentinel_free(struct sp__sentinel *sentinel)
{
        if (!sentinel)
                return;
        if (!sp__engine_forked(sentinel->engine)) {
                unref(sentinel);
                return;
        }
        for (size_t i = 0; i < sentinel->count; i++)
                sp__pipe_free(sentinel->pipes[i]);
}
