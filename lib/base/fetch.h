/* SPDX-License-Identifier: MIT */
/**
 * Asks for a cache line that is about to be written and may be another core's: it comes meanwhile. A compiler's prefetch for writing
 * asks for a copy to read where not every CPU of the kind has the instruction; the line then has to be asked for once more.
 */
#ifndef SP_BASE_FETCH_H
#define SP_BASE_FETCH_H

static inline void sp__fetch(const void *line)
{
#if defined(__x86_64__)
        /* Where it is not known it does nothing. */
        __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
#else
        __builtin_prefetch(line, 1);
#endif
}

#endif
