/* SPDX-License-Identifier: MIT */
/* What keys are called in Redis, and the numbers by which the log knows them. */
#include "cache/cache.h"

#include "base/hash.h"
#include "redis/slot.h"

#include <string.h>

/* The seeds keep the three kinds apart. They are part of the format: every process must come to the same numbers. */
static uint64_t tag_of(const void *data, size_t len, uint64_t seed)
{
        uint64_t tag = sp__hash(data, len, seed);

        return tag ? tag : 1;
}

uint64_t sp__tag_of_key(const void *data, size_t len)
{
        return tag_of(data, len, 'k');
}

uint64_t sp__tag_of_pattern(const void *data, size_t len)
{
        return tag_of(data, len, 'p');
}

uint64_t sp__tag_of_name(const void *data, size_t len)
{
        return tag_of(data, len, 't');
}

size_t sp__cache_tags(sp_cache *cache, const void *key, size_t len, uint64_t *tags, const sp_template **tmpl)
{
        struct sp__tags texts;
        size_t count = 0;

        *tmpl = sp__keys_tags(cache->keys, key, len, &texts);
        tags[count++] = sp__tag_of_key(key, len);
        for (size_t i = 0; i < texts.count; i++)
                tags[count++] = sp__tag_of_pattern(texts.bytes + texts.tags[i].at, texts.tags[i].len);
        return count;
}

static size_t add(char *out, size_t at, const void *data, size_t len)
{
        memcpy(out + at, data, len);
        return at + len;
}

bool sp__cache_is_raw(const sp_cache *cache, const void *key, size_t len)
{
        const sp_template *tmpl;

        if (!atomic_load_explicit(&((sp_cache *)(uintptr_t)cache)->raws, memory_order_relaxed))
                return false;
        tmpl = sp__keys_find(cache->keys, key, len);
        return tmpl && sp__template_raw(tmpl);
}

size_t sp__cache_entry_name(const sp_cache *cache, const void *key, size_t len, char *out)
{
        size_t at = sp__cache_is_raw(cache, key, len) ? 0 : add(out, 0, cache->prefix, cache->prefix_len);

        return add(out, at, key, len);
}

/* {..}, which has the slot of the entry's name. */
static size_t add_tag_of_slot(const sp_cache *cache, const void *key, size_t len, char *out)
{
        int slot = sp__slot_of(out, sp__cache_entry_name(cache, key, len, out));

        out[0] = '{';
        sp__slot_bytes(slot, out + 1);
        out[3] = '}';
        return 4;
}

/*
 * {namespace:key}:l, of a raw key {key}:namespace:l. A key with a closing brace cannot stand in braces: with a hash tag of its own
 * it is }namespace:key:l, without one {..}namespace:key:l with two bytes of its slot. No entry is called so: a namespace has no
 * braces, and a raw key begins with a template's text, which has none either.
 */
size_t sp__cache_lease_name(const sp_cache *cache, const void *key, size_t len, char *out)
{
        bool wrapped = memchr(key, '}', len) == NULL, raw = sp__cache_is_raw(cache, key, len);
        size_t at = 0;

        if (wrapped)
                out[at++] = '{';
        else if (sp__slot_tagged(key, len))
                out[at++] = '}';
        else
                at = add_tag_of_slot(cache, key, len, out);
        at += sp__cache_entry_name(cache, key, len, out + at);
        if (wrapped)
                out[at++] = '}';
        if (raw) {
                out[at++] = ':';
                at = add(out, at, cache->prefix, cache->prefix_len - 1);
        }
        return add(out, at, ":l", 2);
}
