/* SPDX-License-Identifier: MIT */
#include "invalidate/targets.h"

#include "core/error.h"
#include "core/params.h"

#include <stdlib.h>
#include <string.h>

sp_targets *sp_targets_new(void)
{
        return calloc(1, sizeof(sp_targets));
}

void sp_targets_free(sp_targets *targets)
{
        if (!targets)
                return;
        for (size_t i = 0; i < targets->count; i++)
                sp_params_free(targets->all_of[i].params);
        sp__buf_free(&targets->bytes);
        free(targets);
}

/* A caller that looks at the last status alone must not take too little for all: the first refusal stands. */
static sp_status refuse(sp_targets *targets, sp_status status, size_t len)
{
        if (targets->refused == SP_OK) {
                targets->refused = status;
                targets->refused_len = len;
        }
        return status;
}

/* Takes the parameters. */
static sp_status add(sp_targets *targets, enum sp__target_kind kind, const void *data, size_t len, sp_params *params)
{
        size_t at = targets->bytes.len;

        sp__buf_add(&targets->bytes, data, len);
        /* A pattern is used as text. */
        sp__buf_char(&targets->bytes, 0);
        if (targets->bytes.failed) {
                sp_params_free(params);
                return refuse(targets, SP_NOMEM, len);
        }
        targets->all_of[targets->count++] = (struct sp__target){.kind = kind, .at = at, .len = len, .params = params};
        return SP_OK;
}

static sp_status admit(sp_targets *targets, const void *data, size_t len, size_t max)
{
        if (!targets)
                return SP_INVALID;
        if (!data || len == 0)
                return refuse(targets, SP_INVALID, 0);
        return len > max || targets->count == SP__TARGETS_MAX ? refuse(targets, SP_LIMIT, len) : SP_OK;
}

sp_status sp_targets_key(sp_targets *targets, const void *data, size_t len)
{
        sp_status status = admit(targets, data, len, SP_KEY_MAX);

        return status == SP_OK ? add(targets, SP__TARGET_KEY, data, len, NULL) : status;
}

sp_status sp_targets_tag(sp_targets *targets, const void *data, size_t len)
{
        sp_status status = admit(targets, data, len, SP_TAG_MAX);

        return status == SP_OK ? add(targets, SP__TARGET_NAME, data, len, NULL) : status;
}

sp_status sp_targets_pattern(sp_targets *targets, const char *pattern, const sp_params *params)
{
        sp_status status = admit(targets, pattern, pattern ? strlen(pattern) : 0, SP_KEY_MAX);
        sp_params *copy;

        if (status != SP_OK)
                return status;
        copy = sp__params_copy(params);
        if (params && !copy)
                return refuse(targets, SP_NOMEM, 0);
        return add(targets, SP__TARGET_PATTERN, pattern, strlen(pattern), copy);
}

sp_status sp_targets_all(sp_targets *targets)
{
        if (!targets)
                return SP_INVALID;
        targets->all = true;
        return SP_OK;
}

static sp_status add_pattern(const char *pattern, const sp_params *params, const struct sp__keys *keys,
                             struct sp__aims *aims, sp_error **error)
{
        const sp_template *tmpl = sp__keys_pattern(keys, pattern);
        char text[SP_KEY_MAX];
        sp_status status;
        size_t len;

        if (!tmpl)
                return sp__fail(error, SP_INVALID, "no template declared the pattern \"%.128s\"", pattern);
        status = sp__pattern_format(tmpl, pattern, params, text, sizeof text, &len, error);
        if (status == SP_OK)
                sp__aims_add(aims, SP__AIM_PATTERN, text, len);
        return status;
}

static sp_status tell_refused(const sp_targets *targets, sp_error **error)
{
        switch (targets->refused) {
        case SP_OK:
                return SP_OK;
        case SP_INVALID:
                return sp__fail(error, SP_INVALID, "one of the targets to invalidate was empty: none is invalidated");
        case SP_LIMIT:
                return sp__fail(
                    error, SP_LIMIT,
                    "a target of %zu bytes was refused (at most %d targets, %d bytes a key, %d a tag): none is "
                    "invalidated",
                    targets->refused_len, SP_TARGETS_MAX, SP_KEY_MAX, SP_TAG_MAX);
        default:
                return sp__fail(error, targets->refused, "%s", sp_status_text(targets->refused));
        }
}

sp_status sp__targets_admit(const sp_targets *targets, sp_error **error)
{
        if (!targets || (targets->count == 0 && !targets->all && targets->refused == SP_OK))
                return sp__fail(error, SP_INVALID, "there is no target to invalidate");
        return SP_OK;
}

sp_status sp__targets_aims(const sp_targets *targets, const struct sp__keys *keys, struct sp__aims *aims,
                           sp_error **error)
{
        sp_status status = tell_refused(targets, error);

        if (targets->all)
                sp__aims_add(aims, SP__AIM_ALL, NULL, 0);
        for (size_t i = 0; i < targets->count && status == SP_OK; i++) {
                const struct sp__target *target = &targets->all_of[i];
                const char *text = targets->bytes.data + target->at;

                if (target->kind == SP__TARGET_PATTERN)
                        status = add_pattern(text, target->params, keys, aims, error);
                else
                        sp__aims_add(aims, target->kind == SP__TARGET_KEY ? SP__AIM_KEY : SP__AIM_TAG, text,
                                     target->len);
        }
        return status;
}
