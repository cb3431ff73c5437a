/* SPDX-License-Identifier: MIT */
#include "pg/fault.h"

#include "core/error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CODE_LEN = 5, LINE_MAX_LEN = 400 };

const char *sp__fault_code(const PGresult *res)
{
        const char *code = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

        return code ? code : "";
}

/* Whether PostgreSQL's messages of this class quote values of the statement rather than names of the schema. */
static bool quotes_values(const char *code)
{
        return strncmp(code, "22", 2) == 0 || strcmp(code, "42601") == 0 || strcmp(code, "42P02") == 0 ||
               strncmp(code, "P0", 2) == 0 || strcmp(code, "01000") == 0;
}

/* From the first quotation mark, or a colon that a value follows: the beginning tells what is wrong, the rest what with. */
static void mask(char *text)
{
        char *at = strpbrk(text, "\"'");
        char *colon = strstr(text, ": ");

        if (colon && (!at || colon < at))
                at = colon + 2;
        if (at)
                strcpy(at, "?");
}

static sp_status status_of(const char *code)
{
        if (strcmp(code, "57014") == 0)
                return SP_TIMEOUT;
        if (strncmp(code, "28", 2) == 0)
                return SP_AUTH;
        return SP_SQL;
}

/* Serialization failures, deadlocks, lock time-outs, and what says "later": nothing took effect. */
static bool retryable(const char *code)
{
        return strncmp(code, "40", 2) == 0 || strcmp(code, "55P03") == 0 || strncmp(code, "53", 2) == 0 ||
               strcmp(code, "57P03") == 0;
}

sp_error *sp__fault_of_result(const PGresult *res, const char *name, sp_status *status)
{
        const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), *code = sp__fault_code(res);
        char line[LINE_MAX_LEN];
        sp_error *error;

        snprintf(line, sizeof line, "%s", primary ? primary : "no message");
        if (quotes_values(code))
                mask(line);
        *status = status_of(code);
        error = sp__error_new(*status, code, "statement \"%s\": %s", name, line);
        if (*status == SP_SQL)
                sp__error_set_retryable(error, retryable(code));
        return error;
}

/* "… FATAL:  28P01: password …": takes the code out of the line; false when there is none. */
static bool take_code(char *line, char code[CODE_LEN + 1])
{
        for (char *at = strstr(line, ":  "); at; at = strstr(at + 1, ":  ")) {
                size_t n = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

                if (n != CODE_LEN || strncmp(at + 3 + n, ": ", 2) != 0)
                        continue;
                memcpy(code, at + 3, CODE_LEN);
                code[CODE_LEN] = 0;
                memmove(at + 2, at + 3 + n + 2, strlen(at + 3 + n + 2) + 1);
                return true;
        }
        return false;
}

sp_error *sp__fault_of_connect(const PGconn *pg, const char *place, sp_status *status)
{
        char line[LINE_MAX_LEN], code[CODE_LEN + 1] = "";

        snprintf(line, sizeof line, "%s", PQerrorMessage(pg));
        take_code(line, code);
        /* What follows the first line is where in the server's source it was, or advice. */
        line[strcspn(line, "\n")] = 0;
        *status = strncmp(code, "28", 2) == 0 ? SP_AUTH : SP_UNAVAILABLE;
        return sp__error_new(*status, code, "PostgreSQL at %s: %s", place, *line ? line : "the connection failed");
}
