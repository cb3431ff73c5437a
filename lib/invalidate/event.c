/* SPDX-License-Identifier: MIT */
/* cache.invalidated: what, and why. */
#include "invalidate/event.h"

#include "core/error.h"

#include <string.h>
#include <sugarperf/invalidate.h>

/* Names in one event: what more there were is a number. */
enum { NAMES_MAX = 16 };

static void add_target(struct sp__buf *body, const struct sp__aims *aims, size_t index)
{
        static const char *const words[] = {"key", "tag", "pattern"};
        const struct sp__aim *aim = &aims->items[index];

        sp__buf_format(body, "%s{\"kind\":\"%s\",\"text\":", index ? "," : "", words[aim->kind]);
        sp__buf_json(body, aims->names.data + aim->at, aim->len);
        sp__buf_char(body, '}');
}

void sp__event_write(const sp_cache *cache, const struct sp__aims *aims, struct sp__buf *body)
{
        size_t named = aims->count < NAMES_MAX ? aims->count : NAMES_MAX;

        sp__buf_format(body, "\"type\":\"cache.invalidated\",\"why\":\"%s\"", aims->why ? aims->why : "call");
        if (*aims->about) {
                sp__buf_text(body, ",\"about\":");
                sp__buf_json(body, aims->about, strlen(aims->about));
        }
        sp__buf_format(body, ",\"from\":\"%s\",\"targets\":[", cache->events.token);
        if (aims->all)
                sp__buf_text(body, "{\"kind\":\"all\",\"text\":\"\"}");
        for (size_t i = 0; i < named && !aims->all; i++)
                add_target(body, aims, i);
        sp__buf_format(body, "],\"more\":%zu", aims->all ? 0 : aims->count - named);
}

void sp__event_publish(sp_cache *cache, const struct sp__aims *aims, struct sp__command *command)
{
        struct sp__buf text = SP__BUF_INIT;

        sp__buf_format(&text, "%s ", cache->events.token);
        sp__event_write(cache, aims, &text);
        sp__command_begin(command, 3);
        sp__command_text(command, "PUBLISH");
        sp__command_text(command, cache->events.channel);
        sp__command_arg(command, text.data ? text.data : "", text.len);
        command->request.failed = command->request.failed || text.failed;
        sp__buf_free(&text);
}

void sp__event_tell(sp_cache *cache, const struct sp__aims *aims)
{
        struct sp__buf body = SP__BUF_INIT;

        if (!atomic_load_explicit(&cache->events.watched, memory_order_relaxed))
                return;
        sp__event_write(cache, aims, &body);
        sp__buf_text(&body, ",\"here\":true");
        sp__events_tell(&cache->events, &body);
}

sp_status sp_cache_watch(sp_cache *cache, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        sp_status status;
        sp_error *error = NULL;

        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, cache);
        status = sp__cache_admit(cache, ctx, "watch", 5, &error);
        return status == SP_OK ? sp__events_watch(&cache->events, ctx, seen, queue, tag)
                               : sp__op_refuse(queue, tag, status, error);
}
