/* SPDX-License-Identifier: MIT */
/* Whatever lies in Redis is read without harm, and what was read is written back as it was. */
#include "fuzz.h"
#include "holds.h"

#include "cache/entry.h"

#include <string.h>

#define HEAD "\1\2\3\4\5\6\7\10\11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0"
static const char plain[] = "SP\1\3\0\0\0\0" HEAD "{\"a\":1}";
static const char tagged[] = "SP\1\2\2\0\0\0" HEAD "TAG-ONE.TAG-TWO.value";
static const char packed[] = "SP\2\2\0\1\0\0" HEAD "\70\0\0\0\x1f"
                             "a\1\0\40PPaaaaa";
static const char newer[] = "SP\3 whatever";
static const char json[] = "{\"another\":\"program's\"}";

const char fuzz_name[] = "entry";
const struct fuzz_seed fuzz_seeds[] = {
    {plain, sizeof plain - 1}, {tagged, sizeof tagged - 1}, {packed, sizeof packed - 1},
    {newer, sizeof newer - 1}, {json, sizeof json - 1},     {NULL, 0},
};

static void write_back(const struct sp__entry *entry, const sp_value *value)
{
        struct sp__entry whole = *entry, again;
        struct sp__buf buf = SP__BUF_INIT;
        sp_value *same;
        size_t len, len_again;

        whole.data = sp_value_data(value, &whole.len);
        sp__entry_encode(&whole, 1, &buf);
        FUZZ_HOLDS(!buf.failed && sp__entry_decode(buf.data, buf.len, &again) == SP__ENTRY_GOOD);
        FUZZ_HOLDS(again.e == entry->e && again.v0 == entry->v0 && again.tag_count == entry->tag_count);
        same = sp__entry_value(&again);
        FUZZ_HOLDS(same && sp_value_codec(same) == sp_value_codec(value));
        FUZZ_HOLDS(memcmp(sp_value_data(same, &len_again), sp_value_data(value, &len), whole.len) == 0);
        FUZZ_HOLDS(len == len_again);
        sp_value_unref(same);
        sp__buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct sp__entry entry;
        sp_value *value = NULL, *text = NULL;

        if (sp__entry_decode(data, len, &entry) == SP__ENTRY_GOOD && (value = sp__entry_value(&entry)) != NULL)
                write_back(&entry, value);
        FUZZ_HOLDS((sp_cache_inspect(data, len, &text) == SP_OK) == (value != NULL));
        sp_value_unref(value);
        sp_value_unref(text);
        return 0;
}
