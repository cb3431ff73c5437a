/* SPDX-License-Identifier: MIT */
/* Keys as they are asked for: made here, or read from a file with a number a line. And what stores and models make of them. */
#ifndef TEST_HIT_TRACES_H
#define TEST_HIT_TRACES_H

#include "base/random.h"
#include "hit_models.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hit_trace {
        const char *name;
        uint32_t *asks; /* free() */
        size_t count;
        size_t room;
        uint32_t keys;
        bool sized; /* values of 50 to 6,400 bytes, by their keys */
};

/* So many asks for keys from `first` on, the n-th of them in proportion to 1 / n ^ skew. */
void hit_trace_zipf(struct hit_trace *trace, struct sp__random *random, uint32_t first, uint32_t keys, double skew,
                    int asks);
void hit_trace_loop(struct hit_trace *trace, uint32_t first, uint32_t keys, int rounds);
/* Each key comes again soon, after so many others, and never more. */
void hit_trace_near(struct hit_trace *trace, uint32_t first, uint32_t keys, uint32_t distance);
void hit_trace_scan(struct hit_trace *trace, struct sp__random *random);
void hit_trace_shifting(struct hit_trace *trace, struct sp__random *random);
void hit_trace_mixed(struct hit_trace *trace, struct sp__random *random);
/* FOLDER/NAME.txt.gz. false: it cannot be read. */
bool hit_trace_read(struct hit_trace *trace, const char *folder);

/* Bytes of a store that hold about so many entries of equal size. */
int64_t hit_bytes_for(int64_t entries);
/* Hits in percent of a store of `max` bytes, and what it held in the end, as models count it. */
double hit_store_run(const struct hit_trace *trace, int64_t max, int64_t *held);
/* The same of a model that may hold so much. */
double hit_model_run(enum hit_model_kind kind, const struct hit_trace *trace, int64_t max);

#endif
