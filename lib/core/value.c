/* SPDX-License-Identifier: MIT */
#include "core/value.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct sp_value {
        atomic_uint refs;
        uint32_t codec;
        size_t len;
        char bytes[];
};

sp_value *sp__value_blank(size_t len, uint32_t codec, char **bytes)
{
        sp_value *value = malloc(sizeof *value + len + 1);

        if (!value)
                return NULL;
        atomic_init(&value->refs, 1);
        value->codec = codec;
        value->len = len;
        value->bytes[len] = 0;
        *bytes = value->bytes;
        return value;
}

size_t sp__value_size(const sp_value *value)
{
        return sizeof *value + value->len + 1;
}

sp_value *sp_value_new(const void *data, size_t len, uint32_t codec)
{
        char *bytes;
        sp_value *value = data || len == 0 ? sp__value_blank(len, codec, &bytes) : NULL;

        if (value && len)
                memcpy(bytes, data, len);
        return value;
}

sp_value *sp_value_ref(sp_value *value)
{
        if (value)
                atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
        return value;
}

void sp_value_unref(sp_value *value)
{
        if (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1)
                free(value);
}

const void *sp_value_data(const sp_value *value, size_t *len)
{
        *len = value->len;
        return value->bytes;
}

uint32_t sp_value_codec(const sp_value *value)
{
        return value->codec;
}
