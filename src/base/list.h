/*
 * list.h - intrusive circular doubly linked list. A struct list is a head or the link embedded in
 * an owner. A link that is in no list points at itself (list_init), so that list_remove is always
 * allowed and idempotent.
 */
#pragma once
#include <stdbool.h>

#include "base/mem.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
static inline void list_append(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
#define list_for_each(L, HEAD) for (struct list *L = (HEAD)->next; L != (HEAD); L = L->next)
