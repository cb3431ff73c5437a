/* SPDX-License-Identifier: MIT */
#include "sql/bounded.h"

#include "sql/words.h"

#include <inttypes.h>

enum { NUMBERS = 256 };

/* A parameter's new number; the first that is seen becomes $1. 0: there are too many. */
static int renumber(unsigned old[NUMBERS], int *count, unsigned number)
{
        for (int i = 0; i < *count; i++) {
                if (old[i] == number)
                        return i + 1;
        }
        if (*count == NUMBERS)
                return 0;
        old[(*count)++] = number;
        return *count;
}

/* "LIMIT $1", and "LIMIT $1::bigint". */
static bool limit(const struct sp__words *words, size_t at)
{
        return at > 0 && sp__words_is(words, at - 1, "limit");
}

int sp__sql_bounded(const char *text, int64_t rows, struct sp__buf *out)
{
        unsigned old[NUMBERS];
        struct sp__words words;
        size_t done = 0;
        int count = 0;

        if (!sp__words_read(text, &words))
                return -1;
        for (size_t at = 0; at < words.count; at++) {
                unsigned number = sp__words_param(&words, at);

                if (!number)
                        continue;
                sp__words_copy(&words, done, at, out);
                done = at + 1;
                if (limit(&words, at))
                        sp__buf_format(out, " %" PRId64 " ", rows);
                else
                        sp__buf_format(out, " $%d ", renumber(old, &count, number));
        }
        sp__words_copy(&words, done, words.count, out);
        sp__buf_char(out, 0);
        sp__words_free(&words);
        return out->failed ? -1 : count;
}
