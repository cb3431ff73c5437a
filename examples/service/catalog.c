/* SPDX-License-Identifier: MIT */
/* Makes what a plan declares. */
#include "service.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PATTERNS = sizeof((struct reading *)0)->patterns / sizeof(char *) };

/* A metric of the service's own, with a label: the handle is taken once and counted on from any thread. */
static sp_status counter_new(struct service *service, const char *name, const char *help, const char *label,
                             const char *value, sp_counter **out, sp_error **error)
{
        sp_params *labels = label ? sp_params_new() : NULL;
        sp_status status;

        if (label) {
                sp_params_add_text(labels, label, strlen(label));
                sp_params_add_text(labels, value, strlen(value));
        }
        status = sp_metrics_counter(service->metrics, name, help, labels, out, error);
        sp_params_free(labels);
        return status;
}

static sp_status reading_new(struct service *service, struct reading *reading, sp_error **error)
{
        sp_status status =
            sp_stmt_new(reading->query, reading->text, strlen(reading->text), SP_STMT_READ, &reading->stmt, error);

        if (status == SP_OK)
                status = sp_template_new(reading->key, reading->options, &reading->tmpl, error);
        for (size_t i = 0; status == SP_OK && i < PATTERNS && reading->patterns[i]; i++)
                status = sp_template_pattern(reading->tmpl, reading->patterns[i], error);
        if (status == SP_OK && reading->fallback)
                status = counter_new(service, "service_fallbacks", "Answers that a fallback stood in for, by endpoint.",
                                     "endpoint", reading->name, &reading->fallbacks, error);
        return status == SP_OK ? sp_cache_declare(service->cache, reading->tmpl, error) : status;
}

static sp_status rules_new(struct service *service, sp_error **error)
{
        const char *text = service->plan->rules;
        sp_status status = sp_rules_new(service->cache, &service->rules, error);

        return status == SP_OK ? sp_rules_add(service->rules, service->plan->name, text, strlen(text), error) : status;
}

/* Needs wal_level = logical and a role that may replicate; what is missing is told by GET /health/feed. */
static sp_status feed_new(struct service *service, sp_error **error)
{
        if (!service->with_feed)
                return SP_OK;
        return sp_client_feed(service->client, NULL, service->rules, &service->feed, error);
}

static sp_status writing_new(struct service *service, struct writing *writing, sp_error **error)
{
        sp_status status = sp_stmt_new(writing->query, writing->text, strlen(writing->text),
                                       SP_STMT_WRITE | writing->flags, &writing->stmt, error);

        if (status == SP_OK)
                status = counter_new(service, "service_writes", "What was written, by statement.", "statement",
                                     writing->query, &writing->count, error);
        return status;
}

sp_status catalog_new(struct service *service, sp_error **error)
{
        const struct plan *plan = service->plan;
        sp_status status = counter_new(service, "service_refusals", "Requests that were a 503 before any work began.",
                                       NULL, NULL, &service->refusals, error);

        for (size_t i = 0; status == SP_OK && plan->readings[i]; i++)
                status = reading_new(service, plan->readings[i], error);
        for (size_t i = 0; status == SP_OK && plan->writings[i]; i++)
                status = writing_new(service, plan->writings[i], error);
        if (status == SP_OK)
                status = rules_new(service, error);
        return status == SP_OK ? feed_new(service, error) : status;
}

/* The feed ends with the client, which is closed before; the rest is ours. */
void catalog_free(struct service *service)
{
        const struct plan *plan = service->plan;

        for (size_t i = 0; plan->readings[i]; i++) {
                sp_stmt_unref(plan->readings[i]->stmt);
                sp_template_unref(plan->readings[i]->tmpl);
        }
        for (size_t i = 0; plan->writings[i]; i++)
                sp_stmt_unref(plan->writings[i]->stmt);
        sp_rules_unref(service->rules);
}

void catalog_print(const struct plan *plan)
{
        json_t *all = json_object();

        for (size_t i = 0; plan->readings[i]; i++)
                json_object_set_new(all, plan->readings[i]->query, json_string(plan->readings[i]->text));
        for (size_t i = 0; plan->writings[i]; i++)
                json_object_set_new(all, plan->writings[i]->query, json_string(plan->writings[i]->text));
        json_dumpf(all, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(all);
}
