/*
 * ring: held against a sorted array of keys and states. After every few operations the whole tree is walked, and every
 * question that a ring can be asked is compared with a search through the array.
 */
#include "server/broker/ring.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY_END   ((uint64_t)1 << 53)
#define MODEL_MAX 4096

struct entry {
    uint64_t key;
    unsigned state;
    bool put; /* else only reserved */
    struct ring_cursor at;
};

struct model {
    struct pool pool;
    struct ring ring;
    struct entry entries[MODEL_MAX]; /* by key */
    uint32_t count;
};

/* Items are never looked into: a number that follows from the key will do. */
static void *item_of(uint64_t key)
{
    return (void *)(uintptr_t)(key * 2 + 1);
}

static void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    pool_init(&m->pool);
    ring_init(&m->ring, &m->pool, m);
}

/* The first entry with a key >= `key`. */
static uint32_t model_lower(const struct model *m, uint64_t key)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (m->entries[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

struct walk {
    struct model *m;
    struct ring_page *pages[MODEL_MAX];
    uint32_t page_count;
    uint32_t nodes;
    uint64_t items[RING_STATES];
    uint64_t reserved;
};

static void walk_page(struct walk *w, struct ring_page *page)
{
    uint64_t all = 0;
    for (unsigned s = 0; s < RING_STATES; s++) {
        assert_int_equal(all & page->bits[s], 0);
        all |= page->bits[s];
        w->items[s] += (uint64_t)__builtin_popcountll(page->bits[s]);
    }
    assert_true(all != 0 || page->reserved > 0);
    w->reserved += page->reserved;
    w->pages[w->page_count++] = page;
}

static void walk_node(struct walk *w, struct ring_page *node, struct ring_page *parent)
{
    w->nodes++;
    assert_ptr_equal(node->parent, parent);
    assert_ptr_equal(node->ring, &w->m->ring);
    assert_int_equal(node->first_key & (((uint64_t)1 << (6 * (node->level + 1))) - 1), 0);
    if (node->level == 0) {
        walk_page(w, node);
        return;
    }
    assert_true(node->children != 0);
    for (unsigned lane = 0; lane < RING_FANOUT; lane++) {
        bool exists = node->children >> lane & 1;
        struct ring_page *child = exists ? node->child[lane] : NULL;
        for (unsigned s = 0; s < RING_STATES; s++)
            assert_int_equal(node->bits[s] >> lane & 1, exists && child->bits[s] != 0);
        if (!exists)
            continue;
        assert_int_equal(child->level, node->level - 1);
        assert_int_equal(child->first_key, node->first_key + ((uint64_t)lane << (6 * node->level)));
        walk_node(w, child, node);
    }
}

/* Every invariant of the ring, and that it takes no memory beyond its nodes. */
static void check_tree(struct model *m)
{
    static struct walk w;
    memset(&w, 0, sizeof w);
    w.m = m;
    const struct ring *ring = &m->ring;
    if (ring->root != NULL) {
        walk_node(&w, ring->root, NULL);
        assert_true(ring->root->level == 0 || (ring->root->children & (ring->root->children - 1)) != 0);
    }
    uint64_t items[RING_STATES] = {0}, reserved = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        items[m->entries[i].state] += m->entries[i].put;
        reserved += !m->entries[i].put;
    }
    for (unsigned s = 0; s < RING_STATES; s++) {
        assert_int_equal(ring->count[s], items[s]);
        assert_int_equal(w.items[s], items[s]);
        struct ring_page *first = NULL;
        for (uint32_t i = 0; i < w.page_count && first == NULL; i++)
            first = w.pages[i]->bits[s] != 0 ? w.pages[i] : NULL;
        assert_true(ring->front[s] == NULL || ring->front[s] == first);
    }
    assert_int_equal(w.reserved, reserved);
    bool tail_lives = ring->tail == NULL;
    for (uint32_t i = 0; i < w.page_count; i++)
        tail_lives = tail_lives || ring->tail == w.pages[i];
    assert_true(tail_lives);
    assert_int_equal(m->pool.used_bytes, w.nodes * pool_size(sizeof(struct ring_page)));
}

/* ring_find() and ring_first() for `key` agree with the array. */
static void check_key(struct model *m, uint64_t key)
{
    uint32_t i = model_lower(m, key);
    struct ring_cursor at = ring_find(&m->ring, key);
    bool there = i < m->count && m->entries[i].key == key && m->entries[i].put;
    assert_int_equal(at.page != NULL, there);
    if (there)
        assert_ptr_equal(ring_item(at), item_of(key));
    for (unsigned s = 0; s < RING_STATES; s++) {
        uint32_t next = i;
        while (next < m->count && !(m->entries[next].put && m->entries[next].state == s))
            next++;
        at = ring_first(&m->ring, s, key);
        assert_int_equal(at.page != NULL, next < m->count);
        if (at.page == NULL)
            continue;
        assert_int_equal(ring_key(at), m->entries[next].key);
        assert_ptr_equal(ring_item(at), item_of(ring_key(at)));
        assert_true(ring_is(at, s));
    }
}

/* Cursors stay what they were: an item never moves. */
static void check_cursors(const struct model *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const struct entry *e = &m->entries[i];
        if (!e->put)
            continue;
        assert_int_equal(ring_key(e->at), e->key);
        assert_ptr_equal(ring_item(e->at), item_of(e->key));
        for (unsigned s = 0; s < RING_STATES; s++)
            assert_int_equal(ring_is(e->at, s), s == e->state);
    }
}

/* ---- operations on both ------------------------------------------------------------------------------------------ */

/* False if the keys are not free or the array is full. */
static bool model_free(const struct model *m, uint64_t key, uint32_t count)
{
    uint32_t i = model_lower(m, key);
    return m->count + count <= MODEL_MAX && key + count <= KEY_END &&
           (i == m->count || m->entries[i].key >= key + count);
}

static void model_note_reserved(struct model *m, uint64_t key, uint32_t count)
{
    uint32_t i = model_lower(m, key);
    memmove(&m->entries[i + count], &m->entries[i], (m->count - i) * sizeof *m->entries);
    for (uint32_t n = 0; n < count; n++)
        m->entries[i + n] = (struct entry){.key = key + n};
    m->count += count;
}

static void model_forget(struct model *m, uint32_t i, uint32_t count)
{
    memmove(&m->entries[i], &m->entries[i + count], (m->count - i - count) * sizeof *m->entries);
    m->count -= count;
}

static void model_put(struct model *m, uint32_t i, unsigned state)
{
    struct entry *e = &m->entries[i];
    e->put = true;
    e->state = state;
    e->at = ring_put(&m->ring, e->key, item_of(e->key), state);
    assert_int_equal(ring_key(e->at), e->key);
    assert_true(ring_is(e->at, state));
}

static void model_set(struct model *m, uint32_t i, unsigned state)
{
    ring_set(m->entries[i].at, m->entries[i].state, state);
    m->entries[i].state = state;
}

static void model_remove(struct model *m, uint32_t i)
{
    if (m->entries[i].put)
        ring_remove(m->entries[i].at, m->entries[i].state);
    else
        ring_unreserve(&m->ring, m->entries[i].key, 1);
    model_forget(m, i, 1);
}

/* Reserves, then puts the first `put` of the keys and gives up the rest. */
static void model_add(struct model *m, uint64_t key, uint32_t count, uint32_t put, unsigned state)
{
    if (!model_free(m, key, count))
        return;
    assert_true(ring_reserve(&m->ring, key, count));
    model_note_reserved(m, key, count);
    uint32_t i = model_lower(m, key);
    for (uint32_t n = 0; n < put; n++)
        model_put(m, i + n, state);
    ring_unreserve(&m->ring, key + put, count - put);
    model_forget(m, i + put, count - put);
}

static void model_close(struct model *m)
{
    while (m->count > 0)
        model_remove(m, m->count - 1);
    check_tree(m);
    assert_null(m->ring.root);
    assert_int_equal(m->pool.used_bytes, 0);
    pool_close(&m->pool);
}

/* A key near others, near a boundary of some level, or anywhere. */
static uint64_t random_key(struct random *r, const struct model *m)
{
    uint64_t key = random_bits(r, 53);
    switch (random_below(r, 4)) {
    case 0:
        break;
    case 1: {
        unsigned shift = 6 * (1 + (unsigned)random_below(r, 8));
        key = (random_bits(r, 53 - shift) << shift) + random_below(r, 5) - 2;
        break;
    }
    default:
        if (m->count > 0)
            key = m->entries[random_below(r, m->count)].key + random_below(r, 200) - 100;
        break;
    }
    return key % KEY_END;
}

static uint32_t random_entry(struct random *r, const struct model *m)
{
    return (uint32_t)random_below(r, m->count);
}

static void random_step(struct model *m, struct random *r, unsigned removing)
{
    unsigned dice = (unsigned)random_below(r, 100);
    if (dice < 15) {
        uint32_t count = 1 + (uint32_t)random_bits(r, 8);
        model_add(m, random_key(r, m), count, (uint32_t)random_below(r, count + 1),
                  (unsigned)random_below(r, RING_STATES));
        return;
    }
    if (dice < 20) {
        uint64_t key = random_key(r, m);
        uint32_t count = 1 + (uint32_t)random_below(r, 3);
        if (model_free(m, key, count) && ring_reserve(&m->ring, key, count))
            model_note_reserved(m, key, count);
        return;
    }
    if (dice == 20 && random_below(r, 20) == 0) {
        unsigned from = (unsigned)random_below(r, RING_STATES), to = (from + 1) % RING_STATES;
        ring_set_all(&m->ring, from, to);
        for (uint32_t i = 0; i < m->count; i++)
            if (m->entries[i].put && m->entries[i].state == from)
                m->entries[i].state = to;
        return;
    }
    if (m->count == 0)
        return;
    uint32_t i = random_entry(r, m);
    if (dice < 20 + removing) {
        uint32_t run = (uint32_t)random_bits(r, 7);
        for (uint32_t n = 0; n < run && i < m->count; n++)
            model_remove(m, i);
    } else if (!m->entries[i].put) {
        model_put(m, i, (unsigned)random_below(r, RING_STATES));
    } else {
        model_set(m, i, (unsigned)random_below(r, RING_STATES));
    }
}

/* Random operations on keys that lie together and far apart, all states, growing and shrinking. */
static void test_random_operations_agree_with_an_array(void **state)
{
    (void)state;
    static struct model m;
    struct random r = test_seed(__func__);
    for (int story = 0; story < 20; story++) {
        model_init(&m);
        for (int step = 0; step < 4000; step++) {
            random_step(&m, &r, step / 1000 % 2 == 0 ? 5 : 40);
            check_key(&m, random_key(&r, &m));
            check_key(&m, 0);
            if (step % 50 == 0) {
                check_tree(&m);
                check_cursors(&m);
            }
        }
        model_close(&m);
    }
}

/*
 * A queue's usual life: appended at the tail, taken from the head, some come back to their place; few pages are held.
 */
static void test_a_queue_that_moves_on_keeps_few_pages(void **state)
{
    (void)state;
    enum { DELAYED, READY, INFLIGHT, BACKLOG = 300 };
    static struct model m;
    struct random r = test_seed(__func__);
    model_init(&m);
    for (uint64_t key = 1; key < 30000; key++) {
        model_add(&m, key, 1, 1, READY);
        while (m.count >= BACKLOG) {
            struct ring_cursor at = ring_first(&m.ring, READY, 0);
            assert_non_null(at.page);
            uint32_t i = model_lower(&m, ring_key(at));
            model_set(&m, i, INFLIGHT);
            if (random_below(&r, 4) == 0)
                model_set(&m, i, READY);
            else
                model_remove(&m, i);
        }
        /* Pages for the backlog and both of its ends, and inner nodes of at most two levels. */
        assert_true(m.pool.used_bytes <= (BACKLOG / 64 + 2 + 3) * pool_size(sizeof(struct ring_page)));
        if (key % 512 == 0)
            check_tree(&m);
    }
    model_close(&m);
}

/* The first and the last possible key live together, and each is found from anywhere. */
static void test_keys_as_far_apart_as_possible(void **state)
{
    (void)state;
    static struct model m;
    static const uint64_t keys[] = {0, 63, 64, 4095, 4096, (uint64_t)1 << 32, KEY_END - 64, KEY_END - 1};
    model_init(&m);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        model_add(&m, keys[i], 1, 1, (unsigned)i % 2);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        check_key(&m, keys[i]);
        check_key(&m, keys[i] + 1);
        check_key(&m, keys[i] > 0 ? keys[i] - 1 : 0);
    }
    check_tree(&m);
    check_cursors(&m);
    model_close(&m);
}

/* A reservation keeps its pages while everything else in them goes, and an unused one leaves nothing behind. */
static void test_reservations_keep_their_pages(void **state)
{
    (void)state;
    static struct model m;
    model_init(&m);
    model_add(&m, 1000, 10, 10, 1);
    assert_true(ring_reserve(&m.ring, 1010, 200));
    model_note_reserved(&m, 1010, 200);
    for (int i = 0; i < 10; i++)
        model_remove(&m, 0);
    check_tree(&m);
    struct starved s = starve(&m.pool, sizeof(struct ring_page), 0);
    for (uint32_t i = 0; i < 150; i++)
        model_put(&m, i, 2);
    starve_end(&s);
    check_tree(&m);
    ring_unreserve(&m.ring, 1160, 50);
    model_forget(&m, 150, 50);
    check_tree(&m);
    check_key(&m, 1100);
    model_close(&m);
}

/* Wherever memory runs out in a reservation, it is refused and the ring is what it was; putting never needs memory. */
static void test_a_refused_reservation_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    struct random r = test_seed(__func__);
    uint32_t refusals = 0;
    for (int story = 0; story < 100; story++) {
        model_init(&m);
        for (int i = 0; i < 6; i++) {
            uint32_t count = 1 + (uint32_t)random_below(&r, 100);
            model_add(&m, random_key(&r, &m), count, count, (unsigned)random_below(&r, RING_STATES));
        }
        uint64_t key = random_key(&r, &m);
        uint32_t count = 1 + (uint32_t)random_below(&r, 500);
        bool reserved = !model_free(&m, key, count);
        for (unsigned left = 0; !reserved; left++) {
            uint64_t used_bytes = m.pool.used_bytes;
            struct starved s = starve(&m.pool, sizeof(struct ring_page), left);
            reserved = ring_reserve(&m.ring, key, count);
            if (reserved) {
                model_note_reserved(&m, key, count);
                uint32_t first = model_lower(&m, key);
                for (uint32_t i = 0; i < count; i++)
                    model_put(&m, first + i, i % RING_STATES);
            } else {
                assert_int_equal(m.pool.used_bytes, s.used_bytes);
            }
            starve_end(&s);
            if (!reserved)
                assert_int_equal(m.pool.used_bytes, used_bytes);
            refusals += !reserved;
            check_tree(&m);
            check_cursors(&m);
            check_key(&m, 0);
            check_key(&m, key);
        }
        model_close(&m);
    }
    assert_true(refusals > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_agree_with_an_array),
        cmocka_unit_test(test_a_queue_that_moves_on_keeps_few_pages),
        cmocka_unit_test(test_keys_as_far_apart_as_possible),
        cmocka_unit_test(test_reservations_keep_their_pages),
        cmocka_unit_test(test_a_refused_reservation_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
