/* SPDX-License-Identifier: MIT */
/** Parameters as the rooms read them. */
#ifndef SP_CORE_PARAMS_H
#define SP_CORE_PARAMS_H

#include <stdbool.h>
#include <sugarperf/params.h>

/** Arrays in the form that libpq takes; valid until the parameters change. A zero byte follows each value. */
struct sp__params_view {
        int count;
        const char *const *values; /* NULL: SQL NULL */
        const int *lengths;
        const int *formats; /* 0 text, 1 binary */
};

/** `params` may be NULL: no parameters. false when out of memory. */
bool sp__params_view(const sp_params *params, struct sp__params_view *view);
/** The same of one set, of those that there are. sp__params_view() is that of the first. */
bool sp__params_view_set(const sp_params *params, size_t set, struct sp__params_view *view);
/** How many values a set has. */
size_t sp__params_set_count(const sp_params *params, size_t set);
/** An array was begun and not ended. */
bool sp__params_open(const sp_params *params);
/** The first text value with a zero byte, which PostgreSQL's text cannot hold: its number from 1; 0 for none. */
size_t sp__params_zero(const sp_params *params);
/** An independent copy; NULL when out of memory or for NULL. */
sp_params *sp__params_copy(const sp_params *params);
/**
 * What tells runs of a statement apart by their parameters, without keeping these: a hash of all, and hashes of the first few. `count`:
 * how many of `each` were written; SP__SETS: there are several sets, and no hashes. `params` may be NULL. Safe while nobody
 * changes them.
 */
enum { SP__PRINTED = 8, SP__SETS = 255 };
uint32_t sp__params_print(const sp_params *params, uint16_t each[SP__PRINTED], uint8_t *count);
/** Value `index` as text: its bytes and length; NULL for SQL NULL. */
const char *sp__params_get(const sp_params *params, size_t index, size_t *len);

#endif
