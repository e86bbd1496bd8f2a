/*
 * buffer: what is appended and spliced comes out in that order, however it is consumed, and each owner is released
 * once, as soon as the last of its bytes is gone.
 */
#include "protocol/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OWNERS 8

/* An owner is a counter of how often it was released. */
static int released[OWNERS];

static void release(void *owner)
{
    (*(int *)owner)++;
}

static void check_released(const char *expected)
{
    for (int i = 0; expected[i]; i++)
        assert_int_equal(released[i], expected[i] - '0');
}

/* What is pending, gathered from as many calls with `max` entries as it takes; the buffer is left as it was. */
static size_t gather(const struct buffer *b, char *out, int max)
{
    struct buffer copy = *b;
    struct iovec iov[16];
    struct splice splices[OWNERS];
    char data[256];
    int nobody;
    size_t bytes = 0;

    /* The copy consumes for real, so it must not release, nor move anything of the original. */
    assert_in_range(b->bytes, 0, sizeof data);
    assert_in_range(b->splice_count, 0, OWNERS);
    if (b->bytes > 0)
        memcpy(data, b->data, b->bytes);
    if (b->splice_count > 0)
        memcpy(splices, b->splices, b->splice_count * sizeof *splices);
    for (uint32_t i = 0; i < b->splice_count; i++)
        splices[i].owner = &nobody;
    nobody = 0;
    copy.data = (uint8_t *)data;
    copy.splices = splices;

    while (buffer_pending(&copy) > 0) {
        int count = buffer_iovec(&copy, iov, max);
        size_t part = 0;
        assert_in_range(count, 1, max);
        for (int i = 0; i < count; i++) {
            assert_true(iov[i].iov_len > 0);
            memcpy(out + bytes + part, iov[i].iov_base, iov[i].iov_len);
            part += iov[i].iov_len;
        }
        bytes += part;
        buffer_consume(&copy, part);
    }
    out[bytes] = '\0';
    return bytes;
}

static void append(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

static void splice(struct buffer *b, const char *text, int owner)
{
    buffer_splice(b, text, strlen(text), &released[owner]);
}

/* abc<DEF><GH>ij<K>: splices after text, after each other, and at the end. */
static void fill(struct buffer *b)
{
    memset(released, 0, sizeof released);
    buffer_init(b, release);
    append(b, "ab");
    append(b, "c");
    splice(b, "DEF", 0);
    splice(b, "GH", 1);
    append(b, "ij");
    splice(b, "K", 2);
}

static const char filled[] = "abcDEFGHijK";

/* Whatever the number of entries, an iovec holds what is pending, in order. */
static void test_an_iovec_holds_what_is_pending_in_order(void **state)
{
    struct buffer b;
    char out[64];

    (void)state;
    fill(&b);
    for (int max = 1; max <= 16; max++) {
        gather(&b, out, max);
        assert_string_equal(out, filled);
    }
    struct iovec iov[16];
    assert_int_equal(buffer_iovec(&b, iov, 16), 5);
    assert_int_equal(buffer_iovec(&b, iov, 0), 0);
    buffer_close(&b);
}

/* Consumed up to any byte, and then by any step, the rest stays right and owners go exactly when their bytes do. */
static void test_partial_consumes_at_every_byte(void **state)
{
    const size_t all = strlen(filled);
    struct buffer b;
    char out[64];

    (void)state;
    for (size_t first = 0; first <= all; first++) {
        for (size_t step = 1; step <= all; step++) {
            fill(&b);
            buffer_consume(&b, first);
            for (size_t gone = first; gone <= all; gone += step) {
                assert_int_equal(buffer_pending(&b), all - gone);
                assert_int_equal(gather(&b, out, 2), all - gone);
                assert_string_equal(out, filled + gone);
                assert_int_equal(released[0], gone >= 6);
                assert_int_equal(released[1], gone >= 8);
                assert_int_equal(released[2], gone >= 11);
                if (all - gone >= step)
                    buffer_consume(&b, step);
            }
            buffer_close(&b);
            check_released("111");
        }
    }
}

/* Bytes and splices that come after a partial consume follow what is left. */
static void test_what_is_added_after_a_partial_consume_follows(void **state)
{
    const size_t all = strlen(filled);
    struct buffer b;
    char out[64];
    char expected[64];

    (void)state;
    for (size_t gone = 0; gone <= all; gone++) {
        fill(&b);
        buffer_consume(&b, gone);
        append(&b, "lm");
        splice(&b, "NOP", 3);
        append(&b, "q");
        gather(&b, out, 3);
        strcpy(expected, filled + gone);
        strcat(expected, "lmNOPq");
        assert_string_equal(out, expected);
        buffer_consume(&b, buffer_pending(&b));
        check_released("1111");
        buffer_close(&b);
    }
}

/* A buffer that was consumed to its end is as good as new and keeps its area. */
static void test_a_consumed_buffer_is_empty_again(void **state)
{
    struct buffer b;

    (void)state;
    fill(&b);
    const uint8_t *area = b.data;
    buffer_consume(&b, strlen(filled));
    assert_int_equal(buffer_pending(&b), 0);
    assert_int_equal(b.bytes, 0);
    assert_int_equal(b.splice_count, 0);
    append(&b, "x");
    assert_ptr_equal(b.data, area);
    buffer_close(&b);
}

/* A buffer that never becomes empty does not grow with what went through it. */
static void test_a_buffer_that_never_drains_stays_small(void **state)
{
    static const uint8_t piece[300];
    struct buffer b;

    (void)state;
    memset(released, 0, sizeof released);
    buffer_init(&b, release);
    buffer_append(&b, piece, 100);
    for (int i = 0; i < 10000; i++) {
        buffer_append(&b, piece, sizeof piece);
        buffer_splice(&b, piece, 7, &released[0]);
        buffer_consume(&b, sizeof piece + 7);
        assert_int_equal(buffer_pending(&b), 100);
    }
    assert_in_range(b.cap, 1, 4096);
    assert_in_range(b.splice_cap, 1, 64);
    buffer_close(&b);
    assert_int_equal(released[0], 10000);
}

/* Room that was reserved but not used does not count. */
static void test_a_reservation_alone_changes_nothing(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    uint8_t *at = buffer_reserve(&b, 10000);
    assert_non_null(at);
    memset(at, 1, 10000);
    assert_int_equal(buffer_pending(&b), 0);
    append(&b, "x");
    assert_int_equal(buffer_pending(&b), 1);
    buffer_close(&b);
}

/* Contents survive growing. */
static void test_growing_keeps_the_contents(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    for (uint32_t i = 0; i < 100000; i++)
        buffer_append(&b, &i, sizeof i);
    assert_int_equal(buffer_pending(&b), 100000 * sizeof(uint32_t));
    for (uint32_t i = 0; i < 100000; i++)
        assert_memory_equal(b.data + i * sizeof i, &i, sizeof i);
    buffer_close(&b);
}

/* When memory runs out the buffer is failed: more is dropped, an owner released at once; consuming does not mend it. */
static void test_a_failed_buffer_drops_what_comes(void **state)
{
    struct buffer b;

    (void)state;
    fill(&b);
    assert_null(buffer_reserve(&b, SIZE_MAX - 16));
    assert_true(b.failed);
    append(&b, "more");
    assert_null(buffer_reserve(&b, 1));
    splice(&b, "MORE", 3);
    assert_int_equal(released[3], 1);
    assert_int_equal(buffer_pending(&b), strlen(filled));
    buffer_consume(&b, strlen(filled));
    assert_true(b.failed);

    buffer_reset(&b);
    assert_false(b.failed);
    append(&b, "x");
    assert_int_equal(buffer_pending(&b), 1);
    buffer_close(&b);
}

/* A reset releases every splice not yet sent, and no other. */
static void test_a_reset_releases_what_was_not_sent(void **state)
{
    struct buffer b;

    (void)state;
    fill(&b);
    buffer_consume(&b, 7); /* all of the first splice, half of the second */
    check_released("100");
    buffer_reset(&b);
    check_released("111");
    assert_int_equal(buffer_pending(&b), 0);
    buffer_close(&b);
    check_released("111");
}

/* A splice without bytes is not kept: its owner is released at once. */
static void test_an_empty_splice_is_released_at_once(void **state)
{
    struct buffer b;
    struct iovec iov[4];

    (void)state;
    memset(released, 0, sizeof released);
    buffer_init(&b, release);
    splice(&b, "", 0);
    check_released("1");
    assert_int_equal(buffer_pending(&b), 0);
    assert_int_equal(buffer_iovec(&b, iov, 4), 0);
    buffer_close(&b);
}

/* An empty buffer can be reset, consumed by nothing and closed twice. */
static void test_an_empty_buffer_needs_no_memory(void **state)
{
    struct buffer b;

    (void)state;
    buffer_init(&b, NULL);
    buffer_append(&b, NULL, 0);
    buffer_consume(&b, 0);
    buffer_reset(&b);
    assert_null(b.data);
    buffer_close(&b);
    buffer_close(&b);
    assert_int_equal(buffer_pending(&b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_iovec_holds_what_is_pending_in_order),
        cmocka_unit_test(test_partial_consumes_at_every_byte),
        cmocka_unit_test(test_what_is_added_after_a_partial_consume_follows),
        cmocka_unit_test(test_a_consumed_buffer_is_empty_again),
        cmocka_unit_test(test_a_buffer_that_never_drains_stays_small),
        cmocka_unit_test(test_a_reservation_alone_changes_nothing),
        cmocka_unit_test(test_growing_keeps_the_contents),
        cmocka_unit_test(test_a_failed_buffer_drops_what_comes),
        cmocka_unit_test(test_a_reset_releases_what_was_not_sent),
        cmocka_unit_test(test_an_empty_splice_is_released_at_once),
        cmocka_unit_test(test_an_empty_buffer_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
