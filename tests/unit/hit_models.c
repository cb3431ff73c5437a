/* SPDX-License-Identifier: MIT */
#include "hit_models.h"

#include <stdlib.h>

enum queue_name { NOWHERE, FIRST, SECOND, THIRD, GHOST, QUEUES };
enum { ROWS = 4, COUNT_MOST = 15 };

struct node {
        uint32_t before, after; /* in its queue's ring, by index */
        int64_t bytes;
        uint8_t queue;
        uint8_t asked;
};

/* Nodes 0 … keys - 1 are keys, behind them stands a head for each queue. */
struct hit_model {
        enum hit_model_kind kind;
        int64_t max;
        uint32_t keys;
        struct node *nodes;
        int64_t bytes[QUEUES];
        uint8_t *sketch[ROWS];
        uint32_t mask;
        int64_t counted, period;
        int64_t seen, seen_bytes;
};

static uint32_t head(const struct hit_model *model, enum queue_name queue)
{
        return model->keys + (uint32_t)queue;
}

static bool empty(const struct hit_model *model, enum queue_name queue)
{
        return model->nodes[head(model, queue)].after == head(model, queue);
}

static uint32_t oldest(const struct hit_model *model, enum queue_name queue)
{
        return model->nodes[head(model, queue)].after;
}

static void leave(struct hit_model *model, uint32_t key)
{
        struct node *node = &model->nodes[key];

        if (node->queue == NOWHERE)
                return;
        model->nodes[node->before].after = node->after;
        model->nodes[node->after].before = node->before;
        model->bytes[node->queue] -= node->bytes;
        node->queue = NOWHERE;
}

static void join(struct hit_model *model, uint32_t key, enum queue_name queue)
{
        struct node *node = &model->nodes[key], *end = &model->nodes[head(model, queue)];

        leave(model, key);
        node->queue = (uint8_t)queue;
        node->before = end->before;
        node->after = head(model, queue);
        model->nodes[end->before].after = key;
        end->before = key;
        model->bytes[queue] += node->bytes;
}

struct hit_model *hit_model_new(enum hit_model_kind kind, int64_t max, uint32_t keys)
{
        struct hit_model *model = calloc(1, sizeof *model);
        uint32_t width = 1024;

        *model = (struct hit_model){.kind = kind, .max = max, .keys = keys};
        model->nodes = calloc(keys + QUEUES, sizeof *model->nodes);
        for (uint32_t queue = 0; queue < QUEUES; queue++)
                model->nodes[keys + queue].before = model->nodes[keys + queue].after = keys + queue;
        while (width < keys)
                width *= 2;
        for (int row = 0; row < ROWS; row++)
                model->sketch[row] = calloc(width, 1);
        model->mask = width - 1;
        return model;
}

void hit_model_free(struct hit_model *model)
{
        for (int row = 0; row < ROWS; row++)
                free(model->sketch[row]);
        free(model->nodes);
        free(model);
}

/* Least recently used. */

static bool ask_lru(struct hit_model *model, uint32_t key)
{
        bool hit = model->nodes[key].queue == FIRST;

        join(model, key, FIRST);
        while (model->bytes[FIRST] > model->max)
                leave(model, oldest(model, FIRST));
        return hit;
}

/* S3-FIFO: FIRST is the small queue, SECOND the main one. */

static void s3_leave_small(struct hit_model *model)
{
        uint32_t key = oldest(model, FIRST);

        if (model->nodes[key].asked > 1) {
                model->nodes[key].asked = 0;
                join(model, key, SECOND);
                return;
        }
        join(model, key, GHOST);
        while (model->bytes[GHOST] > model->max * 9 / 10)
                leave(model, oldest(model, GHOST));
}

static void s3_leave_main(struct hit_model *model)
{
        uint32_t key = oldest(model, SECOND);

        if (model->nodes[key].asked == 0) {
                leave(model, key);
                return;
        }
        model->nodes[key].asked--;
        join(model, key, SECOND);
}

static bool ask_s3_fifo(struct hit_model *model, uint32_t key)
{
        struct node *node = &model->nodes[key];
        bool ghost = node->queue == GHOST;

        if (node->queue == FIRST || node->queue == SECOND) {
                node->asked += node->asked < 3;
                return true;
        }
        leave(model, key);
        while (model->bytes[FIRST] + model->bytes[SECOND] + node->bytes > model->max) {
                if (!empty(model, FIRST) && (model->bytes[FIRST] > model->max / 10 || empty(model, SECOND)))
                        s3_leave_small(model);
                else
                        s3_leave_main(model);
        }
        node->asked = 0;
        join(model, key, ghost ? SECOND : FIRST);
        return false;
}

/* W-TinyLFU: FIRST is the window, SECOND probation, THIRD protected. */

static uint8_t *counter(const struct hit_model *model, uint32_t key, int row)
{
        uint64_t hash = (key + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)row * UINT64_C(0xbf58476d1ce4e5b9);

        hash = (hash ^ (hash >> 29)) * UINT64_C(0x94d049bb133111eb);
        return &model->sketch[row][(hash >> 32) & model->mask];
}

static int frequency(const struct hit_model *model, uint32_t key)
{
        int least = COUNT_MOST;

        for (int row = 0; row < ROWS; row++) {
                if (*counter(model, key, row) < least)
                        least = *counter(model, key, row);
        }
        return least;
}

static void age(struct hit_model *model)
{
        for (int row = 0; row < ROWS; row++) {
                for (uint32_t i = 0; i <= model->mask; i++)
                        model->sketch[row][i] /= 2;
        }
        model->counted /= 2;
}

static void count(struct hit_model *model, uint32_t key)
{
        int64_t mean;

        for (int row = 0; row < ROWS; row++) {
                uint8_t *at = counter(model, key, row);

                *at += *at < COUNT_MOST;
        }
        model->seen++;
        model->seen_bytes += model->nodes[key].bytes;
        mean = model->seen_bytes / model->seen;
        if (++model->counted >= 10 * (model->max / (mean ? mean : 1)))
                age(model);
}

static void touch_main(struct hit_model *model, uint32_t key)
{
        join(model, key, THIRD);
        while (model->bytes[THIRD] > model->max * 99 / 100 * 8 / 10)
                join(model, oldest(model, THIRD), SECOND);
}

static uint32_t tiny_victim(const struct hit_model *model)
{
        return oldest(model, empty(model, SECOND) ? THIRD : SECOND);
}

/* What leaves the window goes into the main part where it was asked for more often than who would go for it. */
static void tiny_admit(struct hit_model *model, uint32_t key)
{
        int64_t main = model->max - model->max / 100;

        leave(model, key);
        while (model->bytes[SECOND] + model->bytes[THIRD] + model->nodes[key].bytes > main) {
                uint32_t victim = tiny_victim(model);

                if (victim >= model->keys || frequency(model, key) <= frequency(model, victim))
                        return;
                leave(model, victim);
        }
        join(model, key, SECOND);
}

static bool ask_w_tinylfu(struct hit_model *model, uint32_t key)
{
        int queue = model->nodes[key].queue;

        count(model, key);
        if (queue == SECOND || queue == THIRD)
                touch_main(model, key);
        else
                join(model, key, FIRST);
        while (model->bytes[FIRST] > model->max / 100 && !empty(model, FIRST))
                tiny_admit(model, oldest(model, FIRST));
        return queue != NOWHERE;
}

bool hit_model_ask(struct hit_model *model, uint32_t key, int64_t bytes)
{
        if (model->nodes[key].queue == NOWHERE)
                model->nodes[key].bytes = bytes;
        switch (model->kind) {
        case HIT_LRU:
                return ask_lru(model, key);
        case HIT_S3_FIFO:
                return ask_s3_fifo(model, key);
        default:
                return ask_w_tinylfu(model, key);
        }
}
