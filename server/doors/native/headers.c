#include "server/doors/native/headers.h"

#include "protocol/limits.h"
#include "protocol/utf8.h"

#include <assert.h>
#include <string.h>

/* ---- from the wire ----------------------------------------------------------------------------------------------- */

static bool read_text(const struct decoder *d, const struct node *n, struct view *out)
{
    if ((n->type != NODE_STR && n->type != NODE_BIN) || (n->flags & NODE_SKIPPED))
        return false;
    *out = (struct view){decoder_bytes(d, n), n->count};
    return true;
}

bool scalar_read(const struct decoder *d, const struct node *n, struct header *out)
{
    switch ((enum node_type)n->type) {
    case NODE_NIL:
        out->kind = HEADER_NIL;
        return true;
    case NODE_BOOL:
        out->kind = n->value.uint ? HEADER_TRUE : HEADER_FALSE;
        return true;
    case NODE_UINT:
    case NODE_INT:
        out->kind = n->type == NODE_UINT ? HEADER_UINT : HEADER_INT;
        out->number = n->value.uint;
        return true;
    case NODE_FLOAT:
        out->kind = n->flags & NODE_FLOAT32 ? HEADER_FLOAT : HEADER_DOUBLE;
        memcpy(&out->number, &n->value.real, sizeof out->number);
        return true;
    case NODE_STR:
    case NODE_BIN:
        if (!read_text(d, n, &out->bytes))
            return false;
        out->kind = n->type == NODE_STR && utf8_is_text(out->bytes.data, out->bytes.bytes) ? HEADER_TEXT : HEADER_BYTES;
        return true;
    case NODE_EXT:
    case NODE_ARRAY:
    case NODE_MAP:
        break;
    }
    return false;
}

enum error_code headers_read(const struct decoder *d, uint32_t node, struct arena *arena, struct view *out)
{
    struct header headers[LIMIT_HEADERS];
    const uint32_t count = d->nodes[node].count;
    size_t wire_bytes = 0, flat_bytes = 0;

    if (count > LIMIT_HEADERS)
        return ERR_BAD_REQUEST;
    for (uint32_t i = 0; i < count; i++) {
        /* Keys and values are scalars, or the loop ends here: each is one node. */
        const struct node *pair = &d->nodes[node + 1 + 2 * i];
        headers[i] = (struct header){0};
        if (!read_text(d, &pair[0], &headers[i].key) || !utf8_is_text(headers[i].key.data, headers[i].key.bytes) ||
            !scalar_read(d, &pair[1], &headers[i]))
            return ERR_BAD_REQUEST;
        wire_bytes += headers[i].key.bytes + headers[i].bytes.bytes;
        flat_bytes += header_bytes(&headers[i]);
    }
    if (wire_bytes > LIMIT_HEADER_BYTES)
        return ERR_BAD_REQUEST;
    *out = (struct view){NULL, 0};
    if (count == 0)
        return ERR_NONE;
    uint8_t *flat = arena_take(arena, flat_bytes);
    if (flat == NULL)
        return ERR_MEMORY_LIMIT;
    *out = (struct view){flat, flat_bytes};
    for (uint32_t i = 0; i < count; i++)
        flat = header_put(flat, &headers[i]);
    return ERR_NONE;
}

/* ---- to the wire ------------------------------------------------------------------------------------------------- */

void encode_scalar(struct buffer *out, const struct header *h)
{
    double real;

    memcpy(&real, &h->number, sizeof real);
    switch (h->kind) {
    case HEADER_NIL:
        encode_nil(out);
        break;
    case HEADER_FALSE:
    case HEADER_TRUE:
        encode_bool(out, h->kind == HEADER_TRUE);
        break;
    case HEADER_UINT:
        encode_uint(out, h->number);
        break;
    case HEADER_INT:
        encode_int(out, (int64_t)h->number);
        break;
    case HEADER_FLOAT:
        encode_float(out, (float)real);
        break;
    case HEADER_DOUBLE:
        encode_double(out, real);
        break;
    case HEADER_TEXT:
        encode_str(out, h->bytes.data, h->bytes.bytes);
        break;
    case HEADER_BYTES:
        encode_bin(out, h->bytes.data, h->bytes.bytes);
        break;
    }
}

static void encode_headers(struct buffer *out, struct view headers)
{
    struct view rest = headers;
    struct header h;
    uint32_t count = 0;

    while (header_next(&rest, &h))
        count++;
    encode_map(out, count);
    while (header_next(&headers, &h)) {
        encode_str(out, h.key.data, h.key.bytes);
        encode_scalar(out, &h);
    }
}

uint32_t extras_count(const struct message *message)
{
    const struct message_texts texts = message_texts(message);

    return 0u + (message->priority > 0) + (texts.headers.bytes > 0) + (texts.group.bytes > 0) +
           (texts.dedup_id.bytes > 0);
}

static inline void encode_group(struct buffer *out, struct view group)
{
    static const char key[] = "\xa5group"; /* with its head */
    uint8_t *at = buffer_reserve(out, sizeof key + ENCODER_HEADER_BYTES + group.bytes);

    if (at == NULL)
        return;
    encoder_store(&at, key, sizeof key - 1);
    encoder_pack_str(&at, group.bytes);
    encoder_store(&at, group.data, group.bytes);
    encoder_commit(out, at);
}

void encode_extras(struct buffer *out, const struct message *message)
{
    const struct message_texts texts = message_texts(message);

    if (texts.headers.bytes > 0) {
        encode_text(out, "headers");
        encode_headers(out, texts.headers);
    }
    if (texts.group.bytes > 0)
        encode_group(out, texts.group);
    if (message->priority > 0) {
        encode_text(out, "priority");
        encode_uint(out, message->priority);
    }
    if (texts.dedup_id.bytes > 0) {
        encode_text(out, "dedup_id");
        if (utf8_is_text(texts.dedup_id.data, texts.dedup_id.bytes))
            encode_str(out, texts.dedup_id.data, texts.dedup_id.bytes);
        else
            encode_bin(out, texts.dedup_id.data, texts.dedup_id.bytes);
    }
}
