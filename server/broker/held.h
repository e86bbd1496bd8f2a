/*
 * held: publishes that wait for room. Each queue has a line of those that it could not take, in the order of their coming; the
 * first is tried again when something has left the queue (or, if it was memory that was missing, when less is in use), and goes
 * in as one step. While a line stands nobody else's messages go in. When a wait is over, what fits goes in, or nothing if the call
 * was atomic. A publish to a topic stands in the line of the queue that had no room. Internal to the broker.
 */
#ifndef SERVER_BROKER_HELD_H
#define SERVER_BROKER_HELD_H

#include "server/broker/batch.h"

/* What all held publishes together may take, as a part of max_memory_bytes. */
#define HELD_SHARE 8

/* A publish that waits, or whose end has not yet been told. */
struct publishing {
    struct timer timer;                       /* the end of its wait */
    struct publishing *prev, *next;           /* in the line of a queue, or in the list of those that are over */
    struct publishing *peer_prev, *peer_next; /* its connection's */
    struct peer *peer;
    uint64_t token;
    uint64_t number;     /* in the order of coming, over all lines */
    struct queue *queue; /* in whose line it stands */
    struct topic *topic; /* to a topic, or NULL */
    uint32_t messages;   /* in the call, however many copies */
    bool mandatory;      /* to a topic: UNROUTABLE if no queue is left that it goes to */
    enum error_code waits_for;
    struct batch *batch;
    struct held_result result;
    struct outcome *outcomes; /* room for all of the batch */
    char *names; /* what `which` of its wrong messages points to from now on: the door's go with the request */
    size_t name_bytes;
};

/* True if somebody has waited longer for room in this queue than `p` has, who may be NULL: not at all yet. */
bool held_before(const struct queue *q, const struct publishing *p);

/* What the line of that queue waits for. */
enum error_code held_reason(const struct queue *q);

/* True if `cost` bytes more may be held. */
bool held_allowed(const struct broker *b, uint64_t cost);

/* The batch of so many messages, which is taken, waits in the line of `q` from now on. LIMIT (max_waiters), MEMORY_LIMIT: it is still the caller's. */
enum error_code held_wait(struct broker *b, int64_t now_ms, struct batch *batch, struct queue *q, struct topic *topic,
                          uint32_t messages, const struct publish_options *options, enum error_code waits_for);

/* True if held_turn() has something to look at. */
bool held_ready(const struct broker *b);

/* Lets in what has room now. */
void held_turn(struct broker *b, int64_t now_ms);

/* The wait is over. */
void held_over(struct broker *b, int64_t now_ms, struct publishing *p);

/* The queue, or the topic, is about to go. */
void held_queue_gone(struct broker *b, struct queue *q);
void held_topic_gone(struct broker *b, struct topic *topic);

/* The connection has ended: what it holds is forgotten. */
void held_peer_gone(struct broker *b, struct peer *peer);

/* Frees those that are over. */
void held_done(struct broker *b);

#endif
