/* SPDX-License-Identifier: MIT */
/*
 * A key of a template with two parameters into the caller's buffer; `--mode params`: filling the parameters counts too;
 * `--mode floor`: the same bytes, copied and looked at one by one.
 */
#include "driver_client.h"

#include <stdio.h>
#include <string.h>

#define BATCH 256

struct building {
        sp_template *tmpl;
        sp_params *params;
        char id[16];
};

static void build(void *state, uint32_t item)
{
        const struct building *building = state;
        char key[SP_KEY_MAX];
        size_t len = 0;

        if (sp_key_format(building->tmpl, building->params, key, sizeof key, &len) != SP_OK || len < 24)
                driver_die("no key");
        __asm__ volatile("" : : "r"(key) : "memory");
}

static void fill_and_build(void *state, uint32_t item)
{
        struct building *building = state;

        for (int i = 5; i < 12; i++, item /= 10)
                building->id[16 - i] = (char)('0' + item % 10);
        sp_params_clear(building->params);
        sp_params_add_text(building->params, building->id, 12);
        sp_params_add_text(building->params, "10", 2);
        build(state, item);
}

static void copy(void *state, uint32_t item)
{
        static const char prefix[] = "rec:recommendations:", end[] = ":10";
        const struct building *building = state;
        size_t len = sizeof prefix - 1;
        char key[SP_KEY_MAX];

        memcpy(key, prefix, len);
        for (const char *at = building->id; *at; at++, len++) {
                if (*at == ':' || *at == '%')
                        driver_die("to be escaped");
                key[len] = *at;
        }
        memcpy(key + len, end, sizeof end - 1);
        __asm__ volatile("" : : "r"(key) : "memory");
}

static driver_step step_of(const char *mode)
{
        if (strcmp(mode, "floor") == 0)
                return copy;
        return strcmp(mode, "params") == 0 ? fill_and_build : build;
}

static void body(struct driver_caller *caller, void *arg)
{
        struct building building = {.params = sp_params_new(), .id = "user-0000000"};
        sp_error *error = NULL;

        (void)arg;
        driver_check("template", sp_template_new("rec:recommendations:{userId}:{limit}", NULL, &building.tmpl, &error),
                     error);
        sp_params_add_text(building.params, building.id, 12);
        sp_params_add_text(building.params, "10", 2);
        driver_loop(caller, step_of(driver_options_of(caller)->mode), &building, BATCH);
        sp_params_free(building.params);
        sp_template_unref(building.tmpl);
}

int main(int argc, char **argv)
{
        struct driver_options options;

        driver_parse(argc, argv, &options);
        driver_run(&options, options.callers, body, NULL);
        return 0;
}
