/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL hangs under load: its connections stand, and nothing is answered. Who waits for a connection then waits for the
 * server, so that a breaker opens by the time-out of acquiring, long before any statement's own, and a fallback answers all.
 */
#include "../integration/ways.h"
#include "../support/ctl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 12 };

struct load {
        const struct way *way;
        sp_pool *pool;
        sp_breaker *breaker;
        atomic_bool stop;
        atomic_int answers, fallbacks, errors;
};

/* As the bindings' run(work, fallback). */
static void guarded_call(struct load *load, const sp_stmt *stmt)
{
        uint64_t permit = 0;
        sp_result *result = NULL;
        sp_error *error = NULL;
        sp_status status = sp_breaker_acquire(load->breaker, &permit);
        const char *code;

        if (status == SP_OK) {
                status = load->way->query(load->pool, NULL, stmt, NULL, &result, &error);
                code = error ? sp_error_code(error) : NULL;
                sp_breaker_record(load->breaker, permit, sp_breaker_classify(status, code), 1);
        }
        code = error ? sp_error_code(error) : NULL;
        if (status == SP_OK) {
                atomic_fetch_add(&load->answers, 1);
        } else if (sp_breaker_falls_back(status, code)) {
                atomic_fetch_add(&load->fallbacks, 1);
        } else {
                printf("# %s: %s\n", sp_status_name(status), error ? sp_error_message(error) : "");
                atomic_fetch_add(&load->errors, 1);
        }
        sp_result_free(result);
        sp_error_free(error);
}

static void *load_body(void *arg)
{
        struct load *load = arg;
        sp_stmt *stmt = stmt_of("SELECT pg_sleep(0.001)");

        while (!atomic_load(&load->stop)) {
                guarded_call(load, stmt);
                sched_yield();
        }
        sp_stmt_unref(stmt);
        return NULL;
}

static sp_breaker *breaker_of_ours(void)
{
        sp_config *config = sp_config_new();
        sp_breaker *breaker = NULL;

        assert_int_equal(sp_config_set(config, "breaker.open_time", "100ms", NULL), SP_OK);
        assert_int_equal(sp_breaker_new(config, "db", NULL, &breaker, NULL), SP_OK);
        sp_config_free(config);
        return breaker;
}

static void until_answers(struct load *load, int more)
{
        int before = atomic_load(&load->answers);

        while (atomic_load(&load->answers) < before + more)
                sched_yield();
}

static void test_a_server_that_hangs_opens_the_breaker_and_a_fallback_answers(void **state)
{
        /* Fewer places than callers, so that most of them wait for a connection. */
        struct load load = {
            .way = *state,
            .pool = pool_with((const char *const[]){"pool.max=2", "pool.lanes=1", "pool.lane_depth=1",
                                                    "pool.acquire_timeout=300ms", "pool.query_timeout=10m", NULL}),
            .breaker = breaker_of_ours()};
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, load_body, &load), 0);
        until_answers(&load, 100);
        control("freeze", "pg");
        while (sp_breaker_changes(load.breaker) == 0)
                sched_yield();
        assert_true(sp_breaker_calls(load.breaker, SP_OUTCOME_FAILURE) >= 5);
        /* Those of its probes that find no connection fail, too. */
        while (sp_breaker_changes(load.breaker) < 5)
                sched_yield();
        control("thaw", "pg");
        until_answers(&load, 100);
        while (sp_breaker_state(load.breaker) != SP_BREAKER_CLOSED)
                sched_yield();
        atomic_store(&load.stop, true);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&load.errors), 0);
        assert_true(atomic_load(&load.fallbacks) > 0);
        assert_int_equal(sp_breaker_in_flight(load.breaker), 0);
        sp_breaker_unref(load.breaker);
        sp_pool_free(load.pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            BOTH_WAYS(test_a_server_that_hangs_opens_the_breaker_and_a_fallback_answers),
        };

        return cmocka_run_group_tests_name("guard hang", tests, NULL, NULL);
}
