/* SPDX-License-Identifier: MIT */
/*
 * How many connections were needed. Busy connections, and with them the callers that wait, are levels; what counts is how long
 * each held. The clock is the coarse one: a use shorter than its tick is seen or not, in the mean as it should be.
 *
 * The mean of the busy ones is the offered load (Little's law: arrivals a second times seconds of use). Arrivals are random, so
 * that a pool of just that size would always have somebody waiting; twice its square root on top keeps nearly all from that
 * ("square-root staffing": Halfin and Whitt, Heavy-traffic limits for queues with many exponential servers, 1981). Bursts
 * that are not random show in the 95th percentile of the level.
 */
#include "core/error.h"
#include "pg/pool_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_MS = 5 * 60 * 1000 };

static void rotate(struct sp__levels levels[2], int64_t now)
{
        levels[1] = levels[0];
        levels[0] = (struct sp__levels){.since_ns = now};
}

static size_t level_of(int64_t count)
{
        return count < SP__LEVELS ? (size_t)count : SP__LEVELS - 1;
}

void sp__pool_observe(sp_pool *pool)
{
        struct sp__levels *levels = pool->levels;
        int64_t now = sp__now_coarse(), demand = pool->busy + pool->waiters, span;

        if (pool->observed_ns == 0)
                pool->observed_ns = levels->since_ns = now;
        span = now - pool->observed_ns;
        if (pool->busy > levels->busy_peak)
                levels->busy_peak = pool->busy;
        if (demand > levels->demand_peak)
                levels->demand_peak = demand;
        if (span <= 0)
                return;
        pool->observed_ns = now;
        levels->busy_ns[level_of(pool->busy)] += span;
        levels->demand_ns[level_of(demand)] += span;
        if (now - levels->since_ns >= WINDOW_MS * SP__MS)
                rotate(levels, now);
}

/* One of the two kinds of level over both windows. */
struct view {
        double mean;
        int64_t p95, peak, total_ns;
};

static struct view view_of(const int64_t *now, const int64_t *before)
{
        struct view view = {0};
        int64_t passed = 0;
        double sum = 0;

        for (int i = 0; i < SP__LEVELS; i++) {
                view.total_ns += now[i] + before[i];
                sum += (double)i * (double)(now[i] + before[i]);
        }
        view.mean = view.total_ns ? sum / (double)view.total_ns : 0;
        while (view.p95 < SP__LEVELS - 1) {
                passed += now[view.p95] + before[view.p95];
                if ((double)passed >= .95 * (double)view.total_ns)
                        break;
                view.p95++;
        }
        return view;
}

struct observed {
        struct view busy, demand;
        int64_t waited, max, min, total;
};

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

static struct observed observe(sp_pool *pool)
{
        const struct sp__levels *levels = pool->levels;
        struct observed seen;

        sp__lock(&pool->lock);
        sp__pool_observe(pool);
        seen = (struct observed){.busy = view_of(levels[0].busy_ns, levels[1].busy_ns),
                                 .demand = view_of(levels[0].demand_ns, levels[1].demand_ns),
                                 .waited = levels[0].waited + levels[1].waited,
                                 .max = pool->limits.max,
                                 .min = pool->limits.min,
                                 .total = pool->total};
        seen.busy.peak = larger(levels[0].busy_peak, levels[1].busy_peak);
        seen.demand.peak = larger(levels[0].demand_peak, levels[1].demand_peak);
        sp__unlock(&pool->lock);
        return seen;
}

/* No libm for one root. */
static double root(double x)
{
        double guess = x > 1 ? x : 1;

        for (int i = 0; i < 64; i++)
                guess = (guess + x / guess) / 2;
        return guess;
}

int64_t sp__pool_size(double mean, int64_t p95)
{
        double staffed = mean + 2 * root(mean);
        int64_t size = (int64_t)staffed + ((double)(int64_t)staffed < staffed);

        size = larger(size, p95);
        return size < 1 ? 1 : size;
}

/* What the server allows: its limit, and the connections that others have. 0: it did not say. */
struct server {
        int64_t limit, others;
};

static struct server server_of(const sp_result *result, int64_t own)
{
        struct server server = {0};
        size_t len;
        const char *limit = result ? sp_result_get(result, 0, 0, &len) : NULL;
        const char *used = result ? sp_result_get(result, 0, 1, &len) : NULL;

        if (!limit || !used)
                return server;
        server.limit = strtoll(limit, NULL, 10);
        server.others = larger(strtoll(used, NULL, 10) - own, 0);
        return server;
}

static const char *verdict(const struct observed *seen, int64_t wanted, int64_t size)
{
        if (seen->busy.peak == 0)
                return "nothing was observed yet";
        if (size < wanted)
                return "the server has no room for what is wanted: raise its max_connections, or use fewer connections "
                       "elsewhere";
        if (wanted > seen->max)
                return "raise pool.max: callers wait for connections";
        if (wanted * 2 < seen->max)
                return "pool.max may be lower: most connections are never used at once";
        return "pool.max fits";
}

static void put_view(struct sp__buf *buf, const char *name, const struct view *view)
{
        sp__buf_format(buf, ",\"%s\":{\"mean\":", name);
        sp__buf_fixed(buf, view->mean, 2);
        sp__buf_format(buf, ",\"p95\":%" PRId64 ",\"peak\":%" PRId64 "}", view->p95, view->peak);
}

sp_value *sp__pool_advise(sp_pool *pool, const sp_result *limits)
{
        struct observed seen = observe(pool);
        struct server server = server_of(limits, seen.total);
        int64_t wanted = sp__pool_size(seen.busy.mean, seen.demand.p95), size = wanted;
        int64_t room = server.limit ? larger(server.limit - server.others, 1) : SP__SLOTS_MAX;
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *value = NULL;

        size = size < room ? size : room;
        size = size < SP__SLOTS_MAX ? size : SP__SLOTS_MAX;
        sp__buf_text(&buf, "{\"pool\":");
        sp__buf_json(&buf, pool->name, strlen(pool->name));
        sp__buf_format(&buf, ",\"windowMs\":%" PRId64 ",\"max\":%" PRId64 ",\"min\":%" PRId64,
                       (int64_t)(seen.busy.total_ns / SP__MS), seen.max, seen.min);
        put_view(&buf, "busy", &seen.busy);
        put_view(&buf, "demand", &seen.demand);
        sp__buf_format(&buf, ",\"waited\":%" PRId64 ",\"waitP95Ms\":", seen.waited);
        sp__buf_fixed(&buf, (double)sp__histogram_quantile(pool->wait_time, .95) / SP__MS, 3);
        if (server.limit)
                sp__buf_format(&buf, ",\"serverMax\":%" PRId64 ",\"serverOthers\":%" PRId64, server.limit,
                               server.others);
        sp__buf_format(&buf, ",\"size\":%" PRId64 ",\"advice\":\"%s\"}", size, verdict(&seen, wanted, size));
        if (!buf.failed)
                value = sp_value_new(buf.data, buf.len, SP_CODEC_JSON);
        sp__buf_free(&buf);
        return value;
}
