/* SPDX-License-Identifier: MIT */
#include "profile/repeat.h"

#include "pg/stmt.h"

static const sp_stmt *keep(const sp_stmt *stmt)
{
        return sp_stmt_ref((sp_stmt *)(uintptr_t)stmt);
}

void sp__repeat_init(struct sp__repeat *repeat, const struct sp__run *run)
{
        repeat->first = *run;
        keep(run->stmt);
        repeat->fingerprint = run->stmt->sql.fingerprint;
        repeat->other = NULL;
        atomic_init(&repeat->total_ns, 0);
        atomic_init(&repeat->unsent, 0);
        repeat->asked = repeat->distinct = repeat->varies = repeat->count = 0;
}

void sp__repeat_clear(struct sp__repeat *repeat)
{
        sp_stmt_unref((sp_stmt *)(uintptr_t)repeat->first.stmt);
        sp_stmt_unref((sp_stmt *)(uintptr_t)repeat->other);
}

void sp__repeat_note(struct sp__repeat *repeat, const struct sp__run *run)
{
        repeat->asked++;
        if (!repeat->other && run->stmt != repeat->first.stmt &&
            run->stmt->sql.literals != repeat->first.stmt->sql.literals)
                repeat->other = keep(run->stmt);
        for (uint32_t i = 0; i < repeat->count; i++) {
                if (repeat->seen[i].values == run->values) {
                        repeat->seen[i].times++;
                        return;
                }
        }
        for (uint32_t i = 0; i < run->count && i < repeat->first.count; i++)
                repeat->varies |= (uint32_t)(run->each[i] != repeat->first.each[i]) << i;
        /* Past what is told apart each counts as another one. */
        repeat->distinct++;
        if (repeat->count == SP__REPEAT_SEEN)
                return;
        repeat->seen[repeat->count].times = 1;
        repeat->seen[repeat->count++].values = run->values;
}

void sp__repeat_over(struct sp__repeat *repeat, int64_t ns)
{
        if (ns > 0)
                atomic_fetch_add_explicit(&repeat->total_ns, ns, memory_order_relaxed);
        else
                atomic_fetch_add_explicit(&repeat->unsent, 1, memory_order_relaxed);
}

void sp__repeat_judge(const struct sp__repeat *repeat, struct sp__findings *findings, const char *place)
{
        int64_t least = sp__findings_least(findings), most = 0;
        /* What was asked for and never sent is none of it. */
        int64_t runs = repeat->asked - atomic_load_explicit(&repeat->unsent, memory_order_relaxed);
        struct sp__found found = {.place = place,
                                  .stmt = repeat->first.stmt,
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
                sp__findings_add(findings, &found);
        }
        if (most >= least && sp__stmt_reads(repeat->first.stmt)) {
                found.kind = SP__FOUND_REPEAT;
                sp__findings_add(findings, &found);
        }
}
