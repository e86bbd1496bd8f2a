/*
 * tree: held against a plain list of which ids are in it, whose first one is searched for. After every few operations the
 * whole tree is walked: it is in the order of ids, in heap order, and nothing is lost.
 */
#include "server/broker/tree.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A message with links, as the pool would lay it out. */
struct linked {
    struct message message;
    struct message_links links;
};

static struct linked *linked_new(uint32_t count)
{
    struct linked *all = calloc(count, sizeof *all);
    assert_non_null(all);
    for (uint32_t i = 0; i < count; i++)
        all[i].message = (struct message){.id = i + 1, .flags = MESSAGE_LINKED};
    return all;
}

/* Walks the tree from `after` on; returns the last id. Counts nodes and finds out how deep they lie. */
static uint64_t walk(struct message *root, uint64_t after, unsigned depth, uint32_t *count, unsigned *deepest)
{
    if (!root)
        return after;
    if (depth > *deepest)
        *deepest = depth;
    ++*count;
    uint64_t last = walk(message_links(root)->left, after, depth + 1, count, deepest);
    assert_true(last < root->id);
    return walk(message_links(root)->right, root->id, depth + 1, count, deepest);
}

static unsigned depth_of(struct message *root, uint32_t expected)
{
    uint32_t count = 0;
    unsigned deepest = 0;
    (void)walk(root, 0, 1, &count, &deepest);
    assert_int_equal(count, expected);
    return deepest;
}

/* A random story of putting and removing: the first is always the lowest id that is in, and the tree is whole. */
static void test_the_first_is_the_lowest_id_in_the_tree(void **state)
{
    (void)state;
    enum { IDS = 700, STEPS = 60000 };
    struct random r = test_seed(__func__);
    struct linked *all = linked_new(IDS);
    struct message *root = NULL;
    static bool in[IDS];
    memset(in, 0, sizeof in);
    uint32_t count = 0, lowest = IDS;
    for (uint32_t step = 0; step < STEPS; step++) {
        /* Now many are in, now few. */
        uint32_t wanted = (step / 5000) % 2 == 0 ? IDS - 100 : 5;
        uint32_t i = (uint32_t)random_below(&r, IDS);
        if (in[i] == (count < wanted || random_below(&r, 4) == 0))
            continue;
        if (in[i])
            tree_remove(&root, &all[i].message);
        else
            tree_put(&root, &all[i].message);
        in[i] = !in[i];
        count = in[i] ? count + 1 : count - 1;
        if (!in[i])
            assert_true(!all[i].links.left && !all[i].links.right);
        for (lowest = 0; lowest < IDS && !in[lowest];)
            lowest++;
        assert_ptr_equal(tree_first(root), lowest < IDS ? &all[lowest].message : NULL);
        if (step % 100 == 0)
            (void)depth_of(root, count);
    }
    assert_true(count > 0);
    free(all);
}

/* Messages come in the order of their ids, and often leave in it: the tree is no list then, and after that either. */
static void test_ids_in_order_make_no_deep_tree(void **state)
{
    (void)state;
    enum { IDS = 100000 };
    struct linked *all = linked_new(IDS);
    struct message *root = NULL;
    for (uint32_t i = 0; i < IDS; i++)
        tree_put(&root, &all[i].message);
    assert_in_range(depth_of(root, IDS), 17, 60);
    for (uint32_t i = 0; i < IDS - 1000; i++) {
        assert_ptr_equal(tree_first(root), &all[i].message);
        tree_remove(&root, &all[i].message);
    }
    assert_in_range(depth_of(root, 1000), 10, 40);
    for (uint32_t i = IDS - 1000; i-- > 0;)
        tree_put(&root, &all[i].message); /* given back, the newest first */
    assert_in_range(depth_of(root, IDS), 17, 60);
    free(all);
}

/* The shape of a tree follows from the ids in it alone: the same calls in another order leave the same tree. */
static void test_the_order_of_coming_leaves_no_trace(void **state)
{
    (void)state;
    enum { IDS = 300 };
    struct random r = test_seed(__func__);
    struct linked *one = linked_new(IDS), *other = linked_new(IDS);
    struct message *one_root = NULL, *other_root = NULL;
    uint32_t order[IDS];
    for (uint32_t i = 0; i < IDS; i++) {
        uint32_t place = (uint32_t)random_below(&r, i + 1);
        order[i] = order[place];
        order[place] = i;
        tree_put(&one_root, &one[i].message);
    }
    for (uint32_t i = 0; i < IDS; i++)
        tree_put(&other_root, &other[order[i]].message);
    for (uint32_t i = 0; i < IDS; i++) {
        const struct message *left[2] = {one[i].links.left, other[i].links.left};
        const struct message *right[2] = {one[i].links.right, other[i].links.right};
        assert_int_equal(left[0] ? left[0]->id : 0, left[1] ? left[1]->id : 0);
        assert_int_equal(right[0] ? right[0]->id : 0, right[1] ? right[1]->id : 0);
    }
    free(one);
    free(other);
}

/* An empty tree has no first; one of one message is empty again without it. */
static void test_a_tree_of_one(void **state)
{
    (void)state;
    struct linked *all = linked_new(1);
    struct message *root = NULL;
    assert_null(tree_first(root));
    tree_put(&root, &all[0].message);
    assert_ptr_equal(tree_first(root), &all[0].message);
    tree_remove(&root, &all[0].message);
    assert_null(root);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_is_the_lowest_id_in_the_tree),
        cmocka_unit_test(test_ids_in_order_make_no_deep_tree),
        cmocka_unit_test(test_the_order_of_coming_leaves_no_trace),
        cmocka_unit_test(test_a_tree_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
