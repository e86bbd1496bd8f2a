/*
 * copy: a value that outlives the input it came in. One allocation holds the nodes of the subtree, moved so that it
 * starts at index 0, and behind them the bytes of all its text.
 */
#include "client/ringmq.h"
#include "client/tree.h"

#include <stdlib.h>
#include <string.h>

struct ringmq_copy {
    struct ringmq_tree tree;
    uint32_t node_count;
    struct node nodes[];
};

/* The bytes that belong to a node. Those of an ext have no reader, and may have been skipped. */
static size_t node_bytes(const struct node *node)
{
    return node->type == NODE_STR || node->type == NODE_BIN ? node->count : 0;
}

struct ringmq_copy *ringmq_copy_new(struct ringmq_value value)
{
    uint32_t count = value.tree == NULL ? 0 : tree_skip(value.tree, value.index) - value.index;
    const struct node *from = value_node(value);
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += node_bytes(&from[i]);

    struct ringmq_copy *copy = malloc(sizeof(*copy) + count * sizeof(struct node) + bytes);
    if (copy == NULL)
        return NULL;
    uint8_t *base = (uint8_t *)&copy->nodes[count];
    copy->tree = (struct ringmq_tree){.nodes = copy->nodes, .decoder = NULL, .base = base};
    copy->node_count = count;
    size_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct node *to = &copy->nodes[i];
        *to = from[i];
        if (node_bytes(to) > 0) {
            memcpy(base + offset, tree_bytes(value.tree, &from[i]), to->count);
            to->flags = 0;
            to->value.offset = offset;
            offset += to->count;
        } else if (to->type == NODE_ARRAY || to->type == NODE_MAP) {
            to->value.end -= value.index;
        }
    }
    return copy;
}

struct ringmq_value ringmq_copy_value(const struct ringmq_copy *copy)
{
    if (copy == NULL || copy->node_count == 0)
        return (struct ringmq_value){NULL, 0};
    return (struct ringmq_value){&copy->tree, 0};
}

void ringmq_copy_free(struct ringmq_copy *copy)
{
    free(copy);
}
