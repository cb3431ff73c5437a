/* SPDX-License-Identifier: MIT */
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 512, CODE_MAX = 32 };

struct sp_error {
        sp_status status;
        bool retryable;
        char code[CODE_MAX];
        char message[MESSAGE_MAX];
        char *report; /* see sp__error_set_report(); NULL: none */
};

/* Cuts a sequence of UTF-8 that the limit broke, and makes one line of it. */
static void tidy(char *text)
{
        size_t len = strlen(text);

        if (len == MESSAGE_MAX - 1) {
                while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
                        len--;
                if (len > 0 && ((unsigned char)text[len - 1] & 0x80))
                        len--;
                text[len] = 0;
        }
        for (char *at = text; *at; at++) {
                if ((unsigned char)*at < 0x20 || *at == 0x7f)
                        *at = ' ';
        }
        while (len > 0 && text[len - 1] == ' ')
                text[--len] = 0;
}

static sp_error *make(sp_status status, const char *code, const char *format, va_list args)
{
        sp_error *error = calloc(1, sizeof *error);

        if (!error)
                return NULL;
        error->status = status;
        error->retryable = sp_status_retryable(status);
        snprintf(error->code, sizeof error->code, "%s", code ? code : "");
        vsnprintf(error->message, sizeof error->message, format, args);
        tidy(error->message);
        return error;
}

sp_error *sp__error_new(sp_status status, const char *code, const char *format, ...)
{
        sp_error *error;
        va_list args;

        va_start(args, format);
        error = make(status, code, format, args);
        va_end(args);
        return error;
}

void sp__error_set_retryable(sp_error *error, bool retryable)
{
        if (error)
                error->retryable = retryable;
}

void sp__error_set_report(sp_error *error, char *report)
{
        if (!error) {
                free(report);
                return;
        }
        free(error->report);
        error->report = report;
}

void sp__error_move_report(sp_error *to, sp_error *from)
{
        sp__error_set_report(to, from->report);
        from->report = NULL;
}

static size_t report_size(const char *report)
{
        const char *at = report;

        while (*at)
                at += strlen(at) + 1;
        return (size_t)(at - report) + 1;
}

/* Without its report where memory is short. */
sp_error *sp__error_copy(const sp_error *error)
{
        sp_error *copy = error ? malloc(sizeof *copy) : NULL;
        size_t size;

        if (!copy)
                return NULL;
        *copy = *error;
        if (!error->report)
                return copy;
        size = report_size(error->report);
        copy->report = malloc(size);
        if (copy->report)
                memcpy(copy->report, error->report, size);
        return copy;
}

sp_status sp__fail(sp_error **error, sp_status status, const char *format, ...)
{
        va_list args;

        if (!error)
                return status;
        va_start(args, format);
        *error = make(status, NULL, format, args);
        va_end(args);
        return status;
}

sp_status sp__missing(sp_error **error, const char *function, const char *argument)
{
        /* sp_client_pool() knows no pool without an address. */
        const char *hint = strcmp(argument, "pool") == 0 ? ": is pool.url (DATABASE_URL) set?" : "";

        return sp__fail(error, SP_INVALID, "%s(): %s is NULL%s", function, argument, hint);
}

void sp__error_give(sp_error **error, sp_error *made)
{
        if (error)
                *error = made;
        else
                sp_error_free(made);
}

sp_status sp_error_status(const sp_error *error)
{
        return error ? error->status : SP_OK;
}

const char *sp_error_message(const sp_error *error)
{
        return error ? error->message : "";
}

const char *sp_error_code(const sp_error *error)
{
        return error ? error->code : "";
}

bool sp_error_retryable(const sp_error *error)
{
        return error && error->retryable;
}

const char *sp_error_field(const sp_error *error, int letter)
{
        for (const char *at = error && error->report ? error->report : ""; *at; at += strlen(at) + 1) {
                if (*at == letter)
                        return at + 1;
        }
        return NULL;
}

void sp_error_free(sp_error *error)
{
        if (!error)
                return;
        free(error->report);
        free(error);
}
