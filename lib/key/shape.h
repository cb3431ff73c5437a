/* SPDX-License-Identifier: MIT */
/** The text of a template or a pattern, taken apart. */
#ifndef SP_KEY_SHAPE_H
#define SP_KEY_SHAPE_H

#include <sugarperf/key.h>

enum { SP__SEGMENTS_MAX = 32, SP__TEMPLATE_MAX = 512, SP__NAME_MAX = 64 };

enum sp__segment_kind {
        SP__SEGMENT_TEXT,
        SP__SEGMENT_PARAM, /* fixed text, often none, and one parameter behind it */
        SP__SEGMENT_STAR
};

/* Places in the shape's text. */
struct sp__segment {
        enum sp__segment_kind kind;
        bool secret;
        bool slot;      /* in braces: it alone decides the slot of a Cluster */
        uint16_t param; /* which one of the shape's own */
        uint16_t at;    /* fixed text */
        uint16_t len;
        uint16_t name_at;
        uint16_t name_len;
};

struct sp__shape {
        char *text;
        size_t count;
        size_t params;
        struct sp__segment segments[SP__SEGMENTS_MAX];
};

/** `what` is "template" or "pattern", for the error; only a pattern may have stars. sp__shape_free() after SP_OK. */
sp_status sp__shape_parse(const char *what, const char *text, struct sp__shape *out, sp_error **error);
void sp__shape_free(struct sp__shape *shape);

#endif
