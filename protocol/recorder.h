/*
 * recorder: the callbacks of msgpack-c's parsing template, for decoder.c alone. What the parser finds becomes nodes in
 * one array, behind those that the cursor left there; nothing else is allocated. A callback returns RECORD_FAILED to
 * end the parse, and `refusal` says why.
 *
 * The template hands the "object" of a container, here its node's index, to the callback of each finished element.
 */
#ifndef PROTOCOL_RECORDER_H
#define PROTOCOL_RECORDER_H

#include "protocol/decoder.h"
#include "protocol/limits.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_NODES 64

/* Stands for a node that was not kept. */
#define NO_NODE UINT32_MAX

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct recorder {
    struct node *nodes;
    uint32_t count;
    uint32_t cap;
    uint64_t least_bytes; /* that the value has, by its headers so far */
    uint64_t max_bytes;   /* that it may have */
    struct node stand_in; /* what the next str, bin or ext really is */
    bool standing_in;
    bool too_many; /* there were more nodes than LIMIT_NODES */
    enum decoder_refusal refusal;
};

enum { RECORD_FAILED = -1, RECORD_DONE = 0 };

static inline int refuse(struct recorder *r, enum decoder_refusal refusal)
{
    r->refusal = refusal;
    return RECORD_FAILED;
}

/* Makes room for `count` nodes, at most LIMIT_NODES. False: no memory, and `refusal` says so. */
static inline __attribute__((cold)) bool reserve_nodes(struct recorder *r, uint64_t count)
{
    assert(count <= LIMIT_NODES);
    uint32_t cap = r->cap ? r->cap : FIRST_NODES;
    while (cap < count)
        cap *= 2;
    if (cap > LIMIT_NODES)
        cap = LIMIT_NODES;
    struct node *nodes = realloc(r->nodes, cap * sizeof *nodes);
    if (!nodes) {
        r->refusal = DECODER_NO_MEMORY;
        return false;
    }
    r->nodes = nodes;
    r->cap = cap;
    return true;
}

/* False if the array does not grow: LIMIT_NODES is reached, or there is no memory (refusal says so). */
static inline __attribute__((cold)) bool grow_nodes(struct recorder *r)
{
    if (r->cap == LIMIT_NODES) {
        r->too_many = true;
        return false;
    }
    return reserve_nodes(r, r->cap + 1);
}

static inline int record(struct recorder *r, struct node node, uint32_t *index)
{
    if (UNLIKELY(r->count == r->cap) && !grow_nodes(r)) {
        *index = NO_NODE;
        return r->refusal ? RECORD_FAILED : RECORD_DONE;
    }
    r->nodes[r->count] = node;
    *index = r->count++;
    return RECORD_DONE;
}

static inline int record_uint(struct recorder *r, uint64_t v, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_UINT, .value.uint = v}, index);
}

static inline int record_int(struct recorder *r, int64_t v, uint32_t *index)
{
    if (v >= 0)
        return record_uint(r, (uint64_t)v, index);
    return record(r, (struct node){.type = NODE_INT, .value.sint = v}, index);
}

static inline int record_container(struct recorder *r, enum node_type type, uint32_t count, uint64_t elements,
                                   uint32_t *index)
{
    r->least_bytes += elements;
    if (UNLIKELY(r->least_bytes > r->max_bytes))
        return refuse(r, DECODER_TOO_MANY);
    return record(r, (struct node){.type = (uint8_t)type, .count = count, .value.end = r->count + 1}, index);
}

static inline void record_element(struct recorder *r, uint32_t container)
{
    if (container != NO_NODE)
        r->nodes[container].value.end = r->count;
}

static inline int record_text(struct recorder *r, enum node_type type, const char *base, const char *at,
                              unsigned int bytes, uint32_t *index)
{
    if (UNLIKELY(r->standing_in)) {
        r->standing_in = false;
        r->least_bytes += r->stand_in.count;
        return record(r, r->stand_in, index);
    }
    r->least_bytes += bytes;
    /* An empty one has no place: `at` may be anything. */
    uint64_t offset = bytes > 0 ? (uint64_t)(at - base) : 0;
    return record(r, (struct node){.type = (uint8_t)type, .count = bytes, .value.offset = offset}, index);
}

static inline uint32_t on_root(struct recorder *r)
{
    (void)r;
    return NO_NODE;
}

static inline int on_nil(struct recorder *r, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_NIL}, index);
}

static inline int on_true(struct recorder *r, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_BOOL, .value.uint = 1}, index);
}

static inline int on_false(struct recorder *r, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_BOOL, .value.uint = 0}, index);
}

static inline int on_uint8(struct recorder *r, uint8_t v, uint32_t *index)
{
    return record_uint(r, v, index);
}

static inline int on_uint16(struct recorder *r, uint16_t v, uint32_t *index)
{
    return record_uint(r, v, index);
}

static inline int on_uint32(struct recorder *r, uint32_t v, uint32_t *index)
{
    return record_uint(r, v, index);
}

static inline int on_uint64(struct recorder *r, uint64_t v, uint32_t *index)
{
    return record_uint(r, v, index);
}

static inline int on_int8(struct recorder *r, int8_t v, uint32_t *index)
{
    return record_int(r, v, index);
}

static inline int on_int16(struct recorder *r, int16_t v, uint32_t *index)
{
    return record_int(r, v, index);
}

static inline int on_int32(struct recorder *r, int32_t v, uint32_t *index)
{
    return record_int(r, v, index);
}

static inline int on_int64(struct recorder *r, int64_t v, uint32_t *index)
{
    return record_int(r, v, index);
}

static inline int on_float(struct recorder *r, float v, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_FLOAT, .flags = NODE_FLOAT32, .value.real = v}, index);
}

static inline int on_double(struct recorder *r, double v, uint32_t *index)
{
    return record(r, (struct node){.type = NODE_FLOAT, .value.real = v}, index);
}

static inline int on_array(struct recorder *r, unsigned int count, uint32_t *index)
{
    return record_container(r, NODE_ARRAY, count, count, index);
}

static inline int on_array_item(struct recorder *r, const uint32_t *array, uint32_t item)
{
    (void)item;
    record_element(r, *array);
    return RECORD_DONE;
}

static inline int on_map(struct recorder *r, unsigned int count, uint32_t *index)
{
    return record_container(r, NODE_MAP, count, 2 * (uint64_t)count, index);
}

static inline int on_map_item(struct recorder *r, const uint32_t *map, uint32_t key, uint32_t value)
{
    (void)key;
    (void)value;
    record_element(r, *map);
    return RECORD_DONE;
}

static inline int on_str(struct recorder *r, const char *base, const char *at, unsigned int bytes, uint32_t *index)
{
    return record_text(r, NODE_STR, base, at, bytes, index);
}

static inline int on_bin(struct recorder *r, const char *base, const char *at, unsigned int bytes, uint32_t *index)
{
    return record_text(r, NODE_BIN, base, at, bytes, index);
}

static inline int on_ext(struct recorder *r, const char *base, const char *at, unsigned int bytes, uint32_t *index)
{
    /* The template adds the type byte to the claimed length in 32 bits: 2^32 - 1 comes out as 0. */
    if (bytes == 0)
        return refuse(r, DECODER_VALUE_TOO_LARGE);
    return record_text(r, NODE_EXT, base, at, bytes, index);
}

#endif
