/* SPDX-License-Identifier: MIT */
#include "profile/work.h"

#include "base/brief.h"
#include "core/ctx.h"
#include "pg/stmt.h"

#include <stdlib.h>
#include <string.h>

/* Statements that a unit is looked over for, those that most units have no more than; sets of parameters told apart of each. */
enum { STATEMENTS = 32, FEW = 2, SEEN = 16 };

struct repeat {
        const sp_stmt *stmt; /* a reference */
        int64_t runs, distinct, total_ns;
        struct sp__params_print first;
        uint32_t varies; /* parameters that differed from the first run's */
        uint32_t count;  /* of what follows; the rest of it is not written */
        struct {
                uint64_t print;
                int64_t times;
        } seen[SEEN];
};

struct work {
        struct sp__scope scope;
        struct sp__findings *findings; /* a reference */
        sp__brief lock;                /* what follows; a leaf */
        uint32_t count;
        struct repeat *all; /* `few`, until it takes more */
        struct repeat few[FEW];
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

        for (uint32_t i = 0; i < repeat->count; i++)
                most = repeat->seen[i].times > most ? repeat->seen[i].times : most;
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
        if (work->all != work->few)
                free(work->all);
        free(work);
}

/* Not calloc(): most of it is never looked at. */
static struct sp__scope *work_new(void *findings)
{
        struct work *work = malloc(sizeof *work);

        if (!work)
                return NULL;
        work->scope.end = work_end;
        work->findings = sp__findings_ref(findings);
        sp__brief_init(&work->lock);
        work->count = 0;
        work->all = work->few;
        return &work->scope;
}

/* Room for one more, under the lock, as what follows. */
static bool grow(struct work *work)
{
        struct repeat *all;

        if (work->count < FEW)
                return true;
        if (work->count > FEW)
                return work->count < STATEMENTS;
        all = malloc(STATEMENTS * sizeof *all);
        if (!all)
                return false;
        memcpy(all, work->few, sizeof work->few);
        work->all = all;
        return true;
}

/* NULL: it has its fill. */
static struct repeat *repeat_of(struct work *work, const struct sp__stmt_record *record)
{
        const sp_stmt *stmt = record->stmt;
        struct repeat *added;

        for (uint32_t i = 0; i < work->count; i++) {
                if (work->all[i].stmt == stmt || work->all[i].stmt->sql.fingerprint == stmt->sql.fingerprint)
                        return &work->all[i];
        }
        if (!grow(work))
                return NULL;
        added = &work->all[work->count++];
        added->stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        added->runs = added->distinct = added->total_ns = 0;
        added->first = *record->params;
        added->varies = added->count = 0;
        return added;
}

static void note_params(struct repeat *repeat, const struct sp__params_print *print)
{
        for (uint32_t i = 0; i < print->count && i < SP__PRINTED; i++)
                repeat->varies |= (uint32_t)(print->each[i] != repeat->first.each[i]) << i;
        for (uint32_t i = 0; i < repeat->count; i++) {
                if (repeat->seen[i].print == print->all) {
                        repeat->seen[i].times++;
                        return;
                }
        }
        /* Past what is told apart each counts as another one. */
        repeat->distinct++;
        if (repeat->count == SEEN)
                return;
        repeat->seen[repeat->count].times = 1;
        repeat->seen[repeat->count++].print = print->all;
}

static void note(struct work *work, const struct sp__stmt_record *record)
{
        struct repeat *repeat = repeat_of(work, record);

        if (!repeat)
                return;
        repeat->runs++;
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
        sp__brief_lock(&work->lock);
        note(work, record);
        sp__brief_unlock(&work->lock);
}
