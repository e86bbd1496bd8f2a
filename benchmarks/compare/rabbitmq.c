/*
 * RabbitMQ over AMQP 0-9-1: a transient classic queue, transient messages, publisher confirms with a window, prefetch, one
 * `multiple` ack for `ack` messages. The library writes each message by itself; TCP_CORK makes full packets of what is
 * published between two flushes, so that the server reads much at a time.
 */
#include "benchmarks/compare/peer.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CHANNEL     1
#define FRAME_BYTES 131072
#define ACK_LATE_US 5000 /* if nothing more comes, what has come is acked after this time */

const char peer_name[] = "rabbitmq";
const bool peer_at_least_once = true;

static amqp_connection_state_t publisher, receiver;
static uint32_t body_bytes, ack_every;
static bool corked;

/* Confirms may come out of order: a ring of those from `unconfirmed` on. Tags count from 1. */
static bool *ring;
static uint64_t ring_cap, unconfirmed = 1;

static uint64_t unacked, last_tag;

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "rabbitmq: %s: %s\n", what, why);
    return -1;
}

static int check(amqp_connection_state_t connection, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return 0;
    return complain(what, reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? amqp_error_string2(reply.library_error)
                                                                              : "refused");
}

static int open_channel(amqp_connection_state_t *connection, uint16_t port)
{
    *connection = amqp_new_connection();
    amqp_socket_t *socket = *connection ? amqp_tcp_socket_new(*connection) : NULL;
    if (!socket || amqp_socket_open(socket, PEER_HOST, port) != AMQP_STATUS_OK)
        return complain("connect", "failed");
    amqp_rpc_reply_t reply = amqp_login(*connection, "/", 0, FRAME_BYTES, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return complain("login", "refused");
    amqp_channel_open(*connection, CHANNEL);
    return check(*connection, "channel");
}

int peer_open(const struct peer_options *o)
{
    amqp_bytes_t queue = amqp_cstring_bytes(PEER_QUEUE);
    body_bytes = o->size;
    ack_every = o->ack;
    ring_cap = (uint64_t)o->window + o->batch + 1;
    ring = calloc(ring_cap, sizeof *ring);
    if (!ring)
        return complain("window", "out of memory");
    if (open_channel(&publisher, o->port) < 0 || open_channel(&receiver, o->port) < 0)
        return -1;
    amqp_queue_delete(publisher, CHANNEL, queue, 0, 0);
    if (check(publisher, "queue.delete") < 0)
        return -1;
    amqp_queue_declare(publisher, CHANNEL, queue, 0, 0, 0, 0, amqp_empty_table);
    if (check(publisher, "queue.declare") < 0)
        return -1;
    amqp_confirm_select(publisher, CHANNEL);
    if (check(publisher, "confirm.select") < 0)
        return -1;
    if (o->fill > 0)
        return 0;
    amqp_basic_qos(receiver, CHANNEL, 0, (uint16_t)o->prefetch, 0);
    if (check(receiver, "basic.qos") < 0)
        return -1;
    amqp_basic_consume(receiver, CHANNEL, queue, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    return check(receiver, "basic.consume");
}

void peer_close(void)
{
    if (publisher)
        amqp_destroy_connection(publisher);
    if (receiver)
        amqp_destroy_connection(receiver);
    free(ring);
}

static int cork(bool on)
{
    int value = on;
    corked = on;
    if (setsockopt(amqp_get_sockfd(publisher), IPPROTO_TCP, TCP_CORK, &value, sizeof value) != 0)
        return complain("TCP_CORK", "failed");
    return 0;
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    if (!corked && cork(true) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        amqp_bytes_t body = {.len = body_bytes, .bytes = (void *)(uintptr_t)(bodies + (size_t)i * body_bytes)};
        int status = amqp_basic_publish(publisher, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(PEER_QUEUE), 0, 0,
                                        NULL, body);
        if (status != AMQP_STATUS_OK)
            return complain("publish", amqp_error_string2(status));
    }
    return 0;
}

int peer_flush(void)
{
    return cork(false);
}

static int take_confirm(const amqp_frame_t *frame)
{
    if (frame->frame_type != AMQP_FRAME_METHOD || frame->payload.method.id != AMQP_BASIC_ACK_METHOD)
        return complain("publish", "a message was refused");
    const amqp_basic_ack_t *ack = frame->payload.method.decoded;
    if (ack->delivery_tag >= unconfirmed + ring_cap)
        return complain("publish", "a message was confirmed that was not sent");
    for (uint64_t tag = ack->multiple ? unconfirmed : ack->delivery_tag; tag <= ack->delivery_tag; tag++)
        ring[tag % ring_cap] = true;
    return 0;
}

/* Those count before which all are confirmed. */
int64_t peer_confirmed(bool wait)
{
    int64_t count = 0;
    for (;;) {
        amqp_frame_t frame;
        struct timeval most = {.tv_usec = wait && count == 0 ? PEER_WAIT_MS * 1000 : 0};
        int status = amqp_simple_wait_frame_noblock(publisher, &frame, &most);
        if (status == AMQP_STATUS_TIMEOUT)
            break;
        if (status != AMQP_STATUS_OK)
            return complain("confirm", amqp_error_string2(status));
        if (take_confirm(&frame) < 0)
            return -1;
        for (; ring[unconfirmed % ring_cap]; unconfirmed++, count++)
            ring[unconfirmed % ring_cap] = false;
    }
    amqp_maybe_release_buffers(publisher);
    return count;
}

static int ack(void)
{
    int status = amqp_basic_ack(receiver, CHANNEL, last_tag, 1);
    if (status != AMQP_STATUS_OK)
        return complain("ack", amqp_error_string2(status));
    load_acked(unacked); /* the server does not answer an ack */
    unacked = 0;
    return 0;
}

int peer_receive(void)
{
    amqp_envelope_t envelope;
    struct timeval most = {.tv_usec = unacked > 0 ? ACK_LATE_US : PEER_WAIT_MS * 1000};
    amqp_maybe_release_buffers(receiver);
    amqp_rpc_reply_t reply = amqp_consume_message(receiver, &envelope, &most, 0);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT)
        return unacked > 0 ? ack() : 0;
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return complain("receive", "connection lost");
    int code = load_message(envelope.message.body.bytes, envelope.message.body.len);
    last_tag = envelope.delivery_tag;
    amqp_destroy_envelope(&envelope);
    return code == 0 && ++unacked >= ack_every ? ack() : code;
}
