/* SPDX-License-Identifier: MIT */
/* The pools of a client, their statements recorded by its profiler. */
#include "client/client.h"
#include "core/config.h"
#include "core/error.h"
#include "observe/registry.h"
#include "pg/pool.h"
#include "profile/profiler.h"
#include "profile/work.h"

#include <stdlib.h>
#include <string.h>

static bool configured(const sp_config *config)
{
        static const char *const names[] = {"url", "host", "user", "database"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if (*sp__config_text(config, "pool", NULL, names[i]))
                        return true;
        }
        return false;
}

static sp_status add(sp_client *client, const char *name, sp_error **error)
{
        bool records = sp__config_int(client->config, "profiler", NULL, "enabled") != 0;
        const struct sp__pool_watcher watcher = {.asked = records ? sp__profiler_asked : NULL,
                                                 .over = records ? sp__work_over : NULL,
                                                 .ran = records ? sp__profiler_record : NULL,
                                                 .arg = client->profiler};
        struct sp__named_pool *pools = realloc(client->pools, (client->pool_count + 1) * sizeof *pools);
        struct sp__named_pool made = {0};
        sp_status status;

        if (!pools)
                return sp__fail(error, SP_NOMEM, "out of memory");
        client->pools = pools;
        if (name && !(made.name = strdup(name)))
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp__pool_new(client->config, name, client->engine, &watcher, &made.pool, error);
        if (status != SP_OK) {
                free(made.name);
                return status;
        }
        client->pools[client->pool_count++] = made;
        if (!sp__metrics_add(client->metrics, sp__pool_collect, made.pool))
                return sp__fail(error, SP_NOMEM, "out of memory");
        return SP_OK;
}

sp_status sp__client_pools(sp_client *client, sp_error **error)
{
        sp_status status = configured(client->config) ? add(client, NULL, error) : SP_OK;
        const char *name;

        for (size_t i = 0; status == SP_OK && (name = sp__config_instance(client->config, "pool", i)); i++)
                status = add(client, name, error);
        return status;
}

sp_pool *sp_client_pool(sp_client *client, const char *name)
{
        if (name && strcmp(name, "default") == 0)
                name = NULL;
        for (size_t i = 0; client && i < client->pool_count; i++) {
                const char *own = client->pools[i].name;

                if (name ? own && strcmp(own, name) == 0 : !own)
                        return client->pools[i].pool;
        }
        return NULL;
}
