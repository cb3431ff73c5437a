/* SPDX-License-Identifier: MIT */
/* The policies of a client, by name, made on first use; kept, dropped and shown as its breakers are. */
#include "client/client.h"
#include "core/config.h"
#include "core/error.h"
#include "guard/name.h"
#include "guard/policy.h"

#include <stdlib.h>

struct entry {
        struct sp__named named;
        sp_policy *policy; /* a reference */
};

static struct entry *entry_of(struct sp__named *named)
{
        return SP__OF(named, struct entry, named);
}

static sp_status check(const sp_client *client, const char *policy, sp_error **error)
{
        const char *breaker = sp__config_text(client->config, "policy", policy, "breaker");

        if (!*breaker || sp__guard_name(breaker))
                return SP_OK;
        return sp__fail(error, SP_CONFIG, "policy%s%s.breaker is no name of a breaker: " SP__GUARD_NAME_RULE,
                        policy ? "." : "", policy ? policy : "");
}

sp_status sp__client_check_policies(const sp_client *client, sp_error **error)
{
        sp_status status = check(client, NULL, error);
        const char *policy;

        for (size_t i = 0; status == SP_OK && (policy = sp__config_instance(client->config, "policy", i)); i++)
                status = check(client, policy, error);
        return status;
}

/* Without the lock, for it asks for a breaker. */
static struct entry *make(sp_client *client, const char *name)
{
        const char *of = sp__config_text(client->config, "policy", name, "breaker");
        sp_breaker *breaker = *of ? sp_client_breaker_ref(client, of) : NULL;
        struct entry *made = *of && !breaker ? NULL : calloc(1, sizeof *made);

        if (made && sp__policy_new(client->config, name, breaker, client->engine, &made->policy, NULL) != SP_OK) {
                free(made);
                made = NULL;
        }
        if (made)
                made->named.name = sp_policy_name(made->policy);
        sp_breaker_unref(breaker);
        return made;
}

static void entry_free(struct entry *entry)
{
        if (entry)
                sp_policy_unref(entry->policy);
        free(entry);
}

static void drop(struct sp__list *dropped)
{
        struct sp__list *link;

        while ((link = sp__list_pop(dropped)))
                entry_free(entry_of(sp__named_at(link)));
}

/* Those to drop. What rests needs the engine no more, and nobody who could wake it holds it. The lock is held. */
static void take_idle(sp_client *client, struct sp__list *dropped)
{
        if (client->closed)
                return;
        SP__EACH(&client->policies.all, at, after)
        {
                struct sp__named *named = sp__named_at(at);
                sp_policy *policy = entry_of(named)->policy;

                named->idle = sp__policy_idle(policy);
                if (named->idle && !named->kept && sp__policy_refs(policy) == 1)
                        sp__roster_move(&client->policies, named, dropped);
        }
        sp__roster_swept(&client->policies);
}

/* The caller's from now on. The lock is held. */
static sp_policy *hand_out(struct sp__named *named, bool keep)
{
        sp_policy *policy = entry_of(named)->policy;

        named->kept |= keep;
        return keep ? policy : sp_policy_ref(policy);
}

static sp_policy *find(sp_client *client, const char *name, bool keep)
{
        struct sp__named *named;
        sp_policy *policy;

        sp__lock(&client->lock);
        named = sp__roster_find(&client->policies, name);
        policy = named ? hand_out(named, keep) : NULL;
        sp__unlock(&client->lock);
        return policy;
}

/* Unless another one of its name came first. Takes what was made. */
static sp_policy *add(sp_client *client, struct entry *made, bool keep)
{
        struct sp__named *named;
        struct sp__list dropped;
        sp_policy *policy = NULL;

        sp__list_init(&dropped);
        sp__lock(&client->lock);
        named = sp__roster_find(&client->policies, made->named.name);
        if (!named && sp__roster_crowded(&client->policies))
                take_idle(client, &dropped);
        if (!named && !client->closed && sp__roster_add(&client->policies, &made->named)) {
                named = &made->named;
                made = NULL;
        }
        if (named)
                policy = hand_out(named, keep);
        sp__unlock(&client->lock);
        drop(&dropped);
        entry_free(made);
        return policy;
}

static sp_policy *get(sp_client *client, const char *name, bool keep)
{
        sp_policy *policy;
        struct entry *made;

        if (!client || sp__engine_forked(client->engine))
                return NULL;
        name = name ? name : SP__GUARD_NAME_DEFAULT;
        policy = find(client, name, keep);
        if (policy || !(made = make(client, name)))
                return policy;
        return add(client, made, keep);
}

sp_policy *sp_client_policy(sp_client *client, const char *name)
{
        return get(client, name, true);
}

sp_policy *sp_client_policy_ref(sp_client *client, const char *name)
{
        return get(client, name, false);
}

void sp__client_shut_policies(sp_client *client)
{
        sp__lock(&client->lock);
        client->closed = true;
        sp__unlock(&client->lock);
        SP__EACH(&client->policies.all, at, after)
        {
                sp__policy_shut(entry_of(sp__named_at(at))->policy);
        }
}

void sp__client_drop_policies(sp_client *client)
{
        drop(&client->policies.all);
        sp__roster_free(&client->policies);
}

void sp__client_collect_policies(void *shared, struct sp__expo *expo)
{
        sp_client *client = shared;
        struct sp__list dropped;

        sp__list_init(&dropped);
        sp__lock(&client->lock);
        take_idle(client, &dropped);
        SP__EACH(&client->policies.all, at, after)
        {
                if (!sp__named_at(at)->idle)
                        sp__policy_collect(entry_of(sp__named_at(at))->policy, expo);
        }
        sp__unlock(&client->lock);
        drop(&dropped);
}
