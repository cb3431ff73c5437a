/* SPDX-License-Identifier: MIT */
#include "driver_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void driver_check(const char *what, sp_status status, sp_error *error)
{
        if (status != SP_OK)
                driver_die("%s: %s", what, error ? sp_error_message(error) : sp_status_text(status));
}

static void set(sp_config *config, const char *text)
{
        const char *equals = strchr(text, '=');
        char *name = strndup(text, (size_t)(equals - text));
        sp_error *error = NULL;

        if (!name)
                driver_die("out of memory");
        driver_check(name, sp_config_set(config, name, equals + 1, &error), error);
        free(name);
}

sp_client *driver_client(const struct driver_options *options, const char *url_name, const char *const settings[])
{
        sp_config *config = sp_config_new();
        sp_client *client = NULL;
        sp_error *error = NULL;

        if (*options->url)
                driver_check(url_name, sp_config_set(config, url_name, options->url, &error), error);
        for (size_t i = 0; settings[i]; i++)
                set(config, settings[i]);
        for (size_t i = 0; i < options->settings_count; i++)
                set(config, options->settings[i]);
        driver_check("sp_client_new", sp_client_new(config, &client, &error), error);
        sp_config_free(config);
        return client;
}
