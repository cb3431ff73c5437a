/* SPDX-License-Identifier: MIT */
/*
 * Node-API (seen in 18.20.4, node_api.cc) drains what it has to finalize as `Unref(); DrainFinalizerQueue();`: where that reference
 * was the environment's last, it reads what it has just freed, and the process may crash at its end. So each environment has one
 * more reference, which a clean-up hook holds, and lets go of some turns of the event loop later: behind what the end of other
 * handles leads to.
 */
#include "anchor.h"

#include <stdlib.h>
#include <uv.h>

enum { TURNS = 16 };

struct anchor {
        uv_loop_t *loop;
        uv_idle_t handle; /* never started: it is there to be closed */
        int turns;
        napi_async_cleanup_hook_handle hook;
};

static void anchor_turn(struct anchor *anchor);

static void anchor_closed(uv_handle_t *handle)
{
        struct anchor *anchor = handle->data;

        if (++anchor->turns < TURNS) {
                anchor_turn(anchor);
                return;
        }
        napi_remove_async_cleanup_hook(anchor->hook);
        free(anchor);
}

static void anchor_turn(struct anchor *anchor)
{
        uv_idle_init(anchor->loop, &anchor->handle);
        anchor->handle.data = anchor;
        uv_close((uv_handle_t *)&anchor->handle, anchor_closed);
}

static void anchor_teardown(napi_async_cleanup_hook_handle hook, void *data)
{
        anchor_turn(data);
}

void sp_anchor(napi_env env)
{
        struct anchor *anchor = calloc(1, sizeof *anchor);

        if (anchor == NULL || napi_get_uv_event_loop(env, &anchor->loop) != napi_ok ||
            napi_add_async_cleanup_hook(env, anchor_teardown, anchor, &anchor->hook) != napi_ok)
                free(anchor);
}
