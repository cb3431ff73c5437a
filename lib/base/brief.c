/* SPDX-License-Identifier: MIT */
#include "base/brief.h"
#include "base/thread.h"

/*
 * Of the processor's pause, which takes 40 to 140 cycles: some hundred ns first, a few µs in all. A first wait that is shorter
 * lets two threads meet at each turn ("./run bench guard", 2 threads).
 */
enum { PAUSES_FIRST = 16, PAUSES_LAST = 64 };

static void pause_core(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ __volatile__("yield");
#endif
}

void sp__brief_wait(sp__brief *lock)
{
        for (int pauses = PAUSES_FIRST; pauses <= PAUSES_LAST; pauses *= 2) {
                unsigned free = SP__BRIEF_FREE;

                for (int i = 0; i < pauses; i++)
                        pause_core();
                if (atomic_load_explicit(lock, memory_order_relaxed) == free &&
                    atomic_compare_exchange_strong_explicit(lock, &free, SP__BRIEF_HELD, memory_order_acquire,
                                                            memory_order_relaxed))
                        return;
        }
        while (atomic_exchange_explicit(lock, SP__BRIEF_AWAITED, memory_order_acquire) != SP__BRIEF_FREE)
                sp__word_wait(lock, SP__BRIEF_AWAITED, SP__FOREVER);
}

void sp__brief_wake(sp__brief *lock)
{
        sp__word_wake(lock);
}
