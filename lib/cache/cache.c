/* SPDX-License-Identifier: MIT */
#include "cache/cache.h"

#include "cache/flight.h"
#include "cache/times.h"
#include "core/config.h"
#include "core/error.h"
#include "observe/histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sp__outage outage_of(const char *word)
{
        if (strcmp(word, "fail") == 0)
                return SP__OUTAGE_FAIL;
        return strcmp(word, "stale") == 0 ? SP__OUTAGE_STALE : SP__OUTAGE_LOAD;
}

static void read_config(sp_cache *cache, const sp_config *config)
{
        cache->ttl_ms = sp__config_int(config, "cache", NULL, "ttl");
        cache->negative_ms = sp__config_int(config, "cache", NULL, "negative");
        cache->stale_ms = sp__config_int(config, "cache", NULL, "stale");
        cache->retry_ms = sp__config_int(config, "cache", NULL, "retry");
        cache->lease_ms = sp__config_int(config, "cache", NULL, "lease");
        cache->value_max = sp__config_int(config, "cache", NULL, "value_max");
        cache->pack_from = sp__config_int(config, "cache", NULL, "compress");
        cache->jitter = sp__config_int(config, "cache", NULL, "jitter");
        cache->outage = outage_of(sp__config_text(config, "cache", NULL, "outage"));
        cache->use = sp__cache_use_of(sp__config_text(config, "cache", NULL, "mode"));
        sp__slots_init(&cache->slots, sp__config_int(config, "cache", NULL, "loads"));
        cache->prefix_len = (size_t)snprintf(cache->prefix, sizeof cache->prefix,
                                             "%s:", sp__config_text(config, "cache", NULL, "namespace"));
}

static bool make_events(sp_cache *cache, const sp_config *config)
{
        bool told = cache->log.link && sp__config_int(config, "cache", NULL, "events");

        return sp__events_init(&cache->events, cache->engine, told ? cache->log.link : NULL,
                               sp__config_text(config, "cache", NULL, "namespace"),
                               sp__config_int(config, "redis", NULL, "connect_timeout") * SP__MS, cache->log.period);
}

static bool make_parts(sp_cache *cache, const sp_config *config)
{
        int64_t memory = sp__config_int(config, "cache", NULL, "memory");

        cache->keys = sp__keys_new();
        cache->loads = sp__histogram_new();
        cache->seeks = sp__histogram_new();
        cache->waits = sp__histogram_new();
        if (cache->outage == SP__OUTAGE_STALE)
                sp__mirror_recall(&cache->log.mirror);
        if (memory > 0) {
                sp__mirror_fit(&cache->log.mirror, memory);
                cache->store = sp__store_new(memory, &cache->log.mirror);
        }
        if (cache->store)
                cache->near_hits = sp__store_hits(cache->store);
        return cache->keys && cache->loads && cache->seeks && cache->waits && (cache->store || memory == 0) &&
               make_events(cache, config);
}

void sp__cache_unref(sp_cache *cache)
{
        if (atomic_fetch_sub_explicit(&cache->refs, 1, memory_order_acq_rel) != 1)
                return;
        sp__usages_destroy(&cache->usages);
        sp__cond_destroy(&cache->idle);
        sp__mutex_destroy(&cache->lock);
        free(cache);
}

static void free_parts(sp_cache *cache)
{
        atomic_store(&cache->gone, true);
        sp__store_free(cache->store);
        sp__histogram_free(cache->loads);
        sp__histogram_free(cache->seeks);
        sp__histogram_free(cache->waits);
        sp__keys_free(cache->keys);
        sp__cache_unref(cache);
}

static sp_cache *blank(struct sp__engine *engine)
{
        sp_cache *cache = calloc(1, sizeof *cache);

        if (!cache)
                return NULL;
        atomic_init(&cache->refs, 1);
        cache->engine = engine;
        cache->random.state = sp__random_seed();
        cache->seed = sp__random_seed();
        sp__mutex_init(&cache->lock);
        sp__usages_init(&cache->usages);
        sp__cond_init(&cache->idle);
        for (int i = 0; i < SP__FLIGHT_BUCKETS; i++)
                sp__list_init(&cache->flights[i]);
        sp__slots_init(&cache->slots, 0);
        return cache;
}

/* Who loads while the row is changed may fill at the lease's last moment. */
static void keep_for(sp_cache *cache, int64_t ms)
{
        sp__log_lasts(&cache->log, ms + cache->lease_ms);
}

sp_status sp__cache_new(const sp_config *config, struct sp__engine *engine, sp_cache **out, sp_error **error)
{
        sp_cache *cache;
        sp_status status = SP_OK;
        bool own = !engine;

        if (own)
                status = sp__engine_new(&engine, error);
        if (status != SP_OK)
                return status;
        cache = blank(engine);
        if (cache) {
                cache->own_engine = own;
                status = sp__log_init(&cache->log, config, engine, error);
        }
        if (!cache || status != SP_OK) {
                if (cache)
                        free_parts(cache);
                if (own)
                        sp__engine_free(engine);
                return cache ? status : sp__fail(error, SP_NOMEM, "out of memory");
        }
        read_config(cache, config);
        keep_for(cache, cache->ttl_ms + cache->stale_ms);
        if (!make_parts(cache, config)) {
                sp_cache_free(cache);
                return sp__fail(error, SP_NOMEM, "out of memory");
        }
        *out = cache;
        return SP_OK;
}

sp_status sp_cache_new(const sp_config *config, sp_cache **out, sp_error **error)
{
        SP__NEED(out, error);
        return sp__cache_new(config, NULL, out, error);
}

void sp__cache_work(sp_cache *cache)
{
        sp__lock(&cache->lock);
        cache->working++;
        sp__unlock(&cache->lock);
}

bool sp__cache_enter(sp_cache *cache)
{
        bool open;

        sp__lock(&cache->lock);
        open = !cache->over;
        cache->working += open;
        sp__unlock(&cache->lock);
        return open;
}

void sp__cache_rest(sp_cache *cache)
{
        sp__lock(&cache->lock);
        if (--cache->working == 0)
                pthread_cond_broadcast(&cache->idle);
        sp__unlock(&cache->lock);
}

void sp__cache_times(const sp_cache *cache, const sp_template *tmpl, struct sp__times *times)
{
        *times = (struct sp__times){.ttl = cache->ttl_ms, .negative = cache->negative_ms, .stale = cache->stale_ms};
        if (!tmpl)
                return;
        *times = (struct sp__times){.ttl = sp_template_ttl_ms(tmpl),
                                    .negative = sp__template_negative_ms(tmpl),
                                    .stale = sp__template_stale_ms(tmpl),
                                    .soft = sp__template_soft_ms(tmpl),
                                    .hard = sp__template_hard_ms(tmpl),
                                    .refresh = sp__template_refresh(tmpl),
                                    .sliding = sp__template_sliding_ms(tmpl)};
        if (times->stale < 0)
                times->stale = sp__template_raw(tmpl) ? 0 : cache->stale_ms;
}

void sp__cache_keeps(sp_cache *cache, const struct sp__entry *entry)
{
        keep_for(cache, entry->kept_until - entry->made);
}

double sp__cache_unit(sp_cache *cache)
{
        double unit;

        sp__lock(&cache->lock);
        unit = sp__random_unit(&cache->random);
        sp__unlock(&cache->lock);
        return unit;
}

/* One that slides is renewed by its use, here and in Redis. */
static enum sp__found attend(sp_cache *cache, const void *key, size_t len, sp_value **value, struct sp__item *item)
{
        const sp_template *tmpl = sp__keys_find(cache->keys, key, len);
        struct sp__times times;

        sp__cache_times(cache, tmpl, &times);
        switch (sp__times_attend(&times, item, sp__now())) {
        case SP__ATTENTION_RENEW:
                item->value = *value;
                sp__times_renew(&times, item, sp__now());
                sp__store_put(cache->store, key, len, item);
                item->value = NULL;
                sp__cache_extend(cache, key, len, sp__times_slid(&times));
                return SP__FOUND_FRESH;
        case SP__ATTENTION_PAST:
                sp_value_unref(*value);
                *value = NULL;
                return SP__FOUND_NOTHING;
        default:
                return SP__FOUND_STALE;
        }
}

static __attribute__((noinline)) void sample(sp_cache *cache, const void *key, size_t len)
{
        sp__usage_sample(sp__usages_of(&cache->usages, sp__keys_find(cache->keys, key, len)));
}

sp_status sp_cache_age(sp_cache *cache, int64_t ms)
{
        if (!cache || ms < 0)
                return SP_INVALID;
        if (sp__engine_forked(cache->engine))
                return SP_FORKED;
        if (cache->store)
                sp__store_age(cache->store, sp__after_ms(0, ms));
        return SP_OK;
}

enum sp__found sp__cache_find(sp_cache *cache, const void *key, size_t len, sp_value **value, struct sp__item *stale)
{
        uint64_t declared = atomic_load(&cache->declared);
        enum sp__found found;

        if (!cache->store)
                return SP__FOUND_NOTHING;
        found = sp__store_get(cache->store, key, len, declared, value, stale);
        if (found == SP__FOUND_STALE && stale && atomic_load(&cache->early))
                found = attend(cache, key, len, value, stale);
        if (found == SP__FOUND_FRESH && sp__usage_samples(sp__striped_add(cache->near_hits, 1)))
                sample(cache, key, len);
        return found;
}

sp_status sp_cache_declare(sp_cache *cache, sp_template *tmpl, sp_error **error)
{
        struct sp__times times;
        sp_status status;

        SP__NEED(cache, error);
        SP__NEED(tmpl, error);
        if (sp__engine_forked(cache->engine))
                return sp__fail(error, SP_FORKED, "%s", sp_status_text(SP_FORKED));
        if (sp__template_raw(tmpl) && strncmp(sp_template_text(tmpl), cache->prefix, cache->prefix_len) == 0)
                return sp__fail(error, SP_INVALID,
                                "template \"%.128s\": raw keys beginning with \"%s\" are the cache's own",
                                sp_template_text(tmpl), cache->prefix);
        status = sp__keys_declare(cache->keys, tmpl, error);
        if (status != SP_OK)
                return status;
        sp__cache_times(cache, tmpl, &times);
        if (sp__times_early(&times))
                atomic_store(&cache->early, true);
        keep_for(cache, times.ttl + times.stale);
        if (sp__template_raw(tmpl))
                atomic_store(&cache->raws, true);
        atomic_fetch_add(&cache->declared, 1);
        return status;
}

/* All flights lose their waiters, and end; those whose lease somebody has stay. */
static void end_flights(sp_cache *cache, struct sp__list *waiters)
{
        for (int i = 0; i < SP__FLIGHT_BUCKETS; i++) {
                SP__EACH(&cache->flights[i], at, after)
                {
                        struct sp__flight *flight = SP__OF(at, struct sp__flight, link);

                        sp__seekers_take(flight, waiters);
                        if (flight->state == SP__FLIGHT_PAUSED)
                                sp__flight_drop(flight);
                }
        }
}

void sp_cache_close(sp_cache *cache)
{
        struct sp__list waiters;
        struct sp__batch done;

        if (!cache || sp__engine_forked(cache->engine))
                return;
        sp__batch_init(&done);
        sp__list_init(&waiters);
        sp__lock(&cache->lock);
        atomic_store(&cache->closed, true);
        end_flights(cache, &waiters);
        sp__slots_open(&cache->slots, cache->engine);
        sp__unlock(&cache->lock);
        sp__seekers_answer(&waiters, 0, NULL, SP_CLOSED, NULL, &done);
        sp__batch_deliver(&done);
}

/* Something that the engine's thread does for us while we wait. */
struct errand {
        struct sp__task task;
        sp_cache *cache;
        bool *done;
};

static void tell(sp_cache *cache, bool *done)
{
        sp__lock(&cache->lock);
        *done = true;
        pthread_cond_broadcast(&cache->idle);
        sp__unlock(&cache->lock);
}

static void wait_until(sp_cache *cache, const bool *done)
{
        sp__lock(&cache->lock);
        while (!*done)
                sp__cond_wait(&cache->idle, &cache->lock, SP__FOREVER);
        sp__unlock(&cache->lock);
}

static void stop(struct sp__task *task)
{
        struct errand *errand = SP__OF(task, struct errand, task);

        sp__log_stop(&errand->cache->log);
        tell(errand->cache, errand->done);
}

static void stop_timers(sp_cache *cache)
{
        bool done = false;
        struct errand errand = {.task.run = stop, .cache = cache, .done = &done};

        sp__list_init(&errand.task.link);
        sp__engine_post(cache->engine, &errand.task);
        wait_until(cache, &done);
}

static void events_ended(void *events)
{
        sp_cache *cache = SP__OF(events, sp_cache, events);

        tell(cache, &cache->unheard);
}

static void end_events(sp_cache *cache)
{
        bool waits = cache->events.subscriber != NULL;

        if (!cache->events.news)
                return;
        sp__events_end(&cache->events, events_ended, &cache->events);
        if (waits)
                wait_until(cache, &cache->unheard);
        sp__events_destroy(&cache->events);
}

static void subscriber_ended(void *log)
{
        sp_cache *cache = SP__OF(log, sp_cache, log);

        tell(cache, &cache->unsubscribed);
}

static void wait_for_work(sp_cache *cache)
{
        sp__lock(&cache->lock);
        while (cache->working > 0)
                sp__cond_wait(&cache->idle, &cache->lock, SP__FOREVER);
        cache->over = true;
        sp__unlock(&cache->lock);
}

/* Leases that nobody gave back: their flights end here, their handles are dead. */
static void drop_flights(sp_cache *cache)
{
        sp__lock(&cache->lock);
        for (int i = 0; i < SP__FLIGHT_BUCKETS; i++) {
                SP__EACH(&cache->flights[i], at, after)
                sp__flight_drop(SP__OF(at, struct sp__flight, link));
        }
        sp__unlock(&cache->lock);
}

static void free_forked(sp_cache *cache)
{
        sp__link_free(cache->log.link);
        sp__subscriber_free(cache->log.subscriber, NULL);
        sp__subscriber_free(cache->events.subscriber, NULL);
        if (cache->own_engine)
                sp__engine_free(cache->engine);
}

void sp_cache_free(sp_cache *cache)
{
        struct sp__engine *engine;

        if (!cache)
                return;
        if (sp__engine_forked(cache->engine)) {
                free_forked(cache);
                return;
        }
        sp_cache_close(cache);
        if (cache->log.link)
                stop_timers(cache);
        wait_for_work(cache);
        drop_flights(cache);
        end_events(cache);
        sp__log_close(&cache->log);
        if (cache->log.link) {
                sp__subscriber_free(cache->log.subscriber, subscriber_ended);
                wait_until(cache, &cache->unsubscribed);
                sp__link_free(cache->log.link);
        }
        sp__log_destroy(&cache->log);
        engine = cache->own_engine ? cache->engine : NULL;
        free_parts(cache);
        sp__engine_free(engine);
}
