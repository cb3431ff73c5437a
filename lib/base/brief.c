/* SPDX-License-Identifier: MIT */
#include "base/brief.h"

#include <stdbool.h>
#include <time.h>

/*
 * Of the processor's pause, which takes 40 to 140 cycles: some hundred ns first, a few µs in all. A first wait that is shorter
 * lets two threads meet at each turn ("./run bench guard", 2 threads).
 */
enum { PAUSES_FIRST = 16, PAUSES_LAST = 64 };
/* The kernel makes some 100 µs of it: less than a core is away for, and no load. */
enum { NAP_NS = 50000 };

static void pause_core(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ __volatile__("yield");
#endif
}

static bool taken(sp__brief *lock)
{
        unsigned free = SP__BRIEF_FREE;

        return atomic_load_explicit(lock, memory_order_relaxed) == free &&
               atomic_compare_exchange_strong_explicit(lock, &free, SP__BRIEF_HELD, memory_order_acquire,
                                                       memory_order_relaxed);
}

static bool spin(sp__brief *lock)
{
        for (int pauses = PAUSES_FIRST; pauses <= PAUSES_LAST; pauses *= 2) {
                for (int i = 0; i < pauses; i++)
                        pause_core();
                if (taken(lock))
                        return true;
        }
        return false;
}

void sp__brief_wait(sp__brief *lock)
{
        const struct timespec nap = {.tv_nsec = NAP_NS};

        while (!spin(lock))
                nanosleep(&nap, NULL);
}
