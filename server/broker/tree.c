#include "server/broker/tree.h"

#include <assert.h>

/* A random-looking number for each id (the finalizer of splitmix64, S. Vigna). */
static inline uint64_t weight(const struct message *m)
{
    uint64_t x = m->id + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline struct message **left_of(struct message *m)
{
    return &message_links(m)->left;
}

static inline struct message **right_of(struct message *m)
{
    return &message_links(m)->right;
}

/* Cuts a tree into what is below the id and what is above. */
static void split(struct message *tree, uint64_t id, struct message **below, struct message **above)
{
    while (tree) {
        if (tree->id < id) {
            *below = tree;
            below = right_of(tree);
            tree = *below;
        } else {
            *above = tree;
            above = left_of(tree);
            tree = *above;
        }
    }
    *below = *above = NULL;
}

/* Makes one tree of two, where every id of `below` is smaller. */
static struct message *join(struct message *below, struct message *above)
{
    struct message *root, **place = &root;
    while (below && above) {
        if (weight(below) > weight(above)) {
            *place = below;
            place = right_of(below);
            below = *place;
        } else {
            *place = above;
            place = left_of(above);
            above = *place;
        }
    }
    *place = below ? below : above;
    return root;
}

void tree_put(struct message **root, struct message *message)
{
    assert(message->flags & MESSAGE_LINKED);
    if (!*root) { /* most groups have no more than one */
        *left_of(message) = *right_of(message) = NULL;
        *root = message;
        return;
    }
    uint64_t w = weight(message);
    while (*root && weight(*root) >= w)
        root = message->id < (*root)->id ? left_of(*root) : right_of(*root);
    split(*root, message->id, left_of(message), right_of(message));
    *root = message;
}

void tree_remove(struct message **root, struct message *message)
{
    while (*root != message) {
        assert(*root);
        root = message->id < (*root)->id ? left_of(*root) : right_of(*root);
    }
    *root = join(*left_of(message), *right_of(message));
    *left_of(message) = *right_of(message) = NULL;
}

struct message *tree_first(struct message *root)
{
    if (!root)
        return NULL;
    while (*left_of(root))
        root = *left_of(root);
    return root;
}
