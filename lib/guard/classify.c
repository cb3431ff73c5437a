/* SPDX-License-Identifier: MIT */
/* Whose fault an error is: the dependency's, which the breaker counts, or the caller's. */
#include <sugarperf/breaker.h>

#include <string.h>

static bool begins_with_class(const char *code, const char *const classes[])
{
        for (size_t i = 0; classes[i]; i++) {
                if (strncmp(code, classes[i], 2) == 0)
                        return true;
        }
        return false;
}

/*
 * Connection, authorization, resources, operator intervention (57014: the server's statement time-out), system, internal. Not
 * 08P01, the server's answer to a message that makes no sense to it, such as too few parameters: a caller's mistake must not
 * open the breaker for all others.
 */
static bool sql_failure(const char *code)
{
        static const char *const classes[] = {"08", "28", "53", "57", "58", "XX", NULL};

        return strlen(code) == 5 && begins_with_class(code, classes) && strcmp(code, "08P01") != 0;
}

static bool redis_failure(const char *code)
{
        static const char *const prefixes[] = {"LOADING", "OOM",      "READONLY", "CLUSTERDOWN", "MASTERDOWN",
                                               "MISCONF", "TRYAGAIN", "BUSY",     "NOREPLICAS",  NULL};

        for (size_t i = 0; prefixes[i]; i++) {
                if (strcmp(code, prefixes[i]) == 0)
                        return true;
        }
        return false;
}

int sp_breaker_classify(sp_status status, const char *code)
{
        bool failure;

        code = code ? code : "";
        switch (status) {
        case SP_OK:
                return SP_OUTCOME_SUCCESS;
        case SP_TIMEOUT:
                /* One's own pool was busy with a server that answers; where it does not, the pool says no code. */
                failure = strcmp(code, "acquire") != 0;
                break;
        case SP_UNAVAILABLE:
        case SP_AUTH:
        case SP_LOST:
        case SP_PROTOCOL:
                failure = true;
                break;
        case SP_SQL:
                failure = sql_failure(code);
                break;
        case SP_REDIS:
                failure = redis_failure(code);
                break;
        default:
                failure = false;
        }
        return failure ? SP_OUTCOME_FAILURE : SP_OUTCOME_IGNORED;
}

bool sp_breaker_falls_back(sp_status status, const char *code)
{
        return status == SP_OPEN || status == SP_FULL || status == SP_TIMEOUT ||
               sp_breaker_classify(status, code) == SP_OUTCOME_FAILURE;
}
