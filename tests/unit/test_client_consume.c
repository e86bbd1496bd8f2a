/* Consumers of the client: deliveries reach their callback, and nothing reaches a consumer that is gone. */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the callbacks of all consumers of a test have seen, in order: `consumer:body` and `consumer!reason`. */
struct log {
    char text[1000];
    bool close;
    bool cancel;
    bool add;
};

static void log_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg);

static void log_add(struct log *log, uint64_t consumer, char mark, const void *data, size_t bytes)
{
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof(log->text) - used, "%s%llu%c%.*s", used > 0 ? " " : "",
             (unsigned long long)consumer, mark, (int)bytes, (const char *)data);
}

static void log_cancelled_cb(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg)
{
    (void)conn;
    log_add(arg, consumer, '!', reason, strlen(reason));
}

static void log_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct log *log = arg;
    struct ringmq_delivery d;
    if (log->add) {
        /* Enough of them that the list has to move. */
        struct ringmq_consume_options options = {.deliver_cb = log_deliver_cb, .arg = arg};
        for (int i = 0; i < 20; i++)
            assert_true(ringmq_send_consume(conn, "more", &options, NULL, NULL, NULL) > 0);
        log->add = false;
    }
    while (ringmq_next_delivery(deliveries, &d))
        log_add(log, consumer, ':', d.body, d.body_bytes);
    if (log->cancel)
        assert_true(ringmq_send_cancel(conn, consumer, NULL, NULL) > 0);
    if (log->close)
        ringmq_close(conn);
    assert_int_equal(ringmq_cancel(conn, consumer, 0), RINGMQ_ERR_BUSY);
}

struct fixture {
    struct peer peer;
    struct ringmq *conn;
    struct log log;
    struct ringmq_consume_options options;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.log = (struct log){0};
    fixture.options = (struct ringmq_consume_options){
        .deliver_cb = log_deliver_cb, .cancelled_cb = log_cancelled_cb, .arg = &fixture.log};
    peer_open(&fixture.peer);
    fixture.conn = peer_ready_client(&fixture.peer, NULL);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ringmq_free(f->conn);
    peer_close(&f->peer);
    return 0;
}

/* A consumer that the server knows as `server_id`. */
static uint64_t consume(struct fixture *f, unsigned server_id)
{
    char id[20];
    uint64_t consumer = 0;
    snprintf(id, sizeof(id), "%u", server_id);
    peer_answers(&f->peer, id);
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, &consumer, 0), RINGMQ_OK);
    peer_hears_call(&f->peer);
    return consumer;
}

/* Has the client handle everything that has been said to it so far. */
static void settle(struct fixture *f)
{
    peer_answers(&f->peer, "\"pong\"");
    assert_int_equal(ringmq_ping(f->conn, 0), RINGMQ_OK);
    while (strcmp(peer_hears_call(&f->peer), "\"ping\", []") != 0)
        continue;
}

static void consume_sends_its_options(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = 0;
    f->options.prefetch = 10;
    f->options.auto_ack = true;
    f->options.visibility_ms = 5000;
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, &consumer, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"consume\", [\"q\", {\"prefetch\": 10, \"ack\": \"auto\", \"visibility\": 5000}]");
    f->options = (struct ringmq_consume_options){
        .deliver_cb = log_deliver_cb, .exclusive = true, .single_active = true, .priority = 9, .group_prefetch = 4};
    peer_answers(&f->peer, "8");
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"consume\", [\"q\", {\"exclusive\": true, "
                                                   "\"single_active\": true, \"priority\": 9, "
                                                   "\"group_prefetch\": 4}]");
    f->options = (struct ringmq_consume_options){.deliver_cb = log_deliver_cb};
    peer_answers(&f->peer, "2");
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"consume\", [\"q\"]");
    f->options.deliver_cb = NULL;
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_consume(f->conn, "q", NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
}

static void deliveries_reach_the_consumer_they_are_for(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(consume(f, 40), 1);
    assert_int_equal(consume(f, 30), 2);
    peer_says(&f->peer, "[2, \"deliver\", [30, [[1, 1, 1, #\"a\"], [2, 2, 1, #\"b\"]]]]");
    peer_says(&f->peer, "[2, \"deliver\", [40, [[3, 3, 1, #\"c\"]]]]");
    peer_says(&f->peer, "[2, \"deliver\", [40, []]]");
    peer_says(&f->peer, "[2, \"deliver\", [50, [[4, 4, 1, #\"nobody's\"]]]]");
    settle(f);
    assert_string_equal(f->log.text, "2:a 2:b 1:c");
}

static void deliveries_behind_the_answer_to_consume_in_the_same_bytes_are_not_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = 0;
    peer_answers(&f->peer, "7");
    peer_says(&f->peer, "[2, \"deliver\", [7, [[1, 1, 1, #\"early\"]]]]");
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, &consumer, 0), RINGMQ_OK);
    assert_string_equal(f->log.text, "");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_string_equal(f->log.text, "1:early");
}

static void deliveries_arrive_while_another_call_waits(void **state)
{
    struct fixture *f = *state;
    consume(f, 1);
    for (int i = 0; i < 3; i++)
        peer_says(&f->peer, "[2, \"deliver\", [1, [[%d, 1, 1, #\"%d\"]]]]", i + 1, i);
    peer_answers(&f->peer, "{\"name\": \"q\"}");
    struct ringmq_value info;
    assert_int_equal(ringmq_queue_info(f->conn, "q", &info, 0), RINGMQ_OK);
    assert_string_equal(f->log.text, "1:0 1:1 1:2");
    assert_true(ringmq_value_equals(ringmq_value_get(info, "name"), "q"));
}

static void a_refused_consume_leaves_no_consumer(void **state)
{
    struct fixture *f = *state;
    peer_refuses(&f->peer, "[\"QUEUE_NOT_FOUND\", \"no such queue\"]");
    uint64_t consumer = 99;
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, &consumer, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(f->conn), "QUEUE_NOT_FOUND");
    assert_int_equal(consumer, 99);
    assert_int_equal(ringmq_cancel(f->conn, 1, 0), RINGMQ_ERR_ARGUMENT);
}

static void a_consume_that_times_out_is_cancelled_when_it_is_answered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, NULL, 5), RINGMQ_ERR_TIMEOUT);
    peer_hears_call(&f->peer);
    peer_answers(&f->peer, "70");
    peer_says(&f->peer, "[2, \"deliver\", [70, [[1, 1, 1, #\"unwanted\"]]]]");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears(&f->peer), "[2, \"cancel\", [70]]");
    assert_string_equal(f->log.text, "");
}

static void an_answer_to_consume_that_is_no_number_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    peer_answers(&f->peer, "\"seven\"");
    assert_int_equal(ringmq_consume(f->conn, "q", &f->options, NULL, 0), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_process(f->conn, false, false), RINGMQ_ERR_PROTOCOL);
}

static void a_cancelled_consumer_gets_what_was_on_its_way_and_then_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = consume(f, 5);
    peer_says(&f->peer, "[2, \"deliver\", [5, [[1, 1, 1, #\"before\"]]]]");
    peer_answers(&f->peer, "true");
    peer_says(&f->peer, "[2, \"deliver\", [5, [[2, 2, 1, #\"after\"]]]]");
    assert_int_equal(ringmq_cancel(f->conn, consumer, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"cancel\", [5]");
    settle(f);
    assert_string_equal(f->log.text, "1:before");
    assert_int_equal(ringmq_cancel(f->conn, consumer, 0), RINGMQ_ERR_ARGUMENT);
    /* Numbers are not used again. */
    assert_int_equal(consume(f, 5), 2);
}

static void a_consumer_that_the_server_ends_hears_why(void **state)
{
    struct fixture *f = *state;
    uint64_t first = consume(f, 5);
    consume(f, 6);
    peer_says(&f->peer, "[2, \"cancelled\", [5, \"queue_deleted\"]]");
    peer_says(&f->peer, "[2, \"deliver\", [5, [[2, 2, 1, #\"after\"]]]]");
    peer_says(&f->peer, "[2, \"deliver\", [6, [[3, 3, 1, #\"other\"]]]]");
    peer_says(&f->peer, "[2, \"cancelled\", [6, \"draining\"]]");
    settle(f);
    assert_string_equal(f->log.text, "1!queue_deleted 2:other 2!draining");
    assert_int_equal(ringmq_cancel(f->conn, first, 0), RINGMQ_ERR_ARGUMENT);
}

static void credit_goes_to_the_servers_consumer(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = consume(f, 12);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_credit(f->conn, consumer, 0, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"credit\", [12, 0]");
    assert_int_equal(ringmq_credit(f->conn, 9, 0, 0), RINGMQ_ERR_ARGUMENT);
}

static void credit_before_the_answer_to_consume_is_sent_behind_it(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = 0;
    f->options.prefetch = 5;
    assert_true(ringmq_send_consume(f->conn, "q", &f->options, &consumer, NULL, NULL) > 0);
    assert_int_equal(ringmq_send_credit(f->conn, consumer, 50, NULL, NULL), RINGMQ_ERR_CLOSED);
    peer_answers(&f->peer, "3");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"consume\", [\"q\", {\"prefetch\": 5}]");
    assert_string_equal(peer_hears(&f->peer), "[2, \"credit\", [3, 50]]");
}

static void a_cancel_before_the_answer_to_consume_is_sent_behind_it(void **state)
{
    struct fixture *f = *state;
    uint64_t consumer = 0;
    assert_true(ringmq_send_consume(f->conn, "q", &f->options, &consumer, NULL, NULL) > 0);
    assert_int_equal(ringmq_send_cancel(f->conn, consumer, NULL, NULL), RINGMQ_ERR_CLOSED);
    peer_answers(&f->peer, "3");
    peer_says(&f->peer, "[2, \"deliver\", [3, [[1, 1, 1, #\"unwanted\"]]]]");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    peer_hears_call(&f->peer);
    assert_string_equal(peer_hears(&f->peer), "[2, \"cancel\", [3]]");
    assert_string_equal(f->log.text, "");
}

static void a_deliver_callback_may_cancel_its_consumer(void **state)
{
    struct fixture *f = *state;
    consume(f, 5);
    f->log.cancel = true;
    peer_says(&f->peer, "[2, \"deliver\", [5, [[1, 1, 1, #\"last\"]]]]");
    while (f->log.text[0] == '\0')
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    const char *cancel = peer_hears(&f->peer);
    assert_non_null(strstr(cancel, "\"cancel\", [5]"));
    peer_says(&f->peer, "[1, %ld, nil, true]", strtol(cancel + 4, NULL, 10));
    while (ringmq_in_flight(f->conn) > 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_cancel(f->conn, 1, 0), RINGMQ_ERR_ARGUMENT);
}

static void a_deliver_callback_may_add_consumers_and_close(void **state)
{
    struct fixture *f = *state;
    consume(f, 5);
    f->log.add = true;
    f->log.close = true;
    peer_says(&f->peer, "[2, \"deliver\", [5, [[1, 1, 1, #\"one\"], [2, 2, 1, #\"two\"]]]]");
    peer_says(&f->peer, "[2, \"deliver\", [5, [[3, 3, 1, #\"not looked at\"]]]]");
    int status = RINGMQ_OK;
    while (status == RINGMQ_OK)
        status = ringmq_poll(f->conn, 1000);
    assert_int_equal(status, RINGMQ_ERR_CLOSED);
    assert_string_equal(f->log.text, "1:one 1:two");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(consume_sends_its_options),
        TEST(deliveries_reach_the_consumer_they_are_for),
        TEST(deliveries_behind_the_answer_to_consume_in_the_same_bytes_are_not_lost),
        TEST(deliveries_arrive_while_another_call_waits),
        TEST(a_refused_consume_leaves_no_consumer),
        TEST(a_consume_that_times_out_is_cancelled_when_it_is_answered),
        TEST(an_answer_to_consume_that_is_no_number_ends_the_connection),
        TEST(a_cancelled_consumer_gets_what_was_on_its_way_and_then_nothing),
        TEST(a_consumer_that_the_server_ends_hears_why),
        TEST(credit_goes_to_the_servers_consumer),
        TEST(credit_before_the_answer_to_consume_is_sent_behind_it),
        TEST(a_cancel_before_the_answer_to_consume_is_sent_behind_it),
        TEST(a_deliver_callback_may_cancel_its_consumer),
        TEST(a_deliver_callback_may_add_consumers_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
