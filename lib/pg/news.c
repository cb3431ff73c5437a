/* SPDX-License-Identifier: MIT */
#include "pg/news.h"

#include "base/buf.h"

#include <inttypes.h>

enum { KEPT = 32 };

struct news {
        uint64_t last; /* number of the latest event */
        struct sp__buf bodies[KEPT];
};

static uint64_t keep(void *events, void *event)
{
        struct news *news = events;
        struct sp__buf *body = &news->bodies[++news->last % KEPT];

        sp__buf_free(body);
        *body = *(struct sp__buf *)event;
        return news->last;
}

/* The oldest that is above `seen` and still there. */
static uint64_t next_of(const struct news *news, uint64_t seen)
{
        uint64_t oldest = news->last > KEPT ? news->last - KEPT + 1 : 1;

        return seen + 1 > oldest ? seen + 1 : oldest;
}

static sp_value *describe(const void *events, uint64_t seen)
{
        const struct news *news = events;
        uint64_t number = next_of(news, seen);
        const struct sp__buf *body = &news->bodies[number % KEPT];
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;

        sp__buf_format(&text, "{\"event\":%" PRIu64 ",\"missed\":%" PRIu64 ",", number, number - seen - 1);
        sp__buf_add(&text, body->data, body->len);
        sp__buf_char(&text, '}');
        if (!text.failed && !body->failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        return value;
}

static void forget(void *events)
{
        struct news *news = events;

        for (int i = 0; i < KEPT; i++)
                sp__buf_free(&news->bodies[i]);
}

const struct sp__watched sp__news = {.size = sizeof(struct news), .keep = keep, .describe = describe, .forget = forget};
