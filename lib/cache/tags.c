/* SPDX-License-Identifier: MIT */
/* What keys are called in Redis, and the numbers by which the log knows them. */
#include "cache/cache.h"

#include "base/hash.h"

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

/* {namespace:key}:l, of a raw key {key}:namespace:l; without braces where the key has them. */
size_t sp__cache_lease_name(const sp_cache *cache, const void *key, size_t len, char *out)
{
        bool braced = memchr(key, '{', len) != NULL, raw = sp__cache_is_raw(cache, key, len);
        size_t at = 0;

        if (!braced)
                out[at++] = '{';
        if (!raw)
                at = add(out, at, cache->prefix, cache->prefix_len);
        at = add(out, at, key, len);
        if (!braced)
                out[at++] = '}';
        if (raw) {
                out[at++] = ':';
                at = add(out, at, cache->prefix, cache->prefix_len - 1);
        }
        return add(out, at, ":l", 2);
}
