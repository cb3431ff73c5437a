/* SPDX-License-Identifier: MIT */
#include "sql/reading.h"

#include "sql/words.h"

/* The first such word from `at` on that is in no brackets; where they end if there is none. "IS DISTINCT FROM" is another FROM. */
static size_t find(const struct sp__words *words, size_t at, const char *word)
{
        while (at < words->count &&
               (words->depth[at] != 0 || !sp__words_is(words, at, word) || sp__words_is(words, at - 1, "distinct")))
                at++;
        return at;
}

/* "FROM … WHERE …": its own table, and those that it is joined to, which stand behind `join`. */
static bool write_from(const struct sp__words *words, size_t table, size_t table_end, const char *join,
                       struct sp__buf *out)
{
        size_t where = find(words, table_end, "where"), end = find(words, where, "returning"),
               joined = find(words, table_end, join);

        if (table_end <= table || where >= words->count)
                return false;
        sp__buf_text(out, "SELECT * FROM ");
        sp__words_copy(words, table, table_end, out);
        if (joined < where) {
                sp__buf_text(out, ", ");
                sp__words_copy(words, joined + 1, where, out);
        }
        sp__buf_char(out, ' ');
        sp__words_copy(words, where, end, out);
        return !out->failed;
}

static bool write_reading(const struct sp__words *words, struct sp__buf *out)
{
        size_t where = find(words, 1, "where"), joined = find(words, 1, "using");

        if (sp__words_is(words, 0, "update"))
                return write_from(words, 1, find(words, 1, "set"), "from", out);
        if (sp__words_is(words, 0, "delete") && sp__words_is(words, 1, "from"))
                return write_from(words, 2, joined < where ? joined : where, "using", out);
        return false;
}

bool sp__sql_reading(const char *text, struct sp__buf *out)
{
        struct sp__words words;
        bool written;

        if (!sp__words_read(text, &words))
                return false;
        written = write_reading(&words, out);
        sp__words_free(&words);
        return written;
}
