/* SPDX-License-Identifier: MIT */
#include "redis/address.h"

#include "core/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, DB_MAX = 1 << 20 };

static int hex(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text from `from` up to `to`, %XX decoded; NULL when it is malformed, holds a zero byte, or memory ran out. */
static char *decode(const char *from, const char *to)
{
        char *text = malloc((size_t)(to - from) + 1), *at = text;

        while (text && from < to) {
                int high, low;

                if (*from != '%') {
                        *at++ = *from++;
                        continue;
                }
                high = to - from > 2 ? hex(from[1]) : -1;
                low = to - from > 2 ? hex(from[2]) : -1;
                if (high < 0 || low < 0 || high + low == 0) {
                        free(text);
                        return NULL;
                }
                *at++ = (char)(high << 4 | low);
                from += 3;
        }
        if (text)
                *at = 0;
        return text;
}

static bool parse_number(const char *text, long max, long *out)
{
        char *end;

        errno = 0;
        if (!isdigit((unsigned char)*text))
                return false;
        *out = strtol(text, &end, 10);
        return errno == 0 && *end == 0 && *out <= max;
}

/* "user:password" or ":password" or "user", up to `to`. */
static bool parse_user(struct sp__address *out, const char *from, const char *to)
{
        const char *colon = memchr(from, ':', (size_t)(to - from));
        const char *name_end = colon ? colon : to;

        if (name_end > from && !(out->user = decode(from, name_end)))
                return false;
        return !colon || (out->password = decode(colon + 1, to)) != NULL;
}

static bool parse_db(struct sp__address *out, const char *text)
{
        long db = 0;

        if (*text && !parse_number(text, DB_MAX, &db))
                return false;
        out->db = (int)db;
        return true;
}

/* "host", "host:port", "[::1]:port" up to `to`. */
static bool parse_host(struct sp__address *out, const char *from, const char *to)
{
        const char *end = from < to && *from == '[' ? memchr(from, ']', (size_t)(to - from)) : NULL;
        const char *colon = end ? end + 1 : memchr(from, ':', (size_t)(to - from));
        char *number;
        long port = DEFAULT_PORT;
        bool good = true;

        if (end) {
                from++;
                good = colon == to || *colon == ':';
        }
        if (colon && colon < to) {
                number = decode(colon + 1, to);
                good = good && number && parse_number(number, 65535, &port) && port > 0;
                free(number);
        }
        out->port = (uint16_t)port;
        out->host = decode(from, end ? end : colon ? colon : to);
        return good && out->host && *out->host;
}

static bool parse_tcp(struct sp__address *out, const char *text)
{
        size_t span = strcspn(text, "/?");
        const char *rest = text + span, *at = memrchr(text, '@', span);

        if (at && !parse_user(out, text, at))
                return false;
        if (!parse_host(out, at ? at + 1 : text, rest))
                return false;
        if (*rest == '/')
                rest++;
        if (strncmp(rest, "?db=", 4) == 0)
                rest += 4;
        return parse_db(out, rest);
}

static bool parse_local(struct sp__address *out, const char *text)
{
        const char *slash = strchr(text, '/'), *end;

        if (!slash)
                return false;
        if (slash > text && (slash[-1] != '@' || !parse_user(out, text, slash - 1)))
                return false;
        end = slash + strcspn(slash, "?");
        out->local = true;
        out->host = decode(slash, end);
        if (!out->host || !out->host[1])
                return false;
        return *end == 0 || (strncmp(end, "?db=", 4) == 0 && parse_db(out, end + 4));
}

static char *describe(const struct sp__address *address)
{
        bool six = strchr(address->host, ':') != NULL;
        char *text = NULL;

        if (address->local)
                return strdup(address->host);
        return asprintf(&text, six ? "[%s]:%u" : "%s:%u", address->host, address->port) < 0 ? NULL : text;
}

sp_status sp__address_parse(const char *url, const char *setting, struct sp__address *out, sp_error **error)
{
        struct sp__address made = {.port = DEFAULT_PORT};
        bool good = false;

        if (strncmp(url, "rediss://", 9) == 0)
                return sp__fail(error, SP_UNSUPPORTED,
                                "%s asks for TLS (rediss://), which this build of hiredis has not", setting);
        if (strncmp(url, "redis://", 8) == 0)
                good = parse_tcp(&made, url + 8);
        else if (strncmp(url, "unix://", 7) == 0)
                good = parse_local(&made, url + 7);
        if (good)
                good = (made.where = describe(&made)) != NULL;
        if (!good) {
                sp__address_free(&made);
                return sp__fail(error, SP_INVALID,
                                "%s is malformed: must be redis://user:password@host:port/database or "
                                "unix:///path?db=0, with special characters written %%XX",
                                setting);
        }
        *out = made;
        return SP_OK;
}

bool sp__address_copy(struct sp__address *to, const struct sp__address *from)
{
        struct sp__address made = {.local = from->local, .port = from->port, .db = from->db};

        made.host = strdup(from->host);
        made.where = strdup(from->where);
        made.user = from->user ? strdup(from->user) : NULL;
        made.password = from->password ? strdup(from->password) : NULL;
        if (!made.host || !made.where || (from->user && !made.user) || (from->password && !made.password)) {
                sp__address_free(&made);
                return false;
        }
        *to = made;
        return true;
}

void sp__address_free(struct sp__address *address)
{
        free(address->host);
        free(address->user);
        free(address->password);
        free(address->where);
        *address = (struct sp__address){.port = 0};
}

bool sp__address_named(const struct sp__address *address)
{
        unsigned char number[16];

        return !address->local && inet_pton(AF_INET, address->host, number) != 1 &&
               inet_pton(AF_INET6, address->host, number) != 1;
}
