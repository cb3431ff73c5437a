/* SPDX-License-Identifier: MIT */
/* Calls that change an entry without a load: it is set, or gets more time. */
#include "cache/call.h"
#include "cache/flight.h"

#include "core/error.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>

/* One such call. A value that is set first ends what there was, by an entry in the log, whose number it has then. */
struct touch {
        struct sp__call call;
        sp_value *value; /* NULL: more time alone */
        bool with_text;
        bool unstored;  /* this caller may not */
        bool raw;       /* see cache/raw.h */
        int64_t slides; /* ms; 0: it does not */
        struct sp__payer payer;
        struct sp__entry entry;
        struct sp__item item;
        size_t len;
        char key[];
};

static struct touch *touch_of(sp__op *op)
{
        return SP__OF(op, struct touch, call.op);
}

/*
 * Takes the error. A value that was to be set is not there, or nobody knows whether it is: nothing under the key is as good as what it
 * should be. It is owed before its caller is told, and never again: he may have set the key since.
 */
static void fail(struct touch *touch, sp_status status, sp_error *error)
{
        if (!sp__op_claim(&touch->call.op)) {
                sp_error_free(error);
                return;
        }
        if (touch->value && !touch->unstored)
                sp__log_owe(&touch->call.cache->log, touch->item.tags, 1);
        sp__op_end_alone(&touch->call.op, status, error);
}

static void cancel(sp__op *op, sp_status why)
{
        fail(touch_of(op), why, sp__error_new(why, NULL, "changing a cached value: %s", sp_status_text(why)));
}

static void destroy(sp__op *op)
{
        struct touch *touch = touch_of(op);

        sp__call_end(&touch->call);
        sp_value_unref(touch->value);
        free(touch);
}

static const struct sp__op_kind touch_kind = {.cancel = cancel, .settled = sp__call_settled, .destroy = destroy};

/* Takes the error, and the steps' reference. */
static void finish(struct touch *touch, sp_status status, sp_error *error)
{
        sp__call_finish(&touch->call, status, error);
}

static void finish_absent(struct touch *touch)
{
        finish(touch, SP_NOT_FOUND, sp__error_new(SP_NOT_FOUND, NULL, "there is nothing under that key"));
}

static void finish_extended(struct touch *touch)
{
        sp__flight_end_rest(touch->call.cache, touch->key, touch->len);
        finish(touch, SP_OK, NULL);
}

static void finish_unset(struct touch *touch, sp_status status, sp_error *error)
{
        fail(touch, status, error);
        finish(touch, status, NULL);
}

static void keep(struct touch *touch)
{
        sp_cache *cache = touch->call.cache;

        sp__flight_kill(cache, touch->key, touch->len);
        if (cache->store && !touch->raw)
                sp__store_put(cache->store, touch->key, touch->len, &touch->item);
}

/* Its caller was told, and may have set the key since: nothing more is done, so that what he sets then remains. */
static bool given_up(struct touch *touch)
{
        if (sp__op_pending(&touch->call.op))
                return false;
        finish(touch, SP_CANCELLED, NULL);
        return true;
}

/* Whether the trip was made; else it is told. `again` makes it with the script's text. */
static bool went(struct touch *touch, struct sp__command *command, void (*again)(struct touch *touch))
{
        const redisReply *refused = command->op.status == SP_OK ? sp__command_refused(command) : NULL;

        if (command->op.status != SP_OK) {
                finish_unset(touch, command->op.status, sp__error_copy(command->op.error));
        } else if (sp__command_noscript(command) && !touch->with_text) {
                touch->with_text = true;
                if (!given_up(touch))
                        again(touch);
        } else if (refused) {
                sp_error *error = sp__redis_error(refused, touch->call.cache->log.address.where);

                finish_unset(touch, error ? sp_error_status(error) : SP_NOMEM, error);
        } else {
                return true;
        }
        return false;
}

static struct sp__command *command_new(struct touch *touch)
{
        struct sp__command *command = sp__command_new();

        if (!command)
                finish_unset(touch, SP_NOMEM, sp__error_new(SP_NOMEM, NULL, "out of memory"));
        return command;
}

static void add_name(struct touch *touch, struct sp__command *command, bool lease)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__command_arg(command, name,
                        lease ? sp__cache_lease_name(touch->call.cache, touch->key, touch->len, name)
                              : sp__cache_entry_name(touch->call.cache, touch->key, touch->len, name));
}

/* The log's answer: what there was is ended everywhere, and what is set is as of this number. false: it was told. */
static bool note_bump(struct touch *touch, const redisReply *reply)
{
        struct sp__log *log = &touch->call.cache->log;

        if (!sp__log_read(reply, &touch->entry.e, &touch->entry.v0)) {
                finish_unset(
                    touch, SP_PROTOCOL,
                    sp__error_new(SP_PROTOCOL, NULL, "Redis at %s: an answer that makes no sense", log->address.where));
                return false;
        }
        touch->item.e = touch->entry.e;
        touch->item.v0 = touch->entry.v0;
        sp__log_acknowledge(log, touch->entry.e, touch->entry.v0, touch->item.tags, 1);
        return true;
}

/* Until when Redis keeps it, wall clock: one that slides, until it would end. */
static int64_t leave_at(const struct touch *touch)
{
        return touch->slides ? touch->entry.fresh_until : touch->entry.kept_until;
}

static void add_set(struct touch *touch, struct sp__command *command, const void *data, size_t len)
{
        sp__script_begin(command, SP__SCRIPT_SET, touch->with_text, 2, 3);
        add_name(touch, command, false);
        add_name(touch, command, true);
        sp__command_arg(command, data ? data : "", len);
        sp__command_int(command, leave_at(touch) - touch->entry.made);
        sp__command_int(command, !touch->raw);
}

static void store(struct touch *touch);

static void stored(sp__op *op)
{
        struct touch *touch = op->owner;
        struct sp__command *command = sp__command_of(op);
        int64_t how;

        if (!went(touch, command, store))
                return;
        keep(touch);
        /* Another one set it since; that one remains, here too, where its bump may not be known yet. */
        if (touch->call.cache->store && sp__reply_int(command->replies[0], &how) && how == 2)
                sp__store_drop(touch->call.cache->store, touch->key, touch->len);
        finish(touch, SP_OK, NULL);
}

static void store(struct touch *touch)
{
        struct sp__command *command = command_new(touch);
        struct sp__buf packed = SP__BUF_INIT;

        if (!command)
                return;
        sp__entry_encode(&touch->entry, (size_t)touch->call.cache->pack_from, &packed);
        add_set(touch, command, packed.data, packed.len);
        command->request.failed = command->request.failed || packed.failed;
        sp__buf_free(&packed);
        sp__link_run(touch->call.cache->log.link, command, touch->call.op.caller, stored, touch);
}

static void bump(struct touch *touch);

static void bumped(sp__op *op)
{
        struct touch *touch = op->owner;
        struct sp__command *command = sp__command_of(op);

        if (!went(touch, command, bump) || !note_bump(touch, command->replies[0]) || given_up(touch))
                return;
        touch->with_text = false;
        store(touch);
}

static void bump(struct touch *touch)
{
        struct sp__command *command = command_new(touch);

        if (!command)
                return;
        sp__log_add_bump(&touch->call.cache->log, command, touch->with_text, touch->item.tags, 1, false);
        sp__link_run(touch->call.cache->log.link, command, touch->call.op.caller, bumped, touch);
}

static void store_raw(struct touch *touch);

static void stored_raw(sp__op *op)
{
        struct touch *touch = op->owner;
        struct sp__command *command = sp__command_of(op);

        if (!went(touch, command, store_raw) || !note_bump(touch, command->replies[1]))
                return;
        keep(touch);
        finish(touch, SP_OK, NULL);
}

/* A raw value carries no number to be judged by: it is there first, and then who asked before for the key asks again. */
static void store_raw(struct touch *touch)
{
        struct sp__command *command = command_new(touch);

        if (!command)
                return;
        add_set(touch, command, touch->entry.data, touch->entry.len);
        sp__log_add_bump(&touch->call.cache->log, command, touch->with_text, touch->item.tags, 1, false);
        sp__link_run(touch->call.cache->log.link, command, touch->call.op.caller, stored_raw, touch);
}

static void begin_set(struct touch *touch)
{
        if (given_up(touch))
                return;
        if (touch->raw)
                store_raw(touch);
        else
                bump(touch);
}

static void paid(struct sp__payer *payer, sp_status status, const sp_error *error)
{
        struct touch *touch = SP__OF(payer, struct touch, payer);

        if (status == SP_OK)
                begin_set(touch);
        else
                finish_unset(touch, status, sp__error_copy(error));
}

/* An invalidation of the key that is still owed would end what is set: it is made up for first. */
static void set(struct touch *touch)
{
        struct sp__mirror *mirror = &touch->call.cache->log.mirror;
        struct sp__mark mark;

        if (touch->call.cache->log.link) {
                touch->payer = (struct sp__payer){.tag = touch->item.tags[0], .go = paid};
                if (!sp__log_pay(&touch->call.cache->log, &touch->payer))
                        begin_set(touch);
                return;
        }
        sp__mirror_bump(mirror, touch->item.tags, 1);
        sp__mirror_mark(mirror, &mark);
        touch->item.e = mark.e;
        touch->item.v0 = mark.v0;
        keep(touch);
        finish(touch, SP_OK, NULL);
}

static void add_extend(struct sp__command *command, sp_cache *cache, bool with_text, const void *key, size_t len,
                       int64_t fresh, int64_t kept, int64_t leave)
{
        char name[SP_KEY_MAX + SP__NAME_EXTRA];

        sp__script_begin(command, SP__SCRIPT_EXTEND, with_text, 1, 5);
        sp__command_arg(command, name, sp__cache_entry_name(cache, key, len, name));
        sp__command_int(command, SP__ENTRY_FORMAT);
        sp__command_int(command, fresh);
        sp__command_int(command, kept);
        sp__command_int(command, sp__wall_ms());
        sp__command_int(command, leave);
}

/* Nobody waits, and where it fails the entry ends at its former time: it is made with the text, which is always known. */
void sp__cache_extend(sp_cache *cache, const void *key, size_t len, int64_t until)
{
        struct sp__command *command = cache->log.link ? sp__command_new() : NULL;

        if (!command)
                return;
        add_extend(command, cache, true, key, len, until, 0, 0);
        sp__link_run(cache->log.link, command, NULL, NULL, NULL);
}

/* The value has no times beside it, only Redis's own. */
static void add_extend_raw(struct touch *touch, struct sp__command *command)
{
        sp__command_begin(command, 3);
        sp__command_text(command, "PEXPIRE");
        add_name(touch, command, false);
        sp__command_int(command, touch->entry.kept_until - touch->entry.made);
}

static void extend(struct touch *touch);

static void verify(struct touch *touch);

static void verified(sp__op *op)
{
        struct touch *touch = op->owner;
        struct sp__command *command = sp__command_of(op);
        int64_t n;

        if (!went(touch, command, verify))
                return;
        if (sp__log_holds(command->replies[0], touch->item.e, touch->item.v0, touch->item.tag_count, &n))
                finish_extended(touch);
        else
                finish_absent(touch);
}

static void verify(struct touch *touch)
{
        struct sp__command *command = command_new(touch);

        if (!command)
                return;
        sp__log_add_tags(&touch->call.cache->log, command, touch->item.tags, touch->item.tag_count);
        sp__link_run(touch->call.cache->log.link, command, touch->call.op.caller, verified, touch);
}

/* It has more time; but was it ended before, by one of its tags? Then it still is. */
static void judge(struct touch *touch, const struct sp__entry *entry)
{
        struct sp__item *item = &touch->item;

        item->e = entry->e;
        item->v0 = entry->v0;
        for (unsigned i = 0; i < entry->tag_count; i++)
                item->tags[item->tag_count++] = entry->tags[i];
        switch (sp__mirror_judge(&touch->call.cache->log.mirror, item->e, item->v0, item->tags, item->tag_count)) {
        case SP__FRESH:
                finish_extended(touch);
                return;
        case SP__GONE:
                finish_absent(touch);
                return;
        default:
                verify(touch);
        }
}

/* This process's copy ends at its former time unless it is the only one; then Redis is asked. */
static void extended(sp__op *op)
{
        struct touch *touch = op->owner;
        struct sp__command *command = sp__command_of(op);
        const redisReply *head;
        struct sp__entry entry;
        int64_t found;

        if (!went(touch, command, extend))
                return;
        head = command->replies[0];
        if (touch->call.cache->store)
                sp__store_drop(touch->call.cache->store, touch->key, touch->len);
        if (touch->raw && sp__reply_int(head, &found) && found == 1)
                finish_extended(touch);
        else if (!touch->raw && head->type == REDIS_REPLY_STRING && sp__entry_head(head->str, head->len, &entry))
                judge(touch, &entry);
        else
                finish_absent(touch);
}

static void extend(struct touch *touch)
{
        sp_cache *cache = touch->call.cache;
        struct sp__command *command;

        if (!cache->log.link) {
                if (cache->store && sp__store_extend(cache->store, touch->key, touch->len, touch->item.declared,
                                                     touch->slides ? touch->slides / 4 * 3 * SP__MS : SP__FOREVER,
                                                     touch->item.fresh_until, touch->item.kept_until))
                        finish_extended(touch);
                else
                        finish_absent(touch);
                return;
        }
        command = command_new(touch);
        if (!command)
                return;
        if (touch->raw)
                add_extend_raw(touch, command);
        else
                add_extend(command, cache, touch->with_text, touch->key, touch->len, touch->entry.fresh_until,
                           touch->entry.kept_until, leave_at(touch));
        sp__link_run(cache->log.link, command, touch->call.op.caller, extended, touch);
}

static void start(struct sp__call *call)
{
        struct touch *touch = touch_of(&call->op);

        if (touch->unstored)
                finish(touch, SP_OK, NULL);
        else if (touch->value)
                set(touch);
        else
                extend(touch);
}

/* Times and tags of the entry as it will be. */
static void describe(struct touch *touch, int64_t ttl_ms)
{
        sp_cache *cache = touch->call.cache;
        const sp_template *tmpl;
        struct sp__times times;
        uint64_t tags[SP__FLIGHT_TAGS];

        touch->item.declared = atomic_load(&cache->declared);
        touch->item.tag_count = (unsigned)sp__cache_tags(cache, touch->key, touch->len, tags, &tmpl);
        memcpy(touch->item.tags, tags, touch->item.tag_count * sizeof *tags);
        sp__cache_times(cache, tmpl, &times);
        touch->slides = times.sliding;
        touch->raw = cache->log.link && tmpl && sp__template_raw(tmpl);
        if (ttl_ms <= 0)
                ttl_ms = touch->value && sp_value_codec(touch->value) == SP_CODEC_ABSENT ? times.negative : times.ttl;
        sp__times_make(&times, ttl_ms, true, 0, 0, &touch->entry, &touch->item);
        sp__cache_keeps(cache, &touch->entry);
        touch->item.value = touch->value;
        if (touch->value) {
                touch->entry.data = sp_value_data(touch->value, &touch->entry.len);
                touch->entry.codec = sp_value_codec(touch->value);
        }
}

static sp_status prepare(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, sp_value *value, int64_t ttl_ms,
                         struct touch **out, sp_error **error)
{
        sp_status status = sp__cache_admit(cache, ctx, key, len, error);
        struct touch *touch = status == SP_OK ? calloc(1, sizeof *touch + len) : NULL;

        if (!touch) {
                sp_value_unref(value);
                return status == SP_OK ? sp__fail(error, SP_NOMEM, "out of memory") : status;
        }
        sp__call_init(&touch->call, &touch_kind, cache, ctx);
        touch->value = value;
        touch->unstored = sp__cache_use(cache, ctx, !value) >= SP__CACHE_BYPASS ||
                          sp__cache_use(cache, ctx, !value) == SP__CACHE_READ;
        touch->len = len;
        memcpy(touch->key, key, len);
        describe(touch, ttl_ms);
        *out = touch;
        return SP_OK;
}

static sp_status prepare_set(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data,
                             size_t len, uint32_t codec, int64_t ttl_ms, struct touch **out, sp_error **error)
{
        const sp_template *tmpl;
        sp_status status;
        sp_value *value;

        SP__NEED(cache, error);
        tmpl = key ? sp__keys_find(cache->keys, key, key_len) : NULL;
        status = sp__cache_admit_value(cache, tmpl, data, len, codec, error);
        if (status == SP_OK && tmpl && sp__template_raw(tmpl) && codec == SP_CODEC_ABSENT)
                status = sp__fail(error, SP_INVALID, "a raw key has a value, or does not exist: sp_cache_delete()");
        if (status != SP_OK)
                return status;
        value = sp_value_new(data, len, codec);
        return value ? prepare(cache, ctx, key, key_len, value, ttl_ms, out, error)
                     : sp__fail(error, SP_NOMEM, "out of memory");
}

sp_status sp_cache_set(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data, size_t len,
                       uint32_t codec, int64_t ttl_ms, sp_error **error)
{
        struct touch *touch = NULL;
        sp_status status = prepare_set(cache, ctx, key, key_len, data, len, codec, ttl_ms, &touch, error);

        return status == SP_OK ? sp__call_run(&touch->call, start, error) : status;
}

sp_status sp_cache_set_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t key_len, const void *data,
                             size_t len, uint32_t codec, int64_t ttl_ms, sp_queue *queue, uint64_t tag)
{
        struct touch *touch = NULL;
        sp_error *error = NULL;
        sp_status status = prepare_set(cache, ctx, key, key_len, data, len, codec, ttl_ms, &touch, &error);

        return status == SP_OK ? sp__call_submit(&touch->call, start, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}

sp_status sp_cache_touch(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, int64_t ttl_ms, sp_error **error)
{
        struct touch *touch = NULL;
        sp_status status = prepare(cache, ctx, key, len, NULL, ttl_ms, &touch, error);

        return status == SP_OK ? sp__call_run(&touch->call, start, error) : status;
}

sp_status sp_cache_touch_async(sp_cache *cache, sp_ctx *ctx, const void *key, size_t len, int64_t ttl_ms,
                               sp_queue *queue, uint64_t tag)
{
        struct touch *touch = NULL;
        sp_error *error = NULL;
        sp_status status = prepare(cache, ctx, key, len, NULL, ttl_ms, &touch, &error);

        return status == SP_OK ? sp__call_submit(&touch->call, start, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}
