/* SPDX-License-Identifier: MIT */
#include "cache/events.h"

#include "base/random.h"
#include "pg/news.h"
#include "redis/subscriber.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Between the sender's token and the event. */
enum { HEAD = SP__EVENTS_TOKEN_LEN };

static void up(void *arg)
{
}

static void down(void *arg, const sp_error *why)
{
}

/* "token members": it becomes part of a JSON text, so what is none of the library's is dropped. */
static bool is_event(const char *data, size_t len)
{
        static const char begins[] = "\"type\":\"";

        if (len < HEAD + sizeof begins || len > SP__EVENT_MAX || data[HEAD - 1] != ' ' ||
            memcmp(data + HEAD, begins, sizeof begins - 1) != 0)
                return false;
        for (size_t i = 0; i < len; i++) {
                if ((unsigned char)data[i] < ' ')
                        return false;
        }
        return true;
}

static void heard(void *arg, const void *data, size_t len)
{
        struct sp__events *events = arg;
        struct sp__buf body = SP__BUF_INIT;

        if (!is_event(data, len) || memcmp(data, events->token, HEAD - 1) == 0)
                return;
        sp__buf_add(&body, (const char *)data + HEAD, len - HEAD);
        sp__buf_text(&body, ",\"here\":false");
        sp__watchers_tell(events->news, &body);
}

bool sp__events_init(struct sp__events *events, struct sp__engine *engine, struct sp__link *link, const char *name,
                     int64_t connect_ns, int64_t ping_ns)
{
        struct sp__subscriber_options options = {
            .connect_timeout = connect_ns, .ping = ping_ns, .up = up, .message = heard, .down = down, .arg = events};

        snprintf(events->channel, sizeof events->channel, "{%s}:e", name);
        snprintf(events->token, sizeof events->token, "%016" PRIx64, sp__random_seed());
        atomic_init(&events->watched, false);
        events->news = sp__watchers_new(&sp__news);
        if (events->news && link)
                events->subscriber = sp__subscriber_new(engine, link, events->channel, &options);
        return events->news && (events->subscriber || !link);
}

void sp__events_end(struct sp__events *events, void (*ended)(void *arg), void *arg)
{
        struct sp__subscriber *subscriber = events->subscriber;

        sp__watchers_end(events->news);
        events->subscriber = NULL;
        sp__subscriber_free(subscriber, ended);
}

void sp__events_destroy(struct sp__events *events)
{
        sp__subscriber_free(events->subscriber, NULL);
        events->subscriber = NULL;
        sp__watchers_unref(events->news);
        events->news = NULL;
}

sp_status sp__events_watch(struct sp__events *events, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        if (!atomic_exchange(&events->watched, true) && events->subscriber)
                sp__subscriber_start(events->subscriber);
        return sp__watchers_add(events->news, ctx, seen, queue, tag);
}

void sp__events_tell(struct sp__events *events, struct sp__buf *body)
{
        if (body->failed) {
                sp__buf_free(body);
                return;
        }
        sp__watchers_tell(events->news, body);
}
