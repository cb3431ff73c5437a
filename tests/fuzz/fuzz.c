/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 20000, INPUT_MAX = 4096, MUTATIONS_MAX = 8 };

struct input {
        size_t len;
        uint8_t bytes[INPUT_MAX];
};

static size_t below(struct sp__random *random, size_t limit)
{
        return limit ? (size_t)(sp__random_next(random) % limit) : 0;
}

static size_t count_seeds(void)
{
        size_t count = 0;

        while (fuzz_seeds[count].data)
                count++;
        return count;
}

static void take_seed(struct sp__random *random, struct input *input)
{
        const struct fuzz_seed *seed = &fuzz_seeds[below(random, count_seeds())];

        input->len = seed->len < INPUT_MAX ? seed->len : INPUT_MAX;
        memcpy(input->bytes, seed->data, input->len);
}

static void insert(struct input *input, size_t at, const uint8_t *data, size_t len)
{
        if (input->len + len > INPUT_MAX)
                return;
        memmove(input->bytes + at + len, input->bytes + at, input->len - at);
        memcpy(input->bytes + at, data, len);
        input->len += len;
}

static void cut(struct input *input, size_t at, size_t len)
{
        if (len > input->len - at)
                len = input->len - at;
        memmove(input->bytes + at, input->bytes + at + len, input->len - at - len);
        input->len -= len;
}

/* A part of another seed, so that what belongs together meets. */
static void splice(struct sp__random *random, struct input *input)
{
        struct input other;
        size_t from;

        take_seed(random, &other);
        from = below(random, other.len);
        insert(input, below(random, input->len + 1), other.bytes + from, below(random, other.len - from + 1));
}

static void mutate(struct sp__random *random, struct input *input)
{
        static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{', '}', ':', '*', ','};
        uint8_t byte = below(random, 2) ? odd[below(random, sizeof odd)] : (uint8_t)sp__random_next(random);

        switch (below(random, 5)) {
        case 0:
                if (input->len > 0)
                        input->bytes[below(random, input->len)] = byte;
                break;
        case 1:
                insert(input, below(random, input->len + 1), &byte, 1);
                break;
        case 2:
                cut(input, below(random, input->len + 1), below(random, 16));
                break;
        case 3:
                if (input->len > 0)
                        input->bytes[below(random, input->len)] ^= (uint8_t)(1u << below(random, 8));
                break;
        default:
                splice(random, input);
        }
}

/* A copy of just that size, so that a sanitizer sees a byte read too far. */
static void run(const struct input *input)
{
        uint8_t *copy = malloc(input->len ? input->len : 1);

        if (!copy)
                abort();
        memcpy(copy, input->bytes, input->len);
        LLVMFuzzerTestOneInput(copy, input->len);
        free(copy);
}

int main(int argc, char **argv)
{
        long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : INPUTS;
        uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : sp__random_seed();
        struct sp__random random = {seed};
        static struct input input;

        printf("1..1\n# seed %llu\n", (unsigned long long)seed);
        fflush(stdout);
        for (size_t i = 0; fuzz_seeds[i].data; i++) {
                input.len = fuzz_seeds[i].len;
                memcpy(input.bytes, fuzz_seeds[i].data, input.len);
                run(&input);
        }
        for (long i = 0; i < inputs; i++) {
                take_seed(&random, &input);
                for (size_t n = 1 + below(&random, MUTATIONS_MAX); n > 0; n--)
                        mutate(&random, &input);
                run(&input);
        }
        printf("ok 1 - %s: %ld inputs\n", fuzz_name, inputs);
        return 0;
}
