/* SPDX-License-Identifier: MIT */
/* A session that is there at once: what it costs, and that nothing of the last one is left in it. */
#include "ways.h"

#include "loop/engine_internal.h"
#include "pg/pool_internal.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* The program is linked so that the library's allocations come here. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static atomic_int allocations;

void *__wrap_malloc(size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        atomic_fetch_add(&allocations, 1);
        return __real_calloc(count, size);
}

static sp_session *session_of(sp_pool *pool, sp_ctx *ctx)
{
        sp_session *session;

        assert_int_equal(sp_pool_acquire(pool, ctx, &session, NULL), SP_OK);
        return session;
}

static void test_a_session_that_is_there_allocates_nothing(void **state)
{
        enum { TIMES = 1000 };
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=2", NULL});
        sp_ctx *ctx = ctx_of("60s");

        sp_session_release(session_of(pool, NULL));
        atomic_store(&allocations, 0);
        for (int i = 0; i < TIMES; i++)
                sp_session_release(session_of(pool, i % 2 ? ctx : NULL));
        /* The engine's thread looks after the pool meanwhile. */
        assert_in_range(atomic_load(&allocations), 0, TIMES / 10);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

static void test_nothing_of_the_last_session_is_left_in_the_next(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=1", "pool.leak_after=1ms", NULL});
        sp_ctx *ctx = ctx_of("60s");
        sp_session *first = session_of(pool, ctx), *second;

        session_run(&ways[0], first, "SET search_path = pg_catalog");
        while (atomic_load(&pool->counts.leaks) == 0)
                poll(NULL, 0, 1);
        sp_session_release(first);
        second = session_of(pool, NULL);
        assert_ptr_equal(second, first);
        assert_null(second->ctx);
        assert_false(second->dirty || second->leaked || second->broken || second->spoiled);
        sp_session_release(second);
        sp_ctx_unref(ctx);
        sp_pool_free(pool);
}

/* The slot has another connection by then, and that one a session of its own. */
static void test_a_session_that_was_lost_goes_back_beside_its_slots_next_one(void **state)
{
        sp_pool *admin = pool_with(NULL);
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=1", NULL});
        sp_session *lost = session_of(pool, NULL), *next;
        sp_error *error = NULL;
        sp_result *result;
        sp_stmt *stmt = stmt_of("SELECT 1");
        char text[64];

        snprintf(text, sizeof text, "SELECT pg_terminate_backend(%lld)",
                 (long long)session_number(&ways[0], lost, "SELECT pg_backend_pid()"));
        run(&ways[0], admin, text);
        while (sp_session_query(lost, NULL, stmt, NULL, &result, &error) == SP_OK)
                sp_result_free(result);
        sp_error_free(error);
        next = session_of(pool, NULL);
        assert_ptr_not_equal(next, lost);
        sp_session_release(lost);
        assert_int_equal(session_number(&ways[0], next, "SELECT 7"), 7);
        sp_session_release(next);
        sp_session_release(session_of(pool, NULL));
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
        sp_pool_free(admin);
}

static void test_what_a_wish_is_refused_for_refuses_a_session_that_is_there(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=2", NULL});
        sp_ctx *cancelled = sp_ctx_new(NULL), *late = ctx_of("1ms");
        sp_session *session;

        sp_session_release(session_of(pool, NULL));
        sp_ctx_cancel(cancelled);
        while (sp_ctx_remaining(late) > 0)
                sched_yield();
        assert_int_equal(sp_pool_acquire(pool, cancelled, &session, NULL), SP_CANCELLED);
        assert_int_equal(sp_pool_acquire(pool, late, &session, NULL), SP_TIMEOUT);
        sp_pool_close(pool);
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_CLOSED);
        sp_ctx_unref(cancelled);
        sp_ctx_unref(late);
        sp_pool_free(pool);
}

static void test_a_session_is_given_now_or_not_at_all(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.min=0", "pool.max=2", NULL});
        sp_ctx *cancelled = sp_ctx_new(NULL);
        sp_session *session = NULL, *held;

        /* Nothing is opened for it. */
        assert_int_equal(sp_pool_acquire_now(pool, NULL, &session), SP_FULL);
        assert_int_equal(atomic_load(&pool->counts.created), 0);
        sp_session_release(session_of(pool, NULL));
        assert_int_equal(sp_pool_acquire_now(pool, NULL, &held), SP_OK);
        assert_int_equal(session_number(&ways[0], held, "SELECT 7"), 7);
        /* Nobody waits behind it. */
        assert_int_equal(sp_pool_acquire_now(pool, NULL, &session), SP_FULL);
        assert_int_equal(pool->waiters, 0);
        sp_session_release(held);
        sp_ctx_cancel(cancelled);
        assert_int_equal(sp_pool_acquire_now(pool, cancelled, &session), SP_FULL);
        sp_pool_close(pool);
        assert_int_equal(sp_pool_acquire_now(pool, NULL, &session), SP_FULL);
        assert_null(session);
        assert_int_equal(sp_pool_acquire_now(NULL, NULL, &session), SP_INVALID);
        assert_int_equal(sp_pool_acquire_now(pool, NULL, NULL), SP_INVALID);
        sp_ctx_unref(cancelled);
        sp_pool_free(pool);
}

static void test_the_engine_looks_on_for_as_long_as_the_pool_says(void **state)
{
        sp_pool *pool = pool_with((const char *[]){"pool.spin_us=7", NULL});
        int64_t spin = atomic_load(&pool->engine->spin_ns);
        cpu_set_t cpus;

        /* On an only CPU it never does. */
        assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
        assert_int_equal(spin, CPU_COUNT(&cpus) < 2 ? 0 : 7 * SP__US);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_session_that_is_there_allocates_nothing),
            cmocka_unit_test(test_nothing_of_the_last_session_is_left_in_the_next),
            cmocka_unit_test(test_a_session_that_was_lost_goes_back_beside_its_slots_next_one),
            cmocka_unit_test(test_what_a_wish_is_refused_for_refuses_a_session_that_is_there),
            cmocka_unit_test(test_a_session_is_given_now_or_not_at_all),
            cmocka_unit_test(test_the_engine_looks_on_for_as_long_as_the_pool_says),
        };

        return cmocka_run_group_tests_name("borrow", tests, NULL, NULL);
}
