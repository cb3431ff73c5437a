/* SPDX-License-Identifier: MIT */
#include "profile/spans.h"

#include "base/random.h"
#include "core/ctx.h"
#include "core/error.h"
#include "core/queue.h"
#include "observe/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* W3C traceparent: version, trace id, parent id and flags, "00-…32…-…16…-01". */
enum { KEPT = 1024, TRACE_ID = 3, PARENT_ID = 36, FLAGS = 53, TRACE_LEN = 32, SPAN_LEN = 16, CODE = 5 };
/* OTLP's number. */
enum { KIND_CLIENT = 3 };

struct span {
        const struct sp__name *name;
        char trace[TRACE_LEN + 1], parent[SPAN_LEN + 1], code[CODE + 1];
        uint64_t id;
        int64_t start_ns, end_ns, rows;
        sp_status status;
        char place[64]; /* host:port */
};

struct sp__spans {
        atomic_bool watched; /* somebody once did */
        sp__mutex lock;      /* what follows, and the links of the watches */
        size_t refs;         /* the profiler's, and one for each watch that is alive */
        bool closed;
        struct sp__random random;
        struct span *ring; /* KEPT; NULL until somebody watches */
        size_t first, count;
        int64_t missed;
        struct sp__list waiting;
};

struct watch {
        sp__op op;
        struct sp__spans *spans;
};

struct sp__spans *sp__spans_new(void)
{
        struct sp__spans *spans = calloc(1, sizeof *spans);

        if (!spans)
                return NULL;
        sp__mutex_init(&spans->lock);
        sp__list_init(&spans->waiting);
        spans->random.state = sp__random_seed();
        spans->refs = 1;
        return spans;
}

static void unref(struct sp__spans *spans)
{
        bool last;

        sp__lock(&spans->lock);
        last = --spans->refs == 0;
        sp__unlock(&spans->lock);
        if (!last)
                return;
        sp__mutex_destroy(&spans->lock);
        free(spans->ring);
        free(spans);
}

static void write_text(struct sp__buf *out, const char *key, const char *text)
{
        sp__buf_format(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
        sp__buf_json(out, text, strlen(text));
        sp__buf_text(out, "}},");
}

static void write_number(struct sp__buf *out, const char *key, int64_t number)
{
        sp__buf_format(out, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}", key, number);
}

/* "host:port"; an address of IPv6 has colons of its own. */
static void write_place(struct sp__buf *out, const char *place)
{
        const char *colon = strrchr(place, ':');
        char host[64];

        if (!colon)
                return;
        snprintf(host, sizeof host, "%.*s", (int)(colon - place), place);
        write_text(out, "server.address", host);
        write_number(out, "server.port", strtoll(colon + 1, NULL, 10));
        sp__buf_char(out, ',');
}

/* An element of OTLP's "spans", in its JSON form. `offset`: from the monotonic clock to the time of day. */
static void write_span(struct sp__buf *out, const struct span *span, int64_t offset)
{
        sp__buf_format(out, "{\"traceId\":\"%s\",\"spanId\":\"%016" PRIx64 "\",\"parentSpanId\":\"%s\",\"name\":",
                       span->trace, span->id, span->parent);
        sp__buf_json(out, span->name->text, span->name->len);
        sp__buf_format(out,
                       ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64
                       "\",\"attributes\":[",
                       KIND_CLIENT, span->start_ns + offset, span->end_ns + offset);
        write_text(out, "db.system.name", "postgresql");
        write_text(out, "db.query.summary", span->name->text);
        write_text(out, "db.query.text", span->name->norm);
        write_text(out, "db.client.connection.pool.name", span->name->pool);
        write_place(out, span->place);
        if (*span->code)
                write_text(out, "db.response.status_code", span->code);
        if (span->status != SP_OK)
                write_text(out, "error.type", *span->code ? span->code : sp_status_name(span->status));
        write_number(out, "db.response.returned_rows", span->rows);
        sp__buf_format(out, "],\"status\":{%s}}", span->status == SP_OK ? "" : "\"code\":2");
}

static int64_t clock_offset(void)
{
        struct timespec day;

        clock_gettime(CLOCK_REALTIME, &day);
        return day.tv_sec * SP__SECOND + day.tv_nsec - sp__now();
}

/* Under the lock: all that are kept, which are then no longer. */
static sp_value *take_all(struct sp__spans *spans)
{
        struct sp__buf out = SP__BUF_INIT;
        int64_t offset = clock_offset();
        sp_value *value = NULL;

        sp__buf_format(&out, "{\"missed\":%" PRId64 ",\"spans\":[", spans->missed);
        for (size_t i = 0; i < spans->count; i++) {
                if (i)
                        sp__buf_char(&out, ',');
                write_span(&out, &spans->ring[(spans->first + i) % KEPT], offset);
        }
        sp__buf_text(&out, "]}");
        spans->count = 0;
        spans->missed = 0;
        if (!out.failed)
                value = sp_value_new(out.data, out.len, SP_CODEC_JSON);
        sp__buf_free(&out);
        return value;
}

static struct watch *watch_at(struct sp__list *link)
{
        return SP__OF(SP__OF(link, sp__op, link), struct watch, op);
}

static void value_free(void *value)
{
        sp_value_unref(value);
}

/* Under the lock. */
static void answer(struct watch *watch, struct sp__batch *done)
{
        sp_value *value;

        /* One that is being cancelled must not take them with it. */
        if (!sp__op_pending(&watch->op))
                return;
        value = take_all(watch->spans);
        if (value)
                sp__op_yield(&watch->op, SP__YIELD_VALUE, value, value_free, done);
        else
                sp__op_fail(&watch->op, SP_NOMEM, NULL, done);
}

static void watch_cancel(sp__op *op, sp_status why)
{
        struct watch *watch = SP__OF(op, struct watch, op);
        struct sp__batch done;
        bool listed;

        sp__batch_init(&done);
        sp__lock(&watch->spans->lock);
        listed = sp__list_linked(&op->link);
        if (listed)
                sp__list_remove(&op->link);
        sp__op_fail(op, why, sp__error_new(why, NULL, "%s", sp_status_text(why)), &done);
        sp__unlock(&watch->spans->lock);
        sp__batch_deliver(&done);
        if (listed)
                sp__op_unref(op);
}

static void watch_destroy(sp__op *op)
{
        struct watch *watch = SP__OF(op, struct watch, op);

        unref(watch->spans);
        free(watch);
}

static const struct sp__op_kind watch_kind = {.cancel = watch_cancel, .destroy = watch_destroy};

/* Into the list, or answered by what is kept. The list takes a reference. */
static void place(struct watch *watch)
{
        struct sp__spans *spans = watch->spans;
        struct sp__batch done;

        sp__batch_init(&done);
        sp__lock(&spans->lock);
        if (!spans->ring)
                spans->ring = calloc(KEPT, sizeof *spans->ring);
        if (spans->closed)
                sp__op_fail(&watch->op, SP_CLOSED, NULL, &done);
        else if (!spans->ring)
                sp__op_fail(&watch->op, SP_NOMEM, NULL, &done);
        else if (spans->count)
                answer(watch, &done);
        else if (sp__op_pending(&watch->op))
                sp__list_push(&spans->waiting, &sp__op_ref(&watch->op)->link);
        atomic_store(&spans->watched, spans->ring != NULL);
        sp__unlock(&spans->lock);
        sp__batch_deliver(&done);
}

sp_status sp__spans_watch(struct sp__spans *spans, sp_ctx *ctx, sp_queue *queue, uint64_t tag)
{
        struct watch *watch = calloc(1, sizeof *watch);
        sp_status status;

        if (!watch)
                return SP_NOMEM;
        sp__op_init(&watch->op, &watch_kind, ctx, SP__FOREVER);
        watch->spans = spans;
        sp__lock(&spans->lock);
        spans->refs++;
        sp__unlock(&spans->lock);
        status = sp__op_to_queue(&watch->op, queue, tag);
        if (status == SP_OK)
                status = sp__op_enlist(&watch->op);
        if (status != SP_OK) {
                sp__op_abandon(&watch->op);
                return status;
        }
        place(watch);
        sp__op_unref(&watch->op);
        return SP_OK;
}

/* Under the lock: the first that waits, with the list's reference; NULL: none does. */
static struct watch *next_waiting(struct sp__spans *spans)
{
        struct sp__list *link = sp__list_pop(&spans->waiting);

        return link ? watch_at(link) : NULL;
}

void sp__spans_close(struct sp__spans *spans)
{
        struct sp__list ended, *link;
        struct sp__batch done;
        struct watch *watch;

        if (!spans)
                return;
        sp__batch_init(&done);
        sp__list_init(&ended);
        sp__lock(&spans->lock);
        spans->closed = true;
        spans->count = 0;
        while ((watch = next_waiting(spans))) {
                sp__op_fail(&watch->op, SP_CLOSED, NULL, &done);
                sp__list_push(&ended, &watch->op.link);
        }
        sp__unlock(&spans->lock);
        sp__batch_deliver(&done);
        while ((link = sp__list_pop(&ended)))
                sp__op_unref(&watch_at(link)->op);
        unref(spans);
}

static bool sampled(const char *trace)
{
        return trace && strlen(trace) > FLAGS && strchr("13579bdfBDF", trace[FLAGS + 1]);
}

static struct span span_of(const struct sp__name *name, const struct sp__stmt_record *record, const char *trace)
{
        struct span span = {.name = name, .end_ns = record->done_ns, .rows = record->rows, .status = record->status};

        span.start_ns = record->done_ns - record->wait_ns - record->execute_ns - record->fetch_ns;
        memcpy(span.trace, trace + TRACE_ID, TRACE_LEN);
        memcpy(span.parent, trace + PARENT_ID, SPAN_LEN);
        snprintf(span.code, sizeof span.code, "%s", record->code ? record->code : "");
        snprintf(span.place, sizeof span.place, "%s", record->place ? record->place : "");
        return span;
}

/* Under the lock. */
static void push(struct sp__spans *spans, const struct span *span)
{
        if (spans->count == KEPT) {
                spans->first = (spans->first + 1) % KEPT;
                spans->count--;
                spans->missed++;
        }
        spans->ring[(spans->first + spans->count) % KEPT] = *span;
        do
                spans->ring[(spans->first + spans->count) % KEPT].id = sp__random_next(&spans->random);
        while (!spans->ring[(spans->first + spans->count) % KEPT].id);
        spans->count++;
}

void sp__spans_add(struct sp__spans *spans, const struct sp__name *name, const struct sp__stmt_record *record)
{
        const char *trace;
        struct sp__batch done;
        struct watch *watch = NULL;
        struct span span;

        if (!atomic_load_explicit(&spans->watched, memory_order_acquire) || !record->ctx)
                return;
        trace = sp__ctx_trace(record->ctx);
        if (!sampled(trace))
                return;
        span = span_of(name, record, trace);
        sp__batch_init(&done);
        sp__lock(&spans->lock);
        if (!spans->closed) {
                push(spans, &span);
                watch = next_waiting(spans);
        }
        if (watch)
                answer(watch, &done);
        sp__unlock(&spans->lock);
        sp__batch_deliver(&done);
        if (watch)
                sp__op_unref(&watch->op);
}
