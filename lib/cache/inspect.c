/* SPDX-License-Identifier: MIT */
/* An entry as it lies in Redis, for people. */
#include "cache/entry.h"

#include "core/error.h"

#include <inttypes.h>

static void write_entry(const struct sp__entry *entry, int format, size_t bytes, struct sp__buf *out)
{
        sp__buf_format(out, "{\"format\":%d,\"codec\":%u,\"epoch\":\"%016" PRIx64 "\",\"v0\":%" PRId64, format,
                       (unsigned)entry->codec, entry->e, entry->v0);
        sp__buf_format(out, ",\"made\":%" PRId64 ",\"fresh_until\":%" PRId64 ",\"kept_until\":%" PRId64 ",\"tags\":[",
                       entry->made, entry->fresh_until, entry->kept_until);
        for (unsigned i = 0; i < entry->tag_count; i++)
                sp__buf_format(out, "%s\"%016" PRIx64 "\"", i ? "," : "", entry->tags[i]);
        sp__buf_format(out, "],\"packing\":\"%s\",\"bytes\":%zu,\"value_bytes\":%zu}",
                       entry->packing == SP__PACKING_LZ4 ? "lz4" : "none", bytes, entry->whole);
}

sp_status sp_cache_inspect(const void *data, size_t len, sp_value **out)
{
        struct sp__buf text = SP__BUF_INIT;
        struct sp__entry entry;
        enum sp__entry_kind kind = data ? sp__entry_decode(data, len, &entry) : SP__ENTRY_FOREIGN;
        sp_value *value;

        SP__NEED(out, NULL);
        if (kind != SP__ENTRY_GOOD)
                return kind == SP__ENTRY_NEWER ? SP_UNSUPPORTED : SP_NOT_FOUND;
        value = sp__entry_value(&entry);
        if (!value)
                return SP_PROTOCOL;
        sp_value_unref(value);
        write_entry(&entry, ((const uint8_t *)data)[2], len, &text);
        value = text.failed ? NULL : sp_value_new(text.data, text.len, SP_CODEC_JSON);
        sp__buf_free(&text);
        if (!value)
                return SP_NOMEM;
        *out = value;
        return SP_OK;
}
