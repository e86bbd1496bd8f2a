/* The native door's deliveries: receive and consume, what is pushed, and what becomes of what could not be written. */
#include "tests/support/native_door.h"

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

static uint64_t count(struct fixture *f, enum message_state state)
{
    return queue_count(broker_queue_find(&f->broker, "q", 1), state);
}

/* ---- receive ----------------------------------------------------------------------------------------------------- */

/* One message without max, else up to max; none is an empty list. */
static void test_receive_takes_what_is_there(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', ['a', 'b', 'c']]", "[1, 3]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'a']]");
    check(f, A, "receive", "['q', {'max': 5}]", "[[R2, 2, 1, b'b'], [R3, 3, 1, b'c']]");
    check(f, A, "receive", "['q', {'max': 5}]", "[]");
    door_wait_ms(f, 30000);
    check(f, A, "receive", "['q', {'max': 5, 'wait': 0, 'visibility': 10}]",
          "[[R4, 1, 2, b'a'], [R5, 2, 2, b'b'], [R6, 3, 2, b'c']]");
}

/* A receive that waits is answered by the publish, after what was asked behind it. */
static void test_a_long_poll_is_answered_later(void **state)
{
    struct fixture *f = *state;

    const uint32_t poll = door_ask(f, A, "receive", "['q', {'wait': 1000}]");
    check(f, A, "ping", "[]", "'pong'");
    assert_string_equal(door_answer(f, A, poll), "");
    check(f, B, "publish", "['q', ['a']]", "[1, 1]");
    assert_string_equal(door_answer(f, A, poll), "[[R1, 1, 1, b'a']]");
    assert_int_equal(f->clients[A].touched_count, 1);
    assert_int_equal(f->clients[B].touched_count, 0);
}

/* It is answered with an empty list when its time is over, and with an error when its queue is deleted. */
static void test_a_long_poll_that_gets_nothing(void **state)
{
    struct fixture *f = *state;

    const uint32_t first = door_ask(f, A, "receive", "['q', {'wait': 1000}]");
    const uint32_t second = door_ask(f, A, "receive", "['q', {'wait': 20000}]");
    door_wait_ms(f, 999);
    assert_string_equal(door_answer(f, A, first), "");
    door_wait_ms(f, 1);
    assert_string_equal(door_answer(f, A, first), "[]");
    check(f, B, "queue.delete", "['q']", "0");
    assert_string_equal(door_answer(f, A, second), "! ['QUEUE_NOT_FOUND', ...]");
    assert_int_equal(f->door.counters.error_answers, 1);
}

/* What is out of range is refused with the name of the option or the limit. */
static void test_errors_of_receive(void **state)
{
    struct fixture *f = *state;

    check(f, A, "receive", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "receive", "['q', {'max': 0}]", "! ['BAD_REQUEST', ..., {'key': 'max'}]");
    check(f, A, "receive", "['q', {'max': 1001}]", "! ['LIMIT', ..., {'which': 'max_batch'}]");
    check(f, A, "receive", "['q', {'wait': 20001}]", "! ['LIMIT', ..., {'which': 'max_wait'}]");
    check(f, A, "receive", "['q', {'visibility': 0}]", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]");
    check(f, A, "receive", "['q', {'visibility': 43200001}]", "! ['LIMIT', ..., {'which': 'max_hold'}]");
    for (int i = 0; i < LIMIT_WAITERS; i++)
        (void)door_ask(f, A, "receive", "['q', {'wait': 20000}]");
    check(f, A, "receive", "['q', {'wait': 20000}]", "! ['LIMIT', ..., {'which': 'max_waiters'}]");
    check(f, A, "config.set", "['draining', 'true']", "true");
    check(f, B, "receive", "['q']", "! ['DRAINING', ..., {'retry': true}]");
}

/* ---- consume ----------------------------------------------------------------------------------------------------- */

/* The answer comes first, then up to prefetch messages in one notification, and more as they are settled. */
static void test_a_consumer_is_pushed_messages(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', ['a', ['b', {'group': 'g'}], 'c']]", "[1, 3]");
    const uint32_t msgid = door_ask(f, B, "consume", "['q', {'prefetch': 2}]");
    assert_string_equal(door_pushed(f, B), "");
    door_turn(f);
    assert_string_equal(door_answer(f, B, msgid), "1");
    assert_string_equal(door_pushed(f, B), "deliver [1, [[R1, 1, 1, b'a'], [R2, 2, 1, b'b', {'group': 'g'}]]]\n");
    check(f, B, "ack", "[[R1]]", "1");
    assert_string_equal(door_pushed(f, B), "deliver [1, [[R3, 3, 1, b'c']]]\n");
}

/* Without a prefetch the server's applies; 0 is a consumer that gets nothing until credit. */
static void test_prefetch_and_credit(void **state)
{
    struct fixture *f = *state;

    check(f, A, "config.set", "['prefetch', 1]", "true");
    check(f, A, "publish", "['q', ['a', 'b']]", "[1, 2]");
    check(f, A, "consume", "['q']", "1");
    assert_string_equal(door_pushed(f, A), "deliver [1, [[R1, 1, 1, b'a']]]\n");
    check(f, B, "consume", "['q', {'prefetch': 0}]", "1");
    assert_string_equal(door_pushed(f, B), "");
    check(f, B, "credit", "[1, 5]", "true");
    assert_string_equal(door_pushed(f, B), "deliver [1, [[R2, 2, 1, b'b']]]\n");
    check(f, B, "credit", "[2, 5]", "! ['CONSUMER_NOT_FOUND', ...]");
    check(f, B, "credit", "[1, 1000001]", "! ['LIMIT', ..., {'which': 'max_prefetch'}]");
}

/* After the answer to cancel nothing is delivered; the queue's end cancels, too. */
static void test_cancel_and_cancelled(void **state)
{
    struct fixture *f = *state;

    check(f, A, "consume", "['q', {'visibility': 500}]", "1");
    check(f, A, "consume", "['q', {'ack': 'manual'}]", "2");
    check(f, A, "cancel", "[1]", "true");
    check(f, A, "cancel", "[1]", "! ['CONSUMER_NOT_FOUND', ...]");
    check(f, B, "publish", "['q', ['a', 'b']]", "[1, 2]");
    assert_string_equal(door_pushed(f, A), "deliver [2, [[R1, 1, 1, b'a'], [R2, 2, 1, b'b']]]\n");
    check(f, B, "queue.delete", "['q']", "2");
    assert_string_equal(door_pushed(f, A), "cancelled [2, 'queue_deleted']\n");
}

/* Options out of range are refused and leave no consumer. */
static void test_errors_of_consume(void **state)
{
    struct fixture *f = *state;

    check(f, A, "consume", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
    check(f, A, "consume", "['q', {'ack': 'never'}]", "! ['BAD_REQUEST', ..., {'key': 'ack'}]");
    check(f, A, "consume", "['q', {'prefetch': 1000001}]", "! ['LIMIT', ..., {'which': 'max_prefetch'}]");
    check(f, A, "consume", "['q', {'visibility': 0}]", "! ['BAD_REQUEST', ..., {'key': 'visibility'}]");
    check(f, A, "consume", "['q', {'visibility': 43200001}]", "! ['LIMIT', ..., {'which': 'max_hold'}]");
    check(f, A, "consume", "['q', {'priority': 10}]", "! ['BAD_REQUEST', ..., {'key': 'priority'}]");
    assert_int_equal(f->broker.taker_count, 0);
    for (int i = 0; i < LIMIT_CONSUMERS; i++)
        (void)door_ask(f, A, "consume", "['q']");
    check(f, A, "consume", "['q']", "! ['LIMIT', ..., {'which': 'max_consumers'}]");
}

/* receive and consume make no sense without an answer: as notifications they do nothing. */
static void test_as_notifications_they_are_ignored(void **state)
{
    struct fixture *f = *state;

    check(f, A, "publish", "['q', ['a']]", "[1, 1]");
    door_notify(f, A, "receive", "['q']");
    door_notify(f, A, "consume", "['q']");
    door_turn(f);
    assert_int_equal(count(f, MESSAGE_READY), 1);
    assert_int_equal(f->broker.taker_count, 0);
    assert_int_equal(f->door.counters.ignored, 2);
    assert_int_equal(f->door.counters.notifications, 0);
}

/* ---- written and not written ------------------------------------------------------------------------------------- */

/* With ack auto a message is gone when its last byte has been written, not before. */
static void test_ack_auto_settles_what_has_been_written(void **state)
{
    struct fixture *f = *state;
    struct client *a = &f->clients[A];

    check(f, A, "consume", "['q', {'ack': 'auto'}]", "1");
    a->stuck = true;
    check(f, B, "publish", "['q', ['aaaa', 'bbbb', 'cccc']]", "[1, 3]");
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 3);
    /* The head of the notification is [2, "deliver", [1, [: 13 bytes; each delivery takes 18. */
    assert_int_equal(buffer_pending(&a->out), 13 + 3 * 18);
    door_write(f, A, 13 + 17);
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 3);
    door_write(f, A, 1);
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 2);
    door_write(f, A, 30);
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 1);
    door_write(f, A, SIZE_MAX);
    assert_int_equal(queue_total(broker_queue_find(&f->broker, "q", 1)), 0);
    assert_int_equal(f->broker.counters.acked, 3);
}

/* A connection ends with bytes unwritten: what never left goes back uncharged, what left stays charged. */
static void test_what_was_not_written_goes_back_uncharged(void **state)
{
    struct fixture *f = *state;

    check(f, A, "consume", "['q']", "1");
    f->clients[A].stuck = true;
    check(f, B, "publish", "['q', ['aaaa', 'bbbb', 'cccc']]", "[1, 3]");
    door_write(f, A, 13 + 18 + 17);
    door_close(f, A);
    assert_int_equal(count(f, MESSAGE_READY), 3);
    check(f, B, "receive", "['q', {'max': 3}]", "[[R1, 1, 2, b'aaaa'], [R2, 2, 1, b'bbbb'], [R3, 3, 1, b'cccc']]");
}

/* The same for ack auto: the written one is gone, the others go back. */
static void test_ack_auto_and_the_end_of_a_connection(void **state)
{
    struct fixture *f = *state;

    check(f, A, "consume", "['q', {'ack': 'auto'}]", "1");
    f->clients[A].stuck = true;
    check(f, B, "publish", "['q', ['aaaa', 'bbbb', 'cccc']]", "[1, 3]");
    door_write(f, A, 13 + 18 + 17);
    door_close(f, A);
    check(f, B, "receive", "['q', {'max': 3}]", "[[R1, 2, 1, b'bbbb'], [R2, 3, 1, b'cccc']]");
}

/* What a receive took and has been written stays with whoever knows the receipt; what was not written goes back. */
static void test_a_receive_and_the_end_of_a_connection(void **state)
{
    struct fixture *f = *state;

    check(f, B, "publish", "['q', ['aaaa', 'bbbb']]", "[1, 2]");
    check(f, A, "receive", "['q']", "[[R1, 1, 1, b'aaaa']]");
    f->clients[A].stuck = true;
    (void)door_ask(f, A, "receive", "['q']");
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 2);
    door_close(f, A);
    assert_int_equal(count(f, MESSAGE_INFLIGHT), 1);
    check(f, B, "receive", "['q', {'max': 3}]", "[[R2, 2, 1, b'bbbb']]");
    check(f, B, "ack", "[[R1, R2]]", "2");
}

/* The accounting of written bytes holds through thousands of deliveries, large bodies and odd cuts. */
static void test_written_bytes_are_accounted_exactly(void **state)
{
    struct fixture *f = *state;
    struct client *a = &f->clients[A];

    check(f, A, "consume", "['q', {'ack': 'auto', 'prefetch': 5000}]", "1");
    a->stuck = true;
    for (int i = 0; i < 100; i++)
        check(f, B, "publish",
              i % 10 == 0 ? "['q', ['a', b'x'*9000, ['b', {'group': 'g'}]]]" : "['q', ['a', b'x'*100, 'c']]",
              (snprintf(f->killed, sizeof f->killed, "[%d, 3]", 3 * i + 1), f->killed));
    while (buffer_pending(&a->out) > 0) {
        door_write(f, A, 997);
        struct queue *q = broker_queue_find(&f->broker, "q", 1);
        /* Whatever cut: what has been written whole is gone, and the next one is not. */
        const struct ring_cursor first = ring_first(q->messages, MESSAGE_INFLIGHT, 0);
        assert_int_equal(queue_total(q), first.page != NULL ? 301 - ring_key(first) : 0);
        assert_true(first.page != NULL || buffer_pending(&a->out) == 0);
    }
    assert_int_equal(f->broker.counters.acked, 300);
}

/* Bodies of MESSAGE_SHARE_BYTES and more are referenced, not copied, and outlive their message. */
static void test_large_bodies_are_referenced(void **state)
{
    struct fixture *f = *state;
    struct client *a = &f->clients[A];

    check(f, B, "publish", "['q', [b'x'*8191, b'y'*8192]]", "[1, 2]");
    a->stuck = true;
    const uint32_t msgid = door_ask(f, A, "receive", "['q', {'max': 2}]");
    assert_int_equal(a->out.splice_count, 1);
    assert_int_equal(a->out.spliced_bytes, 8192);
    check(f, B, "queue.purge", "['q']", "2");
    door_write(f, A, SIZE_MAX);
    assert_string_equal(door_answer(f, A, msgid), "[[R1, 1, 1, b'x'*8191], [R2, 2, 1, b'y'*8192]]");
}

/* ---- slow peers -------------------------------------------------------------------------------------------------- */

/* A peer whose output is full is passed over; others get the messages, and it goes on when it has read. */
static void test_a_slow_peer_is_passed_over(void **state)
{
    struct fixture *f = *state;

    f->options.max_output = 10000;
    door_close(f, A);
    door_connect(f, A);
    check(f, A, "consume", "['q', {'prefetch': 1000}]", "1");
    f->clients[A].stuck = true;
    for (int i = 0; i < 30; i++)
        door_notify(f, B, "publish", "['q', [b'x'*1000]]");
    door_turn(f);
    const uint64_t held = count(f, MESSAGE_INFLIGHT);
    assert_in_range(held, 8, 11);
    check(f, B, "consume", "['q', {'prefetch': 5}]", "1");
    assert_int_equal(count(f, MESSAGE_INFLIGHT), held + 5);
    door_write(f, A, SIZE_MAX);
    f->clients[A].stuck = false;
    door_turn(f);
    assert_int_equal(count(f, MESSAGE_READY), 0);
}

/* While more than max_output is pending no request of that connection is handled. */
static void test_requests_of_a_slow_peer_wait(void **state)
{
    static const uint8_t ping[] = "\x94\x00\x63\xa4ping\x90";
    struct fixture *f = *state;
    struct client *a = &f->clients[A];

    f->options.max_output = 1000;
    a->stuck = true;
    check(f, B, "publish", "['q', [b'x'*2000]]", "[1, 1]");
    (void)door_ask(f, A, "peek", "['q']");
    assert_true(buffer_pending(&a->out) > 1000);
    assert_int_equal(door_input(f, A, ping, sizeof ping - 1), 0);
    door_write(f, A, SIZE_MAX);
    assert_int_equal(door_input(f, A, ping, sizeof ping - 1), sizeof ping - 1);
    door_write(f, A, SIZE_MAX);
    assert_string_equal(door_answer(f, A, 99), "'pong'");
}

/* When the out buffer fails the session is ending, and what could not be stored goes back uncharged. */
static void test_a_failed_buffer_ends_the_session(void **state)
{
    struct fixture *f = *state;

    check(f, A, "consume", "['q']", "1");
    f->clients[A].stuck = true;
    f->clients[A].out.failed = true;
    assert_true(session_ending(f->clients[A].session));
    check(f, B, "publish", "['q', ['a']]", "[1, 1]");
    door_close(f, A);
    check(f, B, "receive", "['q']", "[[R1, 1, 1, b'a']]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
        TEST(test_receive_takes_what_is_there),
        TEST(test_a_long_poll_is_answered_later),
        TEST(test_a_long_poll_that_gets_nothing),
        TEST(test_errors_of_receive),
        TEST(test_a_consumer_is_pushed_messages),
        TEST(test_prefetch_and_credit),
        TEST(test_cancel_and_cancelled),
        TEST(test_errors_of_consume),
        TEST(test_as_notifications_they_are_ignored),
        TEST(test_ack_auto_settles_what_has_been_written),
        TEST(test_what_was_not_written_goes_back_uncharged),
        TEST(test_ack_auto_and_the_end_of_a_connection),
        TEST(test_a_receive_and_the_end_of_a_connection),
        TEST(test_written_bytes_are_accounted_exactly),
        TEST(test_large_bodies_are_referenced),
        TEST(test_a_slow_peer_is_passed_over),
        TEST(test_requests_of_a_slow_peer_wait),
        TEST(test_a_failed_buffer_ends_the_session),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
