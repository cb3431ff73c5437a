/* SPDX-License-Identifier: MIT */
#include "pg/target.h"

#include "core/config.h"
#include "core/error.h"
#include "pg/options.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTRA = 8, SETTING_MAX = 256 };

/* What libpq would wait for without end, bounded: a dead peer is noticed within a minute. */
static const struct {
        const char *keyword;
        const char *value;
} defaults[] = {
    {"keepalives_idle", "15"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "4"},
    {"tcp_user_timeout", "30000"},
};

static PQconninfoOption *find(PQconninfoOption *options, const char *keyword)
{
        for (; options->keyword; options++) {
                if (strcmp(options->keyword, keyword) == 0)
                        return options;
        }
        return NULL;
}

static void fill(PQconninfoOption *options, const char *keyword, const char *value)
{
        PQconninfoOption *option = find(options, keyword);

        if (option && !option->val && value && *value)
                option->val = strdup(value);
}

static void fill_from(PQconninfoOption *options, const sp_config *config, const char *pool)
{
        static const char *const names[][2] = {
            {"host", "host"}, {"user", "user"}, {"password", "password"}, {"dbname", "database"}};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                fill(options, names[i][0], sp__config_text(config, "pool", pool, names[i][1]));
        if (sp__config_is_set(config, "pool", pool, "port") || !*sp__config_text(config, "pool", pool, "url"))
                fill(options, "port", sp__config_text(config, "pool", pool, "port"));
        fill(options, "target_session_attrs", sp__config_text(config, "pool", pool, "target_session_attrs"));
        fill(options, "fallback_application_name", sp__config_text(config, "pool", pool, "application_name"));
        fill(options, "client_encoding", "UTF8");
        for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
                fill(options, defaults[i].keyword, defaults[i].value);
}

/* The server ends what takes too long, whatever becomes of the client. */
static bool fill_timeout(PQconninfoOption *options, const sp_config *config, const char *pool, bool *own)
{
        int64_t ms = sp__config_int(config, "pool", pool, "statement_timeout");
        PQconninfoOption *option = find(options, "options");
        const char *given = option->val ? option->val : "";
        char *text;

        *own = strstr(given, "statement_timeout") != NULL;
        if (*own)
                return true;
        /* A proxy that shares sessions takes no options; without a limit there is nothing to be said to it. */
        if (ms == 0 && sp__config_int(config, "pool", pool, "statements") == 0)
                return true;
        /* PgBouncer from 1.20 on takes no blank at the end. */
        if (asprintf(&text, "-c statement_timeout=%" PRId64 "%s%s", ms, *given ? " " : "", given) < 0)
                return false;
        free(option->val);
        option->val = text;
        return true;
}

/* As libpq: what is not given comes from the environment, unless a service file is to say it. */
static void fill_from_environment(PQconninfoOption *options)
{
        static const char *const names[] = {"host", "hostaddr", "port", "target_session_attrs", "options"};
        const PQconninfoOption *service = find(options, "service");
        PQconninfoOption *given = service && service->val ? NULL : PQconndefaults();

        for (size_t i = 0; given && i < sizeof names / sizeof *names; i++)
                fill(options, names[i], find(given, names[i])->val);
        PQconninfoFree(given);
}

static const char *value_of(PQconninfoOption *options, const char *keyword)
{
        const PQconninfoOption *option = find(options, keyword);

        return option ? option->val : NULL;
}

/* Those that differ from server to server are given with each attempt. */
static bool is_own(const char *keyword)
{
        static const char *const own[] = {"host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts"};

        for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
                if (strcmp(keyword, own[i]) == 0)
                        return true;
        }
        return false;
}

static bool take(PQconninfoOption *options, struct sp__target *target)
{
        const char *wants = value_of(options, "target_session_attrs"), *order = value_of(options, "load_balance_hosts");
        size_t n = 0;

        target->keywords = calloc(SP__KEYWORDS_MAX, sizeof *target->keywords);
        target->values = calloc(SP__KEYWORDS_MAX, sizeof *target->values);
        target->minds = wants && strcmp(wants, "any") != 0 && strcmp(wants, "prefer-standby") != 0;
        target->shuffle = order && strcmp(order, "random") == 0;
        if (!target->keywords || !target->values || (wants && !(target->wants = strdup(wants))))
                return false;
        for (PQconninfoOption *at = options; at->keyword && n < SP__KEYWORDS_MAX - EXTRA; at++) {
                if (!at->val || is_own(at->keyword))
                        continue;
                target->keywords[n] = strdup(at->keyword);
                target->values[n] = strdup(at->val);
                if (!target->keywords[n] || !target->values[n])
                        return false;
                target->count = ++n;
        }
        return true;
}

/* How a setting is called in messages: "pool.orders.url", "pool.url (DATABASE_URL)". */
static const char *setting(const sp_config *config, const char *pool, const char *name, char out[SETTING_MAX])
{
        const char *source = sp__config_source(config, "pool", pool, name);

        snprintf(out, SETTING_MAX, "pool%s%.64s.%s%s%s%s", pool ? "." : "", pool ? pool : "", name, *source ? " (" : "",
                 source, *source ? ")" : "");
        return out;
}

static bool plausible(const char *host)
{
        for (size_t len; host && *host; host += len + (host[len] == ',')) {
                len = strcspn(host, ",");
                if (*host != '/' && strcspn(host, "@/ ") < len)
                        return false;
        }
        return true;
}

/* An unescaped @ or / in a password makes the rest of it a host or a port, which libpq would quote. */
static sp_status check_url(PQconninfoOption *options, const char *name, sp_error **error)
{
        const char *host = find(options, "host")->val, *port = find(options, "port")->val;

        if (!plausible(host) || (port && port[strspn(port, "0123456789,")]))
                return sp__fail(error, SP_INVALID,
                                "%s has no such host or port: in user and password write %%40 for @ and %%2F for /",
                                name);
        return sp__options_check(options, name, error);
}

/* "db:6000" would be looked up as a name; of an IPv6 address there are more colons. */
static sp_status check_host(const char *host, const char *name, sp_error **error)
{
        for (const char *at = host; *at; at += at[strcspn(at, ",")] ? strcspn(at, ",") + 1 : strcspn(at, ",")) {
                const char *colon = memchr(at, ':', strcspn(at, ","));

                if (strncmp(at, "postgres", 8) == 0 && colon && colon[1] == '/')
                        return sp__fail(error, SP_INVALID, "%s is a URL: set pool.url instead", name);
                if (*at != '/' && colon && !memchr(colon + 1, ':', strcspn(colon + 1, ",")))
                        return sp__fail(error, SP_INVALID, "%s holds a port: set pool.port instead", name);
        }
        if (*host != '/' && strpbrk(*host ? host + 1 : host, "@/ "))
                return sp__fail(error, SP_INVALID, "%s is neither a host name, nor an address, nor a folder", name);
        return SP_OK;
}

static sp_status malformed(const char *url, const char *name, sp_error **error)
{
        char option[SP__OPTION_MAX];

        if (sp__options_unknown(url, option))
                return sp__fail(error, SP_INVALID, "%s has an option \"%s\", which libpq has not", name, option);
        return sp__fail(error, SP_INVALID,
                        "%s cannot be parsed: write postgresql://user:password@host:port/database?option=value", name);
}

static PQconninfoOption *parse(const char *url)
{
        char *message = NULL;
        PQconninfoOption *options = PQconninfoParse(*url ? url : "", &message);

        /* It may quote the URL with its password. */
        PQfreemem(message);
        return options;
}

static sp_status take_hosts(PQconninfoOption *options, const char *name, struct sp__target *target, sp_error **error)
{
        bool odd;

        if (!sp__hosts_new(value_of(options, "host"), value_of(options, "hostaddr"), value_of(options, "port"),
                           &target->hosts, &odd))
                return sp__fail(error, SP_NOMEM, "out of memory");
        return odd ? sp__fail(error, SP_INVALID, "%s does not name as many ports as hosts", name) : SP_OK;
}

static struct sp__asking *asking_new(void)
{
        struct sp__asking *asking = calloc(1, sizeof *asking);

        if (!asking)
                return NULL;
        sp__mutex_init(&asking->lock);
        sp__list_init(&asking->waiting);
        return asking;
}

static void asking_free(struct sp__asking *asking)
{
        if (asking)
                sp__mutex_destroy(&asking->lock);
        free(asking);
}

sp_status sp__target_new(const sp_config *config, const char *pool, struct sp__target *out, sp_error **error)
{
        PQconninfoOption *options = parse(sp__config_text(config, "pool", pool, "url"));
        struct sp__target target = {0};
        char name[SETTING_MAX];
        sp_status status;

        if (!options)
                return malformed(sp__config_text(config, "pool", pool, "url"), setting(config, pool, "url", name),
                                 error);
        status = check_url(options, setting(config, pool, "url", name), error);
        if (status == SP_OK)
                status = check_host(sp__config_text(config, "pool", pool, "host"), setting(config, pool, "host", name),
                                    error);
        if (status == SP_OK) {
                fill_from(options, config, pool);
                fill_from_environment(options);
                status = take_hosts(options, setting(config, pool, "url", name), &target, error);
        }
        if (status == SP_OK)
                status = sp__password_new(config, pool, &target.secret, error);
        if (status == SP_OK && (!(target.asking = asking_new()) ||
                                !fill_timeout(options, config, pool, &target.limits) || !take(options, &target)))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        PQconninfoFree(options);
        if (status != SP_OK) {
                sp__target_free(&target);
                return status;
        }
        *out = target;
        return SP_OK;
}

static void free_all(char **texts)
{
        for (char **at = texts; at && *at; at++) {
                explicit_bzero(*at, strlen(*at));
                free(*at);
        }
        free(texts);
}

void sp__target_free(struct sp__target *target)
{
        free_all(target->keywords);
        free_all(target->values);
        sp__hosts_free(&target->hosts);
        free(target->wants);
        sp__password_free(target->secret);
        asking_free(target->asking);
        *target = (struct sp__target){0};
}
