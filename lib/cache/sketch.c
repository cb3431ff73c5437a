/* SPDX-License-Identifier: MIT */
#include "cache/sketch.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 4 };

/* A row's word and how far its counter is shifted in it. Each row has a quarter of each word's counters. */
static uint64_t *place(const struct sp__sketch *sketch, uint64_t hash, unsigned row, unsigned *shift)
{
        uint64_t step = (hash >> 32 | 1) * row + (hash & 0xffffffff);

        *shift = (row * 4 + (unsigned)(hash >> (36 + 2 * row) & 3)) * 4;
        return &sketch->words[(step ^ step >> 24) & (sketch->count - 1)];
}

unsigned sp__sketch_get(const struct sp__sketch *sketch, uint64_t hash)
{
        unsigned least = SP__SKETCH_MOST;

        if (sketch->count == 0)
                return 0;
        for (unsigned row = 0; row < ROWS; row++) {
                unsigned shift, count;
                const uint64_t *word = place(sketch, hash, row, &shift);

                count = (unsigned)(*word >> shift & 15);
                least = count < least ? count : least;
        }
        return least;
}

void sp__sketch_raise(struct sp__sketch *sketch, uint64_t hash, unsigned count)
{
        if (sketch->count == 0 || count == 0)
                return;
        count = count < SP__SKETCH_MOST ? count : SP__SKETCH_MOST;
        for (unsigned row = 0; row < ROWS; row++) {
                unsigned shift;
                uint64_t *word = place(sketch, hash, row, &shift);

                if ((*word >> shift & 15) < count)
                        *word = (*word & ~(UINT64_C(15) << shift)) | (uint64_t)count << shift;
        }
}

void sp__sketch_halve(struct sp__sketch *sketch)
{
        for (size_t i = 0; i < sketch->count; i++)
                sketch->words[i] = sketch->words[i] >> 1 & UINT64_C(0x7777777777777777);
}

/* A place's lower bits stay, so what it counted is found in each copy. */
void sp__sketch_widen(struct sp__sketch *sketch, size_t words)
{
        uint64_t *wider = words > sketch->count ? realloc(sketch->words, words * sizeof *wider) : NULL;

        if (!wider)
                return;
        sketch->words = wider;
        if (sketch->count == 0) {
                memset(wider, 0, words * sizeof *wider);
                sketch->count = words;
        }
        for (; sketch->count < words; sketch->count *= 2)
                memcpy(wider + sketch->count, wider, sketch->count * sizeof *wider);
}

void sp__sketch_free(struct sp__sketch *sketch)
{
        free(sketch->words);
        *sketch = (struct sp__sketch){.words = NULL};
}
