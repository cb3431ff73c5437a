/* SPDX-License-Identifier: MIT */
/** What tests that run both ways begin with. */
#ifndef TESTS_WAY_H
#define TESTS_WAY_H

#include "ways.h"

/** The way of a test of BOTH_WAYS(), and whether that is the queue. */
static inline const struct way *way_of(void **state)
{
        return *state;
}

static inline bool queued(const struct way *way)
{
        return way == &ways[1];
}

static inline sp_queue *queue_of(void)
{
        sp_queue *queue;

        assert_int_equal(sp_queue_new(0, &queue), SP_OK);
        return queue;
}

static inline sp_session *session_of(const struct way *way, sp_pool *pool)
{
        sp_error *error = NULL;
        sp_session *session;

        if (way->acquire(pool, NULL, &session, &error) != SP_OK)
                fail_msg("%s", sp_error_message(error));
        return session;
}

#endif
