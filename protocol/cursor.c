/*
 * How the cursor works
 *
 * One loop, one switch on an item's first byte, no recursion. The only things checked are two sums:
 *
 *   slack    bytes of input left, less one for each element that is still to come. An item takes all of its bytes but
 *            the first from it, a container one for each element. Below zero the value can't be whole in this input.
 *            So while there is an element to come there is a byte to read, without looking for the input's end.
 *   room     nodes that can be written, less one for each element that is still to come. Only a container can exhaust
 *            it, so no other item needs to ask.
 *
 * An item changes nothing else before it has passed both, hence the cursor can stop before any of them. It does so for
 * what is not whole, has no room, lies too deep, is no MessagePack, or is an ext, which no request has: the parser
 * knows what to do about each. The elements that a container claims are no more than there are bytes, whatever its
 * header says, so room may be made for all of them at once.
 *
 * An item is taken off its container when it begins, and a container is closed when nothing is left of it: its end is
 * written once. Elements of a kind often follow each other (bodies, receipts); such a run does not go through the
 * switch.
 */
#include "protocol/cursor.h"

#include <endian.h>
#include <string.h>

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* All that cursor_run() calls: one function that is not inlined, and the place lies in memory. */
#define STEP static inline __attribute__((always_inline))

/* Where the cursor stands; kept in registers. */
struct place {
    const uint8_t *at;
    struct node *node; /* the next one to write */
    int64_t slack;
    int64_t room;
    struct cursor_level *level; /* the innermost open container */
    uint32_t left;              /* of its elements */
};

STEP uint64_t read_number(const uint8_t *at, unsigned width)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&v16, at, sizeof v16);
        return be16toh(v16);
    case 4:
        memcpy(&v32, at, sizeof v32);
        return be32toh(v32);
    default:
        memcpy(&v64, at, sizeof v64);
        return be64toh(v64);
    }
}

STEP void put(struct place *p, size_t bytes, struct node node)
{
    *p->node++ = node;
    p->at += bytes;
    p->left--;
}

/* --- items: false, and nothing was taken, if the input ends too early --------------------------------------------- */

STEP bool take_constant(struct place *p, enum node_type type, uint64_t value)
{
    put(p, 1, (struct node){.type = (uint8_t)type, .value.uint = value});
    return true;
}

STEP bool take_negative(struct place *p, uint32_t first)
{
    put(p, 1, (struct node){.type = NODE_INT, .value.sint = (int8_t)first});
    return true;
}

/* Also those behind it of the same width: a list of receipts. */
STEP bool take_uints(struct place *p, unsigned width)
{
    const uint8_t first = *p->at;

    do {
        if (UNLIKELY((p->slack -= width) < 0))
            return false;
        put(p, 1 + width, (struct node){.type = NODE_UINT, .value.uint = read_number(p->at + 1, width)});
    } while (p->left > 0 && *p->at == first);
    return true;
}

STEP bool take_int(struct place *p, unsigned width)
{
    if (UNLIKELY((p->slack -= width) < 0))
        return false;
    const unsigned unused_bits = 64 - 8 * width;
    const int64_t v = (int64_t)(read_number(p->at + 1, width) << unused_bits) >> unused_bits;
    put(p, 1 + width, (struct node){.type = v < 0 ? NODE_INT : NODE_UINT, .value.sint = v});
    return true;
}

STEP bool take_float(struct place *p)
{
    if (UNLIKELY((p->slack -= 4) < 0))
        return false;
    const uint32_t bits = (uint32_t)read_number(p->at + 1, 4);
    float v;
    memcpy(&v, &bits, sizeof v);
    put(p, 5, (struct node){.type = NODE_FLOAT, .flags = NODE_FLOAT32, .value.real = v});
    return true;
}

STEP bool take_double(struct place *p)
{
    if (UNLIKELY((p->slack -= 8) < 0))
        return false;
    /* All members of the union are 64 bits, and a double's are what they are on the wire. */
    put(p, 9, (struct node){.type = NODE_FLOAT, .value.uint = read_number(p->at + 1, 8)});
    return true;
}

STEP bool take_text(struct place *p, const uint8_t *input, enum node_type type, unsigned header, uint32_t bytes)
{
    if (UNLIKELY((p->slack -= bytes) < 0))
        return false;
    p->at += header;
    p->node->type = (uint8_t)type;
    p->node->flags = 0;
    p->node->count = bytes;
    p->node->value.offset = (uint64_t)(p->at - input);
    p->node++;
    p->at += bytes;
    p->left--;
    return true;
}

/* A text whose length is a number of `width` bytes; and those behind it that have the same header. */
STEP bool take_texts(struct place *p, const uint8_t *input, enum node_type type, unsigned width)
{
    const uint8_t first = *p->at;

    do {
        if (UNLIKELY((p->slack -= width) < 0))
            return false;
        if (!take_text(p, input, type, 1 + width, (uint32_t)read_number(p->at + 1, width)))
            return false;
    } while (p->left > 0 && *p->at == first);
    return true;
}

/* `header`: its bytes; those behind the first are taken from the slack already. */
STEP bool take_container(struct place *p, struct cursor *c, enum node_type type, unsigned header, uint32_t count)
{
    const uint64_t elements = type == NODE_MAP ? 2 * (uint64_t)count : count;

    if (UNLIKELY(p->level == c->levels + LIMIT_DEPTH))
        return false;
    if (UNLIKELY((p->slack -= (int64_t)elements) < 0))
        return false;
    if (UNLIKELY((p->room -= (int64_t)elements) < 0))
        return false;
    (p->level++)->left = p->left - 1;
    p->level->node = p->node;
    p->left = (uint32_t)elements;
    p->node->type = (uint8_t)type;
    p->node->flags = 0;
    p->node->count = count;
    p->node++;
    p->at += header;
    return true;
}

STEP bool take_long_container(struct place *p, struct cursor *c, enum node_type type, unsigned width)
{
    if (UNLIKELY((p->slack -= width) < 0))
        return false;
    return take_container(p, c, type, 1 + width, (uint32_t)read_number(p->at + 1, width));
}

/* The item at p->at, and perhaps others of its kind behind it. */
STEP bool take(struct place *p, struct cursor *c, const uint8_t *input)
{
    const uint32_t first = *p->at;

    switch (first) {
    case 0x00 ... 0x7f:
        return take_constant(p, NODE_UINT, first);
    case 0x80 ... 0x8f:
        return take_container(p, c, NODE_MAP, 1, first & 0x0f);
    case 0x90 ... 0x9f:
        return take_container(p, c, NODE_ARRAY, 1, first & 0x0f);
    case 0xa0 ... 0xbf:
        return take_text(p, input, NODE_STR, 1, first & 0x1f);
    case 0xc0:
        return take_constant(p, NODE_NIL, 0);
    case 0xc2 ... 0xc3:
        return take_constant(p, NODE_BOOL, first & 1);
    case 0xc4:
        return take_texts(p, input, NODE_BIN, 1);
    case 0xc5:
        return take_texts(p, input, NODE_BIN, 2);
    case 0xc6:
        return take_texts(p, input, NODE_BIN, 4);
    case 0xca:
        return take_float(p);
    case 0xcb:
        return take_double(p);
    case 0xcc:
        return take_uints(p, 1);
    case 0xcd:
        return take_uints(p, 2);
    case 0xce:
        return take_uints(p, 4);
    case 0xcf:
        return take_uints(p, 8);
    case 0xd0:
        return take_int(p, 1);
    case 0xd1:
        return take_int(p, 2);
    case 0xd2:
        return take_int(p, 4);
    case 0xd3:
        return take_int(p, 8);
    case 0xd9:
        return take_texts(p, input, NODE_STR, 1);
    case 0xda:
        return take_texts(p, input, NODE_STR, 2);
    case 0xdb:
        return take_texts(p, input, NODE_STR, 4);
    case 0xdc:
        return take_long_container(p, c, NODE_ARRAY, 2);
    case 0xdd:
        return take_long_container(p, c, NODE_ARRAY, 4);
    case 0xde:
        return take_long_container(p, c, NODE_MAP, 2);
    case 0xdf:
        return take_long_container(p, c, NODE_MAP, 4);
    case 0xe0 ... 0xff:
        return take_negative(p, first);
    default:
        return false; /* 0xc1, and each ext */
    }
}

/* Closes the containers of which nothing is left. True: the value is complete. */
STEP bool close_containers(struct place *p, struct cursor *c)
{
    const uint64_t end = (uint64_t)(p->node - c->nodes);

    do {
        if (p->level == c->levels)
            return true;
        p->level->node->value.end = end;
        p->left = (--p->level)->left;
    } while (p->left == 0);
    return false;
}

bool cursor_run(struct cursor *c, const uint8_t *input, size_t bytes)
{
    struct place p = {
        .at = input,
        .node = c->nodes,
        .slack = (int64_t)bytes - 1,
        .room = (int64_t)c->cap - 1,
        .level = c->levels,
        .left = 1,
    };
    bool whole = false;

    if (p.room >= 0)
        while (take(&p, c, input))
            if (p.left == 0 && close_containers(&p, c)) {
                whole = true;
                break;
            }
    c->count = (uint32_t)(p.node - c->nodes);
    c->at = (size_t)(p.at - input);
    if (whole)
        return true;
    p.level->left = p.left;
    c->claimed = (uint64_t)(c->cap - p.room);
    c->depth = (uint32_t)(p.level - c->levels);
    return false;
}
