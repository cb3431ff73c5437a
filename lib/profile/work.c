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
        /* As they are let go of; what follows, as they are asked for. */
        _Atomic int64_t total_ns;
        _Atomic uint32_t unsent;
        atomic_bool keeps; /* a reference to `stmt`, taken over from who asked: all threads fight over its count */
        uint32_t asked;
        const sp_stmt *stmt; /* not looked into before the unit's end: see `keeps` */
        uint64_t fingerprint, literals;
        const sp_stmt *other; /* a reference to the first one that had other literals; NULL: none has */
        uint32_t distinct;
        uint32_t varies; /* parameters that differed from the first run's, which are these */
        uint32_t count;  /* of `seen`; the rest of it is not written */
        uint32_t first[SP__PRINTED];
        struct {
                uint64_t values; /* their hash */
                int64_t times;
        } seen[SEEN];
};

struct work {
        struct sp__scope scope;
        struct sp__findings *findings; /* a reference; NULL: no statement was asked for so often that it might be one */
        sp__brief lock;                /* what follows; a leaf */
        uint32_t count;
        struct repeat *more; /* past `few`, of which most units have no need */
        struct repeat few[FEW];
};

/* Of a unit that asks for one statement a few times. */
enum { LINE = 64, LINES = 3 };

/* It stays there as long as the unit. */
static struct repeat *at(struct work *work, uint32_t i)
{
        return i < FEW ? &work->few[i] : &work->more[i - FEW];
}

static void judge(const struct work *work, const struct repeat *repeat, const char *place)
{
        int64_t least = sp__findings_least(work->findings), most = 0;
        /* What was asked for and never sent is none of it. */
        int64_t runs = repeat->asked - atomic_load_explicit(&repeat->unsent, memory_order_relaxed);
        struct sp__found found = {.place = place,
                                  .stmt = repeat->stmt,
                                  .other = repeat->other,
                                  .varies = repeat->varies,
                                  .runs = runs,
                                  .distinct = repeat->distinct,
                                  .total_ns = atomic_load_explicit(&repeat->total_ns, memory_order_relaxed)};

        if (runs < least)
                return;
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

        for (uint32_t i = 0; i < work->count; i++) {
                if (work->findings)
                        judge(work, at(work, i), name);
                sp_stmt_unref((sp_stmt *)(uintptr_t)at(work, i)->stmt);
                sp_stmt_unref((sp_stmt *)(uintptr_t)at(work, i)->other);
        }
        sp__findings_unref(work->findings);
        free(work->more);
        free(work);
}

/* Else it would come line by line, between one locked instruction and the next. */
static void fetch(const struct work *work)
{
        for (int i = 0; i < LINES; i++)
                __builtin_prefetch((const char *)work + (size_t)i * LINE, 1);
}

/* Not calloc(): most of it is never looked at. */
static struct sp__scope *work_new(void)
{
        struct work *work = malloc(sizeof *work);

        if (!work)
                return NULL;
        fetch(work);
        work->scope.end = work_end;
        work->findings = NULL;
        sp__brief_init(&work->lock);
        work->count = 0;
        work->more = NULL;
        return &work->scope;
}

/* Under the lock, as what follows. NULL: it has its fill. */
static struct repeat *add(struct work *work, const sp_stmt *stmt, const struct sp__params_print *print)
{
        struct repeat *added;

        if (work->count == STATEMENTS)
                return NULL;
        if (work->count == FEW && !(work->more = malloc((STATEMENTS - FEW) * sizeof *work->more)))
                return NULL;
        added = at(work, work->count++);
        atomic_init(&added->total_ns, 0);
        atomic_init(&added->unsent, 0);
        atomic_init(&added->keeps, false);
        added->stmt = stmt;
        added->fingerprint = stmt->sql.fingerprint;
        added->literals = stmt->sql.literals;
        added->other = NULL;
        added->asked = added->distinct = 0;
        memcpy(added->first, print->each, sizeof added->first);
        added->varies = added->count = 0;
        return added;
}

static struct repeat *repeat_of(struct work *work, const sp_stmt *stmt, const struct sp__params_print *print)
{
        for (uint32_t i = 0; i < work->count; i++) {
                if (at(work, i)->fingerprint == stmt->sql.fingerprint)
                        return at(work, i);
        }
        return add(work, stmt, print);
}

/* Values that stand in the text count as parameters do. */
static void note_values(struct repeat *repeat, const sp_stmt *stmt, const struct sp__params_print *print)
{
        uint64_t values = print->all ^ stmt->sql.literals;

        if (!repeat->other && stmt->sql.literals != repeat->literals)
                repeat->other = sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
        for (uint32_t i = 0; i < print->count && i < SP__PRINTED; i++)
                repeat->varies |= (uint32_t)(print->each[i] != repeat->first[i]) << i;
        for (uint32_t i = 0; i < repeat->count; i++) {
                if (repeat->seen[i].values == values) {
                        repeat->seen[i].times++;
                        return;
                }
        }
        /* Past what is told apart each counts as another one. */
        repeat->distinct++;
        if (repeat->count == SEEN)
                return;
        repeat->seen[repeat->count].times = 1;
        repeat->seen[repeat->count++].values = values;
}

/* Most units end without: all of them would write one count of references. */
static void keep_findings(struct work *work, const struct repeat *repeat, struct sp__findings *findings)
{
        if (!work->findings && repeat->asked >= sp__findings_least(findings))
                work->findings = sp__findings_ref(findings);
}

void *sp__work_asked(struct sp__findings *findings, const sp_ctx *ctx, const sp_stmt *stmt, const sp_params *params)
{
        struct sp__params_print print;
        struct sp__scope *scope;
        struct repeat *repeat;
        struct work *work;

        if (!stmt->sql.fingerprint || (stmt->sql.kind != SP__SQL_READ && stmt->sql.kind != SP__SQL_WRITE))
                return NULL;
        scope = sp__ctx_scope(ctx, work_new);
        if (!scope)
                return NULL;
        work = SP__OF(scope, struct work, scope);
        fetch(work);
        sp__params_print(params, &print);
        if (print.count == SP__SETS)
                return NULL;
        sp__brief_lock(&work->lock);
        repeat = repeat_of(work, stmt, &print);
        if (repeat) {
                repeat->asked++;
                note_values(repeat, stmt, &print);
                keep_findings(work, repeat, findings);
        }
        sp__brief_unlock(&work->lock);
        return repeat;
}

bool sp__work_over(void *asked, const sp_stmt *stmt, int64_t ns)
{
        struct repeat *repeat = asked;

        if (ns > 0)
                atomic_fetch_add_explicit(&repeat->total_ns, ns, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&repeat->unsent, 1, memory_order_relaxed);
        return stmt == repeat->stmt && !atomic_load_explicit(&repeat->keeps, memory_order_relaxed) &&
               !atomic_exchange_explicit(&repeat->keeps, true, memory_order_relaxed);
}
