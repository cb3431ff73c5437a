/* SPDX-License-Identifier: MIT */
/**
 * Where the entries of a shard are found: a hash table of cache lines, seven entries each with a byte of their hashes; further
 * lines behind a full one. It doubles in place: lines are never given back while the table lives, so that who reads without a
 * lock may be anywhere in it. Such a reader pins what it found and looks whether it is still there; then it has it.
 *
 * Threads: sp__table_glance() from any; the rest under the owner's lock.
 */
#ifndef SP_CACHE_TABLE_H
#define SP_CACHE_TABLE_H

#include "cache/kept.h"

enum { SP__TABLE_SEGMENTS = 40 };

struct sp__table_line;

struct sp__table {
        _Atomic(struct sp__table_line *) segments[SP__TABLE_SEGMENTS];
        _Atomic size_t mask; /* lines that hashes lead to, - 1 */
        struct sp__table_line *spare;
        uint64_t seed;
        size_t count;
        size_t bytes; /* of the lines */
        size_t load;  /* entries a line on average at which it doubles, in sixteenths */
};

/** `load` in sixteenths of an entry. false when out of memory. */
bool sp__table_init(struct sp__table *table, uint64_t seed, size_t load);
/** Of the lines alone: it is empty. */
void sp__table_destroy(struct sp__table *table);

/** May miss an entry that is there; `*pin` holds what it finds. */
struct sp__kept *sp__table_glance(struct sp__table *table, uint64_t hash, const void *key, size_t len, sp__pin **pin);
struct sp__kept *sp__table_find(struct sp__table *table, uint64_t hash, const void *key, size_t len);
/** By the low 32 bits of its hash, and its flags MAIN and SEEN. */
struct sp__kept *sp__table_find_mark(struct sp__table *table, uint32_t mark, uint8_t flags);
/** false when out of memory. */
bool sp__table_add(struct sp__table *table, uint64_t hash, struct sp__kept *kept);
/** It is in it. Nobody who looks from now on finds it. */
void sp__table_remove(struct sp__table *table, uint64_t hash, struct sp__kept *kept);
/** An entry's hash, of its key. */
uint64_t sp__table_hash(const struct sp__table *table, const struct sp__kept *kept);
/** Of all entries, in no order. */
void sp__table_each(struct sp__table *table, void (*call)(struct sp__kept *kept, void *arg), void *arg);
/** Any entry, NULL: there is none. `*place` is 0 at first; for taking all out. */
struct sp__kept *sp__table_any(struct sp__table *table, size_t *place);

#endif
