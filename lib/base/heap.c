/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <stdlib.h>

static void put(struct sp__heap *heap, size_t at, struct sp__heap_node *node)
{
        heap->nodes[at] = node;
        node->place = at + 1;
}

static void rise(struct sp__heap *heap, size_t at, struct sp__heap_node *node)
{
        while (at > 0 && heap->nodes[(at - 1) / 2]->key > node->key) {
                put(heap, at, heap->nodes[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        put(heap, at, node);
}

static void sink(struct sp__heap *heap, size_t at, struct sp__heap_node *node)
{
        for (;;) {
                size_t child = 2 * at + 1;

                if (child >= heap->count)
                        break;
                if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
                        child++;
                if (heap->nodes[child]->key >= node->key)
                        break;
                put(heap, at, heap->nodes[child]);
                at = child;
        }
        put(heap, at, node);
}

bool sp__heap_push(struct sp__heap *heap, struct sp__heap_node *node, int64_t key)
{
        if (heap->count == heap->cap) {
                size_t cap = heap->cap ? heap->cap * 2 : 64;
                struct sp__heap_node **nodes = realloc(heap->nodes, cap * sizeof *nodes);

                if (!nodes)
                        return false;
                heap->nodes = nodes;
                heap->cap = cap;
        }
        node->key = key;
        rise(heap, heap->count++, node);
        return true;
}

void sp__heap_remove(struct sp__heap *heap, struct sp__heap_node *node)
{
        size_t at = node->place - 1;
        struct sp__heap_node *last;

        if (!node->place)
                return;
        node->place = 0;
        last = heap->nodes[--heap->count];
        if (last == node)
                return;
        if (at > 0 && heap->nodes[(at - 1) / 2]->key > last->key)
                rise(heap, at, last);
        else
                sink(heap, at, last);
}

void sp__heap_free(struct sp__heap *heap)
{
        free(heap->nodes);
        *heap = (struct sp__heap){0};
}
