/* SPDX-License-Identifier: MIT */
/*
 * How completions cross: a batch fills an array of numbers and one block of bytes, both made once, so that a busy queue
 * costs one crossing and no allocation for up to 64 completions.
 */
#include "watch_internal.h"

#include <stdlib.h>
#include <string.h>

/* One completion of the batch, taken apart. */
struct item {
        sp_completion *completion;
        sp_lookup *lookup;
        sp_lookups *lookups;
        enum sp_noun noun; /* of `handle` */
        void *handle;      /* for JavaScript to hold */
        const sp_result *result;
        const void *data;
        size_t len;       /* of `data`, or of all sets of the result */
        const char *code; /* of an error; its message is `data` */
        const sp_error *error;
        int kind;
        double extra;
};

static void item_error(struct item *item, const sp_error *error, sp_status status)
{
        item->kind = SP_KIND_ERROR;
        item->error = error;
        item->code = error != NULL ? sp_error_code(error) : "";
        item->data = error != NULL ? sp_error_message(error) : sp_status_text(status);
        item->len = strlen(item->data);
        item->extra = error != NULL ? sp_error_retryable(error) : sp_status_retryable(status);
}

static void item_value(struct item *item, const sp_value *value)
{
        item->kind = SP_KIND_VALUE;
        item->data = sp_value_data(value, &item->len);
        item->extra = sp_value_codec(value);
}

static bool item_takes(struct item *item, enum sp_noun noun, void *handle)
{
        if (handle == NULL)
                return false;
        item->kind = SP_KIND_HANDLE;
        item->noun = noun;
        item->handle = handle;
        return true;
}

/* State in the low byte, the value's codec above. */
static void item_lookup(struct item *item)
{
        const sp_value *value = sp_lookup_value(item->lookup);
        sp_lease *lease = sp_lookup_take_lease(item->lookup);

        if (lease != NULL)
                item_takes(item, SP_NOUN_LEASE, lease);
        if (value != NULL)
                item_value(item, value);
        item->extra = item->extra * 256 + sp_lookup_state(item->lookup);
        item->kind = SP_KIND_LOOKUP;
}

enum { LOOKUPS_HEAD = 3 * sizeof(uint32_t) };

static const void *bytes_of(const sp_value *value, size_t *len)
{
        *len = 0;
        return value != NULL ? sp_value_data(value, len) : NULL;
}

/* Held by JavaScript where something in there is to be loaded. */
static void item_lookups(struct item *item)
{
        size_t count = sp_lookups_count(item->lookups), len;

        if (sp_lookups_next(item->lookups, 0) < count)
                item_takes(item, SP_NOUN_LOOKUPS, item->lookups);
        item->kind = SP_KIND_LOOKUPS;
        item->extra = (double)count;
        for (size_t i = 0; i < count; i++) {
                bytes_of(sp_lookups_value(item->lookups, i), &len);
                item->len += LOOKUPS_HEAD + len;
        }
}

static void lookups_copy(const sp_lookups *lookups, char *to)
{
        size_t count = sp_lookups_count(lookups), mine = sp_lookups_next(lookups, 0);
        char *data = to + count * LOOKUPS_HEAD;

        for (size_t i = 0; i < count; i++) {
                const sp_value *value = sp_lookups_value(lookups, i);
                size_t len;
                const void *from = bytes_of(value, &len);
                uint32_t head[] = {(uint32_t)sp_lookups_state(lookups, i) + (i == mine ? 256 : 0),
                                   value != NULL ? sp_value_codec(value) : 0, (uint32_t)len};

                if (i == mine)
                        mine = sp_lookups_next(lookups, i + 1);
                memcpy(to + i * LOOKUPS_HEAD, head, sizeof head);
                if (len > 0)
                        memcpy(data, from, len);
                data += len;
        }
}

/* The sets one behind the other; `extra` is how many. */
static void item_result(struct item *item, const sp_result *result)
{
        size_t sets = sp_result_sets(result), len;

        item->kind = SP_KIND_RESULT;
        item->result = result;
        item->extra = (double)sets;
        for (size_t i = 0; i < sets; i++) {
                if (sp_result_pack(sp_result_set(result, i), &len) == NULL) {
                        item->result = NULL;
                        item_error(item, NULL, SP_NOMEM);
                        return;
                }
                item->len += len;
        }
}

static void item_open(struct item *item, sp_completion *completion)
{
        const sp_result *result = sp_completion_result(completion);
        const sp_value *value = sp_completion_value(completion);

        *item = (struct item){.completion = completion};
        if (sp_completion_status(completion) != SP_OK)
                item_error(item, sp_completion_error(completion), sp_completion_status(completion));
        else if (result != NULL)
                item_result(item, result);
        else if (value != NULL)
                item_value(item, value);
        else if ((item->lookup = sp_completion_take_lookup(completion)) != NULL)
                item_lookup(item);
        else if ((item->lookups = sp_completion_take_lookups(completion)) != NULL)
                item_lookups(item);
        else if (!item_takes(item, SP_NOUN_SESSION, sp_completion_take_session(completion)) &&
                 !item_takes(item, SP_NOUN_STREAM, sp_completion_take_stream(completion)))
                item_takes(item, SP_NOUN_COPY, sp_completion_take_copy(completion));
}

/* What the server said of an error, field by field: a letter, a text and a zero byte. How many bytes; `to` may be NULL. */
static size_t fields_copy(const sp_error *error, char *to)
{
        size_t size = 0;

        for (const char *letter = "SVCMDHPpqWstcdnFLR"; *letter != 0; letter++) {
                const char *text = sp_error_field(error, *letter);

                if (text == NULL)
                        continue;
                if (to != NULL) {
                        to[size] = *letter;
                        strcpy(to + size + 1, text);
                }
                size += strlen(text) + 2;
        }
        return size;
}

/* Bytes the item takes: an error is its code, a zero byte, its message, another one, and its fields. */
static size_t item_size(const struct item *item)
{
        if (item->code == NULL)
                return item->len;
        return strlen(item->code) + 1 + item->len + 1 + fields_copy(item->error, NULL);
}

static void item_copy(const struct item *item, char *to)
{
        size_t code = item->code != NULL ? strlen(item->code) + 1 : 0, sets = sp_result_sets(item->result), len;

        for (size_t i = 0; i < sets; i++) {
                const void *packed = sp_result_pack(sp_result_set(item->result, i), &len);

                memcpy(to, packed, len);
                to += len;
        }
        if (item->lookups != NULL)
                lookups_copy(item->lookups, to);
        if (sets != 0 || item->lookups != NULL)
                return;
        if (code != 0)
                memcpy(to, item->code, code);
        if (item->len != 0)
                memcpy(to + code, item->data, item->len);
        if (code == 0)
                return;
        to[code + item->len] = 0;
        fields_copy(item->error, to + code + item->len + 1);
}

/* Hands the item's handle to JavaScript at place `index`; the slot's number, or -1: none, or given back as good as lost. */
static double item_slot(sp_watch *watch, napi_env env, uint32_t index, const struct item *item)
{
        napi_value handles, handle = NULL;
        uint32_t slot;

        if (item->handle == NULL)
                return -1;
        /* Nobody gives back any more what comes while the client ends. */
        slot = watch->ending ? UINT32_MAX : sp__watch_keep(watch, item->noun, item->handle);
        if (slot == UINT32_MAX) {
                sp__noun_end(item->noun, item->handle);
                return -1;
        }
        if (napi_get_reference_value(env, watch->handles, &handles) == napi_ok)
                handle = sp__wrap(env, item->noun, item->handle);
        if (handle != NULL && napi_set_element(env, handles, index, handle) == napi_ok)
                return slot;
        sp_watch_release(watch, slot);
        return -1;
}

double sp_watch_borrow(napi_env env, sp_watch *watch, sp_pool *pool, sp_ctx *ctx)
{
        struct item item = {.noun = SP_NOUN_SESSION};
        sp_session *session;

        if (sp_pool_acquire_now(pool, ctx, &session) != SP_OK)
                return -1;
        item.handle = session;
        return item_slot(watch, env, SP_WATCH_BATCH, &item);
}

static void item_close(struct item *item)
{
        sp_lookup_free(item->lookup);
        if (item->handle == NULL)
                sp_lookups_free(item->lookups);
        sp_completion_free(item->completion);
}

static void watch_write(sp_watch *watch, napi_env env, struct item *items, uint32_t count, char *bytes)
{
        size_t offset = 0;

        watch->cells[0] = count;
        for (uint32_t i = 0; i < count; i++) {
                double *cell = watch->cells + 1 + (size_t)i * SP_WATCH_CELLS;
                double slot;

                item_copy(&items[i], bytes + offset);
                /* From here on it is JavaScript's, or gone. */
                slot = item_slot(watch, env, i, &items[i]);
                cell[0] = (double)sp_completion_tag(items[i].completion);
                cell[1] = items[i].kind == SP_KIND_ERROR && sp_completion_status(items[i].completion) == SP_OK
                              ? SP_NOMEM
                              : sp_completion_status(items[i].completion);
                cell[2] = items[i].kind + (slot >= 0 ? (slot + 1) * 256 : 0);
                cell[3] = (double)offset;
                cell[4] = (double)item_size(&items[i]);
                cell[5] = items[i].extra;
                offset += item_size(&items[i]);
                item_close(&items[i]);
        }
}

napi_value sp_watch_take(napi_env env, sp_watch *watch)
{
        sp_completion *batch[SP_WATCH_BATCH];
        struct item items[SP_WATCH_BATCH];
        uint32_t count = (uint32_t)sp_queue_take(watch->queue, batch, SP_WATCH_BATCH);
        char *bytes = watch->bytes;
        napi_value made;
        size_t size = 0;

        for (uint32_t i = 0; i < count; i++) {
                item_open(&items[i], batch[i]);
                size += item_size(&items[i]);
        }
        napi_get_undefined(env, &made);
        if (size > watch->bytes_cap && napi_create_buffer(env, size, (void **)&bytes, &made) != napi_ok)
                return NULL;
        watch_write(watch, env, items, count, bytes);
        return made;
}
