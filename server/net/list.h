/*
 * list: a doubly linked list through its elements. The head is a link of its own, which stands before the first and
 * behind the last element. A link that is all zero, or was taken out, is in no list.
 */
#ifndef SERVER_NET_LIST_H
#define SERVER_NET_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

/* The struct of `type` whose field `field` is at `pointer`. */
#define LINK_OF(pointer, type, field) ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

static inline void list_init(struct link *head)
{
    head->prev = head->next = head;
}

static inline bool list_empty(const struct link *head)
{
    return head->next == head;
}

static inline bool link_in_list(const struct link *link)
{
    return link->next != NULL;
}

/* Takes the link out of its list, if it is in one. */
static inline void link_remove(struct link *link)
{
    if (link->next == NULL)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* Puts the link, which is in no list, behind the last element. */
static inline void list_append(struct link *head, struct link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Moves all elements of `from` to `to`, which has not been in use. */
static inline void list_take(struct link *to, struct link *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

#endif
