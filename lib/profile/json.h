/* SPDX-License-Identifier: MIT */
/** Members of a JSON object, each with a comma before it: `,"name":…`. */
#ifndef SP_PROFILE_JSON_H
#define SP_PROFILE_JSON_H

#include "base/buf.h"

#include <string.h>

static inline void sp__json_text(struct sp__buf *out, const char *name, const char *text)
{
        sp__buf_format(out, ",\"%s\":", name);
        sp__buf_json(out, text, strlen(text));
}

/** Finite, with so many digits behind the point. */
static inline void sp__json_number(struct sp__buf *out, const char *name, double value, int digits)
{
        sp__buf_format(out, ",\"%s\":", name);
        sp__buf_fixed(out, value, digits);
}

#endif
