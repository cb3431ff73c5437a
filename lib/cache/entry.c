/* SPDX-License-Identifier: MIT */
#include "cache/entry.h"

#include <string.h>

enum { HEAD = 48, TAG = 8 };

static void put_head(const struct sp__entry *entry, struct sp__buf *out)
{
        const char head[] = {'S', 'P', SP__ENTRY_FORMAT, (char)entry->codec, (char)entry->tag_count, 0,
                             (char)entry->load_ms, (char)(entry->load_ms >> 8)};

        sp__buf_add(out, head, sizeof head);
        sp__buf_u64(out, entry->e);
        sp__buf_u64(out, (uint64_t)entry->v0);
        sp__buf_u64(out, (uint64_t)entry->made);
        sp__buf_u64(out, (uint64_t)entry->fresh_until);
        sp__buf_u64(out, (uint64_t)entry->kept_until);
}

void sp__entry_encode(const struct sp__entry *entry, struct sp__buf *out)
{
        sp__buf_room(out, HEAD + entry->tag_count * TAG + entry->len);
        put_head(entry, out);
        for (unsigned i = 0; i < entry->tag_count; i++)
                sp__buf_u64(out, entry->tags[i]);
        sp__buf_add(out, entry->data, entry->len);
}

enum sp__entry_kind sp__entry_decode(const void *data, size_t len, struct sp__entry *out)
{
        const uint8_t *head = data;
        size_t body;

        if (len < 3 || head[0] != 'S' || head[1] != 'P' || head[2] == 0)
                return SP__ENTRY_FOREIGN;
        if (head[2] > SP__ENTRY_FORMAT)
                return SP__ENTRY_NEWER;
        if (len < HEAD || head[4] > SP__ENTRY_TAGS || len < HEAD + (size_t)head[4] * TAG)
                return SP__ENTRY_FOREIGN;
        body = HEAD + (size_t)head[4] * TAG;
        *out = (struct sp__entry){.codec = head[3],
                                  .tag_count = head[4],
                                  .load_ms = (uint16_t)(head[6] | head[7] << 8),
                                  .e = sp__get_u64(head + 8),
                                  .v0 = (int64_t)sp__get_u64(head + 16),
                                  .made = (int64_t)sp__get_u64(head + 24),
                                  .fresh_until = (int64_t)sp__get_u64(head + 32),
                                  .kept_until = (int64_t)sp__get_u64(head + 40),
                                  .data = (const char *)data + body,
                                  .len = len - body};
        for (unsigned i = 0; i < out->tag_count; i++)
                out->tags[i] = sp__get_u64(head + HEAD + (size_t)i * TAG);
        return SP__ENTRY_GOOD;
}
