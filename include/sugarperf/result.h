/* SPDX-License-Identifier: MIT */
/**
 * @file result.h
 * @brief Results by type: cells as numbers, times, bytes and arrays.
 *
 *     int64_t views, at;
 *
 *     if (sp_result_int(result, 0, 1, &views, &error) == SP_OK && sp_result_time(result, 0, 2, &at, &error) == SP_OK)
 *             show(views, at);
 *
 * What is read must be what it is read as: SP_INVALID for a column of another type, SP_LIMIT for a value that does not fit,
 * SP_NOT_FOUND for SQL NULL or where there is no such cell. The error names row and column, never the value.
 *
 * Threads: as sp_result, one at a time.
 */
#ifndef SUGARPERF_RESULT_H
#define SUGARPERF_RESULT_H

#include <sugarperf/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What sp_result_time() gives for 'infinity' and '-infinity'. */
#define SP_TIME_INFINITY     INT64_MAX
#define SP_TIME_NEG_INFINITY INT64_MIN

/** smallint, integer, bigint, oid; numeric where it has no fraction. */
SP_API sp_status sp_result_int(const sp_result *result, size_t row, size_t column, int64_t *out, sp_error **error);
/** real, double precision, and the nearest to an integer or a numeric; infinities and NaN are what they are. */
SP_API sp_status sp_result_double(const sp_result *result, size_t row, size_t column, double *out, sp_error **error);
SP_API sp_status sp_result_bool(const sp_result *result, size_t row, size_t column, bool *out, sp_error **error);
/**
 * Microseconds since 1970-01-01 00:00 UTC of a timestamptz; of a timestamp or date, which know no zone, as if they were UTC.
 * The server's DateStyle must be ISO, as it is by default.
 */
SP_API sp_status sp_result_time(const sp_result *result, size_t row, size_t column, int64_t *out, sp_error **error);
/** The 16 bytes of a uuid. */
SP_API sp_status sp_result_uuid(const sp_result *result, size_t row, size_t column, uint8_t out[16], sp_error **error);
/** A bytea as it was stored, a zero byte behind it; lives as long as the result. */
SP_API sp_status sp_result_bytes(const sp_result *result, size_t row, size_t column, const void **out, size_t *len,
                                 sp_error **error);
/** Any type in PostgreSQL's text form (json, numeric with all its digits), a zero byte behind it; lives as long as the result. */
SP_API sp_status sp_result_text(const sp_result *result, size_t row, size_t column, const char **out, size_t *len,
                                sp_error **error);
/**
 * An array of one dimension (integers, floats, numeric, text, bytea, bool, timestamps, dates, uuid, json) as a result of its
 * own with one column and a row for each element; owned by the caller. SP_UNSUPPORTED for more dimensions.
 */
SP_API sp_status sp_result_array(const sp_result *result, size_t row, size_t column, sp_result **out, sp_error **error);

#ifdef __cplusplus
}
#endif
#endif
