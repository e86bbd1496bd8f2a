#include "server/doors/native/deliveries.h"

#include "protocol/encoder.h"
#include "server/doors/native/headers.h"

/* At most: heads of the delivery and of its body, receipt, id and attempts. */
#define DELIVERY_BYTES (2 * ENCODER_HEADER_BYTES + 3 * ENCODER_NUMBER_BYTES)

/* What is reserved for a batch on trust. */
#define RESERVED_BYTES ((size_t)256 * 1024)

void encode_body(struct buffer *out, const struct message *message)
{
    const struct view body = message_body(message);
    struct body *shared = message_shared(message);

    if (shared == NULL) {
        encode_bin(out, body.data, body.bytes);
        return;
    }
    encode_bin_header(out, (uint32_t)body.bytes);
    buffer_splice(out, body.data, body.bytes, body_ref(shared));
}

/* All that stands before the body's bytes; at most DELIVERY_BYTES. */
static inline uint8_t *store_heads(uint8_t *at, const struct message *m, uint64_t receipt, uint32_t elements)
{
    at = store_array(at, elements);
    at = store_uint(at, receipt);
    at = store_uint(at, m->id);
    at = store_uint(at, m->attempts);
    return store_bin_header(at, m->body_bytes);
}

/* A message with headers, a group or a body that is referenced. */
static void encode_rich(struct buffer *out, const struct message *m, uint64_t receipt)
{
    const uint32_t extras = extras_count(m);
    const struct view body = message_body(m);
    struct body *shared = message_shared(m);
    uint8_t *at = buffer_reserve(out, DELIVERY_BYTES + (shared == NULL ? body.bytes : 0));

    if (at == NULL)
        return;
    at = store_heads(at, m, receipt, extras > 0 ? 5 : 4);
    if (shared == NULL)
        encoder_store(&at, body.data, body.bytes);
    encoder_commit(out, at);
    if (shared != NULL)
        buffer_splice(out, body.data, body.bytes, body_ref(shared));
    if (extras > 0) {
        encode_map(out, extras);
        encode_extras(out, m);
    }
}

static inline void encode_delivery(struct buffer *out, const struct message *m, uint64_t receipt)
{
    if (!message_is_bare(m)) {
        encode_rich(out, m, receipt);
        return;
    }
    uint8_t *at = buffer_reserve(out, DELIVERY_BYTES + m->body_bytes);
    if (at == NULL)
        return;
    at = store_heads(at, m, receipt, 4);
    encoder_store(&at, m + 1, m->body_bytes);
    encoder_commit(out, at);
}

/* One growth instead of many: for as many messages like the first one, if that is not much. */
static void reserve(struct buffer *out, uint32_t count, const struct message *like)
{
    const size_t bytes = count * (DELIVERY_BYTES + (like->flags & MESSAGE_SHARED ? 0 : (size_t)like->body_bytes));

    if (bytes <= RESERVED_BYTES)
        (void)buffer_reserve(out, bytes);
}

void session_deliver(struct session *session, uint32_t first, uint32_t count, bool auto_ack)
{
    const struct broker *b = session->door->broker;
    struct owed_store *store = &session->door->scratch->owed;
    struct buffer *out = session->out;
    /* The buffer's own sums begin somewhere in the stream; while it only grows, the distance stays the same. */
    const uint64_t distance = session_stream_bytes(session) - out->bytes - out->spliced_bytes;

    if (count > 1)
        reserve(out, count, b->deliveries[first].message);
    encode_array(out, count);
    for (uint32_t i = first; count > 0; count--) {
        const struct delivery *delivery = &b->deliveries[i];
        encode_delivery(out, delivery->message, delivery->receipt);
        const uint64_t end_bytes = distance + out->bytes + out->spliced_bytes;
        if (!owed_push(&session->owed, store, end_bytes, delivery->receipt, auto_ack))
            out->failed = true;
        i = delivery->next;
    }
}
