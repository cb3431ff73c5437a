/* SPDX-License-Identifier: MIT */
/**
 * @file params.h
 * @brief Parameters of a statement or a key, built one by one or loaded in packed form in one crossing.
 *
 *     sp_params *params = sp_params_new();
 *     sp_params_add_text(params, "user-3", 6);
 *     sp_params_add_int(params, 10);
 *
 * Packed form, little endian: u8 version (1), u8 0, u16 count, then for each value: u8 format ('t' text as PostgreSQL
 * writes it, 'b' PostgreSQL's binary form), i32 length (-1: NULL), the bytes. Or format 'a', an array: i32 how many values
 * follow that are its elements; it counts as one. Several sets, for sp_pool_batch(): u8 version (2), u8 0, u16 count of each
 * set, u32 sets, then the values of all.
 *
 * Threads: one thread at a time. A call copies what it needs before it returns: reuse or free the parameters at once.
 */
#ifndef SUGARPERF_PARAMS_H
#define SUGARPERF_PARAMS_H

#include <sugarperf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_params sp_params;

SP_API sp_params *sp_params_new(void);
SP_API void sp_params_free(sp_params *params);
/** Empties it and keeps its memory. */
SP_API void sp_params_clear(sp_params *params);
/** SP_LIMIT past 65,535 values of a set, 16 million or 1 GiB in all; SP_INVALID where `data` is NULL and `len` is not 0; SP_NOMEM. */
SP_API sp_status sp_params_add_text(sp_params *params, const void *data, size_t len);
SP_API sp_status sp_params_add_bytes(sp_params *params, const void *data, size_t len);
SP_API sp_status sp_params_add_int(sp_params *params, int64_t value);
/** As the shortest decimal of at least 15 digits that is the same number, so that a numeric column gets 0.1 as 0.1. */
SP_API sp_status sp_params_add_double(sp_params *params, double value);
SP_API sp_status sp_params_add_bool(sp_params *params, bool value);
SP_API sp_status sp_params_add_null(sp_params *params);
/** All values, of all sets; an array is one. */
SP_API size_t sp_params_count(const sp_params *params);
/**
 * What is added until sp_params_end_array() is an element of one array, "ANY($1::text[])". Text is escaped; bytes are elements
 * of a bytea[]. SP_INVALID inside an array, which has one dimension, and for an end without a beginning.
 */
SP_API sp_status sp_params_begin_array(sp_params *params);
SP_API sp_status sp_params_end_array(sp_params *params);
/** The set of parameters is complete, another one may follow: for sp_pool_batch(). SP_INVALID inside an array. */
SP_API sp_status sp_params_next(sp_params *params);
/** Complete sets, and the one begun if it has a value. */
SP_API size_t sp_params_sets(const sp_params *params);
/** Replaces the contents by a packed form, which is checked: SP_INVALID when it is malformed. */
SP_API sp_status sp_params_load(sp_params *params, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
