/*
 * decoder: what it refuses, when, and at what cost in memory. Whatever is refused is refused however the input is cut.
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

/* Fed whole, a byte at a time and in two pieces, the bytes end in `refusal`; `max` is the decoder's limit. */
static void check_refused(uint64_t max, const void *wire, size_t bytes, enum decoder_refusal refusal)
{
    for (size_t first = 0; first <= bytes; first++) {
        struct decoder *d = decoder_new(max, NULL);
        uint8_t *piece;
        size_t used;

        assert_int_equal(decoded_feed(d, wire, bytes, &first, 1, &used, &piece), DECODER_REFUSED);
        assert_int_equal(d->refusal, refusal);
        free(piece);
        decoder_free(d);
    }
    struct decoder *d = decoder_new(max, NULL);
    enum decoder_result result = DECODER_NEED_MORE;
    for (size_t i = 0, used; i < bytes && result == DECODER_NEED_MORE; i++)
        result = decoder_feed(d, (const uint8_t *)wire + i, 1, &used);
    assert_int_equal(result, DECODER_REFUSED);
    assert_int_equal(d->refusal, refusal);
    decoder_free(d);
}

/* Fed in two pieces of each size, the bytes are one value. */
static void check_accepted(uint64_t max, const void *wire, size_t bytes)
{
    for (size_t first = 0; first <= bytes; first++) {
        struct decoder *d = decoder_new(max, NULL);
        uint8_t *piece;
        size_t used;

        assert_int_equal(decoded_feed(d, wire, bytes, &first, 1, &used, &piece), DECODER_READY);
        assert_int_equal(used, bytes);
        assert_true(decoded_well_formed(d));
        free(piece);
        decoder_free(d);
    }
}

/* A header in its last byte refuses the value: up to there it is taken, and takes next to no memory. */
static void check_refused_at_the_header(const char *wire, size_t bytes, enum decoder_refusal refusal)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    const size_t bare = decoder_memory(d);
    size_t used;

    assert_int_equal(decoder_feed(d, wire, bytes - 1, &used), DECODER_NEED_MORE);
    assert_int_equal(decoder_feed(d, wire + bytes - 1, 1, &used), DECODER_REFUSED);
    assert_int_equal(d->refusal, refusal);
    assert_in_range(decoder_memory(d) - bare, 0, 2048);
    decoder_free(d);
    check_refused(MAX_VALUE_BYTES, wire, bytes, refusal);
}

/* A container that claims 2^32 - 1 elements is refused at its header and reserves no memory. */
static void test_a_container_of_4_billion_is_refused_at_its_header(void **state)
{
    (void)state;
    check_refused_at_the_header("\x91\xdd\xff\xff\xff\xff", 6, DECODER_TOO_MANY);
    check_refused_at_the_header("\x91\xdf\xff\xff\xff\xff", 6, DECODER_TOO_MANY);
    check_refused_at_the_header("\xdd\xff\xff\xff\xff", 5, DECODER_TOO_MANY);
    check_refused_at_the_header("\xdf\x80\x00\x00\x00", 5, DECODER_TOO_MANY);
}

/* A text that claims 4 GiB is refused at its header and reserves no memory; so is ext, whose length could overflow. */
static void test_a_text_of_4_gib_is_refused_at_its_header(void **state)
{
    (void)state;
    check_refused_at_the_header("\x91\xc6\xff\xff\xff\xff", 6, DECODER_VALUE_TOO_LARGE);
    check_refused_at_the_header("\x91\xdb\xff\xff\xff\xff", 6, DECODER_VALUE_TOO_LARGE);
    check_refused_at_the_header("\x91\xc9\xff\xff\xff\xff", 6, DECODER_VALUE_TOO_LARGE);
    check_refused_at_the_header("\x91\xc9\xff\xff\xff\xfe", 6, DECODER_VALUE_TOO_LARGE);
    check_refused_at_the_header("\xc6\x00\x0f\x42\x40", 5, DECODER_VALUE_TOO_LARGE); /* MAX_VALUE_BYTES and a header */
}

/* `levels` containers inside each other with nil in the innermost. */
static size_t put_nested(char *wire, const char *container, int levels)
{
    size_t bytes = 0;
    for (int i = 0; i < levels; i++)
        for (const char *c = container; *c; c++)
            wire[bytes++] = *c;
    wire[bytes++] = '\xc0';
    return bytes;
}

/* 16 levels are accepted, arrays as well as maps. */
static void test_16_levels_are_accepted(void **state)
{
    static const char *const containers[] = {"\x91", "\x81\x01"};
    char wire[64];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
        size_t bytes = put_nested(wire, containers[i], LIMIT_DEPTH);
        size_t used;
        assert_int_equal(decoder_feed(d, wire, bytes, &used), DECODER_READY);
        assert_int_equal(used, bytes);
        assert_true(decoded_well_formed(d));
        decoder_free(d);
    }
}

/* The 17th level is refused at its header, even if it is empty. */
static void test_the_17th_level_is_refused(void **state)
{
    static const char *const containers[] = {"\x91", "\x81\x01"};
    char wire[64];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t bytes = put_nested(wire, containers[i], LIMIT_DEPTH) - 1;
        static const char *const inner[] = {"\x91", "\x90", "\x80", "\x81"};
        for (size_t j = 0; j < 4; j++) {
            wire[bytes] = *inner[j];
            check_refused_at_the_header(wire, bytes + 1, DECODER_TOO_DEEP);
        }
    }
}

/* 64 nested arrays are refused at the 17th, and what follows is not looked at. */
static void test_64_nested_arrays_are_refused(void **state)
{
    char wire[64];

    (void)state;
    memset(wire, '\x91', sizeof wire);
    check_refused(MAX_VALUE_BYTES, wire, sizeof wire, DECODER_TOO_DEEP);
    check_refused_at_the_header(wire, LIMIT_DEPTH + 1, DECODER_TOO_DEEP);
}

/* The one byte that begins nothing is refused wherever an item may begin, and means nothing inside a text. */
static void test_the_byte_c1_is_refused(void **state)
{
    (void)state;
    check_refused(MAX_VALUE_BYTES, "\xc1", 1, DECODER_NOT_MSGPACK);
    check_refused(MAX_VALUE_BYTES, "\x92\x01\xc1", 3, DECODER_NOT_MSGPACK);
    check_refused(MAX_VALUE_BYTES, "\x81\xc1\x01", 3, DECODER_NOT_MSGPACK);
    check_accepted(MAX_VALUE_BYTES, "\x91\xa1\xc1", 3);
}

/* A value of exactly the largest size is accepted, and refused where the largest size is a byte less. */
static void test_a_value_of_the_largest_size(void **state)
{
    static const char *const wires[] = {
        "\xa5three",
        "\xc4\x04"
        "four",
        "\xd6\x05"
        "four",
        "\x92\x01\xcd\x02\x03",
        "\x92\xcd\x01\x02\xa1x",
        "\x81\xa1x\xa1y",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
        check_accepted(strlen(wires[i]), wires[i], strlen(wires[i]));
        check_refused(strlen(wires[i]) - 1, wires[i], strlen(wires[i]), DECODER_VALUE_TOO_LARGE);
    }
}

/* An item that would end beyond the largest size is refused when its header is there, not when its bytes are. */
static void test_an_item_beyond_the_largest_size_is_refused(void **state)
{
    (void)state;
    check_refused(10,
                  "\x93\xa4"
                  "four\xa4",
                  7, DECODER_VALUE_TOO_LARGE);
    check_refused(10,
                  "\x92\xa7"
                  "seven--\xcf",
                  10, DECODER_VALUE_TOO_LARGE);
    check_refused(10,
                  "\x92\xa7"
                  "seven--\xa1",
                  10, DECODER_VALUE_TOO_LARGE);
    check_refused(10, "\xc4\x09", 2, DECODER_VALUE_TOO_LARGE);
    check_refused(10,
                  "\x92\xa8"
                  "eight---",
                  10, DECODER_VALUE_TOO_LARGE);
    check_accepted(10,
                   "\x92\xa7"
                   "seven--\x01",
                   10);
}

/* Elements are claimed against what the claims and texts before them leave of the largest size, to the byte. */
static void test_claims_add_up(void **state)
{
    (void)state;
    check_accepted(10, "\x99\x01\x02\x03\x04\x05\x06\x07\x08\x09", 10);
    check_refused(10, "\x9a", 1, DECODER_TOO_MANY);
    check_accepted(9, "\x84\x01\x02\x03\x04\x05\x06\x07\x08", 9);
    check_refused(10, "\x85", 1, DECODER_TOO_MANY);
    check_refused(10, "\x95\x95", 2, DECODER_TOO_MANY);
    check_accepted(10, "\x95\x94\x01\x02\x03\x04\x05\x06\x07\x08", 10);
    check_refused(10,
                  "\x92\xa4"
                  "four\x94",
                  7, DECODER_TOO_MANY);
    check_accepted(10,
                   "\x92\xa4"
                   "four\x93\x01\x02\x03",
                   10);
}

/* An array of `elements` with a nested array and a map as its last two. */
static void put_many(struct buffer *b, uint32_t elements)
{
    buffer_reset(b);
    encode_array(b, elements);
    for (uint32_t i = 0; i < elements - 2; i++)
        encode_nil(b);
    encode_array(b, 1);
    encode_nil(b);
    encode_map(b, 1);
    encode_nil(b);
    encode_nil(b);
    assert_false(b->failed);
}

/* As many nodes as are kept come out; with one more the value is parsed to its end, keeps the first, and says so. */
static void test_too_many_nodes(void **state)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    struct buffer b;
    size_t used;

    (void)state;
    buffer_init(&b, NULL);
    for (uint32_t more = 0; more <= 6; more++) {
        put_many(&b, LIMIT_NODES - 4 + more);
        for (size_t cut = b.bytes - 6; cut <= b.bytes; cut++) {
            enum decoder_result result = decoder_feed(d, b.data, cut, &used);
            if (cut < b.bytes) {
                assert_int_equal(result, DECODER_NEED_MORE);
                result = decoder_feed(d, b.data + cut, b.bytes - cut, &used);
            }
            assert_int_equal(result, DECODER_READY);
            assert_int_equal(d->value_bytes, b.bytes);
            assert_int_equal(d->too_many_nodes, more > 0);
            assert_int_equal(d->node_count, LIMIT_NODES);
            assert_int_equal(d->nodes[0].count, LIMIT_NODES - 4 + more);
            for (uint32_t i = 0; i < d->node_count; i++)
                if (decoder_skip(d, i) <= i || decoder_skip(d, i) > d->node_count)
                    fail_msg("node %u ends at %u", i, decoder_skip(d, i));
            decoder_next(d);
        }
    }
    assert_int_equal(decoder_feed(d, "\x91\x01", 2, &used), DECODER_READY);
    assert_false(d->too_many_nodes);
    assert_int_equal(d->node_count, 2);
    decoder_free(d);
    buffer_close(&b);
}

/* Nothing is taken after a refusal. */
static void test_a_refusal_is_final(void **state)
{
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    size_t used = 7;

    (void)state;
    assert_int_equal(decoder_feed(d, "\x92\x01\xc1", 3, &used), DECODER_REFUSED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decoder_feed(d, "\x01", 1, &used), DECODER_REFUSED);
        assert_int_equal(used, 0);
        assert_int_equal(d->refusal, DECODER_NOT_MSGPACK);
    }
    decoder_free(d);
}

/* What a text claims within the limits takes no memory either, before its bytes are there. */
static void test_memory_grows_with_what_arrives(void **state)
{
    static const uint8_t zeros[100];
    struct decoder *d = decoder_new(MAX_VALUE_BYTES, NULL);
    const size_t bare = decoder_memory(d);
    enum decoder_result result;
    size_t used;

    (void)state;
    assert_int_equal(decoder_feed(d, "\xdd\x00\x00\x40\x00\xc5\xff\xff", 8, &used), DECODER_NEED_MORE);
    size_t arrived = 8;
    do {
        assert_in_range(decoder_memory(d) - bare, 0, 2048 + 2 * arrived);
        result = decoder_feed(d, zeros, sizeof zeros, &used);
        arrived += used;
    } while (result == DECODER_NEED_MORE && arrived < 65000);
    assert_int_equal(result, DECODER_NEED_MORE);
    decoder_free(d);
}

/* Each refusal has words of its own; the depth in them is the limit's. */
static void test_each_refusal_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(decoder_refusal_text(DECODER_TOO_DEEP), "deeper than 16 levels");
    assert_int_equal(LIMIT_DEPTH, 16);
    for (int i = DECODER_REFUSAL_NONE; i <= DECODER_NO_MEMORY; i++)
        for (int j = DECODER_REFUSAL_NONE; j < i; j++)
            assert_string_not_equal(decoder_refusal_text((enum decoder_refusal)i),
                                    decoder_refusal_text((enum decoder_refusal)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_container_of_4_billion_is_refused_at_its_header),
        cmocka_unit_test(test_a_text_of_4_gib_is_refused_at_its_header),
        cmocka_unit_test(test_16_levels_are_accepted),
        cmocka_unit_test(test_the_17th_level_is_refused),
        cmocka_unit_test(test_64_nested_arrays_are_refused),
        cmocka_unit_test(test_the_byte_c1_is_refused),
        cmocka_unit_test(test_a_value_of_the_largest_size),
        cmocka_unit_test(test_an_item_beyond_the_largest_size_is_refused),
        cmocka_unit_test(test_claims_add_up),
        cmocka_unit_test(test_too_many_nodes),
        cmocka_unit_test(test_a_refusal_is_final),
        cmocka_unit_test(test_memory_grows_with_what_arrives),
        cmocka_unit_test(test_each_refusal_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
