/* SPDX-License-Identifier: MIT */
/* Caches that only count, bounded by bytes: what the in-process level's hit ratio is measured against. Keys are 0 … keys - 1. */
#ifndef TEST_HIT_MODELS_H
#define TEST_HIT_MODELS_H

#include <stdbool.h>
#include <stdint.h>

enum hit_model_kind {
        HIT_LRU,
        HIT_S3_FIFO,  /* Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023 */
        HIT_W_TINYLFU /* Einziger, Friedman, Manes: TinyLFU, 2017; a window of 1 %, 80 % of the rest protected */
};

struct hit_model;

struct hit_model *hit_model_new(enum hit_model_kind kind, int64_t max, uint32_t keys);
/* Whether the key is there; if not, it is brought in with that many bytes. */
bool hit_model_ask(struct hit_model *model, uint32_t key, int64_t bytes);
void hit_model_free(struct hit_model *model);

#endif
