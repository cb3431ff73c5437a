/* SPDX-License-Identifier: MIT */
#include "pg/fault.h"

#include "base/buf.h"
#include "core/error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CODE_LEN = SP__FAULT_CODE - 1 };

const char *sp__fault_code(const PGresult *res)
{
        const char *code = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

        return code ? code : "";
}

/* What PostgreSQL's messages of a class of errors quote. */
enum quotes { QUOTES_VALUES, QUOTES_SCHEMA, QUOTES_TEXT, QUOTES_ANYTHING };

static enum quotes quotes_of(const char *code)
{
        static const struct {
                const char *prefix;
                enum quotes quotes;
        } rows[] = {
            /* Syntax errors also come from values that are parsed at run time. */
            {"42601", QUOTES_VALUES},
            {"22", QUOTES_VALUES},
            {"42P02", QUOTES_VALUES},
            /* Names: those that the statement writes, or values that are taken for names ($1::regclass). */
            {"42", QUOTES_TEXT},
            {"0A", QUOTES_TEXT},
            {"3D", QUOTES_TEXT},
            {"3F", QUOTES_TEXT},
            {"3B", QUOTES_TEXT},
            {"2B", QUOTES_TEXT},
            {"54", QUOTES_TEXT},
            {"58", QUOTES_TEXT},
            /* Names of constraints, columns, roles, cursors; limits; what the server does. */
            {"08", QUOTES_SCHEMA},
            {"21", QUOTES_SCHEMA},
            {"23", QUOTES_SCHEMA},
            {"25", QUOTES_SCHEMA},
            {"26", QUOTES_SCHEMA},
            {"28", QUOTES_SCHEMA},
            {"2D", QUOTES_SCHEMA},
            {"34", QUOTES_SCHEMA},
            {"40", QUOTES_SCHEMA},
            {"44", QUOTES_SCHEMA},
            {"53", QUOTES_SCHEMA},
            {"55", QUOTES_SCHEMA},
            {"57", QUOTES_SCHEMA},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (strncmp(code, rows[i].prefix, strlen(rows[i].prefix)) == 0)
                        return rows[i].quotes;
        }
        /* Raised by functions and extensions, with codes of their own. */
        return QUOTES_ANYTHING;
}

/* RAISE and ASSERT say what their author wrote, with values anywhere, under any code; so do functions in other languages. */
static bool raised(const PGresult *res)
{
        static const char *const files[] = {"plpy_", "plperl.c", "pltcl.c"};
        const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);
        const char *file = PQresultErrorField(res, PG_DIAG_SOURCE_FILE);

        for (size_t i = 0; file && i < sizeof files / sizeof *files; i++) {
                if (strncmp(file, files[i], strlen(files[i])) == 0)
                        return true;
        }
        return function && (strcmp(function, "exec_stmt_raise") == 0 || strcmp(function, "exec_stmt_assert") == 0);
}

/* The end of the number, date or run of hexadecimal digits that stands here; `at` itself: none does. */
static char *number_end(const char *line, char *at)
{
        char *end = at;
        char before = at > line ? at[-1] : ' ';

        /* Part of a name; a parameter's own number; a type's own length, varchar(3). */
        if (!isdigit((unsigned char)*at) || isalnum((unsigned char)before) || strchr("_$(", before))
                return at;
        while (isalnum((unsigned char)*end) || (*end && strchr(".:-+_", *end)))
                end++;
        while (end > at && strchr(".:-+_", end[-1]))
                end--;
        return end;
}

/* Numbers may be values, unless the statement's text without its literals has them (`text`: may be NULL). */
static void mask_numbers(char *line, const char *text)
{
        for (char *at = line; *at; at++) {
                char *end = number_end(line, at), after = *end;
                bool known;

                if (end == at)
                        continue;
                *end = 0;
                known = text && strstr(text, at);
                *end = after;
                if (known) {
                        at = end - 1;
                        continue;
                }
                *at = '?';
                memmove(at + 1, end, strlen(end) + 1);
        }
}

/* From the first quotation mark, or a colon that a value follows: the beginning tells what is wrong, the rest what with. */
static void mask(char *line)
{
        char *at = strpbrk(line, "\"'");
        char *colon = strstr(line, ": ");

        if (colon && (!at || colon < at))
                at = colon + 2;
        if (at && *at)
                strcpy(at, "?");
        mask_numbers(line, NULL);
}

/* From the first quoted word that the statement's text without its literals does not have, and such numbers. */
static void mask_unknown(char *line, const char *text)
{
        mask_numbers(line, text);
        for (char *at = strchr(line, '"'), *end; at; at = strchr(end + 1, '"')) {
                bool known = false;

                end = strchr(at + 1, '"');
                if (end) {
                        *end = 0;
                        known = strcasestr(text, at + 1) != NULL;
                        *end = '"';
                }
                if (!known) {
                        strcpy(at, "?");
                        return;
                }
        }
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

bool sp__fault_by_time_limit(const PGresult *res)
{
        const char *primary = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

        return primary && strcmp(sp__fault_code(res), "57014") == 0 && strstr(primary, "statement timeout");
}

bool sp__fault_fatal(const PGresult *res)
{
        const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

        return severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* Which setting ended it. The caller's own cancellation is never told by the server. */
static const char *limit_of(const PGresult *res)
{
        return sp__fault_by_time_limit(res) ? " (pool.statement_timeout)" : "";
}

/* All that the server said; NULL: out of memory. */
static char *report_of(const PGresult *res)
{
        struct sp__buf buf = SP__BUF_INIT;

        for (const char *letter = SP__FAULT_FIELDS; *letter; letter++) {
                const char *text = PQresultErrorField(res, *letter);

                if (!text)
                        continue;
                sp__buf_char(&buf, *letter);
                sp__buf_add(&buf, text, strlen(text) + 1);
        }
        sp__buf_char(&buf, 0);
        if (!buf.failed)
                return buf.data;
        sp__buf_free(&buf);
        return NULL;
}

sp_error *sp__fault_of_result(const PGresult *res, const sp_stmt *stmt, sp_status *status)
{
        const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), *code = sp__fault_code(res);
        enum quotes quotes = raised(res) ? QUOTES_ANYTHING : quotes_of(code);
        char line[SP__FAULT_LINE];
        sp_error *error;

        snprintf(line, sizeof line, "%s", primary ? primary : "no message");
        if (quotes == QUOTES_ANYTHING)
                snprintf(line, sizeof line, "%sits text may hold values and is not shown",
                         raised(res) ? "raised by a function; " : "");
        else if (quotes == QUOTES_VALUES)
                mask(line);
        else if (quotes == QUOTES_TEXT)
                mask_unknown(line, stmt->sql.text);
        *status = status_of(code);
        error = sp__error_new(*status, code, "statement \"%s\": %s%s", stmt->name, line, limit_of(res));
        if (*status == SP_SQL)
                sp__error_set_retryable(error, retryable(code));
        sp__error_set_report(error, report_of(res));
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

/* What another attempt cannot mend, and what can. */
struct remedy {
        const char *code; /* the beginning of a SQLSTATE */
        const char *said; /* or a text of libpq's own */
        sp_status status;
        const char *text;
};

static const struct remedy *remedy_of(const PGconn *pg, const char *code, const char *line)
{
        static const struct remedy password = {NULL, NULL, SP_AUTH, "set pool.password, or a password in pool.url"};
        static const struct remedy rows[] = {
            {"28", NULL, SP_AUTH, "check the user and the password in pool.url, or pool.user and pool.password"},
            {"3D", NULL, SP_UNAVAILABLE, "name another one in pool.url or pool.database, or create it"},
            {"42501", NULL, SP_UNAVAILABLE, "grant it to the user of pool.url or pool.user"},
            {"42", NULL, SP_UNAVAILABLE, "check the options in pool.url"},
            {"22", NULL, SP_UNAVAILABLE, "check the options in pool.url"},
            {"0A", NULL, SP_UNAVAILABLE, "check the options in pool.url"},
            {NULL, "unsupported startup parameter", SP_UNAVAILABLE,
             "a proxy shall ignore the parameter \"options\", or set pool.statements and pool.statement_timeout to 0"},
            {NULL, "SSL was required", SP_UNAVAILABLE, "check sslmode in pool.url, or switch the server's ssl on"},
        };

        if (PQconnectionNeedsPassword(pg))
                return &password;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (rows[i].code ? strncmp(code, rows[i].code, strlen(rows[i].code)) == 0
                                 : strstr(line, rows[i].said) != NULL)
                        return &rows[i];
        }
        return NULL;
}

void sp__fault_of_connect(const PGconn *pg, struct sp__connect_fault *out)
{
        const char *message = pg ? PQerrorMessage(pg) : "out of memory";
        const struct remedy *remedy;

        *out->code = 0;
        snprintf(out->line, sizeof out->line, "%s", *message ? message : "the connection failed");
        take_code(out->line, out->code);
        /* What follows the first line is where in the server's source it was, or advice. */
        out->line[strcspn(out->line, "\n")] = 0;
        remedy = remedy_of(pg, out->code, out->line);
        out->status = remedy ? remedy->status : SP_UNAVAILABLE;
        out->advice = remedy ? remedy->text : NULL;
}
