/* SPDX-License-Identifier: MIT */
/*
 * A breaker around nothing: `--mode record` lets through and records, `--mode reject` refuses, `--mode probes` refuses while all
 * probes are on their way. --set breaker.…
 */
#include "driver_client.h"

#include <string.h>

#define BATCH 1024

static sp_breaker *breaker_new(const struct driver_options *options)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;
        sp_error *error = NULL;

        for (size_t i = 0; i < options->settings_count; i++) {
                char name[128];
                const char *value = strchr(options->settings[i], '=') + 1;
                size_t len = (size_t)(value - options->settings[i]) - 1;

                if (len >= sizeof name)
                        driver_die("%s is too long", options->settings[i]);
                memcpy(name, options->settings[i], len);
                name[len] = 0;
                driver_check("sp_config_set", sp_config_set(config, name, value, &error), error);
        }
        driver_check("sp_breaker_new", sp_breaker_new(config, NULL, NULL, &breaker, &error), error);
        sp_config_free(config);
        return breaker;
}

static void record(void *state, uint32_t item)
{
        uint64_t permit;

        if (sp_breaker_acquire(state, &permit) != SP_OK)
                driver_die("the breaker is open");
        sp_breaker_record(state, permit, SP_OUTCOME_SUCCESS, item);
}

static void reject(void *state, uint32_t item)
{
        uint64_t permit = item;

        if (sp_breaker_acquire(state, &permit) != SP_OPEN)
                driver_die("the breaker is not open");
}

/* HALF_OPEN, and as many are on their way as there may be. */
static void send_probes(sp_breaker *breaker)
{
        uint64_t permit;

        sp_breaker_force(breaker, SP_BREAKER_HALF_OPEN);
        while (sp_breaker_acquire(breaker, &permit) == SP_OK) {}
}

static void record_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, record, arg, BATCH);
}

static void reject_body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, reject, arg, BATCH);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        sp_breaker *breaker;
        bool rejects, probes;

        driver_parse(argc, argv, &options);
        rejects = strcmp(options.mode, "reject") == 0;
        probes = strcmp(options.mode, "probes") == 0;
        breaker = breaker_new(&options);
        if (rejects)
                sp_breaker_force(breaker, SP_BREAKER_OPEN);
        if (probes)
                send_probes(breaker);
        driver_run(&options, options.callers, rejects || probes ? reject_body : record_body, breaker);
        sp_breaker_unref(breaker);
        return 0;
}
