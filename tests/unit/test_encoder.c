/*
 * encoder: each item takes its shortest form, and the decoder finds in it what was put in.
 */
#include "protocol/decoder.h"
#include "protocol/encoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_VALUE_BYTES 1000000

/* Decodes what the buffer holds: exactly one value. */
static struct decoder *decode(const struct buffer *b)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    size_t used;

    assert_non_null(d);
    assert_false(b->failed);
    assert_int_equal(decoder_feed(d, b->data, b->bytes, &used), DECODER_READY);
    assert_int_equal(used, b->bytes);
    return d;
}

static size_t uint_bytes(uint64_t v)
{
    return v < 128 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static size_t int_bytes(int64_t v)
{
    if (v >= 0)
        return uint_bytes((uint64_t)v);
    return v >= -32 ? 1 : v >= INT8_MIN ? 2 : v >= INT16_MIN ? 3 : v >= INT32_MIN ? 5 : 9;
}

static void check_uint(uint64_t v)
{
    struct buffer b;

    buffer_init(&b, NULL);
    encode_uint(&b, v);
    assert_int_equal(b.bytes, uint_bytes(v));
    struct decoder *d = decode(&b);
    assert_int_equal(d->nodes[0].type, NODE_UINT);
    assert_true(d->nodes[0].value.uint == v);
    decoder_free(d);
    buffer_close(&b);
}

static void check_int(int64_t v)
{
    struct buffer b;

    buffer_init(&b, NULL);
    encode_int(&b, v);
    assert_int_equal(b.bytes, int_bytes(v));
    struct decoder *d = decode(&b);
    assert_int_equal(d->nodes[0].type, v < 0 ? NODE_INT : NODE_UINT);
    assert_true(d->nodes[0].value.sint == v);
    decoder_free(d);
    buffer_close(&b);
}

/* Integers around each change of width come back, in the shortest form. */
static void test_edge_integers_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int near = -2; near <= 2; near++) {
            uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)near;
            check_uint(v);
            check_int((int64_t)v);
            check_int((int64_t)(0 - v));
        }
    }
    check_uint(UINT64_MAX);
    check_int(INT64_MAX);
    check_int(INT64_MIN);
    check_int(-32);
    check_int(-33);
}

/* Doubles come back bit by bit, among them those that are no numbers. */
static void test_doubles_come_back(void **state)
{
    const double values[] = {0.0, -0.0, 1.5, -1e300, 5e-324, INFINITY, -INFINITY, NAN};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buffer b;
        buffer_init(&b, NULL);
        encode_double(&b, values[i]);
        assert_int_equal(b.bytes, 9);
        struct decoder *d = decode(&b);
        assert_int_equal(d->nodes[0].type, NODE_FLOAT);
        assert_int_equal(d->nodes[0].flags, 0);
        assert_memory_equal(&d->nodes[0].value.real, &values[i], sizeof values[i]);
        decoder_free(d);
        buffer_close(&b);
    }
}

/* nil, false and true are one byte each. */
static void test_nil_and_bools_come_back(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    encode_array(&b, 3);
    encode_nil(&b);
    encode_bool(&b, false);
    encode_bool(&b, true);
    assert_int_equal(b.bytes, 4);
    struct decoder *d = decode(&b);
    assert_int_equal(d->nodes[1].type, NODE_NIL);
    assert_int_equal(d->nodes[2].type, NODE_BOOL);
    assert_int_equal(d->nodes[2].value.uint, 0);
    assert_int_equal(d->nodes[3].type, NODE_BOOL);
    assert_int_equal(d->nodes[3].value.uint, 1);
    decoder_free(d);
    buffer_close(&b);
}

/* Text and bytes of lengths around each change of header come back, in the shortest form. */
static void test_text_of_edge_lengths_comes_back(void **state)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 65537};
    uint8_t *bytes = malloc(65537);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < 65537; i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const size_t n = lengths[i];
        const size_t bin_header = n < 256 ? 2 : n < 65536 ? 3 : 5;
        struct buffer b;

        buffer_init(&b, NULL);
        encode_str(&b, bytes, n);
        assert_int_equal(b.bytes, n + (n < 32 ? 1 : bin_header));
        struct decoder *d = decode(&b);
        assert_int_equal(d->nodes[0].type, NODE_STR);
        assert_int_equal(d->nodes[0].count, n);
        assert_memory_equal(decoder_bytes(d, d->nodes), bytes, n);
        decoder_free(d);

        buffer_reset(&b);
        encode_bin(&b, bytes, n);
        assert_int_equal(b.bytes, n + bin_header);
        d = decode(&b);
        assert_int_equal(d->nodes[0].type, NODE_BIN);
        assert_int_equal(d->nodes[0].count, n);
        assert_memory_equal(decoder_bytes(d, d->nodes), bytes, n);
        decoder_free(d);
        buffer_close(&b);
    }
    free(bytes);
}

/* A header of a bin and the bytes after it are the same as the bin. */
static void test_a_bin_header_and_its_bytes_are_a_bin(void **state)
{
    static const uint8_t bytes[300] = {1, 2, 3};
    struct buffer whole;
    struct buffer parts;

    (void)state;
    buffer_init(&whole, NULL);
    buffer_init(&parts, NULL);
    encode_bin(&whole, bytes, sizeof bytes);
    encode_bin_header(&parts, sizeof bytes);
    buffer_append(&parts, bytes, sizeof bytes);
    assert_int_equal(whole.bytes, parts.bytes);
    assert_memory_equal(whole.data, parts.data, whole.bytes);
    buffer_close(&whole);
    buffer_close(&parts);
}

/* Containers with counts around each change of header come back, in the shortest form. */
static void test_containers_of_edge_counts_come_back(void **state)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (uint32_t map = 0; map < 2; map++) {
            const uint32_t n = counts[i];
            struct buffer b;

            buffer_init(&b, NULL);
            if (map)
                encode_map(&b, n);
            else
                encode_array(&b, n);
            assert_int_equal(b.bytes, n < 16 ? 1 : n < 65536 ? 3 : 5);
            for (uint32_t j = 0; j < n * (map + 1); j++)
                encode_nil(&b);
            struct decoder *d = decode(&b);
            assert_int_equal(d->nodes[0].type, map ? NODE_MAP : NODE_ARRAY);
            assert_int_equal(d->nodes[0].count, n);
            assert_int_equal(decoder_skip(d, 0), n * (map + 1) + 1);
            decoder_free(d);
            buffer_close(&b);
        }
    }
}

/* A terminated string is encoded without its terminator. */
static void test_a_terminated_string_ends_before_its_terminator(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    encode_text(&b, "pong");
    assert_int_equal(b.bytes, 5);
    assert_memory_equal(b.data, "\xa4pong", 5);
    buffer_close(&b);
}

/* In a buffer that failed nothing is stored any more. */
static void test_a_failed_buffer_takes_no_item(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    encode_uint(&b, 1);
    assert_null(buffer_reserve(&b, SIZE_MAX - 16));
    encode_nil(&b);
    encode_bool(&b, true);
    encode_uint(&b, 2);
    encode_int(&b, -2);
    encode_double(&b, 2);
    encode_array(&b, 2);
    encode_map(&b, 2);
    encode_text(&b, "two");
    encode_bin(&b, "two", 3);
    encode_bin_header(&b, 2);
    assert_true(b.failed);
    assert_int_equal(b.bytes, 1);
    buffer_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_integers_come_back),
        cmocka_unit_test(test_doubles_come_back),
        cmocka_unit_test(test_nil_and_bools_come_back),
        cmocka_unit_test(test_text_of_edge_lengths_comes_back),
        cmocka_unit_test(test_a_bin_header_and_its_bytes_are_a_bin),
        cmocka_unit_test(test_containers_of_edge_counts_come_back),
        cmocka_unit_test(test_a_terminated_string_ends_before_its_terminator),
        cmocka_unit_test(test_a_failed_buffer_takes_no_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
