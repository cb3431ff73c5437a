/* SPDX-License-Identifier: MIT */
/*
 * The breakers of a pool's hosts, where `pool.breaker` wants them: one for each. A statement may go where one of them lets it
 * through, and counts at the host that it ran on; one that found no host counts at each that it might have found. Connections
 * to a host whose breaker is open are given up, and no new ones are made there, so that the others serve.
 */
#include "base/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "pg/pool_internal.h"

#include <string.h>

static sp_status host_guard(sp_pool *pool, const sp_config *config, const char *instance, struct sp__host *host,
                            sp_error **error)
{
        struct sp__buf full = SP__BUF_INIT;
        sp_status status;

        sp__buf_format(&full, "%s@%s/%s", instance, host->place, pool->is_replica ? "replica" : "primary");
        sp__buf_char(&full, 0);
        status = full.failed ? sp__fail(error, SP_NOMEM, "out of memory")
                             : sp__breaker_new(config, instance, full.data, NULL, &host->breaker, error);
        sp__buf_free(&full);
        return status;
}

/* A host that the URL names twice is one. */
static sp_breaker *of_same_place(const struct sp__hosts *hosts, size_t at)
{
        for (size_t i = 0; i < at; i++) {
                if (strcmp(hosts->rows[i].place, hosts->rows[at].place) == 0)
                        return sp_breaker_ref(hosts->rows[i].breaker);
        }
        return NULL;
}

sp_status sp__pool_guard(sp_pool *pool, const sp_config *config, const char *name, sp_error **error)
{
        struct sp__hosts *hosts = &pool->target.hosts;
        struct sp__buf instance = SP__BUF_INIT;
        sp_status status = SP_OK;

        if (!sp__config_int(config, "pool", name, "breaker"))
                return SP_OK;
        sp__buf_format(&instance, "pool%s%s", name ? "-" : "", name ? name : "");
        sp__buf_char(&instance, 0);
        if (instance.failed)
                status = sp__fail(error, SP_NOMEM, "out of memory");
        for (size_t i = 0; status == SP_OK && i < hosts->count; i++) {
                hosts->rows[i].breaker = of_same_place(hosts, i);
                if (!hosts->rows[i].breaker)
                        status = host_guard(pool, config, instance.data, &hosts->rows[i], error);
        }
        sp__buf_free(&instance);
        pool->guarded = status == SP_OK;
        return status;
}

sp_status sp__pool_each_breaker(sp_pool *pool, sp_status (*keep)(void *arg, sp_breaker *breaker), void *arg)
{
        const struct sp__hosts *hosts = &pool->target.hosts;
        sp_status status = SP_OK;
        sp_breaker *same;

        for (size_t i = 0; pool->guarded && status == SP_OK && i < hosts->count; i++) {
                same = of_same_place(hosts, i);
                if (!same)
                        status = keep(arg, hosts->rows[i].breaker);
                sp_breaker_unref(same);
        }
        return status == SP_OK ? sp__replicas_each_breaker(pool->replicas, keep, arg) : status;
}

/* Where its breaker is open others serve. */
static void forsake(sp_pool *pool, size_t at)
{
        const struct sp__hosts *hosts = &pool->target.hosts;

        if (!sp__host_shunned(hosts, at))
                return;
        sp__lock(&pool->lock);
        sp__pool_give_up(pool, hosts->rows[at].place);
        sp__unlock(&pool->lock);
}

/* The first that lets it through, from the one on that answered last; new connections begin there, too. NULL: none does. */
static struct sp__host *ask_hosts(sp_pool *pool, uint64_t *permit)
{
        struct sp__target *target = &pool->target;
        size_t count = target->hosts.count, first = atomic_load(&target->first);

        for (size_t i = 0; i < count; i++) {
                size_t at = (first + i) % count;

                if (sp_breaker_acquire(target->hosts.rows[at].breaker, permit) != SP_OK)
                        continue;
                if (i > 0)
                        atomic_store(&target->first, at);
                for (size_t shut = 0; shut < i; shut++)
                        forsake(pool, (first + shut) % count);
                return &target->hosts.rows[at];
        }
        return NULL;
}

sp_status sp__query_ask(struct sp__query *query, sp_error **error)
{
        sp_pool *pool = query->pool;
        const struct sp__hosts *hosts = &pool->target.hosts;

        if (!pool->guarded || query->in_session || query->stmt == pool->probe)
                return SP_OK;
        /* Who comes after its time is up hears nothing of the server, and says nothing of it. */
        if (query->op.deadline <= sp__now())
                return SP_OK;
        query->asked = ask_hosts(pool, &query->permit);
        if (query->asked)
                return SP_OK;
        if (hosts->count == 1)
                return sp__fail(error, SP_OPEN, "circuit breaker \"%s\" is open",
                                sp_breaker_name(hosts->rows->breaker));
        return sp__fail(error, SP_OPEN, "the circuit breakers of all hosts of pool \"%s\" (%s) are open", pool->name,
                        hosts->place);
}

void sp__query_unask(struct sp__query *query)
{
        if (query->permit)
                sp_breaker_release(query->asked->breaker, query->permit);
        query->permit = 0;
}

/* Of another host than the one that was asked. A breaker that lets nothing through does not count it. */
static bool count_there(sp_breaker *breaker, int outcome, int64_t elapsed)
{
        uint64_t permit;

        if (sp_breaker_acquire(breaker, &permit) != SP_OK)
                return false;
        sp_breaker_record(breaker, permit, outcome, elapsed);
        return true;
}

static void count_at(struct sp__query *query, size_t at, int outcome, int64_t elapsed)
{
        const struct sp__host *host = &query->pool->target.hosts.rows[at];
        bool counted = true;

        if (host->breaker == query->asked->breaker) {
                sp_breaker_record(host->breaker, query->permit, outcome, elapsed);
                query->permit = 0;
        } else {
                counted = count_there(host->breaker, outcome, elapsed);
        }
        if (!counted || outcome == SP_OUTCOME_FAILURE)
                forsake(query->pool, at);
}

static void count_everywhere(struct sp__query *query, int outcome, int64_t elapsed)
{
        const struct sp__hosts *hosts = &query->pool->target.hosts;

        for (size_t i = 0; i < hosts->count; i++) {
                sp_breaker *same = of_same_place(hosts, i);

                if (!same)
                        count_at(query, i, outcome, elapsed);
                sp_breaker_unref(same);
        }
}

void sp__query_tell(struct sp__query *query)
{
        const sp__op *op = &query->op;
        size_t at = sp__hosts_find(&query->pool->target.hosts, query->where);
        int64_t elapsed = sp__now() - query->born_ns;
        int outcome;

        if (!query->permit)
                return;
        outcome = sp_breaker_classify(op->status, op->error ? sp_error_code(op->error) : NULL);
        if (at != SIZE_MAX)
                count_at(query, at, outcome, elapsed);
        else if (outcome == SP_OUTCOME_FAILURE)
                count_everywhere(query, outcome, elapsed);
        sp__query_unask(query);
}
