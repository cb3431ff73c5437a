/* SPDX-License-Identifier: MIT */
/* The profiler's own connections: one a pool, configured like it, made when it is first asked about. */
#include "client/client.h"
#include "core/config.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set(sp_config *config, const char *pool, const char *name, const char *value)
{
        char full[192];

        if (strcmp(pool, "default") == 0)
                snprintf(full, sizeof full, "pool.%s", name);
        else
                snprintf(full, sizeof full, "pool.%s.%s", pool, name);
        return sp_config_set(config, full, value, NULL) == SP_OK;
}

static sp_config *config_of(const sp_client *client, const char *pool)
{
        sp_config *config = sp__config_copy(client->config);
        char timeout[32];

        if (!config)
                return NULL;
        snprintf(timeout, sizeof timeout, "%lldms",
                 (long long)sp__config_int(config, "profiler", NULL, "explain_timeout"));
        if (set(config, pool, "max", "1") && set(config, pool, "min", "0") && set(config, pool, "breaker", "false") &&
            set(config, pool, "statement_timeout", timeout) &&
            set(config, pool, "application_name", "sugarperf profiler"))
                return config;
        sp_config_free(config);
        return NULL;
}

/* Under the lock. */
static sp_pool *made(const sp_client *client, const char *pool)
{
        for (size_t i = 0; i < client->side_count; i++) {
                if (strcmp(client->sides[i].name, pool) == 0)
                        return client->sides[i].pool;
        }
        return NULL;
}

/* Under the lock. */
static sp_status make(sp_client *client, const char *pool, sp_pool **out, sp_error **error)
{
        struct sp__named_pool *sides = realloc(client->sides, (client->side_count + 1) * sizeof *sides);
        const char *instance = strcmp(pool, "default") == 0 ? NULL : pool;
        sp_config *config = config_of(client, pool);
        struct sp__named_pool side = {.name = strdup(pool)};
        sp_status status = SP_NOMEM;

        if (sides)
                client->sides = sides;
        if (sides && config && side.name)
                status = sp__pool_new_as(config, instance, "profiler", client->engine, NULL, &side.pool, error);
        else
                sp__fail(error, status, "out of memory");
        sp_config_free(config);
        if (status != SP_OK) {
                free(side.name);
                return status;
        }
        client->sides[client->side_count++] = side;
        *out = side.pool;
        return SP_OK;
}

sp_pool *sp__client_side(void *arg, const char *pool, sp_error **error)
{
        sp_client *client = arg;
        sp_pool *side;

        if (!sp_client_pool(client, pool)) {
                sp__fail(error, SP_NOT_FOUND, "there is no pool \"%.64s\"", pool);
                return NULL;
        }
        sp__lock(&client->lock);
        side = made(client, pool);
        if (!side && client->closed)
                sp__fail(error, SP_CLOSED, "%s", sp_status_text(SP_CLOSED));
        else if (!side)
                make(client, pool, &side, error);
        sp__unlock(&client->lock);
        return side;
}

void sp__client_close_sides(sp_client *client)
{
        sp__inspector_close(client->inspector);
        sp__lock(&client->lock);
        for (size_t i = 0; i < client->side_count; i++)
                sp_pool_close(client->sides[i].pool);
        sp__unlock(&client->lock);
}

void sp__client_shut_sides(sp_client *client)
{
        sp__inspector_stop(client->inspector);
        for (size_t i = 0; i < client->side_count; i++)
                sp__pool_shut(client->sides[i].pool);
}

void sp__client_drop_sides(sp_client *client)
{
        for (size_t i = 0; i < client->side_count; i++) {
                sp__pool_destroy(client->sides[i].pool);
                free(client->sides[i].name);
        }
        free(client->sides);
        sp__inspector_free(client->inspector);
}
