/* SPDX-License-Identifier: MIT */
/* What was recorded, for people and programs: the statements that took longest in front. */
#include "core/error.h"
#include "profile/json.h"
#include "profile/profiler_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTES_SHOWN = 5 };

static int longest_first(const void *a, const void *b)
{
        int64_t x = sp__name_total(*(struct sp__name *const *)a);
        int64_t y = sp__name_total(*(struct sp__name *const *)b);

        return x < y ? 1 : x > y ? -1 : 0;
}

static void write_ms(struct sp__buf *out, const char *name, int64_t ns)
{
        sp__json_number(out, name, (double)ns / SP__MS, 3);
}

static int64_t read(const _Atomic int64_t *from)
{
        return atomic_load_explicit(from, memory_order_relaxed);
}

static void write_times(struct sp__buf *out, const struct sp__name *name)
{
        int64_t count = sp__histogram_count(name->times), total = sp__name_total(name);

        sp__buf_format(out, ",\"count\":%" PRId64 ",\"errors\":%" PRId64, count, read(&name->errors));
        write_ms(out, "totalMs", total);
        write_ms(out, "meanMs", count ? total / count : 0);
        write_ms(out, "p50Ms", sp__histogram_quantile(name->times, .5));
        write_ms(out, "p95Ms", sp__histogram_quantile(name->times, .95));
        write_ms(out, "p99Ms", sp__histogram_quantile(name->times, .99));
        write_ms(out, "maxMs", read(&name->max_ns));
}

/* The last whole minutes, the latest first. */
static void write_minutes(struct sp__buf *out, const struct sp__name *name, int64_t now)
{
        const struct sp__minute all = sp__name_all(name);

        sp__buf_text(out, ",\"minutes\":[");
        for (int i = 1; i <= MINUTES_SHOWN; i++) {
                struct sp__minute minute = sp__minutes_at(&name->minutes, sp__minute_of(now) - i, all);

                sp__buf_format(out, "%s{\"count\":%" PRId64 ",\"errors\":%" PRId64, i > 1 ? "," : "", minute.count,
                               minute.errors);
                write_ms(out, "totalMs", minute.total_ns);
                sp__buf_char(out, '}');
        }
        sp__buf_char(out, ']');
}

static const char *const outcomes[SP__OUTCOMES] = {
    [SP__OUTCOME_HIT] = "hit", [SP__OUTCOME_STALE] = "stale", [SP__OUTCOME_MISS] = "miss", [SP__OUTCOME_LOAD] = "load"};

static bool cached(const struct sp__name *name)
{
        for (int i = 0; i < SP__OUTCOMES; i++) {
                if (read(&name->cached[i]) > 0)
                        return true;
        }
        return false;
}

/* Where it was asked through the cache. */
static void write_cached(struct sp__buf *out, const struct sp__name *name)
{
        if (!cached(name))
                return;
        for (int i = 0; i < SP__OUTCOMES; i++)
                sp__buf_format(out, "%s\"%s\":%" PRId64, i ? "," : ",\"cache\":{", outcomes[i], read(&name->cached[i]));
        sp__buf_char(out, '}');
}

static void write_statement(struct sp__buf *out, const struct sp__name *name)
{
        sp__buf_format(out, ",\"fingerprint\":\"%016" PRIx64 "\"", name->fingerprint);
        sp__json_text(out, "text", name->norm);
        sp__json_text(out, "pool", name->pool);
        write_ms(out, "waitMs", read(&name->wait_ns));
        write_ms(out, "executeMs", read(&name->execute_ns));
        write_ms(out, "fetchMs", read(&name->fetch_ns));
        sp__buf_format(out, ",\"rows\":%" PRId64 ",\"bytes\":%" PRId64 ",\"codes\":", read(&name->rows),
                       read(&name->bytes));
        sp__codes_write(&name->codes, out);
        write_cached(out, name);
}

static void write_name(struct sp__buf *out, const struct sp__name *name, int64_t now)
{
        sp__buf_text(out, "{\"name\":");
        sp__buf_json(out, name->text, name->len);
        write_times(out, name);
        if (name->kind == SP__NAME_STATEMENT)
                write_statement(out, name);
        write_minutes(out, name, now);
        sp__buf_char(out, '}');
}

/* Of one kind, those with the greatest total time; "other" among the statements where it has something. */
static void write_top(struct sp__buf *out, const struct sp__names *names, enum sp__name_kind kind, size_t top,
                      int64_t now)
{
        size_t count = atomic_load_explicit(&names->count, memory_order_acquire), found = 0;
        struct sp__name **all = calloc(count, sizeof(struct sp__name *));

        out->failed |= !all;
        for (size_t i = 0; all && i < count; i++) {
                if (names->all[i]->kind == kind &&
                    (sp__histogram_count(names->all[i]->times) > 0 || cached(names->all[i])))
                        all[found++] = names->all[i];
        }
        if (found)
                qsort(all, found, sizeof(struct sp__name *), longest_first);
        for (size_t i = 0; i < found && i < top; i++) {
                sp__buf_text(out, i ? "," : "");
                write_name(out, all[i], now);
        }
        free(all);
}

sp_status sp_profiler_report(sp_profiler *profiler, uint32_t top, sp_value **out)
{
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value = NULL;
        int64_t now;

        SP__NEED(profiler, NULL);
        SP__NEED(out, NULL);
        if (sp__forked(&profiler->fork))
                return SP_FORKED;
        now = sp__clock_now(profiler->clock);
        sp__buf_text(&buf, "{\"statements\":[");
        write_top(&buf, &profiler->names, SP__NAME_STATEMENT, top ? top : SIZE_MAX, now);
        sp__buf_text(&buf, "],\"work\":[");
        write_top(&buf, &profiler->names, SP__NAME_WORK, top ? top : SIZE_MAX, now);
        sp__buf_text(&buf, "],\"findings\":");
        sp__findings_write(profiler->findings, &buf);
        sp__buf_char(&buf, '}');
        if (!buf.failed)
                value = sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}
