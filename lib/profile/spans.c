/* SPDX-License-Identifier: MIT */
#include "profile/spans.h"

#include "core/ctx.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

struct spans {
        uint64_t last; /* number of the latest */
        struct span ring[KEPT];
};

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

static uint64_t keep(void *events, void *event)
{
        struct spans *spans = events;

        spans->ring[++spans->last % KEPT] = *(const struct span *)event;
        return spans->last;
}

/* All that are kept and above `seen`. */
static sp_value *describe(const void *events, uint64_t seen)
{
        const struct spans *spans = events;
        uint64_t oldest = spans->last > KEPT ? spans->last - KEPT + 1 : 1,
                 first = seen + 1 > oldest ? seen + 1 : oldest;
        struct sp__buf out = SP__BUF_INIT;
        int64_t offset = clock_offset();
        sp_value *value = NULL;

        sp__buf_format(&out, "{\"event\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"spans\":[", spans->last,
                       first - seen - 1);
        for (uint64_t number = first; number <= spans->last; number++) {
                if (number > first)
                        sp__buf_char(&out, ',');
                write_span(&out, &spans->ring[number % KEPT], offset);
        }
        sp__buf_text(&out, "]}");
        if (!out.failed)
                value = sp_value_new(out.data, out.len, SP_CODEC_JSON);
        sp__buf_free(&out);
        return value;
}

const struct sp__watched sp__spans = {.size = sizeof(struct spans), .keep = keep, .describe = describe};

/* Version ff and ids of zeros are none: a collector would refuse all that comes with such a span. */
static bool identifies(const char *trace)
{
        return strncasecmp(trace, "ff", 2) != 0 && strspn(trace + TRACE_ID, "0") < TRACE_LEN &&
               strspn(trace + PARENT_ID, "0") < SPAN_LEN;
}

static bool sampled(const char *trace)
{
        return trace && strlen(trace) > FLAGS && strchr("13579bdfBDF", trace[FLAGS + 1]) && identifies(trace);
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

bool sp__span_wanted(const struct sp__stmt_record *record)
{
        return record->ctx && sampled(sp__ctx_trace(record->ctx));
}

void sp__spans_add(struct sp__watchers *spans, uint64_t id, const struct sp__name *name,
                   const struct sp__stmt_record *record)
{
        struct span span = span_of(name, record, sp__ctx_trace(record->ctx));

        span.id = id;
        sp__watchers_tell(spans, &span);
}
