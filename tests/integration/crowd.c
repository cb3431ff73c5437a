/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include "base/clock.h"

#include <dirent.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No assertion of cmocka's: a benchmark is no test. */
static void must(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "crowd: %s\n", what);
        abort();
}

static int64_t threads_of_us(void)
{
        DIR *folder = opendir("/proc/self/task");
        int64_t count = 0;

        while (readdir(folder))
                count++;
        closedir(folder);
        return count;
}

static void ask(sp_pool *pool, const char *text, const sp_params *params, sp_queue *queue, size_t callers)
{
        sp_stmt *stmt;

        must(sp_stmt_new("crowd", text, strlen(text), 0, &stmt, NULL) == SP_OK, "the statement was refused");
        for (size_t i = 0; i < callers; i++)
                must(sp_pool_query_async(pool, NULL, stmt, params, queue, i) == SP_OK, "a caller was refused");
        sp_stmt_unref(stmt);
}

static void answers(sp_queue *queue, size_t callers)
{
        while (callers > 0) {
                sp_completion *done[64];
                size_t n = sp_queue_wait(queue, done, 64, -1);

                for (size_t i = 0; i < n; i++) {
                        must(sp_completion_status(done[i]) == SP_OK, "a statement failed");
                        sp_completion_free(done[i]);
                }
                callers -= n;
        }
}

struct crowd_cost crowd_waits(sp_pool *pool, size_t callers)
{
        sp_params *params = sp_params_new();
        struct crowd_cost cost;
        sp_session *session;
        sp_queue *queue;
        size_t before, after;
        int64_t threads;

        must(params, "out of memory");
        must(sp_queue_new(0, &queue) == SP_OK, "out of memory");
        sp_params_add_int(params, 7);
        must(sp_pool_acquire(pool, NULL, &session, NULL) == SP_OK, "there is no session");
        before = mallinfo2().uordblks;
        threads = threads_of_us();
        ask(pool, "SELECT $1::int8", params, queue, callers);
        while (sp_pool_waiting(pool) < (int64_t)callers)
                poll(NULL, 0, 1);
        after = mallinfo2().uordblks;
        cost = (struct crowd_cost){after > before ? (after - before) / callers : 0, threads_of_us() - threads};
        sp_session_release(session);
        answers(queue, callers);
        sp_queue_free(queue);
        sp_params_free(params);
        return cost;
}

static void warm(sp_pool *pool, sp_queue *queue, size_t min)
{
        ask(pool, "SELECT 1", NULL, queue, 1);
        answers(queue, 1);
        while (sp_pool_idle(pool) != (int64_t)min || sp_pool_active(pool) > 0)
                poll(NULL, 0, 1);
}

int64_t crowd_spike(sp_pool *pool, struct pg_proxy *proxy, size_t min, size_t callers, int connect_ms)
{
        sp_queue *queue;
        int64_t since;

        must(sp_queue_new(0, &queue) == SP_OK, "out of memory");
        warm(pool, queue, min);
        pg_proxy_delay(proxy, connect_ms);
        since = sp__now();
        ask(pool, "SELECT pg_sleep(0.002)", NULL, queue, callers);
        answers(queue, callers);
        since = sp__now() - since;
        sp_queue_free(queue);
        return since / SP__MS;
}
