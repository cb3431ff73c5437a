/* SPDX-License-Identifier: MIT */
/* What the cache counts. A stale answer counts as a hit; one count a look-up. */
#include "cache/cache.h"

#include "base/buf.h"
#include "core/error.h"
#include "observe/histogram.h"

static int64_t read_counter(const _Atomic int64_t *counter)
{
        return atomic_load_explicit((_Atomic int64_t *)(uintptr_t)counter, memory_order_relaxed);
}

static int64_t near_hits(const sp_cache *cache)
{
        return cache->near_hits ? sp__striped_read(cache->near_hits) : 0;
}

int64_t sp_cache_hits(const sp_cache *cache)
{
        return cache ? near_hits(cache) + read_counter(&cache->hits) + read_counter(&cache->stales) : 0;
}

int64_t sp_cache_misses(const sp_cache *cache)
{
        return cache ? read_counter(&cache->misses) : 0;
}

double sp_cache_hit_rate(const sp_cache *cache)
{
        int64_t hits = sp_cache_hits(cache), all = hits + sp_cache_misses(cache);

        return all ? (double)hits / (double)all : 0;
}

double sp_cache_hit_rate_since(sp_cache *cache, int64_t window_ms)
{
        int64_t now = sp__now();

        if (!cache)
                return 0;
        return sp__usages_rate(&cache->usages, now, window_ms > 0 ? sp__after_ms(0, window_ms) : 0,
                               sp_cache_hits(cache), sp_cache_misses(cache));
}

void sp__cache_see(sp_cache *cache)
{
        int64_t now = sp__now_coarse();

        if (sp__usages_due(&cache->usages, now))
                sp__usages_see(&cache->usages, now, sp_cache_hits(cache), sp_cache_misses(cache));
}

sp_status sp_cache_report(const sp_cache *cache, sp_value **out)
{
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;

        SP__NEED(cache, NULL);
        SP__NEED(out, NULL);
        sp__buf_format(&text, "{\"cache_hits_total\":%lld,\"cache_misses_total\":%lld,\"cache_hit_rate\":",
                       (long long)sp_cache_hits(cache), (long long)sp_cache_misses(cache));
        sp__buf_fixed(&text, sp_cache_hit_rate(cache) * 100, 2);
        sp__buf_char(&text, '}');
        if (!text.failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

sp_status sp_cache_templates(const sp_cache *cache, sp_value **out)
{
        struct sp__buf text = SP__BUF_INIT;
        sp_value *value = NULL;

        SP__NEED(cache, NULL);
        SP__NEED(out, NULL);
        sp__keys_list(cache->keys, &text);
        if (!text.failed)
                value = sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}

static void collect_requests(const sp_cache *cache, struct sp__expo *expo)
{
        const struct {
                const char *result;
                int64_t count;
        } rows[] = {{"hit", near_hits(cache) + read_counter(&cache->hits)},
                    {"stale", read_counter(&cache->stales)},
                    {"miss", read_counter(&cache->misses)},
                    {"error", read_counter(&cache->errors)}};

        sp__expo_family(expo, "sugarperf_cache_requests", "counter", "Look-ups by what they found.");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                sp__expo_sample(expo, "_total", (const char *[]){"cache", "default", "result", rows[i].result, NULL},
                                (double)rows[i].count);
        sp__expo_family(
            expo, "sugarperf_cache_level_hits", "counter",
            "Fresh hits by where they were found: memory, or beyond it (Redis, or the load of another caller).");
        sp__expo_sample(expo, "_total", (const char *[]){"cache", "default", "level", "memory", NULL},
                        (double)near_hits(cache));
        sp__expo_sample(expo, "_total", (const char *[]){"cache", "default", "level", "beyond", NULL},
                        (double)read_counter(&cache->hits));
}

static void collect_store(sp_cache *cache, const char *const labels[], struct sp__expo *expo)
{
        struct sp__store_stats stats = {.entries = 0};

        if (cache->store)
                sp__store_stats(cache->store, &stats);
        sp__expo_family(expo, "sugarperf_cache_memory_bytes", "gauge", "Bytes of the in-process level.");
        sp__expo_sample(expo, NULL, labels, (double)stats.bytes);
        sp__expo_family(expo, "sugarperf_cache_memory_entries", "gauge", "Entries of the in-process level.");
        sp__expo_sample(expo, NULL, labels, (double)stats.entries);
        sp__expo_family(expo, "sugarperf_cache_evictions", "counter",
                        "Entries that left the in-process level for want of room.");
        sp__expo_sample(expo, "_total", labels, (double)stats.evictions);
}

static void collect_windows(sp_cache *cache, struct sp__expo *expo)
{
        static const struct {
                const char *name;
                int64_t ms;
        } windows[] = {{"1m", 60000}, {"5m", 300000}, {"15m", 900000}};

        sp__expo_family(expo, "sugarperf_cache_hit_ratio", "gauge",
                        "Share of look-ups of the last time that found a value, 0-1.");
        for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
                sp__expo_sample(expo, NULL, (const char *[]){"cache", "default", "window", windows[i].name, NULL},
                                sp_cache_hit_rate_since(cache, windows[i].ms));
        sp__cache_see(cache);
}

static const char *template_of(const struct sp__usage *usage)
{
        const sp_template *tmpl = atomic_load(&((struct sp__usage *)(uintptr_t)usage)->tmpl);

        return tmpl ? sp_template_text(tmpl) : "";
}

/* What is counted for each template, under a label that tells the kinds apart; NULL: of the one kind there is. */
struct kind {
        enum sp__used used;
        const char *result;
};

static void collect_kinds(sp_cache *cache, const struct kind *kinds, size_t count, struct sp__expo *expo)
{
        size_t used = atomic_load(&cache->usages.used);

        for (size_t i = 0; i < used * count; i++) {
                const struct sp__usage *usage = &cache->usages.all[i / count];
                const struct kind *kind = &kinds[i % count];

                sp__expo_sample(expo, "_total",
                                (const char *[]){"template", template_of(usage), kind->result ? "result" : NULL,
                                                 kind->result, NULL},
                                (double)read_counter(&usage->counts[kind->used]));
        }
}

#define KINDS(kinds) kinds, sizeof kinds / sizeof *kinds

static void collect_templates(sp_cache *cache, struct sp__expo *expo)
{
        static const struct kind requests[] = {{SP__USED_MEMORY, "memory"},
                                               {SP__USED_HIT, "hit"},
                                               {SP__USED_SHARED, "shared"},
                                               {SP__USED_STALE, "stale"},
                                               {SP__USED_MISS, "miss"}};
        static const struct kind loads[] = {{SP__USED_LOAD, "filled"}, {SP__USED_FAILED, "failed"}};
        static const struct kind unstored[] = {{SP__USED_TOO_LARGE, NULL}};
        size_t used = atomic_load(&cache->usages.used);

        sp__expo_family(expo, "sugarperf_cache_template_requests", "counter",
                        "Look-ups by the key's template and what they found; memory: an estimate, from one of 64; "
                        "shared: another caller loaded it meanwhile.");
        collect_kinds(cache, KINDS(requests), expo);
        sp__expo_family(expo, "sugarperf_cache_template_loads", "counter",
                        "Loads by the key's template: with a value (filled), or given up.");
        collect_kinds(cache, KINDS(loads), expo);
        sp__expo_family(expo, "sugarperf_cache_template_unstored", "counter",
                        "Values that were loaded and not stored, as they were too large.");
        collect_kinds(cache, KINDS(unstored), expo);
        sp__expo_family(expo, "sugarperf_cache_template_load_seconds", "counter", "Time that these loads took.");
        for (size_t i = 0; i < used; i++)
                sp__expo_sample(expo, "_total", (const char *[]){"template", template_of(&cache->usages.all[i]), NULL},
                                (double)read_counter(&cache->usages.all[i].load_ns) / 1e9);
}

static void collect_loading(sp_cache *cache, const char *const labels[], struct sp__expo *expo)
{
        int64_t loading, waiting = 0;

        sp__lock(&cache->lock);
        loading = cache->slots.used;
        SP__EACH(&cache->slots.line, at, after)
        waiting++;
        sp__unlock(&cache->lock);
        sp__expo_family(expo, "sugarperf_cache_loading", "gauge", "Loads under way in this process.");
        sp__expo_sample(expo, NULL, labels, (double)loading);
        sp__expo_family(expo, "sugarperf_cache_loads_waiting", "gauge",
                        "Loads that wait for their turn (cache.loads).");
        sp__expo_sample(expo, NULL, labels, (double)waiting);
}

/* The names of the document that the product was written to. */
static void collect_aliases(sp_cache *cache, struct sp__expo *expo)
{
        sp__expo_family(expo, "cache_hits", "counter", "Look-ups that found a value.");
        sp__expo_sample(expo, "_total", NULL, (double)sp_cache_hits(cache));
        sp__expo_family(expo, "cache_misses", "counter", "Look-ups that found none.");
        sp__expo_sample(expo, "_total", NULL, (double)sp_cache_misses(cache));
        sp__expo_family(expo, "cache_hit_rate", "gauge", "Share of look-ups that found a value, in percent.");
        sp__expo_sample(expo, NULL, NULL, sp_cache_hit_rate(cache) * 100);
}

void sp__cache_collect(void *arg, struct sp__expo *expo)
{
        static const char *const labels[] = {"cache", "default", NULL};
        sp_cache *cache = arg;

        collect_requests(cache, expo);
        sp__expo_family(expo, "sugarperf_cache_load_duration_seconds", "histogram",
                        "From granting a lease until it was filled.");
        sp__expo_histogram(expo, labels, cache->loads);
        sp__expo_family(expo, "sugarperf_cache_lookup_duration_seconds", "histogram",
                        "What a look-up took that memory did not answer: trips, and waiting for loads of others.");
        sp__expo_histogram(expo, labels, cache->seeks);
        sp__expo_family(expo, "sugarperf_cache_wait_duration_seconds", "histogram",
                        "Of these, the look-ups that waited for a load of another caller, and got its value.");
        sp__expo_histogram(expo, labels, cache->waits);
        collect_loading(cache, labels, expo);
        collect_windows(cache, expo);
        collect_templates(cache, expo);
        collect_store(cache, labels, expo);
        sp__expo_family(expo, "sugarperf_cache_live", "gauge",
                        "1 while the in-process level is proven to be coherent, else 0.");
        sp__expo_sample(expo, NULL, labels, sp__mirror_live(&cache->log.mirror));
        sp__expo_family(expo, "sugarperf_cache_invalidations_owed", "gauge",
                        "Keys and tags whose invalidation Redis has not acknowledged: bypassed here, and tried again.");
        sp__expo_sample(expo, NULL, labels, (double)sp__mirror_owing(&cache->log.mirror));
        if (cache->log.link)
                sp__link_collect(cache->log.link, expo);
        collect_aliases(cache, expo);
}

sp_breaker *sp__cache_breaker(sp_cache *cache)
{
        return cache->log.link ? sp__link_breaker(cache->log.link) : NULL;
}

struct sp__link *sp__cache_link(sp_cache *cache)
{
        return cache->log.link;
}
