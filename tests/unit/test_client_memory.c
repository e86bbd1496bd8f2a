/*
 * The client when memory runs out: one story is told again and again, and each time another allocation of the library
 * fails, the first, the second and so on, until the story is told to its end. Whatever fails is a status, nothing
 * leaks, and the connection is ended or goes on.
 *
 * The allocations are counted by functions that stand before libc's; a sanitizer stands there itself, so with one
 * there is nothing to test here.
 */
#include "tests/unit/client_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SANITIZED 1
#endif

/* Counted while `inside`: the library is running and not a callback or the test. */
static struct {
    bool inside;
    long until_failure; /* 0: none fails */
    bool failed;
    long live;
} memory;

#ifndef SANITIZED
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void __libc_free(void *old);

static bool fails_now(void)
{
    if (!memory.inside || memory.until_failure == 0 || --memory.until_failure > 0)
        return false;
    memory.failed = true;
    return true;
}

void *malloc(size_t bytes)
{
    if (fails_now())
        return NULL;
    memory.live += memory.inside;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    if (fails_now())
        return NULL;
    memory.live += memory.inside;
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    if (fails_now())
        return NULL;
    memory.live += memory.inside && old == NULL;
    return __libc_realloc(old, bytes);
}

void free(void *old)
{
    memory.live -= memory.inside && old != NULL;
    __libc_free(old);
}
#endif

#define LIBRARY(call) (memory.inside = true, (call), memory.inside = false)

/* ---- the story ---- */

enum { LARGE = 100000 };

struct teller {
    struct peer peer;
    struct ringmq *conn;
    struct ringmq_unconfirmed *lost;
    int answers;
    int deliveries;
};

static void assert_status(int64_t status)
{
    bool expected = status >= 0 || status == RINGMQ_ERR_NO_MEMORY || status == RINGMQ_ERR_CLOSED;
    if (!expected)
        fail_msg("%s", ringmq_status_text((int)status));
}

static void count_answer_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    (void)conn;
    assert_status(answer->status);
    ((struct teller *)arg)->answers++;
}

static void count_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct ringmq_delivery d;
    (void)consumer;
    while (ringmq_next_delivery(deliveries, &d)) {
        ((struct teller *)arg)->deliveries++;
        assert_status(ringmq_send_ack(conn, &d.receipt, 1, 0, count_answer_cb, arg));
    }
}

static void lost_cb(struct ringmq *conn, struct ringmq_unconfirmed *publish, void *arg)
{
    struct teller *teller = arg;
    (void)conn;
    ringmq_unconfirmed_free(teller->lost);
    teller->lost = publish;
}

/* One turn; false if the connection is over. */
static bool turn(struct teller *t)
{
    int status;
    LIBRARY(status = ringmq_poll(t->conn, 100));
    if (status == RINGMQ_OK || status == RINGMQ_ERR_TIMEOUT)
        return true;
    assert_status(status);
    return false;
}

/* Answers each request that has been sent as its method wants. */
static void answer_requests(struct teller *t)
{
    while (peer_has_more(&t->peer)) {
        const char *call = peer_hears(&t->peer);
        unsigned long token = strtoul(call + 4, NULL, 10);
        if (strncmp(call, "[0, ", 4) != 0)
            continue;
        const char *result = strstr(call, "\"hello\"")     ? PEER_HELLO
                             : strstr(call, "\"publish\"") ? "[1, 1]"
                             : strstr(call, "\"consume\"") ? "5"
                             : strstr(call, "\"receive\"") ? "[[1, 1, 1, #\"body\", {\"group\": \"g\"}]]"
                                                           : "1";
        peer_says(&t->peer, "[1, %lu, nil, %s]", token, result);
    }
}

/* Goes on until all calls are answered; false if the connection ends before. */
static bool converse(struct teller *t)
{
    while (ringmq_in_flight(t->conn) > 0 || ringmq_output_bytes(t->conn) > 0) {
        if (!turn(t) || ringmq_state(t->conn) == RINGMQ_WAITING)
            return false;
        if (ringmq_output_bytes(t->conn) == 0)
            answer_requests(t);
    }
    return true;
}

static void say_large_delivery(struct teller *t)
{
    char *text;
    char *body = malloc(LARGE + 1);
    memset(body, 'b', LARGE);
    body[LARGE] = '\0';
    assert_true(asprintf(&text, "[2, \"deliver\", [5, [[2, 2, 1, #\"%s\"]]]]", body) > 0);
    size_t count;
    uint8_t *bytes = peer_encode(text, &count);
    peer_sends(&t->peer, bytes, count);
    free(bytes);
    free(text);
    free(body);
}

/* Sends a commit of all kinds of parts. */
static void send_commit(struct teller *t)
{
    const struct ringmq_message messages[] = {{.body = "a", .body_bytes = 1}, {.body = "b", .body_bytes = 1}};
    const uint64_t receipts[] = {1, 2};
    struct ringmq_transaction *transaction;
    int64_t status;
    LIBRARY(transaction = ringmq_transaction_new());
    if (transaction == NULL)
        return;
    LIBRARY(ringmq_transaction_publish(transaction, "q", messages, 2));
    LIBRARY(ringmq_transaction_topic(transaction, "t", "k", messages, 2));
    LIBRARY(ringmq_transaction_ack(transaction, receipts, 2));
    LIBRARY(status = ringmq_send_commit(t->conn, transaction, count_answer_cb, t));
    assert_status(status);
    LIBRARY(ringmq_transaction_free(transaction));
    LIBRARY(status = ringmq_send_topic_publish(t->conn, "t", "k", messages, 2, NULL, count_answer_cb, t));
    assert_status(status);
}

/* Sends one call of each kind. */
static void send_calls(struct teller *t, const char *body)
{
    const struct ringmq_message messages[] = {{.body = body, .body_bytes = LARGE}, {.body = "b", .body_bytes = 1}};
    const struct ringmq_consume_options consume = {.deliver_cb = count_deliver_cb, .arg = t};
    int64_t status[4];
    struct ringmq_args *args;
    LIBRARY(args = ringmq_args_new());
    if (args != NULL) {
        LIBRARY(ringmq_args_str(args, body, LARGE));
        LIBRARY(ringmq_args_packed(args, "\x93\x01\x02\xa1x", 5));
        LIBRARY(status[0] = ringmq_notify(t->conn, "ping", args));
        assert_status(status[0]);
        LIBRARY(ringmq_args_free(args));
    }
    LIBRARY(status[0] = ringmq_send_publish(t->conn, "q", messages, 2, NULL, count_answer_cb, t));
    LIBRARY(status[1] = ringmq_send_consume(t->conn, "q", &consume, NULL, count_answer_cb, t));
    LIBRARY(status[2] = ringmq_send(t->conn, "queue.list", NULL, NULL, NULL));
    LIBRARY(status[3] = ringmq_send_receive(t->conn, "q", NULL, NULL, NULL));
    for (int i = 0; i < 4; i++)
        assert_status(status[i]);
    if (status[3] > 0)
        LIBRARY(ringmq_forget(t->conn, status[3]));
    send_commit(t);
}

static bool connect_and_converse(struct teller *t)
{
    peer_accept(&t->peer);
    while (ringmq_state(t->conn) == RINGMQ_CONNECTING) {
        if (!converse(t))
            return false;
    }
    return ringmq_state(t->conn) == RINGMQ_READY;
}

static void tell(struct teller *t, const char *body)
{
    int status;
    LIBRARY(status = ringmq_start(t->conn));
    assert_status(status);
    if (status != RINGMQ_OK || !connect_and_converse(t))
        return;
    send_calls(t, body);
    if (!converse(t))
        return;
    int64_t large = t->deliveries;
    say_large_delivery(t);
    while (t->deliveries == large && !memory.failed) {
        if (!turn(t))
            return;
    }
    if (!converse(t) || ringmq_state(t->conn) != RINGMQ_READY)
        return;
    const struct ringmq_message message = {.body = "lost", .body_bytes = 4};
    int64_t token;
    LIBRARY(token = ringmq_send_publish(t->conn, "q", &message, 1, NULL, count_answer_cb, t));
    assert_status(token);
    peer_hangs_up(&t->peer);
    while (ringmq_state(t->conn) != RINGMQ_CONNECTING && ringmq_state(t->conn) != RINGMQ_CLOSED) {
        if (!turn(t))
            return;
    }
    connect_and_converse(t);
}

/* Tells the story with the nth allocation failing. Returns whether it did. */
static bool tell_with_failure(long nth, const char *body)
{
    struct teller t = {0};
    peer_open(&t.peer);
    struct ringmq_options options = {.socket_path = t.peer.path,
                                     .reconnect = true,
                                     .reconnect_min_ms = 1,
                                     .reconnect_max_ms = 1,
                                     .unconfirmed_cb = lost_cb,
                                     .arg = &t};
    memory.until_failure = nth;
    memory.failed = false;
    memory.live = 0;
    LIBRARY(t.conn = ringmq_new(&options));
    if (t.conn != NULL)
        tell(&t, body);
    else
        assert_true(memory.failed);
    LIBRARY(ringmq_free(t.conn));
    LIBRARY(ringmq_unconfirmed_free(t.lost));
    assert_int_equal(memory.live, 0);
    peer_close(&t.peer);
    return memory.failed;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char *body = malloc(LARGE);
    memset(body, 'x', LARGE);
    assert_false(tell_with_failure(0, body));
#ifndef SANITIZED
    long nth = 1;
    while (tell_with_failure(nth, body))
        nth++;
    assert_true(nth > 20);
#endif
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
