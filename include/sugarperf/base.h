/* SPDX-License-Identifier: MIT */
/**
 * @file base.h
 * @brief Statuses, errors, values and the clock: the words that every other header uses.
 *
 * A call that can fail returns an sp_status: SP_OK (0) or a negative code from the table below. Its out parameters come
 * last and are untouched on failure. Where the last parameter is an `sp_error **`, it may be NULL; else a failure stores
 * an error there that the caller frees:
 *
 *     sp_error *error = NULL;
 *     if (sp_pool_query(pool, NULL, stmt, params, &result, &error) != SP_OK) {
 *             fprintf(stderr, "%s\n", sp_error_message(error));
 *             sp_error_free(error);
 *     }
 *
 * A required argument that is NULL is SP_INVALID, and the error names it. Every free function accepts NULL.
 *
 * Threads: sp_error belongs to one thread at a time. sp_value is immutable and may be shared by any threads. The status
 * functions are safe anywhere.
 */
#ifndef SUGARPERF_BASE_H
#define SUGARPERF_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SWIG)
#define SP_API
#elif defined(__GNUC__)
#define SP_API __attribute__((visibility("default")))
#else
#define SP_API
#endif

#define SP_VERSION_MAJOR 0
#define SP_VERSION_MINOR 1
#define SP_VERSION_PATCH 0
#define SP_VERSION       "0.1.0"

/** The version of the library that is loaded, which a binding compares with the one that it was built for. */
SP_API const char *sp_version(void);

/** Result of a call: 0 or a negative code. Values never change; new ones are added at the end. */
typedef enum sp_status {
        SP_OK = 0,
        SP_INVALID = -1,      /**< a bad argument or handle; the message names it */
        SP_NOMEM = -2,        /**< out of memory */
        SP_CONFIG = -3,       /**< an unknown configuration name or a value out of range */
        SP_TIMEOUT = -4,      /**< the deadline passed, in a queue or at the server */
        SP_CANCELLED = -5,    /**< the caller's context was cancelled */
        SP_CLOSED = -6,       /**< the client, pool, cache or queue is closed */
        SP_FULL = -7,         /**< a bounded queue is full: the call was refused and nothing was sent */
        SP_UNAVAILABLE = -8,  /**< the server cannot be reached or refuses service; nothing took effect */
        SP_AUTH = -9,         /**< the server refused the user or the password */
        SP_SQL = -10,         /**< PostgreSQL answered an error; sp_error_code() is its SQLSTATE */
        SP_REDIS = -11,       /**< Redis answered an error; sp_error_code() is its prefix */
        SP_PROTOCOL = -12,    /**< a reply that makes no sense */
        SP_LOST = -13,        /**< the connection broke after the statement was sent: its outcome is unknown */
        SP_OPEN = -14,        /**< a circuit breaker is open: the call was not made */
        SP_LEASE_LOST = -15,  /**< the lease expired or its key was invalidated: the value was not stored */
        SP_NOT_FOUND = -16,   /**< no such key, row or name */
        SP_FORKED = -17,      /**< the handle belongs to the parent process */
        SP_UNSUPPORTED = -18, /**< not possible with this server or with the libraries that this was built with */
        SP_SESSION = -19,     /**< the statement depends on session state: use sp_pool_acquire() */
        SP_LIMIT = -20,       /**< an input is larger than its limit; the message names both */
        SP_INTERNAL = -21     /**< a defect of the library */
} sp_status;

/** The name of a status, "SP_TIMEOUT"; "SP_UNKNOWN" for a number that is none. Static. */
SP_API const char *sp_status_name(sp_status status);
/** One line that explains a status. Static. */
SP_API const char *sp_status_text(sp_status status);
/** Whether the same call may succeed when it is made again later, as far as the status alone tells. */
SP_API bool sp_status_retryable(sp_status status);

/** What went wrong: a status, one line of text without secrets, and the server's own code. */
typedef struct sp_error sp_error;

/** Of NULL, which an error is when memory was short: SP_OK, "", "" and false. */
SP_API sp_status sp_error_status(const sp_error *error);
/** One line, never NULL, without password, parameter or literal values. Lives as long as the error. */
SP_API const char *sp_error_message(const sp_error *error);
/** SQLSTATE ("23505") or Redis prefix ("MOVED"), "" where there is none. */
SP_API const char *sp_error_code(const sp_error *error);
/** Whether a retry of the same operation is safe and may help (serialization failures, unsent statements). */
SP_API bool sp_error_retryable(const sp_error *error);
/**
 * What PostgreSQL itself said of a statement, by the letter of its protocol's field: 'M' its whole message, 'D' detail, 'H' hint,
 * 'P' position, 'W' where, 's' schema, 't' table, 'c' column, 'd' data type, 'n' constraint, 'S' severity, … NULL where it did not
 * say. 'M', 'D', 'H', 'W' and 'q' may hold values of rows and parameters: for the caller, not for a log.
 */
SP_API const char *sp_error_field(const sp_error *error, int letter);
SP_API void sp_error_free(sp_error *error);

/** How the bytes of a value are to be read. A service's own codecs start at SP_CODEC_USER. */
enum {
        SP_CODEC_ABSENT = 0, /**< negative entry: the loader said that there is nothing */
        SP_CODEC_BYTES = 1,
        SP_CODEC_TEXT = 2, /**< UTF-8 */
        SP_CODEC_JSON = 3,
        SP_CODEC_RESULT = 4, /**< the packed form of an sp_result, see pool.h */
        SP_CODEC_USER = 64   /**< up to 255 */
};

/** Immutable, reference-counted bytes with a codec tag. */
typedef struct sp_value sp_value;

/**
 * Copies the bytes. Owned by the caller: sp_value_unref(). NULL when out of memory, from 4 GB on, for a codec above 255, or `data` is
 * NULL and `len` is not 0.
 */
SP_API sp_value *sp_value_new(const void *data, size_t len, uint32_t codec);
SP_API sp_value *sp_value_ref(sp_value *value);
SP_API void sp_value_unref(sp_value *value);
/** The bytes, valid while the reference is held; a zero byte follows them. */
SP_API const void *sp_value_data(const sp_value *value, size_t *len);
SP_API uint32_t sp_value_codec(const sp_value *value);

/**
 * A monotonic clock that a test moves by hand. Objects made with a NULL clock use the system's.
 * Threads: safe from any thread. Free it after the objects that use it.
 */
typedef struct sp_clock sp_clock;

SP_API sp_clock *sp_clock_new(void);
SP_API void sp_clock_advance(sp_clock *clock, int64_t ms);
SP_API void sp_clock_free(sp_clock *clock);

#ifdef __cplusplus
}
#endif
#endif
