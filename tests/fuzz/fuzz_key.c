/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a template, as a key, and as a parameter: "text\nkey\nparameter". What is taken for a key of a template is what
 * that template makes of the parameters read from it, and a parameter never changes how many segments a key has.
 */
#include "fuzz.h"
#include "holds.h"

#include "core/params.h"
#include "key/registry.h"

#include <stdlib.h>
#include <string.h>

#define EXAMPLE(text)                                                                                                  \
        {                                                                                                              \
                text, sizeof text - 1                                                                                  \
        }
const char fuzz_name[] = "key";
const struct fuzz_seed fuzz_seeds[] = {
    EXAMPLE("rec:recommendations:{userId}:{limit}\nrec:recommendations:user-3:10\nuser-3"),
    EXAMPLE("auth:token:{token!}:valid\nauth:token:~0ec9eb33e74510bcdd1f2ea55206e82f21649c5c2becbf2b433eb475b34c01bd:"
            "valid\n*"),
    EXAMPLE("cart:{userId#}:items\ncart:{user-3}:items\n}:{"),
    EXAMPLE("s:{a!#}:x={b}\ns:{~0ec9eb33e74510bcdd1f2ea55206e82f21649c5c2becbf2b433eb475b34c01bd}:x=%3A%2A\n\0"),
    EXAMPLE("rec:recommendations:{userId}:*\nrec:recommendations:a%3Ab:*\n%25"),
    {NULL, 0},
};

struct part {
        const char *data;
        size_t len;
};

static struct part next(const uint8_t **at, const uint8_t *end)
{
        const uint8_t *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
        struct part part = {(const char *)*at, (size_t)((stop ? stop : end) - *at)};

        *at = stop ? stop + 1 : end;
        return part;
}

static size_t colons(const char *key, size_t len)
{
        size_t count = 0;

        for (size_t i = 0; i < len; i++)
                count += key[i] == ':';
        return count;
}

static void read_key(const sp_template *tmpl, struct part key)
{
        sp_params *params = sp_params_new();
        sp_status status = sp_key_parse(tmpl, key.data, key.len, params);
        char again[SP_KEY_MAX];
        size_t len;

        FUZZ_HOLDS(status == SP_NOT_FOUND || sp__template_matches(tmpl, key.data, key.len));
        if (status == SP_OK) {
                FUZZ_HOLDS(sp_key_format(tmpl, params, again, sizeof again, &len) == SP_OK);
                FUZZ_HOLDS(len == key.len && memcmp(again, key.data, len) == 0);
        }
        sp_params_free(params);
}

static void make_key(const sp_template *tmpl, struct part value)
{
        sp_params *params = sp_params_new();
        char key[SP_KEY_MAX];
        size_t len;

        for (size_t i = 0; i < sp_template_params(tmpl); i++)
                sp_params_add_text(params, value.data, value.len);
        if (sp_key_format(tmpl, params, key, sizeof key, &len) == SP_OK) {
                FUZZ_HOLDS(len <= sizeof key && sp__template_matches(tmpl, key, len));
                FUZZ_HOLDS(colons(key, len) == colons(sp_template_text(tmpl), strlen(sp_template_text(tmpl))));
                read_key(tmpl, (struct part){key, len});
        } else {
                FUZZ_HOLDS(sp_key_check(tmpl, params, NULL) != SP_OK);
        }
        sp_params_free(params);
}

static void find(sp_template *tmpl, struct part key)
{
        struct sp__keys *keys = sp__keys_new();
        static struct sp__tags tags;

        if (sp__keys_declare(keys, tmpl, NULL) == SP_OK) {
                const sp_template *found = sp__keys_tags(keys, key.data, key.len, &tags);

                FUZZ_HOLDS((found == tmpl) == sp__template_matches(tmpl, key.data, key.len));
                FUZZ_HOLDS(tags.used <= sizeof tags.bytes);
        }
        sp__keys_free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        const uint8_t *at = data, *end = data + len;
        struct part text = next(&at, end), key = next(&at, end), value = next(&at, end);
        char *copy = calloc(1, text.len + 1);
        sp_template *tmpl = NULL;

        memcpy(copy, text.data, text.len);
        if (sp_template_new(copy, NULL, &tmpl, NULL) == SP_OK) {
                (void)sp_template_pattern(tmpl, "rec:*", NULL);
                read_key(tmpl, key);
                make_key(tmpl, value);
                find(tmpl, key);
        }
        sp_template_unref(tmpl);
        free(copy);
        return 0;
}
