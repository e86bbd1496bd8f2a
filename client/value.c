/*
 * value: the readers of what a server answered. A value is an index into a flat list of nodes (protocol/decoder.h),
 * so every reader is a look at one node, and an iterator is an index that skips whole subtrees.
 *
 * Nothing here can fail: a value of another type than asked for is answered with what the caller said to use
 * otherwise.
 */
#include "client/ringmq.h"
#include "client/tree.h"

#include <string.h>

enum ringmq_type ringmq_value_type(struct ringmq_value value)
{
    const struct node *node = value_node(value);
    if (node == NULL)
        return RINGMQ_NONE;
    switch ((enum node_type)node->type) {
    case NODE_NIL:
        return RINGMQ_NIL;
    case NODE_BOOL:
        return RINGMQ_BOOL;
    case NODE_UINT:
        return RINGMQ_UINT;
    case NODE_INT:
        return RINGMQ_INT;
    case NODE_FLOAT:
        return RINGMQ_DOUBLE;
    case NODE_STR:
        return RINGMQ_STR;
    case NODE_BIN:
        return RINGMQ_BIN;
    case NODE_EXT:
        return RINGMQ_EXT;
    case NODE_ARRAY:
        return RINGMQ_ARRAY;
    case NODE_MAP:
        return RINGMQ_MAP;
    }
    return RINGMQ_NONE;
}

bool ringmq_value_bool(struct ringmq_value value, bool otherwise)
{
    const struct node *node = value_node(value);
    return node != NULL && node->type == NODE_BOOL ? node->value.uint != 0 : otherwise;
}

uint64_t ringmq_value_uint(struct ringmq_value value, uint64_t otherwise)
{
    uint64_t number = otherwise;
    value_uint(value, &number);
    return number;
}

int64_t ringmq_value_int(struct ringmq_value value, int64_t otherwise)
{
    const struct node *node = value_node(value);
    if (node != NULL && node->type == NODE_INT)
        return node->value.sint;
    if (node != NULL && node->type == NODE_UINT && node->value.uint <= INT64_MAX)
        return (int64_t)node->value.uint;
    return otherwise;
}

double ringmq_value_double(struct ringmq_value value, double otherwise)
{
    const struct node *node = value_node(value);
    if (node == NULL)
        return otherwise;
    if (node->type == NODE_FLOAT)
        return node->value.real;
    if (node->type == NODE_UINT)
        return (double)node->value.uint;
    if (node->type == NODE_INT)
        return (double)node->value.sint;
    return otherwise;
}

struct ringmq_bytes ringmq_value_bytes(struct ringmq_value value)
{
    struct ringmq_bytes bytes = {NULL, 0};
    const struct node *node = value_node(value);
    if (node == NULL || (node->type != NODE_STR && node->type != NODE_BIN))
        return bytes;
    bytes.data = node->count == 0 ? "" : (const char *)tree_bytes(value.tree, node);
    bytes.bytes = node->count;
    return bytes;
}

bool ringmq_value_equals(struct ringmq_value value, const char *text)
{
    struct ringmq_bytes bytes = ringmq_value_bytes(value);
    return bytes.data != NULL && bytes.bytes == strlen(text) && memcmp(bytes.data, text, bytes.bytes) == 0;
}

uint32_t ringmq_value_count(struct ringmq_value value)
{
    const struct node *node = value_node(value);
    return node != NULL && (node->type == NODE_ARRAY || node->type == NODE_MAP) ? node->count : 0;
}

struct ringmq_iterator ringmq_iterate(struct ringmq_value container)
{
    struct ringmq_iterator it = {NULL, 0, 0, false};
    const struct node *node = value_node(container);
    if (node == NULL || (node->type != NODE_ARRAY && node->type != NODE_MAP))
        return it;
    it.tree = container.tree;
    it.index = container.index + 1;
    it.left = node->count;
    it.map = node->type == NODE_MAP;
    return it;
}

bool ringmq_next(struct ringmq_iterator *iterator, struct ringmq_value *key, struct ringmq_value *value)
{
    if (iterator->left == 0)
        return false;
    iterator->left--;
    struct ringmq_value name = {NULL, 0};
    if (iterator->map) {
        name = (struct ringmq_value){iterator->tree, iterator->index};
        iterator->index = tree_skip(iterator->tree, iterator->index);
    }
    if (key != NULL)
        *key = name;
    *value = (struct ringmq_value){iterator->tree, iterator->index};
    iterator->index = tree_skip(iterator->tree, iterator->index);
    return true;
}

struct ringmq_value ringmq_value_item(struct ringmq_value array, uint32_t index)
{
    struct ringmq_value value = {NULL, 0};
    if (ringmq_value_type(array) != RINGMQ_ARRAY || index >= ringmq_value_count(array))
        return value;
    struct ringmq_iterator it = ringmq_iterate(array);
    for (uint32_t i = 0; i <= index; i++)
        ringmq_next(&it, NULL, &value);
    return value;
}

struct ringmq_value ringmq_value_get(struct ringmq_value map, const char *key)
{
    struct ringmq_value name;
    struct ringmq_value value;
    struct ringmq_iterator it = ringmq_iterate(map);
    while (it.map && ringmq_next(&it, &name, &value)) {
        if (ringmq_value_equals(name, key))
            return value;
    }
    return (struct ringmq_value){NULL, 0};
}
