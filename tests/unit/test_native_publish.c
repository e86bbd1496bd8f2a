/* The native door's publish: what it reads, what it answers, and where large bodies go. */
#include "tests/support/native_door.h"

#include "protocol/encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    door_setup(state);
    check(*state, A, "queue.create", "['q']", "{'created': true}");
    return 0;
}

/* Ids start at 1, a batch gets consecutive ones, and what is stored comes out again. */
static void test_a_batch_is_stored_in_order(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', ['a', b'b', '']]", "[1, 3]");
    check(f, A, "publish", "['q', ['d']]", "[4, 1]");
    check(f, B, "receive", "['q', {'max': 9}]",
          "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b'], [R3, 3, 1, b''], [R4, 4, 1, b'd']]");
}

/* Headers keep their types and their order, a group comes back as text; an empty map says nothing. */
static void test_headers_and_group_come_back(void **state)
{
    struct fixture *f = *state;

    check(
        f, A, "publish",
        "['q', [['a', {'headers': {'n': nil, 't': true, 'f': false, 'u': 5, 'i': -5, 'd': 1.5, 's': 'x', 'b': b'y'}}],"
        " ['b', {'group': b'g'}], ['c', {'headers': {}}], ['d', {}], [b'e', {b'headers': {b'k': 1}, 'group': 'h'}]]]",
        "[1, 5]");
    check(f, A, "receive", "['q', {'max': 9}]",
          "[[R1, 1, 1, b'a', {'headers': {'n': nil, 't': true, 'f': false, 'u': 5, 'i': -5, 'd': 1.5, 's': 'x', 'b': "
          "b'y'}}],"
          " [R2, 2, 1, b'b', {'group': 'g'}], [R3, 3, 1, b'c'], [R4, 4, 1, b'd'],"
          " [R5, 5, 1, b'e', {'headers': {'k': 1}, 'group': 'h'}]]");
}

/* What was sent as float 32 is float 32 again. */
static void test_a_float_32_header_stays_one(void **state)
{
    static const uint8_t request[] = "\x94\x00\x01\xa7publish\x92\xa1q\x91\x92\xa1x\x81\xa7headers\x81\xa1"
                                     "f\xca\x3f\xc0\x00\x00";
    struct fixture *f = *state;

    assert_int_equal(door_input(f, A, request, sizeof request - 1), sizeof request - 1);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "[1, 1]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'x', {'headers': {'f': 1.5f}}]]");
}

/* A str header that is not UTF-8 comes back as bin, so that no reader stumbles over it. */
static void test_a_text_header_that_is_no_text_comes_back_as_bytes(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', [['a', {'headers': {'k': '\xff\xfe', 'l': 'gr\xc3\xbcn'}}]]]", "[1, 1]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a', {'headers': {'k': b'\\xff\\xfe', 'l': 'gr\\xc3\\xbcn'}}]]");
}

/* Each wrong message is an entry at its index, and its neighbours are stored. */
static void test_wrong_messages_are_entries(void **state)
{
    static const struct {
        const char *message, *details;
    } rows[] = {
        {"5", ""},
        {"nil", ""},
        {"ext", ""},
        {"{}", ""},
        {"[]", ""},
        {"['a']", ""},
        {"['a', 'b']", ""},
        {"['a', {}, {}]", ""},
        {"[5, {}]", ""},
        {"[['a'], {}]", ""},
        {"['a', {'dedup_id': ''}]", ", {'key': 'dedup_id'}"},
        {"['a', {'dedup_id': 'x'*129}]", ", {'key': 'dedup_id'}"},
        {"['a', {'dedup_id': 5}]", ", {'key': 'dedup_id'}"},
        {"['a', {'priority': 10}]", ", {'key': 'priority'}"},
        {"['a', {'priority': -1}]", ", {'key': 'priority'}"},
        {"['a', {5: 'x'}]", ", {'key': 'options'}"},
        {"['a', {'delay': 1, 'delay': 2}]", ", {'key': 'delay'}"},
        {"['a', {'delay': -1}]", ", {'key': 'delay'}"},
        {"['a', {'delay': 315360000001}]", ", {'key': 'delay'}"},
        {"['a', {'ttl': '1s'}]", ", {'key': 'ttl'}"},
        {"['a', {'group': ''}]", ", {'key': 'group'}"},
        {"['a', {'group': 'x'*129}]", ", {'key': 'group'}"},
        {"['a', {'group': '\xc3'}]", ", {'key': 'group'}"},
        {"['a', {'headers': [1, 2]}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {5: 1}}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {'\xff': 1}}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {'k': [1]}}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {'k': {}}}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {'k': ext}}]", ", {'key': 'headers'}"},
        {"['a', {'headers': {'k': 'x'*65536}}]", ", {'key': 'headers'}"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char params[512], expected[256];
        snprintf(params, sizeof params, "['q', ['before', %s, 'after']]", rows[i].message);
        snprintf(expected, sizeof expected, "[%zu, 2, [[1, ['BAD_REQUEST', ...%s]]]]", 2 * i + 1, rows[i].details);
        check(f, A, "publish", params, expected);
    }
}

/* 64 headers are taken, 65 are not; 65,536 bytes of keys and values are. */
static void test_limits_of_headers(void **state)
{
    struct fixture *f = *state;
    char params[4096] = "['q', [['a', {'headers': {";

    for (int i = 0; i < 64; i++)
        snprintf(params + strlen(params), sizeof params - strlen(params), "%s'k%d': %d", i > 0 ? ", " : "", i, i);
    const size_t end = strlen(params);
    strcpy(params + end, "}}]]]");
    check(f, A, "publish", params, "[1, 1]");
    strcpy(params + end, ", 'more': 1}}]]]");
    check(f, A, "publish", params, "[nil, 0, [[0, ['BAD_REQUEST', ..., {'key': 'headers'}]]]]");
    check(f, A, "publish", "['q', [['a', {'headers': {'key': 'x'*65533}}]]]", "[2, 1]");
    check(f, A, "publish", "['q', [['a', {'headers': {'key': 'x'*65534}}]]]",
          "[nil, 0, [[0, ['BAD_REQUEST', ..., {'key': 'headers'}]]]]");
}

/* All wrong messages of a batch have their entries, in order, with the broker's own refusals between them. */
static void test_entries_are_in_order(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['small', {'max_message_bytes': 2, 'max_messages': 2}]", "{'created': true}");
    check(f, A, "publish", "['small', ['a', 5, 'long', ['b', {'x': 1}], 'c', 'd']]",
          "[1, 2, [[1, ['BAD_REQUEST', ...]], [2, ['TOO_LARGE', ...]], [3, ['BAD_REQUEST', ..., {'key': 'x'}]],"
          " [5, ['QUEUE_FULL', ..., {'retry': true}]]]]");
    check(f, A, "publish", "['small', ['e']]", "[nil, 0, [[0, ['QUEUE_FULL', ..., {'retry': true}]]]]");
}

/* An atomic publish is refused for its first wrong message, whose index it names, and stores nothing. */
static void test_atomic_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', ['a', 5, 6], {'atomic': true}]", "! ['BAD_REQUEST', ..., {'index': 1}]");
    check(f, A, "publish", "['q', ['a', 'b', ['c', {'x': 1}]], {'atomic': true}]",
          "! ['BAD_REQUEST', ..., {'key': 'x', 'index': 2}]");
    check(f, A, "publish", "['q', ['a', 'b'], {'atomic': true}]", "[1, 2]");
    check(f, A, "publish", "['q', ['c', 5], {'atomic': false}]", "[3, 1, [[1, ['BAD_REQUEST', ...]]]]");
}

/* What is wrong with the call is its error, and nothing is stored. */
static void test_errors_of_the_call(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['nowhere', ['a']]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "publish", "['q', []]", "! ['BAD_REQUEST', ..., {'key': 'messages'}]");
    check(f, A, "config.set", "['max_batch', 2]", "true");
    check(f, A, "publish", "['q', ['a', 'b', 'c']]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
    check(f, A, "config.set", "['draining', true]", "true");
    check(f, A, "publish", "['q', ['a']]", "! ['DRAINING', ..., {'retry': true}]");
    check(f, A, "config.set", "['draining', false]", "true");
    f->broker.limits.max_memory_bytes = 1;
    check(f, A, "publish", "['q', ['a']]", "! ['MEMORY_LIMIT', ..., {'retry': true}]");
    assert_int_equal(f->broker.counters.published, 0);
}

/* A publish as a notification stores and says nothing; a wrong one is counted. */
static void test_a_notification_is_carried_out(void **state)
{
    struct fixture *f = *state;
    const uint64_t written_bytes = f->clients[A].written_bytes;

    door_notify(f, A, "publish", "['q', ['a']]");
    door_notify(f, A, "publish", "['nowhere', ['a']]");
    door_notify(f, A, "publish", "['q', []]");
    door_turn(f);
    assert_int_equal(f->clients[A].written_bytes, written_bytes);
    assert_int_equal(f->broker.counters.published, 1);
    assert_int_equal(f->door.counters.notifications, 3);
    assert_int_equal(f->door.counters.notification_errors, 2);
    assert_int_equal(f->door.counters.error_answers, 0);
}

/* A session knows the name of the queue that it has used last, for as long as that is there. All others are looked at. */
static void test_only_the_last_name_is_known(void **state)
{
    static const char *const wrong[] = {"['', ['a']]", "[b'', ['a']]", "['Q!', ['a']]", "['q ', ['a']]", "[5, ['a']]"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "[%zu, 1]", i + 1);
        check(f, A, "publish", "['q', ['a']]", expected);
        check(f, A, "publish", wrong[i], "! ['BAD_REQUEST', ..., {'key': 'queue'}]");
    }
    check(f, A, "publish", "['p', ['a']]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "publish", "['q', ['a']]", "[6, 1]");
    check(f, B, "queue.delete", "['q']", "6");
    check(f, A, "publish", "['q', ['a']]", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, B, "queue.create", "['q']", "{'created': true}");
    check(f, A, "publish", "['q', ['a']]", "[1, 1]");
}

/* Lists of mere bodies and lists with more in one call do not get in each other's way. */
static void test_lists_of_both_kinds_in_one_call(void **state)
{
    struct fixture *f = *state;

    check(f, A, "commit",
          "[{'publish': [['q', ['a', 'b']], ['q', ['c', ['d', {'headers': {'k': 1}}]]], ['q', ['e']],"
          " ['q', [['f', {'group': 'g'}]]]]}]",
          "{'publish': [[1, 2], [3, 2], [5, 1], [6, 1]], 'topics': [], 'ack': 0}");
    check(f, A, "receive", "['q', {'max': 9}]",
          "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b'], [R3, 3, 1, b'c'], [R4, 4, 1, b'd', {'headers': {'k': 1}}],"
          " [R5, 5, 1, b'e'], [R6, 6, 1, b'f', {'group': 'g'}]]");
}

/* ---- large bodies ------------------------------------------------------------------------------------------------ */

/* A publish into `queue` of 'a', a bin of `bytes`, and 'c'. */
static void encode_large(struct buffer *out, uint32_t msgid, const char *queue, uint32_t bytes)
{
    uint8_t *body = malloc(bytes);

    assert_non_null(body);
    for (uint32_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i * 7 % 251);
    buffer_init(out, NULL);
    encode_array(out, 4);
    encode_uint(out, 0);
    encode_uint(out, msgid);
    encode_text(out, "publish");
    encode_array(out, 2);
    encode_text(out, queue);
    encode_array(out, 3);
    encode_text(out, "a");
    encode_bin(out, body, bytes);
    encode_text(out, "c");
    free(body);
}

/* Offers a request in pieces; what happens before the last one is the caller's to look at. */
static void input_pieces(struct fixture *f, const struct buffer *request, size_t from, size_t to, size_t piece)
{
    for (size_t at = from; at < to; at += piece) {
        const size_t bytes = to - at < piece ? to - at : piece;
        assert_int_equal(door_input(f, A, request->data + at, bytes), bytes);
    }
}

/* A body that comes in pieces is stored byte by byte as it was sent, whatever its size is. */
static void test_bodies_in_pieces_arrive_whole(void **state)
{
    static const uint32_t sizes[] = {100, 8191, 8192, 65536, 65537, 300000, 1 << 20};
    struct fixture *f = *state;

    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer request;
        encode_large(&request, 1, "q", sizes[i]);
        input_pieces(f, &request, 0, request.bytes, 10007);
        buffer_close(&request);
        struct queue *q = broker_queue_find(&f->broker, "q", 1);
        const struct message *m = ring_item(ring_find(q->messages, 3 * i + 2));
        const struct view body = message_body(m);
        assert_int_equal(body.bytes, sizes[i]);
        for (uint32_t at = 0; at < sizes[i]; at++)
            assert_int_equal(((const uint8_t *)body.data)[at], at * 7 % 251);
        assert_int_equal(queue_total(q), 3 * i + 3);
    }
}

/* While a large body arrives its bytes lie in their place already: neither the session nor the decoder holds them. */
static void test_a_large_body_is_not_buffered(void **state)
{
    struct fixture *f = *state;
    struct buffer request;
    const uint64_t used_bytes = f->broker.pool.used_bytes;
    const size_t idle_bytes = session_memory(f->clients[A].session);

    encode_large(&request, 1, "q", 1 << 20);
    input_pieces(f, &request, 0, request.bytes - 100, 4096);
    assert_true(session_memory(f->clients[A].session) < idle_bytes + 32768);
    assert_in_range(f->broker.pool.used_bytes - used_bytes, 1 << 20, (1 << 20) + 8192);
    input_pieces(f, &request, request.bytes - 100, request.bytes, 100);
    assert_int_equal(session_memory(f->clients[A].session), idle_bytes);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "[1, 3]");
    buffer_close(&request);
}

/* A body that is too large is not held at all while it arrives, and is an entry in the end. */
static void test_a_body_that_is_too_large_is_never_held(void **state)
{
    struct fixture *f = *state;
    struct buffer request;
    const uint64_t used_bytes = f->broker.pool.used_bytes;

    check(f, A, "config.set", "['max_message_bytes', 100000]", "true");
    check(f, A, "queue.create", "['large', {'max_message_bytes': 200000}]", "{'created': true}");
    encode_large(&request, 100, "q", 100001);
    input_pieces(f, &request, 0, request.bytes - 100, 4096);
    assert_true(f->broker.pool.used_bytes < used_bytes + 65536);
    input_pieces(f, &request, request.bytes - 100, request.bytes, 100);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 100), "[1, 2, [[1, ['TOO_LARGE', ...]]]]");
    buffer_close(&request);

    encode_large(&request, 101, "large", 200000);
    input_pieces(f, &request, 0, request.bytes, 4096);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 101), "[1, 3]");
    buffer_close(&request);
}

/* What is wrong with the call is told also if the body was skipped for it. */
static void test_a_large_body_for_a_call_that_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer request;

    encode_large(&request, 1, "nowhere", 300000);
    input_pieces(f, &request, 0, request.bytes, 4096);
    buffer_close(&request);
    encode_large(&request, 2, "q", 300000);
    f->broker.limits.max_memory_bytes = broker_memory(&f->broker) + 200000;
    input_pieces(f, &request, 0, request.bytes, 4096);
    buffer_close(&request);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "! ['QUEUE_NOT_FOUND', ...]");
    assert_string_equal(door_answer(f, A, 2), "! ['MEMORY_LIMIT', ..., {'retry': true}]");
    assert_int_equal(f->broker.counters.published, 0);
}

/* A connection that ends in the middle of a large body leaves nothing of it. */
static void test_a_connection_that_ends_in_a_large_body(void **state)
{
    struct fixture *f = *state;
    struct buffer request;
    const uint64_t used_bytes = f->broker.pool.used_bytes;

    encode_large(&request, 1, "q", 300000);
    input_pieces(f, &request, 0, 200000, 4096);
    assert_true(f->broker.pool.used_bytes > used_bytes + 299999);
    door_close(f, A);
    assert_int_equal(f->broker.pool.used_bytes, used_bytes);
    buffer_close(&request);
}

/* A large text anywhere else is skipped and answered as what it is: a wrong argument. */
static void test_large_texts_elsewhere_are_skipped(void **state)
{
    struct fixture *f = *state;
    struct buffer request;

    buffer_init(&request, NULL);
    wire_encode(&request, "[0, 1, 'park', [[1], {'note': 'x'*70000}]]", &f->names);
    wire_encode(&request, "[0, 2, 'publish', ['q', [['a', {'headers': {'k': 'x'*70000}}]]]]", &f->names);
    wire_encode(&request, "[0, 3, 'publish', ['q', [['a', {'x'*70000: 1}]]]]", &f->names);
    wire_encode(&request, "[0, 4, 'x'*70000, []]", &f->names);
    input_pieces(f, &request, 0, request.bytes, 1000);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "! ['BAD_REQUEST', ..., {'key': 'note'}]");
    assert_string_equal(door_answer(f, A, 2), "[nil, 0, [[0, ['BAD_REQUEST', ..., {'key': 'headers'}]]]]");
    assert_string_equal(door_answer(f, A, 3), "[nil, 0, [[0, ['BAD_REQUEST', ..., {'key': 'x'*63}]]]]");
    assert_string_equal(door_answer(f, A, 4), "! ['UNKNOWN_METHOD', ...]");
    buffer_close(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_batch_is_stored_in_order, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_headers_and_group_come_back, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_float_32_header_stays_one, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_text_header_that_is_no_text_comes_back_as_bytes, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_messages_are_entries, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_headers, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_entries_are_in_order, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_atomic_is_all_or_nothing, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_errors_of_the_call, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_notification_is_carried_out, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_only_the_last_name_is_known, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_lists_of_both_kinds_in_one_call, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_bodies_in_pieces_arrive_whole, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_large_body_is_not_buffered, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_body_that_is_too_large_is_never_held, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_large_body_for_a_call_that_is_refused, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_a_connection_that_ends_in_a_large_body, setup, door_teardown),
        cmocka_unit_test_setup_teardown(test_large_texts_elsewhere_are_skipped, setup, door_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
