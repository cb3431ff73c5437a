/* SPDX-License-Identifier: MIT */
#include "profile/slow.h"

#include "observe/utf8.h"
#include "profile/names.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TEXTS = 8 };

struct sp_slow {
        struct sp__slow_run run; /* its texts lie behind it */
        char texts[];
};

/* The texts of a run, and how much of each is kept. */
static void texts_of(struct sp__slow_run *run, const char **texts[TEXTS], size_t most[TEXTS])
{
        const char **all[TEXTS] = {&run->name, &run->text,  &run->pool,  &run->code,
                                   &run->tag,  &run->trace, &run->scope, &run->plan};

        for (int i = 0; i < TEXTS; i++) {
                texts[i] = all[i];
                most[i] = all[i] == &run->text || all[i] == &run->plan ? SP__SLOW_TEXT_MAX : SP__NAME_MAX;
        }
}

static sp_slow *slow_new(const struct sp__slow_run *run)
{
        struct sp__slow_run kept = *run;
        const char **texts[TEXTS];
        size_t most[TEXTS], lens[TEXTS], size = 0;
        sp_slow *slow;
        char *at;

        texts_of(&kept, texts, most);
        for (int i = 0; i < TEXTS; i++) {
                lens[i] = *texts[i] ? sp__utf8_cut(*texts[i], most[i]) : 0;
                size += lens[i] + 1;
        }
        slow = calloc(1, sizeof *slow + size);
        if (!slow)
                return NULL;
        at = slow->texts;
        for (int i = 0; i < TEXTS; i++) {
                if (lens[i])
                        memcpy(at, *texts[i], lens[i]);
                *texts[i] = at;
                at += lens[i] + 1;
        }
        slow->run = kept;
        return slow;
}

/* Under the mutex. What fell out, NULL if nothing did. */
static sp_slow *push(struct sp__slow_log *log, sp_slow *slow)
{
        sp_slow *lost = NULL;

        if (log->count == log->cap) {
                lost = log->ring[log->first];
                log->first = (log->first + 1) % log->cap;
                log->count--;
        }
        log->ring[(log->first + log->count++) % log->cap] = slow;
        return lost;
}

/* Under the mutex. A bucket of `rate` tokens that fills in a second (GCRA). */
static bool admit(struct sp__slow_log *log, int64_t now)
{
        int64_t each = log->rate ? SP__SECOND / log->rate : 0;

        if (log->spent_ns < now)
                log->spent_ns = now;
        if (log->rate && log->spent_ns + each > now + SP__SECOND)
                return false;
        log->spent_ns += each;
        return true;
}

bool sp__slow_log_init(struct sp__slow_log *log, size_t cap, int64_t rate)
{
        log->ring = calloc(cap, sizeof(sp_slow *));
        log->cap = cap;
        log->rate = rate;
        sp__mutex_init(&log->mutex);
        return log->ring != NULL;
}

void sp__slow_log_destroy(struct sp__slow_log *log)
{
        for (size_t i = 0; i < log->count; i++)
                free(log->ring[(log->first + i) % log->cap]);
        free(log->ring);
        sp__mutex_destroy(&log->mutex);
}

bool sp__slow_log_add(struct sp__slow_log *log, const struct sp__slow_run *run, int64_t now_ns)
{
        sp_slow *slow, *lost;
        bool admitted;

        atomic_fetch_add(&log->total, 1);
        sp__lock(&log->mutex);
        admitted = admit(log, now_ns);
        sp__unlock(&log->mutex);
        if (!admitted) {
                atomic_fetch_add(&log->limited, 1);
                return false;
        }
        slow = slow_new(run);
        if (!slow) {
                atomic_fetch_add(&log->missed, 1);
                return true;
        }
        sp__lock(&log->mutex);
        lost = push(log, slow);
        sp__unlock(&log->mutex);
        if (lost)
                atomic_fetch_add(&log->missed, 1);
        free(lost);
        return true;
}

sp_slow *sp__slow_log_take(struct sp__slow_log *log)
{
        sp_slow *slow = NULL;

        sp__lock(&log->mutex);
        if (log->count) {
                slow = log->ring[log->first];
                log->first = (log->first + 1) % log->cap;
                log->count--;
        }
        sp__unlock(&log->mutex);
        return slow;
}

static void write_text(struct sp__buf *out, const char *name, const char *text, size_t most)
{
        sp__buf_format(out, ",\"%s\":", name);
        sp__buf_json(out, text ? text : "", text ? sp__utf8_cut(text, most) : 0);
}

static void write_ms(struct sp__buf *out, const char *name, int64_t ns)
{
        sp__buf_format(out, ",\"%s\":", name);
        sp__buf_fixed(out, (double)ns / SP__MS, 3);
}

void sp__slow_write(const struct sp__slow_run *run, struct sp__buf *out)
{
        sp__buf_text(out, "\"kind\":\"slow\"");
        write_text(out, "name", run->name, SP__NAME_MAX);
        write_text(out, "text", run->text, SP__SLOW_TEXT_MAX);
        sp__buf_format(out, ",\"fingerprint\":\"%016" PRIx64 "\"", run->fingerprint);
        write_text(out, "pool", run->pool, SP__NAME_MAX);
        write_ms(out, "durationMs", run->duration_ns);
        write_ms(out, "waitMs", run->wait_ns);
        write_ms(out, "executeMs", run->execute_ns);
        write_ms(out, "fetchMs", run->fetch_ns);
        sp__buf_format(out, ",\"rows\":%" PRId64 ",\"status\":\"%s\"", run->rows, sp_status_name(run->status));
        write_text(out, "code", run->code, SP__NAME_MAX);
        write_text(out, "tag", run->tag, SP__NAME_MAX);
        write_text(out, "trace", run->trace, SP__NAME_MAX);
        write_text(out, "scope", run->scope, SP__NAME_MAX);
        write_text(out, "plan", run->plan, SP__SLOW_TEXT_MAX);
}

const char *sp_slow_name(const sp_slow *slow)
{
        return slow->run.name;
}

const char *sp_slow_text(const sp_slow *slow)
{
        return slow->run.text;
}

int64_t sp_slow_duration_ns(const sp_slow *slow)
{
        return slow->run.duration_ns;
}

int64_t sp_slow_wait_ns(const sp_slow *slow)
{
        return slow->run.wait_ns;
}

int64_t sp_slow_execute_ns(const sp_slow *slow)
{
        return slow->run.execute_ns;
}

int64_t sp_slow_fetch_ns(const sp_slow *slow)
{
        return slow->run.fetch_ns;
}

int64_t sp_slow_rows(const sp_slow *slow)
{
        return slow->run.rows;
}

sp_status sp_slow_status(const sp_slow *slow)
{
        return slow->run.status;
}

const char *sp_slow_code(const sp_slow *slow)
{
        return slow->run.code;
}

const char *sp_slow_tag(const sp_slow *slow)
{
        return slow->run.tag;
}

const char *sp_slow_trace(const sp_slow *slow)
{
        return slow->run.trace;
}

const char *sp_slow_scope(const sp_slow *slow)
{
        return slow->run.scope;
}

const char *sp_slow_plan(const sp_slow *slow)
{
        return slow->run.plan;
}

void sp_slow_free(sp_slow *slow)
{
        free(slow);
}
