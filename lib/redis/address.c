/* SPDX-License-Identifier: MIT */
#include "redis/address.h"

#include "core/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, SENTINEL_PORT = 26379, DB_MAX = 1 << 20 };

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
static bool parse_place(struct sp__place *out, const char *from, const char *to, long port)
{
        const char *end = from < to && *from == '[' ? memchr(from, ']', (size_t)(to - from)) : NULL;
        const char *colon = end ? end + 1 : memchr(from, ':', (size_t)(to - from));
        char *number;
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
        return good && out->host && *out->host && !strchr(out->host, ',');
}

static bool add_place(struct sp__address *out, const char *from, const char *to, long port)
{
        struct sp__place *more = realloc(out->places, (out->place_count + 1) * sizeof *more);

        if (!more)
                return false;
        out->places = more;
        more[out->place_count] = (struct sp__place){.host = NULL};
        return parse_place(&more[out->place_count++], from, to, port);
}

/* One, or several with commas between them. */
static bool parse_places(struct sp__address *out, const char *from, const char *to)
{
        long port = out->kind == SP__ADDRESS_SENTINEL ? SENTINEL_PORT : DEFAULT_PORT;
        const char *comma;

        while ((comma = memchr(from, ',', (size_t)(to - from))) && out->kind != SP__ADDRESS_ONE) {
                if (!add_place(out, from, comma, port))
                        return false;
                from = comma + 1;
        }
        return add_place(out, from, to, port);
}

/* "/name" and "/name/db". */
static const char *parse_service(struct sp__address *out, const char *rest)
{
        const char *end;

        if (*rest != '/')
                return NULL;
        rest++;
        end = rest + strcspn(rest, "/?");
        out->service = decode(rest, end);
        return out->service && *out->service ? end : NULL;
}

static bool parse_tcp(struct sp__address *out, const char *text)
{
        size_t span = strcspn(text, "/?");
        const char *rest = text + span, *at = memrchr(text, '@', span);

        if (at && !parse_user(out, text, at))
                return false;
        if (!parse_places(out, at ? at + 1 : text, rest) || !(out->host = strdup(out->places[0].host)))
                return false;
        out->port = out->places[0].port;
        if (out->kind == SP__ADDRESS_SENTINEL && !(rest = parse_service(out, rest)))
                return false;
        if (*rest == '/')
                rest++;
        if (strncmp(rest, "?db=", 4) == 0)
                rest += 4;
        return parse_db(out, rest) && (out->kind != SP__ADDRESS_CLUSTER || out->db == 0);
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
        const char *before = address->kind == SP__ADDRESS_CLUSTER    ? "cluster "
                             : address->kind == SP__ADDRESS_SENTINEL ? " by sentinel "
                                                                     : "";
        char *text = NULL;

        if (address->local)
                return strdup(address->host);
        return asprintf(&text, six ? "%s%s[%s]:%u" : "%s%s%s:%u", address->service ? address->service : "", before,
                        address->host, address->port) < 0
                   ? NULL
                   : text;
}

static void drop_places(struct sp__address *address)
{
        for (size_t i = 0; i < address->place_count; i++)
                free(address->places[i].host);
        free(address->places);
        address->places = NULL;
        address->place_count = 0;
}

static bool parse(struct sp__address *made, const char *url)
{
        static const struct {
                const char *scheme;
                enum sp__address_kind kind;
                bool tls;
        } schemes[] = {{"redis://", SP__ADDRESS_ONE, false},
                       {"rediss://", SP__ADDRESS_ONE, true},
                       {"redis+sentinel://", SP__ADDRESS_SENTINEL, false},
                       {"rediss+sentinel://", SP__ADDRESS_SENTINEL, true},
                       {"redis+cluster://", SP__ADDRESS_CLUSTER, false},
                       {"rediss+cluster://", SP__ADDRESS_CLUSTER, true}};

        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
                size_t len = strlen(schemes[i].scheme);

                if (strncmp(url, schemes[i].scheme, len) != 0)
                        continue;
                made->kind = schemes[i].kind;
                made->tls = schemes[i].tls;
                return parse_tcp(made, url + len);
        }
        return strncmp(url, "unix://", 7) == 0 && parse_local(made, url + 7);
}

sp_status sp__address_parse(const char *url, const char *setting, struct sp__address *out, sp_error **error)
{
        struct sp__address made = {.port = DEFAULT_PORT};
        bool good = parse(&made, url);

        if (good && made.kind == SP__ADDRESS_ONE)
                drop_places(&made);
        if (good)
                good = (made.where = describe(&made)) != NULL;
        if (!good) {
                sp__address_free(&made);
                return sp__fail(error, SP_INVALID,
                                "%s is malformed: must be redis://user:password@host:port/database, "
                                "redis+sentinel://user:password@host:port,host:port/name/database, "
                                "redis+cluster://user:password@host:port,host:port (rediss… for TLS) or "
                                "unix:///path?db=0, with special characters written %%XX",
                                setting);
        }
        *out = made;
        return SP_OK;
}

static bool copy_text(char **to, const char *from)
{
        *to = from ? strdup(from) : NULL;
        return *to || !from;
}

static bool copy_identity(struct sp__address *to, const struct sp__address *from)
{
        to->tls = from->tls;
        to->db = from->db;
        return copy_text(&to->user, from->user) && copy_text(&to->password, from->password);
}

static bool copy_places(struct sp__address *to, const struct sp__address *from)
{
        if (from->place_count == 0)
                return true;
        to->places = calloc(from->place_count, sizeof *to->places);
        for (size_t i = 0; to->places && i < from->place_count; i++) {
                to->places[i].port = from->places[i].port;
                to->place_count++;
                if (!copy_text(&to->places[i].host, from->places[i].host))
                        return false;
        }
        return to->places != NULL;
}

bool sp__address_copy(struct sp__address *to, const struct sp__address *from)
{
        struct sp__address made = {.kind = from->kind, .local = from->local, .port = from->port};

        if (!copy_identity(&made, from) || !copy_text(&made.host, from->host) || !copy_text(&made.where, from->where) ||
            !copy_text(&made.service, from->service) || !copy_places(&made, from)) {
                sp__address_free(&made);
                return false;
        }
        *to = made;
        return true;
}

bool sp__address_at(struct sp__address *to, const struct sp__address *from, const char *host, uint16_t port)
{
        struct sp__address made = {.port = port};

        if (!copy_identity(&made, from) || !copy_text(&made.host, host) || !(made.where = describe(&made))) {
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
        free(address->service);
        drop_places(address);
        *address = (struct sp__address){.port = 0};
}

bool sp__address_is_number(const char *host)
{
        unsigned char number[16];

        return inet_pton(AF_INET, host, number) == 1 || inet_pton(AF_INET6, host, number) == 1;
}

bool sp__address_named(const struct sp__address *address)
{
        return !address->local && !sp__address_is_number(address->host);
}
