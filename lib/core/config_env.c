/* SPDX-License-Identifier: MIT */
/* What the environment says. A name that is none is refused: a limit that was mistyped must not quietly be the default. */
#include "core/config.h"

#include "core/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "SUGARPERF_"

enum { VARIABLE_MAX = 128 };

/* Where a build and a package stand, for the bindings' loaders. */
static const char *const reserved[] = {"BUILD", "PACKAGE"};

struct setting {
        const struct sp__config_row *row;
        char instance[VARIABLE_MAX];
};

/* "pool.max" as "POOL_MAX". */
static const char *upper(const struct sp__config_row *row, char out[VARIABLE_MAX])
{
        size_t n = 0;

        for (; row->name[n] && n < VARIABLE_MAX - 1; n++)
                out[n] = row->name[n] == '.' ? '_' : (char)toupper((unsigned char)row->name[n]);
        out[n] = 0;
        return out;
}

static size_t noun_len(const struct sp__config_row *row)
{
        return strcspn(row->name, ".");
}

/* Where the row's own part begins in POOL_ORDERS_MAX: behind the noun and an instance; NULL: it is not the row's. */
static const char *tail_of(const char *name, const struct sp__config_row *row)
{
        size_t noun = noun_len(row), len = strlen(name);
        char form[VARIABLE_MAX];
        const char *tail = upper(row, form) + noun;
        size_t tail_len = strlen(tail);

        if (!row->instanced || len <= noun + 1 + tail_len || strncmp(name, form, noun + 1) != 0)
                return NULL;
        return strcmp(name + len - tail_len, tail) == 0 ? name + len - tail_len : NULL;
}

static void take_instance(const char *name, const char *tail, struct setting *out)
{
        size_t noun = noun_len(out->row), n = 0;

        for (const char *at = name + noun + 1; at < tail; at++)
                out->instance[n++] = (char)tolower((unsigned char)*at);
        out->instance[n] = 0;
        /* The breaker of the pool "orders" is called "pool-orders", which a variable cannot say. */
        if (strncmp(out->row->name, "breaker.", 8) == 0 && strncmp(out->instance, "pool_", 5) == 0)
                out->instance[4] = '-';
}

/* A plain name first, then the one with an instance whose own part is the longest. */
static bool find(const char *name, struct setting *out)
{
        const char *best = NULL;
        char form[VARIABLE_MAX];

        *out = (struct setting){0};
        if (strlen(name) >= VARIABLE_MAX)
                return false;
        for (const char *at = name; *at; at++) {
                if (!isupper((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '_')
                        return false;
        }
        for (size_t i = 0; i < sp__config_rows; i++) {
                const struct sp__config_row *row = &sp__config_table[i];
                const char *tail = tail_of(name, row);

                if (strcmp(upper(row, form), name) == 0) {
                        *out = (struct setting){.row = row};
                        return true;
                }
                if (tail && (!best || tail < best)) {
                        best = tail;
                        out->row = row;
                }
        }
        if (best)
                take_instance(name, best, out);
        return best != NULL;
}

static sp_status unknown(const char *name, sp_error **error)
{
        const struct sp__config_row *row;
        char form[VARIABLE_MAX], meant[2 * VARIABLE_MAX] = "";
        size_t kept = 0;

        for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
                if (strcmp(name, reserved[i]) == 0)
                        return SP_OK;
        }
        row = sp__config_guess(name, &kept);
        if (row)
                snprintf(meant, sizeof meant, "%.*s%s", (int)kept, name,
                         upper(row, form) + (kept ? noun_len(row) + 1 : 0));
        for (size_t i = 0; i < kept; i++)
                meant[i] = (char)toupper((unsigned char)meant[i]);
        if (*meant && strcmp(meant, name) != 0)
                return sp__fail(error, SP_CONFIG,
                                "the environment has " PREFIX "%.*s, which is no setting: did you mean " PREFIX "%s?",
                                VARIABLE_MAX, name, meant);
        return sp__fail(error, SP_CONFIG,
                        "the environment has " PREFIX "%.*s, which is no setting: see docs/configuration.md",
                        VARIABLE_MAX, name);
}

/* One "SUGARPERF_NAME=value". */
static sp_status take(sp_config *config, const char *entry, sp_error **error)
{
        size_t len = strcspn(entry, "=");
        char *variable = strndup(entry, len);
        struct setting setting;
        sp_status status;

        if (!variable)
                return sp__fail(error, SP_NOMEM, "out of memory");
        if (!find(variable + sizeof PREFIX - 1, &setting))
                status = unknown(variable + sizeof PREFIX - 1, error);
        else
                status = sp__config_keep(config, setting.row, setting.instance, variable,
                                         entry[len] ? entry + len + 1 : "", error);
        free(variable);
        return status;
}

sp_status sp_config_env(sp_config *config, sp_error **error)
{
        sp_status status = SP_OK;

        SP__NEED(config, error);
        for (char **at = environ; at && *at && status == SP_OK; at++) {
                if (strncmp(*at, PREFIX, sizeof PREFIX - 1) == 0)
                        status = take(config, *at, error);
        }
        for (size_t i = 0; i < sp__config_rows && status == SP_OK; i++) {
                const struct sp__config_row *row = &sp__config_table[i];
                const char *value = row->alias ? getenv(row->alias) : NULL;

                if (value)
                        status = sp__config_keep(config, row, "", row->alias, value, error);
        }
        return status;
}
