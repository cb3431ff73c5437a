/* SPDX-License-Identifier: MIT */
#include "profile/profiler.h"

#include "base/fetch.h"
#include "base/random.h"
#include "core/config.h"
#include "core/ctx.h"
#include "core/error.h"
#include "pg/stmt.h"
#include "profile/profiler_internal.h"
#include "profile/work.h"

#include <stdlib.h>

#define LONGEST ((int64_t)1 << 60)

static int64_t setting(const sp_profiler *profiler, const char *name)
{
        return sp__config_int(profiler->config, "profiler", NULL, name);
}

/* A name may have a threshold of its own. */
static void name_begin(void *arg, struct sp__name *name)
{
        const sp_profiler *profiler = arg;

        name->slow_ms = (uint32_t)sp__config_int(profiler->config, "profiler", name->text, "slow");
}

static bool profiler_init(sp_profiler *profiler, const sp_config *config)
{
        profiler->config = config ? sp__config_copy(config) : NULL;
        if (config && !profiler->config)
                return false;
        profiler->names.begin = name_begin;
        profiler->names.arg = profiler;
        if (!sp__fork_init(&profiler->fork))
                goto no_fork;
        if (!sp__names_init(&profiler->names, (size_t)setting(profiler, "names")))
                goto no_names;
        if (!sp__slow_log_init(&profiler->slow, (size_t)setting(profiler, "ring"), setting(profiler, "slow_rate")))
                goto no_slow;
        profiler->repeats = setting(profiler, "repeats");
        profiler->findings = sp__findings_new(profiler->repeats);
        profiler->spans = sp__watchers_new(&sp__spans);
        atomic_init(&profiler->span_id, sp__random_seed());
        if (!profiler->findings || !profiler->spans)
                goto no_findings;
        profiler->plan_every_ns = setting(profiler, "plan_every") * SP__MS;
        sp__mutex_init(&profiler->scrape);
        sp__mutex_init(&profiler->plans);
        return true;

no_findings:
        sp__watchers_unref(profiler->spans);
        sp__findings_close(profiler->findings);
        sp__slow_log_destroy(&profiler->slow);
no_slow:
        sp__names_destroy(&profiler->names);
no_names:
        sp__fork_destroy(&profiler->fork);
no_fork:
        sp_config_free(profiler->config);
        return false;
}

sp_status sp_profiler_new(const sp_config *config, sp_clock *clock, sp_profiler **out, sp_error **error)
{
        sp_profiler *profiler;

        if (!out)
                return sp__fail(error, SP_INVALID, "sp_profiler_new: out is NULL");
        profiler = calloc(1, sizeof *profiler);
        if (!profiler || !profiler_init(profiler, config)) {
                free(profiler);
                return sp__fail(error, SP_NOMEM, "out of memory for a profiler");
        }
        profiler->clock = clock;
        *out = profiler;
        return SP_OK;
}

void sp_profiler_free(sp_profiler *profiler)
{
        if (!profiler)
                return;
        sp__mutex_destroy(&profiler->scrape);
        sp__mutex_destroy(&profiler->plans);
        sp__findings_close(profiler->findings);
        if (!sp__forked(&profiler->fork)) {
                sp__watchers_end(profiler->spans);
                sp__watchers_unref(profiler->spans);
        }
        sp__slow_log_destroy(&profiler->slow);
        sp__names_destroy(&profiler->names);
        sp__fork_destroy(&profiler->fork);
        sp_config_free(profiler->config);
        free(profiler);
}

/* Under the name's lock: readers take none. */
static void add(_Atomic int64_t *to, int64_t more)
{
        atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + more, memory_order_relaxed);
}

/* A time that no clock gave must not make a sum overflow. */
static int64_t sane(int64_t ns)
{
        if (__builtin_expect((uint64_t)ns < LONGEST, true))
                return ns;
        return ns < 0 ? 0 : LONGEST;
}

struct run {
        int64_t wait_ns, execute_ns, fetch_ns, rows, bytes;
};

static int64_t total_of(const struct run *run)
{
        return run->wait_ns + run->execute_ns + run->fetch_ns;
}

static void sum_up(struct sp__name *name, const struct run *run)
{
        int64_t total = total_of(run);
        _Atomic int64_t *bucket = sp__histogram_bucket(name->times, total);

        /* Else it would come after the lock's. */
        sp__fetch(bucket);
        sp__brief_lock(&name->lock);
        add(&name->wait_ns, run->wait_ns);
        add(&name->execute_ns, run->execute_ns);
        add(&name->fetch_ns, run->fetch_ns);
        add(&name->rows, run->rows);
        add(&name->bytes, run->bytes);
        if (total > atomic_load_explicit(&name->max_ns, memory_order_relaxed))
                atomic_store_explicit(&name->max_ns, total, memory_order_relaxed);
        add(bucket, 1);
        sp__brief_unlock(&name->lock);
}

static void count(struct sp__name *name, const struct run *run, int64_t now, sp_status status, const char *code)
{
        /* It may be another core's, and is written. */
        sp__fetch(name);
        if (sp__minutes_over(&name->minute, now))
                sp__minutes_begin(&name->minutes, &name->minute, now, sp__name_all(name));
        sum_up(name, run);
        if (status == SP_OK)
                return;
        atomic_fetch_add_explicit(&name->errors, 1, memory_order_relaxed);
        sp__codes_count(&name->codes, code ? code : "");
}

/* Into the ring and, unless it came too fast, to those who watch. */
static void tell_slow(sp_profiler *profiler, const struct sp__slow_run *run, int64_t now)
{
        struct sp__buf body = SP__BUF_INIT;

        if (!sp__slow_log_add(&profiler->slow, run, now))
                return;
        sp__slow_write(run, &body);
        sp__findings_tell(profiler->findings, &body);
}

static __attribute__((cold)) void slow_statement(sp_profiler *profiler, struct sp__name *name,
                                                 const struct sp__stmt_record *record, const struct run *took)
{
        const sp_ctx *ctx = record->ctx;
        char *plan = sp__profiler_plan(profiler, name);
        const struct sp__slow_run run = {.name = record->name,
                                         .text = record->text,
                                         .pool = record->pool,
                                         .code = record->code,
                                         .tag = ctx ? sp__ctx_tag(ctx) : NULL,
                                         .trace = ctx ? sp__ctx_trace(ctx) : NULL,
                                         .scope = ctx ? sp__ctx_scope_name(ctx) : NULL,
                                         .plan = plan,
                                         .fingerprint = record->fingerprint,
                                         .duration_ns = total_of(took),
                                         .wait_ns = took->wait_ns,
                                         .execute_ns = took->execute_ns,
                                         .fetch_ns = took->fetch_ns,
                                         .rows = took->rows,
                                         .status = record->status};

        tell_slow(profiler, &run, record->done_ns);
        free(plan);
        sp__profiler_sample(profiler, name, record->done_ns);
}

/* Random enough for ids: a step of SplitMix64 each, from a seed of the system's. */
static uint64_t span_id(sp_profiler *profiler)
{
        struct sp__random random = {
            atomic_fetch_add_explicit(&profiler->span_id, 0x9e3779b97f4a7c15u, memory_order_relaxed)};
        uint64_t id = sp__random_next(&random);

        return id ? id : 1;
}

void *sp__profiler_asked(void *arg, const sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params)
{
        const sp_profiler *profiler = arg;

        return profiler && profiler->repeats ? sp__work_asked(profiler->findings, profiler->repeats, ctx, stmt, params)
                                             : NULL;
}

static bool slow(const struct sp__name *name, int64_t total)
{
        return total >= name->slow_ms * SP__MS;
}

/* Where it is recorded; NULL: nowhere. A child process has the parent's locks in whatever state fork() found them. */
static struct sp__name *name_of(sp_profiler *profiler, const struct sp__wanted *wanted)
{
        struct sp__name *name;

        if (!profiler || sp__forked(&profiler->fork))
                return NULL;
        name = sp__names_recall(&profiler->names, wanted);
        return name ? name : sp__names_take(&profiler->names, wanted);
}

void sp__profiler_record(void *arg, const struct sp__stmt_record *record)
{
        sp_profiler *profiler = arg;
        const struct sp__wanted wanted = {record->name, SP__NAME_STATEMENT, record};
        const struct run run = {.wait_ns = sane(record->wait_ns),
                                .execute_ns = sane(record->execute_ns),
                                .fetch_ns = sane(record->fetch_ns),
                                .rows = record->rows,
                                .bytes = record->bytes};
        struct sp__name *name = name_of(profiler, &wanted);

        if (!name)
                return;
        count(name, &run, record->done_ns, record->status, record->code);
        if (slow(name, total_of(&run)))
                slow_statement(profiler, name, record, &run);
        if (atomic_load_explicit(&profiler->traced, memory_order_relaxed) && sp__span_wanted(record))
                sp__spans_add(profiler->spans, span_id(profiler), name, record);
}

void sp__profiler_cached(sp_profiler *profiler, const char *pool, const sp_stmt *stmt, enum sp__cache_outcome outcome)
{
        const struct sp__stmt_record record = {.name = stmt->name,
                                               .text = stmt->sql.text,
                                               .stmt = stmt,
                                               .fingerprint = stmt->sql.fingerprint,
                                               .pool = pool};
        const struct sp__wanted wanted = {stmt->name, SP__NAME_STATEMENT, &record};
        struct sp__name *name = name_of(profiler, &wanted);

        if (name)
                atomic_fetch_add_explicit(&name->cached[outcome], 1, memory_order_relaxed);
}

int64_t sp_profiler_start(const sp_profiler *profiler)
{
        return sp__clock_now(profiler ? profiler->clock : NULL);
}

void sp_profiler_finish(sp_profiler *profiler, const char *name, int64_t start, sp_status status)
{
        const struct sp__wanted wanted = {name, SP__NAME_WORK, NULL};
        struct sp__slow_run told = {.name = name, .status = status};
        struct run run = {0};
        struct sp__name *entry;
        int64_t now;

        if (!profiler || sp__forked(&profiler->fork))
                return;
        now = sp__clock_now(profiler->clock);
        run.execute_ns = sane(now - sane(start));
        entry = sp__names_take(&profiler->names, &wanted);
        count(entry, &run, now, status, NULL);
        if (!slow(entry, run.execute_ns))
                return;
        told.duration_ns = told.execute_ns = run.execute_ns;
        tell_slow(profiler, &told, now);
}

/* Of all that came under a name. */
static int64_t sum(const sp_profiler *profiler, const char *name, int64_t (*of)(const struct sp__name *))
{
        int64_t total = 0;

        for (const struct sp__name *at = profiler ? sp__names_find(&profiler->names, name) : NULL; at;
             at = sp__name_next(at))
                total += of(at);
        return total;
}

static int64_t count_of(const struct sp__name *name)
{
        return sp__histogram_count(name->times);
}

static int64_t errors_of(const struct sp__name *name)
{
        return atomic_load_explicit(&name->errors, memory_order_relaxed);
}

int64_t sp_profiler_count(const sp_profiler *profiler, const char *name)
{
        return sum(profiler, name, count_of);
}

int64_t sp_profiler_errors(const sp_profiler *profiler, const char *name)
{
        return sum(profiler, name, errors_of);
}

int64_t sp_profiler_total_ns(const sp_profiler *profiler, const char *name)
{
        return sum(profiler, name, sp__name_total);
}

int64_t sp_profiler_quantile_ns(const sp_profiler *profiler, const char *name, double q)
{
        const struct sp__histogram *all[SP__MERGED];
        size_t count = 0;

        for (const struct sp__name *at = profiler ? sp__names_find(&profiler->names, name) : NULL;
             at && count < SP__MERGED; at = sp__name_next(at))
                all[count++] = at->times;
        return sp__histogram_quantile_of(all, count, q);
}

sp_slow *sp_profiler_slow(sp_profiler *profiler)
{
        return profiler && !sp__forked(&profiler->fork) ? sp__slow_log_take(&profiler->slow) : NULL;
}

int64_t sp_profiler_slow_missed(const sp_profiler *profiler)
{
        return profiler ? atomic_load(&profiler->slow.missed) : 0;
}

int64_t sp_profiler_slow_limited(const sp_profiler *profiler)
{
        return profiler ? atomic_load(&profiler->slow.limited) : 0;
}

sp_status sp_profiler_watch_async(sp_profiler *profiler, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, profiler);
        return sp__findings_watch(profiler->findings, ctx, seen, queue, tag);
}

sp_status sp_profiler_spans_async(sp_profiler *profiler, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        SP__NEED(queue, NULL);
        SP__NEED_FOR(queue, tag, profiler);
        if (sp__forked(&profiler->fork))
                return SP_FORKED;
        atomic_store_explicit(&profiler->traced, true, memory_order_relaxed);
        return sp__watchers_add(profiler->spans, ctx, seen, queue, tag);
}
