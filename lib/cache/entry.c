/* SPDX-License-Identifier: MIT */
#include "cache/entry.h"

#include "core/value.h"

#include <lz4.h>
#include <string.h>

/* A block of LZ4 unpacks to 255 times its length at most; nobody's bytes make us allocate more. */
enum { HEAD = 48, TAG = 8, WHOLE = 4, RATIO_MOST = 255, ENDS = 0x8000 };

static void put_head(const struct sp__entry *entry, unsigned packing, struct sp__buf *out)
{
        const char format = packing == SP__PACKING_NONE ? 1 : 2;
        const char head[] = {'S',
                             'P',
                             format,
                             (char)entry->codec,
                             (char)entry->tag_count,
                             (char)packing,
                             (char)entry->load_ms,
                             (char)(entry->load_ms >> 8 | (entry->ends ? ENDS >> 8 : 0))};

        sp__buf_add(out, head, sizeof head);
        sp__buf_u64(out, entry->e);
        sp__buf_u64(out, (uint64_t)entry->v0);
        sp__buf_u64(out, (uint64_t)entry->made);
        sp__buf_u64(out, (uint64_t)entry->fresh_until);
        sp__buf_u64(out, (uint64_t)entry->kept_until);
        for (unsigned i = 0; i < entry->tag_count; i++)
                sp__buf_u64(out, entry->tags[i]);
}

/* What is written behind the head; false where it would not be worth it. */
static bool put_packed(const struct sp__entry *entry, struct sp__buf *out)
{
        size_t most = entry->len - entry->len / 8;
        char *at;
        int len;

        if (most <= WHOLE || entry->len > LZ4_MAX_INPUT_SIZE || !(at = sp__buf_room(out, most)))
                return false;
        len = LZ4_compress_default(entry->data, at + WHOLE, (int)entry->len, (int)(most - WHOLE));
        if (len <= 0)
                return false;
        for (int i = 0; i < WHOLE; i++)
                at[i] = (char)(entry->len >> 8 * i);
        out->len += WHOLE + (size_t)len;
        return true;
}

void sp__entry_encode(const struct sp__entry *entry, size_t pack_from, struct sp__buf *out)
{
        size_t start = out->len;

        sp__buf_room(out, HEAD + entry->tag_count * TAG + entry->len);
        if (pack_from > 0 && entry->len >= pack_from) {
                put_head(entry, SP__PACKING_LZ4, out);
                if (!out->failed && put_packed(entry, out))
                        return;
                out->len = start;
        }
        put_head(entry, SP__PACKING_NONE, out);
        sp__buf_add(out, entry->data, entry->len);
}

static bool read_packed(struct sp__entry *entry)
{
        if (entry->len < WHOLE)
                return false;
        entry->whole = sp__get_u32(entry->data);
        entry->data += WHOLE;
        entry->len -= WHOLE;
        return entry->whole <= LZ4_MAX_INPUT_SIZE && entry->whole / RATIO_MOST <= entry->len;
}

static bool is_time(int64_t ms)
{
        return ms >= 0 && ms <= SP__ENTRY_TIME_MOST;
}

bool sp__entry_head(const void *data, size_t len, struct sp__entry *out)
{
        const uint8_t *head = data;
        size_t body;

        if (len < HEAD || head[0] != 'S' || head[1] != 'P' || head[2] == 0 || head[2] > SP__ENTRY_FORMAT ||
            head[4] > SP__ENTRY_TAGS || len < HEAD + (size_t)head[4] * TAG || head[5] != head[2] - 1)
                return false;
        body = HEAD + (size_t)head[4] * TAG;
        *out = (struct sp__entry){.codec = head[3],
                                  .tag_count = head[4],
                                  .packing = head[5],
                                  .load_ms = (uint16_t)((head[6] | head[7] << 8) & ~ENDS),
                                  .ends = head[7] & ENDS >> 8,
                                  .e = sp__get_u64(head + 8),
                                  .v0 = (int64_t)sp__get_u64(head + 16),
                                  .made = (int64_t)sp__get_u64(head + 24),
                                  .fresh_until = (int64_t)sp__get_u64(head + 32),
                                  .kept_until = (int64_t)sp__get_u64(head + 40),
                                  .data = (const char *)data + body,
                                  .len = len - body,
                                  .whole = len - body};
        for (unsigned i = 0; i < out->tag_count; i++)
                out->tags[i] = sp__get_u64(head + HEAD + (size_t)i * TAG);
        return is_time(out->made) && is_time(out->fresh_until) && is_time(out->kept_until);
}

enum sp__entry_kind sp__entry_decode(const void *data, size_t len, struct sp__entry *out)
{
        const uint8_t *head = data;
        struct sp__entry entry;

        if (len >= 3 && head[0] == 'S' && head[1] == 'P' && head[2] > SP__ENTRY_FORMAT)
                return SP__ENTRY_NEWER;
        if (!sp__entry_head(data, len, &entry) || (entry.packing != SP__PACKING_NONE && !read_packed(&entry)))
                return SP__ENTRY_FOREIGN;
        *out = entry;
        return SP__ENTRY_GOOD;
}

sp_value *sp__entry_value(const struct sp__entry *entry)
{
        sp_value *value;
        char *bytes;

        if (entry->packing == SP__PACKING_NONE)
                return sp_value_new(entry->data, entry->len, entry->codec);
        value = sp__value_blank(entry->whole, entry->codec, &bytes);
        if (value && LZ4_decompress_safe(entry->data, bytes, (int)entry->len, (int)entry->whole) == (int)entry->whole)
                return value;
        sp_value_unref(value);
        return NULL;
}
