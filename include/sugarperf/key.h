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
 * secret (`{token!}`), is replaced by `~` and its SHA-256 in hex. Keys of a Redis Cluster that have to be on one node share
 * a parameter that decides the slot, one a template: `{userId#}` is written in braces, cart:{user-3}:items.
 *
 * A key may be of several templates: that of user:{id}:profile with the id `all` is that of user:all:profile, too. It is one key with
 * one value: the template that has text where the others have a parameter says its times and limits, and it stands under the
 * patterns of all. Where ids come from outside, put no such text where they stand: users:profiles beside user:{id}:profile.
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
 * `options` is a list "name=value …", may be NULL. Durations:
 *
 *     ttl        how long a value is fresh after its load (1h)
 *     negative   the same for an absent value (30s)
 *     sliding    it ends when it was not used for so long, and at the latest after its ttl (0: used or not)
 *     stale      how long after its end it may still be served: while it is loaded anew, or when that fails (`cache.stale`;
 *                0 or never: never, for permissions and the like)
 *     soft       how long callers wait for a load before they take what is stale (0: they take it at once)
 *     hard       how long they wait for a load at all: then they get what is stale, else SP_TIMEOUT (0: as their context says)
 *
 * and refresh (0–100, default 0): it is loaded anew before its end, by about that many times what its load takes, so that
 * nobody waits (XFetch's beta); size (bytes, an estimate); max (bytes of a value at most; `cache.value_max` where it does not
 * say): a larger one is its caller's, and those callers' who wait for it, and is not stored.
 *
 * `raw=json` (or `raw=text`): keys that other programs read and write as well. The value stands in Redis as it is, under the key
 * itself, without the cache's namespace. Of the other options it goes with ttl, hard, size and max; there are no patterns and no
 * tags, and that there is nothing is not stored. What holds then:
 *
 *     - Each look-up asks Redis; nothing is kept in process. What another program wrote is seen by every look-up that begins
 *       later; one that joins a trip which is under way sees what that brings.
 *     - What is loaded is stored only where nobody wrote, changed or deleted a value meanwhile. Of a program that deletes a key
 *       where nothing stands nothing can be seen: it says UNLINK key {key}:sp:l (`cache.namespace` for sp; without the braces
 *       where the key has some), which takes the load's lease away, or what was being loaded stays, at most for its ttl.
 *     - sp_cache_delete() and sp_cache_set() hold as ever while Redis answers. Where it did not (SP_UNAVAILABLE), the old value
 *       may stand there still: they are to be called again. Invalidating all, or a pattern that a rule widened, reaches no raw key.
 *
 * SP_INVALID names what is wrong with the text or the option.
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
