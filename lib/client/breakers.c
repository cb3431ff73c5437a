/* SPDX-License-Identifier: MIT */
/*
 * The breakers of a client, by name, made on first use. One that nobody holds is dropped once it rested; one that rests and is
 * held is left out of the metrics.
 */
#include "client/client.h"
#include "guard/breaker.h"
#include "guard/name.h"

#include <stdlib.h>
#include <string.h>

struct entry {
        struct sp__named named;
        sp_breaker *breaker; /* a reference */
};

static struct entry *entry_of(struct sp__named *named)
{
        return SP__OF(named, struct entry, named);
}

/* Takes the reference, also where it fails. The lock is held. */
static struct entry *enlist(sp_client *client, sp_breaker *breaker)
{
        struct entry *entry = calloc(1, sizeof *entry);

        if (entry) {
                entry->breaker = breaker;
                entry->named.name = sp_breaker_name(breaker);
                if (sp__roster_add(&client->breakers, &entry->named))
                        return entry;
        }
        free(entry);
        sp_breaker_unref(breaker);
        return NULL;
}

/* The lock is held: two callers of one new name get the same breaker. */
static struct entry *add(sp_client *client, const char *name)
{
        sp_breaker *breaker = NULL;

        return sp_breaker_new(client->config, name, NULL, &breaker, NULL) == SP_OK ? enlist(client, breaker) : NULL;
}

/* Those to drop. References are given out under the lock alone, so the last one stays the last. */
static void take_idle(sp_client *client, struct sp__list *dropped)
{
        SP__EACH(&client->breakers.all, at, after)
        {
                struct sp__named *named = sp__named_at(at);
                sp_breaker *breaker = entry_of(named)->breaker;

                named->idle = sp__breaker_idle(breaker);
                if (named->idle && !named->kept && sp__breaker_refs(breaker) == 1)
                        sp__roster_move(&client->breakers, named, dropped);
        }
        sp__roster_swept(&client->breakers);
}

static void drop(struct sp__list *dropped)
{
        struct sp__list *link;

        while ((link = sp__list_pop(dropped))) {
                struct entry *entry = entry_of(sp__named_at(link));

                sp_breaker_unref(entry->breaker);
                free(entry);
        }
}

void sp__client_drop_breakers(sp_client *client)
{
        drop(&client->breakers.all);
        sp__roster_free(&client->breakers);
}

sp_status sp__client_keep_breaker(sp_client *client, sp_breaker *breaker)
{
        struct entry *entry;

        if (!breaker)
                return SP_OK;
        sp__lock(&client->lock);
        entry = enlist(client, sp_breaker_ref(breaker));
        if (entry)
                entry->named.kept = true;
        sp__unlock(&client->lock);
        return entry ? SP_OK : SP_NOMEM;
}

static sp_breaker *get(sp_client *client, const char *name, bool keep)
{
        struct sp__named *named;
        struct sp__list dropped;
        struct entry *entry;
        sp_breaker *breaker = NULL;

        if (!client || sp__engine_forked(client->engine))
                return NULL;
        name = name ? name : SP__GUARD_NAME_DEFAULT;
        sp__list_init(&dropped);
        sp__lock(&client->lock);
        named = sp__roster_find(&client->breakers, name);
        if (!named && sp__roster_crowded(&client->breakers))
                take_idle(client, &dropped);
        entry = named ? entry_of(named) : add(client, name);
        if (entry) {
                entry->named.kept |= keep;
                breaker = keep ? entry->breaker : sp_breaker_ref(entry->breaker);
        }
        sp__unlock(&client->lock);
        drop(&dropped);
        return breaker;
}

sp_breaker *sp_client_breaker(sp_client *client, const char *name)
{
        return get(client, name, true);
}

sp_breaker *sp_client_breaker_ref(sp_client *client, const char *name)
{
        return get(client, name, false);
}

void sp__client_collect_breakers(void *shared, struct sp__expo *expo)
{
        sp_client *client = shared;
        struct sp__list dropped;

        sp__list_init(&dropped);
        sp__lock(&client->lock);
        take_idle(client, &dropped);
        SP__EACH(&client->breakers.all, at, after)
        {
                if (!sp__named_at(at)->idle)
                        sp__breaker_collect(entry_of(sp__named_at(at))->breaker, expo);
        }
        sp__unlock(&client->lock);
        drop(&dropped);
}

/* One that waits for its probe lets the next call through, and nobody may ever make that call. */
static bool lets_through(const sp_breaker *breaker)
{
        struct sp__breaker_view view;

        sp__breaker_look(breaker, &view);
        return view.state == SP_BREAKER_CLOSED || view.state == SP_BREAKER_DISABLED ||
               view.state == SP_BREAKER_METRICS_ONLY || (view.state == SP_BREAKER_HALF_OPEN && view.wait_ms == 0);
}

/* The report with the name in front. */
static void write_breaker(const sp_breaker *breaker, const char *before, struct sp__buf *out)
{
        const char *name = sp_breaker_name(breaker);
        sp_value *report = NULL;
        size_t len;

        out->failed |= sp_breaker_report(breaker, &report) != SP_OK;
        sp__buf_text(out, before);
        sp__buf_text(out, "{\"name\":");
        sp__buf_json(out, name, strlen(name));
        sp__buf_char(out, ',');
        sp__buf_text(out, report ? (const char *)sp_value_data(report, &len) + 1 : "}");
        sp_value_unref(report);
}

bool sp__client_write_breakers(sp_client *client, struct sp__buf *out)
{
        size_t told = 0, closed = 0;

        sp__buf_char(out, '[');
        sp__lock(&client->lock);
        for (int through = 0; through < 2; through++) {
                SP__EACH(&client->breakers.all, at, after)
                {
                        const sp_breaker *breaker = entry_of(sp__named_at(at))->breaker;

                        if (lets_through(breaker) != (through == 1) || told == SP__BREAKERS_TOLD)
                                continue;
                        write_breaker(breaker, told++ ? "," : "", out);
                        closed += through == 0;
                }
        }
        sp__unlock(&client->lock);
        sp__buf_char(out, ']');
        return closed == 0;
}
