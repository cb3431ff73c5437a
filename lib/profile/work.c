/* SPDX-License-Identifier: MIT */
#include "profile/work.h"

#include "core/ctx.h"
#include "pg/stmt.h"

#include <stdlib.h>
#include <string.h>

/* Statements that a unit is looked over for; and of each how many sets of parameters are told apart. */
enum { STATEMENTS = 32, SEEN = 16 };

struct repeat {
        const sp_stmt *stmt; /* a reference */
        int64_t runs, distinct, total_ns;
        struct sp__params_print first;
        uint32_t varies; /* parameters that differed from the first run's */
        uint32_t seen;
        uint64_t prints[SEEN];
        uint32_t times[SEEN];
};

struct work {
        struct sp__scope scope;
        struct sp__findings *findings; /* a reference */
        sp__mutex lock;                /* what follows; a leaf */
        struct repeat *all;
        size_t count, cap;
};

static void judge(const struct work *work, const struct repeat *repeat, const char *place)
{
        int64_t least = sp__findings_least(work->findings), most = 0;
        struct sp__found found = {.place = place,
                                  .stmt = repeat->stmt,
                                  .varies = repeat->varies,
                                  .runs = repeat->runs,
                                  .distinct = repeat->distinct,
                                  .total_ns = repeat->total_ns};

        for (uint32_t i = 0; i < repeat->seen; i++)
                most = repeat->times[i] > most ? repeat->times[i] : most;
        if (repeat->distinct >= least) {
                found.kind = SP__FOUND_N_PLUS_1;
                sp__findings_add(work->findings, &found);
        }
        if (most >= least && sp__stmt_reads(repeat->stmt)) {
                found.kind = SP__FOUND_REPEAT;
                sp__findings_add(work->findings, &found);
        }
}

static void work_end(struct sp__scope *scope, const char *name)
{
        struct work *work = SP__OF(scope, struct work, scope);

        for (size_t i = 0; i < work->count; i++) {
                judge(work, &work->all[i], name);
                sp_stmt_unref((sp_stmt *)(uintptr_t)work->all[i].stmt);
        }
        sp__findings_unref(work->findings);
        sp__mutex_destroy(&work->lock);
        free(work->all);
        free(work);
}

static struct sp__scope *work_new(void *findings)
{
        struct work *work = calloc(1, sizeof *work);

        if (!work)
                return NULL;
        work->scope.end = work_end;
        work->findings = sp__findings_ref(findings);
        sp__mutex_init(&work->lock);
        return &work->scope;
}

/* Under the lock, as what follows. NULL: it has its fill. */
static struct repeat *repeat_of(struct work *work, const sp_stmt *stmt)
{
        struct repeat *all;

        for (size_t i = 0; i < work->count; i++) {
                if (work->all[i].stmt == stmt || work->all[i].stmt->sql.fingerprint == stmt->sql.fingerprint)
                        return &work->all[i];
        }
        if (work->count == STATEMENTS)
                return NULL;
        if (work->count == work->cap) {
                all = realloc(work->all, (work->cap ? work->cap * 2 : 4) * sizeof *all);
                if (!all)
                        return NULL;
                work->all = all;
                work->cap = work->cap ? work->cap * 2 : 4;
        }
        work->all[work->count] = (struct repeat){.stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt)};
        return &work->all[work->count++];
}

static void note_params(struct repeat *repeat, const struct sp__params_print *print)
{
        for (uint32_t i = 0; i < print->count && i < SP__PRINTED; i++)
                repeat->varies |= (uint32_t)(print->each[i] != repeat->first.each[i]) << i;
        for (uint32_t i = 0; i < repeat->seen; i++) {
                if (repeat->prints[i] == print->all) {
                        repeat->times[i]++;
                        return;
                }
        }
        /* Past what is told apart each counts as another one. */
        repeat->distinct++;
        if (repeat->seen == SEEN)
                return;
        repeat->times[repeat->seen] = 1;
        repeat->prints[repeat->seen++] = print->all;
}

static void note(struct work *work, const struct sp__stmt_record *record)
{
        struct repeat *repeat = repeat_of(work, record->stmt);

        if (!repeat)
                return;
        if (repeat->runs++ == 0)
                repeat->first = *record->params;
        repeat->total_ns += record->wait_ns + record->execute_ns + record->fetch_ns;
        note_params(repeat, record->params);
}

void sp__work_record(struct sp__findings *findings, const struct sp__stmt_record *record)
{
        const struct sp__params_print *params = record->params;
        struct sp__scope *scope;
        struct work *work;

        if (!record->ctx || !record->stmt || !record->fingerprint || !params || params->count == SP__SETS)
                return;
        if (record->stmt->sql.kind != SP__SQL_READ && record->stmt->sql.kind != SP__SQL_WRITE)
                return;
        scope = sp__ctx_scope(record->ctx, work_new, findings);
        if (!scope)
                return;
        work = SP__OF(scope, struct work, scope);
        sp__lock(&work->lock);
        note(work, record);
        sp__unlock(&work->lock);
}
