/* SPDX-License-Identifier: MIT */
/**
 * Intrusive doubly linked list, circular around its head. Each state of an object is a list that it stands in.
 * No locks: whoever owns the head says which lock guards it.
 */
#ifndef SP_BASE_LIST_H
#define SP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct sp__list {
        struct sp__list *next;
        struct sp__list *prev;
};

/** The object that holds `link` as its member. */
#define SP__OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/** Walks the objects of a list; the current one may be removed. */
#define SP__EACH(head, at, after)                                                                                      \
        for (struct sp__list *at = (head)->next, *after = at->next; at != (head); at = after, after = at->next)

static inline void sp__list_init(struct sp__list *head)
{
        head->next = head->prev = head;
}

static inline bool sp__list_empty(const struct sp__list *head)
{
        return head->next == head;
}

/** Whether a link that was initialised stands in a list. */
static inline bool sp__list_linked(const struct sp__list *link)
{
        return link->next != NULL && link->next != link;
}

static inline void sp__list_push(struct sp__list *head, struct sp__list *link)
{
        link->prev = head->prev;
        link->next = head;
        head->prev->next = link;
        head->prev = link;
}

static inline void sp__list_push_front(struct sp__list *head, struct sp__list *link)
{
        sp__list_push(head->next, link);
}

/** Leaves the link initialised: removing twice does nothing. */
static inline void sp__list_remove(struct sp__list *link)
{
        link->prev->next = link->next;
        link->next->prev = link->prev;
        sp__list_init(link);
}

/** The oldest link, removed; NULL when empty. */
static inline struct sp__list *sp__list_pop(struct sp__list *head)
{
        struct sp__list *link = head->next;

        if (link == head)
                return NULL;
        sp__list_remove(link);
        return link;
}

/** Moves all of `from` behind `head`. */
static inline void sp__list_join(struct sp__list *head, struct sp__list *from)
{
        if (sp__list_empty(from))
                return;
        from->next->prev = head->prev;
        head->prev->next = from->next;
        from->prev->next = head;
        head->prev = from->prev;
        sp__list_init(from);
}

#endif
