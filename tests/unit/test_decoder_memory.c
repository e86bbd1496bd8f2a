/*
 * decoder and buffer when memory runs out: one story is told again and again, and each time another allocation fails,
 * until it is told to its end. Whatever fails is said, and nothing is lost.
 *
 * The sources are compiled a second time here, with allocation functions that count.
 */
#include "protocol/buffer.h"
#include "protocol/decoder.h"
#include "protocol/encoder.h"
#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int until_failure; /* 0: none fails */
static bool failed;
static int live; /* allocations not yet freed */

static bool fails_now(void)
{
    failed = until_failure > 0 && --until_failure == 0;
    return failed;
}

static void *counting_calloc(size_t count, size_t bytes)
{
    if (fails_now())
        return NULL;
    live++;
    return calloc(count, bytes);
}

static void *counting_realloc(void *old, size_t bytes)
{
    if (fails_now())
        return NULL;
    live += old == NULL;
    return realloc(old, bytes);
}

static void counting_free(void *memory)
{
    live -= memory != NULL;
    free(memory);
}

#define calloc  counting_calloc
#define realloc counting_realloc
#define free    counting_free
#include "protocol/buffer.c"
#include "protocol/decoder.c"
#undef calloc
#undef realloc
#undef free

#define MAX_BYTES  1000000
#define LONG_BYTES (LIMIT_INLINE_BYTES + 1)

static int owners; /* streamed and not yet released */

static enum error_code count_begin(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    (void)user;
    (void)d;
    out->owner = out->data = malloc(bytes);
    assert_non_null(out->data);
    owners++;
    return ERR_NONE;
}

static void count_release(void *user, void *owner)
{
    (void)user;
    owners--;
    free(owner);
}

static void count_unref(void *owner)
{
    --*(int *)owner;
}

/* [[nil ...], text, text ...]: enough of each to make every area grow more than once. */
static void put_story(struct buffer *b)
{
    static const uint8_t text[LONG_BYTES];

    encode_array(b, 11);
    encode_array(b, 1000);
    for (int i = 0; i < 1000; i++)
        encode_nil(b);
    for (int i = 0; i < 10; i++)
        encode_bin(b, text, sizeof text);
}

/* Feeds the story in small pieces to a new decoder. Returns whether it came to its end. */
static bool tell_to_decoder(const struct buffer *story)
{
    const struct decoder_hooks hooks = {count_begin, count_release, NULL};
    struct decoder *d = decoder_new(MAX_BYTES, &hooks);
    enum decoder_result result = DECODER_NEED_MORE;

    if (d == NULL)
        return false;
    for (size_t at = 0, used; at < story->bytes && result == DECODER_NEED_MORE; at += used)
        result = decoder_feed(d, story->data + at, story->bytes - at < 333 ? story->bytes - at : 333, &used);
    if (result == DECODER_REFUSED) {
        size_t used;
        assert_int_equal(d->refusal, DECODER_NO_MEMORY);
        assert_true(failed);
        assert_int_equal(decoder_feed(d, "\x01", 1, &used), DECODER_REFUSED);
    } else {
        assert_int_equal(result, DECODER_READY);
        assert_int_equal(d->node_count, 1 + 1001 + 10);
        assert_int_equal(owners, 10);
        decoder_next(d);
        assert_int_equal(owners, 0);
    }
    decoder_free(d);
    return result == DECODER_READY;
}

/* Whichever allocation of the decoder fails, the value is refused for want of memory and nothing leaks. */
static void test_the_decoder_when_the_nth_allocation_fails(void **state)
{
    struct buffer story;
    int n = 0;
    bool told;

    (void)state;
    buffer_init(&story, NULL);
    put_story(&story);
    assert_false(story.failed);
    const int before = live;
    do {
        until_failure = ++n;
        told = tell_to_decoder(&story);
        assert_int_equal(live, before);
        assert_int_equal(owners, 0);
        assert_true(told == (until_failure > 0));
    } while (!told);
    assert_in_range(n, 10, 100);
    until_failure = 0;
    buffer_close(&story);
    assert_int_equal(live, 0);
}

/* A whole value, parsed where it lies, needs memory for its nodes alone and is refused if that is missing. */
static void test_a_whole_value_needs_memory_for_nodes_only(void **state)
{
    struct decoder *d = decoder_new(MAX_BYTES, NULL);
    size_t used;

    (void)state;
    until_failure = 1;
    assert_int_equal(decoder_feed(d, "\x91\x01", 2, &used), DECODER_REFUSED);
    assert_int_equal(d->refusal, DECODER_NO_MEMORY);
    decoder_free(d);

    d = decoder_new(MAX_BYTES, NULL);
    until_failure = 2;
    assert_int_equal(decoder_feed(d, "\x91\x01", 2, &used), DECODER_READY);
    decoder_next(d);
    assert_int_equal(decoder_feed(d, "\x91\x01", 2, &used), DECODER_READY);
    assert_int_equal(until_failure, 1);
    until_failure = 0;
    decoder_free(d);
    assert_int_equal(live, 0);
}

/* Whichever allocation of a buffer fails, it is failed from then on, and each owner is released once. */
static void test_the_buffer_when_the_nth_allocation_fails(void **state)
{
    static const uint8_t bytes[700];
    bool complete;
    int n = 0;

    (void)state;
    do {
        struct buffer b;

        until_failure = ++n;
        buffer_init(&b, count_unref);
        for (int i = 0; i < 20; i++) {
            buffer_append(&b, bytes, sizeof bytes);
            owners++;
            buffer_splice(&b, bytes, sizeof bytes, &owners);
        }
        complete = !b.failed;
        assert_true(complete == (until_failure > 0));
        if (complete)
            assert_int_equal(buffer_pending(&b), 40 * sizeof bytes);
        buffer_close(&b);
        assert_int_equal(owners, 0);
        assert_int_equal(live, 0);
    } while (!complete);
    until_failure = 0;
    assert_in_range(n, 5, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_decoder_when_the_nth_allocation_fails),
        cmocka_unit_test(test_a_whole_value_needs_memory_for_nodes_only),
        cmocka_unit_test(test_the_buffer_when_the_nth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
