/* SPDX-License-Identifier: MIT */
#include "cache/table.h"

#include "base/hash.h"

#include <stdlib.h>

enum { WIDTH = 7, LAST = WIDTH - 1, FIRST_LINES = 4, HOPS = 8 };

#define BYTES UINT64_C(0x0101010101010101)
/* No eighth. */
#define TOPS UINT64_C(0x0080808080808080)

/* The last word of a full line may be the address of a further one, plus 1; its byte is 0 then. */
struct sp__table_line {
        _Alignas(64) _Atomic uint64_t bytes;
        _Atomic uintptr_t words[WIDTH];
};

static uint64_t byte_of(uint64_t hash)
{
        uint64_t byte = hash >> 24 & 255;

        return byte ? byte : 255;
}

/* The top bit of each byte that equals it, perhaps of a few more. */
static uint64_t matches(uint64_t bytes, uint64_t hash)
{
        uint64_t zero = bytes ^ byte_of(hash) * BYTES;

        return (zero - BYTES) & ~zero & TOPS;
}

static struct sp__table_line *line_at(struct sp__table *table, size_t index)
{
        size_t part = index / FIRST_LINES;
        int segment = part ? 64 - __builtin_clzll(part) : 0;
        size_t first = segment ? (size_t)FIRST_LINES << (segment - 1) : 0;

        return atomic_load_explicit(&table->segments[segment], memory_order_acquire) + (index - first);
}

static size_t index_of(struct sp__table *table, uint64_t hash)
{
        return hash & 0xffffff & atomic_load_explicit(&table->mask, memory_order_acquire);
}

static struct sp__table_line *lines_new(struct sp__table *table, size_t count)
{
        struct sp__table_line *lines = aligned_alloc(64, count * sizeof *lines);

        if (!lines)
                return NULL;
        memset((void *)lines, 0, count * sizeof *lines);
        table->bytes += count * sizeof *lines;
        return lines;
}

bool sp__table_init(struct sp__table *table, uint64_t seed, size_t load)
{
        struct sp__table_line *lines;

        table->seed = seed;
        table->load = load;
        lines = lines_new(table, FIRST_LINES);
        atomic_init(&table->segments[0], lines);
        atomic_init(&table->mask, FIRST_LINES - 1);
        return lines != NULL;
}

static struct sp__table_line *beyond(const struct sp__table_line *line)
{
        uintptr_t last =
            atomic_load_explicit(&((struct sp__table_line *)(uintptr_t)line)->words[LAST], memory_order_acquire);

        return last & 1 ? (struct sp__table_line *)(last - 1) : NULL;
}

static struct sp__kept *kept_at(struct sp__table_line *line, int place)
{
        uintptr_t word = atomic_load_explicit(&line->words[place], memory_order_acquire);

        return word & 1 ? NULL : (struct sp__kept *)word;
}

static void free_chain(struct sp__table_line *line)
{
        while (line) {
                struct sp__table_line *after = beyond(line);

                free(line);
                line = after;
        }
}

void sp__table_destroy(struct sp__table *table)
{
        size_t lines = atomic_load(&table->mask) + 1;

        for (size_t i = 0; atomic_load(&table->segments[0]) && i < lines; i++)
                free_chain(beyond(line_at(table, i)));
        for (int i = 0; i < SP__TABLE_SEGMENTS; i++)
                free(atomic_load(&table->segments[i]));
        free_chain(table->spare);
}

static struct sp__kept *try_place(struct sp__table_line *line, int place, const void *key, size_t len, sp__pin **pin)
{
        struct sp__kept *kept = kept_at(line, place);
        sp__pin *held = kept ? sp__value_pin(&kept->value) : NULL;

        if (!held)
                return NULL;
        if (atomic_load(&line->words[place]) == (uintptr_t)kept && sp__kept_is(kept, key, len)) {
                *pin = held;
                return kept;
        }
        sp__value_unpin(held, &kept->value);
        return NULL;
}

struct sp__kept *sp__table_glance(struct sp__table *table, uint64_t hash, const void *key, size_t len, sp__pin **pin)
{
        struct sp__table_line *line = line_at(table, index_of(table, hash));

        /* A line that was moved from under the reader may lead on and on. */
        for (int hop = 0; line && hop < HOPS; hop++) {
                uint64_t bytes = atomic_load_explicit(&line->bytes, memory_order_acquire);

                for (uint64_t match = matches(bytes, hash); match; match &= match - 1) {
                        struct sp__kept *kept = try_place(line, __builtin_ctzll(match) / 8, key, len, pin);

                        if (kept)
                                return kept;
                }
                line = beyond(line);
        }
        return NULL;
}

struct sp__kept *sp__table_find(struct sp__table *table, uint64_t hash, const void *key, size_t len)
{
        for (struct sp__table_line *line = line_at(table, index_of(table, hash)); line; line = beyond(line)) {
                uint64_t match = matches(atomic_load_explicit(&line->bytes, memory_order_relaxed), hash);

                for (; match; match &= match - 1) {
                        struct sp__kept *kept = kept_at(line, __builtin_ctzll(match) / 8);

                        if (kept && sp__kept_is(kept, key, len))
                                return kept;
                }
        }
        return NULL;
}

uint64_t sp__table_hash(const struct sp__table *table, const struct sp__kept *kept)
{
        return sp__hash(sp__kept_key(kept), sp__kept_key_len(kept), table->seed);
}

struct sp__kept *sp__table_find_mark(struct sp__table *table, uint32_t mark, uint8_t flags)
{
        for (struct sp__table_line *line = line_at(table, index_of(table, mark)); line; line = beyond(line)) {
                uint64_t match = matches(atomic_load_explicit(&line->bytes, memory_order_relaxed), mark);

                for (; match; match &= match - 1) {
                        struct sp__kept *kept = kept_at(line, __builtin_ctzll(match) / 8);

                        if (kept && (kept->flags & (SP__KEPT_MAIN | SP__KEPT_SEEN)) == flags &&
                            (uint32_t)sp__table_hash(table, kept) == mark)
                                return kept;
                }
        }
        return NULL;
}

static void set_byte(struct sp__table_line *line, int place, uint64_t byte)
{
        uint64_t bytes = atomic_load_explicit(&line->bytes, memory_order_relaxed);

        bytes = (bytes & ~(UINT64_C(255) << place * 8)) | byte << place * 8;
        atomic_store_explicit(&line->bytes, bytes, memory_order_release);
}

static void fill(struct sp__table_line *line, int place, uintptr_t word, uint64_t byte)
{
        atomic_store(&line->words[place], word);
        set_byte(line, place, byte);
}

static struct sp__table_line *spare_line(struct sp__table *table)
{
        struct sp__table_line *line = table->spare;

        if (!line)
                return lines_new(table, 1);
        table->spare = beyond(line);
        atomic_store(&line->words[LAST], 0);
        return line;
}

/* The last entry of a full line moves to a further one, whose address takes its place. */
static struct sp__table_line *extend(struct sp__table *table, struct sp__table_line *line)
{
        struct sp__table_line *further = spare_line(table);
        uint64_t byte = atomic_load_explicit(&line->bytes, memory_order_relaxed) >> LAST * 8 & 255;

        if (!further)
                return NULL;
        fill(further, 0, atomic_load_explicit(&line->words[LAST], memory_order_relaxed), byte);
        set_byte(line, LAST, 0);
        atomic_store(&line->words[LAST], (uintptr_t)further + 1);
        return further;
}

static bool put(struct sp__table *table, struct sp__table_line *line, uint64_t hash, struct sp__kept *kept)
{
        while (line) {
                struct sp__table_line *after = beyond(line);

                for (int i = 0; i < WIDTH; i++) {
                        if (!atomic_load_explicit(&line->words[i], memory_order_relaxed)) {
                                fill(line, i, (uintptr_t)kept, byte_of(hash));
                                return true;
                        }
                }
                line = after ? after : extend(table, line);
        }
        return false;
}

static void take_out(struct sp__table_line *line, int place)
{
        set_byte(line, place, 0);
        atomic_store(&line->words[place], 0);
}

/* Into where they belong now. There are as many further lines as before, so none is wanting. */
static void spread(struct sp__table *table, struct sp__table_line *line, size_t index, size_t lines)
{
        bool further = false;

        while (line) {
                struct sp__table_line *after = beyond(line);
                struct sp__kept *all[WIDTH];

                for (int i = 0; i < WIDTH; i++) {
                        all[i] = kept_at(line, i);
                        take_out(line, i);
                }
                if (further) {
                        atomic_store(&line->words[LAST], (uintptr_t)table->spare + (table->spare ? 1 : 0));
                        table->spare = line;
                }
                for (int i = 0; i < WIDTH; i++) {
                        uint64_t hash = all[i] ? sp__table_hash(table, all[i]) : 0;

                        if (all[i])
                                put(table, line_at(table, index + (hash & lines ? lines : 0)), hash, all[i]);
                }
                further = true;
                line = after;
        }
}

static void widen(struct sp__table *table)
{
        size_t lines = atomic_load_explicit(&table->mask, memory_order_relaxed) + 1;
        int segment = 64 - __builtin_clzll(lines / FIRST_LINES);
        struct sp__table_line *added = lines << 1 > 0x1000000 ? NULL : lines_new(table, lines);

        if (!added)
                return;
        atomic_store_explicit(&table->segments[segment], added, memory_order_release);
        for (size_t i = 0; i < lines; i++)
                spread(table, line_at(table, i), i, lines);
        atomic_store_explicit(&table->mask, 2 * lines - 1, memory_order_release);
}

bool sp__table_add(struct sp__table *table, uint64_t hash, struct sp__kept *kept)
{
        if (table->count * 16 >= (atomic_load_explicit(&table->mask, memory_order_relaxed) + 1) * table->load)
                widen(table);
        if (!put(table, line_at(table, index_of(table, hash)), hash, kept))
                return false;
        table->count++;
        return true;
}

void sp__table_remove(struct sp__table *table, uint64_t hash, struct sp__kept *kept)
{
        for (struct sp__table_line *line = line_at(table, index_of(table, hash)); line; line = beyond(line)) {
                for (int i = 0; i < WIDTH; i++) {
                        if (kept_at(line, i) == kept) {
                                take_out(line, i);
                                table->count--;
                                return;
                        }
                }
        }
}

static void each_of(struct sp__table_line *line, void (*call)(struct sp__kept *kept, void *arg), void *arg)
{
        for (; line; line = beyond(line)) {
                for (int i = 0; i < WIDTH; i++) {
                        if (kept_at(line, i))
                                call(kept_at(line, i), arg);
                }
        }
}

void sp__table_each(struct sp__table *table, void (*call)(struct sp__kept *kept, void *arg), void *arg)
{
        size_t lines = atomic_load_explicit(&table->mask, memory_order_relaxed) + 1;

        for (size_t i = 0; i < lines; i++)
                each_of(line_at(table, i), call, arg);
}

struct sp__kept *sp__table_any(struct sp__table *table, size_t *place)
{
        size_t lines = atomic_load_explicit(&table->mask, memory_order_relaxed) + 1;

        for (; *place < lines; ++*place) {
                for (struct sp__table_line *line = line_at(table, *place); line; line = beyond(line)) {
                        for (int i = 0; i < WIDTH; i++) {
                                if (kept_at(line, i))
                                        return kept_at(line, i);
                        }
                }
        }
        return NULL;
}
