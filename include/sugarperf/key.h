/* SPDX-License-Identifier: MIT */
/**
 * @file key.h
 * @brief Key templates: `<service>:<entity>:<id>:<variant>`, declared once, built safely, matched by patterns in O(1).
 *
 *     sp_template_new("rec:recommendations:{userId}:{limit}", "ttl=1h size=5KB", &recs, &error);
 *     sp_template_pattern(recs, "rec:recommendations:*", &error);
 *     sp_template_pattern(recs, "rec:recommendations:{userId}:*", &error);
 *     sp_key_format(recs, params, buf, sizeof buf, &len);            rec:recommendations:user-3:10
 *
 * A parameter fills one segment. Bytes that mean something in a key or a pattern (`:` `*` `?` `[` `]` `{` `}` `%` `~` `\`,
 * blanks, control bytes) are written %XX, so that an id can widen nothing; a part longer than 128 bytes, or one declared
 * secret (`{token!}`), is replaced by `~` and its SHA-256 in hex.
 *
 * Pure: no I/O, no threads of its own. Threads: set a template up in one thread; afterwards it is safe from any.
 */
#ifndef SUGARPERF_KEY_H
#define SUGARPERF_KEY_H

#include <sugarperf/base.h>
#include <sugarperf/params.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_template sp_template;

#define SP_KEY_MAX 1024 /**< bytes of a built key */

/**
 * `options` is a list "name=value …", may be NULL: ttl (a duration, default 1h), size (estimate), negative (how long an
 * absent value is kept, default 30s), stale (how long an expired value may still be served, 0 = never). SP_INVALID names
 * what is wrong with the text or the option.
 */
SP_API sp_status sp_template_new(const char *text, const char *options, sp_template **out, sp_error **error);
SP_API sp_template *sp_template_ref(sp_template *tmpl);
SP_API void sp_template_unref(sp_template *tmpl);
/**
 * Declares a pattern under which keys of this template can be invalidated. Its segments are fixed text, `{param}` of the
 * template, or `*`; a `*` at the end stands for all that follows, elsewhere for one segment.
 */
SP_API sp_status sp_template_pattern(sp_template *tmpl, const char *pattern, sp_error **error);
SP_API const char *sp_template_text(const sp_template *tmpl);
SP_API size_t sp_template_params(const sp_template *tmpl);
/** Name of parameter `index`; NULL past the end. */
SP_API const char *sp_template_param(const sp_template *tmpl, size_t index);
SP_API int64_t sp_template_ttl_ms(const sp_template *tmpl);

/**
 * Writes the key into the caller's buffer, without allocating; `*len` is its length, no zero byte is added. Parameters fill
 * the template in order, as text. SP_INVALID: wrong number of parameters or a NULL or empty one; SP_LIMIT: does not fit
 * `cap` or SP_KEY_MAX.
 */
SP_API sp_status sp_key_format(const sp_template *tmpl, const sp_params *params, char *buf, size_t cap, size_t *len);
/** Why sp_key_format() refuses, in words: the error names the parameter, or the limit. SP_OK where a key can be made. */
SP_API sp_status sp_key_check(const sp_template *tmpl, const sp_params *params, sp_error **error);
/** Takes a key apart: `out` gets the parameters, unescaped. SP_NOT_FOUND when it is not of this template or was hashed. */
SP_API sp_status sp_key_parse(const sp_template *tmpl, const void *data, size_t len, sp_params *out);

#ifdef __cplusplus
}
#endif
#endif
