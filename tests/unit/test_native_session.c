/*
 * The native door's sessions: the shapes of what comes in, any cut of it, how a session ends, and what sessions
 * share.
 */
#include "tests/support/native_door.h"

#include "protocol/encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Offers a value given as text. */
static void input_text(struct fixture *f, int client, const char *text)
{
    struct buffer value;

    buffer_init(&value, NULL);
    wire_encode(&value, text, &f->names);
    assert_int_equal(door_input(f, client, value.data, value.bytes), value.bytes);
    buffer_close(&value);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

/* The session's last words are these, it is ending, and takes no more input. */
static void check_ended(struct fixture *f, int client, const char *error)
{
    assert_true(session_ending(f->clients[client].session));
    assert_int_equal(door_input(f, client, "\x94\x00\x01\xa4ping\x90", 9), 0);
    door_turn(f);
    assert_string_equal(door_pushed(f, client), error);
}

/* What is no request, response or notification ends the session with a typed error. */
static void test_values_of_no_shape_end_the_session(void **state)
{
    static const char *const values[] = {
        "5",
        "nil",
        "'ping'",
        "{}",
        "{0: 1, 'ping': []}",
        "[]",
        "[0]",
        "[0, 1]",
        "[0, 1, 'ping']",
        "[0, 1, 'ping', [], 5]",
        "[1, 1, nil]",
        "[2, 'ping']",
        "[2, 'ping', [], 1]",
        "[3, 1, 'ping', []]",
        "[-1, 1, 'ping', []]",
        "['0', 1, 'ping', []]",
        "[0.0, 1, 'ping', []]",
        "[[0], 1, 'ping', []]",
        "[0, -1, 'ping', []]",
        "[0, 4294967296, 'ping', []]",
        "[0, nil, 'ping', []]",
        "[0, '1', 'ping', []]",
        "[0, [1], 'ping', []]",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        input_text(f, A, values[i]);
        check_ended(f, A, "error ['BAD_REQUEST', ...]\n");
        assert_int_equal(f->door.counters.protocol_errors, i + 1);
        door_close(f, A);
        door_connect(f, A);
    }
    assert_int_equal(f->door.counters.requests, 0);
}

/* So do bytes that are no MessagePack, too deep, or claim too much; what came before is answered. */
static void test_bytes_that_make_no_sense_end_the_session(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *error;
    } rows[] = {
#define ROW(bytes, error) {bytes, sizeof bytes - 1, error}
        ROW("\xc1", "error ['BAD_REQUEST', ...]\n"),
        ROW("\x94\x00\xc1", "error ['BAD_REQUEST', ...]\n"),
        ROW("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", "error ['BAD_REQUEST', ...]\n"),
        ROW("\xdd\xff\xff\xff\xff", "error ['LIMIT', ..., {'which': 'max_request_bytes'}]\n"),
        ROW("\x94\x00\x01\xa4ping\xdf\xff\xff\xff\xff", "error ['LIMIT', ..., {'which': 'max_request_bytes'}]\n"),
        ROW("\x94\x00\x01\xa4ping\xc6\xff\xff\xff\xff", "error ['LIMIT', ..., {'which': 'max_request_bytes'}]\n"),
#undef ROW
    };
    static const uint8_t ping[] = "\x94\x00\x07\xa4ping\x90";
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t input[64];
        memcpy(input, ping, 9);
        memcpy(input + 9, rows[i].bytes, rows[i].count);
        (void)door_input(f, A, input, 9 + rows[i].count);
        check_ended(f, A, rows[i].error);
        assert_string_equal(door_answer(f, A, 7), "'pong'");
        assert_int_equal(f->door.counters.protocol_errors, i + 1);
        door_close(f, A);
        door_connect(f, A);
    }
}

/* Responses, and notifications of nothing that exists, are ignored and counted. */
static void test_what_is_ignored(void **state)
{
    static const char *const values[] = {
        "[1, 5, nil, 'x']",
        "[1, 'any', [], {}]",
        "[2, 'nvim_set_client_info', [1, 2]]",
        "[2, 5, []]",
        "[2, nil, {}]",
        "[2, ['ping'], []]",
        "[2, {'a': 1}, 5]",
        "[2, 'hello', []]",
        "[2, 'receive', 5]",
        "[2, 'consume', ['q']]",
    };
    const size_t count = sizeof values / sizeof values[0];
    struct fixture *f = *state;

    for (size_t i = 0; i < count; i++)
        input_text(f, A, values[i]);
    door_turn(f);
    assert_int_equal(f->door.counters.ignored, count);
    assert_int_equal(f->door.counters.requests, 0);
    assert_int_equal(f->clients[A].written_bytes, 0);
    check(f, A, "ping", "[]", "'pong'");
}

/* A request for something that is no method is answered, whatever its params are. */
static void test_requests_for_no_method(void **state)
{
    struct fixture *f = *state;

    check(f, A, "pung", "[]", "! ['UNKNOWN_METHOD', ...]");
    check(f, A, "", "5", "! ['UNKNOWN_METHOD', ...]");
    check(f, A, "ping", "{}", "! ['BAD_REQUEST', ..., {'key': 'params'}]");
    check(f, A, "ping", "nil", "! ['BAD_REQUEST', ..., {'key': 'params'}]");
    input_text(f, A, "[0, 90, 5, []]");
    input_text(f, A, "[0, 91, ['ping'], {}]");
    input_text(f, A, "[0, 92, ext, []]");
    input_text(f, A, "[0, 93, b'ping', []]");
    door_turn(f);
    assert_string_equal(door_answer(f, A, 90), "! ['BAD_REQUEST', ..., {'key': 'method'}]");
    assert_string_equal(door_answer(f, A, 91), "! ['BAD_REQUEST', ..., {'key': 'method'}]");
    assert_string_equal(door_answer(f, A, 92), "! ['BAD_REQUEST', ..., {'key': 'method'}]");
    assert_string_equal(door_answer(f, A, 93), "'pong'");
    assert_int_equal(f->door.counters.error_answers, 7);
    assert_int_equal(f->door.counters.requests, 8);
}

/* Any msgid of 32 bits comes back. */
static void test_msgids(void **state)
{
    struct fixture *f = *state;

    input_text(f, A, "[0, 0, 'ping', []]");
    input_text(f, A, "[0, 4294967295, 'ping', []]");
    door_turn(f);
    assert_string_equal(door_answer(f, A, 0), "'pong'");
    assert_string_equal(door_answer(f, A, UINT32_MAX), "'pong'");
}

/* A request of too many elements is read to its end and answered; its memory goes back. */
static void test_too_many_elements(void **state)
{
    struct fixture *f = *state;
    struct buffer request;

    for (int notification = 0; notification < 2; notification++) {
        buffer_init(&request, NULL);
        encode_array(&request, notification ? 3 : 4);
        encode_uint(&request, notification ? 2 : 0);
        if (!notification)
            encode_uint(&request, 33);
        encode_text(&request, "ack");
        encode_array(&request, 1);
        encode_array(&request, 300000);
        for (int i = 0; i < 300000; i++)
            encode_uint(&request, 0);
        assert_int_equal(door_input(f, A, request.data, request.bytes), request.bytes);
        buffer_close(&request);
    }
    door_turn(f);
    assert_string_equal(door_answer(f, A, 33), "! ['LIMIT', ..., {'which': 'max_elements'}]");
    assert_int_equal(f->door.counters.notification_errors, 1);
    check(f, A, "ping", "[]", "'pong'");
    assert_true(session_memory(f->clients[A].session) < 1024);
}

/* A notification whose answer would be long, with bodies by reference in it, leaves nothing of it. */
static void test_a_long_answer_that_nobody_gets(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    for (int i = 0; i < 30; i++)
        door_notify(f, A, "publish", "['q', [b'x'*8000, b'y'*9000]]");
    door_turn(f);
    const uint64_t written_bytes = f->clients[A].written_bytes;
    door_notify(f, A, "peek", "['q']");
    door_notify(f, A, "peek", "['q', {'max': 2}]");
    door_turn(f);
    assert_int_equal(f->clients[A].written_bytes, written_bytes);
    assert_int_equal(f->door.counters.notification_errors, 0);
    check(f, A, "queue.delete", "['q']", "60");
}

/* ---- input ------------------------------------------------------------------------------------------------------- */

/* A conversation means the same byte by byte, and two connections may be in the middle of a request at once. */
static void test_bytes_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct buffer a, b;

    check(f, C, "queue.create", "['q']", "{'created': true}");
    buffer_init(&a, NULL);
    wire_encode(&a, "[0, 1, 'publish', ['q', ['a', ['b', {'headers': {'k': 1.5}, 'group': 'g'}]]]]", &f->names);
    wire_encode(&a, "[2, 'publish', ['q', ['c']]]", &f->names);
    wire_encode(&a, "[0, 2, 'receive', ['q', {'max': 9}]]", &f->names);
    buffer_init(&b, NULL);
    wire_encode(&b, "[0, 1, 'hello', [{'client': 'a name that is long enough to be held'}]]", &f->names);
    wire_encode(&b, "[0, 2, 'ping', []]", &f->names);
    for (size_t i = 0; i < a.bytes || i < b.bytes; i++) {
        if (i < a.bytes)
            assert_int_equal(door_input(f, A, a.data + i, 1), 1);
        if (i < b.bytes)
            assert_int_equal(door_input(f, B, b.data + i, 1), 1);
    }
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "[1, 2]");
    assert_string_equal(
        door_answer(f, A, 2),
        "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b', {'headers': {'k': 1.5}, 'group': 'g'}], [R3, 3, 1, b'c']]");
    assert_string_equal(door_answer(f, B, 2), "'pong'");
    assert_non_null(strstr(door_call(f, C, "client.list", "[]"), "'name': 'a name that is long enough to be held'"));
    buffer_close(&a);
    buffer_close(&b);
}

/* A session stops after its budget of requests, and goes on with the rest. */
static void test_the_budget_of_requests(void **state)
{
    struct fixture *f = *state;
    struct session *session = f->clients[A].session;
    uint8_t input[90];
    uint32_t budget = 3;

    for (int i = 0; i < 10; i++)
        memcpy(input + 9 * i, "\x94\x00\x07\xa4ping\x90", 9);
    assert_int_equal(session_input(session, f->now_ms, input, sizeof input, &budget), 27);
    assert_int_equal(budget, 0);
    assert_int_equal(session_input(session, f->now_ms, input + 27, sizeof input - 27, &budget), 0);
    budget = 100;
    assert_int_equal(session_input(session, f->now_ms, input + 27, sizeof input - 27, &budget), sizeof input - 27);
    assert_int_equal(budget, 93);
    assert_int_equal(f->door.counters.requests, 10);
}

/* A session without traffic is small, and one in the middle of a request holds what has come of it. */
static void test_memory_of_a_session(void **state)
{
    struct fixture *f = *state;
    const struct session *session = f->clients[A].session;
    const size_t idle_bytes = session_memory(session);
    static const uint8_t begin[] = "\x94\x00\x01\xa4park\x92\x91\x01\x81\xa4note\xc5\x80\x00"; /* and 32768 bytes */
    const size_t head_bytes = sizeof begin - 1;
    uint8_t part[20000] = {0};

    assert_true(idle_bytes <= 512);
    check(f, A, "ping", "[]", "'pong'");
    assert_int_equal(session_memory(session), idle_bytes);
    memcpy(part, begin, head_bytes);
    (void)door_input(f, A, part, sizeof part);
    assert_in_range(session_memory(session), idle_bytes + sizeof part, idle_bytes + 4 * sizeof part);
    (void)door_input(f, A, part, 32768 - (sizeof part - head_bytes));
    assert_int_equal(session_memory(session), idle_bytes);
    door_turn(f);
    assert_string_equal(door_answer(f, A, 1), "! ['BAD_REQUEST', ..., {'key': 'note'}]");
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Whoever runs the door can end a session with an error of its own; only the first one is told. */
static void test_refusals(void **state)
{
    struct fixture *f = *state;

    session_refuse(f->clients[A].session, ERR_DRAINING, "the server stops");
    check_ended(f, A, "error ['DRAINING', ..., {'retry': true}]\n");
    session_refuse_limit(f->clients[B].session, "max_connections");
    session_refuse(f->clients[B].session, ERR_INTERNAL, "too late");
    check_ended(f, B, "error ['LIMIT', ..., {'which': 'max_connections'}]\n");
    assert_int_equal(f->door.counters.protocol_errors, 0);
}

/* A session that is ending gets nothing more; what had been dealt to it already goes back uncharged. */
static void test_nothing_is_delivered_after_the_last_words(void **state)
{
    struct fixture *f = *state;

    check(f, B, "queue.create", "['q']", "{'created': true}");
    check(f, A, "consume", "['q']", "1");
    (void)door_ask(f, B, "publish", "['q', ['a']]");
    (void)broker_turn(&f->broker, f->now_ms);
    assert_int_equal(f->broker.effect_count, 1);
    session_refuse(f->clients[A].session, ERR_BAD_REQUEST, "nonsense");
    door_turn(f);
    assert_string_equal(door_pushed(f, A), "error ['BAD_REQUEST', ...]\n");
    check(f, B, "publish", "['q', ['b']]", "[2, 1]");
    assert_string_equal(door_pushed(f, A), "");
    door_close(f, A);
    check(f, B, "receive", "['q', {'max': 2}]", "[[R1, 1, 1, b'a'], [R2, 2, 1, b'b']]");
}

/* The end of a connection ends its consumers and waiters; what it held goes back, charged if it was written. */
static void test_the_end_of_a_session(void **state)
{
    struct fixture *f = *state;

    check(f, B, "queue.create", "['q', {'max_attempts': 2}]", "{'created': true}");
    check(f, B, "publish", "['q', ['a']]", "[1, 1]");
    check(f, A, "consume", "['q']", "1");
    (void)door_ask(f, A, "receive", "['q', {'wait': 1000}]");
    assert_int_equal(f->broker.taker_count, 2);
    door_close(f, A);
    assert_int_equal(f->broker.taker_count, 0);
    check(f, B, "receive", "['q']", "[[R2, 1, 2, b'a']]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, door_setup, door_teardown)
        TEST(test_values_of_no_shape_end_the_session),
        TEST(test_bytes_that_make_no_sense_end_the_session),
        TEST(test_what_is_ignored),
        TEST(test_requests_for_no_method),
        TEST(test_msgids),
        TEST(test_too_many_elements),
        TEST(test_a_long_answer_that_nobody_gets),
        TEST(test_bytes_one_at_a_time),
        TEST(test_the_budget_of_requests),
        TEST(test_memory_of_a_session),
        TEST(test_refusals),
        TEST(test_nothing_is_delivered_after_the_last_words),
        TEST(test_the_end_of_a_session),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
