/*
 * consumers: who gets the deliveries of a connection. The number that the caller knows a consumer by stays the same
 * over reconnects; the id that the server knows it by does not.
 */
#ifndef CLIENT_CONSUMERS_H
#define CLIENT_CONSUMERS_H

#include "client/ringmq.h"

struct consumer {
    uint64_t number;    /* ours */
    uint64_t server_id; /* valid if subscribed */
    bool requested;     /* its consume has been sent on this connection */
    bool subscribed;    /* and answered */
    bool cancelling;    /* its cancel has been sent */
    bool has_prefetch;  /* else the server's default */
    uint32_t prefetch;
    uint32_t sent_prefetch; /* what its consume said */
    char *queue;
    struct ringmq_consume_options options;
};

struct consumers {
    struct consumer *list;
    uint32_t count;
    uint32_t cap;
    uint32_t recent; /* index of the one that had the last delivery */
    uint64_t next_number;
};

struct call;

/* Forgets all of them. */
void consumers_clear(struct consumers *consumers);

/* The connection is lost: those that are to be subscribed anew stay. */
void consumers_lost(struct ringmq *conn);

/* The connection is ready: subscribes those that are not. False when out of memory. */
bool consumers_subscribe(struct ringmq *conn);

/* The answer to a consume, resubscribe or cancel call has come. */
void consumers_answered(struct ringmq *conn, const struct call *call, const struct ringmq_answer *answer);

/* Notifications. False if the params are not what they should be. */
bool consumers_deliver(struct ringmq *conn, struct ringmq_value params);
bool consumers_cancelled(struct ringmq *conn, struct ringmq_value params);

#endif
