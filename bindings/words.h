/* SPDX-License-Identifier: MIT */
/*
 * What the bindings say in the caller's terms: how an argument is called, whether it may be left out, and why a call that
 * answers a status alone refuses. Part of each generated wrapper.
 */
#ifndef SUGARPERF_WORDS_H
#define SUGARPERF_WORDS_H

#include <stdio.h>
#include <string.h>
#include <sugarperf/sugarperf.h>

static const struct sp_word {
        const char *call; /* as the binding names it; its beginning is enough */
        const char *argument;
        const char *word; /* NULL: as in C */
        bool optional;
} sp_words[] = {
    {"cache_", "data", "key", false},
    {"targets_key", "data", "key", false},
    {"targets_tag", "data", "tag", false},
    {"targets_pattern", "data", "pattern", false},
    {"lease_tag", "data", "tag", false},
    {"lease_fill", "data", "value", false},
    {"lease_fill", "ttl_ms", "ttl", false},
    {"lookups_tag", "data", "tag", false},
    {"lookups_put", "data", "value", false},
    {"lookups_put", "ttl_ms", "ttl", false},
    {"params_load", "data", "parameters", false},
    {"stmt_", "data", "sql", false},
    {"stmt_new", "name", NULL, true},
    {"template_new", "text", "template", false},
    {"template_new", "options", NULL, true},
    {"breaker_new", "name", NULL, true},
    {"breaker_classify", "code", NULL, true},
    {"breaker_falls_back", "code", NULL, true},
    {"client_pool", "name", "pool", true},
    {"pool_retry", "code", NULL, true},
    {"pool_launch", "timeout", NULL, true},
    {"session_launch", "timeout", NULL, true},
    {"row_", "data", "value", true},
    {"client_feed", "pool", NULL, true},
    {"rules_add", "source", NULL, true},
    {"rules_add", "data", "rules", false},
    {"profiler_advise", "pool", NULL, true},
    {"warm_new", "list_params", NULL, true},
    {"rows_unpack", "data", "result", false},
    {"pool_set_password", "data", "password", true},
    {"session_begin", "options", NULL, true},
    {"watch_new", "client", NULL, true},
    {"metrics_", "labels", NULL, true},
    {"profiler_", "pool", NULL, true},
    {"policy_new", "breaker", NULL, true},
    {"", "config", NULL, true},
    {"", "clock", NULL, true},
    {"", "ctx", NULL, true},
    {"", "parent", NULL, true},
    {"", "params", NULL, true},
};

static const struct sp_word *sp_word_find(const char *call, const char *argument)
{
        for (size_t i = 0; i < sizeof sp_words / sizeof *sp_words; i++) {
                if (strncmp(call, sp_words[i].call, strlen(sp_words[i].call)) == 0 &&
                    strcmp(argument, sp_words[i].argument) == 0)
                        return &sp_words[i];
        }
        return NULL;
}

static const char *sp_word(const char *call, const char *argument)
{
        const struct sp_word *found = sp_word_find(call, argument);

        return found != NULL && found->word != NULL ? found->word : argument;
}

static bool sp_optional(const char *call, const char *argument)
{
        const struct sp_word *found = sp_word_find(call, argument);

        return found != NULL && found->optional;
}

/* Whether this is a child of the process that made the client. */
static bool sp_is_child(sp_client *client)
{
        return sp_client_drain(client, 0) == SP_FORKED;
}

/* Why a client answered no breaker: what is wrong with the name, else it was short of memory. */
static sp_status sp_no_breaker(sp_client *client, const char *name, sp_error **why)
{
        sp_breaker *made = NULL;
        sp_status status = sp_is_child(client) ? SP_FORKED : sp_breaker_new(NULL, name, NULL, &made, why);

        sp_breaker_unref(made);
        return status != SP_OK ? status : SP_NOMEM;
}

/* Likewise a policy, else it was closed meanwhile. */
static sp_status sp_no_policy(sp_client *client, const char *name, sp_error **why)
{
        sp_policy *made = NULL;
        sp_status status = sp_is_child(client) ? SP_FORKED : sp_policy_new(NULL, name, NULL, &made, why);

        sp_policy_unref(made);
        return status != SP_OK ? status : SP_CLOSED;
}

/* Why a key or a tag of `len` bytes was not added to a list that takes `room` of them. */
static void sp_refusal(const char *call, size_t len, size_t max, size_t room, char *text, size_t size)
{
        const char *word = sp_word(call, "data");

        if (len == 0)
                snprintf(text, size, "a %s is empty", word);
        else if (len > max)
                snprintf(text, size, "a %s has %zu bytes, at most %zu are allowed", word, len, max);
        else
                snprintf(text, size, "there are more than %zu %s", room, room == SP_TAGS_MAX ? "tags" : "targets");
}

#endif
