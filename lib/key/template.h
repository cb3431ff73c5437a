/* SPDX-License-Identifier: MIT */
/** Templates as the cache reads them: their times, the keys that are theirs, and the tags under which a key stands. */
#ifndef SP_KEY_TEMPLATE_H
#define SP_KEY_TEMPLATE_H

#include <sugarperf/key.h>

int64_t sp__template_negative_ms(const sp_template *tmpl);
/** -1: not said. */
int64_t sp__template_stale_ms(const sp_template *tmpl);
int64_t sp__template_soft_ms(const sp_template *tmpl);
int64_t sp__template_hard_ms(const sp_template *tmpl);
int64_t sp__template_refresh(const sp_template *tmpl);
int64_t sp__template_sliding_ms(const sp_template *tmpl);
/** Estimated bytes of a value; 0 where none was given. */
int64_t sp__template_size(const sp_template *tmpl);
/** Bytes of a value at most; 0: as the cache says. */
int64_t sp__template_value_max(const sp_template *tmpl);
/** The codec of values that other programs read and write as they are; 0: they are the cache's own. */
uint32_t sp__template_raw(const sp_template *tmpl);

/** Whether sp_key_format() of this template makes this key of some parameters. */
bool sp__template_matches(const sp_template *tmpl, const char *key, size_t len);

/** Of all templates that a key can match in one registry, see sp__keys_declare(). */
enum { SP__TAGS_MAX = 16 };

/**
 * Texts of patterns, the {names} in them replaced by the key's own segments: of the pattern rec:recommendations:{userId}:*
 * and the key rec:recommendations:user-3:10 it is rec:recommendations:user-3:*. No longer than the key. Some 16 KiB of
 * which only what is used is touched: set `count` and `used` to 0, leave the rest.
 */
struct sp__tags {
        size_t count;
        size_t used;
        struct {
                uint16_t at; /* in `bytes` */
                uint16_t len;
        } tags[SP__TAGS_MAX];
        char bytes[SP__TAGS_MAX * SP_KEY_MAX];
};

/** Adds the tags of a key that matches the template, each text once. */
void sp__template_tags(const sp_template *tmpl, const char *key, size_t len, struct sp__tags *tags);

/** Whether the template declares this pattern. */
bool sp__template_declares(const sp_template *tmpl, const char *pattern);
/**
 * The tag of a declared pattern with these parameters, which fill its {names} in order and are written as in keys.
 * SP_INVALID: not declared, or a wrong number of parameters, or a NULL or empty one. SP_LIMIT: does not fit.
 */
sp_status sp__pattern_format(const sp_template *tmpl, const char *pattern, const sp_params *params, char *buf,
                             size_t cap, size_t *len, sp_error **error);

#endif
