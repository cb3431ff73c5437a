/* SPDX-License-Identifier: MIT */
/**
 * How large a share of a shard its window is. No share is right for all: a loop that is larger than the cache wants none,
 * what comes back soon and only once wants much. So hits a place are compared: of the window, of the main part, and of what
 * just left the window, which would have been hits in a larger one; the share follows them. Pure; the owner's lock guards it.
 */
#ifndef SP_CACHE_SHARE_H
#define SP_CACHE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp__share {
        double share;
        double hits;    /* in the window */
        double missed;  /* on what left it lately and was not kept */
        double all;     /* hits on everything */
        uint32_t *left; /* marks of those, each where its low bits say, until another one comes there */
        size_t places;  /* a power of two, or 0 */
};

void sp__share_init(struct sp__share *window);
void sp__share_free(struct sp__share *window);
/** Room for those that left, by how many entries there are. */
void sp__share_fit(struct sp__share *window, size_t entries);
/** It left the window and was not kept; it came back. */
void sp__share_reject(struct sp__share *window, uint32_t mark);
void sp__share_return(struct sp__share *window, uint32_t mark);
/** After some hits: on all, and where how many entries are. */
void sp__share_judge(struct sp__share *window, int64_t hits, size_t in_window, size_t in_main);

#endif
