/* SPDX-License-Identifier: MIT */
#include "pg/replicas.h"

#include "core/config.h"
#include "core/ctx.h"
#include "core/error.h"
#include "pg/pool_internal.h"
#include "pg/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How many positions of the primary are remembered; how many rounds there are in the lag that is allowed; how long they go on
 * when nobody reads.
 */
enum { SAMPLES = 64, ROUNDS = 4, LEAST_MS = 10, MOST_MS = 1000, REPLICAS_MAX = 16 };
#define UNUSED_NS (10 * SP__SECOND)

struct replica {
        struct sp__replicas *all;
        sp_pool *pool;
        bool asked; /* the lock */
        atomic_bool up;
        _Atomic int64_t proven; /* it has what was committed before; 0: nothing is known */
};

struct sample {
        int64_t at;
        uint64_t end;
};

struct sp__replicas {
        sp_pool *primary;
        sp_stmt *end, *replayed;
        int64_t lag_ns, every_ms;
        size_t count;
        struct replica *rows;
        atomic_size_t turn;
        _Atomic int64_t used_ns, reads, fallbacks;
        struct sp__timer timer;

        sp__mutex lock; /* taken before a pool's */
        struct sample samples[SAMPLES];
        size_t next;
        uint64_t timeline; /* the primary's, 0: not known yet */
        int64_t asked_at;  /* of the primary; 0: it is not asked */
        bool watching, closed;
};

/* A position, and the timeline that it is on. */
static const char end_text[] =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() - '0/0'::pg_lsn END::int8, "
    "CASE WHEN NOT pg_is_in_recovery() THEN "
    "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int8 END";
/*
 * Who is no standby (any more) is not known to follow. What is received shows only to members of pg_read_all_stats; others see
 * the last restart point's, which may come minutes later.
 */
static const char replayed_text[] =
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END::int8, "
    "greatest((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))";

/* A number that a step yielded; false: it failed, or there is none. */
static bool number_of(const sp__op *step, size_t column, uint64_t *out)
{
        size_t len;
        const char *text = step->status == SP_OK ? sp_result_get(step->what, 0, column, &len) : NULL;

        if (text)
                *out = strtoull(text, NULL, 10);
        return text != NULL;
}

/* The latest time at which the primary's log did not reach beyond `replayed`. The lock is held. */
static int64_t proven_by(const struct sp__replicas *replicas, uint64_t replayed)
{
        int64_t proven = 0;

        for (size_t i = 0; i < SAMPLES; i++) {
                const struct sample *sample = &replicas->samples[i];

                if (sample->at > proven && sample->end <= replayed)
                        proven = sample->at;
        }
        return proven;
}

static void told_replayed(sp__op *step)
{
        struct replica *replica = step->owner;
        struct sp__replicas *replicas = replica->all;
        uint64_t replayed = 0, timeline = 0;
        bool good = number_of(step, 0, &replayed) && number_of(step, 1, &timeline);

        sp__lock(&replicas->lock);
        replica->asked = false;
        /* It stayed with a former primary's history, where the same positions are other data. */
        good = good && (replicas->timeline == 0 || timeline == replicas->timeline);
        atomic_store(&replica->up, good);
        atomic_store(&replica->proven, good ? proven_by(replicas, replayed) : 0);
        sp__unlock(&replicas->lock);
        sp__pool_leave(replicas->primary);
}

/* false: the round is another one's, or all is closed. */
static bool begin(struct sp__replicas *replicas, bool *asked)
{
        bool free;

        sp__lock(&replicas->lock);
        free = !*asked && !replicas->closed;
        *asked |= free;
        sp__unlock(&replicas->lock);
        if (free)
                sp__pool_enter(replicas->primary);
        return free;
}

static void ask_replica(struct replica *replica)
{
        struct sp__replicas *replicas = replica->all;

        if (!begin(replicas, &replica->asked))
                return;
        if (sp__pool_step(replica->pool, NULL, sp__after_ms(sp__now(), MOST_MS), replicas->replayed, NULL, NULL,
                          told_replayed, replica, NULL) == SP_OK)
                return;
        sp__lock(&replicas->lock);
        replica->asked = false;
        atomic_store(&replica->up, false);
        atomic_store(&replica->proven, 0);
        sp__unlock(&replicas->lock);
        sp__pool_leave(replicas->primary);
}

/* The replicas are asked after it, so that they may have come as far. */
static void told_end(sp__op *step)
{
        struct sp__replicas *replicas = step->owner;
        uint64_t end, timeline;
        bool good = number_of(step, 0, &end) && number_of(step, 1, &timeline);

        sp__lock(&replicas->lock);
        if (good && timeline != replicas->timeline) {
                memset(replicas->samples, 0, sizeof replicas->samples);
                replicas->timeline = timeline;
        }
        if (good) {
                replicas->samples[replicas->next] = (struct sample){replicas->asked_at, end};
                replicas->next = (replicas->next + 1) % SAMPLES;
        }
        replicas->asked_at = 0;
        sp__unlock(&replicas->lock);
        for (size_t i = 0; i < replicas->count; i++)
                ask_replica(&replicas->rows[i]);
        sp__pool_leave(replicas->primary);
}

static void ask_primary(struct sp__replicas *replicas)
{
        bool free;

        sp__lock(&replicas->lock);
        free = replicas->asked_at == 0 && !replicas->closed;
        if (free)
                replicas->asked_at = sp__now();
        sp__unlock(&replicas->lock);
        if (!free)
                return;
        sp__pool_enter(replicas->primary);
        if (sp__pool_step(replicas->primary, NULL, sp__after_ms(sp__now(), MOST_MS), replicas->end, NULL, NULL,
                          told_end, replicas, NULL) == SP_OK)
                return;
        sp__lock(&replicas->lock);
        replicas->asked_at = 0;
        sp__unlock(&replicas->lock);
        sp__pool_leave(replicas->primary);
}

static void look(struct sp__timer *timer)
{
        struct sp__replicas *replicas = SP__OF(timer, struct sp__replicas, timer);
        int64_t now = sp__now();
        bool goes_on;

        sp__lock(&replicas->lock);
        goes_on = !replicas->closed && now - atomic_load(&replicas->used_ns) < UNUSED_NS;
        replicas->watching = goes_on;
        if (goes_on)
                sp__timer_set(replicas->primary->engine, timer, sp__after_ms(now, replicas->every_ms));
        sp__unlock(&replicas->lock);
        if (!goes_on)
                return;
        ask_primary(replicas);
        /* Whether they answer does not hang on the primary. */
        for (size_t i = 0; replicas->lag_ns == 0 && i < replicas->count; i++)
                ask_replica(&replicas->rows[i]);
}

/* Somebody reads: the rounds begin again. */
static void watch(struct sp__replicas *replicas, int64_t now)
{
        if (now - atomic_load_explicit(&replicas->used_ns, memory_order_relaxed) < SP__SECOND)
                return;
        atomic_store(&replicas->used_ns, now);
        sp__lock(&replicas->lock);
        if (!replicas->watching && !replicas->closed) {
                replicas->watching = true;
                sp__timer_set(replicas->primary->engine, &replicas->timer, now);
        }
        sp__unlock(&replicas->lock);
}

size_t sp__replicas_count(const struct sp__replicas *replicas)
{
        return replicas ? replicas->count : 0;
}

sp_pool *sp__replicas_choose(struct sp__replicas *replicas, const sp_ctx *ctx)
{
        int64_t now = sp__now_coarse(), since = ctx ? sp__ctx_wrote(ctx) : 0;
        size_t first = atomic_fetch_add_explicit(&replicas->turn, 1, memory_order_relaxed);

        if (ctx && sp__ctx_primary(ctx))
                return NULL;
        watch(replicas, now);
        for (size_t i = 0; i < replicas->count; i++) {
                struct replica *replica = &replicas->rows[(first + i) % replicas->count];
                int64_t proven = atomic_load_explicit(&replica->proven, memory_order_relaxed);

                if (!atomic_load_explicit(&replica->up, memory_order_relaxed) || proven < since ||
                    (replicas->lag_ns > 0 && now - proven > replicas->lag_ns))
                        continue;
                atomic_fetch_add_explicit(&replicas->reads, 1, memory_order_relaxed);
                return replica->pool;
        }
        return NULL;
}

void sp__replicas_fell_back(struct sp__replicas *replicas)
{
        atomic_fetch_add_explicit(&replicas->fallbacks, 1, memory_order_relaxed);
}

/* The pool's own configuration, with another place. */
static sp_status replica_new(struct sp__replicas *replicas, const sp_config *config, const char *name, const char *url,
                             const struct sp__pool_watcher *watcher, sp_error **error)
{
        struct replica *replica = &replicas->rows[replicas->count];
        const char *const own[][2] = {{"url", url}, {"replicas", ""}, {"target_session_attrs", "any"}};
        sp_config *copy = sp__config_copy(config);
        sp_status status = copy ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");
        char setting[128], title[96];

        for (size_t i = 0; status == SP_OK && i < sizeof own / sizeof *own; i++) {
                snprintf(setting, sizeof setting, "pool.%s%s%s", name ? name : "", name ? "." : "", own[i][0]);
                status = sp_config_set(copy, setting, own[i][1], error);
        }
        snprintf(title, sizeof title, "%s-replica-%zu", name ? name : "default", replicas->count + 1);
        if (status == SP_OK)
                status = sp__pool_new_as(copy, name, title, replicas->primary->engine, watcher, &replica->pool, error);
        sp_config_free(copy);
        if (status != SP_OK)
                return status;
        replica->all = replicas;
        replicas->count++;
        return SP_OK;
}

static sp_status rows_new(struct sp__replicas *replicas, const sp_config *config, const char *name,
                          const struct sp__pool_watcher *watcher, sp_error **error)
{
        char *urls = strdup(sp__config_text(config, "pool", name, "replicas")), *rest = urls, *url;
        sp_status status = urls ? SP_OK : sp__fail(error, SP_NOMEM, "out of memory");

        while (status == SP_OK && (url = strsep(&rest, " \t\n"))) {
                if (!*url)
                        continue;
                if (replicas->count == REPLICAS_MAX)
                        status = sp__fail(error, SP_LIMIT, "pool.replicas names more than %d", REPLICAS_MAX);
                else
                        status = replica_new(replicas, config, name, url, watcher, error);
        }
        sp__password_wipe(urls);
        return status;
}

static sp_status parts_new(struct sp__replicas *replicas, sp_error **error)
{
        sp_status status;

        replicas->rows = calloc(REPLICAS_MAX, sizeof *replicas->rows);
        if (!replicas->rows)
                return sp__fail(error, SP_NOMEM, "out of memory");
        status = sp_stmt_new("primary position", end_text, sizeof end_text - 1, SP_STMT_READ, &replicas->end, error);
        if (status != SP_OK)
                return status;
        return sp_stmt_new("replica position", replayed_text, sizeof replayed_text - 1, SP_STMT_READ,
                           &replicas->replayed, error);
}

static void set_times(struct sp__replicas *replicas, int64_t lag_ms)
{
        int64_t every = lag_ms / ROUNDS;

        replicas->lag_ns = lag_ms * SP__MS;
        every = every < LEAST_MS ? LEAST_MS : every;
        replicas->every_ms = lag_ms == 0 || every > MOST_MS ? MOST_MS / ROUNDS : every;
}

sp_status sp__replicas_new(sp_pool *primary, const sp_config *config, const char *name,
                           const struct sp__pool_watcher *watcher, struct sp__replicas **out, sp_error **error)
{
        struct sp__replicas *replicas;
        sp_status status;

        *out = NULL;
        if (!*sp__config_text(config, "pool", name, "replicas") ||
            strcmp(sp__config_text(config, "pool", name, "reads"), "primary") == 0)
                return SP_OK;
        replicas = calloc(1, sizeof *replicas);
        if (!replicas)
                return sp__fail(error, SP_NOMEM, "out of memory");
        sp__mutex_init(&replicas->lock);
        replicas->primary = primary;
        replicas->timer.fire = look;
        set_times(replicas, sp__config_int(config, "pool", name, "replica_lag"));
        status = parts_new(replicas, error);
        if (status == SP_OK)
                status = rows_new(replicas, config, name, watcher, error);
        if (status == SP_OK)
                *out = replicas;
        else
                sp__replicas_destroy(replicas);
        return status;
}

sp_status sp__replicas_each_breaker(struct sp__replicas *replicas, sp_status (*keep)(void *arg, sp_breaker *breaker),
                                    void *arg)
{
        sp_status status = SP_OK;

        for (size_t i = 0; replicas && status == SP_OK && i < replicas->count; i++)
                status = sp__pool_each_breaker(replicas->rows[i].pool, keep, arg);
        return status;
}

void sp__replicas_close(struct sp__replicas *replicas)
{
        if (!replicas)
                return;
        sp__lock(&replicas->lock);
        replicas->closed = true;
        sp__unlock(&replicas->lock);
        sp__timer_stop(replicas->primary->engine, &replicas->timer);
        for (size_t i = 0; i < replicas->count; i++)
                sp_pool_close(replicas->rows[i].pool);
}

void sp__replicas_shut(struct sp__replicas *replicas)
{
        for (size_t i = 0; replicas && i < replicas->count; i++)
                sp__pool_shut(replicas->rows[i].pool);
}

void sp__replicas_destroy(struct sp__replicas *replicas)
{
        if (!replicas)
                return;
        for (size_t i = 0; i < replicas->count; i++)
                sp__pool_destroy(replicas->rows[i].pool);
        sp_stmt_unref(replicas->end);
        sp_stmt_unref(replicas->replayed);
        sp__mutex_destroy(&replicas->lock);
        free(replicas->rows);
        free(replicas);
}

void sp__replicas_drop(struct sp__replicas *replicas)
{
        for (size_t i = 0; replicas && i < replicas->count; i++)
                sp__pool_drop(replicas->rows[i].pool);
}

void sp__replicas_collect(struct sp__replicas *replicas, struct sp__expo *expo)
{
        const char *const labels[] = {"db_client_connection_pool_name", replicas ? replicas->primary->name : "", NULL};
        int64_t now = sp__now();

        if (!replicas)
                return;
        sp__expo_family(expo, "sugarperf_pool_replica_reads", "counter", "Reads that were sent to a replica.");
        sp__expo_sample(expo, "_total", labels, (double)atomic_load(&replicas->reads));
        sp__expo_family(expo, "sugarperf_pool_replica_fallbacks", "counter",
                        "Of these, reads that went to the primary after all.");
        sp__expo_sample(expo, "_total", labels, (double)atomic_load(&replicas->fallbacks));
        for (size_t i = 0; i < replicas->count; i++) {
                struct replica *replica = &replicas->rows[i];
                const char *const own[] = {"db_client_connection_pool_name", replica->pool->name, NULL};
                int64_t proven = atomic_load(&replica->proven);

                sp__pool_collect(replica->pool, expo);
                sp__expo_family(expo, "sugarperf_pool_replica_lag_seconds", "gauge",
                                "How old at most what the replica answers with is, as far as that is proven.");
                if (proven > 0)
                        sp__expo_sample(expo, "", own, (double)(now - proven) / 1e9);
        }
}
