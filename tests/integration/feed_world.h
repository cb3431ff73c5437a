/* SPDX-License-Identifier: MIT */
/**
 * Services with a cache each, over one namespace and one table of their own, in the shared servers or a test's own ones. What one
 * of them holds in process the change feed of another must reach.
 */
#ifndef FEED_WORLD_H
#define FEED_WORLD_H

#include "cache_ways.h"

#include <sugarperf/feed.h>

enum { NAMES_MAX = 48, WORLD_TEXT_MAX = 1024 };

/** Names that no other test has: the namespace, which is also the prefix of keys, and the table. */
struct world {
        char name[NAMES_MAX];
        char table[NAMES_MAX];
        bool redis;
        const char *tls_ca; /* for rediss://, NULL: none */
};

struct service {
        struct world *world;
        sp_config *config;
        sp_pool *pool;
        sp_cache *cache;
        sp_rules *rules;
        sp_feed *feed; /* NULL: it does not read */
};

/** `columns` of the table, as CREATE TABLE has them; the first is the key "id". NULL: "id", "title" and "views". */
void world_begin(struct world *world, bool redis, const char *columns);
/** With the slot and the publication. */
void world_end(struct world *world);
/** `%s` is the table, `%n` the name. */
void world_text(const struct world *world, const char *format, char *out);
/** Runs such a text, on a connection of its own. */
void world_run(const struct world *world, const char *format);

/** Without rules: "TABLE(id) -> NAME:item:{id}:full". Its templates: NAME:item:{id}:full, pattern NAME:item:*; NAME:list:{id}. */
void service_begin(struct service *service, struct world *world, const char *rules);
void service_end(struct service *service);
/** Starts to read; the same, and waits until it leads and no reset is due; no longer reads. */
void service_follow(struct service *service);
void service_lead(struct service *service);
void service_leave(struct service *service);
/** Whether the feed's report holds the text; that it does, sooner or later. */
bool service_reports(struct service *service, const char *text);
void service_awaits(struct service *service, const char *text);
/** NAME:item:ID:full, in process. */
void service_put(struct service *service, const char *id, const char *text);
bool service_has(struct service *service, const char *id);
/** It goes, sooner or later. */
void service_loses(struct service *service, const char *id);
/** `len` of the key. */
size_t item_key(const struct world *world, const char *id, char *out);

/** One that is to follow the feed, and another one, as in another process. */
struct scene {
        struct world world;
        struct service reader, other;
};

/** `columns` as in world_begin(); the rules are the reader's. */
void scene_begin(struct scene *scene, const char *columns, const char *rules);
void scene_end(struct scene *scene);

#endif
