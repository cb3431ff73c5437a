/* SPDX-License-Identifier: MIT */
/* libFuzzer begins with nothing: the target's own inputs come in as if it had found them. */
#include "fuzz.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
        size_t count = 0;

        while (fuzz_seeds[count].data)
                count++;
        if (seed % 32 == 0 || size == 0) {
                const struct fuzz_seed *from = &fuzz_seeds[seed / 32 % count];

                size = from->len < most ? from->len : most;
                memcpy(data, from->data, size);
        }
        return LLVMFuzzerMutate(data, size, most);
}
