/*
 * The benchmark's own reading of MessagePack: what the encoder writes, cut anywhere.
 */
#include "benchmarks/piece.h"

#include "protocol/encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Exactly as many bytes as there are, so that a sanitizer sees what is read beyond them. */
static struct piece copy(const struct buffer *b, size_t bytes, uint8_t **owner)
{
    *owner = malloc(bytes + !bytes);
    assert_non_null(*owner);
    memcpy(*owner, b->data, bytes);
    return (struct piece){*owner, *owner + bytes};
}

static void check_uint(uint64_t number)
{
    struct buffer b;
    uint8_t *owner;
    uint64_t got = 0;

    buffer_init(&b, NULL);
    encode_uint(&b, number);
    for (size_t cut = 0; cut < b.bytes; cut++) {
        struct piece c = copy(&b, cut, &owner);
        assert_int_equal(piece_uint(&c, &got), PIECE_MORE);
        assert_ptr_equal(c.at, owner);
        free(owner);
    }
    struct piece c = copy(&b, b.bytes, &owner);
    assert_int_equal(piece_uint(&c, &got), PIECE_OK);
    assert_int_equal(got, number);
    assert_ptr_equal(c.at, c.end);
    free(owner);
    buffer_close(&b);
}

static void numbers_of_each_length_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {
        0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        check_uint(numbers[i]);
}

static void check_head(uint32_t count, bool array)
{
    struct buffer b;
    uint8_t *owner;
    uint32_t got = 0;

    buffer_init(&b, NULL);
    if (array)
        encode_array(&b, count);
    else
        encode_bin_header(&b, count);
    for (size_t cut = 0; cut < b.bytes; cut++) {
        struct piece c = copy(&b, cut, &owner);
        assert_int_equal(array ? piece_array(&c, &got) : piece_bin(&c, &got), PIECE_MORE);
        free(owner);
    }
    struct piece c = copy(&b, b.bytes, &owner);
    assert_int_equal(array ? piece_array(&c, &got) : piece_bin(&c, &got), PIECE_OK);
    assert_int_equal(got, count);
    assert_ptr_equal(c.at, c.end);
    free(owner);
    buffer_close(&b);
}

static void heads_of_arrays_and_bodies_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, 255, 256, 65535, 65536, UINT32_MAX};

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_head(counts[i], true);
        check_head(counts[i], false);
    }
}

/* All bytes that can begin a value; those that begin no number, array or bin are left alone. */
static void other_values_are_left_to_the_decoder(void **state)
{
    (void)state;
    for (unsigned head = 0; head < 256; head++) {
        const uint8_t bytes[9] = {(uint8_t)head};
        const struct piece start = {bytes, bytes + sizeof bytes};
        struct piece c = start;
        uint64_t number;
        uint32_t count;
        const bool is_uint = head < 0x80 || (head >= 0xcc && head <= 0xcf);
        const bool is_array = head >> 4 == 9 || head == 0xdc || head == 0xdd;
        const bool is_bin = head >= 0xc4 && head <= 0xc6;
        assert_int_equal(piece_uint(&c, &number), is_uint ? PIECE_OK : PIECE_OTHER);
        c = start;
        assert_int_equal(piece_array(&c, &count), is_array ? PIECE_OK : PIECE_OTHER);
        c = start;
        assert_int_equal(piece_bin(&c, &count), is_bin ? PIECE_OK : PIECE_OTHER);
    }
}

static void known_bytes_are_recognized_from_their_beginning(void **state)
{
    (void)state;
    static const uint8_t text[] = "deliver";
    struct piece c = {text, text + 7};

    assert_int_equal(piece_bytes(&c, "deliver", 7), PIECE_OK);
    assert_ptr_equal(c.at, text + 7);
    assert_int_equal(piece_bytes(&c, "x", 1), PIECE_MORE);
    c = (struct piece){text, text + 3};
    assert_int_equal(piece_bytes(&c, "deliver", 7), PIECE_MORE);
    assert_int_equal(piece_bytes(&c, "delta", 5), PIECE_MORE);
    assert_int_equal(piece_bytes(&c, "dealer", 6), PIECE_OTHER);
    assert_ptr_equal(c.at, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_each_length_are_read_whole_or_not_at_all),
        cmocka_unit_test(heads_of_arrays_and_bodies_are_read_whole_or_not_at_all),
        cmocka_unit_test(other_values_are_left_to_the_decoder),
        cmocka_unit_test(known_bytes_are_recognized_from_their_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
