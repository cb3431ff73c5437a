/* SPDX-License-Identifier: MIT */
/* A name that is none: which one was probably meant. */
#include "core/config.h"

#include <ctype.h>
#include <string.h>

enum { FORM_MAX = 128 };

/* "pool.max" as "POOL_MAX". false: too long. */
static bool form_of(const char *name, char out[FORM_MAX])
{
        size_t n = 0;

        for (; name[n] && n < FORM_MAX - 1; n++)
                out[n] = name[n] == '.' ? '_' : (char)toupper((unsigned char)name[n]);
        out[n] = 0;
        return name[n] == 0;
}

/* Levenshtein's: how many letters must be put in, taken out or changed. */
static size_t distance(const char *one, const char *two)
{
        size_t row[FORM_MAX], len = strlen(two);

        for (size_t j = 0; j <= len; j++)
                row[j] = j;
        for (size_t i = 1; one[i - 1]; i++) {
                size_t corner = row[0]++;

                for (size_t j = 1; j <= len; j++) {
                        size_t changed = corner + (one[i - 1] != two[j - 1]);
                        size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

                        corner = row[j];
                        row[j] = changed < least ? changed : least;
                }
        }
        return row[len];
}

/* The last words of a name, as many as `like` has, behind at least one other than the noun's; NULL: it has not so many. */
static const char *last_words(const char *name, size_t noun, const char *like)
{
        const char *at = name + strlen(name);
        size_t words = 1;

        for (; *like; like++)
                words += *like == '_';
        while (words > 0 && at > name + noun + 1) {
                if (*--at == '_')
                        words--;
        }
        return words == 0 && at > name + noun + 1 ? at + 1 : NULL;
}

/* Whether it is nearer than what was found so far, and near enough to be meant. */
static bool nearer(const char *text, const char *form, size_t *least)
{
        size_t far = text ? distance(text, form) : *least;

        if (far >= *least || far > 1 + strlen(form) / 6)
                return false;
        *least = far;
        return true;
}

const struct sp__config_row *sp__config_guess(const char *name, size_t *kept)
{
        const struct sp__config_row *best = NULL;
        size_t least = FORM_MAX;
        char text[FORM_MAX], form[FORM_MAX];

        if (!form_of(name, text))
                return NULL;
        for (size_t i = 0; i < sp__config_rows; i++) {
                const struct sp__config_row *row = &sp__config_table[i];
                size_t noun = strcspn(row->name, ".");
                const char *tail = form + noun + 1, *end = NULL;

                form_of(row->name, form);
                if (row->instanced && strncmp(text, form, noun + 1) == 0)
                        end = last_words(text, noun, tail);
                if (nearer(text, form, &least)) {
                        best = row;
                        *kept = 0;
                }
                if (nearer(end, tail, &least)) {
                        best = row;
                        *kept = (size_t)(end - text);
                }
        }
        return best;
}
