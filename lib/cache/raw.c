/* SPDX-License-Identifier: MIT */
#include "cache/raw.h"

#include "cache/scripts.h"

#include <string.h>

void sp__raw_see(struct sp__flight *flight, const char *bytes, size_t len)
{
        flight->seen[0] = 0;
        if (bytes)
                sp__sha1_hex(bytes, len, flight->seen);
}

bool sp__raw_take(struct sp__flight *flight, const char *bytes, size_t len)
{
        sp_value *value = sp_value_new(bytes, len, flight->form);

        if (!value)
                return false;
        sp__flight_forget(flight);
        flight->found = (struct sp__item){.value = value,
                                          .declared = flight->declared,
                                          .fresh_until = SP__FOREVER,
                                          .kept_until = SP__FOREVER,
                                          .tag_count = (unsigned)flight->tag_count};
        memcpy(flight->found.tags, flight->tags, flight->tag_count * sizeof *flight->tags);
        return true;
}
