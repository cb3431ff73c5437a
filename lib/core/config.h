/* SPDX-License-Identifier: MIT */
/** The configuration as the rooms read it. A name is noun, instance (NULL: none) and the rest: "pool", "orders", "max". */
#ifndef SP_CORE_CONFIG_H
#define SP_CORE_CONFIG_H

#include <sugarperf/config.h>

enum sp__config_type {
        SP__CONFIG_INT,
        SP__CONFIG_DURATION, /* milliseconds */
        SP__CONFIG_SIZE,     /* bytes */
        SP__CONFIG_BOOL,
        SP__CONFIG_TEXT,
        SP__CONFIG_SECRET, /* text that never shows */
        SP__CONFIG_URL,    /* a secret that begins with one of the schemes in `allowed` */
        SP__CONFIG_CHOICE  /* one of the words in `allowed` */
};

struct sp__config_row {
        const char *name; /* "pool.max" */
        enum sp__config_type type;
        bool instanced; /* pool.<name>.max stands beside it */
        const char *fallback;
        int64_t min;
        int64_t max;
        const char *allowed; /* words or schemes, a blank between them */
        const char *range;   /* how the documentation says it */
        const char *alias;   /* another environment variable, NULL for none */
        const char *help;
};

extern const struct sp__config_row sp__config_table[];
extern const size_t sp__config_rows;

/**
 * The value in force as a number: an integer, milliseconds, bytes, or 0/1. `config` NULL: the default. The name must be in
 * the table.
 */
int64_t sp__config_int(const sp_config *config, const char *noun, const char *instance, const char *name);
/** The value in force as text, secrets in clear; "" where nothing was set. Lives until the configuration changes. */
const char *sp__config_text(const sp_config *config, const char *noun, const char *instance, const char *name);
/** Whether it was set, rather than defaulted. */
bool sp__config_is_set(const sp_config *config, const char *noun, const char *instance, const char *name);
/** The names of instances of a noun that were configured, each once; NULL past the end. */
const char *sp__config_instance(const sp_config *config, const char *noun, size_t index);
/** A copy of one's own; `config` NULL: an empty one. NULL when out of memory. */
sp_config *sp__config_copy(const sp_config *config);

/**
 * Sets a value that a source other than the program has, by its own name there; what was set before stands, and an empty
 * value sets nothing. `instance` is valid, "" for none.
 */
sp_status sp__config_keep(sp_config *config, const struct sp__config_row *row, const char *instance, const char *source,
                          const char *value, sp_error **error);

/**
 * Which row was probably meant by a name that is none, "pool.maxx" or "POOL_MAXX"; NULL where nothing is near. `kept`: how
 * many bytes of the name, noun and instance, stand before the row's own part; 0: it was meant without an instance.
 */
const struct sp__config_row *sp__config_guess(const char *name, size_t *kept);
/** Where it was set from, "DATABASE_URL"; "" where the program set it, or nobody did. Lives as long as the value. */
const char *sp__config_source(const sp_config *config, const char *noun, const char *instance, const char *name);

/** "250ms", "30s", "5m", "12h", "7d", "1500" (milliseconds). false: malformed or negative. */
bool sp__parse_duration(const char *text, int64_t *ms);
/** "64KB", "16MB", "2GB", "512". */
bool sp__parse_size(const char *text, int64_t *bytes);

#endif
