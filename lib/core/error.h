/* SPDX-License-Identifier: MIT */
/** Making errors: one line of text, without newlines, at most 512 bytes. */
#ifndef SP_CORE_ERROR_H
#define SP_CORE_ERROR_H

#include <stdarg.h>
#include <sugarperf/base.h>

/** `code` may be NULL. Whether it is retryable follows from the status. NULL when out of memory. */
sp_error *sp__error_new(sp_status status, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sp__error_set_retryable(sp_error *error, bool retryable);
/** What the server said, field by field: a letter, a text and a zero byte each, another one behind. Owned from now on; may be NULL. */
void sp__error_set_report(sp_error *error, char *report);
/** `from`'s report goes to `to`. */
void sp__error_move_report(sp_error *to, sp_error *from);
sp_error *sp__error_copy(const sp_error *error);

/** Where a required argument is NULL the function around it returns SP_INVALID, and the error names the argument. */
#define SP__NEED(argument, error)                                                                                      \
        do {                                                                                                           \
                if (__builtin_expect(!(argument), 0))                                                                  \
                        return sp__missing(error, __func__, #argument);                                                \
        } while (0)
sp_status sp__missing(sp_error **error, const char *function, const char *argument) __attribute__((cold));

/** Stores a new error where `error` is not NULL; returns the status, for `return sp__fail(…)`. */
sp_status sp__fail(sp_error **error, sp_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/** Hands `made` (may be NULL) to the caller, or frees it where nobody asked. */
void sp__error_give(sp_error **error, sp_error *made);

#endif
