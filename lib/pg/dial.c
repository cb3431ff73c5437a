/* SPDX-License-Identifier: MIT */
#include "pg/dial.h"

#include "base/random.h"
#include "core/error.h"
#include "loop/resolve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sp__dial_end {
        size_t host; /* in the target */
        const char *wants;
        char number[SP__NUMBER_LEN]; /* "": it needs none */
};

/* Two rounds, as libpq does: first whoever is a standby, then whoever there is. */
static bool prefers_standby(const struct sp__target *target)
{
        return target->wants && strcmp(target->wants, "prefer-standby") == 0;
}

static bool add(struct sp__dial *dial, size_t host, const char *number)
{
        struct sp__dial_end *ends = realloc(dial->ends, (dial->count + 1) * sizeof *ends);

        if (!ends)
                return false;
        dial->ends = ends;
        ends += dial->count++;
        *ends = (struct sp__dial_end){.host = host, .wants = dial->target->wants};
        snprintf(ends->number, sizeof ends->number, "%s", number);
        return true;
}

static void note(struct sp__dial *dial, const char *place, const char *line)
{
        if (dial->faults.len > 0)
                sp__buf_text(&dial->faults, "; ");
        if (place && dial->target->hosts.count > 1)
                sp__buf_format(&dial->faults, "%s: ", place);
        sp__buf_text(&dial->faults, line);
}

/* Helper thread, or without names to ask for: any. */
static bool add_host(struct sp__dial *dial, size_t at)
{
        const struct sp__host *host = &dial->target->hosts.rows[at];
        struct sp__numbers found;
        const char *reason;

        if (!host->named)
                return add(dial, at, host->number ? host->number : "");
        reason = sp__resolve(host->name, &found);
        if (reason) {
                dial->hopeful = true;
                note(dial, host->place, reason);
                return true;
        }
        for (size_t i = 0; i < found.count; i++) {
                if (!add(dial, at, found.text[i]))
                        return false;
        }
        return true;
}

static bool second_round(struct sp__dial *dial)
{
        size_t once = dial->count;

        for (size_t i = 0; i < once; i++) {
                if (!add(dial, dial->ends[i].host, dial->ends[i].number))
                        return false;
                dial->ends[i].wants = "standby";
                dial->ends[once + i].wants = "any";
        }
        return true;
}

static void find_ends(struct sp__dial *dial)
{
        const struct sp__target *target = dial->target;
        size_t count = target->hosts.count, first = atomic_load(&target->first);
        struct sp__random random = {sp__random_seed()};
        bool good = true;

        if (target->shuffle)
                first = (size_t)(sp__random_next(&random) % count);
        for (size_t i = 0; good && i < count; i++)
                good = sp__host_shunned(&target->hosts, (first + i) % count) || add_host(dial, (first + i) % count);
        if (good && prefers_standby(target))
                good = second_round(dial);
        if (!good) {
                dial->count = 0;
                dial->last.status = SP_NOMEM;
        }
}

/* Helper thread, or where nothing blocks: any. */
static void find_out(struct sp__dial *dial)
{
        const char *why = sp__password_ask(dial->target->secret, dial->since, &dial->dropped, &dial->password);

        if (!why) {
                find_ends(dial);
                return;
        }
        note(dial, NULL, "no password: ");
        sp__buf_text(&dial->faults, why);
        dial->last.status = SP_AUTH;
        dial->hopeful = true;
}

static void then_task(struct sp__task *task)
{
        struct sp__dial *dial = SP__OF(task, struct sp__dial, task);

        dial->then(dial);
}

/* NULL: none; then the next one to come begins by itself. */
static struct sp__dial *next_to_ask(struct sp__asking *asking)
{
        struct sp__list *link;

        sp__lock(&asking->lock);
        link = sp__list_pop(&asking->waiting);
        asking->busy = link != NULL;
        sp__unlock(&asking->lock);
        return link ? SP__OF(SP__OF(link, struct sp__task, link), struct sp__dial, task) : NULL;
}

/* All of one target: a name server or a program that does not answer takes one helper thread, and leaves the others to others. */
static void ask_task(struct sp__task *task)
{
        struct sp__dial *dial = SP__OF(task, struct sp__dial, task);
        struct sp__asking *asking = dial->target->asking;

        do {
                if (!atomic_load(&dial->dropped))
                        find_out(dial);
                dial->task.run = then_task;
                sp__engine_post(dial->engine, &dial->task);
        } while ((dial = next_to_ask(asking)));
}

static void ask(struct sp__dial *dial)
{
        struct sp__asking *asking = dial->target->asking;
        bool busy;

        sp__lock(&asking->lock);
        busy = asking->busy;
        asking->busy = true;
        if (busy)
                sp__list_push(&asking->waiting, &dial->task.link);
        sp__unlock(&asking->lock);
        if (!busy)
                sp__engine_offload(dial->engine, SP__ASIDE_LONG, &dial->task);
}

struct sp__dial *sp__dial_new(struct sp__target *target, struct sp__engine *engine, void *owner,
                              void (*then)(struct sp__dial *dial))
{
        struct sp__dial *dial = calloc(1, sizeof *dial);

        if (!dial)
                return NULL;
        sp__list_init(&dial->task.link);
        dial->task.run = ask_task;
        dial->engine = engine;
        dial->target = target;
        dial->owner = owner;
        dial->then = then;
        dial->since = sp__now();
        dial->last.status = SP_UNAVAILABLE;
        return dial;
}

static bool must_ask(const struct sp__target *target)
{
        if (sp__password_blocks(target->secret))
                return true;
        for (size_t i = 0; i < target->hosts.count; i++) {
                if (target->hosts.rows[i].named)
                        return true;
        }
        return false;
}

bool sp__dial_ask(struct sp__dial *dial)
{
        if (!must_ask(dial->target)) {
                find_out(dial);
                return true;
        }
        dial->asked = true;
        ask(dial);
        return false;
}

static void dial_free(struct sp__dial *dial)
{
        sp__password_wipe(dial->password);
        free(dial->ends);
        sp__buf_free(&dial->faults);
        free(dial);
}

bool sp__dial_over(struct sp__dial *dial)
{
        dial->asked = false;
        if (!atomic_load(&dial->dropped))
                return false;
        dial_free(dial);
        return true;
}

void sp__dial_drop(struct sp__dial *dial)
{
        if (!dial)
                return;
        if (dial->asked)
                atomic_store(&dial->dropped, true);
        else
                dial_free(dial);
}

size_t sp__dial_left(const struct sp__dial *dial)
{
        return dial->count - dial->at;
}

/* libpq copies them. */
PGconn *sp__dial_start(struct sp__dial *dial)
{
        const struct sp__target *target = dial->target;
        const struct sp__dial_end *end = &dial->ends[dial->at];
        const struct sp__host *host = &target->hosts.rows[end->host];
        const char *keywords[SP__KEYWORDS_MAX] = {0}, *values[SP__KEYWORDS_MAX] = {0};
        const char *const own[][2] = {
            {"host", host->name},         {"hostaddr", end->number},
            {"port", host->port},         {"target_session_attrs", end->wants},
            {"password", dial->password}, {"replication", dial->replicates ? "database" : NULL}};
        size_t n = target->count;

        memcpy(keywords, target->keywords, n * sizeof *keywords);
        memcpy(values, target->values, n * sizeof *values);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
                keywords[n] = own[i][0];
                values[n++] = own[i][1];
        }
        return PQconnectStartParams(keywords, values, 0);
}

static bool next(struct sp__dial *dial, const char *place, const char *line)
{
        note(dial, place, line);
        return ++dial->at < dial->count;
}

/* As libpq: who we are and what we want there is the same everywhere. */
static bool final(const char *code)
{
        return strncmp(code, "28", 2) == 0 || strncmp(code, "3D", 2) == 0;
}

bool sp__dial_failed(struct sp__dial *dial, const PGconn *pg)
{
        bool more;

        sp__fault_of_connect(pg, &dial->last);
        dial->silent = false;
        dial->hopeful |= !dial->last.advice;
        more = next(dial, NULL, dial->last.line);
        if (!final(dial->last.code))
                return more;
        dial->hopeful = false;
        return false;
}

bool sp__dial_late(struct sp__dial *dial)
{
        dial->silent = dial->hopeful = true;
        dial->last = (struct sp__connect_fault){.status = SP_UNAVAILABLE};
        return next(dial, dial->target->hosts.rows[dial->ends[dial->at].host].place, "no answer in time");
}

const char *sp__dial_stands(struct sp__dial *dial)
{
        size_t host = dial->ends[dial->at].host;

        atomic_store(&dial->target->first, host);
        return dial->target->hosts.rows[host].place;
}

static sp_error *faults(struct sp__dial *dial, sp_status *status)
{
        const char *advice = dial->last.advice;
        sp_error *error;

        sp__buf_char(&dial->faults, 0);
        if (dial->faults.failed)
                *status = SP_NOMEM;
        error = sp__error_new(*status, dial->last.code, "PostgreSQL at %s: %s%s%s", sp__target_place(dial->target),
                              *status == SP_NOMEM ? "out of memory" : dial->faults.data, advice ? ": " : "",
                              advice ? advice : "");
        if (error && advice && !dial->hopeful)
                sp__error_set_retryable(error, false);
        return error;
}

sp_error *sp__dial_error(struct sp__dial *dial, int64_t connect_ms, sp_status *status)
{
        const char *place = sp__target_place(dial->target);

        *status = dial->last.status;
        if (dial->asked)
                return sp__error_new(
                    *status, NULL,
                    "PostgreSQL at %s: its %s was not found out within %" PRId64 " ms (pool.connect_timeout)", place,
                    sp__password_blocks(dial->target->secret) ? "password" : "address", connect_ms);
        if (dial->silent && dial->count == 1)
                return sp__error_new(*status, NULL,
                                     "PostgreSQL at %s did not answer the connection attempt within %" PRId64
                                     " ms (pool.connect_timeout)",
                                     place, connect_ms);
        return faults(dial, status);
}
