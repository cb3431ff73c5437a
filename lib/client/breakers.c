/* SPDX-License-Identifier: MIT */
/* The breakers of a client, by name, made on first use and kept. */
#include "client/client.h"
#include "guard/breaker.h"
#include "observe/registry.h"

#include <stdlib.h>
#include <string.h>

static void collect(void *breaker, struct sp__expo *expo)
{
        sp__breaker_collect(breaker, expo);
}

static sp_breaker *find(struct sp__named_breaker *at, const char *name)
{
        while (at && strcmp(sp_breaker_name(at->breaker), name) != 0)
                at = at->next;
        return at ? at->breaker : NULL;
}

static struct sp__named_breaker *make(sp_client *client, const char *name)
{
        struct sp__named_breaker *made = calloc(1, sizeof *made);

        if (!made)
                return NULL;
        if (sp_breaker_new(client->config, name, NULL, &made->breaker, NULL) != SP_OK) {
                free(made);
                return NULL;
        }
        return made;
}

/* The lock is held: two callers of one new name get the same breaker. */
static struct sp__named_breaker *add(sp_client *client, const char *name)
{
        struct sp__named_breaker *made = make(client, name);

        if (!made)
                return NULL;
        made->next = client->breakers;
        client->breakers = made;
        return made;
}

sp_breaker *sp_client_breaker(sp_client *client, const char *name)
{
        struct sp__named_breaker *made = NULL;
        sp_breaker *breaker;

        if (!name || sp__engine_forked(client->engine))
                return NULL;
        sp__lock(&client->lock);
        breaker = find(client->breakers, name);
        if (!breaker && (made = add(client, name)))
                breaker = made->breaker;
        sp__unlock(&client->lock);
        /* Not under the lock: the registry is locked while it collects. */
        if (made)
                sp__metrics_add(client->metrics, collect, breaker);
        return breaker;
}
