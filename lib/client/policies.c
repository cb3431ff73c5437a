/* SPDX-License-Identifier: MIT */
/* The policies of a client, by name, made on first use and kept. */
#include "client/client.h"
#include "core/config.h"
#include "guard/policy.h"

#include <stdlib.h>
#include <string.h>

static struct sp__named_policy *find(struct sp__named_policy *at, const char *name)
{
        while (at && strcmp(sp_policy_name(at->policy), name) != 0)
                at = at->next;
        return at;
}

/* Without the lock, for it asks for a breaker. */
static struct sp__named_policy *make(sp_client *client, const char *name)
{
        const char *of = sp__config_text(client->config, "policy", name, "breaker");
        sp_breaker *breaker = *of ? sp_client_breaker_ref(client, of) : NULL;
        struct sp__named_policy *made = *of && !breaker ? NULL : calloc(1, sizeof *made);

        if (made && sp__policy_new(client->config, name, breaker, client->engine, &made->policy, NULL) != SP_OK) {
                free(made);
                made = NULL;
        }
        sp_breaker_unref(breaker);
        return made;
}

static void drop(struct sp__named_policy *at)
{
        struct sp__named_policy *next;

        for (; at; at = next) {
                next = at->next;
                sp_policy_unref(at->policy);
                free(at);
        }
}

sp_policy *sp_client_policy(sp_client *client, const char *name)
{
        struct sp__named_policy *named, *made = NULL;

        if (!client || !name || sp__engine_forked(client->engine))
                return NULL;
        sp__lock(&client->lock);
        named = find(client->policies, name);
        sp__unlock(&client->lock);
        if (named || !(made = make(client, name)))
                return named ? named->policy : NULL;
        sp__lock(&client->lock);
        named = find(client->policies, name);
        if (!named && !client->closed) {
                made->next = client->policies;
                client->policies = named = made;
                made = NULL;
        }
        sp__unlock(&client->lock);
        drop(made);
        return named ? named->policy : NULL;
}

/* The list only grows, and not after closing. */
static struct sp__named_policy *all(sp_client *client)
{
        struct sp__named_policy *first;

        sp__lock(&client->lock);
        client->closed = true;
        first = client->policies;
        sp__unlock(&client->lock);
        return first;
}

void sp__client_shut_policies(sp_client *client)
{
        for (struct sp__named_policy *at = all(client); at; at = at->next)
                sp__policy_shut(at->policy);
}

void sp__client_drop_policies(sp_client *client)
{
        drop(client->policies);
        client->policies = NULL;
}

void sp__client_collect_policies(void *shared, struct sp__expo *expo)
{
        sp_client *client = shared;

        sp__lock(&client->lock);
        for (struct sp__named_policy *at = client->policies; at; at = at->next)
                sp__policy_collect(at->policy, expo);
        sp__unlock(&client->lock);
}
