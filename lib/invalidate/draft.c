/* SPDX-License-Identifier: MIT */
#include "invalidate/draft.h"

#include "core/error.h"

#include <string.h>

enum { SHOWN_MAX = 64 };

static const char arrow_utf8[] = "\xe2\x86\x92";

static sp_status wrong(const struct sp__draft_reader *reader, sp_status status, const char *what, const char *at,
                       size_t len, const char *fix)
{
        char shown[SHOWN_MAX + 1];
        size_t n = 0;

        for (; n < len && n < SHOWN_MAX && at[n]; n++)
                shown[n] = (unsigned char)at[n] < ' ' || at[n] == 127 ? '?' : at[n];
        shown[n] = 0;
        return sp__fail(reader->error, status, "%.128s:%u: %s%s%s%s: %s", reader->source, reader->line, what,
                        len ? " \"" : "", shown, len ? "\"" : "", fix);
}

/* What stands here, up to the next blank. */
static size_t rest_of_word(const struct sp__draft_reader *reader)
{
        size_t len = 0;

        while (reader->at + len < reader->end && !strchr(" \t\r\n", reader->at[len]))
                len++;
        return len;
}

static sp_status unexpected(const struct sp__draft_reader *reader, const char *fix)
{
        size_t len = rest_of_word(reader);

        return wrong(reader, SP_INVALID, len ? "unexpected" : "the rule ends too soon", reader->at, len, fix);
}

static void skip_comment(struct sp__draft_reader *reader)
{
        const char *end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

        reader->at = end ? end : reader->end;
}

/* Blanks and comments; `lines`: and ends of lines. */
static void skip(struct sp__draft_reader *reader, bool lines)
{
        while (reader->at < reader->end) {
                char c = *reader->at;

                if (c == '#') {
                        skip_comment(reader);
                } else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n')) {
                        reader->line += c == '\n';
                        reader->at++;
                } else {
                        return;
                }
        }
}

static bool take(struct sp__draft_reader *reader, const char *text)
{
        size_t len = strlen(text);

        if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
                return false;
        reader->at += len;
        return true;
}

static bool name_byte(unsigned char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
               c >= 0x80;
}

/* Whether the arrow begins here: its first byte could be one of a name. */
static bool at_arrow(const struct sp__draft_reader *reader)
{
        return (size_t)(reader->end - reader->at) >= 3 && memcmp(reader->at, arrow_utf8, 3) == 0;
}

/* "…", on one line. */
static sp_status take_quoted(struct sp__draft_reader *reader, struct sp__slice *out)
{
        const char *from = ++reader->at;

        while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\n' && *reader->at)
                reader->at++;
        if (reader->at == reader->end || *reader->at != '"')
                return wrong(reader, SP_INVALID, "a quotation mark is left open before", from,
                             (size_t)(reader->at - from), "end the text with \"");
        *out = (struct sp__slice){from, (size_t)(reader->at - from)};
        reader->at++;
        return SP_OK;
}

static sp_status take_name(struct sp__draft_reader *reader, const char *fix, struct sp__slice *out)
{
        const char *from = reader->at;
        sp_status status = SP_OK;

        if (reader->at < reader->end && *from == '"') {
                status = take_quoted(reader, out);
        } else {
                while (reader->at < reader->end && name_byte((unsigned char)*reader->at) && !at_arrow(reader))
                        reader->at++;
                *out = (struct sp__slice){from, (size_t)(reader->at - from)};
        }
        if (status != SP_OK)
                return status;
        if (out->len == 0)
                return unexpected(reader, fix);
        if (out->len > SP__RULE_NAME_MAX)
                return wrong(reader, SP_LIMIT, "the name", out->at, out->len,
                             "it is longer than the 63 bytes that PostgreSQL allows");
        return SP_OK;
}

/* Names with commas between them; a line may end behind a comma. */
static sp_status take_names(struct sp__draft_reader *reader, struct sp__slice *names, size_t *count)
{
        sp_status status;

        do {
                skip(reader, true);
                if (*count == SP__RULE_COLUMNS_MAX)
                        return wrong(reader, SP_LIMIT, "too many columns", NULL, 0, "a rule names 32 at most");
                status = take_name(reader, "a column's name is needed here", &names[*count]);
                if (status != SP_OK)
                        return status;
                ++*count;
                skip(reader, false);
        } while (take(reader, ","));
        return SP_OK;
}

static sp_status take_table(struct sp__draft_reader *reader, struct sp__draft *out)
{
        static const char fix[] = "a rule begins with a table, as in contents(id) -> rec:content:{id}:full";
        sp_status status = take_name(reader, fix, &out->table);

        if (status != SP_OK || !take(reader, "."))
                return status;
        out->schema = out->table;
        return take_name(reader, "a table's name follows the schema's", &out->table);
}

static sp_status take_columns(struct sp__draft_reader *reader, struct sp__draft *out)
{
        sp_status status;

        skip(reader, true);
        if (!take(reader, "("))
                return SP_OK;
        skip(reader, true);
        if (take(reader, ")"))
                return SP_OK;
        status = take_names(reader, out->columns, &out->column_count);
        if (status != SP_OK)
                return status;
        skip(reader, true);
        return take(reader, ")") ? SP_OK : unexpected(reader, "the columns end with )");
}

/* A word of the language, and no name that only begins like it. */
static bool take_word(struct sp__draft_reader *reader, const char *word)
{
        const char *from = reader->at;

        if (!take(reader, word))
                return false;
        if (reader->at == reader->end || !name_byte((unsigned char)*reader->at) || at_arrow(reader))
                return true;
        reader->at = from;
        return false;
}

static sp_status take_events(struct sp__draft_reader *reader, struct sp__draft *out)
{
        static const struct {
                const char *word;
                int change;
        } events[] = {{"insert", SP_ROW_INSERT}, {"update", SP_ROW_UPDATE}, {"delete", SP_ROW_DELETE}};
        enum { EVENTS = sizeof events / sizeof *events };

        out->events = 0;
        do {
                size_t i = 0;

                skip(reader, true);
                while (i < EVENTS && !take_word(reader, events[i].word))
                        i++;
                if (i == EVENTS)
                        return unexpected(reader, "behind \"on\" stand insert, update, delete");
                out->events |= SP__EVENT(events[i].change);
                skip(reader, false);
        } while (take(reader, ","));
        return SP_OK;
}

/* A key, a pattern or a tag: up to a blank or a comma. */
static sp_status take_text(struct sp__draft_reader *reader, struct sp__slice *out)
{
        const char *from = reader->at;

        if (reader->at < reader->end && *from == '"')
                return take_quoted(reader, out);
        while (reader->at < reader->end && !strchr(" \t\r\n,", *reader->at))
                reader->at++;
        *out = (struct sp__slice){from, (size_t)(reader->at - from)};
        if (memchr(out->at, 0, out->len))
                return wrong(reader, SP_INVALID, "a zero byte in", out->at, out->len, "write text");
        return out->len ? SP_OK : unexpected(reader, "a key, a pattern, tag and a text, or all is needed here");
}

static sp_status take_target(struct sp__draft_reader *reader, struct sp__draft_target *out)
{
        sp_status status = take_text(reader, &out->text);
        bool word = status == SP_OK && out->text.len == 3 && out->text.at[-1] != '"';

        out->kind = SP__DRAFT_KEY;
        if (word && memcmp(out->text.at, "all", 3) == 0)
                out->kind = SP__DRAFT_ALL;
        if (!word || memcmp(out->text.at, "tag", 3) != 0)
                return status;
        out->kind = SP__DRAFT_TAG;
        skip(reader, false);
        return take_text(reader, &out->text);
}

static sp_status take_targets(struct sp__draft_reader *reader, struct sp__draft *out)
{
        sp_status status;

        do {
                skip(reader, true);
                if (out->target_count == SP__RULE_TARGETS_MAX)
                        return wrong(reader, SP_LIMIT, "too many targets", NULL, 0, "a rule has 32 at most");
                status = take_target(reader, &out->targets[out->target_count]);
                if (status != SP_OK)
                        return status;
                out->target_count++;
                skip(reader, false);
        } while (take(reader, ","));
        if (reader->at < reader->end && *reader->at != '\n')
                return unexpected(reader, "a comma stands between targets, and a rule ends with its line");
        return SP_OK;
}

static sp_status take_rule(struct sp__draft_reader *reader, struct sp__draft *out)
{
        sp_status status = take_table(reader, out);

        if (status == SP_OK)
                status = take_columns(reader, out);
        skip(reader, true);
        if (status == SP_OK && take_word(reader, "on"))
                status = take_events(reader, out);
        skip(reader, true);
        if (status == SP_OK && take_word(reader, "when"))
                status = take_names(reader, out->when, &out->when_count);
        if (status != SP_OK)
                return status;
        skip(reader, true);
        if (!take(reader, "->") && !take(reader, arrow_utf8))
                return unexpected(reader, "-> and the targets follow the table, its columns, \"on\" and \"when\"");
        return take_targets(reader, out);
}

sp_status sp__draft_next(struct sp__draft_reader *reader, struct sp__draft *out)
{
        skip(reader, true);
        if (reader->at == reader->end)
                return SP_NOT_FOUND;
        out->line = reader->line;
        out->schema = (struct sp__slice){NULL, 0};
        out->events = SP__EVENT(SP_ROW_INSERT) | SP__EVENT(SP_ROW_UPDATE) | SP__EVENT(SP_ROW_DELETE);
        out->column_count = out->when_count = out->target_count = 0;
        return take_rule(reader, out);
}
