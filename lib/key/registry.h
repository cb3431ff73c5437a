/* SPDX-License-Identifier: MIT */
/**
 * The declared templates of one cache. A key may be of several templates (auth:user:{id}:{part} and
 * auth:user:{id}:roles): the most specific one gives its times, all of them its tags.
 *
 * Threads: safe from any thread. Reads take no lock: a declaration makes a new table, and old ones live as long as the
 * registry, which is bounded by how few declarations a service has.
 */
#ifndef SP_KEY_REGISTRY_H
#define SP_KEY_REGISTRY_H

#include "base/buf.h"
#include "key/template.h"

struct sp__keys;

/** NULL when out of memory. */
struct sp__keys *sp__keys_new(void);
void sp__keys_free(struct sp__keys *keys);
/**
 * Takes a reference; from now on the template is as it is. The same declaration again is fine. SP_INVALID: contradicts an
 * earlier one; SP_LIMIT: a key could have more than SP__TAGS_MAX tags.
 */
sp_status sp__keys_declare(struct sp__keys *keys, sp_template *tmpl, sp_error **error);
/** The most specific template of a key, NULL for a foreign key. */
const sp_template *sp__keys_find(const struct sp__keys *keys, const char *key, size_t len);
/** The same, and the tags of all templates that the key is of, in `tags`, which it empties first. */
const sp_template *sp__keys_tags(const struct sp__keys *keys, const char *key, size_t len, struct sp__tags *tags);
/** All templates as JSON, in the order of their texts; see sp_cache_templates(). */
void sp__keys_list(const struct sp__keys *keys, struct sp__buf *out);
/** A template that declares the pattern, NULL when none does. */
const sp_template *sp__keys_pattern(const struct sp__keys *keys, const char *pattern);
/** Templates in some order; NULL past the last one. */
const sp_template *sp__keys_at(const struct sp__keys *keys, size_t index);

#endif
