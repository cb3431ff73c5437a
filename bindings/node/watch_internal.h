/* SPDX-License-Identifier: MIT */
/* What watch.c and take.c share. */
#ifndef SUGARPERF_NODE_WATCH_INTERNAL_H
#define SUGARPERF_NODE_WATCH_INTERNAL_H

#include "watch.h"

#include <uv.h>

/* What JavaScript holds; a free slot names the next free one (its index + 1, 0: none). */
struct sp_slot {
        void *handle;
        enum sp_noun noun;
        uint32_t next;
};

/* A pool, a cache or a statement (with a reference) that submissions name by its place. */
struct sp_known {
        void *handle;
        bool stmt;
};

enum { SP_NEAR_BITS = 11, SP_NEAR_SETS = 1 << SP_NEAR_BITS, SP_NEAR_WAYS = 2 };

/* Values of which JavaScript keeps what it made; see near.c. */
struct sp_near_set {
        sp_value *kept[SP_NEAR_WAYS]; /* references */
        const sp_value *rival;        /* the last one that found no place: only to be compared */
        unsigned next;                /* the way that the next one gets */
};

struct sp_watch {
        napi_env env;
        sp_client *client;
        sp_queue *queue;
        sp_ctx *root;

        uv_poll_t poll;
        napi_async_cleanup_hook_handle hook;
        napi_async_context async;
        napi_ref drain;

        double *cells;
        napi_ref cells_ref;
        char *bytes;
        size_t bytes_cap;
        napi_ref bytes_ref;
        napi_ref handles;

        struct sp_slot *slots;
        uint32_t slot_count;
        uint32_t slot_free;

        struct sp_known *known;
        uint32_t known_count;
        uint32_t known_cap;
        sp_params *params; /* of the submission that is looked at */

        sp_cache *near_cache;
        size_t near_bytes; /* of what is kept */
        struct sp_near_set near[SP_NEAR_SETS];

        napi_async_work work;
        napi_deferred deferred;
        int64_t timeout_ms;

        bool ending;    /* sp_watch_end() frees the client */
        bool stopped;   /* the poll handle is closing or closed */
        bool dead;      /* the poll handle is closed */
        bool collected; /* JavaScript holds no reference */
};

/** Keeps a handle until it is released or forgotten; UINT32_MAX when out of memory. */
uint32_t sp__watch_keep(sp_watch *watch, enum sp_noun noun, void *handle);
/** Gives back all values that are kept for JavaScript. */
void sp__watch_forget_near(sp_watch *watch);
void sp__noun_end(enum sp_noun noun, void *handle);

#endif
