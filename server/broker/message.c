/*
 * The contents of a message stand behind its header in this order:
 *
 *     struct message_links                               only with MESSAGE_LINKED
 *     struct extras | group | dedup id | headers | padding to 8     only with MESSAGE_EXTRAS
 *     struct body *                                      with MESSAGE_SHARED
 *     the body's bytes                                   without
 *
 * What can fail is taking memory; then nothing is held and no reference was taken.
 *
 * A header is stored as
 *
 *     kind | length of the key | key | value
 *
 * with lengths as varints (7 bits a byte, low ones first, the top bit of a byte says that more follow). The value is
 * nothing (NIL, FALSE, TRUE), a varint (UINT; INT with all bits turned over, so that small negative numbers are short),
 * the 8 bytes of a double in the machine's order (FLOAT, DOUBLE), or a length and that many bytes (TEXT, BYTES).
 */
#include "server/broker/message.h"

#include <assert.h>
#include <string.h>

struct extras {
    uint32_t header_bytes;
    uint8_t group_bytes;
    uint8_t dedup_bytes;
    uint16_t reserved;
};

static_assert(sizeof(struct message) == 48, "the header of every message counts");
static_assert(sizeof(struct extras) == 8, "what follows stays aligned");

/* memcpy() may not be called with NULL, not even for nothing. */
static inline void copy(void *to, const void *from, size_t bytes)
{
    if (bytes > 0)
        memcpy(to, from, bytes);
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

struct body *body_new(struct pool *pool, uint32_t bytes)
{
    struct body *body = pool_take(pool, sizeof *body + bytes);
    if (body == NULL)
        return NULL;
    body->pool = pool;
    body->refs = 1;
    body->bytes = bytes;
    body->copies = 0;
    body->mark = 0;
    return body;
}

struct body *body_ref(struct body *body)
{
    assert(body->refs > 0 && body->refs < UINT32_MAX);
    body->refs++;
    return body;
}

void body_unref(struct body *body)
{
    assert(body->refs > 0);
    if (--body->refs == 0)
        pool_give(body->pool, body, sizeof *body + body->bytes);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static inline size_t extras_size(size_t group_bytes, size_t dedup_bytes, size_t header_bytes)
{
    return (sizeof(struct extras) + group_bytes + dedup_bytes + header_bytes + 7) & ~(size_t)7;
}

static inline size_t publication_extras(const struct publication *p)
{
    if (p->group.bytes == 0 && p->dedup_id.bytes == 0 && p->headers.bytes == 0)
        return 0;
    return extras_size(p->group.bytes, p->dedup_id.bytes, p->headers.bytes);
}

static inline bool publication_shares(const struct publication *p)
{
    return p->shared != NULL || p->body.bytes >= MESSAGE_SHARE_BYTES;
}

static inline size_t links_size(const struct message *message)
{
    return message->flags & MESSAGE_LINKED ? sizeof(struct message_links) : 0;
}

/* The extras, or NULL. */
static inline const struct extras *message_extras(const struct message *message)
{
    if ((message->flags & MESSAGE_EXTRAS) == 0)
        return NULL;
    return (const struct extras *)(const void *)((const uint8_t *)(message + 1) + links_size(message));
}

/* Where the body, or the pointer to it, stands. */
static inline size_t body_offset(const struct message *message)
{
    const struct extras *extras = message_extras(message);
    size_t bytes = sizeof *message + links_size(message);
    return extras ? bytes + extras_size(extras->group_bytes, extras->dedup_bytes, extras->header_bytes) : bytes;
}

static inline const void *body_place(const struct message *message)
{
    return (const uint8_t *)message + body_offset(message);
}

size_t message_cost(const struct publication *p, bool linked)
{
    size_t bytes = sizeof(struct message) + publication_extras(p) + (linked ? sizeof(struct message_links) : 0);
    if (!publication_shares(p))
        return pool_size(bytes + p->body.bytes);
    size_t body = p->shared ? 0 : pool_size(sizeof(struct body) + p->body.bytes);
    return pool_size(bytes + sizeof(struct body *)) + body;
}

/* A reference to the publication's body, which is shared from now on; NULL when out of memory. */
static struct body *share_body(struct pool *pool, const struct publication *p)
{
    if (p->shared != NULL) {
        assert(p->shared->bytes == p->body.bytes);
        return body_ref(p->shared);
    }
    struct body *body = body_new(pool, (uint32_t)p->body.bytes);
    if (body != NULL)
        memcpy(body->data, p->body.data, p->body.bytes);
    return body;
}

static void extras_put(struct message *message, const struct publication *p)
{
    struct extras *extras = (struct extras *)(void *)((uint8_t *)(message + 1) + links_size(message));
    *extras = (struct extras){.header_bytes = (uint32_t)p->headers.bytes,
                              .group_bytes = (uint8_t)p->group.bytes,
                              .dedup_bytes = (uint8_t)p->dedup_id.bytes};
    uint8_t *out = (uint8_t *)(extras + 1);
    copy(out, p->group.data, p->group.bytes);
    copy(out + p->group.bytes, p->dedup_id.data, p->dedup_id.bytes);
    copy(out + p->group.bytes + p->dedup_id.bytes, p->headers.data, p->headers.bytes);
}

struct message *message_new(struct pool *pool, const struct publication *p, bool linked)
{
    assert(p->body.bytes <= UINT32_MAX && p->headers.bytes <= UINT32_MAX);
    assert(p->group.bytes <= UINT8_MAX && p->dedup_id.bytes <= UINT8_MAX);
    size_t extras_bytes = publication_extras(p);
    bool shares = publication_shares(p);
    size_t offset = sizeof(struct message) + extras_bytes + (linked ? sizeof(struct message_links) : 0);
    size_t bytes = offset + (shares ? sizeof(struct body *) : p->body.bytes);
    struct message *message = pool_take(pool, bytes);
    if (message == NULL)
        return NULL;
    uint8_t *place = (uint8_t *)message + offset;
    if (shares) {
        struct body *body = share_body(pool, p);
        if (body == NULL) {
            pool_give(pool, message, bytes);
            return NULL;
        }
        memcpy(place, &body, sizeof body);
    } else {
        copy(place, p->body.data, p->body.bytes);
    }
    *message = (struct message){
        .body_bytes = (uint32_t)p->body.bytes,
        .slot = MESSAGE_NO_SLOT,
        .priority = p->priority,
        .flags = (uint8_t)((extras_bytes > 0 ? MESSAGE_EXTRAS : 0u) | (shares ? MESSAGE_SHARED : 0u) |
                           (linked ? MESSAGE_LINKED : 0u)),
    };
    if (linked)
        *message_links(message) = (struct message_links){NULL, NULL, NULL};
    if (extras_bytes > 0)
        extras_put(message, p);
    return message;
}

void message_free_rich(struct pool *pool, struct message *message)
{
    struct body *shared = message_shared(message);
    size_t bytes = body_offset(message) + (shared != NULL ? sizeof shared : message->body_bytes);
    if (shared != NULL)
        body_unref(shared);
    pool_give(pool, message, bytes);
}

struct body *message_shared(const struct message *message)
{
    if ((message->flags & MESSAGE_SHARED) == 0)
        return NULL;
    struct body *body;
    memcpy(&body, body_place(message), sizeof body);
    return body;
}

struct view message_body_rich(const struct message *message)
{
    const struct body *shared = message_shared(message);
    return (struct view){shared != NULL ? shared->data : body_place(message), message->body_bytes};
}

struct message_texts message_texts(const struct message *message)
{
    const struct extras *extras = message_extras(message);
    if (!extras)
        return (struct message_texts){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const uint8_t *group = (const uint8_t *)(extras + 1), *dedup_id = group + extras->group_bytes;
    return (struct message_texts){
        .headers = {dedup_id + extras->dedup_bytes, extras->header_bytes},
        .group = {group, extras->group_bytes},
        .dedup_id = {dedup_id, extras->dedup_bytes},
    };
}

struct view message_group(const struct message *message)
{
    return message_texts(message).group;
}

struct view message_dedup_id(const struct message *message)
{
    return message_texts(message).dedup_id;
}

struct view message_headers(const struct message *message)
{
    return message_texts(message).headers;
}

void message_delivered(struct message *message, int64_t now_ms)
{
    uint64_t after = (uint64_t)(now_ms - message->published_ms) + 1; /* 0: never */
    message->attempts++;
    message->last_low = (uint32_t)after;
    message->last_high = (uint8_t)(after >> 32);
    if (message->first_low == 0 && message->first_high == 0) {
        message->first_low = message->last_low;
        message->first_high = message->last_high;
    }
}

void message_undelivered(struct message *message)
{
    if (--message->attempts == 0) {
        message->first_low = message->last_low = 0;
        message->first_high = message->last_high = 0;
    }
}

/* The moment as it is kept. A clock that was set back between two runs may have put it before the publishing. */
static uint64_t after_ms(const struct message *message, int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < message->published_ms ? 1 : (uint64_t)(ms - message->published_ms) + 1;
}

void message_set_deliveries(struct message *message, uint32_t attempts, int64_t first_ms, int64_t last_ms)
{
    uint64_t first = after_ms(message, first_ms), last = after_ms(message, last_ms);
    message->attempts = attempts;
    message->first_low = (uint32_t)first;
    message->first_high = (uint8_t)(first >> 32);
    message->last_low = (uint32_t)last;
    message->last_high = (uint8_t)(last >> 32);
}

/* The moment that is kept in 40 bits, or -1. */
static int64_t moment(const struct message *message, uint32_t low, uint8_t high)
{
    int64_t after = (int64_t)((uint64_t)high << 32 | low);
    return after > 0 ? message->published_ms + after - 1 : -1;
}

int64_t message_first_ms(const struct message *message)
{
    return moment(message, message->first_low, message->first_high);
}

int64_t message_last_ms(const struct message *message)
{
    return moment(message, message->last_low, message->last_high);
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

static size_t varint_bytes(uint64_t value)
{
    size_t bytes = 1;
    for (; value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

static uint8_t *varint_put(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static uint8_t *view_put(uint8_t *out, struct view view)
{
    out = varint_put(out, view.bytes);
    copy(out, view.data, view.bytes);
    return out + view.bytes;
}

/* The next `bytes` bytes of `rest`, which must have them. */
static const uint8_t *take(struct view *rest, size_t bytes)
{
    assert(bytes <= rest->bytes);
    const uint8_t *data = rest->data;
    rest->data = data + bytes;
    rest->bytes -= bytes;
    return data;
}

static uint64_t take_varint(struct view *rest)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert(shift < 64);
        uint8_t byte = *take(rest, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static struct view take_view(struct view *rest)
{
    size_t bytes = (size_t)take_varint(rest);
    return (struct view){take(rest, bytes), bytes};
}

size_t header_bytes(const struct header *h)
{
    size_t bytes = 1 + varint_bytes(h->key.bytes) + h->key.bytes;
    switch (h->kind) {
    case HEADER_NIL:
    case HEADER_FALSE:
    case HEADER_TRUE:
        break;
    case HEADER_UINT:
        bytes += varint_bytes(h->number);
        break;
    case HEADER_INT:
        bytes += varint_bytes(~h->number);
        break;
    case HEADER_FLOAT:
    case HEADER_DOUBLE:
        bytes += sizeof h->number;
        break;
    case HEADER_TEXT:
    case HEADER_BYTES:
        bytes += varint_bytes(h->bytes.bytes) + h->bytes.bytes;
        break;
    }
    return bytes;
}

uint8_t *header_put(uint8_t *out, const struct header *h)
{
    *out++ = (uint8_t)h->kind;
    out = view_put(out, h->key);
    switch (h->kind) {
    case HEADER_NIL:
    case HEADER_FALSE:
    case HEADER_TRUE:
        break;
    case HEADER_UINT:
        out = varint_put(out, h->number);
        break;
    case HEADER_INT:
        out = varint_put(out, ~h->number);
        break;
    case HEADER_FLOAT:
    case HEADER_DOUBLE:
        memcpy(out, &h->number, sizeof h->number);
        out += sizeof h->number;
        break;
    case HEADER_TEXT:
    case HEADER_BYTES:
        out = view_put(out, h->bytes);
        break;
    }
    return out;
}

bool header_next(struct view *rest, struct header *out)
{
    if (rest->bytes == 0)
        return false;
    uint8_t kind = *take(rest, 1);
    assert(kind <= HEADER_BYTES);
    *out = (struct header){.kind = (enum header_kind)kind};
    out->key = take_view(rest);
    switch (out->kind) {
    case HEADER_NIL:
    case HEADER_FALSE:
    case HEADER_TRUE:
        break;
    case HEADER_UINT:
        out->number = take_varint(rest);
        break;
    case HEADER_INT:
        out->number = ~take_varint(rest);
        break;
    case HEADER_FLOAT:
    case HEADER_DOUBLE:
        memcpy(&out->number, take(rest, sizeof out->number), sizeof out->number);
        break;
    case HEADER_TEXT:
    case HEADER_BYTES:
        out->bytes = take_view(rest);
        break;
    }
    return true;
}
