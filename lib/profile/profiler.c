/* SPDX-License-Identifier: MIT */
#include "profile/profiler.h"

#include "core/config.h"
#include "core/error.h"
#include "profile/profiler_internal.h"

#include <stdlib.h>

static bool profiler_init(sp_profiler *profiler, const sp_config *config)
{
        profiler->slow_ns = sp__config_int(config, "profiler", NULL, "slow") * SP__MS;
        if (!sp__fork_init(&profiler->fork))
                return false;
        if (!sp__names_init(&profiler->names, (size_t)sp__config_int(config, "profiler", NULL, "names")))
                goto no_names;
        if (!sp__slow_log_init(&profiler->slow, (size_t)sp__config_int(config, "profiler", NULL, "ring")))
                goto no_slow;
        sp__mutex_init(&profiler->scrape);
        return true;

no_slow:
        sp__names_destroy(&profiler->names);
no_names:
        sp__fork_destroy(&profiler->fork);
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
        sp__slow_log_destroy(&profiler->slow);
        sp__names_destroy(&profiler->names);
        sp__fork_destroy(&profiler->fork);
        free(profiler);
}

static void add(_Atomic int64_t *to, int64_t more)
{
        if (more)
                atomic_fetch_add_explicit(to, more, memory_order_relaxed);
}

/* A time that no clock gave must not make a sum overflow. */
static int64_t sane(int64_t ns)
{
        const int64_t longest = (int64_t)1 << 60;

        return ns < 0 ? 0 : ns < longest ? ns : longest;
}

/* A child process has the parent's locks in whatever state fork() found them: it records nothing. */
static void record(sp_profiler *profiler, enum sp__name_kind kind, const char *name, const char *text, int64_t wait_ns,
                   int64_t execute_ns, int64_t fetch_ns, sp_status status)
{
        int64_t total = wait_ns + execute_ns + fetch_ns;
        struct sp__name *entry;

        if (sp__forked(&profiler->fork))
                return;
        entry = sp__names_take(&profiler->names, name, kind);
        sp__histogram_record(entry->times, total);
        add(&entry->wait_ns, wait_ns);
        add(&entry->execute_ns, execute_ns);
        add(&entry->fetch_ns, fetch_ns);
        add(&entry->errors, status != SP_OK);
        if (total >= profiler->slow_ns)
                sp__slow_log_add(&profiler->slow, name, text, total, wait_ns);
}

void sp__profiler_record(sp_profiler *profiler, const char *name, const char *text, int64_t wait_ns, int64_t execute_ns,
                         int64_t fetch_ns, sp_status status)
{
        if (profiler)
                record(profiler, SP__NAME_STATEMENT, name, text, sane(wait_ns), sane(execute_ns), sane(fetch_ns),
                       status);
}

int64_t sp_profiler_start(const sp_profiler *profiler)
{
        return sp__clock_now(profiler ? profiler->clock : NULL);
}

void sp_profiler_finish(sp_profiler *profiler, const char *name, int64_t start, sp_status status)
{
        if (profiler)
                record(profiler, SP__NAME_WORK, name, "", 0, sane(sp__clock_now(profiler->clock) - sane(start)), 0,
                       status);
}

static const struct sp__name *known(const sp_profiler *profiler, const char *name)
{
        return profiler ? sp__names_find(&profiler->names, name) : NULL;
}

int64_t sp_profiler_count(const sp_profiler *profiler, const char *name)
{
        const struct sp__name *entry = known(profiler, name);

        return entry ? sp__histogram_count(entry->times) : 0;
}

int64_t sp_profiler_errors(const sp_profiler *profiler, const char *name)
{
        const struct sp__name *entry = known(profiler, name);

        return entry ? atomic_load_explicit(&entry->errors, memory_order_relaxed) : 0;
}

int64_t sp_profiler_total_ns(const sp_profiler *profiler, const char *name)
{
        const struct sp__name *entry = known(profiler, name);

        return entry ? sp__histogram_sum(entry->times) : 0;
}

int64_t sp_profiler_quantile_ns(const sp_profiler *profiler, const char *name, double q)
{
        const struct sp__name *entry = known(profiler, name);

        return entry ? sp__histogram_quantile(entry->times, q) : 0;
}

sp_slow *sp_profiler_slow(sp_profiler *profiler)
{
        return profiler && !sp__forked(&profiler->fork) ? sp__slow_log_take(&profiler->slow) : NULL;
}

int64_t sp_profiler_slow_missed(const sp_profiler *profiler)
{
        return profiler ? atomic_load(&profiler->slow.missed) : 0;
}
