/* The life of a client's connection: connecting, answers in any cut and order, broken streams, waiting, callbacks. */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_value_text(struct ringmq_value value, const char *text)
{
    char *has = peer_value_text(value);
    assert_string_equal(has, text);
    free(has);
}

/* Polls until the connection is over, and returns why. */
static int poll_to_the_end(struct ringmq *conn)
{
    int status = RINGMQ_OK;
    while (status == RINGMQ_OK)
        status = ringmq_poll(conn, 1000);
    return status;
}

/* ---- connecting ---- */

static void hello_says_who_is_there_and_its_answer_can_be_read(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_client(&peer, NULL);
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    assert_int_equal(ringmq_value_type(ringmq_hello(conn)), RINGMQ_NONE);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    assert_int_equal(ringmq_state(conn), RINGMQ_CONNECTING);
    peer_accept(&peer);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&peer),
                        "\"hello\", [{\"client\": \"libringmq\", \"version\": \"" RINGMQ_VERSION "\"}]");
    peer_says(&peer, "[1, 256, nil, %s]", PEER_HELLO);
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_OK);
    assert_int_equal(ringmq_state(conn), RINGMQ_READY);
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_OK);
    assert_value_text(ringmq_hello(conn), PEER_HELLO);
    assert_string_equal(ringmq_endpoint(conn), peer.path);
    ringmq_free(conn);
    peer_close(&peer);
}

static void hello_carries_the_name_and_the_user(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq_options options = {.client_name = "test", .user = "ann", .password = "secret"};
    struct ringmq *conn = peer_client(&peer, &options);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    peer_accept(&peer);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&peer), "\"hello\", [{\"client\": \"test\", \"version\": \"" RINGMQ_VERSION
                                                "\", \"user\": \"ann\", \"password\": \"secret\"}]");
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_refused_hello_is_the_servers_error(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_client(&peer, &(struct ringmq_options){.reconnect = true});
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    peer_accept(&peer);
    peer_says(&peer, "[1, 256, [\"NOT_ALLOWED\", \"go away\"], nil]");
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(conn), "NOT_ALLOWED");
    assert_string_equal(ringmq_error_text(conn), "go away");
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_server_of_another_protocol_is_refused(void **state)
{
    (void)state;
    static const char *answers[] = {"{\"protocol\": 2}", "{}", "\"hello\"", "nil"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct peer peer;
        peer_open(&peer);
        struct ringmq *conn = peer_client(&peer, NULL);
        assert_int_equal(ringmq_start(conn), RINGMQ_OK);
        peer_accept(&peer);
        peer_says(&peer, "[1, 256, nil, %s]", answers[i]);
        assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_PROTOCOL);
        assert_int_equal(ringmq_fd(conn), -1);
        ringmq_free(conn);
        peer_close(&peer);
    }
}

static void where_nobody_listens_no_connection_is_made(void **state)
{
    (void)state;
    struct ringmq *conn = ringmq_new(&(struct ringmq_options){.socket_path = "/nonexistent/ringmq"});
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_CONNECT);
    assert_string_equal(ringmq_error_text(conn), "/nonexistent/ringmq: No such file or directory");
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_CLOSED);
    ringmq_free(conn);

    /* Port 1 of the loopback: nothing is there, and TCP says so later than a Unix socket. */
    conn = ringmq_new(&(struct ringmq_options){.url = "ringmq://127.0.0.1:1"});
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_CONNECT);
    assert_string_equal(ringmq_error_text(conn), "127.0.0.1:1: Connection refused");
    ringmq_free(conn);
}

static void a_server_that_does_not_answer_hello_is_given_up_in_time(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_client(&peer, &(struct ringmq_options){.connect_timeout_ms = 20});
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    ringmq_free(conn);

    conn = peer_client(&peer, NULL);
    assert_int_equal(ringmq_connect(conn, 20), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    ringmq_free(conn);

    conn = peer_client(&peer, &(struct ringmq_options){.connect_timeout_ms = 20});
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    assert_true(ringmq_next_timeout_ms(conn) <= 20);
    assert_int_equal(poll_to_the_end(conn), RINGMQ_ERR_TIMEOUT);
    ringmq_free(conn);
    peer_close(&peer);
}

static void calls_sent_while_connecting_leave_behind_hello(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_client(&peer, NULL);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
    assert_true(token > 0);
    peer_greet(&peer, conn);
    assert_string_equal(peer_hears_call(&peer), "\"ping\", []");
    peer_says(&peer, "[1, %lld, nil, \"pong\"]", (long long)token);
    struct ringmq_answer answer;
    assert_int_equal(ringmq_wait(conn, token, 0, &answer), RINGMQ_OK);
    assert_true(ringmq_value_equals(answer.result, "pong"));
    ringmq_free(conn);
    peer_close(&peer);
}

/* ---- answers ---- */

static void a_call_sends_its_arguments_and_returns_the_result(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_text(args, "max_memory");
    ringmq_args_uint(args, 5);
    peer_answers(&peer, "{\"a\": [1, {\"b\": nil}]}");
    struct ringmq_value result;
    assert_int_equal(ringmq_call(conn, "config.set", args, 0, &result), RINGMQ_OK);
    assert_value_text(result, "{\"a\": [1, {\"b\": nil}]}");
    assert_string_equal(peer_hears_call(&peer), "\"config.set\", [\"max_memory\", 5]");
    assert_int_equal(ringmq_notify(conn, "config.set", args), RINGMQ_OK);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears(&peer), "[2, \"config.set\", [\"max_memory\", 5]]");
    ringmq_args_array(args, 1);
    assert_int_equal(ringmq_call(conn, "x", args, 0, &result), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_notify(conn, "x", args), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_send(conn, NULL, NULL, NULL, NULL), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_in_flight(conn), 0);
    ringmq_args_free(args);
    ringmq_free(conn);
    peer_close(&peer);
}

static void an_error_answer_is_told_with_code_text_details_and_retry(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    assert_int_equal(ringmq_error_status(conn), RINGMQ_OK);
    assert_string_equal(ringmq_error_text(conn), "");
    peer_refuses(&peer, "[\"QUEUE_FULL\", \"the queue is full\", {\"retry\": true, \"which\": \"max_bytes\"}]");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_SERVER);
    assert_int_equal(ringmq_error_status(conn), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(conn), "QUEUE_FULL");
    assert_string_equal(ringmq_error_text(conn), "the queue is full");
    assert_true(ringmq_error_retry(conn));
    assert_value_text(ringmq_error_details(conn), "{\"retry\": true, \"which\": \"max_bytes\"}");
    peer_refuses(&peer, "[\"LIMIT\", \"no\"]");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(conn), "LIMIT");
    assert_false(ringmq_error_retry(conn));
    assert_int_equal(ringmq_value_type(ringmq_error_details(conn)), RINGMQ_NONE);
    peer_answers(&peer, "\"pong\"");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    ringmq_free(conn);
    peer_close(&peer);
}

static void an_endless_error_text_is_cut(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    char error[3000];
    memset(error, 'x', sizeof(error));
    memcpy(error, "[\"", 2);
    memcpy(error + 1000, "\", \"", 4);
    strcpy(error + sizeof(error) - 3, "\"]");
    peer_refuses(&peer, error);
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_SERVER);
    assert_in_range(strlen(ringmq_error_code(conn)), 20, 100);
    assert_in_range(strlen(ringmq_error_text(conn)), 100, 1000);
    ringmq_free(conn);
    peer_close(&peer);
}

static void answers_in_pieces_of_one_byte_are_understood(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
    char text[100];
    snprintf(text, sizeof(text), "[1, %lld, nil, {\"a\": [#\"bytes\", -5, 1.5]}]", (long long)token);
    size_t count;
    uint8_t *bytes = peer_encode(text, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ringmq_in_flight(conn), 1);
        peer_sends(&peer, bytes + i, 1);
        assert_int_equal(ringmq_process(conn, true, true), RINGMQ_OK);
    }
    free(bytes);
    assert_int_equal(ringmq_in_flight(conn), 0);
    struct ringmq_answer answer;
    assert_int_equal(ringmq_wait(conn, token, 0, &answer), RINGMQ_OK);
    assert_value_text(answer.result, "{\"a\": [#\"bytes\", -5, 1.5]}");
    ringmq_free(conn);
    peer_close(&peer);
}

static void answers_out_of_order_find_their_calls(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t tokens[3];
    for (int i = 0; i < 3; i++)
        tokens[i] = ringmq_send(conn, "ping", NULL, NULL, NULL);
    assert_int_equal(ringmq_in_flight(conn), 3);
    for (int i = 2; i >= 0; i--)
        peer_says(&peer, "[1, %lld, nil, %d]", (long long)tokens[i], i);
    struct ringmq_answer answer;
    /* The first to be waited for comes last: the others are kept. */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ringmq_wait(conn, tokens[i], 0, &answer), RINGMQ_OK);
        assert_int_equal(answer.token, tokens[i]);
        assert_int_equal(ringmq_value_uint(answer.result, 99), i);
    }
    assert_int_equal(ringmq_wait(conn, tokens[0], 0, &answer), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_wait(conn, 0, 0, &answer), RINGMQ_ERR_ARGUMENT);
    assert_int_equal(ringmq_wait(conn, -5, 0, &answer), RINGMQ_ERR_ARGUMENT);
    ringmq_free(conn);
    peer_close(&peer);
}

static void what_lies_behind_a_blocking_answer_is_not_forgotten(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t later = ringmq_send(conn, "receive", NULL, NULL, NULL);
    int64_t first = ringmq_send(conn, "ping", NULL, NULL, NULL);
    peer_says(&peer, "[1, %lld, nil, \"pong\"]", (long long)first);
    peer_says(&peer, "[1, %lld, nil, []]", (long long)later);
    struct ringmq_answer answer;
    assert_int_equal(ringmq_wait(conn, first, 0, &answer), RINGMQ_OK);
    assert_true(ringmq_value_equals(answer.result, "pong"));
    /* Nothing more will come from the socket, so an event loop has to be told. */
    assert_int_equal(ringmq_in_flight(conn), 1);
    assert_int_equal(ringmq_next_timeout_ms(conn), 0);
    assert_int_equal(ringmq_process(conn, false, false), RINGMQ_OK);
    assert_int_equal(ringmq_in_flight(conn), 0);
    assert_int_equal(ringmq_next_timeout_ms(conn), -1);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_large_value_is_taken_in(void **state)
{
    (void)state;
    enum { BODY = 3000000 };
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, &(struct ringmq_options){.read_bytes = 1000});
    int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
    uint8_t *head = NULL;
    size_t count;
    char text[60];
    snprintf(text, sizeof(text), "[1, %lld, nil, #\"\"]", (long long)token);
    head = peer_encode(text, &count);
    for (int i = 0; i < 4; i++)
        head[count - 1 - (size_t)i] = (uint8_t)(BODY >> (8 * i));
    peer_sends(&peer, head, count);
    free(head);

    uint8_t *body = malloc(BODY);
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)(i * 7);
    for (size_t sent = 0; sent < BODY;) {
        ssize_t n = send(peer.fd, body + sent, BODY - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        assert_int_equal(ringmq_process(conn, true, false), RINGMQ_OK);
    }
    struct ringmq_answer answer;
    assert_int_equal(ringmq_wait(conn, token, 0, &answer), RINGMQ_OK);
    struct ringmq_bytes bytes = ringmq_value_bytes(answer.result);
    assert_int_equal(bytes.bytes, BODY);
    assert_memory_equal(bytes.data, body, BODY);
    free(body);
    ringmq_free(conn);
    peer_close(&peer);
}

/* ---- streams that can't be read on ---- */

struct broken_stream {
    const char *what;
    const char *bytes;
    size_t count;
};

#define BROKEN(what, bytes)            \
    {                                  \
        what, bytes, sizeof(bytes) - 1 \
    }

static const struct broken_stream broken_streams[] = {
    BROKEN("not MessagePack", "\xc1"),
    BROKEN("a number", "\x05"),
    BROKEN("a map", "\x80"),
    BROKEN("an empty array", "\x90"),
    BROKEN("a request", "\x94\x00\x01\xa4ping\x90"),
    BROKEN("a response of three", "\x93\x01\x01\xc0"),
    BROKEN("a response to nobody", "\x94\x01\x05\xc0\xc0"),
    BROKEN("a response to no integer", "\x94\x01\xa1x\xc0\xc0"),
    BROKEN("a response beyond 32 bits", "\x94\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xc0\xc0"),
    BROKEN("an error that is text", "\x94\x01\xcd\x01\x01\xa1x\xc0"),
    BROKEN("an error of one", "\x94\x01\xcd\x01\x01\x91\xa1x\xc0"),
    BROKEN("an error of numbers", "\x94\x01\xcd\x01\x01\x92\x01\x02\xc0"),
    BROKEN("an error with a list of details", "\x94\x01\xcd\x01\x01\x93\xa1x\xa1y\x90\xc0"),
    BROKEN("a notification of two", "\x92\x02\xa1x"),
    BROKEN("a notification without text", "\x93\x02\x01\x90"),
    BROKEN("a notification without params", "\x93\x02\xa1x\xc0"),
    BROKEN("a deliver of nothing", "\x93\x02\xa7"
                                   "deliver\x90"),
    BROKEN("a deliver of no list", "\x93\x02\xa7"
                                   "deliver\x92\x01\x02"),
    BROKEN("a deliver of numbers", "\x93\x02\xa7"
                                   "deliver\x92\x01\x91\x02"),
    BROKEN("a delivery of three", "\x93\x02\xa7"
                                  "deliver\x92\x01\x91\x93\x01\x01\x01"),
    BROKEN("a delivery without a body", "\x93\x02\xa7"
                                        "deliver\x92\x01\x91\x94\x01\x01\x01\x05"),
    BROKEN("a delivery with a negative id", "\x93\x02\xa7"
                                            "deliver\x92\x01\x91\x94\x01\xff\x01\xa1x"),
    BROKEN("a delivery with a list of headers", "\x93\x02\xa7"
                                                "deliver\x92\x01\x91\x95\x01\x01\x01\xa1x\x90"),
    BROKEN("a delivery whose receipt is a list", "\x93\x02\xa7"
                                                 "deliver\x92\x01\x91\x94\x93\x01\x02\xa1x\x01\x01\xa1x"),
    BROKEN("a cancelled without a reason", "\x93\x02\xa9"
                                           "cancelled\x91\x01"),
    BROKEN("an error notification of nothing", "\x93\x02\xa5"
                                               "error\x90"),
    BROKEN("an array that claims 2^32-1 elements", "\xdd\xff\xff\xff\xff"),
    BROKEN("a bin that claims 4 GiB", "\x94\x01\xcd\x01\x01\xc0\xc6\xff\xff\xff\xff"),
    BROKEN("17 levels", "\x94\x01\xcd\x01\x01\xc0\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"),
};

static void a_broken_stream_ends_the_connection_and_completes_its_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken_streams) / sizeof(broken_streams[0]); i++) {
        const struct broken_stream *broken = &broken_streams[i];
        struct peer peer;
        peer_open(&peer);
        struct ringmq *conn = peer_ready_client(&peer, NULL);
        int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
        assert_int_equal(token, 257); /* \xcd\x01\x01 in the rows above */
        peer_sends(&peer, broken->bytes, broken->count);
        int status = poll_to_the_end(conn);
        if (status != RINGMQ_ERR_PROTOCOL)
            fail_msg("%s: status %d, %s", broken->what, status, ringmq_error_text(conn));
        assert_int_equal(ringmq_fd(conn), -1);
        assert_int_equal(ringmq_in_flight(conn), 0);
        assert_int_equal(ringmq_wait(conn, token, 0, NULL), RINGMQ_ERR_CLOSED);
        assert_int_equal(ringmq_process(conn, true, true), RINGMQ_ERR_PROTOCOL);
        ringmq_free(conn);
        peer_close(&peer);
    }
}

static void a_value_above_max_value_bytes_ends_the_connection(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, &(struct ringmq_options){.max_value_bytes = 200});
    char result[260];
    memset(result, 'x', sizeof(result));
    result[0] = '"';
    strcpy(result + sizeof(result) - 2, "\"");
    peer_answers(&peer, result);
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_process(conn, false, false), RINGMQ_ERR_PROTOCOL);
    assert_non_null(strstr(ringmq_error_text(conn), "max_value_bytes"));
    ringmq_free(conn);
    peer_close(&peer);
}

static void notifications_that_are_not_known_are_passed_over(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    peer_says(&peer, "[2, \"news\", [1, {\"a\": 2}]]");
    peer_says(&peer, "[2, \"deliver\", [77, [[1, 1, 1, #\"for nobody here\"]]]]");
    peer_says(&peer, "[2, \"cancelled\", [77, \"queue_deleted\"]]");
    peer_answers(&peer, "\"pong\"");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    ringmq_free(conn);
    peer_close(&peer);
}

static void the_servers_last_words_are_why_the_connection_ended(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    peer_says(&peer, "[2, \"error\", [\"LIMIT\", \"too many connections\", {\"which\": \"max_connections\"}]]");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_CLOSED);
    assert_string_equal(ringmq_error_code(conn), "LIMIT");
    assert_string_equal(ringmq_error_text(conn), "too many connections");
    assert_int_equal(ringmq_poll(conn, 0), RINGMQ_ERR_SERVER);
    ringmq_free(conn);
    peer_close(&peer);
}

static void last_words_are_heard_even_if_writing_fails_first(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    peer_says(&peer, "[2, \"error\", [\"BAD_REQUEST\", \"nonsense\"]]");
    peer_hangs_up(&peer);
    /* Raises no SIGPIPE either. */
    assert_true(ringmq_send(conn, "ping", NULL, NULL, NULL) > 0);
    assert_int_equal(poll_to_the_end(conn), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(conn), "BAD_REQUEST");
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_server_that_hangs_up_completes_all_calls_as_closed(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_OK);
    peer_hears_call(&peer);
    peer_hangs_up(&peer);
    assert_int_equal(poll_to_the_end(conn), RINGMQ_ERR_CLOSED);
    assert_non_null(strstr(ringmq_error_text(conn), "the server closed the connection"));
    assert_int_equal(ringmq_wait(conn, token, 0, NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_send(conn, "ping", NULL, NULL, NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_notify(conn, "ping", NULL), RINGMQ_ERR_CLOSED);
    /* And it can be connected again. */
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    peer_greet(&peer, conn);
    peer_answers(&peer, "\"pong\"");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    ringmq_free(conn);
    peer_close(&peer);
}

/* ---- waiting ---- */

static void a_call_that_takes_too_long_times_out_and_its_late_answer_harms_nobody(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    assert_int_equal(ringmq_ping(conn, 10), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_error_status(conn), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_state(conn), RINGMQ_READY);
    peer_says(&peer, "[1, %u, nil, \"late\"]", peer.next_token);
    peer_says(&peer, "[1, %u, nil, {\"queues\": []}]", 2U << 8); /* the slot of the first is still taken */
    struct ringmq_value result;
    assert_int_equal(ringmq_queue_list(conn, NULL, &result, 0), RINGMQ_OK);
    assert_value_text(result, "{\"queues\": []}");
    assert_int_equal(ringmq_in_flight(conn), 0);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_wait_that_times_out_can_be_taken_up_again(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t token = ringmq_send(conn, "ping", NULL, NULL, NULL);
    struct ringmq_answer answer;
    assert_int_equal(ringmq_wait(conn, token, 5, &answer), RINGMQ_ERR_TIMEOUT);
    peer_answers(&peer, "\"pong\"");
    assert_int_equal(ringmq_wait(conn, token, 0, &answer), RINGMQ_OK);
    assert_true(ringmq_value_equals(answer.result, "pong"));
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_readable_interrupt_descriptor_ends_every_wait(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    ringmq_set_interrupt_fd(conn, pipe_fds[0]);
    assert_int_equal(ringmq_poll(conn, 0), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
    assert_int_equal(ringmq_ping(conn, RINGMQ_FOREVER), RINGMQ_ERR_INTERRUPTED);
    assert_int_equal(ringmq_poll(conn, RINGMQ_FOREVER), RINGMQ_ERR_INTERRUPTED);
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    peer_says(&peer, "[1, %u, nil, \"late\"]", peer.next_token);
    peer_says(&peer, "[1, 512, nil, \"pong\"]");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_poll_with_nothing_to_do_times_out(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    assert_int_equal(ringmq_poll(conn, 0), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_poll(conn, 5), RINGMQ_ERR_TIMEOUT);
    assert_int_equal(ringmq_next_timeout_ms(conn), -1);
    assert_false(ringmq_wants_write(conn));
    ringmq_free(conn);
    peer_close(&peer);
}

/* ---- event loops ---- */

static void output_that_the_socket_does_not_take_waits_and_arrives_whole(void **state)
{
    (void)state;
    enum { CALLS = 200, BODY = 20000 };
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    char *body = malloc(BODY);
    memset(body, 'b', BODY);
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_str(args, body, BODY);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(ringmq_notify(conn, "x", args), RINGMQ_OK);
    assert_true(ringmq_wants_write(conn));
    assert_true(ringmq_output_bytes(conn) > CALLS * BODY);
    assert_int_equal(ringmq_process(conn, false, true), RINGMQ_OK);
    assert_true(ringmq_wants_write(conn));
    assert_int_equal(ringmq_flush(conn, 5), RINGMQ_ERR_TIMEOUT);
    for (int i = 0; i < CALLS; i++) {
        const char *heard = peer_hears(&peer);
        assert_int_equal(strlen(heard), strlen("[2, \"x\", [\"\"]]") + BODY);
        assert_int_equal(ringmq_process(conn, false, true), RINGMQ_OK);
    }
    assert_false(ringmq_wants_write(conn));
    peer_hears_nothing(&peer);
    free(body);
    ringmq_args_free(args);
    ringmq_free(conn);
    peer_close(&peer);
}

struct socket_log {
    int opened;
    int closed;
    int open_fd;
};

static void log_socket_cb(struct ringmq *conn, int fd, void *arg)
{
    struct socket_log *log = arg;
    if (fd >= 0) {
        log->opened++;
        log->open_fd = fd;
        assert_int_equal(ringmq_fd(conn), fd);
    } else {
        log->closed++;
        assert_int_equal(ringmq_fd(conn), log->open_fd);
        log->open_fd = -1;
    }
}

static void a_loop_is_told_of_every_descriptor_while_it_is_open(void **state)
{
    (void)state;
    struct peer peer;
    struct socket_log log = {0, 0, -1};
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, &(struct ringmq_options){.socket_cb = log_socket_cb, .arg = &log});
    assert_int_equal(log.opened, 1);
    assert_int_equal(log.open_fd, ringmq_fd(conn));
    ringmq_close(conn);
    assert_int_equal(log.closed, 1);
    assert_int_equal(ringmq_fd(conn), -1);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    assert_int_equal(log.opened, 2);
    ringmq_free(conn);
    assert_int_equal(log.closed, 2);
    peer_close(&peer);
}

/* ---- callbacks ---- */

struct answers_log {
    int count;
    int last_status;
    bool close;
    bool send_more;
};

static void log_answer_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct answers_log *log = arg;
    log->count++;
    log->last_status = answer->status;
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_poll(conn, 0), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_process(conn, true, true), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_wait(conn, 1, 0, NULL), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_BUSY);
    assert_int_equal(ringmq_start(conn), RINGMQ_ERR_BUSY);
    if (log->send_more) {
        for (int i = 0; i < 100; i++)
            ringmq_send(conn, "ping", NULL, log_answer_cb, arg);
        log->send_more = false;
    }
    if (log->close) {
        ringmq_close(conn);
        assert_int_equal(ringmq_state(conn), RINGMQ_READY);
        assert_int_equal(ringmq_send(conn, "ping", NULL, NULL, NULL), RINGMQ_ERR_CLOSED);
    }
}

static void each_answer_comes_to_its_callback_once(void **state)
{
    (void)state;
    struct peer peer;
    struct answers_log log = {0};
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    int64_t token = ringmq_send(conn, "ping", NULL, log_answer_cb, &log);
    assert_int_equal(ringmq_wait(conn, token, 0, NULL), RINGMQ_ERR_ARGUMENT);
    ringmq_forget(conn, token); /* has a callback: nothing happens */
    peer_says(&peer, "[1, %lld, nil, \"pong\"]", (long long)token);
    while (log.count == 0)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    assert_int_equal(log.last_status, RINGMQ_OK);
    token = ringmq_send(conn, "ping", NULL, log_answer_cb, &log);
    peer_says(&peer, "[1, %lld, [\"INTERNAL\", \"oh\"], nil]", (long long)token);
    while (log.count == 1)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    assert_int_equal(log.last_status, RINGMQ_ERR_SERVER);
    token = ringmq_send(conn, "ping", NULL, log_answer_cb, &log);
    ringmq_free(conn);
    assert_int_equal(log.count, 3);
    assert_int_equal(log.last_status, RINGMQ_ERR_CLOSED);
    peer_close(&peer);
}

static void a_callback_may_send(void **state)
{
    (void)state;
    struct peer peer;
    struct answers_log log = {.send_more = true};
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    ringmq_send(conn, "ping", NULL, log_answer_cb, &log);
    peer_answers(&peer, "\"pong\"");
    while (log.count == 0)
        assert_int_equal(ringmq_poll(conn, 1000), RINGMQ_OK);
    assert_int_equal(ringmq_in_flight(conn), 100);
    assert_int_equal(ringmq_flush(conn, 0), RINGMQ_OK);
    for (int i = 0; i < 101; i++)
        assert_string_equal(peer_hears_call(&peer), "\"ping\", []");
    ringmq_close(conn);
    assert_int_equal(log.count, 101);
    ringmq_free(conn);
    peer_close(&peer);
}

static void a_close_in_a_callback_takes_effect_behind_it(void **state)
{
    (void)state;
    struct peer peer;
    struct answers_log log = {.close = true};
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    ringmq_send(conn, "ping", NULL, log_answer_cb, &log);
    int64_t kept = ringmq_send(conn, "ping", NULL, NULL, NULL);
    peer_answers(&peer, "\"pong\"");
    peer_says(&peer, "[1, %lld, nil, \"not looked at\"]", (long long)kept);
    assert_int_equal(ringmq_wait(conn, kept, 0, NULL), RINGMQ_ERR_CLOSED);
    assert_int_equal(ringmq_state(conn), RINGMQ_CLOSED);
    assert_int_equal(log.count, 1);
    ringmq_free(conn);
    peer_close(&peer);
}

static void close_when_ready_cb(struct ringmq *conn, enum ringmq_state state, void *arg)
{
    int *counts = arg;
    counts[state]++;
    if (state == RINGMQ_READY)
        ringmq_close(conn);
}

static void the_state_is_told_and_may_be_answered_with_close(void **state)
{
    (void)state;
    struct peer peer;
    int counts[4] = {0};
    peer_open(&peer);
    const struct ringmq_options options = {.reconnect = true, .state_cb = close_when_ready_cb, .arg = counts};
    struct ringmq *conn = peer_client(&peer, &options);
    assert_int_equal(ringmq_start(conn), RINGMQ_OK);
    peer_accept(&peer);
    peer_says(&peer, "[1, 256, nil, %s]", PEER_HELLO);
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_ERR_CLOSED);
    assert_int_equal(counts[RINGMQ_CONNECTING], 1);
    assert_int_equal(counts[RINGMQ_READY], 1);
    assert_int_equal(counts[RINGMQ_CLOSED], 1);
    assert_int_equal(counts[RINGMQ_WAITING], 0);
    ringmq_free(conn);
    peer_close(&peer);
}

/* ---- limits ---- */

static void a_request_that_the_server_would_end_the_connection_for_is_not_sent(void **state)
{
    (void)state;
    enum { TOO_MUCH = 1000001 };
    struct peer peer;
    peer_open(&peer);
    struct ringmq *conn = peer_ready_client(&peer, NULL);
    char *body = calloc(1, TOO_MUCH);
    assert_int_equal(ringmq_publish_one(conn, "q", body, TOO_MUCH, NULL, 0), RINGMQ_ERR_LIMIT);
    assert_non_null(strstr(ringmq_error_text(conn), "max_request_bytes"));
    assert_int_equal(ringmq_output_bytes(conn), 0);
    assert_int_equal(ringmq_in_flight(conn), 0);
    peer.next_token++; /* that of the request that was not sent */
    peer_answers(&peer, "\"pong\"");
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    assert_string_equal(peer_hears_call(&peer), "\"ping\", []");
    free(body);
    ringmq_free(conn);
    peer_close(&peer);
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int status = RINGMQ_OK; status >= RINGMQ_ERR_LIMIT; status--)
        assert_string_not_equal(ringmq_status_text(status), ringmq_status_text(-1000));
    assert_string_equal(ringmq_version(), RINGMQ_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_says_who_is_there_and_its_answer_can_be_read),
        cmocka_unit_test(hello_carries_the_name_and_the_user),
        cmocka_unit_test(a_refused_hello_is_the_servers_error),
        cmocka_unit_test(a_server_of_another_protocol_is_refused),
        cmocka_unit_test(where_nobody_listens_no_connection_is_made),
        cmocka_unit_test(a_server_that_does_not_answer_hello_is_given_up_in_time),
        cmocka_unit_test(calls_sent_while_connecting_leave_behind_hello),
        cmocka_unit_test(a_call_sends_its_arguments_and_returns_the_result),
        cmocka_unit_test(an_error_answer_is_told_with_code_text_details_and_retry),
        cmocka_unit_test(an_endless_error_text_is_cut),
        cmocka_unit_test(answers_in_pieces_of_one_byte_are_understood),
        cmocka_unit_test(answers_out_of_order_find_their_calls),
        cmocka_unit_test(what_lies_behind_a_blocking_answer_is_not_forgotten),
        cmocka_unit_test(a_large_value_is_taken_in),
        cmocka_unit_test(a_broken_stream_ends_the_connection_and_completes_its_calls),
        cmocka_unit_test(a_value_above_max_value_bytes_ends_the_connection),
        cmocka_unit_test(notifications_that_are_not_known_are_passed_over),
        cmocka_unit_test(the_servers_last_words_are_why_the_connection_ended),
        cmocka_unit_test(last_words_are_heard_even_if_writing_fails_first),
        cmocka_unit_test(a_server_that_hangs_up_completes_all_calls_as_closed),
        cmocka_unit_test(a_call_that_takes_too_long_times_out_and_its_late_answer_harms_nobody),
        cmocka_unit_test(a_wait_that_times_out_can_be_taken_up_again),
        cmocka_unit_test(a_readable_interrupt_descriptor_ends_every_wait),
        cmocka_unit_test(a_poll_with_nothing_to_do_times_out),
        cmocka_unit_test(output_that_the_socket_does_not_take_waits_and_arrives_whole),
        cmocka_unit_test(a_loop_is_told_of_every_descriptor_while_it_is_open),
        cmocka_unit_test(each_answer_comes_to_its_callback_once),
        cmocka_unit_test(a_callback_may_send),
        cmocka_unit_test(a_close_in_a_callback_takes_effect_behind_it),
        cmocka_unit_test(the_state_is_told_and_may_be_answered_with_close),
        cmocka_unit_test(a_request_that_the_server_would_end_the_connection_for_is_not_sent),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
