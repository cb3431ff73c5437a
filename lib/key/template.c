/* SPDX-License-Identifier: MIT */
#include "core/config.h"
#include "core/error.h"
#include "key/parts.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS (24LL * 3600 * 1000)

enum kind { DURATION, SIZE, FORM };

/* Each option: its field, its default, its bounds; whether it goes with `raw`, and so needs nothing beside the value. */
static const struct option {
        const char *name;
        size_t field;
        enum kind kind;
        bool raw;
        int64_t fallback;
        int64_t min;
        int64_t max;
        const char *range;
} options_known[] = {
    {"ttl", offsetof(sp_template, ttl_ms), DURATION, true, 3600 * 1000, 1, 3650 * DAY_MS, "1ms–10y, as 30s or 1h"},
    {"size", offsetof(sp_template, size), SIZE, true, 0, 0, 1LL << 30, "0–1GB, as 512 or 5KB"},
    {"max", offsetof(sp_template, value_max), SIZE, true, 0, 1, 512LL << 20, "1B–512MB, as 64KB"},
    {"negative", offsetof(sp_template, negative_ms), DURATION, false, 30 * 1000, 0, 3650 * DAY_MS, "0–10y, as 30s"},
    {"stale", offsetof(sp_template, stale_ms), DURATION, false, -1, 0, 3650 * DAY_MS, "0–10y, as 5m, or never"},
    {"soft", offsetof(sp_template, soft_ms), DURATION, false, 0, 0, DAY_MS, "0–1d, as 100ms"},
    {"hard", offsetof(sp_template, hard_ms), DURATION, true, 0, 0, DAY_MS, "0–1d, as 2s"},
    {"refresh", offsetof(sp_template, refresh), SIZE, false, 0, 0, 100, "0–100"},
    {"sliding", offsetof(sp_template, sliding_ms), DURATION, false, 0, 0, 3650 * DAY_MS, "0–10y, as 30m"},
    {"raw", offsetof(sp_template, raw), FORM, true, 0, 1, SP_CODEC_JSON, "json or text"},
};

enum { OPTIONS = sizeof options_known / sizeof *options_known, OPTION_MAX = 64 };

static int64_t *option_field(sp_template *tmpl, const struct option *option)
{
        return (int64_t *)(void *)((char *)tmpl + option->field);
}

static const struct option *option_find(const char *name)
{
        for (size_t i = 0; i < OPTIONS; i++) {
                if (strcmp(options_known[i].name, name) == 0)
                        return &options_known[i];
        }
        return NULL;
}

static bool read_form(const char *text, int64_t *codec)
{
        bool json = strcmp(text, "json") == 0;

        *codec = json ? SP_CODEC_JSON : SP_CODEC_TEXT;
        return json || strcmp(text, "text") == 0;
}

static bool read_value(const struct option *option, const char *text, int64_t *number)
{
        bool good = option->kind == DURATION ? sp__parse_duration(text, number)
                    : option->kind == SIZE   ? sp__parse_size(text, number)
                                             : read_form(text, number);

        return good && *number >= option->min && *number <= option->max;
}

/* One "name=value", which it takes apart. */
static sp_status option_take(sp_template *tmpl, char *word, unsigned *seen, sp_error **error)
{
        char *value = strchr(word, '='), zero[] = "0";
        const struct option *option;
        int64_t number;

        if (!value)
                return sp__fail(error, SP_INVALID, "template \"%.128s\": option \"%s\" is not name=value",
                                tmpl->shape.text, word);
        *value++ = 0;
        option = option_find(word);
        if (!option)
                return sp__fail(
                    error, SP_INVALID,
                    "template \"%.128s\": there is no option \"%s\": ttl, size, max, negative, stale, soft, "
                    "hard, refresh, sliding, raw",
                    tmpl->shape.text, word);
        if (strcmp(word, "stale") == 0 && strcmp(value, "never") == 0)
                value = zero;
        if (*seen & 1u << (option - options_known))
                return sp__fail(error, SP_INVALID, "template \"%.128s\": option \"%s\" stands twice", tmpl->shape.text,
                                word);
        if (!read_value(option, value, &number))
                return sp__fail(error, SP_INVALID, "template \"%.128s\": %s=%s: allowed is %s", tmpl->shape.text, word,
                                value, option->range);
        *seen |= 1u << (option - options_known);
        *option_field(tmpl, option) = number;
        return SP_OK;
}

/* What other programs write has nothing beside it in which these could be kept. */
static sp_status raw_check(const sp_template *tmpl, unsigned seen, sp_error **error)
{
        if (tmpl->shape.segments[0].kind != SP__SEGMENT_TEXT)
                return sp__fail(error, SP_INVALID, "template \"%.128s\": raw keys begin with a fixed text",
                                tmpl->shape.text);
        for (size_t i = 0; i < OPTIONS; i++) {
                if ((seen & 1u << i) && !options_known[i].raw)
                        return sp__fail(error, SP_INVALID,
                                        "template \"%.128s\": %s needs more than the value, and raw keys have no more",
                                        tmpl->shape.text, options_known[i].name);
        }
        return SP_OK;
}

static sp_status options_take(sp_template *tmpl, const char *options, sp_error **error)
{
        unsigned seen = 0;
        sp_status status = SP_OK;

        for (size_t i = 0; i < OPTIONS; i++)
                *option_field(tmpl, &options_known[i]) = options_known[i].fallback;
        while (options && status == SP_OK) {
                char word[OPTION_MAX];
                size_t len;

                options += strspn(options, " \t\n");
                len = strcspn(options, " \t\n");
                if (len == 0)
                        break;
                if (len >= sizeof word)
                        return sp__fail(error, SP_INVALID, "template \"%.128s\": option \"%.32s…\" is too long",
                                        tmpl->shape.text, options);
                memcpy(word, options, len);
                word[len] = 0;
                options += len;
                status = option_take(tmpl, word, &seen, error);
        }
        return status == SP_OK && tmpl->raw ? raw_check(tmpl, seen, error) : status;
}

static bool names_take(sp_template *tmpl)
{
        for (size_t i = 0; i < tmpl->shape.count; i++) {
                const struct sp__segment *segment = &tmpl->shape.segments[i];

                if (segment->kind != SP__SEGMENT_PARAM)
                        continue;
                tmpl->names[segment->param] = strndup(tmpl->shape.text + segment->name_at, segment->name_len);
                if (!tmpl->names[segment->param])
                        return false;
        }
        return true;
}

sp_status sp_template_new(const char *text, const char *options, sp_template **out, sp_error **error)
{
        sp_template *tmpl;
        sp_status status;

        SP__NEED(out, error);
        tmpl = calloc(1, sizeof *tmpl);
        if (!tmpl)
                return sp__fail(error, SP_NOMEM, "out of memory");
        atomic_init(&tmpl->refs, 1);
        status = sp__shape_parse("template", text, &tmpl->shape, error);
        if (status == SP_OK)
                status = options_take(tmpl, options, error);
        if (status == SP_OK && !names_take(tmpl))
                status = sp__fail(error, SP_NOMEM, "out of memory");
        if (status == SP_OK)
                *out = tmpl;
        else
                sp_template_unref(tmpl);
        return status;
}

sp_template *sp_template_ref(sp_template *tmpl)
{
        if (tmpl)
                atomic_fetch_add_explicit(&tmpl->refs, 1, memory_order_relaxed);
        return tmpl;
}

void sp_template_unref(sp_template *tmpl)
{
        if (!tmpl || atomic_fetch_sub_explicit(&tmpl->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < tmpl->pattern_count; i++) {
                sp__shape_free(tmpl->patterns[i]);
                free(tmpl->patterns[i]);
        }
        for (size_t i = 0; i < tmpl->shape.params; i++)
                free(tmpl->names[i]);
        sp__shape_free(&tmpl->shape);
        free(tmpl);
}

const char *sp_template_text(const sp_template *tmpl)
{
        return tmpl ? tmpl->shape.text : NULL;
}

size_t sp_template_params(const sp_template *tmpl)
{
        return tmpl ? tmpl->shape.params : 0;
}

const char *sp_template_param(const sp_template *tmpl, size_t index)
{
        return tmpl && index < tmpl->shape.params ? tmpl->names[index] : NULL;
}

int64_t sp_template_ttl_ms(const sp_template *tmpl)
{
        return tmpl ? tmpl->ttl_ms : 0;
}

int64_t sp__template_negative_ms(const sp_template *tmpl)
{
        return tmpl->negative_ms;
}

int64_t sp__template_stale_ms(const sp_template *tmpl)
{
        return tmpl->stale_ms;
}

int64_t sp__template_soft_ms(const sp_template *tmpl)
{
        return tmpl->soft_ms;
}

int64_t sp__template_hard_ms(const sp_template *tmpl)
{
        return tmpl->hard_ms;
}

int64_t sp__template_refresh(const sp_template *tmpl)
{
        return tmpl->refresh;
}

int64_t sp__template_sliding_ms(const sp_template *tmpl)
{
        return tmpl->sliding_ms;
}

int64_t sp__template_size(const sp_template *tmpl)
{
        return tmpl->size;
}

int64_t sp__template_value_max(const sp_template *tmpl)
{
        return tmpl->value_max;
}

uint32_t sp__template_raw(const sp_template *tmpl)
{
        return (uint32_t)tmpl->raw;
}
