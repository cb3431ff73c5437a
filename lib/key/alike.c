/* SPDX-License-Identifier: MIT */
#include "key/alike.h"

#include "key/parts.h"

#include <string.h>

static bool segments_alike(const struct sp__shape *a, const struct sp__shape *b, size_t index)
{
        const struct sp__segment *left = &a->segments[index], *right = &b->segments[index];

        return left->kind == right->kind && left->len == right->len &&
               memcmp(a->text + left->at, b->text + right->at, left->len) == 0;
}

static size_t common(const struct sp__shape *a, const struct sp__shape *b)
{
        size_t count = 0;

        while (count < a->count && count < b->count && segments_alike(a, b, count))
                count++;
        return count;
}

static bool alike(const struct sp__shape *a, const struct sp__shape *b)
{
        return a->count == b->count && common(a, b) == a->count;
}

static bool pattern_alike(const sp_template *tmpl, const struct sp__shape *shape, struct sp__alike *out)
{
        for (size_t i = 0; i < tmpl->pattern_count; i++) {
                if (!alike(tmpl->patterns[i], shape))
                        continue;
                *out = (struct sp__alike){tmpl, tmpl->patterns[i], true};
                return true;
        }
        return false;
}

/* A pattern need not have a star, but where a template is written the same its key is meant. */
bool sp__keys_alike(const struct sp__keys *keys, const struct sp__shape *shape, struct sp__alike *out)
{
        const sp_template *tmpl;

        for (size_t i = 0; (tmpl = sp__keys_at(keys, i)); i++) {
                if (!alike(&tmpl->shape, shape))
                        continue;
                *out = (struct sp__alike){tmpl, &tmpl->shape, false};
                return true;
        }
        for (size_t i = 0; (tmpl = sp__keys_at(keys, i)); i++) {
                if (pattern_alike(tmpl, shape, out))
                        return true;
        }
        return false;
}

static void nearer(const struct sp__shape *candidate, const struct sp__shape *shape, size_t *most, const char **near)
{
        size_t count = common(candidate, shape);

        if (count <= *most)
                return;
        *most = count;
        *near = candidate->text;
}

const char *sp__keys_near(const struct sp__keys *keys, const struct sp__shape *shape)
{
        const char *near = NULL;
        const sp_template *tmpl;
        size_t most = 0;

        for (size_t i = 0; (tmpl = sp__keys_at(keys, i)); i++) {
                nearer(&tmpl->shape, shape, &most, &near);
                for (size_t k = 0; k < tmpl->pattern_count; k++)
                        nearer(tmpl->patterns[k], shape, &most, &near);
        }
        return near;
}

/* Where the pattern has text, so must the template: else only some of its keys have the pattern. */
static bool covers(const sp_template *tmpl, const struct sp__shape *pattern)
{
        for (size_t i = 0; i < pattern->count; i++) {
                if (pattern->segments[i].kind != SP__SEGMENT_STAR && tmpl->shape.segments[i].kind != SP__SEGMENT_TEXT)
                        return false;
        }
        return pattern->params == 0;
}

const struct sp__shape *sp__template_cover(const sp_template *tmpl)
{
        for (size_t i = 0; i < tmpl->pattern_count; i++) {
                if (covers(tmpl, tmpl->patterns[i]))
                        return tmpl->patterns[i];
        }
        return NULL;
}
