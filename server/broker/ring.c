#include "server/broker/ring.h"

#include <assert.h>
#include <string.h>

#define DIGIT_BITS 6
#define DIGIT_MASK 63u

static inline uint64_t bit(unsigned lane)
{
    return (uint64_t)1 << lane;
}

static inline unsigned lowest(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}

/* Which child of a node of this level the key lies under. */
static inline unsigned digit(uint64_t key, uint32_t level)
{
    return (unsigned)(key >> (DIGIT_BITS * level)) & DIGIT_MASK;
}

static inline unsigned lane_in_parent(const struct ring_page *page)
{
    return digit(page->first_key, page->level + 1);
}

void ring_init(struct ring *ring, struct pool *pool, void *owner)
{
    memset(ring, 0, sizeof *ring);
    ring->pool = pool;
    ring->owner = owner;
}

static struct ring_page *page_new(struct ring *ring, uint64_t key, uint32_t level)
{
    struct ring_page *page = pool_take(ring->pool, sizeof *page);
    if (!page)
        return NULL;
    memset(page, 0, offsetof(struct ring_page, child));
    page->ring = ring;
    page->level = level;
    page->first_key = key >> (DIGIT_BITS * (level + 1)) << (DIGIT_BITS * (level + 1));
    return page;
}

static void page_free(struct ring_page *page)
{
    struct ring *ring = page->ring;
    if (ring->tail == page)
        ring->tail = NULL;
    for (unsigned s = 0; s < RING_STATES; s++)
        if (ring->front[s] == page)
            ring->front[s] = NULL;
    pool_give(ring->pool, page, sizeof *page);
}

/* An inner node with a single child is of no use at the root. */
static void lower_root(struct ring *ring)
{
    struct ring_page *root = ring->root;
    while (root && root->level > 0 && (root->children & (root->children - 1)) == 0) {
        ring->root = root->child[lowest(root->children)];
        ring->root->parent = NULL;
        page_free(root);
        root = ring->root;
    }
}

void ring_prune(struct ring_page *page)
{
    struct ring *ring = page->ring;
    if (page->level == 0 && (page->reserved > 0 || ring_items(page) != 0))
        return;
    while (page->children == 0) {
        struct ring_page *parent = page->parent;
        if (!parent) {
            ring->root = NULL;
            page_free(page);
            return;
        }
        parent->children &= ~bit(lane_in_parent(page));
        page_free(page);
        page = parent;
    }
    lower_root(ring);
}

/* Puts a node above the root until the root covers the key. */
static bool raise_root(struct ring *ring, uint64_t key)
{
    while (!ring_covers(ring->root, key)) {
        struct ring_page *old = ring->root;
        struct ring_page *root = page_new(ring, key, old->level + 1);
        if (!root) {
            lower_root(ring);
            return false;
        }
        root->first_key = old->first_key >> (DIGIT_BITS * (root->level + 1)) << (DIGIT_BITS * (root->level + 1));
        unsigned lane = lane_in_parent(old);
        root->child[lane] = old;
        root->children = bit(lane);
        for (unsigned s = 0; s < RING_STATES; s++)
            root->bits[s] = old->bits[s] ? bit(lane) : 0;
        old->parent = root;
        ring->root = root;
    }
    return true;
}

struct ring_page *ring_page_for(struct ring *ring, uint64_t key)
{
    if (ring->tail && ring_covers(ring->tail, key))
        return ring->tail;
    if (!ring->root) {
        ring->root = page_new(ring, key, 0);
        return ring->root;
    }
    if (!raise_root(ring, key))
        return NULL;
    struct ring_page *page = ring->root;
    while (page->level > 0) {
        unsigned lane = digit(key, page->level);
        if (!(page->children & bit(lane))) {
            struct ring_page *child = page_new(ring, key, page->level - 1);
            if (!child) {
                if (page->children == 0)
                    ring_prune(page);
                else
                    lower_root(ring);
                return NULL;
            }
            child->parent = page;
            page->child[lane] = child;
            page->children |= bit(lane);
        }
        page = page->child[lane];
    }
    return page;
}

bool ring_reserve_pages(struct ring *ring, uint64_t key, uint32_t count)
{
    uint32_t done = 0;
    while (done < count) {
        struct ring_page *page = ring_page_for(ring, key + done);
        if (!page) {
            ring_unreserve(ring, key, done);
            return false;
        }
        uint32_t room = RING_FANOUT - (uint32_t)((key + done) & DIGIT_MASK);
        uint32_t here = count - done < room ? count - done : room;
        page->reserved += here;
        ring->tail = page;
        done += here;
    }
    return true;
}

struct ring_page *ring_page_find(const struct ring *ring, uint64_t key)
{
    struct ring_page *page = ring->tail && ring_covers(ring->tail, key) ? ring->tail : ring->root;
    if (!page || !ring_covers(page, key))
        return NULL;
    while (page->level > 0) {
        unsigned lane = digit(key, page->level);
        if (!(page->children & bit(lane)))
            return NULL;
        page = page->child[lane];
    }
    return page;
}

void ring_unreserve(struct ring *ring, uint64_t key, uint32_t count)
{
    for (uint32_t done = 0; done < count;) {
        struct ring_page *page = ring_page_find(ring, key + done);
        assert(page);
        uint32_t room = RING_FANOUT - (uint32_t)((key + done) & DIGIT_MASK);
        uint32_t here = count - done < room ? count - done : room;
        assert(page->reserved >= here);
        page->reserved -= here;
        ring_prune(page);
        done += here;
    }
}

void ring_spread(struct ring_page *page, unsigned state)
{
    struct ring *ring = page->ring;
    struct ring_page *front = ring->front[state];
    if (ring->count[state] == 0 || (front && page->first_key < front->first_key))
        ring->front[state] = page;
    for (struct ring_page *p = page; p->parent; p = p->parent) {
        uint64_t before = p->parent->bits[state];
        p->parent->bits[state] = before | bit(lane_in_parent(p));
        if (before != 0)
            break;
    }
}

void ring_withdraw(struct ring_page *page, unsigned state)
{
    struct ring *ring = page->ring;
    if (ring->front[state] == page)
        ring->front[state] = NULL;
    for (struct ring_page *p = page; p->parent; p = p->parent) {
        p->parent->bits[state] &= ~bit(lane_in_parent(p));
        if (p->parent->bits[state] != 0)
            break;
    }
}

void ring_set_all(struct ring *ring, unsigned from, unsigned to)
{
    while (ring->count[from] > 0) {
        struct ring_page *page = ring_first(ring, from, 0).page;
        uint64_t moved = page->bits[from];
        uint64_t before = page->bits[to];
        uint64_t count = (uint64_t)__builtin_popcountll(moved);
        page->bits[from] = 0;
        ring_withdraw(page, from);
        page->bits[to] = before | moved;
        if (before == 0)
            ring_spread(page, to);
        ring->count[from] -= count;
        ring->count[to] += count;
    }
}

struct ring_cursor ring_find(const struct ring *ring, uint64_t key)
{
    struct ring_page *page = ring_page_find(ring, key);
    unsigned lane = (unsigned)(key & DIGIT_MASK);
    if (!page || !(ring_items(page) & bit(lane)))
        return (struct ring_cursor){NULL, 0};
    return (struct ring_cursor){page, lane};
}

static struct ring_cursor leftmost(struct ring_page *page, unsigned state)
{
    while (page->level > 0)
        page = page->child[lowest(page->bits[state])];
    return (struct ring_cursor){page, lowest(page->bits[state])};
}

/* The first item in the state behind everything below `page`. */
static struct ring_cursor first_behind(struct ring_page *page, unsigned state)
{
    for (; page->parent; page = page->parent) {
        uint64_t later = ~(uint64_t)0 << lane_in_parent(page) << 1;
        uint64_t bits = page->parent->bits[state] & later;
        if (bits)
            return leftmost(page->parent->child[lowest(bits)], state);
    }
    return (struct ring_cursor){NULL, 0};
}

/* The general case: down along the key, then to the right. */
static struct ring_cursor first_from(const struct ring *ring, unsigned state, uint64_t key)
{
    struct ring_page *page = ring->root;
    if (key <= page->first_key)
        return leftmost(page, state);
    if (!ring_covers(page, key))
        return (struct ring_cursor){NULL, 0};
    for (;;) {
        unsigned lane = digit(key, page->level);
        uint64_t bits = page->bits[state] & (~(uint64_t)0 << lane);
        if (bits == 0)
            return first_behind(page, state);
        if (page->level == 0)
            return (struct ring_cursor){page, lowest(bits)};
        if (!(bits & bit(lane)))
            return leftmost(page->child[lowest(bits)], state);
        page = page->child[lane];
    }
}

struct ring_cursor ring_first(struct ring *ring, unsigned state, uint64_t key)
{
    struct ring_page *front = ring->front[state];
    if (front && key <= front->first_key)
        return (struct ring_cursor){front, lowest(front->bits[state])};
    if (ring->count[state] == 0)
        return (struct ring_cursor){NULL, 0};
    struct ring_cursor at = first_from(ring, state, key);
    if (key == 0)
        ring->front[state] = at.page;
    return at;
}

void ring_walk_begin(struct ring_walk *walk, struct ring *ring)
{
    walk->ring = ring;
    for (unsigned s = 0; s < RING_DOOMED; s++)
        walk->next[s] = ring_first(ring, s, 0);
}

bool ring_walk_next(struct ring_walk *walk, struct ring_cursor *at, unsigned *state)
{
    unsigned best = RING_DOOMED;
    for (unsigned s = 0; s < RING_DOOMED; s++)
        if (walk->next[s].page && (best == RING_DOOMED || ring_key(walk->next[s]) < ring_key(walk->next[best])))
            best = s;
    if (best == RING_DOOMED)
        return false;
    *at = walk->next[best];
    *state = best;
    walk->next[best] = ring_first(walk->ring, best, ring_key(*at) + 1);
    return true;
}
