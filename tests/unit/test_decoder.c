/*
 * decoder: what values come out as, whole and in pieces. What is refused is in test_decoder_limits.c, long texts are
 * in test_decoder_streams.c.
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

#define MAX_VALUE_BYTES 1000000

/* A decoder that was given the one value in `wire`. */
static struct decoder *decode(const char *wire, size_t bytes)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    size_t used;

    assert_non_null(d);
    assert_int_equal(decoder_feed(d, wire, bytes, &used), DECODER_READY);
    assert_int_equal(used, bytes);
    assert_int_equal(d->value_bytes, bytes);
    assert_true(decoded_well_formed(d));
    return d;
}

/* The node of a value without elements, from a literal. */
#define single(wire) decode_single(wire, sizeof(wire) - 1)

static struct node decode_single(const char *wire, size_t bytes)
{
    struct decoder *d = decode(wire, bytes);
    assert_int_equal(d->node_count, 1);
    struct node n = d->nodes[0];
    decoder_free(d);
    return n;
}

#define assert_uint(wire, expected)               \
    do {                                          \
        struct node n_ = single(wire);            \
        assert_int_equal(n_.type, NODE_UINT);     \
        assert_true(n_.value.uint == (expected)); \
    } while (0)

#define assert_int(wire, expected)                \
    do {                                          \
        struct node n_ = single(wire);            \
        assert_int_equal(n_.type, NODE_INT);      \
        assert_true(n_.value.sint == (expected)); \
    } while (0)

/* Integers are told apart by their sign, not by the width and kind in which they came. */
static void test_integers_of_each_width(void **state)
{
    (void)state;
    assert_uint("\x00", 0);
    assert_uint("\x7f", 127);
    assert_uint("\xcc\x00", 0);
    assert_uint("\xcc\xff", 255);
    assert_uint("\xcd\x00\x01", 1);
    assert_uint("\xcd\xff\xfe", 65534);
    assert_uint("\xce\x80\x00\x00\x01", 0x80000001u);
    assert_uint("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", UINT64_MAX);
    assert_int("\xff", -1);
    assert_int("\xe0", -32);
    assert_int("\xd0\x80", -128);
    assert_int("\xd1\x80\x00", -32768);
    assert_int("\xd2\x80\x00\x00\x00", INT32_MIN);
    assert_int("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", INT64_MIN);
    assert_uint("\xd0\x00", 0);
    assert_uint("\xd0\x7f", 127);
    assert_uint("\xd1\x7f\xff", 32767);
    assert_uint("\xd2\x7f\xff\xff\xff", INT32_MAX);
    assert_uint("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX);
}

/* nil, bools and floats come out as themselves; a float 32 is marked. */
static void test_nil_bools_and_floats(void **state)
{
    (void)state;
    assert_int_equal(single("\xc0").type, NODE_NIL);
    assert_int_equal(single("\xc2").type, NODE_BOOL);
    assert_int_equal(single("\xc2").value.uint, 0);
    assert_int_equal(single("\xc3").type, NODE_BOOL);
    assert_int_equal(single("\xc3").value.uint, 1);

    struct node n = single("\xca\x3f\xc0\x00\x00");
    assert_int_equal(n.type, NODE_FLOAT);
    assert_int_equal(n.flags, NODE_FLOAT32);
    assert_true(n.value.real == 1.5);
    n = single("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00");
    assert_int_equal(n.type, NODE_FLOAT);
    assert_int_equal(n.flags, 0);
    assert_true(n.value.real == -1.5);
}

#define assert_text(wire, expected_type, expected) \
    check_text(wire, sizeof(wire) - 1, expected_type, expected, sizeof(expected) - 1)

static void check_text(const char *wire, size_t bytes, enum node_type type, const char *expected, size_t count)
{
    struct decoder *d = decode(wire, bytes);
    assert_int_equal(d->nodes[0].type, type);
    assert_int_equal(d->nodes[0].count, count);
    assert_int_equal(d->nodes[0].flags, 0);
    assert_memory_equal(decoder_bytes(d, d->nodes), expected, count);
    decoder_free(d);
}

/* Text and bytes come out whatever the width of their length. */
static void test_text_of_each_header(void **state)
{
    (void)state;
    assert_text("\xa0", NODE_STR, "");
    assert_text("\xa2hi", NODE_STR, "hi");
    assert_text("\xd9\x00", NODE_STR, "");
    assert_text("\xd9\x02hi", NODE_STR, "hi");
    assert_text("\xda\x00\x00", NODE_STR, "");
    assert_text("\xda\x00\x02hi", NODE_STR, "hi");
    assert_text("\xdb\x00\x00\x00\x00", NODE_STR, "");
    assert_text("\xdb\x00\x00\x00\x02hi", NODE_STR, "hi");
    assert_text("\xc4\x00", NODE_BIN, "");
    assert_text("\xc4\x02hi", NODE_BIN, "hi");
    assert_text("\xc5\x00\x00", NODE_BIN, "");
    assert_text("\xc5\x00\x02hi", NODE_BIN, "hi");
    assert_text("\xc6\x00\x00\x00\x00", NODE_BIN, "");
    assert_text("\xc6\x00\x00\x00\x02hi", NODE_BIN, "hi");
}

/* An ext value is a node that holds its type byte and its bytes, so that a request with one can be answered. */
static void test_an_ext_value_is_a_node(void **state)
{
    (void)state;
    assert_text("\xd4\x05x", NODE_EXT, "\x05x");
    assert_text("\xd5\x05xy", NODE_EXT, "\x05xy");
    assert_text("\xd6\x05wxyz", NODE_EXT, "\x05wxyz");
    assert_text("\xd7\x05qrstuvwx", NODE_EXT, "\x05qrstuvwx");
    assert_text("\xd8\x05qrstuvwxqrstuvwx", NODE_EXT, "\x05qrstuvwxqrstuvwx");
    assert_text("\xc7\x00\x05", NODE_EXT, "\x05");
    assert_text("\xc7\x01\x05x", NODE_EXT, "\x05x");
    assert_text("\xc8\x00\x01\x05x", NODE_EXT, "\x05x");
    assert_text("\xc9\x00\x00\x00\x01\x05x", NODE_EXT, "\x05x");
}

/* Nodes stand in the order of the wire, and each container knows where its last descendant is. */
static void test_containers_know_their_ends(void **state)
{
    /* [1, [2, [], 3], {4: [5], [6]: {}}, 7] */
    struct decoder *d = decode("\x94\x01\x93\x02\x90\x03\x82\x04\x91\x05\x91\x06\x80\x07", 14);
    static const uint32_t after[] = {14, 2, 6, 4, 5, 6, 13, 8, 10, 10, 12, 12, 13, 14};

    (void)state;
    assert_int_equal(d->node_count, 14);
    for (uint32_t i = 0; i < 14; i++)
        assert_int_equal(decoder_skip(d, i), after[i]);
    assert_int_equal(d->nodes[0].count, 4);
    assert_int_equal(d->nodes[6].type, NODE_MAP);
    assert_int_equal(d->nodes[6].count, 2);
    decoder_free(d);
}

/* Containers without elements, alone, last and inside each other, end right after themselves, whatever their header. */
static void test_empty_containers(void **state)
{
    static const struct {
        const char *wire;
        size_t bytes;
        uint32_t nodes;
    } rows[] = {
        {"\x90", 1, 1},         {"\x80", 1, 1},
        {"\xdc\x00\x00", 3, 1}, {"\xdd\x00\x00\x00\x00", 5, 1},
        {"\xde\x00\x00", 3, 1}, {"\xdf\x00\x00\x00\x00", 5, 1},
        {"\x91\x90", 2, 2},     {"\x92\x80\x80", 3, 3},
        {"\x81\x90\x80", 3, 3}, {"\x91\x91\x91\x90", 4, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decoder *d = decode(rows[i].wire, rows[i].bytes);
        assert_int_equal(d->node_count, rows[i].nodes);
        assert_int_equal(decoder_skip(d, d->node_count - 1), d->node_count);
        decoder_free(d);
    }
}

static void put_raw(struct buffer *b, const char *wire, size_t bytes)
{
    buffer_append(b, wire, bytes);
}

/* [0, 7, "publish", ["orders", [each kind of item in each width ...], {...}]] and texts of `text_bytes` bytes. */
static void put_mixed(struct buffer *b, size_t text_bytes)
{
    char text[4096];

    assert_in_range(text_bytes, 0, sizeof text);
    for (size_t i = 0; i < text_bytes; i++)
        text[i] = (char)(i * 7);
    encode_array(b, 4);
    encode_uint(b, 0);
    encode_uint(b, 70000);
    encode_text(b, "publish");
    encode_array(b, 3);
    encode_text(b, "orders");
    put_raw(b, "\xdc\x00\x12", 3); /* 18 elements */
    encode_bin(b, text, text_bytes);
    encode_str(b, text, text_bytes);
    put_raw(b, "\xd9\x03str", 5);
    put_raw(b, "\xdb\x00\x00\x00\x00", 5);
    put_raw(b, "\xd7\x05qrstuvwx", 10);
    put_raw(b, "\xc8\x00\x01\x05x", 5);
    encode_nil(b);
    encode_bool(b, true);
    encode_uint(b, 200);
    encode_uint(b, 40000);
    encode_uint(b, UINT64_MAX);
    encode_int(b, -100);
    encode_int(b, -30000);
    encode_int(b, INT64_MIN);
    put_raw(b, "\xca\x3f\xc0\x00\x00", 5);
    encode_double(b, 2.5);
    put_raw(b, "\xdd\x00\x00\x00\x00", 5);
    put_raw(b, "\xde\x00\x01\x90\x80", 5);
    encode_map(b, 2);
    encode_text(b, "headers");
    encode_map(b, 1);
    encode_text(b, "k");
    encode_bin(b, text, text_bytes / 2);
    encode_text(b, "ttl");
    encode_uint(b, 1000);
    assert_false(b->failed);
}

/* Feeds two values in pieces and asserts that the first comes out as `expected` and ends exactly at its end. */
static void check_cut(struct decoder *d, const struct buffer *wire, size_t value_bytes, const size_t *cuts,
                      size_t cut_count, const struct buffer *expected)
{
    struct buffer got;
    uint8_t *piece;
    size_t used;

    buffer_init(&got, NULL);
    assert_int_equal(decoded_feed(d, wire->data, wire->bytes, cuts, cut_count, &used, &piece), DECODER_READY);
    assert_int_equal(used, value_bytes);
    decoded_put(&got, d, UINT32_MAX);
    assert_int_equal(got.bytes, expected->bytes);
    assert_memory_equal(got.data, expected->data, got.bytes);
    decoder_next(d);
    assert_true(decoder_idle(d));
    free(piece);
    buffer_close(&got);
}

/* A mixed value, followed by the beginning of another; and how the first comes out of a decoder that got it whole. */
struct sample {
    struct buffer wire;
    size_t value_bytes;
    struct buffer expected;
    struct decoder *d;
};

static void sample_init(struct sample *s, size_t text_bytes)
{
    size_t used;

    buffer_init(&s->wire, NULL);
    buffer_init(&s->expected, NULL);
    put_mixed(&s->wire, text_bytes);
    s->value_bytes = s->wire.bytes;
    encode_array(&s->wire, 4);
    encode_text(&s->wire, "of the next value");
    s->d = decoder_new(MAX_VALUE_BYTES, NULL);
    assert_non_null(s->d);
    assert_int_equal(decoder_feed(s->d, s->wire.data, s->wire.bytes, &used), DECODER_READY);
    assert_int_equal(used, s->value_bytes);
    assert_true(decoded_well_formed(s->d));
    decoded_put(&s->expected, s->d, UINT32_MAX);
    decoder_next(s->d);
}

static void sample_close(struct sample *s)
{
    decoder_free(s->d);
    buffer_close(&s->wire);
    buffer_close(&s->expected);
}

/* A value that comes a byte at a time is the same value, and the byte behind it is not taken. */
static void test_a_byte_at_a_time(void **state)
{
    struct sample s;
    size_t cuts[16384];

    (void)state;
    for (size_t text_bytes = 0; text_bytes <= 2000; text_bytes += 400) {
        sample_init(&s, text_bytes);
        for (size_t i = 0; i < s.wire.bytes - 1; i++)
            cuts[i] = i + 1;
        check_cut(s.d, &s.wire, s.value_bytes, cuts, s.wire.bytes - 1, &s.expected);
        sample_close(&s);
    }
}

/* A value that comes in two pieces is the same value, wherever the cut is. */
static void test_every_cut_in_two(void **state)
{
    struct sample s;

    (void)state;
    for (size_t text_bytes = 20; text_bytes <= 4020; text_bytes += 1000) {
        sample_init(&s, text_bytes);
        for (size_t cut = 0; cut <= s.wire.bytes; cut++)
            check_cut(s.d, &s.wire, s.value_bytes, &cut, 1, &s.expected);
        sample_close(&s);
    }
}

/* A value that comes in three pieces is the same value, wherever the two cuts are. */
static void test_every_cut_in_three(void **state)
{
    struct sample s;

    (void)state;
    sample_init(&s, 40);
    for (size_t first = 0; first <= s.wire.bytes; first++) {
        for (size_t second = first; second <= s.wire.bytes; second++) {
            size_t cuts[] = {first, second};
            check_cut(s.d, &s.wire, s.value_bytes, cuts, 2, &s.expected);
        }
    }
    sample_close(&s);
}

/* Of a value that came whole nothing is copied: views point into the input. */
static void test_views_of_a_whole_value_point_into_the_input(void **state)
{
    static const char wire[] = "\x92\xa3one\xc4\x03two";
    struct decoder *d = decode(wire, sizeof wire - 1);

    (void)state;
    assert_ptr_equal(decoder_bytes(d, &d->nodes[1]), wire + 2);
    assert_ptr_equal(decoder_bytes(d, &d->nodes[2]), wire + 7);
    decoder_free(d);
}

/* Several values in one input come out one after the other, the last one unfinished. */
static void test_several_values_in_one_input(void **state)
{
    static const char input[] = "\x01\x91\x02\xa1x\x92\x03";
    struct decoder *d = decoder_new(100, NULL);
    size_t at = 0;
    size_t used;

    (void)state;
    static const size_t ends[] = {1, 3, 5};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decoder_feed(d, input + at, 7 - at, &used), DECODER_READY);
        at += used;
        assert_int_equal(at, ends[i]);
        decoder_next(d);
        assert_true(decoder_idle(d));
    }
    assert_int_equal(decoder_feed(d, input + at, 7 - at, &used), DECODER_NEED_MORE);
    assert_int_equal(used, 2);
    assert_false(decoder_idle(d));
    assert_int_equal(d->value_bytes, 2);
    assert_int_equal(decoder_feed(d, "\x04\x05", 2, &used), DECODER_READY);
    assert_int_equal(used, 1);
    assert_int_equal(d->node_count, 3);
    assert_int_equal(d->nodes[2].value.uint, 4);
    decoder_free(d);
}

/* A thousand values cut into pieces of each small size come out complete and in order. */
static void test_many_values_in_pieces_of_each_size(void **state)
{
    struct buffer wire;

    (void)state;
    buffer_init(&wire, NULL);
    for (uint64_t i = 0; i < 1000; i++) {
        encode_array(&wire, 2);
        encode_uint(&wire, i * i * i);
        encode_bin(&wire, "0123456789abcdefghij", i % 20);
    }
    for (size_t piece = 1; piece < 64; piece++) {
        struct decoder *d = decoder_new(100, NULL);
        uint64_t i = 0;
        for (size_t at = 0, used; at < wire.bytes; at += used) {
            size_t left = wire.bytes - at < piece ? wire.bytes - at : piece;
            if (decoder_feed(d, wire.data + at, left, &used) != DECODER_READY)
                continue;
            assert_int_equal(d->node_count, 3);
            assert_true(d->nodes[1].value.uint == i * i * i);
            assert_int_equal(d->nodes[2].count, i % 20);
            assert_memory_equal(decoder_bytes(d, &d->nodes[2]), "0123456789abcdefghij", i % 20);
            decoder_next(d);
            i++;
        }
        assert_int_equal(i, 1000);
        assert_true(decoder_idle(d));
        decoder_free(d);
    }
    buffer_close(&wire);
}

/* No input changes nothing, at the beginning of a value and within it. */
static void test_no_input_changes_nothing(void **state)
{
    struct decoder *d = decoder_new(100, NULL);
    size_t used = 1;

    (void)state;
    assert_int_equal(decoder_feed(d, NULL, 0, &used), DECODER_NEED_MORE);
    assert_int_equal(used, 0);
    assert_true(decoder_idle(d));
    assert_int_equal(decoder_feed(d, "\x92\x01", 2, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, NULL, 0, &used), DECODER_NEED_MORE);
    assert_int_equal(used, 0);
    assert_int_equal(d->value_bytes, 2);
    assert_int_equal(decoder_feed(d, "\x02", 1, &used), DECODER_READY);
    assert_int_equal(d->node_count, 3);
    decoder_free(d);
}

/* A decoder keeps small areas for the next value and gives back large ones. */
static void test_large_areas_are_given_back(void **state)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    const size_t bare = decoder_memory(d);
    struct buffer wire;
    size_t used;

    (void)state;
    assert_in_range(bare, 1, 1024);
    buffer_init(&wire, NULL);
    put_mixed(&wire, 20);
    assert_int_equal(decoder_feed(d, wire.data, 100, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, wire.data + 100, wire.bytes - 100, &used), DECODER_READY);
    const size_t small = decoder_memory(d);
    decoder_next(d);
    assert_int_equal(decoder_memory(d), small);

    buffer_reset(&wire);
    encode_array(&wire, 50000);
    for (int i = 0; i < 50000; i++)
        encode_nil(&wire);
    assert_int_equal(decoder_feed(d, wire.data, wire.bytes - 1, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, wire.data + wire.bytes - 1, 1, &used), DECODER_READY);
    assert_in_range(decoder_memory(d), 50000 * (sizeof(struct node) + 1), 1000000 * sizeof(struct node));
    decoder_next(d);
    assert_int_equal(decoder_memory(d), bare);
    decoder_free(d);
    buffer_close(&wire);
}

/* A decoder that goes from one user to the next takes the next one's limit. */
static void test_a_reused_decoder_takes_the_new_limit(void **state)
{
    struct decoder *d = decoder_new(4, NULL);
    size_t used;

    (void)state;
    assert_int_equal(decoder_feed(d, "\xa3one", 4, &used), DECODER_READY);
    decoder_next(d);
    decoder_reuse(d, 5, NULL);
    assert_int_equal(decoder_feed(d,
                                  "\xa4"
                                  "four",
                                  5, &used),
                     DECODER_READY);
    decoder_next(d);
    decoder_reuse(d, 4, NULL);
    assert_int_equal(decoder_feed(d,
                                  "\xa4"
                                  "four",
                                  5, &used),
                     DECODER_REFUSED);
    assert_int_equal(d->refusal, DECODER_VALUE_TOO_LARGE);
    decoder_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_of_each_width),
        cmocka_unit_test(test_nil_bools_and_floats),
        cmocka_unit_test(test_text_of_each_header),
        cmocka_unit_test(test_an_ext_value_is_a_node),
        cmocka_unit_test(test_containers_know_their_ends),
        cmocka_unit_test(test_empty_containers),
        cmocka_unit_test(test_a_byte_at_a_time),
        cmocka_unit_test(test_every_cut_in_two),
        cmocka_unit_test(test_every_cut_in_three),
        cmocka_unit_test(test_views_of_a_whole_value_point_into_the_input),
        cmocka_unit_test(test_several_values_in_one_input),
        cmocka_unit_test(test_many_values_in_pieces_of_each_size),
        cmocka_unit_test(test_no_input_changes_nothing),
        cmocka_unit_test(test_large_areas_are_given_back),
        cmocka_unit_test(test_a_reused_decoder_takes_the_new_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
