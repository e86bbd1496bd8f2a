/* The methods of the client: what each sends, and what it makes of each answer. */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct peer peer;
    struct ringmq *conn;
};

static int setup(void **state)
{
    static struct fixture fixture;
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

static bool bytes_are(struct ringmq_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.bytes == strlen(text) && memcmp(bytes.data, text, bytes.bytes) == 0;
}

/* ---- publish ---- */

static void publish_sends_bodies_and_all_that_goes_with_them(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_header headers[] = {
        {.name = "text", .value.text = "t"},
        {.name = "nil", .type = RINGMQ_NIL},
        {.name = "bool", .type = RINGMQ_BOOL, .value.boolean = true},
        {.name = "uint", .type = RINGMQ_UINT, .value.uint = UINT64_MAX},
        {.name = "int", .type = RINGMQ_INT, .value.sint = -40000},
        {.name = "double", .type = RINGMQ_DOUBLE, .value.real = 0.5},
        {.name = "str", .type = RINGMQ_STR, .value.bytes = {"s", 1}},
        {.name = "bin", .type = RINGMQ_BIN, .value.bytes = {NULL, 0}},
    };
    const struct ringmq_message messages[] = {
        {.body = "one", .body_bytes = 3},
        {.body_bytes = 0},
        {.body = "two", .body_bytes = 3, .headers = headers, .header_count = 8},
        {.body = "3", .body_bytes = 1, .group = "g", .has_delay = true, .has_ttl = true, .ttl_ms = 5000},
    };
    const struct ringmq_publish_options atomic = {.atomic = true};
    struct ringmq_published result;
    peer_answers(&f->peer, "[11, 4]");
    assert_int_equal(ringmq_publish(f->conn, "orders", messages, 4, &atomic, &result, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"publish\", [\"orders\", [#\"one\", #\"\", [#\"two\", {\"headers\": {\"text\": \"t\", "
                        "\"nil\": nil, \"bool\": true, \"uint\": 18446744073709551615, \"int\": -40000, "
                        "\"double\": 0.5, \"str\": \"s\", \"bin\": #\"\"}}], "
                        "[#\"3\", {\"group\": \"g\", \"delay\": 0, \"ttl\": 5000}]], {\"atomic\": true}]");
    assert_int_equal(result.first_id, 11);
    assert_int_equal(result.count, 4);
    assert_int_equal(ringmq_published_id(&result, 0), 11);
    assert_int_equal(ringmq_published_id(&result, 3), 14);
    assert_int_equal(ringmq_published_id(&result, 4), 0);
}

static void refused_messages_of_a_batch_are_told_by_index(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_message messages[4] = {{.body = "m", .body_bytes = 1}};
    struct ringmq_published result;
    peer_answers(&f->peer, "[7, 2, [[0, [\"TOO_LARGE\", \"too large\"]], "
                           "[2, [\"QUEUE_FULL\", \"full\", {\"retry\": true}]]]]");
    assert_int_equal(ringmq_publish(f->conn, "q", messages, 4, NULL, &result, 0), RINGMQ_OK);
    assert_int_equal(result.count, 2);
    assert_int_equal(ringmq_published_id(&result, 0), 0);
    assert_int_equal(ringmq_published_id(&result, 1), 7);
    assert_int_equal(ringmq_published_id(&result, 2), 0);
    assert_int_equal(ringmq_published_id(&result, 3), 8);

    struct ringmq_refusal refusal;
    struct ringmq_iterator it = ringmq_iterate_refusals(result.exceptions);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 0);
    assert_true(bytes_are(refusal.error.code, "TOO_LARGE"));
    assert_true(bytes_are(refusal.error.text, "too large"));
    assert_false(refusal.error.retry);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 2);
    assert_true(refusal.error.retry);
    assert_false(ringmq_next_refusal(&it, &refusal));

    peer_answers(&f->peer, "[nil, 0, [[0, [\"TOO_LARGE\", \"too large\"]]]]");
    assert_int_equal(ringmq_publish(f->conn, "q", messages, 1, NULL, &result, 0), RINGMQ_OK);
    assert_int_equal(result.count, 0);
    assert_int_equal(ringmq_published_id(&result, 0), 0);
}

static void a_single_publish_is_refused_like_a_call(void **state)
{
    struct fixture *f = *state;
    uint64_t id = 0;
    peer_answers(&f->peer, "[9, 1]");
    assert_int_equal(ringmq_publish_one(f->conn, "q", "body", 4, &id, 0), RINGMQ_OK);
    assert_int_equal(id, 9);
    assert_string_equal(peer_hears_call(&f->peer), "\"publish\", [\"q\", [#\"body\"]]");
    peer_answers(&f->peer, "[nil, 0, [[0, [\"QUEUE_FULL\", \"full\", {\"retry\": true}]]]]");
    assert_int_equal(ringmq_publish_one(f->conn, "q", "body", 4, &id, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(f->conn), "QUEUE_FULL");
    assert_true(ringmq_error_retry(f->conn));
    peer_refuses(&f->peer, "[\"QUEUE_NOT_FOUND\", \"no such queue\"]");
    assert_int_equal(ringmq_publish_one(f->conn, "q", NULL, 0, NULL, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(f->conn), "QUEUE_NOT_FOUND");
    assert_int_equal(id, 9);
}

static void messages_that_can_not_be_sent_are_refused_here(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_header no_name = {.type = RINGMQ_NIL};
    const struct ringmq_header no_scalar = {.name = "h", .type = RINGMQ_MAP};
    const struct ringmq_header no_text = {.name = "h"};
    const struct ringmq_message messages[] = {
        {.body = NULL, .body_bytes = 1},
        {.body = "", .body_bytes = (size_t)UINT32_MAX + 1},
        {.header_count = 1},
        {.headers = &no_name, .header_count = 1},
        {.headers = &no_scalar, .header_count = 1},
        {.headers = &no_text, .header_count = 1},
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        assert_int_equal(ringmq_publish(f->conn, "q", &messages[i], 1, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_publish(f->conn, NULL, messages, 1, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_publish(f->conn, "q", NULL, 1, NULL, NULL, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_output_bytes(f->conn), 0);
    assert_int_equal(ringmq_in_flight(f->conn), 0);
}

static void answers_of_the_wrong_shape_are_errors_of_the_call(void **state)
{
    struct fixture *f = *state;
    static const char *published[] = {"nil",
                                      "[]",
                                      "[1]",
                                      "[1, 2, 3]",
                                      "[\"a\", 1]",
                                      "[nil, 1]",
                                      "[1, -1]",
                                      "{1: 2, 3: 4}",
                                      "[1, 4294967296]",
                                      "[1, 1, [[0]]]",
                                      "[1, 1, [[0, [\"a\"]]]]",
                                      "[1, 1, [1]]",
                                      "[1, 1, [], 4]"};
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        const struct ringmq_message message = {.body = "", .body_bytes = 0};
        peer_answers(&f->peer, published[i]);
        assert_int_equal(ringmq_publish(f->conn, "q", &message, 1, NULL, NULL, 0), RINGMQ_ERR_PROTOCOL);
    }
    static const char *settled[] = {"nil", "[]", "[1]", "[1, 2]", "-1", "true", "[1, [[0, 5]]]"};
    for (size_t i = 0; i < sizeof(settled) / sizeof(settled[0]); i++) {
        uint64_t receipt = 1;
        peer_answers(&f->peer, settled[i]);
        assert_int_equal(ringmq_ack(f->conn, &receipt, 1, 0, NULL, 0), RINGMQ_ERR_PROTOCOL);
    }
    static const char *deliveries[] = {"nil", "{}", "[1]", "[[1, 2, 3]]", "[[1, 2, 3, 4]]", "[[1, 2, 3, \"b\", []]]"};
    for (size_t i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++) {
        peer_answers(&f->peer, deliveries[i]);
        assert_int_equal(ringmq_receive(f->conn, "q", NULL, NULL, 0), RINGMQ_ERR_PROTOCOL);
    }
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_info(f->conn, "q", NULL, 0), RINGMQ_ERR_PROTOCOL);
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_create(f->conn, "q", NULL, NULL, 0), RINGMQ_ERR_PROTOCOL);
    peer_answers(&f->peer, "\"many\"");
    assert_int_equal(ringmq_kick(f->conn, "q", 1, NULL, 0), RINGMQ_ERR_PROTOCOL);
    /* The stream is sound, so the connection lives. */
    assert_int_equal(ringmq_state(f->conn), RINGMQ_READY);
}

/* ---- receive ---- */

static void receive_sends_its_options_and_returns_deliveries(void **state)
{
    struct fixture *f = *state;
    const struct ringmq_receive_options options = {.max = 10, .wait_ms = 1000, .visibility_ms = 60000};
    struct ringmq_deliveries deliveries;
    struct ringmq_delivery d;
    peer_answers(&f->peer, "[[100, 1, 1, #\"one\"], [101, 2, 3, #\"\", {\"group\": \"g\", \"headers\": {\"a\": 1}}], "
                           "[102, 3, 1, \"text\", {\"later\": {\"x\": [1]}}]]");
    assert_int_equal(ringmq_receive(f->conn, "q", &options, &deliveries, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"receive\", [\"q\", {\"max\": 10, \"wait\": 1000, \"visibility\": 60000}]");
    assert_int_equal(deliveries.count, 3);

    assert_true(ringmq_next_delivery(&deliveries, &d));
    assert_int_equal(d.receipt, 100);
    assert_int_equal(d.id, 1);
    assert_int_equal(d.attempts, 1);
    assert_int_equal(d.body_bytes, 3);
    assert_memory_equal(d.body, "one", 3);
    assert_int_equal(ringmq_value_type(d.headers), RINGMQ_NONE);
    assert_null(d.group.data);

    assert_true(ringmq_next_delivery(&deliveries, &d));
    assert_int_equal(d.attempts, 3);
    assert_int_equal(d.body_bytes, 0);
    assert_non_null(d.body);
    assert_true(bytes_are(d.group, "g"));
    assert_int_equal(ringmq_value_uint(ringmq_value_get(d.headers, "a"), 0), 1);

    assert_true(ringmq_next_delivery(&deliveries, &d));
    assert_memory_equal(d.body, "text", 4);
    assert_null(d.group.data);
    assert_false(ringmq_next_delivery(&deliveries, &d));
}

static void received_deliveries_outlive_the_blocking_calls_that_settle_them(void **state)
{
    struct fixture *f = *state;
    struct ringmq_deliveries deliveries;
    struct ringmq_delivery d;
    peer_answers(&f->peer, "[[100, 1, 1, #\"one\"], [101, 2, 1, #\"two\"]]");
    assert_int_equal(ringmq_receive(f->conn, "q", NULL, &deliveries, 0), RINGMQ_OK);
    for (uint64_t i = 0; ringmq_next_delivery(&deliveries, &d); i++) {
        assert_int_equal(d.receipt, 100 + i);
        assert_memory_equal(d.body, i == 0 ? "one" : "two", 3);
        peer_answers(&f->peer, "1");
        assert_int_equal(ringmq_ack(f->conn, &d.receipt, 1, 0, NULL, 0), RINGMQ_OK);
    }
    peer_answers(&f->peer, "[]");
    assert_int_equal(ringmq_receive(f->conn, "q", NULL, &deliveries, 0), RINGMQ_OK);
    assert_int_equal(deliveries.count, 0);
}

static void a_receive_nobody_waits_for_any_more_gives_its_messages_back(void **state)
{
    struct fixture *f = *state;
    /* A blocking one that ran out of time. */
    assert_int_equal(ringmq_receive(f->conn, "q", NULL, NULL, 5), RINGMQ_ERR_TIMEOUT);
    assert_string_equal(peer_hears_call(&f->peer), "\"receive\", [\"q\"]");
    peer_answers(&f->peer, "[[100, 1, 1, #\"one\"], [101, 2, 1, #\"two\"]]");
    assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears(&f->peer), "[2, \"nack\", [[100, 101]]]");

    /* A pipelined one, forgotten before and after its answer. */
    int64_t before = ringmq_send_receive(f->conn, "q", NULL, NULL, NULL);
    int64_t after = ringmq_send(f->conn, "receive", NULL, NULL, NULL);
    ringmq_forget(f->conn, before);
    assert_int_equal(ringmq_wait(f->conn, before, 0, NULL), RINGMQ_ERR_ARGUMENT);
    peer_says(&f->peer, "[1, %lld, nil, [[102, 3, 1, #\"\"]]]", (long long)before);
    peer_says(&f->peer, "[1, %lld, nil, [[103, 4, 1, #\"\"]]]", (long long)after);
    while (ringmq_in_flight(f->conn) > 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    ringmq_forget(f->conn, after);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    peer_hears_call(&f->peer);
    peer_hears_call(&f->peer);
    assert_string_equal(peer_hears(&f->peer), "[2, \"nack\", [[102]]]");
    assert_string_equal(peer_hears(&f->peer), "[2, \"nack\", [[103]]]");

    /* None that brought nothing, or an error. */
    assert_int_equal(ringmq_receive(f->conn, "q", NULL, NULL, 5), RINGMQ_ERR_TIMEOUT);
    peer_hears_call(&f->peer);
    int64_t pending = ringmq_send(f->conn, "ping", NULL, NULL, NULL);
    peer_says(&f->peer, "[1, %lld, nil, \"pong\"]", (long long)pending);
    assert_int_equal(ringmq_wait(f->conn, pending, 0, NULL), RINGMQ_OK);
    peer_hears_call(&f->peer);
    peer_hears_nothing(&f->peer);
}

/* ---- settle ---- */

static void settling_sends_receipts_and_options(void **state)
{
    struct fixture *f = *state;
    const uint64_t receipts[] = {1, (1ULL << 53) - 1};
    struct ringmq_settled result;
    peer_answers(&f->peer, "2");
    assert_int_equal(ringmq_ack(f->conn, receipts, 2, 0, &result, 0), RINGMQ_OK);
    assert_int_equal(result.count, 2);
    assert_string_equal(peer_hears_call(&f->peer), "\"ack\", [[1, 9007199254740991]]");
    peer_answers(&f->peer, "50");
    assert_int_equal(ringmq_ack(f->conn, receipts, 1, RINGMQ_MULTIPLE, &result, 0), RINGMQ_OK);
    assert_int_equal(result.count, 50);
    assert_string_equal(peer_hears_call(&f->peer), "\"ack\", [[1], {\"multiple\": true}]");
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_nack(f->conn, receipts, 1, NULL, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"nack\", [[1]]");
    peer_answers(&f->peer, "1");
    const struct ringmq_nack_options later = {.has_delay = true, .delay_ms = 500};
    assert_int_equal(ringmq_nack(f->conn, receipts, 1, &later, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"nack\", [[1], {\"delay\": 500}]");
    peer_answers(&f->peer, "1");
    const struct ringmq_nack_options dead = {.dead = true, .note = "why"};
    assert_int_equal(ringmq_nack(f->conn, receipts, 1, &dead, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"nack\", [[1], {\"dead\": true, \"note\": \"why\"}]");
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_extend(f->conn, receipts, 1, 9000, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"extend\", [[1], 9000]");
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_park(f->conn, receipts, 1, NULL, NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"park\", [[1]]");
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_park(f->conn, receipts, 1, "note", NULL, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"park\", [[1], {\"note\": \"note\"}]");
    assert_int_equal(ringmq_ack(f->conn, NULL, 1, 0, NULL, 0), RINGMQ_ERR_ARGUMENT);
}

static void stale_receipts_are_told_by_index(void **state)
{
    struct fixture *f = *state;
    const uint64_t receipts[] = {5, 6};
    struct ringmq_settled result;
    struct ringmq_refusal refusal;
    peer_answers(&f->peer, "[1, [[1, [\"RECEIPT_STALE\", \"stale\", {\"index\": 1, \"receipt\": 6}]]]]");
    assert_int_equal(ringmq_extend(f->conn, receipts, 2, 0, &result, 0), RINGMQ_OK);
    assert_int_equal(result.count, 1);
    struct ringmq_iterator it = ringmq_iterate_refusals(result.exceptions);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 1);
    assert_true(bytes_are(refusal.error.code, "RECEIPT_STALE"));
    assert_int_equal(ringmq_value_uint(ringmq_value_get(refusal.error.details, "receipt"), 0), 6);
    assert_false(ringmq_next_refusal(&it, &refusal));
}

/* ---- pipelined ---- */

struct totals {
    uint64_t published;
    uint64_t acked;
    uint64_t received;
};

static void count_published_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct ringmq_published published;
    (void)conn;
    assert_int_equal(ringmq_answer_published(answer, &published), RINGMQ_OK);
    ((struct totals *)arg)->published += published.count;
}

static void count_settled_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct ringmq_settled settled;
    (void)conn;
    assert_int_equal(ringmq_answer_settled(answer, &settled), RINGMQ_OK);
    ((struct totals *)arg)->acked += settled.count;
}

static void ack_received_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct ringmq_deliveries deliveries;
    struct ringmq_delivery d;
    assert_int_equal(ringmq_answer_deliveries(answer, &deliveries), RINGMQ_OK);
    while (ringmq_next_delivery(&deliveries, &d)) {
        ((struct totals *)arg)->received++;
        assert_true(ringmq_send_ack(conn, &d.receipt, 1, 0, count_settled_cb, arg) > 0);
    }
}

static void refused_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct ringmq_published published;
    struct ringmq_settled settled;
    struct ringmq_deliveries deliveries;
    (void)conn;
    assert_int_equal(ringmq_answer_published(answer, &published), RINGMQ_ERR_SERVER);
    assert_int_equal(ringmq_answer_settled(answer, &settled), RINGMQ_ERR_SERVER);
    assert_int_equal(ringmq_answer_deliveries(answer, &deliveries), RINGMQ_ERR_SERVER);
    assert_true(bytes_are(answer->error.code, "DRAINING"));
    ++*(int *)arg;
}

static void pipelined_calls_complete_through_their_callbacks(void **state)
{
    struct fixture *f = *state;
    struct totals totals = {0};
    const struct ringmq_message messages[2] = {{.body = "a", .body_bytes = 1}, {.body = "b", .body_bytes = 1}};
    int64_t first = ringmq_send_publish(f->conn, "q", messages, 2, NULL, count_published_cb, &totals);
    int64_t second = ringmq_send_publish(f->conn, "q", messages, 1, NULL, count_published_cb, &totals);
    int64_t third = ringmq_send_receive(f->conn, "q", NULL, ack_received_cb, &totals);
    assert_true(first > 0 && second > 0 && third > 0);
    assert_true(ringmq_wants_write(f->conn));
    peer_says(&f->peer, "[1, %lld, nil, [[100, 1, 1, #\"a\"]]]", (long long)third);
    peer_says(&f->peer, "[1, %lld, nil, [3, 1]]", (long long)second);
    peer_says(&f->peer, "[1, %lld, nil, [1, 2]]", (long long)first);
    while (totals.published < 3)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
    assert_int_equal(totals.received, 1);
    assert_int_equal(ringmq_flush(f->conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"publish\", [\"q\", [#\"a\", #\"b\"]]");
    assert_string_equal(peer_hears_call(&f->peer), "\"publish\", [\"q\", [#\"a\"]]");
    assert_string_equal(peer_hears_call(&f->peer), "\"receive\", [\"q\"]");
    const char *ack = peer_hears(&f->peer);
    assert_non_null(strstr(ack, "\"ack\", [[100]]"));
    peer_says(&f->peer, "[1, %ld, nil, 1]", strtol(ack + 4, NULL, 10));
    while (totals.acked < 1)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);

    int refused = 0;
    int64_t token = ringmq_send_publish(f->conn, "q", messages, 2, NULL, refused_cb, &refused);
    peer_says(&f->peer, "[1, %lld, [\"DRAINING\", \"no\"], nil]", (long long)token);
    while (refused == 0)
        assert_int_equal(ringmq_poll(f->conn, 1000), RINGMQ_OK);
}

/* ---- administration ---- */

static void administration_sends_what_the_protocol_says(void **state)
{
    struct fixture *f = *state;
    const uint64_t ids[] = {4, 5};
    uint64_t count = 0;
    struct ringmq_value value;
    bool created = false;

    peer_answers(&f->peer, "3");
    assert_int_equal(ringmq_kick(f->conn, "q", 10, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 3);
    assert_string_equal(peer_hears_call(&f->peer), "\"kick\", [\"q\", 10]");
    peer_answers(&f->peer, "2");
    assert_int_equal(ringmq_kick_ids(f->conn, "q", ids, 2, &count, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"kick\", [\"q\", [4, 5]]");
    peer_answers(&f->peer, "1");
    assert_int_equal(ringmq_discard(f->conn, "q", ids, 2, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 1);
    assert_string_equal(peer_hears_call(&f->peer), "\"discard\", [\"q\", [4, 5]]");
    peer_answers(&f->peer, "{\"messages\": [], \"next\": nil}");
    assert_int_equal(ringmq_peek(f->conn, "q", NULL, &value, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"peek\", [\"q\", {}]");
    peer_answers(&f->peer, "{\"messages\": [{\"id\": 4}], \"next\": 5}");
    const struct ringmq_peek_options peek = {"parked", 2, 9, "g", 50};
    assert_int_equal(ringmq_peek(f->conn, "q", &peek, &value, 0), RINGMQ_OK);
    assert_int_equal(ringmq_value_uint(ringmq_value_get(value, "next"), 0), 5);
    assert_string_equal(peer_hears_call(&f->peer), "\"peek\", [\"q\", {\"state\": \"parked\", \"from\": 2, \"to\": 9, "
                                                   "\"group\": \"g\", \"max\": 50}]");

    struct ringmq_args *attributes = ringmq_args_new();
    ringmq_args_map(attributes, 1);
    ringmq_args_text(attributes, "visibility");
    assert_int_equal(ringmq_queue_create(f->conn, "q", attributes, NULL, 0), RINGMQ_ERR_ARGUMENT);
    ringmq_args_uint(attributes, 1000);
    peer_answers(&f->peer, "{\"created\": true}");
    assert_int_equal(ringmq_queue_create(f->conn, "q", attributes, &created, 0), RINGMQ_OK);
    assert_true(created);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.create\", [\"q\", {\"visibility\": 1000}]");
    peer_answers(&f->peer, "{\"created\": false}");
    assert_int_equal(ringmq_queue_create(f->conn, "q", NULL, &created, 0), RINGMQ_OK);
    assert_false(created);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.create\", [\"q\", {}]");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_update(f->conn, "q", attributes, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.update\", [\"q\", {\"visibility\": 1000}]");
    ringmq_args_free(attributes);

    peer_answers(&f->peer, "7");
    assert_int_equal(ringmq_queue_delete(f->conn, "q", RINGMQ_IF_EMPTY | RINGMQ_IF_UNUSED, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 7);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"queue.delete\", [\"q\", {\"if_empty\": true, \"if_unused\": true}]");
    peer_answers(&f->peer, "8");
    assert_int_equal(ringmq_queue_purge(f->conn, "q", "ready", &count, 0), RINGMQ_OK);
    assert_int_equal(count, 8);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.purge\", [\"q\", {\"state\": \"ready\"}]");
    peer_answers(&f->peer, "{\"name\": \"q\"}");
    assert_int_equal(ringmq_queue_info(f->conn, "q", &value, 0), RINGMQ_OK);
    assert_true(ringmq_value_equals(ringmq_value_get(value, "name"), "q"));
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.info\", [\"q\"]");
    peer_answers(&f->peer, "{\"queues\": [], \"next\": nil}");
    const struct ringmq_list_options list = {"a.", "a.b", 5};
    assert_int_equal(ringmq_queue_list(f->conn, &list, &value, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer),
                        "\"queue.list\", [{\"prefix\": \"a.\", \"cursor\": \"a.b\", \"max\": 5}]");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_pause(f->conn, "q", 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.pause\", [\"q\"]");
    peer_answers(&f->peer, "true");
    assert_int_equal(ringmq_queue_resume(f->conn, "q", 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&f->peer), "\"queue.resume\", [\"q\"]");
    assert_int_equal(ringmq_queue_info(f->conn, NULL, &value, 0), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_discard(f->conn, "q", NULL, 2, NULL, 0), RINGMQ_ERR_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(publish_sends_bodies_and_all_that_goes_with_them),
        TEST(refused_messages_of_a_batch_are_told_by_index),
        TEST(a_single_publish_is_refused_like_a_call),
        TEST(messages_that_can_not_be_sent_are_refused_here),
        TEST(answers_of_the_wrong_shape_are_errors_of_the_call),
        TEST(receive_sends_its_options_and_returns_deliveries),
        TEST(received_deliveries_outlive_the_blocking_calls_that_settle_them),
        TEST(a_receive_nobody_waits_for_any_more_gives_its_messages_back),
        TEST(settling_sends_receipts_and_options),
        TEST(stale_receipts_are_told_by_index),
        TEST(pipelined_calls_complete_through_their_callbacks),
        TEST(administration_sends_what_the_protocol_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
