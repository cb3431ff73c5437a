/* SPDX-License-Identifier: MIT */
#include "cache/log.h"

#include "redis/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE (100 * SP__MS)

enum { LIST_MAX = 1024, TOKEN_MAX = 40 };

struct release {
        struct sp__list link;
        struct sp__log *log;
        int64_t until;
        char token[TOKEN_MAX];
        size_t len;
        char name[];
};

/* Whether there is to be another try. */
static bool keep(struct release *release)
{
        struct sp__log *log = release->log;
        struct sp__releases *releases = &log->releases;
        bool kept;

        sp__lock(&log->lock);
        kept = !atomic_load(&log->ending) && releases->count < LIST_MAX && sp__now() + PAUSE < release->until;
        if (kept) {
                sp__list_push(&releases->list, &release->link);
                releases->count++;
        }
        if (kept && !releases->timed)
                releases->timed = sp__timer_set(log->engine, &releases->timer, sp__now() + PAUSE);
        sp__unlock(&log->lock);
        return kept;
}

static void end(struct release *release, bool done)
{
        struct sp__log *log = release->log;

        if (done || !keep(release))
                free(release);
        sp__log_end_trip(log);
}

static void sent(sp__op *op)
{
        struct sp__command *command = sp__command_of(op);

        end(op->owner, op->status == SP_OK && !sp__command_refused(command));
}

static void send(struct release *release)
{
        struct sp__command *command = sp__command_new();

        sp__log_begin_trip(release->log);
        if (!command) {
                end(release, true);
                return;
        }
        sp__script_begin(command, SP__SCRIPT_RELEASE, true, 1, 1);
        sp__command_arg(command, release->name, release->len);
        sp__command_text(command, release->token);
        sp__link_run(release->log->link, command, NULL, sent, release);
}

static void take(struct sp__log *log, struct sp__list *taken)
{
        sp__list_init(taken);
        sp__lock(&log->lock);
        log->releases.timed = false;
        log->releases.count = 0;
        sp__list_join(taken, &log->releases.list);
        sp__unlock(&log->lock);
}

static void try_again(struct sp__timer *timer)
{
        struct sp__log *log = SP__OF(timer, struct sp__log, releases.timer);
        struct sp__list taken, *link;

        take(log, &taken);
        while ((link = sp__list_pop(&taken)))
                send(SP__OF(link, struct release, link));
}

void sp__log_release(struct sp__log *log, const char *name, size_t len, const char *token, int64_t ns)
{
        struct release *release = calloc(1, sizeof *release + len);

        if (!release)
                return;
        release->log = log;
        release->until = sp__now() + ns;
        snprintf(release->token, sizeof release->token, "%s", token);
        release->len = len;
        memcpy(release->name, name, len);
        sp__list_init(&release->link);
        send(release);
}

void sp__releases_init(struct sp__log *log)
{
        sp__list_init(&log->releases.list);
        log->releases.timer.fire = try_again;
}

void sp__releases_stop(struct sp__log *log)
{
        struct sp__list taken, *link;

        sp__lock(&log->lock);
        sp__timer_stop(log->engine, &log->releases.timer);
        sp__unlock(&log->lock);
        take(log, &taken);
        while ((link = sp__list_pop(&taken)))
                free(SP__OF(link, struct release, link));
}
