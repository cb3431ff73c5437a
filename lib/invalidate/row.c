/* SPDX-License-Identifier: MIT */
#include "core/error.h"
#include "invalidate/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one column, as far as it was told. Values stand in the row's bytes. */
struct told {
        char name[SP__RULE_NAME_MAX + 1];
        bool has_now, now_null, has_was, was_null, changed;
        size_t now_at, now_len, was_at, was_len;
};

struct sp_row {
        int change;
        char schema[SP__RULE_NAME_MAX + 1], name[SP__RULE_NAME_MAX + 1];
        bool listed; /* which columns changed was told */
        sp_status refused;
        char refused_name[SP__RULE_NAME_MAX + 1];
        struct sp__buf bytes;
        size_t count;
        struct told columns[SP_ROW_COLUMNS_MAX];
};

static bool take_name(char *out, const char *from, size_t len)
{
        if (len == 0 || len > SP__RULE_NAME_MAX)
                return false;
        memcpy(out, from, len);
        out[len] = 0;
        return true;
}

sp_row *sp_row_new(const char *table, int change)
{
        const char *point = table ? strchr(table, '.') : NULL, *name = point ? point + 1 : table;
        sp_row *row = calloc(1, sizeof *row);

        if (!row)
                return NULL;
        row->change = change;
        if (name && change >= SP_ROW_INSERT && change <= SP_ROW_TRUNCATE && take_name(row->name, name, strlen(name)) &&
            take_name(row->schema, point ? table : "public", point ? (size_t)(point - table) : 6))
                return row;
        free(row);
        return NULL;
}

void sp_row_free(sp_row *row)
{
        if (!row)
                return;
        sp__buf_free(&row->bytes);
        free(row);
}

/* The first refusal stands. */
static sp_status refuse(sp_row *row, sp_status status, const char *column)
{
        if (row->refused == SP_OK) {
                row->refused = status;
                strncpy(row->refused_name, column ? column : "", SP__RULE_NAME_MAX);
        }
        return status;
}

static struct told *column_of(sp_row *row, const char *column)
{
        for (size_t i = 0; i < row->count; i++) {
                if (strcmp(row->columns[i].name, column) == 0)
                        return &row->columns[i];
        }
        if (row->count == SP_ROW_COLUMNS_MAX || !take_name(row->columns[row->count].name, column, strlen(column)))
                return NULL;
        return &row->columns[row->count++];
}

static sp_status put(sp_row *row, const char *column, const void *data, size_t len, bool was)
{
        struct told *told;
        size_t at;

        if (!row)
                return SP_INVALID;
        if (!column || (!data && len > 0))
                return refuse(row, SP_INVALID, column);
        if (len > SP_ROW_VALUE_MAX || !(told = column_of(row, column)))
                return refuse(row, SP_LIMIT, column);
        at = row->bytes.len;
        sp__buf_add(&row->bytes, data ? data : "", len);
        if (row->bytes.failed)
                return refuse(row, SP_NOMEM, column);
        if (was) {
                told->has_was = true;
                told->was_null = !data;
                told->was_at = at;
                told->was_len = len;
        } else {
                told->has_now = true;
                told->now_null = !data;
                told->now_at = at;
                told->now_len = len;
        }
        return SP_OK;
}

sp_status sp_row_set(sp_row *row, const char *column, const void *data, size_t len)
{
        return put(row, column, data, len, false);
}

sp_status sp_row_was(sp_row *row, const char *column, const void *data, size_t len)
{
        return put(row, column, data, len, true);
}

sp_status sp_row_changed(sp_row *row, const char *column)
{
        struct told *told;

        if (!row)
                return SP_INVALID;
        if (!column)
                return refuse(row, SP_INVALID, column);
        told = column_of(row, column);
        if (!told)
                return refuse(row, SP_LIMIT, column);
        told->changed = row->listed = true;
        return SP_OK;
}

static struct sp__cell cell(const sp_row *row, bool null, size_t at, size_t len)
{
        if (null)
                return (struct sp__cell){SP__CELL_NULL, NULL, 0};
        return (struct sp__cell){SP__CELL_TEXT, row->bytes.data ? row->bytes.data + at : "", len};
}

/* For "when": whether it may have changed. For keys: what it was, where nothing was told the same. */
static void find_cells(const sp_row *row, const char *name, struct sp__cell *now, struct sp__cell *was)
{
        const struct told *told = NULL;

        for (size_t i = 0; i < row->count && !told; i++)
                told = strcmp(row->columns[i].name, name) == 0 ? &row->columns[i] : NULL;
        *now = *was = (struct sp__cell){SP__CELL_UNKNOWN, NULL, 0};
        if (told && told->has_now)
                *now = cell(row, told->now_null, told->now_at, told->now_len);
        if (told && told->has_was)
                *was = cell(row, told->was_null, told->was_at, told->was_len);
        if (row->change == SP_ROW_DELETE && was->state == SP__CELL_UNKNOWN)
                *was = *now;
        if (row->change != SP_ROW_UPDATE || was->state != SP__CELL_UNKNOWN || (told && told->changed))
                return;
        if (row->listed)
                was->state = SP__CELL_SAME;
        else if (now->state != SP__CELL_UNKNOWN)
                was->state = SP__CELL_ASSUMED;
}

static sp_status tell_refused(const sp_row *row, sp_error **error)
{
        switch (row->refused) {
        case SP_OK:
                return SP_OK;
        case SP_LIMIT:
                return sp__fail(error, SP_LIMIT,
                                "column \"%s\" of a row was refused (at most %d columns, %d bytes a name, %d a value): "
                                "nothing is invalidated",
                                row->refused_name, SP_ROW_COLUMNS_MAX, SP__RULE_NAME_MAX, SP_ROW_VALUE_MAX);
        case SP_INVALID:
                return sp__fail(error, SP_INVALID, "a column of a row has no name or no data: nothing is invalidated");
        default:
                return sp__fail(error, row->refused, "%s", sp_status_text(row->refused));
        }
}

sp_status sp__row_change(const sp_row *row, const sp_rules *rules, struct sp__row_cells *cells,
                         struct sp__change *change, sp_error **error)
{
        const struct sp__ruled *table = sp__rules_table(rules, row->schema, row->name);
        sp_status status = tell_refused(row, error);

        *change = (struct sp__change){table, row->change, cells->now, cells->was};
        for (size_t i = 0; status == SP_OK && table && i < table->column_count; i++)
                find_cells(row, table->columns[i], &cells->now[i], &cells->was[i]);
        return status;
}

void sp__row_name(const sp_row *row, struct sp__buf *out)
{
        char name[2 * SP__RULE_NAME_MAX + 2];
        int len = snprintf(name, sizeof name, "%s.%s", row->schema, row->name);

        sp__buf_json(out, name, (size_t)len);
}

const char *sp__change_word(int kind)
{
        static const char *const words[] = {"?", "insert", "update", "delete", "truncate"};

        return kind >= SP_ROW_INSERT && kind <= SP_ROW_TRUNCATE ? words[kind] : words[0];
}
