/* SPDX-License-Identifier: MIT */
/**
 * @file config.h
 * @brief Configuration by name: one table holds every name, type, unit, range, default and help text.
 *
 *     sp_config *config = sp_config_new();
 *     sp_config_set(config, "pool.url", "postgresql://app@db/recommendation_db", &error);
 *     sp_config_set(config, "pool.max", "20", &error);
 *     sp_config_set(config, "pool.orders.max", "4", &error);      a pool named "orders"
 *     sp_config_set(config, "cache.bound", "1s", &error);
 *
 * Durations are written "250ms", "30s", "5m", "12h", "7d" (a bare number is milliseconds); sizes "64KB", "16MB".
 * A name with an instance (`pool.<name>.max`, `breaker.<name>.failures`) falls back to the one without.
 *
 * Threads: an sp_config belongs to one thread at a time; a client copies what it needs.
 */
#ifndef SUGARPERF_CONFIG_H
#define SUGARPERF_CONFIG_H

#include <sugarperf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_config sp_config;

/** NULL when out of memory. */
SP_API sp_config *sp_config_new(void);
SP_API void sp_config_free(sp_config *config);
/** Checks name and value against the table. SP_CONFIG names the offender and what is allowed; a secret value never shows. */
SP_API sp_status sp_config_set(sp_config *config, const char *name, const char *value, sp_error **error);
/**
 * Takes what the environment says: DATABASE_URL, REDIS_URL, DATABASE_HOST, _PORT, _USER, _PASSWORD, _NAME, DB_POOL_SIZE,
 * and SUGARPERF_<NAME> for each name of the table ("pool.max" is SUGARPERF_POOL_MAX, "pool.orders.max"
 * SUGARPERF_POOL_ORDERS_MAX, the instance in lower case). Values set before are kept; an empty variable sets nothing.
 * SP_CONFIG: a value that is not allowed, or a variable SUGARPERF_… that is no setting (but SUGARPERF_BUILD and
 * SUGARPERF_PACKAGE); the message names it, and the nearest name.
 */
SP_API sp_status sp_config_env(sp_config *config, sp_error **error);
/** The value in force as text, its default where none was set; secrets read "***". NULL for an unknown name. */
SP_API const char *sp_config_get(const sp_config *config, const char *name);

/** The table itself, for tools and for docs/configuration.md. Rows count from 0; NULL past the end. Static. */
SP_API const char *sp_config_row_name(size_t row);
SP_API const char *sp_config_row_type(size_t row);
SP_API const char *sp_config_row_default(size_t row);
SP_API const char *sp_config_row_range(size_t row);
SP_API const char *sp_config_row_help(size_t row);

#ifdef __cplusplus
}
#endif
#endif
