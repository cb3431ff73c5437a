/* SPDX-License-Identifier: MIT */
#include "pg/hosts.h"

#include "base/buf.h"
#include "guard/breaker.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t items(const char *list)
{
        size_t count = 1;

        for (; list && *list; list++)
                count += *list == ',';
        return count;
}

/* The nth item of a list, or of a list of one; NULL: it is empty. */
static char *item(const char *list, size_t n)
{
        if (!list)
                return NULL;
        for (n = items(list) == 1 ? 0 : n; n > 0; n--)
                list = strchr(list, ',') + 1;
        return *list && *list != ',' ? strndup(list, strcspn(list, ",")) : NULL;
}

/* A socket's folder, or an abstract socket. */
static bool is_socket(const char *name)
{
        return *name == '/' || *name == '@';
}

static bool is_number(const char *name)
{
        unsigned char to[sizeof(struct in6_addr)];

        return inet_pton(AF_INET, name, to) == 1 || inet_pton(AF_INET6, name, to) == 1 || strchr(name, '%');
}

static bool fill(struct sp__host *host)
{
        const char *shown = host->name ? host->name : host->number;

        host->named = host->name && !host->number && !is_socket(host->name) && !is_number(host->name);
        if (!host->port && !(host->port = strdup("5432")))
                return false;
        if (asprintf(&host->place, "%s:%s", shown ? shown : "the local socket", host->port) >= 0)
                return true;
        host->place = NULL;
        return false;
}

static bool name_place(struct sp__hosts *hosts)
{
        struct sp__buf buf = SP__BUF_INIT;

        for (size_t i = 0; i < hosts->count; i++)
                sp__buf_format(&buf, "%s%s", i > 0 ? "," : "", hosts->rows[i].place);
        sp__buf_char(&buf, 0);
        hosts->place = buf.failed ? NULL : buf.data;
        if (buf.failed)
                sp__buf_free(&buf);
        return hosts->place != NULL;
}

static bool agrees(const char *list, size_t count)
{
        return !list || items(list) == count;
}

bool sp__hosts_new(const char *names, const char *numbers, const char *ports, struct sp__hosts *out, bool *odd)
{
        struct sp__hosts hosts = {.count = items(numbers ? numbers : names)};
        bool good;

        *odd = !agrees(names, hosts.count) || !(agrees(ports, hosts.count) || items(ports) == 1);
        if (*odd)
                return true;
        hosts.rows = calloc(hosts.count, sizeof *hosts.rows);
        good = hosts.rows != NULL;
        for (size_t i = 0; good && i < hosts.count; i++) {
                hosts.rows[i] =
                    (struct sp__host){.name = item(names, i), .number = item(numbers, i), .port = item(ports, i)};
                good = fill(&hosts.rows[i]);
        }
        if (good && name_place(&hosts)) {
                *out = hosts;
                return true;
        }
        sp__hosts_free(&hosts);
        return false;
}

static bool refuses(const struct sp__host *host)
{
        return host->breaker && sp__breaker_refuses(host->breaker);
}

bool sp__host_shunned(const struct sp__hosts *hosts, size_t at)
{
        if (hosts->count == 1 || !refuses(&hosts->rows[at]))
                return false;
        for (size_t i = 0; i < hosts->count; i++) {
                if (!refuses(&hosts->rows[i]))
                        return true;
        }
        return false;
}

size_t sp__hosts_find(const struct sp__hosts *hosts, const char *place)
{
        for (size_t i = 0; i < hosts->count; i++) {
                if (hosts->rows[i].place == place)
                        return i;
        }
        return SIZE_MAX;
}

void sp__hosts_free(struct sp__hosts *hosts)
{
        for (size_t i = 0; hosts->rows && i < hosts->count; i++) {
                free(hosts->rows[i].name);
                free(hosts->rows[i].number);
                free(hosts->rows[i].port);
                free(hosts->rows[i].place);
                sp_breaker_unref(hosts->rows[i].breaker);
        }
        free(hosts->rows);
        free(hosts->place);
        *hosts = (struct sp__hosts){0};
}
