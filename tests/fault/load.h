/* SPDX-License-Identifier: MIT */
/** Callers of all ways that ask without a pause, and count what fails. After ways.h. */
#ifndef TESTS_LOAD_H
#define TESTS_LOAD_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LOAD_CALLERS = 8 };

struct load {
        sp_pool *pool;
        const char *text;
        atomic_uint started;
        atomic_bool stop;
        atomic_int wrong, done;
        pthread_t threads[LOAD_CALLERS];
};

static inline void *load_body(void *arg)
{
        struct load *load = arg;
        const struct way *way = &ways[atomic_fetch_add(&load->started, 1) % WAYS];
        sp_stmt *stmt = stmt_of(load->text);

        while (!atomic_load(&load->stop)) {
                sp_result *result = NULL;
                sp_error *error = NULL;
                sp_status status = way->query(load->pool, NULL, stmt, NULL, &result, &error);

                if (status != SP_OK) {
                        printf("# %s: %s\n", sp_status_name(status), error ? sp_error_message(error) : "");
                        atomic_fetch_add(&load->wrong, 1);
                }
                atomic_fetch_add(&load->done, 1);
                sp_error_free(error);
                sp_result_free(result);
        }
        sp_stmt_unref(stmt);
        return NULL;
}

static inline void load_begin(struct load *load)
{
        for (size_t i = 0; i < LOAD_CALLERS; i++)
                assert_int_equal(pthread_create(&load->threads[i], NULL, load_body, load), 0);
}

/** Until `more` of them are answered from now on. */
static inline void load_goes_on(struct load *load, int more)
{
        int goal = atomic_load(&load->done) + more;

        while (atomic_load(&load->done) < goal)
                sched_yield();
}

/** None failed. */
static inline void load_end(struct load *load)
{
        atomic_store(&load->stop, true);
        for (size_t i = 0; i < LOAD_CALLERS; i++)
                pthread_join(load->threads[i], NULL);
        assert_int_equal(atomic_load(&load->wrong), 0);
}

#endif
