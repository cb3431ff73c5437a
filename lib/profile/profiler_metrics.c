/* SPDX-License-Identifier: MIT */
/* What a scrape sees of a profiler: few series, whatever the number of names. */
#include "profile/profiler.h"
#include "profile/profiler_internal.h"

#include <stdlib.h>

struct series {
        struct sp__name *name;
        size_t index; /* in order of adding */
        int64_t total_ns;
};

struct view {
        struct sp__tally other;
        struct sp__tally own[SP__PROFILER_SERIES];
        size_t owns;
        size_t count;
        struct series all[]; /* the first `owns` have series of their own */
};

static int longest_first(const void *a, const void *b)
{
        const struct series *x = a, *y = b;

        if (x->total_ns != y->total_ns)
                return x->total_ns < y->total_ns ? 1 : -1;
        return x->index < y->index ? -1 : x->index > y->index;
}

static int oldest_first(const void *a, const void *b)
{
        const struct series *x = a, *y = b;

        return x->index < y->index ? -1 : x->index > y->index;
}

static void tally_add(struct sp__tally *to, const struct sp__tally *from, int sign)
{
        for (size_t i = 0; i <= SP__BOUNDS; i++)
                to->times.counts[i] += sign * from->times.counts[i];
        to->times.sum_ns += sign * from->times.sum_ns;
        to->errors += sign * from->errors;
        to->wait_ns += sign * from->wait_ns;
        to->execute_ns += sign * from->execute_ns;
        to->fetch_ns += sign * from->fetch_ns;
        to->rows += sign * from->rows;
        to->bytes += sign * from->bytes;
        for (int i = 0; i < SP__OUTCOMES; i++)
                to->cached[i] += sign * from->cached[i];
}

static struct sp__tally tally_of(const struct sp__name *name)
{
        struct sp__tally tally;

        sp__histogram_buckets(name->times, &tally.times);
        tally.times.sum_ns = sp__name_total(name);
        tally.errors = atomic_load_explicit(&name->errors, memory_order_relaxed);
        tally.wait_ns = atomic_load_explicit(&name->wait_ns, memory_order_relaxed);
        tally.execute_ns = atomic_load_explicit(&name->execute_ns, memory_order_relaxed);
        tally.fetch_ns = atomic_load_explicit(&name->fetch_ns, memory_order_relaxed);
        tally.rows = atomic_load_explicit(&name->rows, memory_order_relaxed);
        tally.bytes = atomic_load_explicit(&name->bytes, memory_order_relaxed);
        for (int i = 0; i < SP__OUTCOMES; i++)
                tally.cached[i] = atomic_load_explicit(&name->cached[i], memory_order_relaxed);
        return tally;
}

/* Of a name with its variants. */
static struct sp__tally tally_all(const struct sp__name *name)
{
        struct sp__tally all = tally_of(name);

        while ((name = sp__name_next(name))) {
                struct sp__tally one = tally_of(name);

                tally_add(&all, &one, 1);
        }
        return all;
}

static int64_t total_of(const struct sp__name *name)
{
        int64_t total = 0;

        for (; name; name = sp__name_next(name))
                total += sp__name_total(name);
        return total;
}

static int64_t tally_count(const struct sp__tally *tally)
{
        int64_t count = 0;

        for (size_t i = 0; i <= SP__BOUNDS; i++)
                count += tally->times.counts[i];
        return count;
}

/* Those of a kind but "other", the ones that took longest in front. NULL when out of memory. */
static struct view *view_new(const struct sp__names *names, enum sp__name_kind kind)
{
        size_t count = atomic_load_explicit(&names->count, memory_order_acquire);
        struct view *view = calloc(1, sizeof *view + count * sizeof *view->all);

        if (!view)
                return NULL;
        for (size_t i = 1; i < count; i++) {
                struct sp__name *name = names->all[i];

                if (name->kind == kind && name->first == name)
                        view->all[view->count++] = (struct series){name, i, total_of(name)};
        }
        qsort(view->all, view->count, sizeof *view->all, longest_first);
        view->owns = view->count < SP__PROFILER_SERIES ? view->count : SP__PROFILER_SERIES;
        qsort(view->all, view->owns, sizeof *view->all, oldest_first);
        return view;
}

/*
 * Under the scrape mutex. A counter that falls looks like a restart to a scraper, and the whole of it like new work. So
 * when a name gets a series of its own, "other" keeps what it had of it, and hands that back when the name returns.
 */
static void view_read(struct view *view, struct sp__tally *moved)
{
        for (size_t i = 0; i < view->count; i++) {
                enum sp__name_shown now = i < view->owns ? SP__NAME_SHOWN : SP__NAME_HIDDEN;
                struct sp__name *name = view->all[i].name;
                struct sp__tally tally = tally_all(name);

                if (name->shown != SP__NAME_NEW && name->shown != now)
                        tally_add(moved, &tally, now == SP__NAME_SHOWN ? 1 : -1);
                name->shown = now;
                if (now == SP__NAME_SHOWN)
                        view->own[i] = tally;
                else
                        tally_add(&view->other, &tally, 1);
        }
        tally_add(&view->other, moved, 1);
}

/* The labels of a series, with room for one more and the end. */
struct labels {
        const char *at[8];
        size_t count;
};

static struct labels labels_of(enum sp__name_kind kind, const char *name)
{
        if (kind == SP__NAME_WORK)
                return (struct labels){{"name", name}, 2};
        return (struct labels){{"db_system_name", "postgresql", "db_query_summary", name}, 4};
}

static void write_times(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        sp__expo_buckets(expo, labels.at, &tally->times);
}

static void write_errors(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        sp__expo_sample(expo, "_total", labels.at, (double)tally->errors);
}

static void write_phases(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        const struct {
                const char *name;
                int64_t ns;
        } phases[] = {{"wait", tally->wait_ns}, {"execute", tally->execute_ns}, {"fetch", tally->fetch_ns}};

        labels.at[labels.count] = "phase";
        for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
                labels.at[labels.count + 1] = phases[i].name;
                sp__expo_sample(expo, "_total", labels.at, (double)phases[i].ns / SP__SECOND);
        }
}

static void write_rows(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        sp__expo_sample(expo, "_total", labels.at, (double)tally->rows);
}

static void write_bytes(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        sp__expo_sample(expo, "_total", labels.at, (double)tally->bytes);
}

/* Most statements are never asked through the cache. */
static void write_cached(struct sp__expo *expo, struct labels labels, const struct sp__tally *tally)
{
        static const char *const results[SP__OUTCOMES] = {[SP__OUTCOME_HIT] = "hit",
                                                          [SP__OUTCOME_STALE] = "stale",
                                                          [SP__OUTCOME_MISS] = "miss",
                                                          [SP__OUTCOME_LOAD] = "load"};
        int64_t all = 0;

        for (int i = 0; i < SP__OUTCOMES; i++)
                all += tally->cached[i];
        labels.at[labels.count] = "result";
        for (int i = 0; all && i < SP__OUTCOMES; i++) {
                labels.at[labels.count + 1] = results[i];
                sp__expo_sample(expo, "_total", labels.at, (double)tally->cached[i]);
        }
}

/* The samples of one family: each series of its own, then "other" if there is any. */
static void write_samples(struct sp__expo *expo, const struct view *view, enum sp__name_kind kind,
                          void (*write)(struct sp__expo *, struct labels, const struct sp__tally *))
{
        for (size_t i = 0; i < view->owns; i++)
                write(expo, labels_of(kind, view->all[i].name->text), &view->own[i]);
        if (tally_count(&view->other) > 0 || view->other.cached[SP__OUTCOME_HIT] > 0)
                write(expo, labels_of(kind, "other"), &view->other);
}

static void write_statements(struct sp__expo *expo, const struct view *view)
{
        sp__expo_family(expo, "db_client_operation_duration_seconds", "histogram",
                        "Time of a statement: waiting for a connection, executing and fetching.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_times);
        sp__expo_family(expo, "sugarperf_statement_errors", "counter", "Statements that did not succeed.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_errors);
        sp__expo_family(expo, "sugarperf_statement_phase_seconds", "counter", "Time of statements by phase.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_phases);
        sp__expo_family(expo, "sugarperf_statement_rows", "counter", "Rows that statements returned or changed.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_rows);
        sp__expo_family(expo, "sugarperf_statement_result_bytes", "counter", "Memory that returned rows took.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_bytes);
        sp__expo_family(expo, "sugarperf_statement_cache", "counter",
                        "Queries through the cache by how they were answered; load: the statement ran for it.");
        write_samples(expo, view, SP__NAME_STATEMENT, write_cached);
}

static void write_work(struct sp__expo *expo, const struct view *view)
{
        sp__expo_family(expo, "sugarperf_work_duration_seconds", "histogram", "Time of a piece of named work.");
        write_samples(expo, view, SP__NAME_WORK, write_times);
        sp__expo_family(expo, "sugarperf_work_errors", "counter", "Pieces of named work that did not succeed.");
        write_samples(expo, view, SP__NAME_WORK, write_errors);
}

/* Under the scrape mutex. */
static void collect_kind(sp_profiler *profiler, struct sp__expo *expo, enum sp__name_kind kind)
{
        struct view *view = view_new(&profiler->names, kind);

        if (!view) {
                expo->failed = true;
                return;
        }
        if (kind == SP__NAME_STATEMENT)
                view->other = tally_of(sp__names_other(&profiler->names));
        view_read(view, &profiler->moved[kind]);
        if (kind == SP__NAME_STATEMENT)
                write_statements(expo, view);
        else
                write_work(expo, view);
        free(view);
}

static void collect_findings(sp_profiler *profiler, struct sp__expo *expo)
{
        static const char *const kinds[] = {[SP__FOUND_N_PLUS_1] = "n+1", [SP__FOUND_REPEAT] = "repeat"};

        sp__expo_family(expo, "sugarperf_profiler_findings", "gauge",
                        "Places whose units of work run a statement again and again.");
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                const char *const labels[] = {"kind", kinds[i], NULL};

                sp__expo_sample(expo, "", labels,
                                (double)sp__findings_count(profiler->findings, (enum sp__finding_kind)i));
        }
}

static void collect_slow(sp_profiler *profiler, struct sp__expo *expo)
{
        sp__expo_family(expo, "sugarperf_profiler_slow", "counter", "Runs that took profiler.slow or longer.");
        sp__expo_sample(expo, "_total", NULL, (double)atomic_load(&profiler->slow.total));
        sp__expo_family(expo, "sugarperf_profiler_slow_missed", "counter", "Entries of the slow log lost unread.");
        sp__expo_sample(expo, "_total", NULL, (double)atomic_load(&profiler->slow.missed));
        sp__expo_family(expo, "sugarperf_profiler_slow_limited", "counter", "Slow runs past profiler.slow_rate.");
        sp__expo_sample(expo, "_total", NULL, (double)atomic_load(&profiler->slow.limited));
}

void sp__profiler_collect(sp_profiler *profiler, struct sp__expo *expo)
{
        sp__lock(&profiler->scrape);
        collect_kind(profiler, expo, SP__NAME_STATEMENT);
        collect_kind(profiler, expo, SP__NAME_WORK);
        sp__unlock(&profiler->scrape);
        collect_slow(profiler, expo);
        collect_findings(profiler, expo);
}
