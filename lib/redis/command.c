/* SPDX-License-Identifier: MIT */
#include "redis/command.h"

#include "core/error.h"
#include "redis/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cancel(sp__op *op, sp_status why)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(op, why, sp__error_new(why, NULL, "a trip to Redis: %s", sp_status_text(why)), &done);
        sp__batch_deliver(&done);
}

/*
 * The answer is the server's, whatever it says; an error in it that speaks of the server's state counts against it. TRYAGAIN does
 * not: the keys of a slot are in two places while it moves, which two well nodes say each time that somebody asks for more than one.
 */
static int outcome_of(const sp__op *op, const redisReply *refused)
{
        bool answered = op->status == SP_OK || op->status == SP_REDIS;
        char code[SP__CODE_MAX] = "";
        sp_status status = op->status;
        int outcome;

        if (refused)
                status = sp__redis_status(refused, code);
        else if (op->error)
                snprintf(code, sizeof code, "%s", sp_error_code(op->error));
        if (answered && strcmp(code, "TRYAGAIN") == 0)
                return SP_OUTCOME_SUCCESS;
        outcome = sp_breaker_classify(status, code);
        return answered && outcome == SP_OUTCOME_IGNORED ? SP_OUTCOME_SUCCESS : outcome;
}

static void settled(sp__op *op)
{
        struct sp__command *command = SP__OF(op, struct sp__command, op);

        if (command->kind && command->kind->settled)
                command->kind->settled(command);
        if (command->breaker)
                sp_breaker_record(command->breaker, command->permit,
                                  outcome_of(op, op->status == SP_OK ? sp__command_refused(command) : NULL),
                                  sp__now() - command->since);
}

static void destroy(sp__op *op)
{
        struct sp__command *command = sp__command_of(op);

        for (unsigned i = 0; i < command->got; i++) {
                if (command->replies[i])
                        freeReplyObject(command->replies[i]);
        }
        if (command->replies != command->few)
                free(command->replies);
        sp__buf_free(&command->request);
        sp_breaker_unref(command->breaker);
        free(command);
}

static const struct sp__op_kind command_kind = {.cancel = cancel, .settled = settled, .destroy = destroy};

struct sp__command *sp__command_new(void)
{
        struct sp__command *command = calloc(1, sizeof *command);

        if (command)
                sp__command_init(command, NULL, NULL);
        return command;
}

void sp__command_init(struct sp__command *command, const struct sp__command_kind *kind, sp_ctx *ctx)
{
        sp__op_init(&command->op, &command_kind, ctx, SP__FOREVER);
        command->kind = kind;
        command->replies = command->few;
        command->room = SP__TRIP_FEW;
}

bool sp__command_make_room(struct sp__command *command, unsigned replies)
{
        unsigned room = command->room;
        redisReply **more;

        if (replies <= room)
                return true;
        while (room < replies)
                room *= 2;
        more = calloc(room, sizeof *more);
        if (!more) {
                command->request.failed = true;
                return false;
        }
        memcpy(more, command->replies, command->due * sizeof *more);
        if (command->replies != command->few)
                free(command->replies);
        command->replies = more;
        command->room = room;
        return true;
}

void sp__command_answer(struct sp__command *command, const char *where, struct sp__batch *done)
{
        if (command->kind && command->kind->answer)
                command->kind->answer(command, where, done);
        else
                sp__op_yield(&command->op, SP__YIELD_NONE, NULL, NULL, done);
}

sp_error *sp__command_guard(struct sp__command *command, sp_breaker *breaker)
{
        /* Who comes after its time is up hears nothing of the server, and says nothing of it. */
        if (!breaker || command->op.deadline <= sp__now())
                return NULL;
        if (sp_breaker_acquire(breaker, &command->permit) != SP_OK)
                return sp__error_new(SP_OPEN, NULL, "circuit breaker \"%s\" is open", sp_breaker_name(breaker));
        command->breaker = sp_breaker_ref(breaker);
        command->since = sp__now();
        return NULL;
}

void sp__command_refuse(struct sp__command *command, sp_error *error)
{
        struct sp__batch done;

        sp__batch_init(&done);
        sp__op_fail(&command->op, error ? sp_error_status(error) : SP_NOMEM, error, &done);
        sp__op_unref(&command->op);
        sp__batch_deliver(&done);
}

void sp__command_free(struct sp__command *command)
{
        if (command)
                sp__op_unref(&command->op);
}

void sp__command_begin(struct sp__command *command, size_t words)
{
        sp__resp_head(&command->request, words);
        if (sp__command_make_room(command, command->due + 1))
                command->due++;
}

void sp__command_arg(struct sp__command *command, const void *data, size_t len)
{
        sp__resp_bulk(&command->request, data, len);
}

void sp__command_text(struct sp__command *command, const char *text)
{
        sp__resp_bulk(&command->request, text, strlen(text));
}

void sp__command_int(struct sp__command *command, int64_t value)
{
        char text[24];

        snprintf(text, sizeof text, "%lld", (long long)value);
        sp__command_text(command, text);
}

bool sp__command_noscript(const struct sp__command *command)
{
        for (unsigned i = 0; i < command->got; i++) {
                const redisReply *reply = command->replies[i];

                if (reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0)
                        return true;
        }
        return false;
}

const redisReply *sp__command_refused(const struct sp__command *command)
{
        for (unsigned i = 0; i < command->got; i++) {
                if (command->replies[i] && command->replies[i]->type == REDIS_REPLY_ERROR)
                        return command->replies[i];
        }
        return NULL;
}

const char *sp__reply_bytes(const redisReply *reply, size_t *len)
{
        if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) || !reply->str)
                return NULL;
        /* An int in hiredis 0.14, a size_t since. */
        *len = (size_t)reply->len;
        return reply->str;
}

bool sp__reply_int(const redisReply *reply, int64_t *value)
{
        const char *text;
        char *end;
        size_t len;

        if (reply && reply->type == REDIS_REPLY_INTEGER) {
                *value = reply->integer;
                return true;
        }
        text = sp__reply_bytes(reply, &len);
        if (!text || len == 0)
                return false;
        errno = 0;
        *value = strtoll(text, &end, 10);
        return errno == 0 && end == text + len;
}

const redisReply *sp__reply_at(const redisReply *reply, size_t index)
{
        if (!reply || reply->type != REDIS_REPLY_ARRAY || index >= (size_t)reply->elements)
                return NULL;
        return reply->element[index];
}
