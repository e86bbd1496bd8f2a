#include "tests/support/decoded.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void put_number(struct buffer *out, uint64_t v)
{
    buffer_append(out, &v, sizeof v);
}

void decoded_put(struct buffer *out, const struct decoder *d, uint32_t text_max)
{
    put_number(out, d->node_count);
    put_number(out, d->too_many_nodes);
    put_number(out, d->value_bytes);
    for (uint32_t i = 0; i < d->node_count; i++) {
        const struct node *n = &d->nodes[i];
        put_number(out, n->type);
        put_number(out, n->flags & NODE_FLOAT32);
        put_number(out, n->count);
        if (n->type != NODE_STR && n->type != NODE_BIN && n->type != NODE_EXT)
            put_number(out, n->value.uint);
        else if (n->count <= text_max)
            buffer_append(out, decoder_bytes(d, n), n->count);
    }
    assert(!out->failed);
}

/* The node after the container or single node at `index`, or UINT32_MAX if an end is wrong. */
static uint32_t end_of(const struct decoder *d, uint32_t index)
{
    if (index >= d->node_count)
        return UINT32_MAX;
    const struct node *n = &d->nodes[index];
    uint64_t elements = n->type == NODE_ARRAY ? n->count : n->type == NODE_MAP ? 2 * (uint64_t)n->count : 0;
    uint32_t at = index + 1;
    for (uint64_t i = 0; i < elements && at != UINT32_MAX; i++)
        at = end_of(d, at);
    return at == decoder_skip(d, index) ? at : UINT32_MAX;
}

bool decoded_well_formed(const struct decoder *d)
{
    return end_of(d, 0) == d->node_count;
}

enum decoder_result decoded_feed(struct decoder *d, const uint8_t *input, size_t bytes, const size_t *cuts,
                                 size_t cut_count, size_t *used, uint8_t **piece)
{
    enum decoder_result result = DECODER_NEED_MORE;
    size_t from = 0;

    *used = 0;
    *piece = NULL;
    for (size_t i = 0; i <= cut_count && result == DECODER_NEED_MORE; i++) {
        size_t to = i < cut_count ? cuts[i] : bytes;
        size_t part;
        assert(from <= to && to <= bytes);
        free(*piece);
        /* Exactly as long as the piece, so that a read beyond it is seen. */
        *piece = malloc(to > from ? to - from : 1);
        assert(*piece);
        memcpy(*piece, input + from, to - from);
        result = decoder_feed(d, *piece, to - from, &part);
        *used = from + part;
        assert(part <= to - from && (result != DECODER_NEED_MORE || part == to - from));
        if (result == DECODER_NEED_MORE)
            memset(*piece, 0xc1, to - from);
        from = to;
    }
    return result;
}
