/*
 * parts: what records, headers and their readers are made of: numbers of fixed size, varints, views. Internal to record_*.c and
 * frame.c; what the bytes mean is in record.h.
 */
#ifndef SERVER_LOG_PARTS_H
#define SERVER_LOG_PARTS_H

#include "server/broker/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VARINT_BYTES 10 /* the longest */

/* The flags of a MESSAGE. */
enum record_flag {
    RECORD_STATE = 3, /* the mask of its state */
    RECORD_EXPIRES = 1 << 2,
    RECORD_BY_TTL = 1 << 3,
    RECORD_HELD = 1 << 4,
    RECORD_DELIVERIES = 1 << 5,
    RECORD_PRIORITY = 1 << 6,
    RECORD_GROUP = 1 << 7,
    RECORD_DEDUP_ID = 1 << 8,
    RECORD_HEADERS = 1 << 9,
    RECORD_NOTE = 1 << 10,
    RECORD_ABOVE = 1 << 11,
    RECORD_FIFO = 1 << 12,
    RECORD_FLAGS = (1 << 13) - 1
};

/* What is well-formed by the rules of those who read it later, and rely on it (record_check.c). */
bool check_headers(struct view headers);
bool check_filter(struct view filter);
bool check_dedup_key(struct view key);

static inline void put_32(uint8_t *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static inline void put_64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static inline uint32_t get_32(const uint8_t *in)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)in[i] << 8 * i;
    return value;
}

static inline uint64_t get_64(const uint8_t *in)
{
    return get_32(in) | (uint64_t)get_32(in + 4) << 32;
}

static inline uint64_t zigzag(int64_t n)
{
    return n < 0 ? ~((uint64_t)n << 1) : (uint64_t)n << 1;
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value & 1 ? ~(value >> 1) : value >> 1);
}

static inline uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *put_zigzag(uint8_t *out, int64_t n)
{
    return put_varint(out, zigzag(n));
}

/* Data may be NULL if there are no bytes. */
static inline uint8_t *put_bytes(uint8_t *out, const void *data, size_t bytes)
{
    out = put_varint(out, bytes);
    if (bytes > 0)
        memcpy(out, data, bytes);
    return out + bytes;
}

static inline uint8_t *put_view(uint8_t *out, struct view view)
{
    return put_bytes(out, view.data, view.bytes);
}

/* Each takes something off the beginning of `rest`; false if it is not there, or is no such thing. */

static inline bool take_raw(struct view *rest, size_t bytes, const void **data)
{
    if (rest->bytes < bytes)
        return false;
    *data = rest->data;
    rest->data = (const uint8_t *)rest->data + bytes;
    rest->bytes -= bytes;
    return true;
}

static inline bool take_8(struct view *rest, uint8_t *out)
{
    const void *data;
    if (!take_raw(rest, 1, &data))
        return false;
    *out = *(const uint8_t *)data;
    return true;
}

static inline bool take_varint(struct view *rest, uint64_t *out)
{
    uint64_t value = 0;
    uint8_t byte;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (!take_8(rest, &byte) || (shift == 63 && byte > 1))
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static inline bool take_zigzag(struct view *rest, int64_t *out)
{
    uint64_t value;
    if (!take_varint(rest, &value))
        return false;
    *out = unzigzag(value);
    return true;
}

/* min .. max bytes. */
static inline bool take_view(struct view *rest, size_t min, size_t max, struct view *out)
{
    uint64_t bytes;
    if (!take_varint(rest, &bytes) || bytes < min || bytes > max)
        return false;
    out->bytes = (size_t)bytes;
    return take_raw(rest, out->bytes, &out->data);
}

#endif
