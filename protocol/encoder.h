/*
 * encoder: meaning to bytes. encode_<item>() stores one MessagePack item in its shortest form at the end of a buffer.
 * Nothing here returns an error: a buffer that could not grow is `failed` and its owner looks once, at the end.
 *
 * Each item reserves the most that it can take, once, and then stores through a bare pointer. Who stores several items of
 * a known size reserves room for all of them, calls store_<item>(), each of which returns the place behind its item, and
 * encoder_commit() with the last place.
 *
 * What every message has is stored by hand, the rest by msgpack-c's packing template.
 */
#ifndef PROTOCOL_ENCODER_H
#define PROTOCOL_ENCODER_H

#include "protocol/buffer.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the longest number, and of the longest header of a container or of text. */
#define ENCODER_NUMBER_BYTES 9
#define ENCODER_HEADER_BYTES 5

static inline void encoder_store(uint8_t **at, const void *data, size_t bytes)
{
    memcpy(*at, data, bytes);
    *at += bytes;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>
/* One function of the template calls another by msgpack-c's own name for it. */
#define msgpack_pack_ext               encoder_pack_ext
#define msgpack_pack_inline_func(name) static inline void encoder_pack##name
#define msgpack_pack_user              uint8_t **
#define msgpack_pack_append_buffer     encoder_store
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext

static inline void encoder_store_be16(uint8_t *at, uint16_t v)
{
    _msgpack_store16(at, v);
}

static inline void encoder_store_be32(uint8_t *at, uint32_t v)
{
    _msgpack_store32(at, v);
}

static inline void encoder_store_be64(uint8_t *at, uint64_t v)
{
    _msgpack_store64(at, v);
}
#pragma GCC diagnostic pop

/* What has been stored up to `at` belongs to the buffer. */
static inline void encoder_commit(struct buffer *b, const uint8_t *at)
{
    b->bytes = (size_t)(at - b->data);
}

/* ---- stores into reserved room ----------------------------------------------------------------------------------- */

static inline uint8_t *store_nil(uint8_t *at)
{
    *at = 0xc0;
    return at + 1;
}

/* At most ENCODER_NUMBER_BYTES. */
static inline uint8_t *store_uint(uint8_t *at, uint64_t v)
{
    if (v < 0x80) {
        at[0] = (uint8_t)v;
        return at + 1;
    }
    if (v <= UINT8_MAX) {
        at[0] = 0xcc;
        at[1] = (uint8_t)v;
        return at + 2;
    }
    if (v <= UINT16_MAX) {
        at[0] = 0xcd;
        encoder_store_be16(at + 1, (uint16_t)v);
        return at + 3;
    }
    if (v <= UINT32_MAX) {
        at[0] = 0xce;
        encoder_store_be32(at + 1, (uint32_t)v);
        return at + 5;
    }
    at[0] = 0xcf;
    encoder_store_be64(at + 1, v);
    return at + 9;
}

/* The header, at most ENCODER_HEADER_BYTES; the elements follow. */
static inline uint8_t *store_array(uint8_t *at, uint32_t elements)
{
    if (elements < 16) {
        at[0] = (uint8_t)(0x90 | elements);
        return at + 1;
    }
    if (elements <= UINT16_MAX) {
        at[0] = 0xdc;
        encoder_store_be16(at + 1, (uint16_t)elements);
        return at + 3;
    }
    at[0] = 0xdd;
    encoder_store_be32(at + 1, elements);
    return at + 5;
}

/* The header, at most ENCODER_HEADER_BYTES; the bytes follow. */
static inline uint8_t *store_bin_header(uint8_t *at, uint32_t bytes)
{
    if (bytes <= UINT8_MAX) {
        at[0] = 0xc4;
        at[1] = (uint8_t)bytes;
        return at + 2;
    }
    if (bytes <= UINT16_MAX) {
        at[0] = 0xc5;
        encoder_store_be16(at + 1, (uint16_t)bytes);
        return at + 3;
    }
    at[0] = 0xc6;
    encoder_store_be32(at + 1, bytes);
    return at + 5;
}

/* ---- items at the end of a buffer -------------------------------------------------------------------------------- */

static inline void encode_nil(struct buffer *b)
{
    uint8_t *at = buffer_reserve(b, 1);
    if (!at)
        return;
    encoder_commit(b, store_nil(at));
}

static inline void encode_bool(struct buffer *b, bool v)
{
    uint8_t *at = buffer_reserve(b, 1);
    if (!at)
        return;
    if (v)
        encoder_pack_true(&at);
    else
        encoder_pack_false(&at);
    encoder_commit(b, at);
}

static inline void encode_uint(struct buffer *b, uint64_t v)
{
    uint8_t *at = buffer_reserve(b, ENCODER_NUMBER_BYTES);
    if (!at)
        return;
    encoder_commit(b, store_uint(at, v));
}

static inline void encode_int(struct buffer *b, int64_t v)
{
    uint8_t *at = buffer_reserve(b, ENCODER_NUMBER_BYTES);
    if (!at)
        return;
    encoder_pack_int64(&at, v);
    encoder_commit(b, at);
}

static inline void encode_float(struct buffer *b, float v)
{
    uint8_t *at = buffer_reserve(b, ENCODER_NUMBER_BYTES);
    if (!at)
        return;
    encoder_pack_float(&at, v);
    encoder_commit(b, at);
}

/* Always a float 64. */
static inline void encode_double(struct buffer *b, double v)
{
    uint8_t *at = buffer_reserve(b, ENCODER_NUMBER_BYTES);
    if (!at)
        return;
    encoder_pack_double(&at, v);
    encoder_commit(b, at);
}

/* The header; the elements follow. */
static inline void encode_array(struct buffer *b, uint32_t elements)
{
    uint8_t *at = buffer_reserve(b, ENCODER_HEADER_BYTES);
    if (!at)
        return;
    encoder_commit(b, store_array(at, elements));
}

/* The header; key, value, key, value follow. */
static inline void encode_map(struct buffer *b, uint32_t pairs)
{
    uint8_t *at = buffer_reserve(b, ENCODER_HEADER_BYTES);
    if (!at)
        return;
    encoder_pack_map(&at, pairs);
    encoder_commit(b, at);
}

static inline void encode_str(struct buffer *b, const void *text, size_t bytes)
{
    assert(bytes <= UINT32_MAX);
    uint8_t *at = buffer_reserve(b, ENCODER_HEADER_BYTES + bytes);
    if (!at)
        return;
    encoder_pack_str(&at, bytes);
    if (bytes > 0)
        encoder_store(&at, text, bytes);
    encoder_commit(b, at);
}

/* A terminated string. */
static inline void encode_text(struct buffer *b, const char *text)
{
    encode_str(b, text, strlen(text));
}

/* The header of a bin whose bytes are spliced. */
static inline void encode_bin_header(struct buffer *b, uint32_t bytes)
{
    uint8_t *at = buffer_reserve(b, ENCODER_HEADER_BYTES);
    if (!at)
        return;
    encoder_commit(b, store_bin_header(at, bytes));
}

static inline void encode_bin(struct buffer *b, const void *data, size_t bytes)
{
    assert(bytes <= UINT32_MAX);
    uint8_t *at = buffer_reserve(b, ENCODER_HEADER_BYTES + bytes);
    if (!at)
        return;
    at = store_bin_header(at, (uint32_t)bytes);
    if (bytes > 0)
        encoder_store(&at, data, bytes);
    encoder_commit(b, at);
}

#endif
