/* SPDX-License-Identifier: MIT */
#include "profile/findings.h"

#include "base/fork.h"
#include "base/hash.h"
#include "base/random.h"
#include "pg/news.h"
#include "pg/stmt.h"
#include "profile/json.h"
#include "sql/batched.h"

#include <inttypes.h>
#include <stdlib.h>

/* Further places are not told apart any more: they are many, and the first ones tell enough. */
enum { PLACES = 256 };

struct finding {
        uint64_t hash;
        enum sp__finding_kind kind;
        char *place;
        const sp_stmt *stmt; /* a reference */
        char *instead;       /* the statement that would do, or the call; NULL: nothing would, so it is none */
        int64_t runs, distinct, total_ns; /* of the first unit */
        int64_t units, most, all_ns;      /* of all of them: how many, the most runs in one, their time */
};

struct sp__findings {
        struct sp__fork fork;
        atomic_uint refs;
        int64_t least;
        uint64_t seed;
        struct sp__watchers *news;
        sp__mutex lock; /* what follows */
        struct finding all[PLACES];
        size_t count;
};

struct sp__findings *sp__findings_new(int64_t least)
{
        struct sp__findings *findings = calloc(1, sizeof *findings);

        if (!findings)
                return NULL;
        findings->news = sp__watchers_new(&sp__news);
        if (!findings->news || !sp__fork_init(&findings->fork)) {
                sp__watchers_unref(findings->news);
                free(findings);
                return NULL;
        }
        atomic_init(&findings->refs, 1);
        findings->least = least;
        findings->seed = sp__random_seed();
        sp__mutex_init(&findings->lock);
        return findings;
}

struct sp__findings *sp__findings_ref(struct sp__findings *findings)
{
        atomic_fetch_add_explicit(&findings->refs, 1, memory_order_relaxed);
        return findings;
}

void sp__findings_unref(struct sp__findings *findings)
{
        if (!findings || atomic_fetch_sub_explicit(&findings->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < findings->count; i++) {
                free(findings->all[i].place);
                free(findings->all[i].instead);
                sp_stmt_unref((sp_stmt *)(uintptr_t)findings->all[i].stmt);
        }
        sp__watchers_unref(findings->news);
        sp__mutex_destroy(&findings->lock);
        sp__fork_destroy(&findings->fork);
        free(findings);
}

void sp__findings_close(struct sp__findings *findings)
{
        if (!findings)
                return;
        if (!sp__forked(&findings->fork))
                sp__watchers_end(findings->news);
        sp__findings_unref(findings);
}

int64_t sp__findings_least(const struct sp__findings *findings)
{
        return findings->least;
}

void sp__findings_tell(struct sp__findings *findings, struct sp__buf *body)
{
        sp__watchers_tell(findings->news, body);
}

sp_status sp__findings_watch(struct sp__findings *findings, sp_ctx *ctx, uint64_t seen, sp_queue *queue, uint64_t tag)
{
        if (sp__forked(&findings->fork))
                return SP_FORKED;
        return sp__watchers_add(findings->news, ctx, seen, queue, tag);
}

static const char *const kinds[] = {[SP__FOUND_N_PLUS_1] = "n+1", [SP__FOUND_REPEAT] = "repeat"};

static void write_ms(struct sp__buf *out, const char *name, int64_t ns)
{
        sp__json_number(out, name, (double)ns / SP__MS, 3);
}

/* Members of an object, without braces. */
static void write_finding(const struct finding *finding, struct sp__buf *out)
{
        sp__buf_format(out, "\"kind\":\"%s\"", kinds[finding->kind]);
        sp__json_text(out, "place", finding->place);
        sp__json_text(out, "name", finding->stmt->name);
        sp__json_text(out, "text", finding->stmt->sql.text);
        sp__buf_format(out, ",\"fingerprint\":\"%016" PRIx64 "\",\"runs\":%" PRId64 ",\"distinct\":%" PRId64,
                       finding->stmt->sql.fingerprint, finding->runs, finding->distinct);
        write_ms(out, "totalMs", finding->total_ns);
        sp__json_text(out, "instead", finding->instead);
}

/* What would do; NULL: nothing would, or memory is short. */
static char *instead_of(const struct sp__found *found)
{
        const char *other = found->other ? found->other->text : NULL;
        struct sp__buf out = SP__BUF_INIT;

        if (found->kind == SP__FOUND_REPEAT)
                return strdup("a cache, or one run whose result is kept");
        switch (sp__sql_batched(found->stmt->text, other, found->varies, &out)) {
        case SP__BATCHED_SETS:
                sp__buf_text(&out, "sp_pool_batch()");
                break;
        case SP__BATCHED_TEXT:
                break;
        default:
                return NULL;
        }
        sp__buf_char(&out, 0);
        if (!out.failed)
                return out.data;
        sp__buf_free(&out);
        return NULL;
}

static uint64_t hash_of(const struct sp__findings *findings, const struct sp__found *found)
{
        return sp__hash(found->place, strlen(found->place),
                        findings->seed + found->stmt->sql.fingerprint * 2 + (uint64_t)found->kind);
}

/* Under the lock. */
static struct finding *find(struct sp__findings *findings, uint64_t hash)
{
        for (size_t i = 0; i < findings->count; i++) {
                if (findings->all[i].hash == hash)
                        return &findings->all[i];
        }
        return NULL;
}

/* Under the lock. */
static void count(struct finding *finding, const struct sp__found *found)
{
        finding->units++;
        finding->all_ns += found->total_ns;
        if (found->runs > finding->most)
                finding->most = found->runs;
}

/* Under the lock: NULL when another thread was first, or nothing can be kept. */
static const struct finding *keep(struct sp__findings *findings, struct finding *made, const struct sp__found *found)
{
        struct finding *known = find(findings, made->hash);

        if (known)
                count(known, found);
        if (known || findings->count == PLACES)
                return NULL;
        count(made, found);
        findings->all[findings->count] = *made;
        return &findings->all[findings->count++];
}

static void add(struct sp__findings *findings, uint64_t hash, const struct sp__found *found)
{
        struct finding made = {.hash = hash,
                               .kind = found->kind,
                               .place = strdup(found->place),
                               .stmt = sp_stmt_ref((sp_stmt *)(uintptr_t)found->stmt),
                               .instead = instead_of(found),
                               .runs = found->runs,
                               .distinct = found->distinct,
                               .total_ns = found->total_ns};
        struct sp__buf body = SP__BUF_INIT;
        const struct finding *kept = NULL;

        if (made.place) {
                sp__lock(&findings->lock);
                kept = keep(findings, &made, found);
                if (kept && kept->instead)
                        write_finding(kept, &body);
                sp__unlock(&findings->lock);
        }
        if (body.len)
                sp__watchers_tell(findings->news, &body);
        if (kept)
                return;
        free(made.place);
        free(made.instead);
        sp_stmt_unref((sp_stmt *)(uintptr_t)made.stmt);
}

void sp__findings_add(struct sp__findings *findings, const struct sp__found *found)
{
        uint64_t hash = hash_of(findings, found);
        struct finding *known;

        if (sp__forked(&findings->fork))
                return;
        sp__lock(&findings->lock);
        known = find(findings, hash);
        if (known)
                count(known, found);
        sp__unlock(&findings->lock);
        if (!known)
                add(findings, hash, found);
}

void sp__findings_write(struct sp__findings *findings, struct sp__buf *out)
{
        const char *comma = "";

        sp__buf_char(out, '[');
        sp__lock(&findings->lock);
        for (size_t i = 0; i < findings->count; i++) {
                const struct finding *finding = &findings->all[i];

                if (!finding->instead)
                        continue;
                sp__buf_format(out, "%s{", comma);
                comma = ",";
                write_finding(finding, out);
                sp__buf_format(out, ",\"units\":%" PRId64 ",\"most\":%" PRId64, finding->units, finding->most);
                write_ms(out, "allMs", finding->all_ns);
                sp__buf_char(out, '}');
        }
        sp__unlock(&findings->lock);
        sp__buf_char(out, ']');
}

int64_t sp__findings_count(struct sp__findings *findings, enum sp__finding_kind kind)
{
        int64_t found = 0;

        sp__lock(&findings->lock);
        for (size_t i = 0; i < findings->count; i++)
                found += findings->all[i].kind == kind && findings->all[i].instead;
        sp__unlock(&findings->lock);
        return found;
}
