/* SPDX-License-Identifier: MIT */
#include "sql/batched.h"

#include "sql/compared.h"
#include "sql/statement.h"
#include "sql/unite.h"

#include <string.h>

enum { VARIED_MAX = 32 };

static bool varied(unsigned number, uint32_t varies)
{
        return number > 0 && number <= VARIED_MAX && varies >> (number - 1) & 1;
}

/* Those of the parameters that vary which are compared for equality; where the last one stands, and how often they occur. */
static uint32_t by_equality(const struct sp__words *words, uint32_t varies, size_t *place, size_t *uses)
{
        uint32_t found = 0;

        *place = 0;
        *uses = 0;
        for (size_t at = 0; at < words->count; at++) {
                unsigned number = sp__words_param(words, at);

                if (!varied(number, varies))
                        continue;
                *uses += 1;
                *place = at;
                if (sp__sql_equals(words, at))
                        found |= (uint32_t)1 << (number - 1);
        }
        return found;
}

/* One pass answers for all values: nothing in it counts, cuts or sorts out what belongs to one. */
static bool plain(const struct sp__words *words)
{
        static const char *const cutting[] = {"limit",     "offset", "fetch", "group",  "having", "distinct", "union",
                                              "intersect", "except", "or",    "window", "with",   "case",     NULL};
        bool behind_from = false;

        for (size_t at = 0; at < words->count; at++) {
                if (words->depth[at] == 0 && sp__token_among(&words->all[at], words->text, cutting))
                        return false;
                if (words->depth[at] == 0 && sp__words_is(words, at, "from"))
                        behind_from = true;
                /* It may be an aggregate. */
                if (!behind_from && at > 0 && sp__words_mark(words, at, '('))
                        return false;
        }
        return behind_from;
}

static bool same(const struct sp__words *words, size_t a, size_t b)
{
        const struct sp__token *x = &words->all[a], *y = &words->all[b];

        return x->end - x->start == y->end - y->start &&
               memcmp(words->text + x->start, words->text + y->start, x->end - x->start) == 0;
}

/* Whether the rows already tell which value they belong to. */
static bool selected(const struct sp__words *words, const struct sp__equality *equality)
{
        for (size_t at = 1; at < words->count && !(words->depth[at] == 0 && sp__words_is(words, at, "from")); at++) {
                bool whole = !sp__words_mark(words, at + 1, '.') && !sp__words_is(words, at + 1, "as");

                bool alone = at == 1 || sp__words_mark(words, at - 1, ',') || sp__words_mark(words, at - 1, '.');
                bool star = alone && sp__words_mark(words, at, '*');

                if (star || (whole && same(words, at, equality->column_end - 1)))
                        return true;
        }
        return false;
}

/* Only "column = $1", which is how most write it, reads well the other way round. "$1::text" becomes "$1::text[]". */
static void write_any(const struct sp__words *words, const struct sp__equality *equality, struct sp__buf *out)
{
        bool cast = equality->value_end > equality->value + 1;

        sp__words_copy(words, 0, 1, out);
        sp__buf_char(out, ' ');
        if (sp__words_is(words, 0, "select") && !selected(words, equality)) {
                sp__words_copy(words, equality->column, equality->column_end, out);
                sp__buf_text(out, ", ");
        }
        sp__words_copy(words, 1, equality->from, out);
        sp__buf_char(out, ' ');
        sp__words_copy(words, equality->column, equality->column_end, out);
        sp__buf_text(out, " = ANY(");
        sp__words_copy(words, equality->value, equality->value_end, out);
        sp__buf_text(out, cast ? "[]) " : ") ");
        sp__words_copy(words, equality->to, words->count, out);
}

static void write_list(uint32_t varies, const char *before, const char *behind, struct sp__buf *out)
{
        const char *comma = "";

        for (unsigned number = 1; number <= VARIED_MAX; number++) {
                if (!varied(number, varies))
                        continue;
                sp__buf_format(out, "%s%s%u%s", comma, before, number, behind);
                comma = ", ";
        }
}

/* As far from its neighbours as the parameter in its place. */
static void write_key(const struct sp__words *words, size_t at, struct sp__buf *out)
{
        const struct sp__token *token = &words->all[at];

        if (at > 0 && words->all[at - 1].end < token->start)
                sp__buf_char(out, ' ');
        sp__buf_format(out, "\"batch\".\"k%u\"", sp__words_param(words, at));
        if (at + 1 < words->count && token->end < words->all[at + 1].start)
                sp__buf_char(out, ' ');
}

static void write_lateral(const struct sp__words *words, uint32_t varies, struct sp__buf *out)
{
        size_t done = 0;

        sp__buf_text(out, "SELECT ");
        write_list(varies, "\"batch\".\"k", "\"", out);
        sp__buf_text(out, ", \"one\".* FROM unnest(");
        write_list(varies, "$", "::\"type\"[]", out);
        sp__buf_text(out, ") AS \"batch\" (");
        write_list(varies, "\"k", "\"", out);
        sp__buf_text(out, "), LATERAL (");
        for (size_t at = 0; at < words->count; at++) {
                if (!varied(sp__words_param(words, at), varies))
                        continue;
                sp__words_copy(words, done, at, out);
                write_key(words, at, out);
                done = at + 1;
        }
        sp__words_copy(words, done, words->count, out);
        sp__buf_text(out, ") AS \"one\"");
}

/* One that PostgreSQL takes in brackets: what writes stands by itself. */
static bool asks(const struct sp__words *words)
{
        static const char *const writing[] = {"insert", "update", "delete", "merge", NULL};

        if (sp__words_is(words, 0, "select") || sp__words_mark(words, 0, '('))
                return true;
        for (size_t at = 1; sp__words_is(words, 0, "with") && at < words->count; at++) {
                if (sp__words_mark(words, at - 1, '(') && sp__token_among(&words->all[at], words->text, writing))
                        return false;
        }
        return sp__words_is(words, 0, "with");
}

static enum sp__batched choose(const struct sp__words *words, uint32_t varies, struct sp__buf *raw)
{
        struct sp__equality equality;
        size_t place, uses;
        uint32_t found = by_equality(words, varies, &place, &uses);
        bool deletes = sp__words_is(words, 0, "delete");

        if (sp__words_is(words, 0, "insert") || (sp__words_is(words, 0, "update") && found))
                return SP__BATCHED_SETS;
        if (!found || found != varies)
                return SP__BATCHED_NONE;
        if (uses == 1 && sp__sql_equality(words, place, &equality) &&
            (sp__words_is(words, 0, "select") ? plain(words) : deletes))
                write_any(words, &equality, raw);
        else if (asks(words))
                write_lateral(words, varies, raw);
        else
                return SP__BATCHED_SETS;
        return SP__BATCHED_TEXT;
}

/* Through the parser: it is a statement, and its literals go. */
static bool normalise(struct sp__buf *raw, struct sp__buf *out)
{
        struct sp__sql sql;

        sp__buf_char(raw, 0);
        if (raw->failed || sp__sql_parse(raw->data, raw->len - 1, &sql, NULL) != SP_OK)
                return false;
        sp__buf_text(out, sql.text);
        sp__sql_free(&sql);
        return true;
}

static enum sp__batched batched_of(const char *text, uint32_t varies, struct sp__buf *out)
{
        struct sp__words words;
        struct sp__buf raw = SP__BUF_INIT;
        enum sp__batched batched = SP__BATCHED_NONE;

        if (!varies || !sp__words_read(text, &words))
                return SP__BATCHED_NONE;
        batched = choose(&words, varies, &raw);
        if (batched == SP__BATCHED_TEXT && !normalise(&raw, out))
                batched = SP__BATCHED_NONE;
        sp__buf_free(&raw);
        sp__words_free(&words);
        return batched;
}

enum sp__batched sp__sql_batched(const char *text, const char *other, uint32_t varies, struct sp__buf *out)
{
        struct sp__buf united = SP__BUF_INIT;
        uint32_t all = varies;
        enum sp__batched batched;

        /* What is written otherwise besides, with other aliases, is judged by its parameters alone. */
        if (other && sp__sql_unite(text, other, &all, &united))
                batched = batched_of(united.data, all, out);
        else
                batched = batched_of(text, varies, out);
        sp__buf_free(&united);
        return batched;
}
