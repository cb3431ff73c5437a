/* SPDX-License-Identifier: MIT */
/* What many callers at once cost: memory, threads. */
#include "ways.h"

#include <dirent.h>
#include <malloc.h>
#include <poll.h>

enum { WAITERS = 10000, WAITER_BYTES = 1024 };

static int64_t threads_of_us(void)
{
        DIR *folder = opendir("/proc/self/task");
        int64_t count = 0;

        while (readdir(folder))
                count++;
        closedir(folder);
        return count;
}

static void test_ten_thousand_waiting_callers_cost_a_kilobyte_each_and_no_thread(void **state)
{
        sp_pool *pool =
            pool_with((const char *[]){"pool.max=1", "pool.acquire_timeout=60s", "pool.query_timeout=60s", NULL});
        sp_stmt *stmt = stmt_of("SELECT $1::int8");
        sp_params *params = sp_params_new();
        sp_session *session;
        sp_queue *queue;
        size_t before, after;
        int64_t threads;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        sp_params_add_int(params, 7);
        assert_int_equal(sp_pool_acquire(pool, NULL, &session, NULL), SP_OK);
        before = mallinfo2().uordblks;
        threads = threads_of_us();
        for (uint64_t i = 0; i < WAITERS; i++)
                assert_int_equal(sp_pool_query_async(pool, NULL, stmt, params, queue, i), SP_OK);
        while (sp_pool_waiting(pool) < WAITERS)
                poll(NULL, 0, 1);
        after = mallinfo2().uordblks;
        print_message("# a waiting caller takes %zu bytes\n", after > before ? (after - before) / WAITERS : 0);
        assert_true(after < before + (size_t)WAITERS * WAITER_BYTES);
        /* The engine's may have started since. */
        assert_true(threads_of_us() <= threads + 2);
        sp_session_release(session);
        for (size_t taken = 0; taken < WAITERS;) {
                sp_completion *done[64];
                size_t n = sp_queue_wait(queue, done, 64, -1);

                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(sp_completion_status(done[i]), SP_OK);
                        sp_completion_free(done[i]);
                }
                taken += n;
        }
        sp_queue_free(queue);
        sp_params_free(params);
        sp_stmt_unref(stmt);
        sp_pool_free(pool);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_ten_thousand_waiting_callers_cost_a_kilobyte_each_and_no_thread),
        };

        return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
