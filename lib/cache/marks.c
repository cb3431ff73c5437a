/* SPDX-License-Identifier: MIT */
#include "cache/marks.h"

#include <stdlib.h>

enum { ROOM = 122 };

struct sp__marks_part {
        struct sp__marks_part *next;
        uint16_t from;
        uint16_t to;
        uint32_t marks[ROOM];
};

static struct sp__marks_part *part_new(struct sp__marks *marks)
{
        struct sp__marks_part *part = marks->spare ? marks->spare : malloc(sizeof *part);

        if (!part)
                return NULL;
        if (!marks->spare)
                marks->bytes += sizeof *part;
        marks->spare = NULL;
        part->next = NULL;
        part->from = part->to = 0;
        return part;
}

static void part_free(struct sp__marks *marks, struct sp__marks_part *part)
{
        if (!marks->spare) {
                marks->spare = part;
                return;
        }
        marks->bytes -= sizeof *part;
        free(part);
}

bool sp__marks_push(struct sp__marks *marks, uint32_t mark)
{
        if (!marks->last || marks->last->to == ROOM) {
                struct sp__marks_part *part = part_new(marks);

                if (!part)
                        return false;
                if (marks->last)
                        marks->last->next = part;
                else
                        marks->first = part;
                marks->last = part;
        }
        marks->last->marks[marks->last->to++] = mark;
        marks->count++;
        return true;
}

static void drop_first(struct sp__marks *marks)
{
        struct sp__marks_part *part = marks->first;

        marks->first = part->next;
        if (!marks->first)
                marks->last = NULL;
        part_free(marks, part);
}

bool sp__marks_first(const struct sp__marks *marks, uint32_t *mark)
{
        if (marks->count == 0)
                return false;
        *mark = marks->first->marks[marks->first->from];
        return true;
}

void sp__marks_pop(struct sp__marks *marks)
{
        struct sp__marks_part *part = marks->first;

        part->from++;
        marks->count--;
        if (part->from == ROOM)
                drop_first(marks);
        else if (marks->count == 0)
                part->from = part->to = 0;
}

void sp__marks_clear(struct sp__marks *marks)
{
        while (marks->first)
                drop_first(marks);
        free(marks->spare);
        *marks = (struct sp__marks){.first = NULL};
}
