/* SPDX-License-Identifier: MIT */
/* The rows of a result by the text in one column: what was asked for with one array is handed out to those who wanted it. */
#include "base/hash.h"
#include "pg/result.h"

#include <stdlib.h>
#include <string.h>
#include <sugarperf/batch.h>

struct sp__index {
        size_t column;
        size_t mask;
        size_t *heads; /* a table of rows + 1, 0: vacant: the first with its text */
        size_t *next;  /* by row: the next with the same text, + 1 */
};

void sp__index_free(struct sp__index *index)
{
        if (!index)
                return;
        free(index->heads);
        free(index->next);
        free(index);
}

static bool is_text(const sp_result *result, size_t row, size_t column, const void *data, size_t len)
{
        size_t have;
        const void *cell = sp_result_get(result, row, column, &have);

        return cell && have == len && (len == 0 || memcmp(cell, data, len) == 0);
}

/* Where the text's first row stands, or is to be put. */
static size_t *slot_of(const struct sp__index *index, const sp_result *result, const void *data, size_t len)
{
        size_t at = (size_t)sp__hash(data, len, 0) & index->mask;

        while (index->heads[at] && !is_text(result, index->heads[at] - 1, index->column, data, len))
                at = (at + 1) & index->mask;
        return &index->heads[at];
}

/* Backwards, so that each finds the one after it at the head. */
static void fill(struct sp__index *index, const sp_result *result)
{
        for (size_t row = sp_result_rows(result); row-- > 0;) {
                size_t len, *slot;
                const void *data = sp_result_get(result, row, index->column, &len);

                if (!data)
                        continue;
                slot = slot_of(index, result, data, len);
                index->next[row] = *slot;
                *slot = row + 1;
        }
}

static struct sp__index *index_new(const sp_result *result, size_t column)
{
        struct sp__index *index = calloc(1, sizeof *index);
        size_t size = 16, rows = sp_result_rows(result);

        if (!index)
                return NULL;
        while (size < rows * 2)
                size *= 2;
        index->column = column;
        index->mask = size - 1;
        index->heads = calloc(size, sizeof *index->heads);
        index->next = calloc(rows ? rows : 1, sizeof *index->next);
        if (index->heads && index->next) {
                fill(index, result);
                return index;
        }
        sp__index_free(index);
        return NULL;
}

static size_t search(const sp_result *result, size_t column, const void *data, size_t len, size_t from)
{
        size_t rows = sp_result_rows(result);

        while (from < rows && !is_text(result, from, column, data, len))
                from++;
        return from;
}

size_t sp_result_find(const sp_result *result, size_t column, const void *data, size_t len, size_t from)
{
        struct sp__index **index = sp__result_index(result);
        size_t rows = sp_result_rows(result), at;

        if (column >= sp_result_columns(result) || from >= rows || !data)
                return rows;
        if (*index && (*index)->column != column) {
                sp__index_free(*index);
                *index = NULL;
        }
        if (!*index && !(*index = index_new(result, column)))
                return search(result, column, data, len, from);
        /* Who goes on from the one before need not begin at the first. */
        if (from > 0 && is_text(result, from - 1, column, data, len))
                at = (*index)->next[from - 1];
        else
                at = *slot_of(*index, result, data, len);
        while (at && at - 1 < from)
                at = (*index)->next[at - 1];
        return at ? at - 1 : rows;
}
