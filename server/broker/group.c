#include "server/broker/group.h"

#include "server/broker/line.h"
#include "server/broker/tree.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

/* ---- records ----------------------------------------------------------------------------------------------------- */

static inline struct group *group_of(struct table_link *link)
{
    _Static_assert(offsetof(struct group, link) == 0, "a link is the beginning of its group");
    return (struct group *)(void *)link;
}

static inline size_t group_size(size_t name_bytes)
{
    return sizeof(struct group) + name_bytes;
}

struct group *group_new(struct broker *b, struct queue *q, struct view name)
{
    assert(name.bytes > 0 && name.bytes <= LIMIT_GROUP_BYTES);
    struct group *g = table_reserve(&q->groups.table) ? pool_take(&b->pool, group_size(name.bytes)) : NULL;
    if (!g)
        return NULL;
    memset(g, 0, sizeof *g);
    g->name_bytes = (uint8_t)name.bytes;
    memcpy(g->name, name.data, name.bytes);
    return g;
}

void group_free(struct pool *pool, struct group *group)
{
    pool_give(pool, group, group_size(group->name_bytes));
}

static uint64_t hash_of(const struct broker *b, struct view name)
{
    return XXH3_64bits_withSeed(name.data, name.bytes, b->hash_seed);
}

static struct group *find(const struct queue *q, struct view name, uint64_t hash)
{
    for (struct table_link *link = table_find(&q->groups.table, hash); link; link = table_next(link)) {
        struct group *g = group_of(link);
        if (g->name_bytes == name.bytes && memcmp(g->name, name.data, name.bytes) == 0)
            return g;
    }
    return NULL;
}

struct group *group_find(const struct broker *b, const struct queue *q, struct view name)
{
    return find(q, name, hash_of(b, name));
}

/* The queue knows the group from now on. */
static void begin(struct groups *groups, struct group *g, uint64_t hash)
{
    table_insert(&groups->table, &g->link, hash);
    g->older = groups->newest;
    if (groups->newest)
        groups->newest->newer = g;
    else
        groups->oldest = g;
    groups->newest = g;
}

struct group *group_meet(struct broker *b, struct queue *q, struct view name)
{
    uint64_t hash = hash_of(b, name);
    struct group *g = find(q, name, hash);
    if (!g && (g = group_new(b, q, name)))
        begin(&q->groups, g, hash);
    return g;
}

void group_join(struct broker *b, struct queue *q, struct message *m, struct group **spare)
{
    struct view name = message_group(m);
    uint64_t hash = hash_of(b, name);
    struct group *g = find(q, name, hash);
    if (!g) {
        g = *spare;
        *spare = NULL;
        begin(&q->groups, g, hash);
    }
    message_links(m)->group = g;
}

/* ---- lists of groups --------------------------------------------------------------------------------------------- */

static void unlist(struct group *g)
{
    struct group_list *list = g->list;
    if (!list)
        return;
    if (g->list_prev)
        g->list_prev->list_next = g->list_next;
    else
        list->first = g->list_next;
    if (g->list_next)
        g->list_next->list_prev = g->list_prev;
    else
        list->last = g->list_prev;
    g->list = NULL;
    g->list_prev = g->list_next = NULL;
}

static void enlist(struct group *g, struct group_list *list)
{
    g->list = list;
    g->list_prev = list->last;
    if (list->last)
        list->last->list_next = g;
    else
        list->first = g;
    list->last = g;
}

static void let_go(struct group *g)
{
    struct taker *t = g->holder;
    if (!t)
        return;
    if (g->holder_prev)
        g->holder_prev->holder_next = g->holder_next;
    else
        t->groups = g->holder_next;
    if (g->holder_next)
        g->holder_next->holder_prev = g->holder_prev;
    else
        t->newest_group = g->holder_prev;
    g->holder_prev = g->holder_next = NULL;
    g->holder = NULL;
}

void group_hold(struct group *g, struct taker *taker)
{
    unlist(g); /* it has had its turn */
    if (g->holder == taker)
        return;
    assert(!g->holder);
    g->holder = taker;
    g->holder_prev = taker->newest_group;
    if (taker->newest_group)
        taker->newest_group->holder_next = g;
    else
        taker->groups = g;
    taker->newest_group = g;
}

/* ---- where a group belongs --------------------------------------------------------------------------------------- */

static bool is_sticky(const struct queue *q, const struct group *g)
{
    return q->attributes.sticky_groups && g->holder->kind == TAKER_CONSUMER && (g->ready || g->held) &&
           (!q->active || q->active == g->holder);
}

/* How many of the group its holder may have inflight. */
static uint64_t share(const struct queue *q, const struct taker *holder)
{
    if (holder->kind == TAKER_WAITER)
        return UINT64_MAX;
    return holder->group_prefetch != 0 ? holder->group_prefetch : (uint64_t)q->attributes.group_prefetch;
}

/* The list in which the group belongs, or NULL. */
static struct group_list *list_for(struct queue *q, const struct group *g)
{
    const struct message *m = tree_first(g->ready);
    if (!m)
        return NULL;
    if (g->held && tree_first(g->held)->id < m->id)
        return NULL;
    uint32_t inflight = g->count[MESSAGE_INFLIGHT];
    if (inflight == 0)
        return g->holder ? &g->holder->own : &q->groups.deliverable;
    if (g->holder && m->id > g->newest_inflight->id && inflight < share(q, g->holder))
        return &g->holder->own;
    return NULL;
}

static void forget(struct broker *b, struct queue *q, struct group *g)
{
    struct groups *groups = &q->groups;
    assert(!g->list && !g->holder && !g->ready && !g->held && !g->newest_inflight);
    table_remove(&groups->table, &g->link);
    if (g->older)
        g->older->newer = g->newer;
    else
        groups->oldest = g->newer;
    if (g->newer)
        g->newer->older = g->older;
    else
        groups->newest = g->older;
    group_free(&b->pool, g);
}

static bool is_empty(const struct group *g)
{
    return (g->count[0] | g->count[1] | g->count[2] | g->count[3]) == 0;
}

void order_settle(struct broker *b, struct queue *q, struct group *g)
{
    if (!g)
        return;
    struct taker *before = g->holder;
    if (before && g->count[MESSAGE_INFLIGHT] == 0 && !is_sticky(q, g)) {
        if (g->list == &before->own)
            unlist(g);
        let_go(g);
    }
    struct group_list *list = list_for(q, g);
    if (list != g->list) {
        unlist(g);
        if (list)
            enlist(g, list);
    }
    if (before && (before->own.first != NULL) != (before->state == TAKER_KEEN))
        line_update(b, before);
    if (list && !q->dirty)
        line_wake(b, q);
    if (is_empty(g))
        forget(b, q, g);
}

void group_release_all(struct broker *b, struct queue *q, struct taker *taker)
{
    for (struct group *g; (g = taker->groups);) {
        unlist(g);
        let_go(g);
        order_settle(b, q, g);
    }
}

/* ---- messages change their state --------------------------------------------------------------------------------- */

/* Deliveries of a group go up in ids: the last one delivered is the last of the list. */
static void inflight_append(struct group *g, struct message *m)
{
    struct message *last = g->newest_inflight;
    assert(!last || last->id < m->id);
    message_links(m)->left = last;
    message_links(m)->right = NULL;
    if (last)
        message_links(last)->right = m;
    g->newest_inflight = m;
}

static void inflight_remove(struct group *g, struct message *m)
{
    struct message_links *links = message_links(m);
    if (links->left)
        message_links(links->left)->right = links->right;
    if (links->right)
        message_links(links->right)->left = links->left;
    else
        g->newest_inflight = links->left;
    links->left = links->right = NULL;
}

static void urgent_enter(struct queue *q, struct message *m)
{
    tree_put(&q->urgent[m->priority], m);
    q->urgent_levels |= 1u << m->priority;
}

static void urgent_leave(struct queue *q, struct message *m)
{
    tree_remove(&q->urgent[m->priority], m);
    if (!q->urgent[m->priority])
        q->urgent_levels &= ~(1u << m->priority);
}

void order_enter(struct queue *q, struct message *m, enum message_state state)
{
    struct group *g = message_links(m)->group;
    if (!g) {
        if (state == MESSAGE_READY)
            urgent_enter(q, m);
        return;
    }
    g->count[state]++;
    if (state == MESSAGE_READY)
        tree_put(&g->ready, m);
    else if (state == MESSAGE_INFLIGHT)
        inflight_append(g, m);
    else if (state == MESSAGE_DELAYED && m->flags & MESSAGE_HELD)
        tree_put(&g->held, m);
}

void order_leave(struct queue *q, struct message *m, enum message_state state)
{
    struct group *g = message_links(m)->group;
    if (!g) {
        if (state == MESSAGE_READY)
            urgent_leave(q, m);
        return;
    }
    assert(g->count[state] > 0);
    g->count[state]--;
    if (state == MESSAGE_READY)
        tree_remove(&g->ready, m);
    else if (state == MESSAGE_INFLIGHT)
        inflight_remove(g, m);
    else if (state == MESSAGE_DELAYED && m->flags & MESSAGE_HELD)
        tree_remove(&g->held, m);
}

/* ---- everything at once ------------------------------------------------------------------------------------------ */

void order_review(struct broker *b, struct queue *q)
{
    for (struct group *g = q->groups.oldest, *next; g; g = next) {
        next = g->newer;
        order_settle(b, q, g);
    }
}

void order_doom(struct broker *b, struct queue *q, enum message_state state)
{
    if (state == MESSAGE_READY) {
        memset(q->urgent, 0, sizeof q->urgent);
        q->urgent_levels = 0;
    }
    for (struct group *g = q->groups.oldest; g; g = g->newer) {
        g->count[state] = 0;
        if (state == MESSAGE_READY)
            g->ready = NULL;
        else if (state == MESSAGE_INFLIGHT)
            g->newest_inflight = NULL;
        else if (state == MESSAGE_DELAYED)
            g->held = NULL;
    }
    order_review(b, q);
}

/* No taker goes on with any group, all of which are about to go. */
static void takers_forget(struct broker *b, struct queue *q)
{
    static const unsigned states[] = {TAKER_KEEN, TAKER_ABLE, TAKER_IDLE};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        struct ring_cursor at = ring_first(&q->takers, states[i], 0);
        while (at.page) {
            struct taker *t = ring_item(at);
            uint64_t next = ring_key(at) + 1;
            t->groups = t->newest_group = NULL;
            t->own = (struct group_list){NULL, NULL};
            line_update(b, t);
            at = ring_first(&q->takers, states[i], next);
        }
    }
}

void order_detach(struct broker *b, struct queue *q)
{
    struct groups *groups = &q->groups;
    memset(q->urgent, 0, sizeof q->urgent);
    q->urgent_levels = 0;
    takers_forget(b, q);
    if (groups->newest) {
        groups->newest->newer = b->dead_groups;
        b->dead_groups = groups->oldest;
    }
    table_clear(&groups->table);
    groups->oldest = groups->newest = NULL;
    groups->deliverable = (struct group_list){NULL, NULL};
}

bool group_trash(struct broker *b, uint32_t *budget)
{
    for (struct group *g; (g = b->dead_groups); --*budget) {
        if (*budget == 0)
            return false;
        b->dead_groups = g->newer;
        group_free(&b->pool, g);
    }
    return true;
}
