/* SPDX-License-Identifier: MIT */
#include "redis/link.h"

#include "core/config.h"
#include "core/error.h"
#include "redis/cluster.h"
#include "redis/sentinel.h"
#include "redis/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTING_MAX = 160 };

struct sp__link {
        struct sp__engine *engine;
        struct sp__address address;
        struct sp__redis_stats *stats;
        SSL_CTX *tls;
        struct sp__guards *guards;
        sp_breaker *
            breaker; /* the server's, or the service's before sentinels named a primary; NULL: none, or the nodes have theirs */
        struct sp__pipe *pipe;         /* to the server, or the primary; NULL: a cluster */
        struct sp__sentinel *sentinel; /* that say where the primary is, or NULL */
        struct sp__cluster *cluster;
        struct sp__task end;
};

static void locate_primary(void *sentinel, struct sp__locate *locate)
{
        sp__sentinel_find(sentinel, locate);
}

static bool connect_parts(struct sp__link *link, const struct sp__link_options *options)
{
        struct sp__pipe_options pipe = {.connect_timeout = options->connect_timeout,
                                        .timeout = options->timeout,
                                        .tls = options->tls,
                                        .stats = link->stats,
                                        .greet = options->greet,
                                        .arg = options->arg};

        if (link->address.kind == SP__ADDRESS_CLUSTER) {
                struct sp__cluster_options cluster = {.pipe = pipe, .home = options->home, .guards = options->guards};

                link->cluster = sp__cluster_new(link->engine, &link->address, &cluster);
                return link->cluster != NULL;
        }
        if (link->address.kind == SP__ADDRESS_SENTINEL) {
                link->sentinel = sp__sentinel_new(link->engine, &link->address, options->sentinel_user,
                                                  options->sentinel_password, &pipe, options->guards);
                if (!link->sentinel)
                        return false;
                pipe.primary = true;
                pipe.locate = locate_primary;
                pipe.locate_arg = link->sentinel;
        }
        link->pipe = sp__pipe_new(link->engine, &link->address, &pipe);
        return link->pipe != NULL;
}

static void close_parts(struct sp__link *link)
{
        if (link->pipe)
                sp__pipe_close(link->pipe);
        if (link->cluster)
                sp__cluster_close(link->cluster);
        if (link->sentinel)
                sp__sentinel_close(link->sentinel);
}

/* What the pipe asked the sentinels for on the engine's thread was answered by then. */
static void end(struct sp__task *task)
{
        struct sp__link *link = SP__OF(task, struct sp__link, end);

        sp__sentinel_free(link->sentinel);
        sp__cluster_free(link->cluster);
        sp__redis_stats_unref(link->stats);
        sp_breaker_unref(link->breaker);
        sp__guards_unref(link->guards);
        SSL_CTX_free(link->tls);
        sp__address_free(&link->address);
        free(link);
}

struct sp__link *sp__link_new(struct sp__engine *engine, const struct sp__address *address,
                              const struct sp__link_options *options)
{
        struct sp__link *link = calloc(1, sizeof *link);

        if (!link)
                return NULL;
        link->engine = engine;
        link->stats = sp__redis_stats_new();
        if (link->stats && sp__address_copy(&link->address, address) && connect_parts(link, options)) {
                link->breaker = options->breaker;
                link->guards = options->guards;
                link->tls = options->tls;
                return link;
        }
        close_parts(link);
        sp__pipe_free(link->pipe);
        end(&link->end);
        return NULL;
}

static sp_status take_address(const sp_config *config, struct sp__address *out, sp_error **error)
{
        const char *source = sp__config_source(config, "redis", NULL, "url");
        char setting[SETTING_MAX];

        snprintf(setting, sizeof setting, "redis.url%s%s%s", *source ? " (" : "", source, *source ? ")" : "");
        return sp__address_parse(sp__config_text(config, "redis", NULL, "url"), setting, out, error);
}

static const char *text_or_null(const sp_config *config, const char *name)
{
        const char *text = sp__config_text(config, "redis", NULL, name);

        return *text ? text : NULL;
}

static sp_status read_options(const sp_config *config, const struct sp__address *address, struct sp__link_options *out,
                              sp_error **error)
{
        sp_status status;

        out->connect_timeout = sp__config_int(config, "redis", NULL, "connect_timeout") * SP__MS;
        out->timeout = sp__config_int(config, "redis", NULL, "timeout") * SP__MS;
        out->sentinel_user = text_or_null(config, "sentinel_user");
        out->sentinel_password = text_or_null(config, "sentinel_password");
        status = address->tls ? sp__tls_context_new(config, &out->tls, error) : SP_OK;
        if (status == SP_OK)
                status = sp__guards_new(config, &out->guards, error);
        if (status == SP_OK && address->kind != SP__ADDRESS_CLUSTER)
                status = sp__guards_at(out->guards, address->where, &out->breaker, error);
        return status;
}

sp_status sp__link_open(const sp_config *config, struct sp__engine *engine, const struct sp__link_options *given,
                        struct sp__link **out, sp_error **error)
{
        struct sp__link_options options = *given;
        struct sp__address address;
        struct sp__link *link = NULL;
        sp_status status = take_address(config, &address, error);

        if (status != SP_OK)
                return status;
        status = read_options(config, &address, &options, error);
        if (status == SP_OK && !(link = sp__link_new(engine, &address, &options)))
                status = sp__fail(error, SP_NOMEM, "no memory or descriptors left for a connection to Redis");
        sp__address_free(&address);
        if (status == SP_OK) {
                *out = link;
                return SP_OK;
        }
        SSL_CTX_free(options.tls);
        sp_breaker_unref(options.breaker);
        sp__guards_unref(options.guards);
        return status;
}

/* Until sentinels have named a primary, its service's; then that primary's. */
static sp_error *guard(struct sp__link *link, struct sp__command *command)
{
        sp_breaker *primary = link->sentinel && link->guards ? sp__sentinel_breaker(link->sentinel) : NULL;
        sp_error *open = sp__command_guard(command, primary ? primary : link->breaker);

        sp_breaker_unref(primary);
        if (open && link->sentinel)
                sp__sentinel_refused(link->sentinel);
        return open;
}

void sp__link_run(struct sp__link *link, struct sp__command *command, sp__op *caller, void (*then)(sp__op *op),
                  void *owner)
{
        sp_error *open = guard(link, command);

        command->op.then = then;
        command->op.owner = owner;
        command->op.caller = caller;
        if (command->kind && command->kind->shared)
                command->kind->shared(command);
        if (open)
                sp__command_refuse(command, open);
        else if (link->cluster)
                sp__cluster_run(link->cluster, command);
        else
                sp__pipe_run(link->pipe, command);
}

void sp__link_find(struct sp__link *link, unsigned attempt, struct sp__locate *locate)
{
        if (link->cluster) {
                sp__cluster_find(link->cluster, attempt, locate);
                return;
        }
        if (link->sentinel) {
                sp__sentinel_find(link->sentinel, locate);
                return;
        }
        if (!sp__address_copy(&locate->address, &link->address))
                locate->error = sp__error_new(SP_NOMEM, NULL, "out of memory");
        locate->then(locate);
}

const struct sp__address *sp__link_address(const struct sp__link *link)
{
        return &link->address;
}

SSL_CTX *sp__link_tls(const struct sp__link *link)
{
        return link->tls;
}

sp_breaker *sp__link_breaker(struct sp__link *link)
{
        return link->breaker;
}

sp_status sp__link_watch_breakers(struct sp__link *link, sp__guards_keep keep, void *arg)
{
        return sp__guards_watch(link->guards, keep, arg);
}

bool sp__link_stood(struct sp__link *link)
{
        return link->cluster ? sp__cluster_stood(link->cluster) : sp__pipe_stood(link->pipe);
}

void sp__link_collect(const struct sp__link *link, struct sp__expo *expo)
{
        sp__redis_stats_collect(link->stats, expo);
}

void sp__link_close(struct sp__link *link)
{
        close_parts(link);
}

void sp__link_free(struct sp__link *link)
{
        if (!link)
                return;
        sp__pipe_free(link->pipe);
        if (sp__engine_forked(link->engine)) {
                sp__sentinel_free(link->sentinel);
                sp__cluster_free(link->cluster);
                return;
        }
        link->end.run = end;
        sp__list_init(&link->end.link);
        sp__engine_post(link->engine, &link->end);
}
