/* SPDX-License-Identifier: MIT */
/* What many callers at once cost: memory, threads, connections. */
#include "crowd.h"
#include "ways.h"

enum { WAITERS = 10000, WAITER_BYTES = 1024 };

static void test_ten_thousand_waiting_callers_cost_a_kilobyte_each_and_no_thread(void **state)
{
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL});
        struct crowd_cost cost = crowd_waits(pool, WAITERS);

        print_message("# a waiting caller takes %zu bytes\n", cost.bytes);
        assert_in_range(cost.bytes, 0, WAITER_BYTES);
        /* The engine's may have started since. */
        assert_in_range(cost.threads, 0, 2);
        sp_pool_free(pool);
}

/* HikariCP's: connecting takes 150 ms, a statement 2 ms, and 50 callers come at once. */
static void test_a_spike_opens_few_connections(void **state)
{
        enum { MIN = 5, CALLERS = 50, CONNECT_MS = 150 };
        struct pg_proxy *proxy = pg_proxy_start();
        sp_pool *pool = pool_with((const char *[]){pg_proxy_url(proxy), "pool.min=5", "pool.max=50",
                                                   "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL});
        int64_t took = crowd_spike(pool, proxy, MIN, CALLERS, CONNECT_MS);

        /* One at a time beside those that stand. */
        assert_true(pg_proxy_came(proxy) <= MIN + 1 + took / CONNECT_MS);
        sp_pool_free(pool);
        pg_proxy_stop(proxy);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_ten_thousand_waiting_callers_cost_a_kilobyte_each_and_no_thread),
            cmocka_unit_test(test_a_spike_opens_few_connections),
        };

        return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
