/*
 * tree: where the nodes behind a struct ringmq_value lie. Either in a decoder, as the value that it has just read, or
 * in memory of their own as a copy. Readers (value.c) don't care which.
 */
#ifndef CLIENT_TREE_H
#define CLIENT_TREE_H

#include "client/ringmq.h"
#include "protocol/decoder.h"

struct ringmq_tree {
    const struct node *nodes;
    const struct decoder *decoder; /* NULL: a copy, whose text lies at `base` */
    const uint8_t *base;
};

/* The node of a value, or NULL for RINGMQ_NONE. */
static inline const struct node *value_node(struct ringmq_value value)
{
    return value.tree == NULL ? NULL : &value.tree->nodes[value.index];
}

/* The bytes of a str, bin or ext node. */
static inline const uint8_t *tree_bytes(const struct ringmq_tree *tree, const struct node *node)
{
    return tree->decoder != NULL ? decoder_bytes(tree->decoder, node) : tree->base + node->value.offset;
}

/* Index of the node after `index` and all its descendants. */
static inline uint32_t tree_skip(const struct ringmq_tree *tree, uint32_t index)
{
    const struct node *node = &tree->nodes[index];
    return node->type == NODE_ARRAY || node->type == NODE_MAP ? (uint32_t)node->value.end : index + 1;
}

/* True if the value is an unsigned integer; then *out is it. */
static inline bool value_uint(struct ringmq_value value, uint64_t *out)
{
    const struct node *node = value_node(value);
    if (node == NULL || node->type != NODE_UINT)
        return false;
    *out = node->value.uint;
    return true;
}

#endif
