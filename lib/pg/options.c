/* SPDX-License-Identifier: MIT */
#include "pg/options.h"

#include "core/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

/* `words`: one of them; NULL: a whole number. */
static const struct row {
        const char *keyword;
        const char *words;
} rows[] = {
    {"sslmode", "disable, allow, prefer, require, verify-ca, verify-full"},
    {"sslnegotiation", "postgres, direct"},
    {"gssencmode", "disable, prefer, require"},
    {"channel_binding", "disable, prefer, require"},
    {"target_session_attrs", "any, read-write, read-only, primary, standby, prefer-standby"},
    {"load_balance_hosts", "disable, random"},
    {"connect_timeout", NULL},
    {"keepalives", NULL},
    {"keepalives_idle", NULL},
    {"keepalives_interval", NULL},
    {"keepalives_count", NULL},
    {"tcp_user_timeout", NULL},
};

static bool among(const char *value, const char *words)
{
        size_t len = strlen(value);

        for (const char *at = words; at; at = strchr(at, ',')) {
                at += strspn(at, ", ");
                if (strcspn(at, ",") == len && strncmp(at, value, len) == 0)
                        return true;
        }
        return false;
}

static bool whole(const char *value)
{
        char *end;

        strtol(value, &end, 10);
        return end != value && end[strspn(end, " ")] == 0;
}

/* One a host; one left out is the default. */
static bool ports(const char *value)
{
        for (const char *at = value; *at; at += strcspn(at, ",")) {
                char *end;
                long port;

                at += *at == ',';
                port = strtol(at, &end, 10);
                if (end != at && (port < 1 || port > PORT_MAX))
                        return false;
        }
        return true;
}

static const struct row *row_of(const char *keyword)
{
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (strcmp(rows[i].keyword, keyword) == 0)
                        return &rows[i];
        }
        return NULL;
}

sp_status sp__options_check(const PQconninfoOption *options, const char *setting, sp_error **error)
{
        for (const PQconninfoOption *at = options; at->keyword; at++) {
                const struct row *row = at->val ? row_of(at->keyword) : NULL;

                if (at->val && strcmp(at->keyword, "port") == 0 && !ports(at->val))
                        return sp__fail(error, SP_INVALID, "%s: the port must be 1 to %d", setting, PORT_MAX);
                if (row && row->words && !among(at->val, row->words))
                        return sp__fail(error, SP_INVALID, "%s: %s must be one of %s", setting, row->keyword,
                                        row->words);
                if (row && !row->words && !whole(at->val))
                        return sp__fail(error, SP_INVALID, "%s: %s must be a whole number", setting, row->keyword);
        }
        return SP_OK;
}

/* Whether what stands before the options is a URL by itself: else the "?" may be a password's. */
static bool stands(const char *url, size_t len)
{
        char *front = strndup(url, len), *message = NULL;
        PQconninfoOption *options = front ? PQconninfoParse(front, &message) : NULL;
        bool good = options != NULL;

        for (const PQconninfoOption *at = options; at && at->keyword; at++)
                good =
                    good && !(at->val && strcmp(at->keyword, "port") == 0 && at->val[strspn(at->val, "0123456789,")]);
        PQconninfoFree(options);
        PQfreemem(message);
        free(front);
        return good;
}

static bool known(const PQconninfoOption *options, const char *name)
{
        for (; options->keyword; options++) {
                if (strcmp(options->keyword, name) == 0)
                        return true;
        }
        /* Of JDBC's, which libpq understands. */
        return strcmp(name, "ssl") == 0;
}

/* Copies a name that may be shown: a short word before "=". */
static bool take_name(const char *from, char out[SP__OPTION_MAX])
{
        size_t len = 0;

        for (; len < SP__OPTION_MAX - 1 && (isalnum((unsigned char)from[len]) || from[len] == '_'); len++)
                out[len] = from[len];
        out[len] = 0;
        return len > 0 && from[len] == '=';
}

/* What follows it may be its rest. */
static bool secret(const char *name)
{
        return strcmp(name, "password") == 0 || strcmp(name, "sslpassword") == 0;
}

bool sp__options_unknown(const char *url, char out[SP__OPTION_MAX])
{
        const char *at = strchr(url, '?');
        PQconninfoOption *options;
        bool found = false;
        char name[SP__OPTION_MAX];

        if (!at || strchr(at, '@') || !stands(url, (size_t)(at - url)) || !(options = PQconndefaults()))
                return false;
        for (; at && take_name(at + 1, name) && !secret(name) && !found; at = strchr(at + 1, '&'))
                found = !known(options, name);
        PQconninfoFree(options);
        if (found)
                memcpy(out, name, sizeof name);
        return found;
}
