/* SPDX-License-Identifier: MIT */
/* The watch's life: see watch.h. How a batch crosses is in take.c. */
#include "watch_internal.h"

#include <stdlib.h>
#include <string.h>

/* Everything below runs on the JavaScript thread unless it says otherwise. */

void sp__noun_end(enum sp_noun noun, void *handle)
{
        switch (noun) {
        case SP_NOUN_LEASE:
                sp_lease_release(handle);
                break;
        case SP_NOUN_SESSION:
                sp_session_release(handle);
                break;
        case SP_NOUN_STREAM:
                sp_stream_free(handle);
                break;
        case SP_NOUN_COPY:
                sp_copy_free(handle);
                break;
        case SP_NOUN_LISTENER:
                sp_listener_free(handle);
                break;
        case SP_NOUN_LOOKUPS:
                sp_lookups_free(handle);
                break;
        default:
                break;
        }
}

/* More slots; false: out of memory. */
static bool watch_grow(sp_watch *watch)
{
        uint32_t count = watch->slot_count == 0 ? 64 : watch->slot_count * 2;
        struct sp_slot *slots = realloc(watch->slots, count * sizeof *slots);

        if (slots == NULL)
                return false;
        memset(slots + watch->slot_count, 0, (count - watch->slot_count) * sizeof *slots);
        for (uint32_t i = count; i > watch->slot_count; i--) {
                slots[i - 1].next = watch->slot_free;
                watch->slot_free = i;
        }
        watch->slots = slots;
        watch->slot_count = count;
        return true;
}

uint32_t sp__watch_keep(sp_watch *watch, enum sp_noun noun, void *handle)
{
        uint32_t slot;

        if (watch->slot_free == 0 && !watch_grow(watch))
                return UINT32_MAX;
        slot = watch->slot_free - 1;
        watch->slot_free = watch->slots[slot].next;
        watch->slots[slot] = (struct sp_slot){.noun = noun, .handle = handle};
        return slot;
}

sp_status sp_watch_keep(sp_watch *watch, sp_listener *listener, uint32_t *slot)
{
        uint32_t kept = sp__watch_keep(watch, SP_NOUN_LISTENER, listener);

        if (kept == UINT32_MAX) {
                sp_listener_free(listener);
                return SP_NOMEM;
        }
        *slot = kept;
        return SP_OK;
}

void sp_watch_forget(sp_watch *watch, uint32_t slot)
{
        if (slot >= watch->slot_count)
                return;
        watch->slots[slot] = (struct sp_slot){.next = watch->slot_free};
        watch->slot_free = slot + 1;
}

void sp_watch_release(sp_watch *watch, uint32_t slot)
{
        if (slot >= watch->slot_count)
                return;
        sp__noun_end(watch->slots[slot].noun, watch->slots[slot].handle);
        sp_watch_forget(watch, slot);
}

int sp_watch_give_up(sp_watch *watch, uint32_t slot)
{
        bool held = slot < watch->slot_count && watch->slots[slot].noun == SP_NOUN_LOOKUPS;

        return held ? sp_lookups_give_up(watch->slots[slot].handle) : 0;
}

/* Gives back what JavaScript still held: a client is freed only after that. Its slots stay taken: they are still known there. */
static void watch_release_all(sp_watch *watch)
{
        for (uint32_t i = 0; i < watch->slot_count; i++) {
                sp__noun_end(watch->slots[i].noun, watch->slots[i].handle);
                watch->slots[i].noun = SP_NOUN_NONE;
        }
}

static void watch_free(sp_watch *watch)
{
        sp_watch_unlearn(watch);
        sp__watch_forget_near(watch);
        sp_params_free(watch->params);
        sp_queue_free(watch->queue);
        sp_ctx_unref(watch->root);
        free(watch->known);
        free(watch->slots);
        free(watch);
}

/* The last word on a watch: its poll handle is closed, so nothing of libuv points to it any more. */
static void watch_closed(uv_handle_t *handle)
{
        sp_watch *watch = handle->data;

        if (watch->hook != NULL)
                napi_remove_async_cleanup_hook(watch->hook);
        if (watch->collected)
                watch_free(watch);
        else
                watch->dead = true;
}

static void watch_stop(sp_watch *watch)
{
        if (watch->stopped)
                return;
        watch->stopped = true;
        uv_poll_stop(&watch->poll);
        uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

/* The environment ends while the client is open: nobody will read what still comes. */
static void watch_teardown(napi_async_cleanup_hook_handle hook, void *data)
{
        sp_watch *watch = data;

        if (watch->client != NULL && !watch->ending) {
                sp_ctx_cancel(watch->root);
                sp_client_close(watch->client);
                watch_release_all(watch);
                sp_client_free(watch->client);
                watch->client = NULL;
        }
        watch_stop(watch);
}

/* JavaScript dropped the last reference to the watch. */
static void watch_collect(napi_env env, void *data, void *hint)
{
        sp_watch *watch = data;

        watch->collected = true;
        if (watch->dead)
                watch_free(watch);
        else
                watch_stop(watch);
}

static void watch_call(sp_watch *watch)
{
        napi_env env = watch->env;
        napi_value drain, self, error;
        bool pending = false;

        if (napi_get_reference_value(env, watch->drain, &drain) != napi_ok || drain == NULL)
                return;
        napi_get_global(env, &self);
        if (napi_make_callback(env, watch->async, self, drain, 0, NULL, NULL) == napi_ok)
                return;
        napi_is_exception_pending(env, &pending);
        if (pending && napi_get_and_clear_last_exception(env, &error) == napi_ok)
                napi_fatal_exception(env, error);
}

static void watch_readable(uv_poll_t *poll, int status, int events)
{
        sp_watch *watch = poll->data;
        napi_handle_scope scope;

        if (napi_open_handle_scope(watch->env, &scope) != napi_ok)
                return;
        watch_call(watch);
        napi_close_handle_scope(watch->env, scope);
}

static bool watch_start(sp_watch *watch)
{
        uv_loop_t *loop;

        if (napi_get_uv_event_loop(watch->env, &loop) != napi_ok ||
            uv_poll_init(loop, &watch->poll, sp_queue_fd(watch->queue)) != 0)
                return false;
        watch->poll.data = watch;
        uv_poll_start(&watch->poll, UV_READABLE, watch_readable);
        uv_unref((uv_handle_t *)&watch->poll);
        return napi_add_async_cleanup_hook(watch->env, watch_teardown, watch, &watch->hook) == napi_ok;
}

static bool watch_keep(sp_watch *watch, napi_value drain, napi_value cells, napi_value bytes, napi_value handles)
{
        napi_env env = watch->env;
        napi_value name;

        return napi_get_typedarray_info(env, cells, NULL, NULL, (void **)&watch->cells, NULL, NULL) == napi_ok &&
               napi_get_typedarray_info(env, bytes, NULL, &watch->bytes_cap, (void **)&watch->bytes, NULL, NULL) ==
                   napi_ok &&
               napi_create_reference(env, cells, 1, &watch->cells_ref) == napi_ok &&
               napi_create_reference(env, bytes, 1, &watch->bytes_ref) == napi_ok &&
               napi_create_reference(env, handles, 1, &watch->handles) == napi_ok &&
               napi_create_reference(env, drain, 1, &watch->drain) == napi_ok &&
               napi_create_string_utf8(env, "sugarperf", NAPI_AUTO_LENGTH, &name) == napi_ok &&
               napi_async_init(env, NULL, name, &watch->async) == napi_ok;
}

napi_value sp_watch_new(napi_env env, sp_client *client, sp_queue *queue, sp_ctx *root, napi_value drain,
                        napi_value cells, napi_value bytes, napi_value handles)
{
        sp_watch *watch = calloc(1, sizeof *watch);
        napi_value made;

        if (watch == NULL)
                return NULL;
        watch->params = sp_params_new();
        watch->env = env;
        watch->client = client;
        watch->queue = queue;
        watch->root = sp_ctx_ref(root);
        if (!watch_keep(watch, drain, cells, bytes, handles) || !watch_start(watch) ||
            napi_create_external(env, watch, watch_collect, NULL, &made) != napi_ok) {
                napi_throw_error(env, "SP_INTERNAL", "the event loop cannot watch the completion queue");
                return NULL;
        }
        return made;
}

void sp_watch_hold(sp_watch *watch, bool hold)
{
        if (watch->stopped)
                return;
        if (hold)
                uv_ref((uv_handle_t *)&watch->poll);
        else
                uv_unref((uv_handle_t *)&watch->poll);
}

/* On libuv's pool: waiting for what runs must not hold up the event loop. */
static void end_execute(napi_env env, void *data)
{
        sp_watch *watch = data;

        if (watch->timeout_ms >= 0 && sp_client_drain(watch->client, watch->timeout_ms) != SP_OK)
                sp_ctx_cancel(watch->root);
        sp_client_free(watch->client);
}

static void end_complete(napi_env env, napi_status status, void *data)
{
        sp_watch *watch = data;
        napi_value nothing;

        watch->client = NULL;
        napi_delete_async_work(env, watch->work);
        napi_get_undefined(env, &nothing);
        napi_resolve_deferred(env, watch->deferred, nothing);
}

napi_value sp_watch_end(napi_env env, sp_watch *watch, int64_t timeout_ms)
{
        napi_value promise, name;

        watch_release_all(watch);
        watch->timeout_ms = timeout_ms;
        if (watch->ending || napi_create_promise(env, &watch->deferred, &promise) != napi_ok ||
            napi_create_string_utf8(env, "sugarperf-end", NAPI_AUTO_LENGTH, &name) != napi_ok ||
            napi_create_async_work(env, NULL, name, end_execute, end_complete, watch, &watch->work) != napi_ok ||
            napi_queue_async_work(env, watch->work) != napi_ok) {
                napi_throw_error(env, "SP_INTERNAL", "the client cannot be ended");
                return NULL;
        }
        watch->ending = true;
        return promise;
}

static void watch_unref(sp_watch *watch, napi_ref *ref)
{
        if (*ref != NULL)
                napi_delete_reference(watch->env, *ref);
        *ref = NULL;
}

void sp_watch_close(sp_watch *watch)
{
        if (watch->stopped)
                return;
        watch_unref(watch, &watch->drain);
        watch_unref(watch, &watch->cells_ref);
        watch_unref(watch, &watch->bytes_ref);
        watch_unref(watch, &watch->handles);
        napi_async_destroy(watch->env, watch->async);
        sp__watch_forget_near(watch);
        watch_stop(watch);
}
