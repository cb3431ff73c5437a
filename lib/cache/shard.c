/* SPDX-License-Identifier: MIT */
/*
 * W-TinyLFU (Einziger, Friedman, Manes 2017) made for hits that take no lock. A new entry enters the window, a queue. Who
 * leaves it competes with who would have to leave the main queue: the one that was asked for more often stays. The main
 * queue goes round: what was asked for since its last turn gets another one (CLOCK). How often an entry was asked for stands
 * in it; when it goes, the sketch remembers. How large the window is follows the hits (share.h).
 */
#include "cache/shard.h"

#include "base/hash.h"
#include "cache/heat.h"

#include <malloc.h>
#include <stdlib.h>

/* Malloc's own word before each chunk; and, of a twelfth, what it cannot use between chunks that come and go (measured with
 * glibc: an eighth where sizes are mixed, of which the bound allows a tenth). */
enum { CHUNK = 8, GAPS = 12, TURNS = 64, ERA = 10, SKETCH_FIRST = 8, MARKS_SPARE = 64 };

bool sp__shard_init(struct sp__shard *shard, int64_t max, uint64_t seed, unsigned index, unsigned shards,
                    const struct sp__mirror *mirror, const struct sp__striped *hits)
{
        /* Shards double at different sizes, so that on the whole the table is never emptier than on average. */
        size_t load = 88 + 88 * index / shards;

        shard->max = max;
        shard->shards = shards;
        shard->mirror = mirror;
        shard->hits = hits;
        sp__share_init(&shard->window);
        sp__mutex_init(&shard->lock);
        return sp__table_init(&shard->table, seed, load);
}

void sp__shard_destroy(struct sp__shard *shard)
{
        sp__shard_clear(shard);
        sp__table_destroy(&shard->table);
        sp__sketch_free(&shard->sketch);
        sp__share_free(&shard->window);
        sp__mutex_destroy(&shard->lock);
}

static size_t bytes_of(struct sp__kept *kept)
{
        size_t bytes = malloc_usable_size(kept) + CHUNK;
        sp_value *inner;

        if (kept->value.outer) {
                memcpy(&inner, kept->value.bytes, sizeof inner);
                bytes += sp__value_size(inner) + CHUNK;
        }
        return bytes + bytes / GAPS;
}

int64_t sp__shard_bytes(const struct sp__shard *shard)
{
        return shard->window_bytes + shard->main_bytes + sp__shard_beside(shard);
}

int64_t sp__shard_beside(const struct sp__shard *shard)
{
        return (int64_t)(shard->table.bytes + shard->newest.bytes + shard->main.bytes +
                         shard->sketch.count * sizeof(uint64_t) + shard->window.places * sizeof(uint32_t)) +
               sp__mirror_bytes(shard->mirror) / shard->shards;
}

static int64_t *queue_bytes(struct sp__shard *shard, const struct sp__kept *kept)
{
        return kept->flags & SP__KEPT_MAIN ? &shard->main_bytes : &shard->window_bytes;
}

void sp__shard_drop(struct sp__shard *shard, uint64_t hash, struct sp__kept *kept)
{
        *queue_bytes(shard, kept) -= (int64_t)bytes_of(kept);
        shard->main_count -= (kept->flags & SP__KEPT_MAIN) != 0;
        sp__table_remove(&shard->table, hash, kept);
        sp__value_delist(&kept->value);
}

void sp__shard_clear(struct sp__shard *shard)
{
        struct sp__kept *kept;
        size_t place = 0;

        while ((kept = sp__table_any(&shard->table, &place)) != NULL)
                sp__shard_drop(shard, sp__table_hash(&shard->table, kept), kept);
        sp__marks_clear(&shard->newest);
        sp__marks_clear(&shard->main);
}

static uint8_t heat_of(const struct sp__kept *kept)
{
        return atomic_load_explicit(&((struct sp__kept *)(uintptr_t)kept)->heat, memory_order_relaxed);
}

static unsigned count_of(const struct sp__shard *shard, const struct sp__kept *kept)
{
        return sp__heat_count(heat_of(kept), sp__shard_era(shard));
}

static bool is_over(const struct sp__kept *kept)
{
        return sp__kept_until(kept) <= sp__now_coarse();
}

static void evict(struct sp__shard *shard, struct sp__kept *kept)
{
        uint64_t hash = sp__table_hash(&shard->table, kept);

        sp__sketch_raise(&shard->sketch, hash, count_of(shard, kept));
        shard->evictions++;
        sp__shard_drop(shard, hash, kept);
}

/* The oldest of a queue; what is no longer in it, and so is not found, goes by. */
static struct sp__kept *oldest(struct sp__shard *shard, struct sp__marks *queue, uint32_t *mark)
{
        while (sp__marks_first(queue, mark)) {
                struct sp__kept *kept =
                    sp__table_find_mark(&shard->table, *mark, queue == &shard->main ? SP__KEPT_MAIN : 0);

                if (kept)
                        return kept;
                sp__marks_pop(queue);
        }
        return NULL;
}

/* Who would have to leave the main queue. */
static struct sp__kept *victim(struct sp__shard *shard)
{
        struct sp__kept *kept;
        uint32_t mark;

        for (int turns = 0; (kept = oldest(shard, &shard->main, &mark)) != NULL; turns++) {
                uint8_t heat = heat_of(kept);

                if (!(heat & SP__HEAT_LATELY) || turns == TURNS || !sp__marks_push(&shard->main, mark))
                        break;
                sp__marks_pop(&shard->main);
                atomic_store_explicit(&kept->heat, heat & ~SP__HEAT_LATELY, memory_order_relaxed);
        }
        return kept;
}

static void to_main(struct sp__shard *shard, struct sp__kept *kept, uint32_t mark)
{
        int64_t bytes = (int64_t)bytes_of(kept);

        if (!sp__marks_push(&shard->main, mark)) {
                evict(shard, kept);
                return;
        }
        shard->window_bytes -= bytes;
        shard->main_bytes += bytes;
        shard->main_count++;
        kept->flags |= SP__KEPT_MAIN;
        atomic_fetch_and_explicit(&kept->heat, (uint8_t)~SP__HEAT_LATELY, memory_order_relaxed);
}

/* How often it was asked for while it was in the window, about. */
static unsigned hits_there(const struct sp__shard *shard, const struct sp__kept *kept)
{
        unsigned count = count_of(shard, kept), born = sp__kept_born(kept);

        return count > born ? count - born : 0;
}

/* The window's oldest leaves it. */
static void leave_window(struct sp__shard *shard, struct sp__kept *kept, uint32_t mark, int64_t room)
{
        struct sp__kept *other;

        sp__marks_pop(&shard->newest);
        shard->window.hits += hits_there(shard, kept);
        if (shard->main_bytes + (int64_t)bytes_of(kept) <= room) {
                to_main(shard, kept, mark);
                return;
        }
        other = victim(shard);
        if (!other || (count_of(shard, kept) <= count_of(shard, other) && !is_over(other))) {
                sp__share_reject(&shard->window, mark);
                evict(shard, kept);
                return;
        }
        evict(shard, other);
        to_main(shard, kept, mark);
}

static void shrink(struct sp__shard *shard)
{
        for (;;) {
                int64_t bytes = sp__shard_bytes(shard), entries = shard->window_bytes + shard->main_bytes;
                int64_t room = shard->max - (bytes - entries), window = (int64_t)((double)room * shard->window.share);
                struct sp__kept *kept;
                uint32_t mark;

                if (bytes <= shard->max || entries == 0)
                        return;
                kept = shard->window_bytes > window || shard->main_bytes == 0 ? oldest(shard, &shard->newest, &mark)
                                                                              : NULL;
                if (kept)
                        leave_window(shard, kept, mark, room - window);
                else if ((kept = victim(shard)) != NULL)
                        evict(shard, kept);
                else
                        return;
        }
}

static void grow_older(struct sp__shard *shard)
{
        atomic_store_explicit(&shard->era, sp__shard_era(shard) + 1, memory_order_relaxed);
        sp__sketch_halve(&shard->sketch);
        shard->era_asked /= 2;
}

/* Now and then: the window's share after half an ask an entry, a new era after ten. */
static void reflect(struct sp__shard *shard)
{
        int64_t entries = (int64_t)shard->table.count, hits;

        if (++shard->adds * 16 <= entries)
                return;
        hits = sp__striped_read(shard->hits) / shard->shards;
        shard->window_asked += shard->adds + hits - shard->hits_seen;
        shard->era_asked += shard->adds + hits - shard->hits_seen;
        shard->window_hits += hits - shard->hits_seen;
        shard->hits_seen = hits;
        shard->adds = 0;
        if (shard->era_asked >= ERA * entries)
                grow_older(shard);
        if (shard->window_asked * 2 < entries)
                return;
        /* Until something has left, all are in the window, whose hits are not known yet. */
        if (shard->evictions > 0)
                sp__share_judge(&shard->window, shard->window_hits, shard->table.count - shard->main_count,
                                shard->main_count);
        shard->window_asked = shard->window_hits = 0;
}

/* Each entry keeps one mark, its first: what left otherwise loses its own, and what came back its second. */
static void tidy(struct sp__shard *shard, struct sp__marks *queue)
{
        uint8_t in = queue == &shard->main ? SP__KEPT_MAIN : 0;

        for (uint8_t seen = 0, passes = 2; passes > 0; passes--, seen = SP__KEPT_SEEN) {
                for (size_t left = queue->count; left > 0; left--) {
                        struct sp__kept *kept;
                        uint32_t mark;

                        sp__marks_first(queue, &mark);
                        sp__marks_pop(queue);
                        kept = sp__table_find_mark(&shard->table, mark, in | seen);
                        if (!kept)
                                continue;
                        kept->flags ^= SP__KEPT_SEEN;
                        if (!sp__marks_push(queue, mark))
                                evict(shard, kept);
                }
        }
}

/* What stands beside the entries grows with them. */
static void fit(struct sp__shard *shard)
{
        size_t entries = shard->table.count;

        if (shard->sketch.count * 2 < entries)
                sp__sketch_widen(&shard->sketch, shard->sketch.count ? shard->sketch.count * 2 : SKETCH_FIRST);
        sp__share_fit(&shard->window, entries);
        if (shard->newest.count + shard->main.count > 2 * entries + MARKS_SPARE) {
                tidy(shard, &shard->newest);
                tidy(shard, &shard->main);
        }
}

void sp__shard_add(struct sp__shard *shard, uint64_t hash, struct sp__kept *kept)
{
        unsigned count = sp__sketch_get(&shard->sketch, hash) + 1;

        reflect(shard);
        sp__share_return(&shard->window, (uint32_t)hash);
        atomic_store_explicit(&kept->heat, sp__heat(count, sp__shard_era(shard), false), memory_order_relaxed);
        sp__kept_set_born(kept, count);
        if (!sp__table_add(&shard->table, hash, kept)) {
                sp__value_delist(&kept->value);
                return;
        }
        shard->window_bytes += (int64_t)bytes_of(kept);
        if (!sp__marks_push(&shard->newest, (uint32_t)hash)) {
                sp__shard_drop(shard, hash, kept);
                return;
        }
        fit(shard);
        shrink(shard);
}

void sp__shard_replace(struct sp__shard *shard, uint64_t hash, struct sp__kept *former, struct sp__kept *kept)
{
        kept->flags |= former->flags & SP__KEPT_MAIN;
        sp__kept_set_born(kept, sp__kept_born(former));
        atomic_store_explicit(&kept->heat, heat_of(former), memory_order_relaxed);
        sp__shard_drop(shard, hash, former);
        if (!sp__table_add(&shard->table, hash, kept)) {
                sp__value_delist(&kept->value);
                return;
        }
        *queue_bytes(shard, kept) += (int64_t)bytes_of(kept);
        shard->main_count += (kept->flags & SP__KEPT_MAIN) != 0;
        shrink(shard);
}
