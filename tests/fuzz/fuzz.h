/* SPDX-License-Identifier: MIT */
/**
 * A target of fuzzing: one entry for bytes from anywhere, in the manner of libFuzzer, and inputs to begin with. fuzz.c runs it
 * for a bounded number of inputs, mutated from those by a printed seed:
 *
 *     fuzz-rules [inputs [seed]]
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_seed {
        const char *data;
        size_t len;
};

/** Ends with one whose data is NULL. */
extern const struct fuzz_seed fuzz_seeds[];
extern const char fuzz_name[];
/** Aborts where something is wrong that no sanitizer would see. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
