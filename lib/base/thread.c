/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void sp__cond_init(sp__cond *cond)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
}

bool sp__cond_wait(sp__cond *cond, sp__mutex *mutex, int64_t deadline)
{
        struct timespec at = {.tv_sec = deadline / SP__SECOND, .tv_nsec = deadline % SP__SECOND};

        if (deadline == SP__FOREVER)
                return pthread_cond_wait(cond, mutex) == 0;
        return pthread_cond_timedwait(cond, mutex, &at) != ETIMEDOUT;
}

bool sp__word_wait(atomic_uint *word, unsigned value, int64_t deadline)
{
        struct timespec at = {.tv_sec = deadline / SP__SECOND, .tv_nsec = deadline % SP__SECOND};
        /* With a bit set the time is absolute, and of CLOCK_MONOTONIC. */
        long failed = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline == SP__FOREVER ? NULL : &at,
                              NULL, FUTEX_BITSET_MATCH_ANY);

        return failed == 0 || errno != ETIMEDOUT;
}

void sp__word_wake(atomic_uint *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool sp__thread_start(pthread_t *thread, void *(*body)(void *), void *arg, const char *name)
{
        sigset_t all, old;
        int failed;

        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        failed = pthread_create(thread, NULL, body, arg);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (!failed)
                pthread_setname_np(*thread, name);
        return !failed;
}
