/* SPDX-License-Identifier: MIT */
/*
 * The breakers of a client, by name, made on first use. One that nobody holds is dropped once it rested, when the next name
 * is made or the metrics are read; one that rests and is held is left out of the metrics.
 */
#include "client/client.h"
#include "guard/breaker.h"

#include <stdlib.h>
#include <string.h>

static struct sp__named_breaker *find(struct sp__named_breaker *at, const char *name)
{
        while (at && strcmp(sp_breaker_name(at->breaker), name) != 0)
                at = at->next;
        return at;
}

/* Takes the reference, also where it fails. The lock is held. */
static struct sp__named_breaker *enlist(sp_client *client, sp_breaker *breaker)
{
        struct sp__named_breaker *made = calloc(1, sizeof *made);

        if (!made) {
                sp_breaker_unref(breaker);
                return NULL;
        }
        made->breaker = breaker;
        made->next = client->breakers;
        client->breakers = made;
        return made;
}

/* The lock is held: two callers of one new name get the same breaker. */
static struct sp__named_breaker *add(sp_client *client, const char *name)
{
        sp_breaker *breaker = NULL;

        return sp_breaker_new(client->config, name, NULL, &breaker, NULL) == SP_OK ? enlist(client, breaker) : NULL;
}

/* Those to drop, taken off the list. References are given out under the lock alone, so the last one stays the last. */
static struct sp__named_breaker *take_idle(sp_client *client)
{
        struct sp__named_breaker **at = &client->breakers, *dropped = NULL;

        while (*at) {
                struct sp__named_breaker *named = *at;

                named->idle = sp__breaker_idle(named->breaker);
                if (!named->idle || named->kept || sp__breaker_refs(named->breaker) > 1) {
                        at = &named->next;
                        continue;
                }
                *at = named->next;
                named->next = dropped;
                dropped = named;
        }
        return dropped;
}

static void drop(struct sp__named_breaker *at)
{
        struct sp__named_breaker *next;

        for (; at; at = next) {
                next = at->next;
                sp_breaker_unref(at->breaker);
                free(at);
        }
}

void sp__client_drop_breakers(sp_client *client)
{
        drop(client->breakers);
        client->breakers = NULL;
}

sp_status sp__client_keep_breaker(sp_client *client, sp_breaker *breaker)
{
        struct sp__named_breaker *named;

        if (!breaker)
                return SP_OK;
        sp__lock(&client->lock);
        named = enlist(client, sp_breaker_ref(breaker));
        if (named)
                named->kept = true;
        sp__unlock(&client->lock);
        return named ? SP_OK : SP_NOMEM;
}

static sp_breaker *get(sp_client *client, const char *name, bool keep)
{
        struct sp__named_breaker *named, *dropped = NULL;
        sp_breaker *breaker = NULL;

        if (!client || !name || sp__engine_forked(client->engine))
                return NULL;
        sp__lock(&client->lock);
        named = find(client->breakers, name);
        if (!named) {
                dropped = take_idle(client);
                named = add(client, name);
        }
        if (named) {
                named->kept = named->kept || keep;
                breaker = keep ? named->breaker : sp_breaker_ref(named->breaker);
        }
        sp__unlock(&client->lock);
        drop(dropped);
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
        struct sp__named_breaker *dropped;

        sp__lock(&client->lock);
        dropped = take_idle(client);
        for (struct sp__named_breaker *at = client->breakers; at; at = at->next) {
                if (!at->idle)
                        sp__breaker_collect(at->breaker, expo);
        }
        sp__unlock(&client->lock);
        drop(dropped);
}
