/* SPDX-License-Identifier: MIT */
/* One invalidation of everything under a pattern, or (--mode tag) a tag, until Redis has acknowledged it. */
#include "driver_client.h"

#include <string.h>

struct bench {
        sp_cache *cache;
        sp_targets *targets;
};

static void invalidate(void *state, uint32_t item)
{
        struct bench *bench = state;
        sp_error *error = NULL;

        driver_check("sp_cache_invalidate", sp_cache_invalidate(bench->cache, NULL, bench->targets, &error), error);
}

static void body(struct driver_caller *caller, void *arg)
{
        driver_loop(caller, invalidate, arg, 1);
}

static void declare(sp_cache *cache)
{
        sp_error *error = NULL;
        sp_template *tmpl;

        driver_check("sp_template_new", sp_template_new("rec:recommendations:{userId}:{limit}", NULL, &tmpl, &error),
                     error);
        driver_check("sp_template_pattern", sp_template_pattern(tmpl, "rec:recommendations:*", &error), error);
        driver_check("sp_cache_declare", sp_cache_declare(cache, tmpl, &error), error);
        sp_template_unref(tmpl);
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct bench bench;
        sp_client *client;

        driver_parse(argc, argv, &options);
        client = driver_client(&options, "redis.url", (const char *const[]){NULL});
        bench.cache = sp_client_cache(client);
        bench.targets = sp_targets_new();
        declare(bench.cache);
        if (options.mode && strcmp(options.mode, "tag") == 0)
                sp_targets_tag(bench.targets, "rec:recommendations", 19);
        else
                sp_targets_pattern(bench.targets, "rec:recommendations:*", NULL);
        driver_run(&options, 1, body, &bench);
        sp_targets_free(bench.targets);
        sp_client_free(client);
        return 0;
}
