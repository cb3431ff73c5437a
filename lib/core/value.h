/* SPDX-License-Identifier: MIT */
/** Values: one allocation, the bytes behind the header. */
#ifndef SP_CORE_VALUE_H
#define SP_CORE_VALUE_H

#include <sugarperf/base.h>

/** A value whose `len` bytes the caller fills in before it shares it; NULL when out of memory. */
sp_value *sp__value_blank(size_t len, uint32_t codec, char **bytes);
/** Bytes of memory that the value takes. */
size_t sp__value_size(const sp_value *value);

#endif
