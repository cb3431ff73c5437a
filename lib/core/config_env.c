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

/* Levenshtein's: how many letters must be put in, taken out or changed. */
static size_t distance(const char *one, const char *two)
{
        size_t row[VARIABLE_MAX], len = strlen(two);

        for (size_t j = 0; j <= len; j++)
                row[j] = j;
        for (size_t i = 1; one[i - 1]; i++) {
                size_t corner = row[0]++;

                for (size_t j = 1; j <= len; j++) {
                        size_t changed = corner + (toupper((unsigned char)one[i - 1]) != two[j - 1]);
                        size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

                        corner = row[j];
                        row[j] = changed < least ? changed : least;
                }
        }
        return row[len];
}

/* The last words of a name, as many as `like` has, behind at least one other than the noun's; NULL: it has not so many. */
static const char *last_words(const char *name, size_t noun, const char *like)
{
        const char *at = name + strlen(name);
        size_t words = 1;

        for (; *like; like++)
                words += *like == '_';
        while (words > 0 && at > name + noun + 1) {
                if (*--at == '_')
                        words--;
        }
        return words == 0 && at > name + noun + 1 ? at + 1 : NULL;
}

/* What was probably meant, with or without an instance; "" where nothing is near. */
static void guess(const char *name, char out[2 * VARIABLE_MAX])
{
        size_t least = SIZE_MAX;
        char form[VARIABLE_MAX];

        *out = 0;
        for (size_t i = 0; i < sp__config_rows && strlen(name) < VARIABLE_MAX; i++) {
                const struct sp__config_row *row = &sp__config_table[i];
                size_t noun = noun_len(row), far = distance(name, upper(row, form));
                const char *tail = form + noun + 1;
                const char *end =
                    row->instanced && strncmp(name, form, noun + 1) == 0 ? last_words(name, noun, tail) : NULL;

                if (far < least && far <= 1 + strlen(form) / 6) {
                        least = far;
                        snprintf(out, 2 * VARIABLE_MAX, "%s", form);
                }
                far = end ? distance(end, tail) : SIZE_MAX;
                if (far < least && far <= 1 + strlen(tail) / 6) {
                        least = far;
                        snprintf(out, 2 * VARIABLE_MAX, "%.*s%s", (int)(end - name), name, tail);
                }
        }
}

static sp_status unknown(const char *name, sp_error **error)
{
        char meant[2 * VARIABLE_MAX];

        for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
                if (strcmp(name, reserved[i]) == 0)
                        return SP_OK;
        }
        guess(name, meant);
        if (*meant)
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
