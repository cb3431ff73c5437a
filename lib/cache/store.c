/* SPDX-License-Identifier: MIT */
#include "cache/store.h"

#include "base/hash.h"
#include "base/random.h"
#include "cache/cache.h"
#include "cache/heat.h"
#include "cache/shard.h"

#include <stdlib.h>

/* Below this a shard would hold too few large values, above it there is nothing to gain. */
#define SHARD_BYTES (16LL << 20)

enum { SHARDS_MOST = 16, COPIED = 4096 };

struct sp__store {
        struct sp__mirror *mirror;
        uint64_t seed;
        unsigned shards; /* a power of two */
        unsigned shift;  /* which leaves as many bits of a hash */
        struct sp__striped hits;
        struct sp__shard at[];
};

static struct sp__shard *shard_of(struct sp__store *store, uint64_t hash)
{
        return &store->at[(hash >> 1) >> store->shift];
}

struct sp__store *sp__store_new(int64_t max, struct sp__mirror *mirror)
{
        unsigned shards = 1, shift = 63;
        struct sp__store *store;
        bool good = true;

        for (; shards < SHARDS_MOST && max / (2 * shards) >= SHARD_BYTES; shards *= 2)
                shift--;
        store = aligned_alloc(64, sizeof *store + shards * sizeof store->at[0]);
        if (!store)
                return NULL;
        memset((void *)store, 0, sizeof *store + shards * sizeof store->at[0]);
        store->mirror = mirror;
        store->seed = sp__random_seed();
        store->shards = shards;
        store->shift = shift;
        for (unsigned i = 0; i < shards; i++)
                good =
                    sp__shard_init(&store->at[i], max / shards, store->seed, i, shards, mirror, &store->hits) && good;
        if (good)
                return store;
        sp__store_free(store);
        return NULL;
}

void sp__store_free(struct sp__store *store)
{
        if (!store)
                return;
        for (unsigned i = 0; i < store->shards; i++)
                sp__shard_destroy(&store->at[i]);
        free(store);
}

/* See kept->until. */
static uint64_t until_word(int64_t until, uint64_t lengths)
{
        uint64_t ticks = until > 0 ? (uint64_t)until >> SP__KEPT_TICK : 0;

        return (ticks < SP__KEPT_FOREVER ? ticks : SP__KEPT_FOREVER) << 16 | (lengths & 0xffff);
}

static sp_value *value_of(struct sp__kept *kept)
{
        sp_value *inner;

        if (!kept->value.outer)
                return &kept->value;
        memcpy(&inner, kept->value.bytes, sizeof inner);
        return inner;
}

/* A hit. Where nothing changes nothing is written, as others read the same line. */
static void note_hit(const struct sp__shard *shard, struct sp__kept *kept)
{
        uint8_t heat = atomic_load_explicit(&kept->heat, memory_order_relaxed);
        uint8_t more = sp__heat_more(heat, sp__shard_era(shard));

        if (more != heat)
                atomic_store_explicit(&kept->heat, more, memory_order_relaxed);
}

/* Without a lock: true where it is there, proven and fresh. */
static bool glance(struct sp__store *store, struct sp__shard *shard, uint64_t hash, const void *key, size_t len,
                   sp_value **value)
{
        sp__pin *pin;
        struct sp__kept *kept = sp__table_glance(&shard->table, hash, key, len, &pin);
        uint64_t until, version;
        int64_t fresh_until, live_until, now;

        if (!kept)
                return false;
        until = atomic_load_explicit(&kept->until, memory_order_relaxed);
        version = atomic_load_explicit(&kept->version, memory_order_relaxed);
        fresh_until = sp__moment_of(until);
        live_until = atomic_load(&store->mirror->live_until);
        now = sp__now_for(fresh_until < live_until ? fresh_until : live_until);
        if (now >= fresh_until || !sp__mirror_same(store->mirror, version, now)) {
                sp__value_unpin(pin, &kept->value);
                return false;
        }
        note_hit(shard, kept);
        *value = &kept->value;
        if (kept->value.outer) {
                *value = sp_value_ref(value_of(kept));
                sp__value_unpin(pin, &kept->value);
        }
        return true;
}

static size_t tags_of(const struct sp__kept *kept, uint64_t tags[SP__STORE_TAGS])
{
        size_t own = kept->flags & SP__KEPT_OWN_TAG ? 1 : 0, stored = sp__kept_tags(kept);

        if (own)
                tags[0] = sp__tag_of_key(sp__kept_key(kept), sp__kept_key_len(kept));
        memcpy(tags + own, sp__kept_tail(kept), stored * sizeof *tags);
        return own + stored;
}

static void describe(const struct sp__shard *shard, const struct sp__kept *kept, struct sp__item *out)
{
        int64_t fresh_until = sp__moment_of(atomic_load_explicit(&kept->until, memory_order_relaxed));

        *out = (struct sp__item){.e = shard->e,
                                 .v0 = shard->base + kept->since,
                                 .fresh_until = fresh_until,
                                 .kept_until = sp__kept_until(kept),
                                 .ends = kept->flags & SP__KEPT_ENDS,
                                 .declared = atomic_load_explicit(&shard->declared, memory_order_relaxed)};
        out->tag_count = (unsigned)tags_of(kept, out->tags);
}

/* The lock is held. */
static enum sp__fresh prove(struct sp__store *store, struct sp__shard *shard, struct sp__kept *kept, int64_t now)
{
        uint64_t tags[SP__STORE_TAGS], version;
        enum sp__fresh fresh;

        if (sp__mirror_same(store->mirror, atomic_load_explicit(&kept->version, memory_order_relaxed), now))
                return SP__FRESH;
        fresh =
            sp__mirror_check(store->mirror, shard->e, shard->base + kept->since, tags, tags_of(kept, tags), &version);
        if (fresh == SP__FRESH)
                atomic_store_explicit(&kept->version, version, memory_order_relaxed);
        return fresh;
}

/* The lock is held. What no longer stands goes; what cannot be proven just now stays. */
static enum sp__found judge(struct sp__store *store, struct sp__shard *shard, uint64_t hash, struct sp__kept *kept)
{
        uint64_t until = atomic_load_explicit(&kept->until, memory_order_relaxed);
        int64_t fresh_until = sp__moment_of(until), now = sp__now();
        enum sp__fresh fresh = SP__GONE;

        if (now < sp__kept_until(kept))
                fresh = prove(store, shard, kept, now);
        if (fresh == SP__GONE)
                sp__shard_drop(shard, hash, kept);
        if (fresh != SP__FRESH)
                return SP__FOUND_NOTHING;
        note_hit(shard, kept);
        return now < fresh_until ? SP__FOUND_FRESH : SP__FOUND_STALE;
}

/* The lock is held. What was made of fewer templates than are known has not all its tags. */
static bool is_current(struct sp__shard *shard, uint64_t declared)
{
        uint64_t known = atomic_load_explicit(&shard->declared, memory_order_relaxed);

        if (declared > known) {
                sp__shard_clear(shard);
                atomic_store_explicit(&shard->declared, declared, memory_order_relaxed);
        }
        return declared >= known;
}

enum sp__found sp__store_get(struct sp__store *store, const void *key, size_t len, uint64_t declared, sp_value **value,
                             struct sp__item *stale)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct sp__shard *shard = shard_of(store, hash);
        enum sp__found found = SP__FOUND_NOTHING;
        struct sp__kept *kept;

        if (atomic_load_explicit(&shard->declared, memory_order_relaxed) == declared &&
            glance(store, shard, hash, key, len, value))
                return SP__FOUND_FRESH;
        sp__lock(&shard->lock);
        kept = is_current(shard, declared) ? sp__table_find(&shard->table, hash, key, len) : NULL;
        if (kept) {
                found = judge(store, shard, hash, kept);
                if (found == SP__FOUND_STALE && stale)
                        describe(shard, kept, stale);
                if (found != SP__FOUND_NOTHING)
                        *value = sp_value_ref(value_of(kept));
        }
        sp__unlock(&shard->lock);
        return found;
}

/* Its value in place, or a reference to a large one. */
static void put_value(struct sp__kept *kept, sp_value *value, size_t len, bool outer)
{
        size_t whole;
        const void *bytes = sp_value_data(value, &whole);

        sp__value_init(&kept->value, SP__KEPT_LEAD, len, sp_value_codec(value));
        kept->value.outer = outer;
        if (outer) {
                sp_value *inner = sp_value_ref(value);

                memcpy(kept->value.bytes, &inner, sizeof inner);
        } else if (len) {
                memcpy(kept->value.bytes, bytes, len);
        }
}

/* The lock is held, or nobody else has it yet. */
static void put_times(struct sp__kept *kept, int64_t fresh_until, int64_t kept_until, uint64_t lengths)
{
        /* What was never fresh is kept until then all the same, to within a thousandth of the time from now. */
        int64_t fresh = fresh_until > 0 ? fresh_until : sp__now();
        int64_t beyond = kept_until == SP__FOREVER ? SP__FOREVER : kept_until - fresh;

        atomic_store_explicit(&kept->until, until_word(fresh, lengths), memory_order_relaxed);
        kept->grace = sp__short_ms(beyond / SP__MS);
}

static struct sp__kept *make(const struct sp__shard *shard, const void *key, size_t key_len,
                             const struct sp__item *item, uint64_t version)
{
        bool own = item->tag_count > 0 && item->tags[0] == sp__tag_of_key(key, key_len);
        size_t tags = item->tag_count - own, whole, len, bytes;
        bool outer;
        struct sp__kept *kept;
        char *tail;

        sp_value_data(item->value, &whole);
        outer = whole > COPIED;
        len = outer ? sizeof(sp_value *) : whole;
        bytes = SP__KEPT_HEAD + len + 1 + tags * sizeof(uint64_t) + key_len;
        if ((int64_t)(bytes + (outer ? whole : 0)) > shard->max || !(kept = malloc(bytes)))
                return NULL;
        kept->flags = (uint8_t)((own ? SP__KEPT_OWN_TAG : 0) | (item->ends ? SP__KEPT_ENDS : 0));
        kept->since = (uint32_t)(item->v0 - shard->base);
        atomic_init(&kept->version, version);
        atomic_init(&kept->heat, 0);
        put_value(kept, item->value, len, outer);
        put_times(kept, item->fresh_until, item->kept_until, (key_len - 1) << 6 | tags);
        tail = kept->value.bytes + len + 1;
        memcpy(tail, item->tags + own, tags * sizeof(uint64_t));
        memcpy(tail + tags * sizeof(uint64_t), key, key_len);
        return kept;
}

/* The lock is held. Whether the shard can have an entry of that place in the log; it drops all others of another epoch. */
static bool make_ready(struct sp__shard *shard, const struct sp__item *item, enum sp__fresh fresh)
{
        bool same = shard->e == item->e, used = shard->table.count > 0;

        if (fresh == SP__GONE || !is_current(shard, item->declared))
                return false;
        if (used && (same ? item->v0 < shard->base : fresh == SP__UNKNOWN))
                return false;
        if (used && same && item->v0 - shard->base <= UINT32_MAX)
                return true;
        sp__shard_clear(shard);
        shard->e = item->e;
        /* Others may come that began to load a little earlier. */
        shard->base = item->v0 - (item->v0 < 1 << 30 ? item->v0 : 1 << 30);
        return true;
}

/* The lock is held. */
static void put(struct sp__shard *shard, uint64_t hash, const void *key, size_t len, const struct sp__item *item,
                uint64_t version)
{
        struct sp__kept *former = sp__table_find(&shard->table, hash, key, len), *kept;

        if (former && shard->base + former->since > item->v0)
                return;
        kept = make(shard, key, len, item, version);
        if (!kept) {
                if (former)
                        sp__shard_drop(shard, hash, former);
                return;
        }
        sp__value_list(&kept->value);
        if (former)
                sp__shard_replace(shard, hash, former, kept);
        else
                sp__shard_add(shard, hash, kept);
}

void sp__store_put(struct sp__store *store, const void *key, size_t len, const struct sp__item *item)
{
        uint64_t hash = sp__hash(key, len, store->seed), version;
        struct sp__shard *shard = shard_of(store, hash);
        enum sp__fresh fresh =
            sp__mirror_check(store->mirror, item->e, item->v0, item->tags, item->tag_count, &version);

        sp__lock(&shard->lock);
        if (make_ready(shard, item, fresh))
                put(shard, hash, key, len, item, fresh == SP__FRESH ? version : 0);
        sp__unlock(&shard->lock);
}

bool sp__store_recall(struct sp__store *store, const void *key, size_t len, uint64_t declared, struct sp__item *out)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct sp__shard *shard = shard_of(store, hash);
        struct sp__kept *kept;
        bool good = false;

        sp__lock(&shard->lock);
        kept = is_current(shard, declared) ? sp__table_find(&shard->table, hash, key, len) : NULL;
        if (kept && sp__now() < sp__kept_until(kept)) {
                describe(shard, kept, out);
                good = !sp__mirror_doubts(store->mirror, out->e, out->v0, out->tags, out->tag_count);
        }
        if (good) {
                note_hit(shard, kept);
                out->value = sp_value_ref(value_of(kept));
        }
        sp__unlock(&shard->lock);
        return good;
}

/* The lock is held. Whether there is something whose time can be changed. */
static bool stands(struct sp__store *store, struct sp__shard *shard, uint64_t hash, struct sp__kept *kept,
                   int64_t grace)
{
        int64_t fresh = sp__moment_of(atomic_load_explicit(&kept->until, memory_order_relaxed));

        if (fresh < SP__FOREVER - grace && sp__now() >= fresh + grace)
                return false;
        return judge(store, shard, hash, kept) != SP__FOUND_NOTHING &&
               sp_value_codec(value_of(kept)) != SP_CODEC_ABSENT;
}

bool sp__store_extend(struct sp__store *store, const void *key, size_t len, uint64_t declared, int64_t grace,
                      int64_t fresh_until, int64_t kept_until)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct sp__shard *shard = shard_of(store, hash);
        struct sp__kept *kept;

        sp__lock(&shard->lock);
        kept = is_current(shard, declared) ? sp__table_find(&shard->table, hash, key, len) : NULL;
        if (kept && !stands(store, shard, hash, kept, grace))
                kept = NULL;
        if (kept && (kept->flags & SP__KEPT_ENDS) && kept_until > sp__kept_until(kept))
                kept_until = sp__kept_until(kept);
        if (kept)
                put_times(kept, fresh_until < kept_until ? fresh_until : kept_until, kept_until,
                          atomic_load_explicit(&kept->until, memory_order_relaxed));
        sp__unlock(&shard->lock);
        return kept != NULL;
}

/* The monotonic clock begins at 0: what would be older than that is kept for the shorter time. */
static void age(struct sp__kept *kept, void *arg)
{
        uint64_t until = atomic_load_explicit(&kept->until, memory_order_relaxed);
        int64_t fresh = sp__moment_of(until), left = fresh - *(const int64_t *)arg;

        if (until >> 16 == SP__KEPT_FOREVER)
                return;
        if (left < 0)
                kept->grace = sp__short_ms(sp__long_ms(kept->grace) + left / SP__MS);
        atomic_store_explicit(&kept->until, until_word(left, until), memory_order_relaxed);
}

void sp__store_age(struct sp__store *store, int64_t ns)
{
        for (unsigned i = 0; i < store->shards; i++) {
                sp__lock(&store->at[i].lock);
                sp__table_each(&store->at[i].table, age, &ns);
                sp__unlock(&store->at[i].lock);
        }
}

void sp__store_drop(struct sp__store *store, const void *key, size_t len)
{
        uint64_t hash = sp__hash(key, len, store->seed);
        struct sp__shard *shard = shard_of(store, hash);
        struct sp__kept *kept;

        sp__lock(&shard->lock);
        kept = sp__table_find(&shard->table, hash, key, len);
        if (kept)
                sp__shard_drop(shard, hash, kept);
        sp__unlock(&shard->lock);
}

struct sp__striped *sp__store_hits(struct sp__store *store)
{
        return &store->hits;
}

void sp__store_stats(struct sp__store *store, struct sp__store_stats *out)
{
        *out = (struct sp__store_stats){.hits = sp__striped_read(&store->hits)};
        for (unsigned i = 0; i < store->shards; i++) {
                struct sp__shard *shard = &store->at[i];

                sp__lock(&shard->lock);
                out->entries += (int64_t)shard->table.count;
                out->bytes += sp__shard_bytes(shard);
                out->beside += sp__shard_beside(shard);
                out->evictions += shard->evictions;
                sp__unlock(&shard->lock);
        }
}
