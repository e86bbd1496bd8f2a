/*
 * fuzz_decoder: the decoder against itself and against msgpack-c's own unpacker.
 *
 * The first bytes of the input choose the largest value, what becomes of long texts, and the cuts; the rest is the
 * wire. It is fed whole and in pieces, each piece in memory of exactly its size that is freed once it was taken. Both
 * must give the same values, the same refusal, and take the same bytes. What msgpack-c says about the same bytes must
 * agree, where none of our limits speaks first. Meanwhile the decoder's memory is bounded by what has arrived, and each
 * owner of a long text is given back exactly once.
 *
 * The decoder is compiled here with limits that short inputs can reach.
 */
#include "protocol/limits.h"
#undef LIMIT_INLINE_BYTES
#undef LIMIT_NODES
#define LIMIT_INLINE_BYTES 24
#define LIMIT_NODES        100

/* Longer than any input: what only claims to be that long is skipped, as a server does. */
#define LONGEST_STORED (1 << 20)

#include "protocol/buffer.h"
#include "protocol/decoder.c"
#include "tests/support/decoded.h"

#include <math.h>
#include <stdio.h>

#define require(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* --- one run over the wire ---------------------------------------------------------------------------------------- */

enum long_texts { STORED, SKIPPED, ALTERNATING, NO_HOOKS };

/* What the input chose. */
struct choice {
    uint64_t max_value_bytes;
    enum long_texts long_texts;
    uint64_t cuts; /* random state; 0: whole */
};

/* How the bytes went, in a form that can be compared. */
struct outcome {
    struct buffer values;
    size_t taken;
    enum decoder_result last;
    enum decoder_refusal refusal;
    uint64_t begun_bytes; /* of a value that is not complete */
};

struct run {
    const struct choice *choice;
    uint32_t asked;
    int owners;
};

static enum error_code on_stream(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    struct run *run = user;
    require(bytes > LIMIT_INLINE_BYTES && d->node_count < LIMIT_NODES);
    run->asked++;
    if (bytes > LONGEST_STORED)
        return ERR_TOO_LARGE;
    if (run->choice->long_texts == SKIPPED || (run->choice->long_texts == ALTERNATING && run->asked % 2))
        return ERR_MEMORY_LIMIT;
    out->owner = out->data = malloc(bytes);
    require(out->owner);
    run->owners++;
    return ERR_NONE;
}

static void on_release(void *user, void *owner)
{
    struct run *run = user;
    run->owners--;
    free(owner);
}

/* xorshift: 1 .. 16, now and then up to 4096. */
static size_t next_piece(uint64_t *random)
{
    uint64_t x = *random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *random = x;
    return 1 + (size_t)((x >> 20) % (x % 8 ? 16 : 4096));
}

static void check_memory(const struct decoder *d, size_t input_bytes)
{
    uint64_t arrived = d->value_bytes + input_bytes;
    require(decoder_memory(d) <= sizeof(struct decoder_impl) + 3 * KEPT_BYTES + 80 * arrived);
}

static void check_value(struct run *run, struct decoder *d, struct buffer *values)
{
    require(d->value_bytes <= run->choice->max_value_bytes);
    require(d->too_many_nodes ? d->node_count == LIMIT_NODES : decoded_well_formed(d));
    for (uint32_t i = 0; i < d->node_count; i++) {
        const struct node *n = &d->nodes[i];
        require(decoder_skip(d, i) > i && decoder_skip(d, i) <= d->node_count);
        if (n->flags & (NODE_STREAMED | NODE_SKIPPED))
            require(n->count > LIMIT_INLINE_BYTES);
        if (n->flags & NODE_SKIPPED)
            require(n->value.uint > ERR_NONE && n->value.uint < ERR_COUNT);
    }
    /* A long text may be skipped in one run and come whole in the other. */
    decoded_put(values, d, LIMIT_INLINE_BYTES);
    for (uint32_t i = 0; i < d->node_count; i++) {
        const struct node *n = &d->nodes[i];
        if (n->count <= LIMIT_INLINE_BYTES || (n->type != NODE_STR && n->type != NODE_BIN))
            continue;
        if (run->choice->long_texts == STORED)
            buffer_append(values, decoder_bytes(d, n), n->count);
        void *owner = i % 2 ? decoder_take(d, n) : NULL;
        if (owner)
            on_release(run, owner);
    }
}

static void feed(const struct choice *choice, const uint8_t *wire, size_t bytes, struct outcome *out)
{
    struct run run = {.choice = choice};
    const struct decoder_hooks hooks = {on_stream, on_release, &run};
    struct decoder *d = decoder_new(choice->max_value_bytes, choice->long_texts == NO_HOOKS ? NULL : &hooks);
    uint64_t random = choice->cuts;

    require(d);
    *out = (struct outcome){.last = DECODER_NEED_MORE};
    buffer_init(&out->values, NULL);
    while (out->taken < bytes && out->last != DECODER_REFUSED) {
        size_t left = bytes - out->taken;
        size_t piece = choice->cuts ? next_piece(&random) : left;
        size_t used;
        if (piece > left)
            piece = left;
        uint8_t *copy = malloc(piece);
        require(copy);
        memcpy(copy, wire + out->taken, piece);

        out->last = decoder_feed(d, copy, piece, &used);
        require(used <= piece && (out->last != DECODER_NEED_MORE || used == piece));
        require(out->last != DECODER_READY || used > 0);
        check_memory(d, piece);
        out->taken += used;
        if (out->last == DECODER_READY) {
            check_value(&run, d, &out->values);
            decoder_next(d);
            require(decoder_idle(d) && run.owners == 0);
        }
        free(copy);
    }
    out->refusal = d->refusal;
    out->begun_bytes = d->value_bytes;
    decoder_free(d);
    require(run.owners == 0);
}

/* --- msgpack-c's unpacker on the same bytes ---------------------------------------------------------------------- */

static void compare_text(const struct decoder *d, const struct node *n, enum node_type type, const char *text,
                         uint32_t bytes)
{
    require(n->type == type && n->count == bytes);
    if (bytes > 0)
        require(memcmp(decoder_bytes(d, n), text, bytes) == 0);
}

/* Compares what was kept of the value at `index`; returns the index behind it. */
static uint32_t compare(const struct decoder *d, uint32_t index, const msgpack_object *o)
{
    if (index >= d->node_count) {
        require(d->too_many_nodes);
        return index;
    }
    const struct node *n = &d->nodes[index];
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        require(n->type == NODE_NIL);
        return index + 1;
    case MSGPACK_OBJECT_BOOLEAN:
        require(n->type == NODE_BOOL && n->value.uint == o->via.boolean);
        return index + 1;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        require(n->type == NODE_UINT && n->value.uint == o->via.u64);
        return index + 1;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        require(n->type == NODE_INT && n->value.sint == o->via.i64);
        return index + 1;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        require(n->type == NODE_FLOAT && !(n->flags & NODE_FLOAT32) == (o->type == MSGPACK_OBJECT_FLOAT64));
        require(memcmp(&n->value.real, &o->via.f64, sizeof(double)) == 0);
        return index + 1;
    case MSGPACK_OBJECT_STR:
        compare_text(d, n, NODE_STR, o->via.str.ptr, o->via.str.size);
        return index + 1;
    case MSGPACK_OBJECT_BIN:
        compare_text(d, n, NODE_BIN, o->via.bin.ptr, o->via.bin.size);
        return index + 1;
    case MSGPACK_OBJECT_EXT:
        require(n->type == NODE_EXT && n->count == o->via.ext.size + 1);
        require((int8_t)decoder_bytes(d, n)[0] == o->via.ext.type);
        require(o->via.ext.size == 0 || memcmp(decoder_bytes(d, n) + 1, o->via.ext.ptr, o->via.ext.size) == 0);
        return index + 1;
    case MSGPACK_OBJECT_ARRAY:
        require(n->type == NODE_ARRAY && n->count == o->via.array.size);
        index++;
        for (uint32_t i = 0; i < o->via.array.size; i++)
            index = compare(d, index, &o->via.array.ptr[i]);
        return index;
    case MSGPACK_OBJECT_MAP:
        require(n->type == NODE_MAP && n->count == o->via.map.size);
        index++;
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            index = compare(d, index, &o->via.map.ptr[i].key);
            index = compare(d, index, &o->via.map.ptr[i].val);
        }
        return index;
    }
    require(false);
    return 0;
}

/* Each value of the wire, whole, against msgpack-c. Where the decoder refuses a claim, msgpack-c is not asked. */
static void feed_beside_msgpack(const struct choice *choice, const uint8_t *wire, size_t bytes)
{
    struct decoder *d = decoder_new(choice->max_value_bytes, NULL);
    enum decoder_result result = DECODER_READY;
    msgpack_unpacked unpacked;

    require(d);
    msgpack_unpacked_init(&unpacked);
    for (size_t at = 0; at < bytes && result == DECODER_READY;) {
        size_t used;
        size_t off = at;
        result = decoder_feed(d, wire + at, bytes - at, &used);
        if (result == DECODER_REFUSED && d->refusal != DECODER_NOT_MSGPACK)
            break;
        const msgpack_unpack_return said = msgpack_unpack_next(&unpacked, (const char *)wire, bytes, &off);
        if (result == DECODER_NEED_MORE)
            require(said == MSGPACK_UNPACK_CONTINUE);
        if (result == DECODER_REFUSED)
            require(said == MSGPACK_UNPACK_PARSE_ERROR);
        if (result == DECODER_READY) {
            require(said == MSGPACK_UNPACK_SUCCESS && off == at + used);
            require(compare(d, 0, &unpacked.data) == d->node_count);
            decoder_next(d);
        }
        at += used;
    }
    msgpack_unpacked_destroy(&unpacked);
    decoder_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint64_t largest[] = {1, 30, 200, 1000, 4096, 65536, 1 << 20, UINT32_MAX};
    struct outcome whole;
    struct outcome cut;

    if (bytes < 3)
        return 0;
    struct choice choice = {
        .max_value_bytes = largest[data[0] % 8],
        .long_texts = (enum long_texts)(data[0] / 8 % 4),
    };
    const uint64_t seed = (uint64_t)data[1] << 8 | data[2];
    data += 3;
    bytes -= 3;

    feed(&choice, data, bytes, &whole);
    for (uint64_t i = 1; i <= 3; i++) {
        choice.cuts = seed * 4 + i;
        feed(&choice, data, bytes, &cut);
        require(cut.last == whole.last && cut.refusal == whole.refusal);
        require(cut.values.bytes == whole.values.bytes);
        if (cut.values.bytes > 0)
            require(memcmp(cut.values.data, whole.values.data, cut.values.bytes) == 0);
        if (cut.last != DECODER_REFUSED)
            require(cut.taken == whole.taken && cut.begun_bytes == whole.begun_bytes);
        buffer_close(&cut.values);
    }
    buffer_close(&whole.values);
    /* A claim of up to 4 GiB is within the largest of the limits, but more than msgpack-c should be trusted with. */
    if (choice.max_value_bytes <= 65536)
        feed_beside_msgpack(&choice, data, bytes);
    return 0;
}
