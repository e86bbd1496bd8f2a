/*
 * ring: what a queue holds, in the order of growing keys: its messages by id, its consumers by place.
 *
 * A plain ring buffer of pointers has two weaknesses in a queue whose messages come back: what returns must squeeze in
 * before its head, and a single old message pins everything between it and the tail. So this ring is paged: pages of 64
 * pointers at the leaves of a radix tree of fan-out 64 over the key. An item never moves; its place is its key. What
 * changes is its state, which is a bit in its page: `bits[state]` has bit n set if item n is in that state.
 * An inner node has bit n of `bits[state]` set if its child n has an item in that state. So "the next item in state s from
 * key k on" walks over bits only, behind any gap and any backlog; returning an item to its place is setting a bit; taking
 * a message out of the middle costs what taking it from the front costs.
 *
 * Costs: 9 bytes an item in full pages. ring_set() touches the page, and its parents only when the page's first item
 * enters a state or its last leaves it. Emptied pages are freed at once, so sparse old items keep one page each.
 *
 * Invariants: a node exists if and only if one of its bits is set, but for pages between ring_reserve() and ring_put(); an
 * item is in exactly one state.
 */
#ifndef SERVER_BROKER_RING_H
#define SERVER_BROKER_RING_H

#include "server/broker/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_STATES 5
#define RING_DOOMED 4 /* items that are gone for everybody and wait to be freed: not part of ring_total() */
#define RING_FANOUT 64

struct ring;

/* A node: a page of items at level 0, an inner node above. */
struct ring_page {
    uint64_t bits[RING_STATES];
    uint64_t first_key; /* the lowest key that can lie below; a multiple of 64^(level + 1) */
    struct ring_page *parent;
    struct ring *ring;
    uint32_t level;
    uint32_t reserved;        /* of a page: items promised by ring_reserve() and not yet put */
    uint64_t children;        /* of an inner node: which children exist */
    void *child[RING_FANOUT]; /* items, or nodes; not initialised where no bit says so */
};

struct ring {
    struct pool *pool;
    void *owner; /* the queue; NULL once the ring is detached from it and only waits to be emptied */
    struct ring_page *root;
    struct ring_page *tail;               /* page of items of the last put, or NULL */
    struct ring_page *front[RING_STATES]; /* the first page with an item in that state, NULL if not known */
    uint64_t count[RING_STATES];
    struct ring *trash_next; /* list of rings with items to be freed */
    bool in_trash;
};

/* A position in a ring; page NULL: none. */
struct ring_cursor {
    struct ring_page *page;
    uint32_t lane; /* 0 .. 63 */
};

void ring_init(struct ring *ring, struct pool *pool, void *owner);

/* Gives up a reservation, or the rest of one. */
void ring_unreserve(struct ring *ring, uint64_t key, uint32_t count);

/* Moves every item in one state to another. Costs a step per page, not per item. */
void ring_set_all(struct ring *ring, unsigned from, unsigned to);

/* The item with that key, in whatever state; page NULL if there is none. */
struct ring_cursor ring_find(const struct ring *ring, uint64_t key);

/* The first item in `state` with a key >= `key`; page NULL if there is none. */
struct ring_cursor ring_first(struct ring *ring, unsigned state, uint64_t key);

/* ---- what is done to every message: inline ------------------------------------------------------------------------- */

/* The page's first item has entered the state, or its last one has left it: its parents are told. For ring_*() alone. */
void ring_spread(struct ring_page *page, unsigned state);
void ring_withdraw(struct ring_page *page, unsigned state);
/* Frees a page that holds nothing and is promised to nobody, and the parents that this empties. For ring_*() alone. */
void ring_prune(struct ring_page *page);
/* The page that covers the key, or NULL. For ring_*() alone. */
struct ring_page *ring_page_find(const struct ring *ring, uint64_t key);
/* The same, made if need be; NULL if memory ran out (and then nothing is left behind). For ring_*() alone. */
struct ring_page *ring_page_for(struct ring *ring, uint64_t key);

static inline bool ring_covers(const struct ring_page *page, uint64_t key)
{
    return (key ^ page->first_key) >> (6 * (page->level + 1)) == 0;
}

/* Bit n: item n is there, in whatever state. */
static inline uint64_t ring_items(const struct ring_page *page)
{
    return page->bits[0] | page->bits[1] | page->bits[2] | page->bits[3] | page->bits[RING_DOOMED];
}

/* True if the item there is in that state. */
static inline bool ring_is(struct ring_cursor at, unsigned state)
{
    return at.page->bits[state] >> at.lane & 1;
}

/* Takes the first run of adjacent items out of *items, which has some: its first lane; *count: how many. */
static inline uint32_t ring_take_run(uint64_t *items, uint32_t *count)
{
    const uint32_t lane = (uint32_t)__builtin_ctzll(*items);
    const uint64_t rest = ~(*items >> lane);
    *count = rest != 0 ? (uint32_t)__builtin_ctzll(rest) : RING_FANOUT;
    *items &= lane + *count < RING_FANOUT ? UINT64_MAX << (lane + *count) : 0;
    return lane;
}

/* `count` items of one page, by their bits, enter a state that they are not in, or leave the one in which they are. */
static inline void ring_enter(struct ring_page *page, uint64_t items, uint32_t count, unsigned state)
{
    const uint64_t before = page->bits[state];
    page->bits[state] = before | items;
    if (before == 0)
        ring_spread(page, state);
    page->ring->count[state] += count;
}

static inline void ring_leave(struct ring_page *page, uint64_t items, uint32_t count, unsigned state)
{
    assert((page->bits[state] & items) == items);
    page->bits[state] &= ~items;
    page->ring->count[state] -= count;
    if (page->bits[state] == 0)
        ring_withdraw(page, state);
}

/* Puts an item under a reserved, free key. */
static inline struct ring_cursor ring_put(struct ring *ring, uint64_t key, void *item, unsigned state)
{
    struct ring_page *page = ring->tail;
    const uint32_t lane = (uint32_t)(key % RING_FANOUT);
    if (!page || (key ^ page->first_key) >= RING_FANOUT)
        ring->tail = page = ring_page_find(ring, key);
    assert(page && page->reserved > 0 && !(ring_items(page) >> lane & 1));
    page->reserved--;
    page->child[lane] = item;
    ring_enter(page, (uint64_t)1 << lane, 1, state);
    return (struct ring_cursor){page, lane};
}

/* What ring_reserve() does where the last page does not reach. For ring_*() alone. */
bool ring_reserve_pages(struct ring *ring, uint64_t key, uint32_t count);

/* Makes sure that the `count` keys from `key` on can be put without allocating. False if memory ran out; nothing changed. */
static inline bool ring_reserve(struct ring *ring, uint64_t key, uint32_t count)
{
    struct ring_page *page = ring->tail;
    if (!page || key - page->first_key + count > RING_FANOUT || key < page->first_key)
        return ring_reserve_pages(ring, key, count);
    page->reserved += count;
    return true;
}

/*
 * The place of a free key, and of the *count free keys from there on as far as its page reaches: *count is cut to that. Items may
 * be laid there, one behind the other, and ring_put_laid() puts them; if there are none after all, ring_prune() is due. No key
 * is reserved. page NULL: memory ran out.
 */
static inline struct ring_cursor ring_open(struct ring *ring, uint64_t key, uint32_t *count)
{
    const uint32_t lane = (uint32_t)(key % RING_FANOUT);
    struct ring_page *page = ring->tail;
    if (!page || (key ^ page->first_key) >= RING_FANOUT)
        page = ring_page_for(ring, key);
    if (*count > RING_FANOUT - lane)
        *count = RING_FANOUT - lane;
    return (struct ring_cursor){page, lane};
}

static inline void **ring_lane(struct ring_cursor at)
{
    return &at.page->child[at.lane];
}

/* Puts the `count` items that were laid from that place on. */
static inline void ring_put_laid(struct ring_cursor from, uint32_t count, unsigned state)
{
    assert(count > 0 && count <= RING_FANOUT - from.lane);
    const uint64_t items = UINT64_MAX >> (RING_FANOUT - count) << from.lane;
    assert((ring_items(from.page) & items) == 0);
    from.page->ring->tail = from.page;
    ring_enter(from.page, items, count, state);
}

/* Moves the item from one state to another. */
static inline void ring_set(struct ring_cursor at, unsigned from, unsigned to)
{
    ring_leave(at.page, (uint64_t)1 << at.lane, 1, from);
    ring_enter(at.page, (uint64_t)1 << at.lane, 1, to);
}

/* Takes the item out and frees what that empties. The cursor is dead afterwards. */
static inline void ring_remove(struct ring_cursor at, unsigned state)
{
    ring_leave(at.page, (uint64_t)1 << at.lane, 1, state);
    if (ring_items(at.page) == 0)
        ring_prune(at.page);
}

/* ---- a walk -------------------------------------------------------------------------------------------------------- */

/* All items in the order of their keys, whatever their state, but for those that are doomed. Meanwhile nothing may change. */
struct ring_walk {
    struct ring *ring;
    struct ring_cursor next[RING_DOOMED]; /* of each state */
};

void ring_walk_begin(struct ring_walk *walk, struct ring *ring);
/* The next one and its state. False at the end. */
bool ring_walk_next(struct ring_walk *walk, struct ring_cursor *at, unsigned *state);

static inline void *ring_item(struct ring_cursor at)
{
    return at.page->child[at.lane];
}

static inline uint64_t ring_key(struct ring_cursor at)
{
    return at.page->first_key + at.lane;
}

static inline uint64_t ring_total(const struct ring *ring)
{
    return ring->count[0] + ring->count[1] + ring->count[2] + ring->count[3];
}

#endif
