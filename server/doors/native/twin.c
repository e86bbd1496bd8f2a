#include "server/doors/native/twin.h"

#include "server/doors/native/request.h"

#include <assert.h>
#include <string.h>

/* MessagePack's first bytes, as far as a twin has them. */
enum { ARRAY_OF_4 = 0x94, REQUEST = 0x00, BIN_8 = 0xc4, BIN_16 = 0xc5, UINT_8 = 0xcc, UINT_16 = 0xcd, UINT_32 = 0xce };

/* The shortest head: "publish", an array, a name of one byte, an array. */
#define HEAD_LEAST 12

/* What stands before the msgid, and the msgid at most. */
#define START_BYTES 2
#define MSGID_MOST  5

/* The number behind the first byte of a msgid, and where it ends; NULL: it is written in another way. */
static inline const uint8_t *read_msgid(const uint8_t *at, uint32_t *msgid)
{
    if (*at < 0x80) {
        *msgid = *at;
        return at + 1;
    }
    switch (*at) {
    case UINT_8:
        *msgid = at[1];
        return at + 2;
    case UINT_16:
        *msgid = (uint32_t)at[1] << 8 | at[2];
        return at + 3;
    case UINT_32:
        *msgid = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
        return at + 5;
    default:
        return NULL;
    }
}

/* The body whose header stands at `at`; returns where it ends, NULL if it is none or does not end before `end`. */
static inline const uint8_t *read_body(const uint8_t *at, const uint8_t *end, struct view *body)
{
    size_t bytes;

    if (end - at < 3)
        return NULL;
    if (*at == BIN_8) {
        bytes = at[1];
        at += 2;
    } else if (*at == BIN_16) {
        bytes = (size_t)at[1] << 8 | at[2];
        at += 3;
    } else {
        return NULL;
    }
    *body = (struct view){at, bytes};
    return bytes <= (size_t)(end - at) ? at + bytes : NULL;
}

/* Eight bytes at a time, the last ones perhaps twice. There are at least so many. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    uint64_t x, y, differ = 0;

    for (size_t i = 0; i + 8 < bytes; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        differ |= x ^ y;
    }
    memcpy(&x, a + bytes - 8, 8);
    memcpy(&y, b + bytes - 8, 8);
    return (differ | (x ^ y)) == 0;
}

void twin_note(struct request *r, struct queue *q, const struct publish_options *options, uint32_t list)
{
    const struct decoder *d = r->decoder;
    const struct node *first = &d->nodes[list + 1], *last = first + d->nodes[list].count - 1;
    uint32_t msgid;

    if (r->notification || d->base != r->input || first->type != NODE_BIN)
        return;
    const uint8_t *input = d->base, *body = decoder_bytes(d, first), *tail = decoder_bytes(d, last) + last->count;
    const uint8_t *head = input[0] == ARRAY_OF_4 && input[1] == REQUEST ? read_msgid(input + START_BYTES, &msgid)
                                                                        : NULL;
    const bool is_long = body[-2] != BIN_8 || body[-1] != first->count;
    body -= is_long ? 3 : 2;
    if (head == NULL || (is_long && *body != BIN_16) || body - head < HEAD_LEAST)
        return;
    r->twin = (struct twin){
        .head = head,
        .tail = tail,
        .head_bytes = (uint32_t)(body - head),
        .tail_bytes = (uint32_t)(input + d->value_bytes - tail),
        .count = d->nodes[list].count,
        .queue = q,
        .options = *options,
    };
}

bool twin_read(const struct twin *twin, const uint8_t *input, size_t bytes, struct view *bodies, uint32_t *msgid,
               size_t *used)
{
    const uint8_t *const end = input + bytes;

    assert(twin->count > 0);
    if (bytes < START_BYTES + MSGID_MOST + twin->head_bytes || input[0] != ARRAY_OF_4 || input[1] != REQUEST)
        return false;
    const uint8_t *at = read_msgid(input + START_BYTES, msgid);
    if (at == NULL || !same_bytes(at, twin->head, twin->head_bytes))
        return false;
    at += twin->head_bytes;
    for (const struct view *last = bodies + twin->count; bodies < last; bodies++) {
        at = read_body(at, end, bodies);
        if (at == NULL)
            return false;
    }
    if (twin->tail_bytes > 0 &&
        (twin->tail_bytes > (size_t)(end - at) || memcmp(at, twin->tail, twin->tail_bytes) != 0))
        return false;
    *used = (size_t)(at - input) + twin->tail_bytes;
    return true;
}
