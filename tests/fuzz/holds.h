/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_HOLDS_H
#define TESTS_FUZZ_HOLDS_H

#include <stdio.h>
#include <stdlib.h>

/* What must hold of any input; assert() may be compiled away. */
#define FUZZ_HOLDS(condition) ((condition) ? (void)0 : fuzz_wrong(__FILE__, __LINE__, #condition))

_Noreturn static inline void fuzz_wrong(const char *file, int line, const char *what)
{
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
}

#endif
