/* A lost connection that is made anew: nothing is sent twice, nothing is forgotten, and the caller hears of it all. */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Everything that the callbacks have seen, in order, as words. */
struct story {
    char text[2000];
    struct ringmq_unconfirmed *lost[10];
    int lost_count;
    bool close_when_waiting;
};

static void __attribute__((format(printf, 2, 3))) tell(struct story *story, const char *format, ...)
{
    size_t used = strlen(story->text);
    va_list args;
    va_start(args, format);
    if (used > 0)
        story->text[used++] = ' ';
    vsnprintf(story->text + used, sizeof(story->text) - used, format, args);
    va_end(args);
}

static void story_state_cb(struct ringmq *conn, enum ringmq_state state, void *arg)
{
    static const char *names[] = {"CLOSED", "CONNECTING", "READY", "WAITING"};
    struct story *story = arg;
    tell(story, "%s", names[state]);
    if (state == RINGMQ_WAITING && story->close_when_waiting)
        ringmq_close(conn);
}

static void story_unconfirmed_cb(struct ringmq *conn, struct ringmq_unconfirmed *publish, void *arg)
{
    struct story *story = arg;
    struct ringmq_bytes queue = ringmq_value_bytes(ringmq_unconfirmed_queue(publish));
    char *messages = peer_value_text(ringmq_unconfirmed_messages(publish));
    tell(story, "lost:%.*s:%s%s", (int)queue.bytes, queue.data, messages,
         ringmq_unconfirmed_sent(publish) ? "" : ":unsent");
    free(messages);
    story->lost[story->lost_count++] = publish;
    assert_int_equal(ringmq_resend(conn, publish, NULL, NULL), RINGMQ_ERR_CLOSED);
}

static void story_answer_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    (void)conn;
    tell(arg, "answer:%d", answer->status);
}

static void story_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct ringmq_delivery d;
    (void)conn;
    while (ringmq_next_delivery(deliveries, &d))
        tell(arg, "%llu:%.*s", (unsigned long long)consumer, (int)d.body_bytes, (const char *)d.body);
}

static void story_cancelled_cb(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg)
{
    (void)conn;
    tell(arg, "%llu!%s", (unsigned long long)consumer, reason);
}

struct fixture {
    struct peer peer;
    struct ringmq *conn;
    struct story story;
    struct ringmq_consume_options consume;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.story = (struct story){0};
    fixture.consume = (struct ringmq_consume_options){
        .deliver_cb = story_deliver_cb, .cancelled_cb = story_cancelled_cb, .arg = &fixture.story};
    peer_open(&fixture.peer);
    struct ringmq_options options = {
        .reconnect = true,
        .reconnect_min_ms = 1,
        .reconnect_max_ms = 4,
        .state_cb = story_state_cb,
        .unconfirmed_cb = story_unconfirmed_cb,
        .arg = &fixture.story,
    };
    fixture.conn = peer_ready_client(&fixture.peer, &options);
    fixture.story.text[0] = '\0';
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ringmq_free(f->conn); /* may hand back more */
    for (int i = 0; i < f->story.lost_count; i++)
        ringmq_unconfirmed_free(f->story.lost[i]);
    peer_close(&f->peer);
    return 0;
}

static void poll_until(struct fixture *f, enum ringmq_state state)
{
    while (ringmq_state(f->conn) != state)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
}

/* Loses the connection and has it made anew. */
static void reconnect(struct fixture *f)
{
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    poll_until(f, RINGMQ_CONNECTING);
    peer_greet(&f->peer, f->conn);
}

static void assert_story(struct fixture *f, const char *text)
{
    assert_string_equal(f->story.text, text);
    f->story.text[0] = '\0';
}

static uint64_t consume(struct fixture *f, const char *queue, const char *server_id)
{
    uint64_t consumer = 0;
    peer_answers(&f->peer, server_id);
    assert_int_equal(ringmq_consume(f->conn, queue, &f->consume, &consumer, 0), RINGMQ_OK);
    peer_hears_call(&f->peer);
    return consumer;
}

static void a_lost_connection_is_made_anew_and_says_so(void **state)
{
    struct fixture *f = *state;
    reconnect(f);
    assert_story(f, "WAITING CONNECTING READY");
    peer_answers(&f->peer, "\"pong\"");
    assert_int_equal(ringmq_ping(f->conn, 0), RINGMQ_OK);
}

static void while_there_is_no_connection_nothing_can_be_sent(void **state)
{
    struct fixture *f = *state;
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    assert_int_equal(ringmq_fd(f->conn), -1);
    assert_in_range(ringmq_next_timeout_ms(f->conn), 0, 4);
    assert_int_equal(ringmq_send(f->conn, "ping", NULL, NULL, NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_notify(f->conn, "ping", NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_process(f->conn, false, false), RINGMQ_OK);
}

static void blocking_calls_wait_for_the_new_connection(void **state)
{
    struct fixture *f = *state;
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    poll_until(f, RINGMQ_CONNECTING);
    /* Nobody answers its hello, so the call does not get as far as being sent. */
    assert_int_equal(ringmq_ping(f->conn, 5), RINGMQ_ERR_TIMEOUT);
    peer_accept(&f->peer);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_non_null(strstr(peer_hears(&f->peer), "\"hello\""));
    peer_hears_nothing(&f->peer);
    peer_says(&f->peer, "[1, 257, nil, %s]", PEER_HELLO);
    assert_int_equal(ringmq_state(f->conn), RINGMQ_CONNECTING);
    assert_int_equal(ringmq_ping(f->conn, 5), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_state(f->conn), RINGMQ_READY);
    assert_string_equal(peer_hears_call(&f->peer), "\"ping\", []");
}

static void pending_calls_complete_as_closed_and_are_not_sent_again(void **state)
{
    struct fixture *f = *state;
    int64_t kept = ringmq_send(f->conn, "ping", NULL, NULL, NULL);
    ringmq_send(f->conn, "queue.list", NULL, story_answer_cb, &f->story);
    int64_t forgotten = ringmq_send(f->conn, "receive", NULL, NULL, NULL);
    ringmq_forget(f->conn, forgotten);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    reconnect(f);
    assert_story(f, "answer:-7 WAITING CONNECTING READY");
    assert_int_equal(ringmq_wait(f->conn, kept, 0, NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_wait(f->conn, kept, 0, NULL), RINGMQ_ERR_ARGUMENT);
    peer_hears_nothing(&f->peer);
}

static void a_blocking_call_that_loses_its_connection_returns_closed(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message message = {.body = "b", .body_bytes = 1};
    peer_sends(&f->peer, "\xc1", 1);
    assert_int_equal(ringmq_publish(f->conn, "q", &message, 1, NULL, NULL, 0), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_state(f->conn), RINGMQ_WAITING);
    /* Its caller has the message: it is not handed back a second time. */
    assert_story(f, "WAITING");
}

static void unconfirmed_publishes_are_handed_back_in_order(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message messages[] = {
        {.body = "1", .body_bytes = 1},
        {.body = "2", .body_bytes = 1, .group = "g"},
        {.body = "3", .body_bytes = 1},
        {.body = "4", .body_bytes = 1},
    };
    const struct ringmq_publish_options atomic = {.atomic = true};
    int tag;
    int64_t first = ringmq_send_publish(f->conn, "a", messages, 2, NULL, story_answer_cb, &f->story);
    int64_t second = ringmq_send_publish(f->conn, "b", messages + 2, 1, &atomic, story_answer_cb, &f->story);
    peer_says(&f->peer, "[1, %lld, nil, [1, 2]]", (long long)first);
    while (ringmq_in_flight(f->conn) > 1)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    int64_t third = ringmq_send_publish(f->conn, "c", messages, 2, NULL, NULL, &tag);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_story(f, "answer:0");
    for (int i = 0; i < 3; i++)
        peer_hears_call(&f->peer);
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    assert_story(f, "lost:b:[#\"3\"] answer:-7 lost:c:[#\"1\", [#\"2\", {\"group\": \"g\"}]] WAITING");
    assert_int_equal(ringmq_unconfirmed_token(f->story.lost[0]), second);
    assert_ptr_equal(ringmq_unconfirmed_arg(f->story.lost[0]), &f->story);
    assert_int_equal(ringmq_unconfirmed_token(f->story.lost[1]), third);
    assert_ptr_equal(ringmq_unconfirmed_arg(f->story.lost[1]), &tag);

    /* The caller decides to send one of them again. */
    poll_until(f, RINGMQ_CONNECTING);
    peer_greet(&f->peer, f->conn);
    peer_hears_nothing(&f->peer);
    int64_t again = ringmq_resend(f->conn, f->story.lost[0], story_answer_cb, &f->story);
    assert_true(again > 0);
    f->story.text[0] = '\0';
    peer_says(&f->peer, "[1, %lld, nil, [9, 1]]", (long long)again);
    while (ringmq_in_flight(f->conn) > 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"publish\", [\"b\", [#\"3\"], {\"atomic\": true}]");
    assert_story(f, "answer:0");
}

/* What was sent to a topic, and a commit, come back like a publish, and go again by their own method. */
static void unconfirmed_topic_publishes_and_commits_are_handed_back(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message message = {.body = "1", .body_bytes = 1};
    const uint64_t receipt = 7;
    struct ringmq_transaction *transaction = ringmq_transaction_new();
    ringmq_transaction_publish(transaction, "q", &message, 1);
    ringmq_transaction_ack(transaction, &receipt, 1);
    assert_true(ringmq_send_topic_publish(f->conn, "t", "a.b", &message, 1, NULL, story_answer_cb, &f->story) > 0);
    assert_true(ringmq_send_commit(f->conn, transaction, story_answer_cb, &f->story) > 0);
    ringmq_transaction_free(transaction);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    peer_hears_call(&f->peer);
    peer_hears_call(&f->peer);
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    assert_string_equal(ringmq_unconfirmed_method(f->story.lost[0]), "topic.publish");
    assert_string_equal(ringmq_unconfirmed_method(f->story.lost[1]), "commit");
    assert_int_equal(ringmq_value_type(ringmq_unconfirmed_queue(f->story.lost[0])), RINGMQ_NONE);
    char *text = peer_value_text(ringmq_unconfirmed_params(f->story.lost[0]));
    assert_string_equal(text, "[\"t\", \"a.b\", [#\"1\"]]");
    free(text);

    poll_until(f, RINGMQ_CONNECTING);
    peer_greet(&f->peer, f->conn);
    assert_true(ringmq_resend(f->conn, f->story.lost[0], story_answer_cb, &f->story) > 0);
    assert_true(ringmq_resend(f->conn, f->story.lost[1], story_answer_cb, &f->story) > 0);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"topic.publish\", [\"t\", \"a.b\", [#\"1\"]]");
    assert_string_equal(peer_hears_call(&f->peer), "\"commit\", [{\"publish\": [[\"q\", [#\"1\"]]], \"ack\": [7]}]");
}

static void a_publish_that_never_left_is_known_not_to_be_stored(void **state)
{
    enum { BODY = 400000 };
    struct fixture *f = *state;
    char *body = calloc(1, BODY);
    const struct ringmq_message message = {.body = body, .body_bytes = BODY};
    /* One that leaves whole, one that does not fit into the socket's buffers, one behind it. */
    const struct ringmq_message small = {.body = "s", .body_bytes = 1};
    assert_true(ringmq_send_publish(f->conn, "q", &small, 1, NULL, NULL, NULL) > 0);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    for (int i = 0; i < 2; i++)
        assert_true(ringmq_send_publish(f->conn, "q", &message, 1, NULL, NULL, NULL) > 0);
    assert_int_equal(ringmq_process(f->conn, false, true), RINGMQ_OK);
    assert_true(ringmq_wants_write(f->conn));
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    assert_int_equal(f->story.lost_count, 3);
    assert_true(ringmq_unconfirmed_sent(f->story.lost[0]));
    assert_false(ringmq_unconfirmed_sent(f->story.lost[1]));
    assert_false(ringmq_unconfirmed_sent(f->story.lost[2]));
    struct ringmq_value messages = ringmq_unconfirmed_messages(f->story.lost[1]);
    assert_int_equal(ringmq_value_bytes(ringmq_value_item(messages, 0)).bytes, BODY);
    free(body);
}

static void unconfirmed_publishes_are_handed_back_at_a_close_too(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message message = {.body = "b", .body_bytes = 1};
    assert_true(ringmq_send_publish(f->conn, "q", &message, 1, NULL, NULL, NULL) > 0);
    ringmq_close(f->conn);
    assert_story(f, "lost:q:[#\"b\"]:unsent CLOSED");
}

static void consumers_are_subscribed_again_and_keep_their_numbers(void **state)
{
    struct fixture *f = *state;
    f->consume.prefetch = 7;
    assert_int_equal(consume(f, "a", "1"), 1);
    assert_int_equal(consume(f, "b", "2"), 2);
    assert_int_equal(consume(f, "c", "3"), 3);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_credit(f->conn, 2, 50, 0), RINGMQ_OK);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_cancel(f->conn, 1, 0), RINGMQ_OK);
    reconnect(f);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    const char *call = peer_hears(&f->peer);
    assert_non_null(strstr(call, "\"consume\", [\"b\", {\"prefetch\": 50}]"));
    peer_says(&f->peer, "[1, %ld, nil, 3]", strtol(call + 4, NULL, 10));
    call = peer_hears(&f->peer);
    assert_non_null(strstr(call, "\"consume\", [\"c\", {\"prefetch\": 7}]"));
    peer_says(&f->peer, "[1, %ld, nil, 8]", strtol(call + 4, NULL, 10));
    peer_hears_nothing(&f->peer);
    /* 3 was the number of the other one on the old connection. */
    peer_says(&f->peer, "[2, \"deliver\", [3, [[1, 1, 1, #\"b\"]]]]");
    peer_says(&f->peer, "[2, \"deliver\", [8, [[2, 1, 1, #\"c\"]]]]");
    f->story.text[0] = '\0';
    while (strlen(f->story.text) < strlen("2:b 3:c"))
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_story(f, "2:b 3:c");
}

static void a_consumer_that_can_not_be_subscribed_again_hears_why(void **state)
{
    struct fixture *f = *state;
    consume(f, "a", "1");
    reconnect(f);
    peer_refuses(&f->peer, "[\"QUEUE_NOT_FOUND\", \"no such queue\"]");
    while (ringmq_in_flight(f->conn) > 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_story(f, "WAITING CONNECTING READY 1!QUEUE_NOT_FOUND");
    /* It does not come back with the next connection. */
    reconnect(f);
    peer_hears_nothing(&f->peer);
}

static void a_server_that_drains_keeps_its_consumers_for_the_next_connection(void **state)
{
    struct fixture *f = *state;
    consume(f, "a", "1");
    peer_says(&f->peer, "[2, \"cancelled\", [1, \"draining\"]]");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_credit(f->conn, 1, 9, 0), RINGMQ_ERR_CLOSED);
    /* The first one to answer still drains, the next one does not. */
    reconnect(f);
    peer_refuses(&f->peer, "[\"DRAINING\", \"later\", {\"retry\": true}]");
    while (ringmq_in_flight(f->conn) > 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    reconnect(f);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"consume\", [\"a\", {\"prefetch\": 9}]");
    peer_answers(&f->peer, "77");
    peer_says(&f->peer, "[2, \"deliver\", [77, [[1, 1, 1, #\"on\"]]]]");
    f->story.text[0] = '\0';
    while (f->story.text[0] == '\0')
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_story(f, "1:on");
}

static void a_consumer_cancelled_while_there_is_no_connection_stays_away(void **state)
{
    struct fixture *f = *state;
    consume(f, "a", "1");
    consume(f, "b", "2");
    /* One cancel is lost on its way, the other is made while there is nothing to send it on. */
    assert_true(ringmq_send_cancel(f->conn, 1, NULL, NULL) > 0);
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    assert_int_equal(ringmq_send_cancel(f->conn, 2, NULL, NULL), RINGMQ_ERR_CLOSED);
    poll_until(f, RINGMQ_CONNECTING);
    peer_greet(&f->peer, f->conn);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    peer_hears_nothing(&f->peer);
}

static void a_consume_that_was_not_answered_is_not_subscribed_again(void **state)
{
    struct fixture *f = *state;
    assert_true(ringmq_send_consume(f->conn, "a", &f->consume, NULL, story_answer_cb, &f->story) > 0);
    reconnect(f);
    assert_story(f, "answer:-7 WAITING CONNECTING READY");
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    peer_hears_nothing(&f->peer);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Loses the connection, and waits for the next attempt, whose pause must be from half of `longest_ms` to all of it. */
static void assert_pause(struct peer *peer, struct ringmq *conn, int longest_ms)
{
    int64_t before_ms = now_ms();
    peer_hangs_up(peer);
    while (ringmq_state(conn) != RINGMQ_WAITING)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    assert_in_range(ringmq_next_timeout_ms(conn), 0, longest_ms);
    while (ringmq_state(conn) == RINGMQ_WAITING)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    assert_true(now_ms() - before_ms >= longest_ms / 2);
}

static void pauses_grow_up_to_their_bound_and_start_anew_after_success(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq_options options = {.reconnect = true, .reconnect_min_ms = 8, .reconnect_max_ms = 20};
    struct ringmq *conn = peer_ready_client(&peer, &options);
    static const int longest_ms[] = {8, 16, 20, 20};
    for (int attempt = 0; attempt < 4; attempt++) {
        assert_pause(&peer, conn, longest_ms[attempt]);
        peer_accept(&peer);
    }
    assert_pause(&peer, conn, 20);
    peer_greet(&peer, conn);
    assert_pause(&peer, conn, 8);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_refusal_that_can_not_change_ends_the_attempts(void **state)
{
    struct fixture *f = *state;
    peer_hangs_up(&f->peer);
    poll_until(f, RINGMQ_WAITING);
    poll_until(f, RINGMQ_CONNECTING);
    peer_accept(&f->peer);
    peer_says(&f->peer, "[1, 257, [\"NOT_ALLOWED\", \"no longer\"], nil]");
    int status = RINGMQ_OK;
    while (status == RINGMQ_OK)
        status = ringmq_poll(f->conn, 1000);
    assert_int_equal(status, RINGMQ_ERR_SERVER);
    assert_story(f, "WAITING CONNECTING CLOSED");
}

static void a_close_while_waiting_is_final(void **state)
{
    struct fixture *f = *state;
    consume(f, "a", "1");
    f->story.close_when_waiting = true;
    peer_hangs_up(&f->peer);
    int status = RINGMQ_OK;
    while (status == RINGMQ_OK)
        status = ringmq_poll(f->conn, 1000);
    assert_int_equal(status, RINGMQ_ERR_CLOSED);
    assert_story(f, "WAITING CLOSED");
    assert_int_equal(ringmq_next_timeout_ms(f->conn), -1);
    assert_int_equal(ringmq_cancel(f->conn, 1, 0), RINGMQ_ERR_ARGUMENT);
}

static void without_the_option_a_lost_connection_stays_lost(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    peer_hangs_up(&peer);
    int status = RINGMQ_OK;
    while (status == RINGMQ_OK)
        status = ringmq_poll(conn, 1000);
    assert_int_equal(status, RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    ringmq_free(conn);
    peer_close(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_connection_is_made_anew_and_says_so),
        TEST(while_there_is_no_connection_nothing_can_be_sent),
        TEST(blocking_calls_wait_for_the_new_connection),
        TEST(pending_calls_complete_as_closed_and_are_not_sent_again),
        TEST(a_blocking_call_that_loses_its_connection_returns_closed),
        TEST(unconfirmed_publishes_are_handed_back_in_order),
        TEST(unconfirmed_topic_publishes_and_commits_are_handed_back),
        TEST(a_publish_that_never_left_is_known_not_to_be_stored),
        TEST(unconfirmed_publishes_are_handed_back_at_a_close_too),
        TEST(consumers_are_subscribed_again_and_keep_their_numbers),
        TEST(a_consumer_that_can_not_be_subscribed_again_hears_why),
        TEST(a_server_that_drains_keeps_its_consumers_for_the_next_connection),
        TEST(a_consumer_cancelled_while_there_is_no_connection_stays_away),
        TEST(a_consume_that_was_not_answered_is_not_subscribed_again),
        cmocka_unit_test(pauses_grow_up_to_their_bound_and_start_anew_after_success),
        TEST(a_refusal_that_can_not_change_ends_the_attempts),
        TEST(a_close_while_waiting_is_final),
        cmocka_unit_test(without_the_option_a_lost_connection_stays_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
