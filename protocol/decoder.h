/*
 * decoder: bytes to requests, for both ends of the wire.
 *
 * One MessagePack value comes out of a stream of bytes as a flat list of *nodes* in the order in which they stand on
 * the wire: a container's node is followed by its elements (of a map: key, value, key, value). Text and bytes are
 * views: they point into the caller's input or, if a value arrived in pieces, into the decoder's own copy.
 *
 * The happy path
 *     while (left > 0) {
 *         result = decoder_feed(d, input, left, &used);   input += used, left -= used
 *         DECODER_READY:     handle d->nodes; decoder_next(d);
 *         DECODER_NEED_MORE: all input is taken; come back with more
 *         DECODER_REFUSED:   d->refusal says why; the stream can't be read on
 *     }
 * A value that lies whole in the input is decoded in one quick run. Any cut of the input works, and what has come is
 * not decoded again: where the quick run stops, a parser (msgpack-c's own template) goes on, which keeps its state
 * between calls, and only the bytes of an unfinished value are kept.
 *
 * What can fail, and is checked at the header, before any memory is taken for what it claims: depth above LIMIT_DEPTH,
 * a container that claims more elements than the value may have bytes, a value longer than `max_value_bytes`. A value
 * with more than LIMIT_NODES nodes is parsed to its end, keeps the first of them, and comes out with `too_many_nodes`
 * set: then an element may lie beyond node_count, but no container's end does.
 *
 * A str or bin above LIMIT_INLINE_BYTES is *streamed*, unless one input held all of it and all that precedes it in its
 * value: `stream_begin_cb` names the memory that its bytes are to be stored in, or a reason to skip them. So a large
 * body is copied once, from the input to its message, and one that is too large is never held. An ext value of that
 * size is skipped.
 *
 * Memory: nodes and kept bytes grow with what has really arrived; decoder_memory() counts them. decoder_next() keeps
 * small areas for the next value and gives back large ones.
 */
#ifndef PROTOCOL_DECODER_H
#define PROTOCOL_DECODER_H

#include "protocol/errors.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_type {
    NODE_NIL,
    NODE_BOOL,  /* value.uint 0 or 1 */
    NODE_UINT,  /* 0 and above: value.uint */
    NODE_INT,   /* below 0: value.sint */
    NODE_FLOAT, /* float 32 and 64: value.real */
    NODE_STR,
    NODE_BIN,
    NODE_EXT, /* bytes include the type byte; never valid in a request, known so that it can be answered */
    NODE_ARRAY,
    NODE_MAP,
};

enum node_flag {
    NODE_STREAMED = 1, /* str or bin: bytes lie in streams[value.uint] */
    NODE_SKIPPED = 2,  /* str, bin or ext: bytes were dropped; value.uint is the enum error_code why */
    NODE_FLOAT32 = 4,  /* arrived as float 32 */
};

struct node {
    uint8_t type;   /* enum node_type */
    uint8_t flags;  /* enum node_flag */
    uint32_t count; /* str, bin, ext: bytes; array: elements; map: pairs */
    union {
        uint64_t uint;
        int64_t sint;
        double real;
        uint64_t offset; /* str, bin, ext: from the value's first byte; use decoder_bytes() */
        uint64_t end;    /* array, map: index of the node after the last of its descendants */
    } value;
};

/* Where a streamed value's bytes lie. */
struct stream {
    void *owner; /* whatever stream_begin_cb gave; NULL once taken */
    uint8_t *data;
    uint32_t bytes;
};

struct decoder;

struct decoder_hooks {
    /*
     * A str or bin of `bytes` bytes is to be streamed; d->nodes[0 .. node_count) precede it, among them the containers
     * it is in, whose ends are not known yet. Fill owner (not NULL) and data and return ERR_NONE, or return the reason
     * why its bytes are to be skipped. NULL: everything that long is skipped as TOO_LARGE.
     */
    enum error_code (*stream_begin_cb)(void *user, const struct decoder *d, uint32_t bytes, struct stream *out);
    /* Gives back an owner that nobody took. NULL only without stream_begin_cb. */
    void (*stream_release_cb)(void *user, void *owner);
    void *user;
};

enum decoder_result { DECODER_READY, DECODER_NEED_MORE, DECODER_REFUSED };

enum decoder_refusal {
    DECODER_REFUSAL_NONE,
    DECODER_NOT_MSGPACK,     /* the byte 0xc1 */
    DECODER_TOO_DEEP,        /* more than LIMIT_DEPTH containers inside each other */
    DECODER_TOO_MANY,        /* a container claims more elements than the value may have bytes */
    DECODER_VALUE_TOO_LARGE, /* more than max_value_bytes, known from a header */
    DECODER_NO_MEMORY,
};

/* Public for reading: nodes, node_count, too_many_nodes, refusal, value_bytes. */
struct decoder {
    struct node *nodes;
    uint32_t node_count;
    bool too_many_nodes;
    enum decoder_refusal refusal;
    uint64_t value_bytes; /* wire bytes of the value so far, streamed and skipped ones included */
    const uint8_t *base;  /* what the nodes' offsets are counted from, for decoder_bytes() */
    struct decoder_impl *impl;
};

/*
 * A decoder for values of at most max_value_bytes (below 2^32). `hooks` is copied; NULL means none.
 * Returns NULL when out of memory.
 */
struct decoder *decoder_new(uint64_t max_value_bytes, const struct decoder_hooks *hooks);

/* Frees everything, untaken streams included. NULL is allowed. */
void decoder_free(struct decoder *d);

/* The limit and the user pointer of the hooks, for a decoder that goes from one connection to another. Idle only. */
void decoder_reuse(struct decoder *d, uint64_t max_value_bytes, void *user);

/*
 * Takes bytes until a value is complete. *used: how many of `bytes` were taken (all, unless DECODER_READY or _REFUSED).
 * After DECODER_READY views stay valid until the next call and while `input` stays where it is; call decoder_next()
 * before feeding on. DECODER_REFUSED is final.
 */
enum decoder_result decoder_feed(struct decoder *d, const void *input, size_t bytes, size_t *used);

/* Forgets the value just handled; untaken streams are released. */
void decoder_next(struct decoder *d);

/* True if no part of a value is held. */
bool decoder_idle(const struct decoder *d);

/* The bytes of a streamed node. */
const uint8_t *decoder_stream_bytes(const struct decoder *d, const struct node *node);

/* The bytes of a str, bin or ext node that was not skipped; node->count of them. */
static inline const uint8_t *decoder_bytes(const struct decoder *d, const struct node *node)
{
    assert(node->type >= NODE_STR && node->type <= NODE_EXT && !(node->flags & NODE_SKIPPED));
    return node->flags & NODE_STREAMED ? decoder_stream_bytes(d, node) : d->base + node->value.offset;
}

/* Takes a streamed node's owner out: the caller has it now, the view stays valid as long as the owner. NULL if none. */
void *decoder_take(struct decoder *d, const struct node *node);

/* Index of the node after `index` and all its descendants. */
static inline uint32_t decoder_skip(const struct decoder *d, uint32_t index)
{
    const struct node *n = &d->nodes[index];
    return n->type == NODE_ARRAY || n->type == NODE_MAP ? (uint32_t)n->value.end : index + 1;
}

/* The longest value that it takes, in bytes. */
uint64_t decoder_limit(const struct decoder *d);

/* Bytes of memory held, the decoder itself included; streamed bodies not. */
size_t decoder_memory(const struct decoder *d);

/* A short English reason, e.g. "deeper than 16 levels". */
const char *decoder_refusal_text(enum decoder_refusal refusal);

#endif
