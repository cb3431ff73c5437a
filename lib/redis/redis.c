/* SPDX-License-Identifier: MIT */
/* A call is a command that is its own operation: its one reply, or the error in its place, is the outcome. */
#include "redis/redis.h"

#include "core/config.h"
#include "core/error.h"
#include "core/params.h"
#include "loop/limit.h"
#include "loop/port.h"
#include "redis/slot.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

struct sp_redis {
        struct sp__engine *engine;
        struct sp__link *link;
        bool own; /* both */
        atomic_bool closed;
};

struct call {
        struct sp__command command; /* first: it is freed as one */
        struct sp__engine *engine;
        struct sp__limit limit;
};

static struct call *call_of(struct sp__command *command)
{
        return SP__OF(command, struct call, command);
}

static void free_reply(void *reply)
{
        freeReplyObject(reply);
}

static void answer(struct sp__command *command, const char *where, struct sp__batch *done)
{
        redisReply *reply = command->replies[0];

        if (reply->type == REDIS_REPLY_ERROR) {
                sp_error *error = sp__redis_error(reply, where);

                sp__op_fail(&command->op, error ? sp_error_status(error) : SP_NOMEM, error, done);
                return;
        }
        command->replies[0] = NULL;
        sp__op_yield(&command->op, SP__YIELD_REPLY, reply, free_reply, done);
}

static void settled(struct sp__command *command)
{
        struct call *call = call_of(command);

        sp__limit_stop(&call->limit, call->engine);
}

/* A blocked caller minds the time itself. */
static void shared(struct sp__command *command)
{
        struct call *call = call_of(command);

        if (!command->op.waits)
                sp__limit_set(&call->limit, call->engine, &command->op);
        if (sp__op_enlist(&command->op) != SP_OK)
                command->op.kind->cancel(&command->op, SP_CANCELLED);
}

static const struct sp__command_kind call_kind = {.shared = shared, .answer = answer, .settled = settled};

static bool is_one_of(const struct sp__word *word, const char *const list[])
{
        for (size_t i = 0; list[i]; i++) {
                if (sp__word_is(word, list[i]))
                        return true;
        }
        return false;
}

static struct sp__word word_at(const struct sp__params_view *view, int index)
{
        return (struct sp__word){.data = view->values[index], .len = (size_t)view->lengths[index]};
}

static bool has_word(const struct sp__params_view *view, const char *text)
{
        for (int i = 1; i < view->count; i++) {
                struct sp__word word = word_at(view, i);

                if (sp__word_is(&word, text))
                        return true;
        }
        return false;
}

/* Why everybody else on the connection would suffer; NULL: they would not. */
static const char *harm(const struct sp__params_view *view)
{
        static const char *const blocking[] = {"BLPOP",  "BRPOP",  "BRPOPLPUSH", "BLMOVE",  "BZPOPMIN", "BZPOPMAX",
                                               "BLMPOP", "BZMPOP", "WAIT",       "WAITAOF", NULL};
        static const char *const changing[] = {
            "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "MONITOR",  "MULTI",
            "EXEC",      "DISCARD",    "WATCH",      "UNWATCH",     "AUTH",         "HELLO",        "SELECT",   "QUIT",
            "RESET",     "ASKING",     "READONLY",   "READWRITE",   "SYNC",         "PSYNC",        "REPLCONF", NULL};
        static const char *const of_client[] = {"REPLY", "TRACKING", "CACHING", NULL};
        struct sp__word name = word_at(view, 0), second;

        if (is_one_of(&name, blocking))
                return "would block";
        if ((sp__word_is(&name, "XREAD") || sp__word_is(&name, "XREADGROUP")) && has_word(view, "BLOCK"))
                return "with BLOCK would block";
        if (is_one_of(&name, changing))
                return "would change";
        if (view->count < 2)
                return NULL;
        second = word_at(view, 1);
        return (sp__word_is(&name, "CLIENT") && is_one_of(&second, of_client)) ||
                       (sp__word_is(&name, "SCRIPT") && sp__word_is(&second, "DEBUG"))
                   ? "of that kind would change"
                   : NULL;
}

static sp_status check_words(const struct sp__params_view *view, sp_error **error)
{
        size_t all = 0;
        const char *why;

        if (view->count == 0)
                return sp__fail(error, SP_INVALID, "a command has a word at least");
        for (int i = 0; i < view->count; i++) {
                if (!view->values[i])
                        return sp__fail(error, SP_INVALID, "word %d of the command is NULL, which Redis has not",
                                        i + 1);
                all += (size_t)view->lengths[i];
        }
        if (all > SP_REDIS_COMMAND_MAX)
                return sp__fail(error, SP_LIMIT, "the command has %zu bytes, at most %d are allowed", all,
                                SP_REDIS_COMMAND_MAX);
        why = harm(view);
        if (why)
                return sp__fail(error, SP_UNSUPPORTED, "%.32s %s the connection that everybody shares", view->values[0],
                                why);
        return SP_OK;
}

static sp_status admit(sp_redis *redis, sp_ctx *ctx, sp_error **error)
{
        if (sp__engine_forked(redis->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (atomic_load(&redis->closed))
                return sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
        if (ctx && sp_ctx_cancelled(ctx))
                return sp__fail(error, SP_CANCELLED, "%s", sp_status_text(SP_CANCELLED));
        return SP_OK;
}

static sp_status call_new(sp_redis *redis, sp_ctx *ctx, const sp_params *words, struct call **out, sp_error **error)
{
        struct sp__params_view view;
        struct call *call;
        sp_status status = admit(redis, ctx, error);

        if (status != SP_OK)
                return status;
        if (!sp__params_view(words, &view) || !(call = calloc(1, sizeof *call)))
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = check_words(&view, error);
        if (status != SP_OK) {
                free(call);
                return status;
        }
        sp__command_init(&call->command, &call_kind, ctx);
        call->engine = redis->engine;
        call->command.strict = true;
        sp__command_begin(&call->command, (size_t)view.count);
        for (int i = 0; i < view.count; i++)
                sp__command_arg(&call->command, view.values[i], (size_t)view.lengths[i]);
        *out = call;
        return SP_OK;
}

static void start(sp_redis *redis, struct call *call, void (*then)(sp__op *op), void *owner)
{
        sp__op *op = &call->command.op;

        sp__op_ref(op);
        sp__link_run(redis->link, &call->command, op->waits ? op : NULL, then, owner);
}

bool sp__redis_ping(sp_redis *redis, int64_t deadline, void (*then)(sp__op *op), void *owner)
{
        struct call *call = calloc(1, sizeof *call);

        if (!call)
                return false;
        sp__command_init(&call->command, &call_kind, NULL);
        call->engine = redis->engine;
        call->command.op.deadline = deadline;
        sp__command_begin(&call->command, 1);
        sp__command_text(&call->command, "PING");
        start(redis, call, then, owner);
        sp__op_unref(&call->command.op);
        return true;
}

sp_status sp_redis_command(sp_redis *redis, sp_ctx *ctx, const sp_params *words, sp_reply **out, sp_error **error)
{
        struct call *call = NULL;
        sp_status status;
        sp__op *op;

        SP__NEED(redis, error);
        SP__NEED(words, error);
        SP__NEED(out, error);
        status = call_new(redis, ctx, words, &call, error);
        if (status != SP_OK)
                return status;
        op = &call->command.op;
        sp__op_to_caller(op);
        start(redis, call, NULL, NULL);
        sp__op_wait(op);
        status = op->status;
        if (status == SP_OK) {
                *out = op->what;
                op->what = NULL;
        } else {
                sp__error_give(error, op->error);
                op->error = NULL;
        }
        sp__op_unref(op);
        return status;
}

sp_status sp_redis_command_async(sp_redis *redis, sp_ctx *ctx, const sp_params *words, sp_queue *queue, uint64_t tag)
{
        struct call *call = NULL;
        sp_error *error = NULL;
        sp_status status;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, redis);
        SP__NEED_FOR(queue, tag, words);
        status = call_new(redis, ctx, words, &call, &error);
        if (status != SP_OK)
                return sp__op_refuse(queue, tag, status, error);
        status = sp__op_to_queue(&call->command.op, queue, tag);
        if (status != SP_OK) {
                sp__op_abandon(&call->command.op);
                return status;
        }
        start(redis, call, NULL, NULL);
        sp__op_unref(&call->command.op);
        return SP_OK;
}

sp_reply *sp_completion_take_reply(sp_completion *completion)
{
        sp_reply *reply = completion->yield == SP__YIELD_REPLY ? completion->what : NULL;

        if (reply)
                completion->what = NULL;
        return reply;
}

/* An sp_reply is a redisReply that only shows what is promised. */
static const redisReply *seen(const sp_reply *reply)
{
        return (const redisReply *)reply;
}

int sp_reply_kind(const sp_reply *reply)
{
        if (!reply)
                return SP_REPLY_NIL;
        switch (seen(reply)->type) {
        case REDIS_REPLY_INTEGER:
                return SP_REPLY_INT;
        case REDIS_REPLY_STRING:
                return SP_REPLY_TEXT;
        case REDIS_REPLY_STATUS:
                return SP_REPLY_STATUS;
        case REDIS_REPLY_ARRAY:
                return SP_REPLY_ARRAY;
        case REDIS_REPLY_ERROR:
                return SP_REPLY_ERROR;
        default:
                return SP_REPLY_NIL;
        }
}

sp_status sp_reply_int(const sp_reply *reply, int64_t *out)
{
        int64_t value;

        SP__NEED(out, NULL);
        if (!sp__reply_int(seen(reply), &value))
                return SP_INVALID;
        *out = value;
        return SP_OK;
}

const void *sp_reply_data(const sp_reply *reply, size_t *len)
{
        const redisReply *all = seen(reply);

        if (!reply || !len || !all->str || all->type == REDIS_REPLY_INTEGER)
                return NULL;
        *len = (size_t)all->len;
        return all->str;
}

size_t sp_reply_count(const sp_reply *reply)
{
        return reply && seen(reply)->type == REDIS_REPLY_ARRAY ? (size_t)seen(reply)->elements : 0;
}

const sp_reply *sp_reply_at(const sp_reply *reply, size_t index)
{
        return (const sp_reply *)sp__reply_at(seen(reply), index);
}

void sp_reply_free(sp_reply *reply)
{
        if (reply)
                freeReplyObject(reply);
}

sp_redis *sp__redis_over(struct sp__engine *engine, struct sp__link *link)
{
        sp_redis *redis = calloc(1, sizeof *redis);

        if (!redis)
                return NULL;
        redis->engine = engine;
        redis->link = link;
        return redis;
}

void sp__redis_drop(sp_redis *redis)
{
        free(redis);
}

sp_status sp_redis_new(const sp_config *config, sp_redis **out, sp_error **error)
{
        const struct sp__link_options plain = {.greet = NULL};
        struct sp__engine *engine = NULL;
        struct sp__link *link = NULL;
        sp_redis *redis = NULL;
        sp_status status;

        SP__NEED(out, error);
        if (!*sp__config_text(config, "redis", NULL, "url"))
                return sp__fail(error, SP_CONFIG, "redis.url is not set: where is Redis?");
        status = sp__engine_new(&engine, error);
        if (status == SP_OK)
                status = sp__link_open(config, engine, &plain, &link, error);
        if (status == SP_OK && !(redis = sp__redis_over(engine, link))) {
                sp__link_close(link);
                sp__link_free(link);
                status = sp__fail(error, SP_NOMEM, "out of memory");
        }
        if (status != SP_OK) {
                sp__engine_free(engine);
                return status;
        }
        redis->own = true;
        *out = redis;
        return SP_OK;
}

void sp_redis_close(sp_redis *redis)
{
        if (!redis || sp__engine_forked(redis->engine) || atomic_exchange(&redis->closed, true))
                return;
        if (redis->own)
                sp__link_close(redis->link);
}

void sp_redis_free(sp_redis *redis)
{
        struct sp__engine *engine;

        if (!redis || !redis->own)
                return;
        engine = redis->engine;
        sp_redis_close(redis);
        sp__link_free(redis->link);
        if (!sp__engine_forked(engine))
                free(redis);
        sp__engine_free(engine);
}
