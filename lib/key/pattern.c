/* SPDX-License-Identifier: MIT */
/*
 * Patterns: declared with a template, found again in its keys as tags. The two sides must write the same text: a key's tag
 * copies the key's segments, an invalidation's escapes its parameters as the key was.
 */
#include "core/error.h"
#include "key/parts.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const struct sp__shape *a, const struct sp__segment *left, const struct sp__shape *b,
                      const struct sp__segment *right)
{
        return left->len == right->len && memcmp(a->text + left->at, b->text + right->at, left->len) == 0;
}

static bool same_name(const struct sp__shape *a, const struct sp__segment *left, const struct sp__shape *b,
                      const struct sp__segment *right)
{
        return left->name_len == right->name_len &&
               memcmp(a->text + left->name_at, b->text + right->name_at, left->name_len) == 0;
}

/* Whether some key of the template can have the pattern's segment here. A text may stand where the template has a parameter,
 * as it is written in keys. */
static bool segment_fits(const struct sp__shape *tmpl, const struct sp__segment *of, const struct sp__shape *pattern,
                         const struct sp__segment *segment)
{
        switch (segment->kind) {
        case SP__SEGMENT_STAR:
                return true;
        case SP__SEGMENT_PARAM:
                return of->kind == SP__SEGMENT_PARAM && same_text(tmpl, of, pattern, segment) &&
                       same_name(tmpl, of, pattern, segment);
        default:
                if (of->kind == SP__SEGMENT_TEXT)
                        return same_text(tmpl, of, pattern, segment);
                return !of->secret && !of->slot && segment->len > of->len && segment->len - of->len <= 128 &&
                       memcmp(tmpl->text + of->at, pattern->text + segment->at, of->len) == 0;
        }
}

static bool has_tail(const struct sp__shape *pattern)
{
        return pattern->segments[pattern->count - 1].kind == SP__SEGMENT_STAR;
}

static sp_status pattern_check(const sp_template *tmpl, struct sp__shape *pattern, sp_error **error)
{
        if (pattern->count > tmpl->shape.count || (pattern->count < tmpl->shape.count && !has_tail(pattern)))
                return sp__fail(error, SP_INVALID, "pattern \"%.128s\" has %zu segments, template \"%.128s\" %zu",
                                pattern->text, pattern->count, tmpl->shape.text, tmpl->shape.count);
        for (size_t i = 0; i < pattern->count; i++) {
                struct sp__segment *segment = &pattern->segments[i];
                const struct sp__segment *of = &tmpl->shape.segments[i];

                if (!segment_fits(&tmpl->shape, of, pattern, segment))
                        return sp__fail(error, SP_INVALID,
                                        "pattern \"%.128s\": segment %zu matches no key of template \"%.128s\"",
                                        pattern->text, i + 1, tmpl->shape.text);
                segment->secret = of->secret;
                segment->slot = of->slot;
        }
        return SP_OK;
}

static const struct sp__shape *pattern_find(const sp_template *tmpl, const char *text)
{
        for (size_t i = 0; i < tmpl->pattern_count; i++) {
                if (strcmp(tmpl->patterns[i]->text, text) == 0)
                        return tmpl->patterns[i];
        }
        return NULL;
}

static sp_status pattern_add(sp_template *tmpl, const struct sp__shape *pattern, sp_error **error)
{
        struct sp__shape *kept;

        if (tmpl->pattern_count == SP__PATTERNS_MAX)
                return sp__fail(error, SP_LIMIT, "template \"%.128s\" has %d patterns already, which is the most",
                                tmpl->shape.text, SP__PATTERNS_MAX);
        kept = malloc(sizeof *kept);
        if (!kept)
                return sp__fail(error, SP_NOMEM, "out of memory");
        *kept = *pattern;
        tmpl->patterns[tmpl->pattern_count++] = kept;
        return SP_OK;
}

sp_status sp_template_pattern(sp_template *tmpl, const char *text, sp_error **error)
{
        struct sp__shape pattern;
        sp_status status;

        SP__NEED(tmpl, error);
        if (text && pattern_find(tmpl, text))
                return SP_OK;
        if (atomic_load(&tmpl->frozen))
                return sp__fail(error, SP_INVALID, "template \"%.128s\" is in use: its patterns are declared before",
                                tmpl->shape.text);
        if (tmpl->raw)
                return sp__fail(error, SP_INVALID,
                                "template \"%.128s\" is raw: what other programs write stands under no pattern",
                                tmpl->shape.text);
        status = sp__shape_parse("pattern", text, &pattern, error);
        if (status != SP_OK)
                return status;
        status = pattern_check(tmpl, &pattern, error);
        if (status == SP_OK)
                status = pattern_add(tmpl, &pattern, error);
        if (status != SP_OK)
                sp__shape_free(&pattern);
        return status;
}

/* Writes the tag of a key under a pattern; its length, 0 where the pattern does not match. */
static size_t tag_write(const struct sp__shape *pattern, const char *key, const struct sp__cuts *cuts, char *buf)
{
        char *at = buf;

        for (size_t i = 0; i < pattern->count; i++) {
                const struct sp__segment *segment = &pattern->segments[i];
                size_t len;
                const char *data = sp__cut(cuts, key, i, &len);

                if (segment->kind == SP__SEGMENT_TEXT &&
                    (len != segment->len || memcmp(data, pattern->text + segment->at, len) != 0))
                        return 0;
                if (i > 0)
                        *at++ = ':';
                if (segment->kind == SP__SEGMENT_STAR) {
                        *at++ = '*';
                        continue;
                }
                memcpy(at, data, len);
                at += len;
        }
        return (size_t)(at - buf);
}

static bool tag_known(const struct sp__tags *tags, const char *text, size_t len)
{
        for (size_t i = 0; i < tags->count; i++) {
                if (tags->tags[i].len == len && memcmp(tags->bytes + tags->tags[i].at, text, len) == 0)
                        return true;
        }
        return false;
}

void sp__template_tags(const sp_template *tmpl, const char *key, size_t len, struct sp__tags *tags)
{
        struct sp__cuts cuts;

        if (tmpl->pattern_count == 0 || !sp__key_cut(key, len, tmpl->shape.count, &cuts))
                return;
        for (size_t i = 0; i < tmpl->pattern_count && tags->count < SP__TAGS_MAX; i++) {
                char *text = tags->bytes + tags->used;
                size_t written = tag_write(tmpl->patterns[i], key, &cuts, text);

                if (written == 0 || tag_known(tags, text, written))
                        continue;
                tags->tags[tags->count].at = (uint16_t)tags->used;
                tags->tags[tags->count++].len = (uint16_t)written;
                tags->used += written;
        }
}

bool sp__template_declares(const sp_template *tmpl, const char *pattern)
{
        return pattern_find(tmpl, pattern) != NULL;
}

sp_status sp__pattern_format(const sp_template *tmpl, const char *pattern, const sp_params *params, char *buf,
                             size_t cap, size_t *len, sp_error **error)
{
        const struct sp__shape *shape = pattern_find(tmpl, pattern);
        sp_status status;

        if (!shape)
                return sp__fail(error, SP_INVALID, "pattern \"%.128s\" is not declared", pattern);
        status = sp__shape_format(shape, params, buf, cap, len);
        if (status == SP_INVALID)
                return sp__fail(error, status, "pattern \"%.128s\" needs %zu parameters, none NULL or empty", pattern,
                                shape->params);
        if (status != SP_OK)
                return sp__fail(error, status, "pattern \"%.128s\" gets longer than %zu bytes", pattern,
                                cap < SP_KEY_MAX ? cap : (size_t)SP_KEY_MAX);
        return SP_OK;
}
