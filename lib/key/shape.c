/* SPDX-License-Identifier: MIT */
#include "key/shape.h"

#include "core/error.h"
#include "key/escape.h"

#include <stdlib.h>
#include <string.h>

/* One text being read; `at` is the segment's beginning, `end` its end. */
struct reader {
        const char *what;
        const char *text;
        const char *at;
        const char *end;
        struct sp__shape *shape;
        sp_error **error;
};

static sp_status wrong(const struct reader *reader, const char *why)
{
        return sp__fail(reader->error, SP_INVALID, "%s \"%.128s\": segment \"%.*s\" %s", reader->what, reader->text,
                        (int)(reader->end - reader->at), reader->at, why);
}

static bool name_start(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_valid(const char *name, size_t len)
{
        if (len == 0 || !name_start(*name))
                return false;
        for (size_t i = 1; i < len; i++) {
                if (!name_start(name[i]) && !(name[i] >= '0' && name[i] <= '9'))
                        return false;
        }
        return true;
}

static bool name_taken(const struct sp__shape *shape, const char *text, const char *name, size_t len)
{
        for (size_t i = 0; i < shape->count; i++) {
                const struct sp__segment *segment = &shape->segments[i];

                if (segment->kind == SP__SEGMENT_PARAM && segment->name_len == len &&
                    memcmp(text + segment->name_at, name, len) == 0)
                        return true;
        }
        return false;
}

static bool slot_taken(const struct sp__shape *shape)
{
        for (size_t i = 0; i < shape->count; i++) {
                if (shape->segments[i].slot)
                        return true;
        }
        return false;
}

static sp_status read_param(struct reader *reader, const char *open, struct sp__segment *segment)
{
        const char *name = open + 1, *close = memchr(open, '}', (size_t)(reader->end - open));
        size_t len;

        if (!close)
                return wrong(reader, "has a { without }");
        if (close + 1 != reader->end)
                return wrong(reader, "has text behind its parameter: one parameter a segment, at its end");
        len = (size_t)(close - name);
        segment->slot = len > 0 && name[len - 1] == '#';
        len -= segment->slot;
        segment->secret = len > 0 && name[len - 1] == '!';
        len -= segment->secret;
        if (!name_valid(name, len))
                return wrong(reader, "has a parameter whose name is not made of letters, digits and _");
        if (len > SP__NAME_MAX)
                return wrong(reader, "has a parameter whose name is longer than 64 bytes");
        if (name_taken(reader->shape, reader->text, name, len))
                return wrong(reader, "names its parameter like another one");
        if (segment->slot && slot_taken(reader->shape))
                return wrong(reader, "decides the slot, as another one does");
        segment->kind = SP__SEGMENT_PARAM;
        segment->param = (uint16_t)reader->shape->params++;
        segment->name_at = (uint16_t)(name - reader->text);
        segment->name_len = (uint16_t)len;
        return SP_OK;
}

static sp_status read_segment(struct reader *reader)
{
        struct sp__segment segment = {.kind = SP__SEGMENT_TEXT, .at = (uint16_t)(reader->at - reader->text)};
        const char *at = reader->at;
        sp_status status = SP_OK;

        if (at == reader->end)
                return wrong(reader, "is empty");
        if (*at == '*' && at + 1 == reader->end && strcmp(reader->what, "pattern") == 0)
                segment.kind = SP__SEGMENT_STAR;
        while (segment.kind != SP__SEGMENT_STAR && at < reader->end && *at != '{') {
                if (!sp__key_plain[(unsigned char)*at++])
                        return wrong(reader, "has a character that means something in keys or patterns");
        }
        segment.len = (uint16_t)(at - reader->at);
        if (segment.kind != SP__SEGMENT_STAR && at < reader->end)
                status = read_param(reader, at, &segment);
        if (status == SP_OK)
                reader->shape->segments[reader->shape->count++] = segment;
        return status;
}

static sp_status read_all(struct reader *reader)
{
        const char *stop = reader->text + strlen(reader->text);
        sp_status status = SP_OK;

        for (reader->at = reader->text; status == SP_OK; reader->at = reader->end + 1) {
                reader->end = memchr(reader->at, ':', (size_t)(stop - reader->at));
                if (!reader->end)
                        reader->end = stop;
                if (reader->shape->count == SP__SEGMENTS_MAX)
                        return sp__fail(reader->error, SP_LIMIT, "%s \"%.128s\" has more than %d segments",
                                        reader->what, reader->text, SP__SEGMENTS_MAX);
                status = read_segment(reader);
                if (reader->end == stop)
                        break;
        }
        if (status == SP_OK && reader->shape->count < 2)
                return sp__fail(reader->error, SP_INVALID,
                                "%s \"%.128s\" has one segment: two at least, as in service:entity", reader->what,
                                reader->text);
        return status;
}

sp_status sp__shape_parse(const char *what, const char *text, struct sp__shape *out, sp_error **error)
{
        struct sp__shape shape = {0};
        struct reader reader = {.what = what, .text = text, .shape = &shape, .error = error};
        sp_status status;

        if (!text)
                return sp__fail(error, SP_INVALID, "a %s needs a text", what);
        if (strlen(text) > SP__TEMPLATE_MAX)
                return sp__fail(error, SP_LIMIT, "%s \"%.64s…\" has %zu bytes, more than %d", what, text, strlen(text),
                                SP__TEMPLATE_MAX);
        status = read_all(&reader);
        if (status != SP_OK)
                return status;
        shape.text = strdup(text);
        if (!shape.text)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *out = shape;
        return SP_OK;
}

void sp__shape_free(struct sp__shape *shape)
{
        free(shape->text);
        shape->text = NULL;
}
