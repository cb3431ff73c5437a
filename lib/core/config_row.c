/* SPDX-License-Identifier: MIT */
/* The table as tools see it. */
#include "core/config.h"

static const struct sp__config_row *row(size_t index)
{
        return index < sp__config_rows ? &sp__config_table[index] : NULL;
}

const char *sp_config_row_name(size_t index)
{
        return row(index) ? row(index)->name : NULL;
}

const char *sp_config_row_type(size_t index)
{
        static const char *const names[] = {"integer", "duration", "size", "boolean",
                                            "text",    "secret",   "URL",  "choice"};

        return row(index) ? names[row(index)->type] : NULL;
}

const char *sp_config_row_default(size_t index)
{
        return row(index) ? row(index)->fallback : NULL;
}

const char *sp_config_row_range(size_t index)
{
        return row(index) ? row(index)->range : NULL;
}

const char *sp_config_row_help(size_t index)
{
        return row(index) ? row(index)->help : NULL;
}
