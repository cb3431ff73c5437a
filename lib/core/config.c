/* SPDX-License-Identifier: MIT */
/* A configuration: the values that were set, by full name, checked against the table. */
#include "core/config.h"

#include "core/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 128, VALUE_MAX_LEN = 4096 };

struct entry {
        char name[NAME_MAX_LEN];
        char instance[NAME_MAX_LEN];
        char source[NAME_MAX_LEN]; /* the variable it comes from; "" where the program set it */
        char *value;
};

struct sp_config {
        struct entry *entries;
        size_t count;
};

/* A name taken apart: its row, and the instance between noun and rest ("" for none). */
struct parsed {
        const struct sp__config_row *row;
        char instance[NAME_MAX_LEN];
};

static const struct sp__config_row *row_find(const char *name)
{
        for (size_t i = 0; i < sp__config_rows; i++) {
                if (strcmp(sp__config_table[i].name, name) == 0)
                        return &sp__config_table[i];
        }
        return NULL;
}

/* A breaker or a policy may be called like the host that it is for. */
static bool instance_valid(const char *noun, const char *text)
{
        bool of_a_host = strncmp(noun, "breaker.", 8) == 0 || strncmp(noun, "policy.", 7) == 0;

        for (const char *at = text; *at; at++) {
                if (!isalnum((unsigned char)*at) && !strchr(of_a_host ? "_-.:" : "_-", *at))
                        return false;
        }
        return *text != 0;
}

static bool name_parse(const char *name, struct parsed *out)
{
        const char *first = strchr(name, '.'), *last = strrchr(name, '.');
        char plain[NAME_MAX_LEN];

        out->instance[0] = 0;
        if (!first || strlen(name) >= NAME_MAX_LEN)
                return false;
        if (first == last) {
                out->row = row_find(name);
                return out->row != NULL;
        }
        snprintf(plain, sizeof plain, "%.*s%s", (int)(first - name), name, last);
        snprintf(out->instance, sizeof out->instance, "%.*s", (int)(last - first - 1), first + 1);
        out->row = row_find(plain);
        if (strcmp(out->instance, "default") == 0)
                out->instance[0] = 0;
        else if (!instance_valid(name, out->instance))
                return false;
        return out->row && out->row->instanced;
}

static bool parse_scaled(const char *text, int64_t *out, const char *const units[], const int64_t scales[])
{
        char *end;
        int64_t number;

        if (!isdigit((unsigned char)*text))
                return false;
        errno = 0;
        number = strtoll(text, &end, 10);
        if (errno)
                return false;
        for (size_t i = 0; units[i]; i++) {
                if (strcmp(end, units[i]) == 0)
                        return !__builtin_mul_overflow(number, scales[i], out);
        }
        return false;
}

bool sp__parse_duration(const char *text, int64_t *ms)
{
        static const char *const units[] = {"", "ms", "s", "m", "h", "d", NULL};
        static const int64_t scales[] = {1, 1, 1000, 60000, 3600000, 86400000};

        return parse_scaled(text, ms, units, scales);
}

bool sp__parse_size(const char *text, int64_t *bytes)
{
        static const char *const units[] = {"", "B", "KB", "MB", "GB", NULL};
        static const int64_t scales[] = {1, 1, 1 << 10, 1 << 20, 1 << 30};

        return parse_scaled(text, bytes, units, scales);
}

static bool parse_bool(const char *text, int64_t *out)
{
        static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};

        for (size_t i = 0; i < 4; i++) {
                if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
                        *out = strcmp(text, yes[i]) == 0;
                        return true;
                }
        }
        return false;
}

static bool parse_number(enum sp__config_type type, const char *text, int64_t *out)
{
        static const char *const none[] = {"", NULL};
        static const int64_t one[] = {1};

        switch (type) {
        case SP__CONFIG_DURATION:
                return sp__parse_duration(text, out);
        case SP__CONFIG_SIZE:
                return sp__parse_size(text, out);
        case SP__CONFIG_BOOL:
                return parse_bool(text, out);
        default:
                return parse_scaled(text, out, none, one);
        }
}

static bool numeric(enum sp__config_type type)
{
        return type <= SP__CONFIG_BOOL;
}

/* Whether the text is one of the words (exact), or begins with one. */
static bool among(const char *text, const char *words, bool prefix)
{
        size_t len;

        for (const char *at = words; *at; at += len + (at[len] == ' ')) {
                len = strcspn(at, " ");
                if (strncmp(text, at, len) == 0 && (prefix || text[len] == 0))
                        return true;
        }
        return false;
}

static bool secret(enum sp__config_type type)
{
        return type == SP__CONFIG_SECRET || type == SP__CONFIG_URL;
}

/* What a text that is no number of its type should have been, before its range. */
static const char *wanted(enum sp__config_type type)
{
        switch (type) {
        case SP__CONFIG_INT:
                return "a whole number, ";
        case SP__CONFIG_DURATION:
                return "a whole number of ms, s, m, h or d, ";
        case SP__CONFIG_SIZE:
                return "a whole number of B, KB, MB or GB, ";
        default:
                return "";
        }
}

static sp_status value_check(const struct sp__config_row *row, const char *name, const char *value, sp_error **error)
{
        bool parsed = true;
        int64_t number = row->min;

        if (strlen(value) >= VALUE_MAX_LEN)
                return sp__fail(error, SP_CONFIG, "%s is longer than %d bytes", name, VALUE_MAX_LEN - 1);
        if (numeric(row->type))
                parsed = parse_number(row->type, value, &number);
        if (!parsed || (numeric(row->type) && (number < row->min || number > row->max)))
                return sp__fail(error, SP_CONFIG, "%s is \"%.64s\", must be %s%s", name, value,
                                parsed ? "" : wanted(row->type), row->range);
        if (row->type == SP__CONFIG_URL && *value && !among(value, row->allowed, true))
                return sp__fail(error, SP_CONFIG, "%s must be %s", name, row->range);
        if (row->type == SP__CONFIG_CHOICE && !among(value, row->allowed, false))
                return sp__fail(error, SP_CONFIG, "%s is \"%.64s\", must be %s", name, value, row->range);
        return SP_OK;
}

static struct entry *entry_find(const sp_config *config, const char *name, const char *instance)
{
        for (size_t i = 0; config && i < config->count; i++) {
                struct entry *entry = &config->entries[i];

                if (strcmp(entry->name, name) == 0 && strcmp(entry->instance, instance) == 0)
                        return entry;
        }
        return NULL;
}

static struct entry *entry_add(sp_config *config, const char *name, const char *instance)
{
        struct entry *entries = realloc(config->entries, (config->count + 1) * sizeof *entries);

        if (!entries)
                return NULL;
        config->entries = entries;
        entries[config->count] = (struct entry){0};
        snprintf(entries[config->count].name, NAME_MAX_LEN, "%s", name);
        snprintf(entries[config->count].instance, NAME_MAX_LEN, "%s", instance);
        return &entries[config->count++];
}

static sp_status store(sp_config *config, const char *name, const char *instance, const char *source, const char *value)
{
        struct entry *entry = entry_find(config, name, instance);
        char *copy = strdup(value);

        if (!copy)
                return SP_NOMEM;
        if (!entry && !(entry = entry_add(config, name, instance))) {
                free(copy);
                return SP_NOMEM;
        }
        free(entry->value);
        entry->value = copy;
        snprintf(entry->source, NAME_MAX_LEN, "%s", source);
        return SP_OK;
}

sp_config *sp_config_new(void)
{
        return calloc(1, sizeof(sp_config));
}

void sp_config_free(sp_config *config)
{
        if (!config)
                return;
        for (size_t i = 0; i < config->count; i++)
                free(config->entries[i].value);
        free(config->entries);
        free(config);
}

static sp_status unknown(const char *name, sp_error **error)
{
        size_t kept = 0;
        const struct sp__config_row *row = sp__config_guess(name, &kept);
        const char *tail = !row ? "" : kept ? strchr(row->name, '.') + 1 : row->name;

        if (!row || strcmp(name + kept, tail) == 0)
                return sp__fail(error, SP_CONFIG, "there is no configuration name \"%.64s\": see docs/configuration.md",
                                name);
        return sp__fail(error, SP_CONFIG, "there is no configuration name \"%.64s\": did you mean \"%.*s%s\"?", name,
                        (int)kept, name, tail);
}

sp_status sp_config_set(sp_config *config, const char *name, const char *value, sp_error **error)
{
        struct parsed parsed;
        sp_status status;

        SP__NEED(config, error);
        SP__NEED(name, error);
        SP__NEED(value, error);
        if (!name_parse(name, &parsed))
                return unknown(name, error);
        status = value_check(parsed.row, name, value, error);
        if (status != SP_OK)
                return status;
        if (store(config, parsed.row->name, parsed.instance, "", value) != SP_OK)
                return sp__fail(error, SP_NOMEM, "out of memory");
        return SP_OK;
}

sp_status sp__config_keep(sp_config *config, const struct sp__config_row *row, const char *instance, const char *source,
                          const char *value, sp_error **error)
{
        sp_status status;

        if (strcmp(instance, "default") == 0)
                instance = "";
        if (!*value || entry_find(config, row->name, instance))
                return SP_OK;
        status = value_check(row, source, value, error);
        if (status != SP_OK)
                return status;
        if (store(config, row->name, instance, source, value) != SP_OK)
                return sp__fail(error, SP_NOMEM, "out of memory");
        return SP_OK;
}

static const struct entry *entry_of(const sp_config *config, const struct sp__config_row *row, const char *instance)
{
        const struct entry *entry = *instance ? entry_find(config, row->name, instance) : NULL;

        return entry ? entry : entry_find(config, row->name, "");
}

static const char *in_force(const sp_config *config, const struct sp__config_row *row, const char *instance)
{
        const struct entry *entry = entry_of(config, row, instance);

        return entry ? entry->value : row->fallback;
}

const char *sp_config_get(const sp_config *config, const char *name)
{
        struct parsed parsed;
        const char *value;

        if (!name || !name_parse(name, &parsed))
                return NULL;
        value = in_force(config, parsed.row, parsed.instance);
        return secret(parsed.row->type) && *value ? "***" : value;
}

static const struct sp__config_row *row_of(const char *noun, const char *name)
{
        char full[NAME_MAX_LEN];

        snprintf(full, sizeof full, "%s.%s", noun, name);
        return row_find(full);
}

static const char *plain(const char *instance)
{
        return !instance || strcmp(instance, "default") == 0 ? "" : instance;
}

const char *sp__config_text(const sp_config *config, const char *noun, const char *instance, const char *name)
{
        return in_force(config, row_of(noun, name), plain(instance));
}

int64_t sp__config_int(const sp_config *config, const char *noun, const char *instance, const char *name)
{
        const struct sp__config_row *row = row_of(noun, name);
        int64_t number = 0;

        parse_number(row->type, in_force(config, row, plain(instance)), &number);
        return number;
}

const char *sp__config_source(const sp_config *config, const char *noun, const char *instance, const char *name)
{
        const struct entry *entry = entry_of(config, row_of(noun, name), plain(instance));

        return entry ? entry->source : "";
}

bool sp__config_is_set(const sp_config *config, const char *noun, const char *instance, const char *name)
{
        return entry_find(config, row_of(noun, name)->name, plain(instance)) != NULL;
}

const char *sp__config_instance(const sp_config *config, const char *noun, size_t index)
{
        size_t len = strlen(noun), found = 0;

        for (size_t i = 0; config && i < config->count; i++) {
                const struct entry *entry = &config->entries[i];
                bool seen = false;

                if (!*entry->instance || strncmp(entry->name, noun, len) != 0 || entry->name[len] != '.')
                        continue;
                for (size_t j = 0; j < i && !seen; j++)
                        seen = strncmp(config->entries[j].name, noun, len) == 0 &&
                               strcmp(config->entries[j].instance, entry->instance) == 0;
                if (!seen && found++ == index)
                        return entry->instance;
        }
        return NULL;
}

sp_config *sp__config_copy(const sp_config *config)
{
        sp_config *copy = sp_config_new();

        for (size_t i = 0; copy && config && i < config->count; i++) {
                const struct entry *entry = &config->entries[i];

                if (store(copy, entry->name, entry->instance, entry->source, entry->value) != SP_OK) {
                        sp_config_free(copy);
                        return NULL;
                }
        }
        return copy;
}
