/*
 * What the broker's own encodings must look like. It wrote them, so it reads them without a doubt; what comes from a disk is
 * looked at here before it is believed.
 */
#include "server/broker/filter.h"
#include "server/log/parts.h"
#include "server/log/record.h"

/* The broker's own headers (of dead letters) come on top of what clients may send, and so does the encoding. */
#define HEADERS_BYTES (2 * LIMIT_HEADER_BYTES)

static bool skip_value(struct view *rest, uint8_t kind)
{
    const void *data;
    uint64_t number;
    struct view text;
    switch (kind) {
    case HEADER_NIL:
    case HEADER_FALSE:
    case HEADER_TRUE:
        return true;
    case HEADER_UINT:
    case HEADER_INT:
        return take_varint(rest, &number);
    case HEADER_FLOAT:
    case HEADER_DOUBLE:
        return take_raw(rest, sizeof number, &data);
    case HEADER_TEXT:
    case HEADER_BYTES:
        return take_view(rest, 0, SIZE_MAX, &text);
    default:
        return false;
    }
}

bool check_headers(struct view headers)
{
    struct view key;
    uint8_t kind;
    if (headers.bytes > HEADERS_BYTES)
        return false;
    while (headers.bytes > 0)
        if (!take_8(&headers, &kind) || !take_view(&headers, 0, SIZE_MAX, &key) || !skip_value(&headers, kind))
            return false;
    return true;
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

static bool is_number(const struct header *h)
{
    return h->kind >= HEADER_UINT && h->kind <= HEADER_DOUBLE;
}

/* The next test, its operator out of its key. */
static bool next_test(struct view *rest, struct header *value, uint8_t *op)
{
    if (!header_next(rest, value) || value->key.bytes != 1)
        return false;
    *op = *(const uint8_t *)value->key.data;
    return *op < FILTER_OP_COUNT;
}

static bool check_inner_tests(struct view *rest, uint8_t outer, uint64_t count)
{
    struct header value;
    uint8_t op;
    for (; count > 0; count--) {
        if (!next_test(rest, &value, &op))
            return false;
        if (outer == FILTER_NUMERIC ? op > FILTER_GREATER_EQUAL || !is_number(&value) : op != FILTER_EQUAL)
            return false;
    }
    return true;
}

static bool check_alternative(struct view *rest)
{
    struct header value;
    uint8_t op;
    if (!next_test(rest, &value, &op))
        return false;
    switch (op) {
    case FILTER_EQUAL:
        return true;
    case FILTER_PREFIX:
        return value.kind == HEADER_TEXT || value.kind == HEADER_BYTES;
    case FILTER_EXISTS:
        return value.kind == HEADER_TRUE || value.kind == HEADER_FALSE;
    case FILTER_NUMERIC:
    case FILTER_ANYTHING_BUT:
        return value.kind == HEADER_UINT && value.number >= 1 &&
               value.number <= (op == FILTER_NUMERIC ? 2 : LIMIT_FILTER_ALTERNATIVES) &&
               check_inner_tests(rest, op, value.number);
    default:
        return false; /* a comparison outside of NUMERIC */
    }
}

bool check_filter(struct view filter)
{
    struct header h;
    struct view last = {NULL, 0};
    /* Well-formed as headers: now header_next() can be trusted with it. */
    if (filter.bytes > LIMIT_FILTER_BYTES || !check_headers(filter))
        return false;
    for (unsigned keys = 1; header_next(&filter, &h); keys++) {
        const bool follows = keys == 1 || name_order(last.data, last.bytes, h.key.data, h.key.bytes) < 0;
        if (h.kind != HEADER_UINT || h.number < 1 || h.number > LIMIT_FILTER_ALTERNATIVES || !follows ||
            keys > LIMIT_FILTER_KEYS)
            return false;
        last = h.key;
        for (uint64_t i = 0; i < h.number; i++)
            if (!check_alternative(&filter))
                return false;
    }
    return true;
}

/* ---- dedup ids --------------------------------------------------------------------------------------------------- */

/* Kind (0: an id, 1: the SHA-256 of a body), length of the id, id, group or nothing. */
bool check_dedup_key(struct view key)
{
    uint8_t kind, bytes;
    if (!take_8(&key, &kind) || !take_8(&key, &bytes) || kind > 1 || key.bytes < bytes)
        return false;
    return (kind == 1 ? bytes == 32 : bytes >= 1 && bytes <= LIMIT_DEDUP_BYTES) &&
           key.bytes - bytes <= LIMIT_GROUP_BYTES;
}
