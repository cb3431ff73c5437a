/* SPDX-License-Identifier: MIT */
/** Intrusive binary min-heap by a 64-bit key. The owner's lock guards it. Removal by node is O(log n). */
#ifndef SP_BASE_HEAP_H
#define SP_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__heap_node {
        int64_t key;
        size_t place; /* its index + 1; 0: in no heap */
};

struct sp__heap {
        struct sp__heap_node **nodes;
        size_t count;
        size_t cap;
};

/** false when out of memory. */
bool sp__heap_push(struct sp__heap *heap, struct sp__heap_node *node, int64_t key);
/** Does nothing for a node in no heap. */
void sp__heap_remove(struct sp__heap *heap, struct sp__heap_node *node);
void sp__heap_free(struct sp__heap *heap);

static inline struct sp__heap_node *sp__heap_first(const struct sp__heap *heap)
{
        return heap->count ? heap->nodes[0] : NULL;
}

#endif
