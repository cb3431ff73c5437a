/* SPDX-License-Identifier: MIT */
/**
 * Templates and patterns that are written with other names: a rule has the columns of a table where a template has its
 * parameters, rec:content:{id}:full for rec:content:{contentId}:full.
 */
#ifndef SP_KEY_ALIKE_H
#define SP_KEY_ALIKE_H

#include "key/registry.h"
#include "key/shape.h"

/** What a text with names of its own stands for: the declared shape, whose parameters are in the same order. */
struct sp__alike {
        const sp_template *tmpl;
        const struct sp__shape *shape; /* of the template, or of a pattern of its */
        bool pattern;
};

/** false: no template, or (where `shape` has a star) no pattern, is like that. */
bool sp__keys_alike(const struct sp__keys *keys, const struct sp__shape *shape, struct sp__alike *out);
/** The template or pattern that shares most first segments with the shape, for messages; NULL: none shares one. */
const char *sp__keys_near(const struct sp__keys *keys, const struct sp__shape *shape);
/** A declared pattern that every key of the template has, NULL: there is none. It has no parameters. */
const struct sp__shape *sp__template_cover(const sp_template *tmpl);

#endif
