/*
 * decoder: texts that are too long to be buffered. They go straight to the memory that the hooks name, or nowhere, and
 * each owner is given back exactly once unless it was taken.
 */
#include "protocol/decoder.h"
#include "protocol/encoder.h"
#include "protocol/limits.h"
#include "tests/support/decoded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_VALUE_BYTES 2000000
#define LONG_BYTES      (LIMIT_INLINE_BYTES + 1)

/* What the hooks do and what became of it. */
struct hooks {
    enum error_code skip_reason; /* ERR_NONE: store */
    int begun;
    int released;
    uint32_t nodes_before; /* that stood before the last text */
    uint32_t bytes;        /* of the last text */
};

static enum error_code stream_begin(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    struct hooks *h = user;
    h->begun++;
    h->nodes_before = d->node_count;
    h->bytes = bytes;
    if (h->skip_reason != ERR_NONE)
        return h->skip_reason;
    out->owner = out->data = malloc(bytes);
    assert_non_null(out->data);
    return ERR_NONE;
}

static void stream_release(void *user, void *owner)
{
    struct hooks *h = user;
    h->released++;
    free(owner);
}

static struct decoder *decoder_with(struct hooks *h)
{
    const struct decoder_hooks hooks = {stream_begin, stream_release, h};
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, &hooks);
    assert_non_null(d);
    return d;
}

static uint8_t *long_text(size_t bytes)
{
    uint8_t *text = malloc(bytes);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)(i * 13 + i / 256);
    return text;
}

/* [7, 'head', text, 'tail'], or without its tail, and one more byte that belongs to the next value. */
static void put_sample(struct buffer *b, enum node_type type, const uint8_t *text, uint32_t bytes, bool with_tail)
{
    buffer_init(b, NULL);
    encode_array(b, with_tail ? 4 : 3);
    encode_uint(b, 7);
    encode_text(b, "head");
    if (type == NODE_STR)
        encode_str(b, text, bytes);
    else
        encode_bin(b, text, bytes);
    if (with_tail)
        encode_text(b, "tail");
    encode_nil(b);
    assert_false(b->failed);
}

/* What the sample's nodes are, whether its text was streamed or not. */
static void check_sample(const struct decoder *d, enum node_type type, const uint8_t *text, uint32_t bytes,
                         bool with_tail)
{
    assert_int_equal(d->node_count, with_tail ? 5 : 4);
    assert_true(decoded_well_formed(d));
    assert_int_equal(d->nodes[1].value.uint, 7);
    assert_memory_equal(decoder_bytes(d, &d->nodes[2]), "head", 4);
    assert_int_equal(d->nodes[3].type, type);
    assert_int_equal(d->nodes[3].count, bytes);
    if (!(d->nodes[3].flags & NODE_SKIPPED))
        assert_memory_equal(decoder_bytes(d, &d->nodes[3]), text, bytes);
    if (with_tail)
        assert_memory_equal(decoder_bytes(d, &d->nodes[4]), "tail", 4);
}

/*
 * The sample in two pieces, cut everywhere near the ends of its items and here and there in the text: it comes out the
 * same, streamed if its header came before its last byte.
 */
static void check_all_cuts(enum node_type type, bool with_tail)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct buffer b;

    put_sample(&b, type, text, LONG_BYTES, with_tail);
    const size_t text_at = 1 + 1 + 5 + 5;
    for (size_t cut = 0; cut <= b.bytes; cut += cut < 40 || cut + 40 > b.bytes ? 1 : 997) {
        struct hooks h = {0};
        struct decoder *d = decoder_with(&h);
        uint8_t *piece;
        size_t used;

        assert_int_equal(decoded_feed(d, b.data, b.bytes, &cut, 1, &used, &piece), DECODER_READY);
        assert_int_equal(used, b.bytes - 1);
        assert_int_equal(d->value_bytes, b.bytes - 1);
        check_sample(d, type, text, LONG_BYTES, with_tail);
        if (cut >= text_at && cut < text_at + LONG_BYTES) {
            assert_int_equal(d->nodes[3].flags, NODE_STREAMED);
            assert_int_equal(h.begun, 1);
            assert_int_equal(h.nodes_before, 3);
            assert_int_equal(h.bytes, LONG_BYTES);
        } else if (cut == 0 || cut > b.bytes - 2) {
            assert_int_equal(d->nodes[3].flags, 0);
        }
        decoder_next(d);
        assert_int_equal(h.released, h.begun);
        decoder_free(d);
        assert_int_equal(h.released, h.begun);
        free(piece);
    }
    free(text);
    buffer_close(&b);
}

/* A long text within a value is streamed if it comes in pieces, and nothing of what follows it is lost. */
static void test_a_text_within_a_value(void **state)
{
    (void)state;
    check_all_cuts(NODE_BIN, true);
    check_all_cuts(NODE_STR, true);
}

/* A long text with which the value ends is the last byte that is taken. */
static void test_a_text_that_ends_the_value(void **state)
{
    (void)state;
    check_all_cuts(NODE_BIN, false);
    check_all_cuts(NODE_STR, false);
}

/* A value that is nothing but a long text is streamed, also a byte at a time. */
static void test_a_text_that_is_the_value(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    enum decoder_result result = DECODER_NEED_MORE;
    struct buffer b;
    size_t used;

    (void)state;
    buffer_init(&b, NULL);
    encode_bin(&b, text, LONG_BYTES);
    for (size_t i = 0; i < b.bytes; i++) {
        assert_int_equal(result, DECODER_NEED_MORE);
        assert_int_equal(d->value_bytes, i);
        result = decoder_feed(d, b.data + i, 1, &used);
        assert_int_equal(used, 1);
    }
    assert_int_equal(result, DECODER_READY);
    assert_int_equal(d->node_count, 1);
    assert_int_equal(d->nodes[0].flags, NODE_STREAMED);
    assert_memory_equal(decoder_bytes(d, d->nodes), text, LONG_BYTES);
    decoder_free(d);
    assert_int_equal(h.released, 1);
    buffer_close(&b);
    free(text);
}

/* A text of LIMIT_INLINE_BYTES is not streamed, however it comes. */
static void test_a_text_at_the_limit_is_kept(void **state)
{
    uint8_t *text = long_text(LIMIT_INLINE_BYTES);
    struct buffer b;

    (void)state;
    put_sample(&b, NODE_BIN, text, LIMIT_INLINE_BYTES, true);
    for (size_t cut = 0; cut <= b.bytes; cut += 4999) {
        struct hooks h = {0};
        struct decoder *d = decoder_with(&h);
        uint8_t *piece;
        size_t used;
        assert_int_equal(decoded_feed(d, b.data, b.bytes, &cut, 1, &used, &piece), DECODER_READY);
        check_sample(d, NODE_BIN, text, LIMIT_INLINE_BYTES, true);
        assert_int_equal(d->nodes[3].flags, 0);
        assert_int_equal(h.begun, 0);
        decoder_free(d);
        free(piece);
    }
    free(text);
    buffer_close(&b);
}

/* Feeds the sample in two pieces, cut inside its text. */
static void feed_cut(struct decoder *d, const struct buffer *b)
{
    size_t used;
    assert_int_equal(decoder_feed(d, b->data, 1000, &used), DECODER_NEED_MORE);
    assert_int_equal(used, 1000);
    assert_int_equal(decoder_feed(d, b->data + 1000, b->bytes - 1000, &used), DECODER_READY);
    assert_int_equal(used, b->bytes - 1000 - 1);
}

/* An owner that was taken belongs to the taker: it is given out once and not released. */
static void test_a_taken_owner_is_not_released(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    struct buffer b;

    (void)state;
    put_sample(&b, NODE_BIN, text, LONG_BYTES, true);
    feed_cut(d, &b);
    uint8_t *owner = decoder_take(d, &d->nodes[3]);
    assert_non_null(owner);
    assert_null(decoder_take(d, &d->nodes[3]));
    assert_null(decoder_take(d, &d->nodes[2]));
    assert_ptr_equal(decoder_bytes(d, &d->nodes[3]), owner);
    decoder_next(d);
    decoder_free(d);
    assert_int_equal(h.released, 0);
    assert_memory_equal(owner, text, LONG_BYTES);
    free(owner);
    free(text);
    buffer_close(&b);
}

/* What the hooks do not want is skipped for the reason that they gave, and takes no memory. */
static void test_a_text_is_skipped_with_a_reason(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {.skip_reason = ERR_MEMORY_LIMIT};
    struct decoder *d = decoder_with(&h);
    struct buffer b;

    (void)state;
    put_sample(&b, NODE_STR, text, LONG_BYTES, true);
    feed_cut(d, &b);
    check_sample(d, NODE_STR, text, LONG_BYTES, true);
    assert_int_equal(d->nodes[3].flags, NODE_SKIPPED);
    assert_int_equal(d->nodes[3].value.uint, ERR_MEMORY_LIMIT);
    assert_null(decoder_take(d, &d->nodes[3]));
    assert_in_range(decoder_memory(d), 0, 4096);
    decoder_free(d);
    assert_int_equal(h.released, 0);
    free(text);
    buffer_close(&b);
}

/* Without hooks everything that would be streamed is skipped as too large. */
static void test_without_hooks_a_text_is_too_large(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    struct buffer b;

    (void)state;
    put_sample(&b, NODE_BIN, text, LONG_BYTES, true);
    feed_cut(d, &b);
    check_sample(d, NODE_BIN, text, LONG_BYTES, true);
    assert_int_equal(d->nodes[3].flags, NODE_SKIPPED);
    assert_int_equal(d->nodes[3].value.uint, ERR_TOO_LARGE);
    decoder_free(d);
    free(text);
    buffer_close(&b);
}

/* A long ext value is skipped without asking: no request can have one. */
static void test_a_long_ext_value_is_skipped(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    size_t used;

    (void)state;
    assert_int_equal(decoder_feed(d, "\x92\xc9\x00\x01\x00\x00\x05", 7, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, text, LONG_BYTES - 1, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, "\x09\x01", 2, &used), DECODER_READY);
    assert_int_equal(used, 1);
    assert_int_equal(d->nodes[1].type, NODE_EXT);
    assert_int_equal(d->nodes[1].count, LONG_BYTES);
    assert_int_equal(d->nodes[1].flags, NODE_SKIPPED);
    assert_int_equal(d->nodes[1].value.uint, ERR_BAD_REQUEST);
    assert_int_equal(d->nodes[2].value.uint, 9);
    assert_int_equal(h.begun, 0);
    decoder_free(d);
    free(text);
}

/* Several long texts in one value each have their own owner, whichever of them is taken. */
static void test_several_texts_in_one_value(void **state)
{
    const int count = 9;
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    struct buffer b;
    enum decoder_result result = DECODER_NEED_MORE;

    (void)state;
    buffer_init(&b, NULL);
    encode_array(&b, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        text[0] = (uint8_t)i;
        encode_bin(&b, text, LONG_BYTES);
    }
    for (size_t at = 0, used; at < b.bytes; at += used)
        result = decoder_feed(d, b.data + at, b.bytes - at < 30000 ? b.bytes - at : 30000, &used);
    assert_int_equal(result, DECODER_READY);
    assert_int_equal(h.begun, count);
    for (int i = 0; i < count; i++) {
        const struct node *n = &d->nodes[i + 1];
        text[0] = (uint8_t)i;
        assert_int_equal(n->flags, NODE_STREAMED);
        assert_memory_equal(decoder_bytes(d, n), text, LONG_BYTES);
        if (i % 2 == 0)
            free(decoder_take(d, n));
    }
    decoder_next(d);
    assert_int_equal(h.released, count / 2);
    decoder_free(d);
    assert_int_equal(h.released, count / 2);
    buffer_close(&b);
    free(text);
}

/* A decoder that is freed in the middle of a text releases its owner, once. */
static void test_freed_in_the_middle_of_a_text(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    struct buffer b;
    size_t used;

    (void)state;
    put_sample(&b, NODE_BIN, text, LONG_BYTES, true);
    assert_int_equal(decoder_feed(d, b.data, 1000, &used), DECODER_NEED_MORE);
    assert_int_equal(h.begun, 1);
    assert_int_equal(h.released, 0);
    decoder_free(d);
    assert_int_equal(h.released, 1);
    free(text);
    buffer_close(&b);
}

/* A refusal behind a streamed text leaves its owner to decoder_free(). */
static void test_a_refusal_after_a_text(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    struct buffer b;
    size_t used;

    (void)state;
    put_sample(&b, NODE_BIN, text, LONG_BYTES, true);
    b.data[b.bytes - 6] = 0xc1; /* where the tail begins */
    assert_int_equal(decoder_feed(d, b.data, 1000, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, b.data + 1000, b.bytes - 1000, &used), DECODER_REFUSED);
    assert_int_equal(d->refusal, DECODER_NOT_MSGPACK);
    decoder_free(d);
    assert_int_equal(h.released, 1);
    free(text);
    buffer_close(&b);
}

/* Once there are too many nodes a long text is skipped without asking: nobody could find it. */
static void test_a_text_beyond_the_last_node_is_skipped(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    struct decoder *d = decoder_with(&h);
    struct buffer b;
    size_t used;

    (void)state;
    buffer_init(&b, NULL);
    encode_array(&b, LIMIT_NODES + 1);
    for (uint32_t i = 0; i < LIMIT_NODES; i++)
        encode_nil(&b);
    encode_bin(&b, text, LONG_BYTES);
    assert_int_equal(decoder_feed(d, b.data, b.bytes - 1000, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, b.data + b.bytes - 1000, 1000, &used), DECODER_READY);
    assert_true(d->too_many_nodes);
    assert_int_equal(d->value_bytes, b.bytes);
    assert_int_equal(h.begun, 0);
    decoder_free(d);
    free(text);
    buffer_close(&b);
}

/* Streamed bytes count as bytes of the value: a second text that would make it too large is refused at its header. */
static void test_streamed_bytes_count_for_the_limit(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    const struct decoder_hooks hooks = {stream_begin, stream_release, &h};
    struct decoder *d = decoder_new(1 + 2 * (5 + LONG_BYTES) - 1, &hooks);
    struct buffer b;
    size_t used;

    (void)state;
    buffer_init(&b, NULL);
    encode_array(&b, 2);
    encode_bin(&b, text, LONG_BYTES);
    encode_bin_header(&b, LONG_BYTES);
    assert_int_equal(decoder_feed(d, b.data, 5000, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, b.data + 5000, b.bytes - 5000 - 1, &used), DECODER_NEED_MORE);
    assert_int_equal(d->value_bytes, b.bytes - 1);
    assert_int_equal(decoder_feed(d, b.data + b.bytes - 1, 1, &used), DECODER_REFUSED);
    assert_int_equal(d->refusal, DECODER_VALUE_TOO_LARGE);
    assert_int_equal(h.begun, 1);
    decoder_free(d);
    assert_int_equal(h.released, 1);
    free(text);
    buffer_close(&b);
}

/* They count for what a container may claim, too. */
static void test_streamed_bytes_count_for_claims(void **state)
{
    uint8_t *text = long_text(LONG_BYTES);
    struct hooks h = {0};
    const struct decoder_hooks hooks = {stream_begin, stream_release, &h};
    struct buffer b;
    size_t used;

    (void)state;
    buffer_init(&b, NULL);
    encode_array(&b, 2);
    encode_bin(&b, text, LONG_BYTES);
    encode_array(&b, 100);
    for (uint32_t less = 0; less < 2; less++) {
        struct decoder *d = decoder_new(1 + 2 + LONG_BYTES + 100 - less, &hooks);
        assert_int_equal(decoder_feed(d, b.data, 5000, &used), DECODER_NEED_MORE);
        const enum decoder_result result = decoder_feed(d, b.data + 5000, b.bytes - 5000, &used);
        assert_int_equal(result, less ? DECODER_REFUSED : DECODER_NEED_MORE);
        assert_int_equal(d->refusal, less ? DECODER_TOO_MANY : DECODER_REFUSAL_NONE);
        decoder_free(d);
    }
    assert_int_equal(h.released, 2);
    free(text);
    buffer_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_within_a_value),
        cmocka_unit_test(test_a_text_that_ends_the_value),
        cmocka_unit_test(test_a_text_that_is_the_value),
        cmocka_unit_test(test_a_text_at_the_limit_is_kept),
        cmocka_unit_test(test_a_taken_owner_is_not_released),
        cmocka_unit_test(test_a_text_is_skipped_with_a_reason),
        cmocka_unit_test(test_without_hooks_a_text_is_too_large),
        cmocka_unit_test(test_a_long_ext_value_is_skipped),
        cmocka_unit_test(test_several_texts_in_one_value),
        cmocka_unit_test(test_freed_in_the_middle_of_a_text),
        cmocka_unit_test(test_a_refusal_after_a_text),
        cmocka_unit_test(test_a_text_beyond_the_last_node_is_skipped),
        cmocka_unit_test(test_streamed_bytes_count_for_the_limit),
        cmocka_unit_test(test_streamed_bytes_count_for_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
