/* SPDX-License-Identifier: MIT */
/** Mutexes and conditions on the monotonic clock. */
#ifndef SP_BASE_THREAD_H
#define SP_BASE_THREAD_H

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef pthread_mutex_t sp__mutex;
typedef pthread_cond_t sp__cond;

static inline void sp__mutex_init(sp__mutex *mutex)
{
        pthread_mutex_init(mutex, NULL);
}

static inline void sp__mutex_destroy(sp__mutex *mutex)
{
        pthread_mutex_destroy(mutex);
}

static inline void sp__lock(sp__mutex *mutex)
{
        pthread_mutex_lock(mutex);
}

static inline void sp__unlock(sp__mutex *mutex)
{
        pthread_mutex_unlock(mutex);
}

void sp__cond_init(sp__cond *cond);

static inline void sp__cond_destroy(sp__cond *cond)
{
        pthread_cond_destroy(cond);
}

/** Waits until signalled or `deadline` (monotonic ns, SP__FOREVER); may wake early. false: the deadline passed. */
bool sp__cond_wait(sp__cond *cond, sp__mutex *mutex, int64_t deadline);

/**
 * Sleeps while `*word` is `value`, until sp__word_wake() or `deadline`; may wake early. A futex: whoever wakes holds no lock that
 * the woken thread would need at once, and need not know that the word is still there. false: the deadline passed.
 */
bool sp__word_wait(atomic_uint *word, unsigned value, int64_t deadline);
/** Wakes one of those that sleep there. */
void sp__word_wake(atomic_uint *word);

/** Starts a thread with every signal blocked, so that the program's handlers run on its own threads. */
bool sp__thread_start(pthread_t *thread, void *(*body)(void *), void *arg, const char *name);

#endif
