/* SPDX-License-Identifier: MIT */
/*
 * What many callers at once cost the pool, as tests/integration/test_crowd.c allows it: `--mode waiting`, bytes of each of
 * `--callers` that wait; `--mode spike`, connections that a spike of `--callers` leaves.
 */
#include "../integration/crowd.h"
#include "driver_client.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { MIN = 5, CONNECT_MS = 150 };

static double cpu_of(struct timeval time)
{
        return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double waiting(const struct driver_options *options)
{
        const char *const settings[] = {"pool.max=1", "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL};
        sp_client *client = driver_client(options, "pool.url", settings);
        struct crowd_cost cost = crowd_waits(sp_client_pool(client, NULL), options->callers);

        sp_client_free(client);
        return (double)cost.bytes;
}

static double spike(const struct driver_options *options)
{
        struct pg_proxy *proxy = pg_proxy_start();
        const char *const settings[] = {
            pg_proxy_url(proxy),      "pool.min=5", "pool.max=50", "pool.acquire_timeout=60s",
            "pool.query_timeout=60s", NULL};
        sp_client *client = driver_client(options, "pool.url", settings);
        int came;

        crowd_spike(sp_client_pool(client, NULL), proxy, MIN, options->callers, CONNECT_MS);
        came = pg_proxy_came(proxy);
        sp_client_free(client);
        pg_proxy_stop(proxy);
        return came;
}

int main(int argc, char **argv)
{
        struct driver_options options;
        struct rusage used;
        int64_t begin;
        double count;

        driver_parse(argc, argv, &options);
        puts("start");
        fflush(stdout);
        begin = driver_now();
        count = strcmp(options.mode, "spike") == 0 ? spike(&options) : waiting(&options);
        puts("stop");
        getrusage(RUSAGE_SELF, &used);
        printf("{\"ops\": %u, \"seconds\": %.6f, \"p50_us\": 0, \"p99_us\": 0, \"user_cpu\": %.6f, \"sys_cpu\": %.6f, "
               "\"count\": %.0f}\n",
               (unsigned)options.callers, (double)(driver_now() - begin) / 1e9, cpu_of(used.ru_utime),
               cpu_of(used.ru_stime), count);
        return 0;
}
