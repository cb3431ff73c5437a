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

/* Connection, authorization, resources, operator intervention (57014: the server's statement time-out), system, internal. */
static bool sql_failure(const char *code)
{
        static const char *const classes[] = {"08", "28", "53", "57", "58", "XX", NULL};

        return strlen(code) == 5 && begins_with_class(code, classes);
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
                /* Waiting for a connection of one's own pool says nothing about the server. */
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
