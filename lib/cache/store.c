/* SPDX-License-Identifier: MIT */
#include "cache/store.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/random.h"
#include "core/value.h"

#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, FIRST_BUCKETS = 64, GHOSTS = 1024, ASKED_MOST = 3, OVERHEAD = 48, SMALL_SHARE = 10 };

struct kept {
        struct kept *next; /* of its bucket */
        struct sp__list link;
        uint64_t hash;
        sp_value *value;
        uint64_t e;
        int64_t v0;
        int64_t fresh_until;
        int64_t kept_until;
        uint64_t declared;
        uint64_t version; /* of the mirror, when it was last found fresh */
        uint32_t bytes;
        uint16_t key_len;
        uint8_t tag_count;
        uint8_t asked; /* since it came into its queue, up to ASKED_MOST */
        bool main;
        uint64_t tags[]; /* and the key's bytes */
};

struct shard {
        _Alignas(64) sp__mutex lock;
        struct kept **buckets;
        size_t bucket_count; /* a power of two */
        size_t count;
        int64_t bytes;
        int64_t small_bytes;
        struct sp__list small; /* oldest first */
        struct sp__list main;
        uint32_t ghosts[GHOSTS]; /* who left the small queue last, by the hash's low bits; 0: nobody */
        int64_t evictions;
};

struct sp__store {
        int64_t max;
        _Atomic int64_t bytes;
        uint64_t seed;
        struct sp__mirror *mirror;
        struct shard shards[SHARDS];
};

static const char *key_of(const struct kept *kept)
{
        return (const char *)(kept->tags + kept->tag_count);
}

static struct shard *shard_of(struct sp__store *store, uint64_t hash)
{
        return &store->shards[hash >> 60];
}

static bool shard_init(struct shard *shard)
{
        shard->buckets = calloc(FIRST_BUCKETS, sizeof *shard->buckets);
        shard->bucket_count = FIRST_BUCKETS;
        sp__mutex_init(&shard->lock);
        sp__list_init(&shard->small);
        sp__list_init(&shard->main);
        return shard->buckets != NULL;
}

struct sp__store *sp__store_new(int64_t max, struct sp__mirror *mirror)
{
        struct sp__store *store = aligned_alloc(64, sizeof *store);
        bool good = true;

        if (!store)
                return NULL;
        memset(store, 0, sizeof *store);
        store->max = max;
        store->mirror = mirror;
        store->seed = sp__random_seed();
        for (int i = 0; i < SHARDS; i++)
                good = shard_init(&store->shards[i]) && good;
        if (good)
                return store;
        sp__store_free(store);
        return NULL;
}

static struct kept **place_of(struct shard *shard, uint64_t hash, const void *key, size_t len)
{
        struct kept **at = &shard->buckets[hash & (shard->bucket_count - 1)];

        while (*at && ((*at)->hash != hash || (*at)->key_len != len || memcmp(key_of(*at), key, len) != 0))
                at = &(*at)->next;
        return at;
}

/* Off its bucket, its queue and the books. */
static void drop(struct sp__store *store, struct shard *shard, struct kept **at)
{
        struct kept *kept = *at;

        *at = kept->next;
        sp__list_remove(&kept->link);
        shard->count--;
        shard->bytes -= kept->bytes;
        if (!kept->main)
                shard->small_bytes -= kept->bytes;
        atomic_fetch_sub(&store->bytes, kept->bytes);
        sp_value_unref(kept->value);
        free(kept);
}

void sp__store_free(struct sp__store *store)
{
        if (!store)
                return;
        for (int i = 0; i < SHARDS; i++) {
                struct shard *shard = &store->shards[i];

                for (size_t b = 0; shard->buckets && b < shard->bucket_count; b++) {
                        while (shard->buckets[b])
                                drop(store, shard, &shard->buckets[b]);
                }
                free(shard->buckets);
                sp__mutex_destroy(&shard->lock);
        }
        free(store);
}

/* The shard's lock is held. */
static enum sp__fresh prove(struct sp__store *store, struct kept *kept, int64_t now)
{
        enum sp__fresh fresh;
        uint64_t version;

        if (sp__mirror_same(store->mirror, kept->version, now))
                return SP__FRESH;
        fresh = sp__mirror_check(store->mirror, kept->e, kept->v0, kept->tags, kept->tag_count, &version);
        if (fresh == SP__FRESH)
                kept->version = version;
        return fresh;
}

/* The lock is held. What no longer stands goes; what cannot be proven just now stays. */
static enum sp__found judge(struct sp__store *store, struct shard *shard, struct kept **at, uint64_t declared,
                            int64_t now)
{
        struct kept *kept = *at;
        enum sp__fresh fresh = SP__GONE;

        if (kept->declared == declared && now < kept->kept_until)
                fresh = prove(store, kept, now);
        if (fresh == SP__GONE)
                drop(store, shard, at);
        if (fresh != SP__FRESH)
                return SP__FOUND_NOTHING;
        if (kept->asked < ASKED_MOST)
                kept->asked++;
        return now < kept->fresh_until ? SP__FOUND_FRESH : SP__FOUND_STALE;
}

static void describe(const struct kept *kept, struct sp__item *out)
{
        *out = (struct sp__item){.e = kept->e,
                                 .v0 = kept->v0,
                                 .fresh_until = kept->fresh_until,
                                 .kept_until = kept->kept_until,
                                 .declared = kept->declared,
                                 .tag_count = kept->tag_count};
        memcpy(out->tags, kept->tags, kept->tag_count * sizeof(uint64_t));
}

enum sp__found sp__store_get(struct sp__store *store, const void *key, size_t len, uint64_t declared, sp_value **value,
                             struct sp__item *stale)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct shard *shard = shard_of(store, hash);
        enum sp__found found = SP__FOUND_NOTHING;
        int64_t now = sp__now();
        struct kept **at;

        sp__lock(&shard->lock);
        at = place_of(shard, hash, key, len);
        if (*at) {
                found = judge(store, shard, at, declared, now);
                if (found != SP__FOUND_NOTHING)
                        *value = sp_value_ref((*at)->value);
                if (found == SP__FOUND_STALE && stale)
                        describe(*at, stale);
        }
        sp__unlock(&shard->lock);
        return found;
}

static void widen(struct shard *shard)
{
        size_t count = shard->bucket_count * 2;
        struct kept **buckets = calloc(count, sizeof *buckets);

        if (!buckets)
                return;
        for (size_t b = 0; b < shard->bucket_count; b++) {
                while (shard->buckets[b]) {
                        struct kept *kept = shard->buckets[b];

                        shard->buckets[b] = kept->next;
                        kept->next = buckets[kept->hash & (count - 1)];
                        buckets[kept->hash & (count - 1)] = kept;
                }
        }
        free(shard->buckets);
        shard->buckets = buckets;
        shard->bucket_count = count;
}

static uint32_t ghost_mark(uint64_t hash)
{
        return (uint32_t)(hash >> 28) | 1;
}

static void evict(struct sp__store *store, struct shard *shard, struct kept *kept)
{
        struct kept **at = place_of(shard, kept->hash, key_of(kept), kept->key_len);

        if (!kept->main)
                shard->ghosts[kept->hash % GHOSTS] = ghost_mark(kept->hash);
        shard->evictions++;
        drop(store, shard, at);
}

static void to_main(struct shard *shard, struct kept *kept)
{
        sp__list_remove(&kept->link);
        if (!kept->main)
                shard->small_bytes -= kept->bytes;
        kept->main = true;
        kept->asked = 0;
        sp__list_push(&shard->main, &kept->link);
}

/* One step: an entry moves on, gets another round, or goes. false: there is none. */
static bool make_room(struct sp__store *store, struct shard *shard)
{
        bool small = !sp__list_empty(&shard->small) &&
                     (shard->small_bytes * SMALL_SHARE >= shard->bytes || sp__list_empty(&shard->main));
        struct sp__list *queue = small ? &shard->small : &shard->main;
        struct kept *kept;

        if (sp__list_empty(queue))
                return false;
        kept = SP__OF(queue->next, struct kept, link);
        if (small && kept->asked > 0) {
                to_main(shard, kept);
        } else if (!small && kept->asked > 0) {
                kept->asked--;
                sp__list_remove(&kept->link);
                sp__list_push(&shard->main, &kept->link);
        } else {
                evict(store, shard, kept);
        }
        return true;
}

static struct kept *make(const struct sp__store *store, const void *key, size_t len, uint64_t hash,
                         const struct sp__item *item)
{
        size_t tags = item->tag_count * sizeof(uint64_t);
        size_t bytes = sizeof(struct kept) + tags + len + sp__value_size(item->value) + OVERHEAD;
        struct kept *kept;

        if (bytes > (size_t)store->max || bytes > UINT32_MAX)
                return NULL;
        kept = calloc(1, sizeof *kept + tags + len);
        if (!kept)
                return NULL;
        sp__list_init(&kept->link);
        kept->hash = hash;
        kept->value = sp_value_ref(item->value);
        kept->e = item->e;
        kept->v0 = item->v0;
        kept->fresh_until = item->fresh_until;
        kept->kept_until = item->kept_until;
        kept->declared = item->declared;
        kept->bytes = (uint32_t)bytes;
        kept->key_len = (uint16_t)len;
        kept->tag_count = (uint8_t)item->tag_count;
        memcpy(kept->tags, item->tags, tags);
        memcpy(kept->tags + item->tag_count, key, len);
        return kept;
}

/* The lock is held; the key has no entry. */
static void insert(struct sp__store *store, struct shard *shard, struct kept *kept)
{
        uint32_t *ghost = &shard->ghosts[kept->hash % GHOSTS];
        struct kept **bucket;

        if (shard->count >= shard->bucket_count)
                widen(shard);
        bucket = &shard->buckets[kept->hash & (shard->bucket_count - 1)];
        kept->next = *bucket;
        *bucket = kept;
        kept->main = *ghost == ghost_mark(kept->hash);
        if (kept->main)
                *ghost = 0;
        else
                shard->small_bytes += kept->bytes;
        sp__list_push(kept->main ? &shard->main : &shard->small, &kept->link);
        shard->count++;
        shard->bytes += kept->bytes;
        atomic_fetch_add(&store->bytes, kept->bytes);
}

/* Its own shard first, then the others. No lock held. */
static void shrink(struct sp__store *store, uint64_t hash)
{
        for (uint64_t i = 0; i < SHARDS && atomic_load(&store->bytes) > store->max; i++) {
                struct shard *shard = &store->shards[((hash >> 60) + i) % SHARDS];
                bool more = true;

                sp__lock(&shard->lock);
                while (more && atomic_load(&store->bytes) > store->max)
                        more = make_room(store, shard);
                sp__unlock(&shard->lock);
        }
}

void sp__store_put(struct sp__store *store, const void *key, size_t len, const struct sp__item *item)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct shard *shard = shard_of(store, hash);
        struct kept *kept = make(store, key, len, hash, item), **at;

        if (!kept)
                return;
        sp__lock(&shard->lock);
        at = place_of(shard, hash, key, len);
        if (*at && (*at)->e == item->e && (*at)->v0 > item->v0) {
                sp_value_unref(kept->value);
                free(kept);
        } else {
                if (*at)
                        drop(store, shard, at);
                insert(store, shard, kept);
        }
        sp__unlock(&shard->lock);
        shrink(store, hash);
}

bool sp__store_extend(struct sp__store *store, const void *key, size_t len, int64_t fresh_until, int64_t kept_until)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct shard *shard = shard_of(store, hash);
        struct kept *kept;

        sp__lock(&shard->lock);
        kept = *place_of(shard, hash, key, len);
        if (kept) {
                kept->fresh_until = fresh_until;
                kept->kept_until = kept_until;
        }
        sp__unlock(&shard->lock);
        return kept != NULL;
}

void sp__store_drop(struct sp__store *store, const void *key, size_t len)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct shard *shard = shard_of(store, hash);
        struct kept **at;

        sp__lock(&shard->lock);
        at = place_of(shard, hash, key, len);
        if (*at)
                drop(store, shard, at);
        sp__unlock(&shard->lock);
}

void sp__store_stats(struct sp__store *store, struct sp__store_stats *out)
{
        *out = (struct sp__store_stats){.bytes = atomic_load(&store->bytes)};
        for (int i = 0; i < SHARDS; i++) {
                struct shard *shard = &store->shards[i];

                sp__lock(&shard->lock);
                out->entries += (int64_t)shard->count;
                out->evictions += shard->evictions;
                sp__unlock(&shard->lock);
        }
}
