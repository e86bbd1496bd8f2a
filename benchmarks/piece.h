/*
 * piece: a piece of what a server sends, and the few shapes of which its answers consist under load, read without a decoder:
 * what the load generator spends, the server cannot, since they share a machine. Whatever has another shape goes to the
 * decoder.
 */
#ifndef BENCHMARKS_PIECE_H
#define BENCHMARKS_PIECE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum piece_result {
    PIECE_OK,
    PIECE_MORE,  /* the bytes end before the value does */
    PIECE_OTHER, /* a value of another shape */
    PIECE_FAILED,
};

/* Bytes of which those before `at` have been read; it is moved on by whoever has read a whole value. */
struct piece {
    const uint8_t *at, *end;
};

static inline uint64_t piece_big_endian(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

/* An integer from 0 on. */
static inline enum piece_result piece_uint(struct piece *c, uint64_t *out)
{
    if (c->at == c->end)
        return PIECE_MORE;
    const uint8_t head = *c->at;
    if (head < 0x80) {
        *out = head;
        c->at++;
        return PIECE_OK;
    }
    if (head < 0xcc || head > 0xcf)
        return PIECE_OTHER;
    const unsigned bytes = 1u << (head - 0xcc);
    if ((size_t)(c->end - c->at) <= bytes)
        return PIECE_MORE;
    *out = piece_big_endian(c->at + 1, bytes);
    c->at += 1 + bytes;
    return PIECE_OK;
}

/* A head whose length is one of 8, 16 and 32 bits behind `head8`, `head8` + 1, `head8` + 2. */
static inline enum piece_result piece_head(struct piece *c, uint8_t head8, unsigned shortest, uint32_t *out)
{
    if (c->at == c->end)
        return PIECE_MORE;
    const unsigned kind = (unsigned)(*c->at - head8);
    if (*c->at < head8 || kind > 2 || kind < shortest)
        return PIECE_OTHER;
    const unsigned bytes = 1u << kind;
    if ((size_t)(c->end - c->at) <= bytes)
        return PIECE_MORE;
    *out = (uint32_t)piece_big_endian(c->at + 1, bytes);
    c->at += 1 + bytes;
    return PIECE_OK;
}

static inline enum piece_result piece_bin(struct piece *c, uint32_t *bytes)
{
    return piece_head(c, 0xc4, 0, bytes);
}

static inline enum piece_result piece_array(struct piece *c, uint32_t *elements)
{
    if (c->at < c->end && *c->at >> 4 == 9) {
        *elements = *c->at++ & 15;
        return PIECE_OK;
    }
    return piece_head(c, 0xdb, 1, elements); /* 0xdc and 0xdd */
}

/* Exactly these bytes. */
static inline enum piece_result piece_bytes(struct piece *c, const char *bytes, size_t count)
{
    size_t there = (size_t)(c->end - c->at);
    if (memcmp(c->at, bytes, there < count ? there : count) != 0)
        return PIECE_OTHER;
    if (there < count)
        return PIECE_MORE;
    c->at += count;
    return PIECE_OK;
}

#endif
