/* SPDX-License-Identifier: MIT */
/* Building a key and taking it apart. */
#include "core/error.h"
#include "core/params.h"
#include "key/escape.h"
#include "key/parts.h"

#include <string.h>

/* Writes one parameter; `*at` moves. */
static sp_status param_write(const struct sp__segment *segment, const sp_params *params, char **at, const char *end)
{
        size_t len = 0;
        const char *data = sp__params_get(params, segment->param, &len);
        char *behind = *at;

        if (!data || len == 0)
                return SP_INVALID;
        if (segment->slot && end - behind < 2)
                return SP_LIMIT;
        if (segment->slot)
                *behind++ = '{';
        behind = sp__part_write(behind, end - segment->slot, data, len, segment->secret);
        if (!behind)
                return SP_LIMIT;
        if (segment->slot)
                *behind++ = '}';
        *at = behind;
        return SP_OK;
}

static sp_status segment_write(const struct sp__shape *shape, size_t index, const sp_params *params, char **at,
                               const char *end)
{
        const struct sp__segment *segment = &shape->segments[index];

        if ((size_t)(end - *at) < (size_t)segment->len + (index > 0) + (segment->kind == SP__SEGMENT_STAR))
                return SP_LIMIT;
        if (index > 0)
                *(*at)++ = ':';
        memcpy(*at, shape->text + segment->at, segment->len);
        *at += segment->len;
        if (segment->kind == SP__SEGMENT_STAR)
                *(*at)++ = '*';
        return segment->kind == SP__SEGMENT_PARAM ? param_write(segment, params, at, end) : SP_OK;
}

sp_status sp__shape_format(const struct sp__shape *shape, const sp_params *params, char *buf, size_t cap, size_t *len)
{
        const char *end = buf + (cap < SP_KEY_MAX ? cap : SP_KEY_MAX);
        char *at = buf;

        if ((params ? sp_params_count(params) : 0) != shape->params)
                return SP_INVALID;
        for (size_t i = 0; i < shape->count; i++) {
                sp_status status = segment_write(shape, i, params, &at, end);

                if (status != SP_OK)
                        return status;
        }
        *len = (size_t)(at - buf);
        return SP_OK;
}

sp_status sp_key_format(const sp_template *tmpl, const sp_params *params, char *buf, size_t cap, size_t *len)
{
        SP__NEED(tmpl, NULL);
        SP__NEED(buf, NULL);
        SP__NEED(len, NULL);
        return sp__shape_format(&tmpl->shape, params, buf, cap, len);
}

/* The first parameter of which no part can be made. */
static size_t param_missing(const sp_params *params, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                size_t len = 0;

                if (!sp__params_get(params, i, &len) || len == 0)
                        return i;
        }
        return count;
}

sp_status sp_key_check(const sp_template *tmpl, const sp_params *params, sp_error **error)
{
        const struct sp__shape *shape;
        size_t given = params ? sp_params_count(params) : 0, len;
        char buf[SP_KEY_MAX];
        sp_status status;

        SP__NEED(tmpl, error);
        shape = &tmpl->shape;
        status = sp__shape_format(shape, params, buf, sizeof buf, &len);
        if (status == SP_OK)
                return SP_OK;
        if (given != shape->params)
                return sp__fail(error, status, "template \"%s\" needs %zu parameters, %zu were given", shape->text,
                                shape->params, given);
        if (status == SP_INVALID)
                return sp__fail(error, status, "parameter \"%s\" of template \"%s\" is missing or empty",
                                sp_template_param(tmpl, param_missing(params, given)), shape->text);
        return sp__fail(error, status, "the key of template \"%s\" gets longer than %d bytes", shape->text, SP_KEY_MAX);
}

bool sp__key_cut(const char *key, size_t len, size_t count, struct sp__cuts *cuts)
{
        size_t found = 1;

        if (len == 0 || len > SP_KEY_MAX)
                return false;
        cuts->at[0] = 0;
        for (const char *at = key; (at = memchr(at, ':', (size_t)(key + len - at))) != NULL; at++) {
                if (found == count)
                        return false;
                cuts->at[found++] = (uint16_t)(at + 1 - key);
        }
        cuts->at[found] = (uint16_t)(len + 1);
        cuts->count = found;
        return found == count;
}

static bool segment_matches(const struct sp__shape *shape, const struct sp__segment *segment, const char *data,
                            size_t len)
{
        if (len < segment->len || memcmp(data, shape->text + segment->at, segment->len) != 0)
                return false;
        if (segment->kind == SP__SEGMENT_TEXT)
                return len == segment->len;
        data += segment->len;
        len -= segment->len;
        if (segment->slot) {
                if (len < 2 || data[0] != '{' || data[len - 1] != '}')
                        return false;
                data++;
                len -= 2;
        }
        return sp__part_valid(data, len, segment->secret);
}

static bool cuts_match(const sp_template *tmpl, const char *key, const struct sp__cuts *cuts)
{
        for (size_t i = 0; i < cuts->count; i++) {
                size_t len;
                const char *data = sp__cut(cuts, key, i, &len);

                if (!segment_matches(&tmpl->shape, &tmpl->shape.segments[i], data, len))
                        return false;
        }
        return true;
}

bool sp__template_matches(const sp_template *tmpl, const char *key, size_t len)
{
        struct sp__cuts cuts;

        return sp__key_cut(key, len, tmpl->shape.count, &cuts) && cuts_match(tmpl, key, &cuts);
}

/* The part of a key that parameter segment `index` holds. */
static const char *part(const sp_template *tmpl, const struct sp__cuts *cuts, const char *key, size_t index,
                        size_t *len)
{
        const struct sp__segment *segment = &tmpl->shape.segments[index];
        const char *data = sp__cut(cuts, key, index, len);

        if (segment->kind != SP__SEGMENT_PARAM)
                return NULL;
        *len -= segment->len + 2u * segment->slot;
        return data + segment->len + segment->slot;
}

static bool any_hashed(const sp_template *tmpl, const struct sp__cuts *cuts, const char *key)
{
        for (size_t i = 0; i < cuts->count; i++) {
                size_t len;
                const char *data = part(tmpl, cuts, key, i, &len);

                if (data && *data == '~')
                        return true;
        }
        return false;
}

sp_status sp_key_parse(const sp_template *tmpl, const void *data, size_t len, sp_params *out)
{
        const char *key = data;
        struct sp__cuts cuts;
        sp_status status = SP_OK;

        SP__NEED(tmpl, NULL);
        if (len > 0)
                SP__NEED(data, NULL);
        SP__NEED(out, NULL);
        if (!sp__key_cut(key, len, tmpl->shape.count, &cuts) || !cuts_match(tmpl, key, &cuts) ||
            any_hashed(tmpl, &cuts, key))
                return SP_NOT_FOUND;
        sp_params_clear(out);
        for (size_t i = 0; i < cuts.count && status == SP_OK; i++) {
                char value[SP__PART_MAX];
                size_t part_len;
                const char *at = part(tmpl, &cuts, key, i, &part_len);

                if (at)
                        status = sp_params_add_text(out, value, sp__part_read(at, part_len, value));
        }
        return status;
}
