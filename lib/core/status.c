/* SPDX-License-Identifier: MIT */
#include <sugarperf/base.h>

struct row {
        const char *name;
        const char *text;
        bool retryable;
};

/* By -status. */
static const struct row table[] = {
    {"SP_OK", "success", false},
    {"SP_INVALID", "a bad argument or handle", false},
    {"SP_NOMEM", "out of memory", true},
    {"SP_CONFIG", "an unknown configuration name or a value out of range", false},
    {"SP_TIMEOUT", "the deadline passed", true},
    {"SP_CANCELLED", "the caller's context was cancelled", false},
    {"SP_CLOSED", "closed", false},
    {"SP_FULL", "a bounded queue is full: the call was refused", true},
    {"SP_UNAVAILABLE", "the server cannot be reached or refuses service", true},
    {"SP_AUTH", "the server refused the user or the password", false},
    {"SP_SQL", "PostgreSQL answered an error", false},
    {"SP_REDIS", "Redis answered an error", false},
    {"SP_PROTOCOL", "a reply that makes no sense", false},
    {"SP_LOST", "the connection broke after the statement was sent: its outcome is unknown", false},
    {"SP_OPEN", "the circuit breaker is open: the call was not made", true},
    {"SP_LEASE_LOST", "the lease expired or its key was invalidated: the value was not stored", false},
    {"SP_NOT_FOUND", "no such key, row or name", false},
    {"SP_FORKED", "the handle belongs to the parent process: make a new one after fork()", false},
    {"SP_UNSUPPORTED", "not possible with this server or with the libraries that this was built with", false},
    {"SP_SESSION", "the statement depends on session state: use sp_pool_acquire()", false},
    {"SP_LIMIT", "an input is larger than its limit", false},
    {"SP_INTERNAL", "a defect of the library", false},
};

enum { ROWS = sizeof table / sizeof *table };

static const struct row *row_of(sp_status status)
{
        static const struct row unknown = {"SP_UNKNOWN", "an unknown status", false};

        return (int)status <= 0 && (int)status > -ROWS ? &table[-(int)status] : &unknown;
}

const char *sp_version(void)
{
        return SP_VERSION;
}

const char *sp_status_name(sp_status status)
{
        return row_of(status)->name;
}

const char *sp_status_text(sp_status status)
{
        return row_of(status)->text;
}

bool sp_status_retryable(sp_status status)
{
        return row_of(status)->retryable;
}
