/*
 * encoder: meaning to bytes, on top of msgpack-c's packing template. Every function stores one MessagePack item in its
 * shortest form at the end of a buffer. Nothing here returns an error: a buffer that could not grow is `failed` and its
 * owner looks once, at the end.
 */
#ifndef PROTOCOL_ENCODER_H
#define PROTOCOL_ENCODER_H

#include "protocol/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No item's header, and no item that is a number, is longer. */
#define ENCODER_ITEM_BYTES 9

#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>

#define msgpack_pack_inline_func(name) static inline int encoder_pack##name
#define msgpack_pack_inline_func_cint(name) static inline int encoder_pack##name
#define msgpack_pack_user struct buffer *
#define msgpack_pack_append_buffer(user, from, count)                                                                    \
    do {                                                                                                                 \
        memcpy((user)->data + (user)->bytes, from, count);                                                           \
        (user)->bytes += (count);                                                                                        \
        return 0;                                                                                                        \
    } while (0)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <msgpack/pack_template.h>
#pragma GCC diagnostic pop

static inline bool encoder_room(struct buffer *b, size_t bytes)
{
    return buffer_reserve(b, bytes) != NULL;
}

static inline void encode_nil(struct buffer *b)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_nil(b);
}

static inline void encode_bool(struct buffer *b, bool v)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        (void)(v ? encoder_pack_true(b) : encoder_pack_false(b));
}

static inline void encode_uint(struct buffer *b, uint64_t v)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_uint64(b, v);
}

static inline void encode_int(struct buffer *b, int64_t v)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_int64(b, v);
}

static inline void encode_float(struct buffer *b, float v)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_float(b, v);
}

static inline void encode_double(struct buffer *b, double v)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_double(b, v);
}

/* The header of an array; its elements follow. */
static inline void encode_array(struct buffer *b, uint32_t elements)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_array(b, elements);
}

/* The header of a map; key, value, key, value follow. */
static inline void encode_map(struct buffer *b, uint32_t pairs)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_map(b, pairs);
}

static inline void encode_str(struct buffer *b, const void *text, size_t bytes)
{
    if (!encoder_room(b, ENCODER_ITEM_BYTES + bytes))
        return;
    encoder_pack_str(b, bytes);
    if (bytes > 0)
        memcpy(b->data + b->bytes, text, bytes);
    b->bytes += bytes;
}

/* A terminated string. */
static inline void encode_text(struct buffer *b, const char *text)
{
    encode_str(b, text, strlen(text));
}

/* The header of a bin whose bytes follow or are spliced. */
static inline void encode_bin_header(struct buffer *b, uint32_t bytes)
{
    if (encoder_room(b, ENCODER_ITEM_BYTES))
        encoder_pack_bin(b, bytes);
}

static inline void encode_bin(struct buffer *b, const void *data, size_t bytes)
{
    if (!encoder_room(b, ENCODER_ITEM_BYTES + bytes))
        return;
    encoder_pack_bin(b, bytes);
    if (bytes > 0)
        memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

#endif
