#include "server/doors/native/deliveries.h"

#include "protocol/encoder.h"
#include "server/doors/native/headers.h"

/* At most: heads of the delivery and of its body, receipt, id and attempts. */
#define DELIVERY_BYTES (1 + 9 + 9 + 5 + 5)

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

/* One growth for the whole batch instead of many; headers and groups are rare and grow it as they come. */
static void reserve(struct buffer *out, const struct broker *b, uint32_t first, uint32_t count)
{
    size_t bytes = 5;

    for (uint32_t left = count, i = first; left > 0; left--) {
        const struct message *m = b->deliveries[i].message;
        bytes += DELIVERY_BYTES + (m->flags & MESSAGE_SHARED ? 0 : m->body_bytes);
        i = b->deliveries[i].next;
    }
    (void)buffer_reserve(out, bytes);
}

static void encode_delivery(struct buffer *out, const struct message *m, uint64_t receipt)
{
    const uint32_t extras = extras_count(m);

    encode_array(out, extras > 0 ? 5 : 4);
    encode_uint(out, receipt);
    encode_uint(out, m->id);
    encode_uint(out, m->attempts);
    encode_body(out, m);
    if (extras > 0) {
        encode_map(out, extras);
        encode_extras(out, m);
    }
}

void session_deliver(struct session *session, uint32_t first, uint32_t count, bool auto_ack)
{
    const struct broker *b = session->door->broker;
    struct owed_store *store = &session->door->scratch->owed;
    struct buffer *out = session->out;
    /* The buffer's own sums begin somewhere in the stream; while it only grows, the distance stays the same. */
    const uint64_t distance = session_stream_bytes(session) - out->bytes - out->spliced_bytes;

    reserve(out, b, first, count);
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
