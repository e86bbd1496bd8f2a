/*
 * watcher: whoever wants to know every change of what is kept in durable queues, in the order in which it happens. The broker
 * tells what it has decided and knows nothing of what is made of it; a broker that is told the same again (restore.h) is in
 * the same state.
 *
 * Told are: durable queues and what happens to their messages and dedup ids, all topics, and the subscriptions of durable
 * queues. A change comes when it has happened. Calls cannot fail, must not
 * call the broker, and what they are given is theirs until they return; only the marks are the watcher's own: message->mark,
 * body->mark and body->copies, queue->mark, topic->mark, subscription->mark, dedup->mark. The broker never reads them; they
 * are 0 in what is new.
 *
 * Changes that belong together (a dead letter that leaves one queue and enters another, a commit) come between two calls of
 * event_cb; to take notice of one of them and not of the others would be a lie. Every public call of the broker is at most
 * one event, and event_cb is not called at its end: the caller knows. broker_turn() is many, with a call after each.
 *
 * Times are the broker's monotonic milliseconds.
 */
#ifndef SERVER_BROKER_WATCHER_H
#define SERVER_BROKER_WATCHER_H

#include "server/broker/message.h"
#include "server/broker/slots.h"

#include <stdint.h>

struct queue;
struct topic;
struct subscription;
struct dedup;

struct watcher {
    void *user;

    /* A durable queue has been created, updated, paused, resumed, or has become durable: its whole definition, with next_id. */
    void (*queue_cb)(void *user, struct queue *q);
    /* It has been deleted, with all its messages and ids, or is no longer durable; its subscriptions went one by one before. */
    void (*queue_gone_cb)(void *user, struct queue *q);
    void (*topic_cb)(void *user, struct topic *t);
    /* With all its subscriptions, which are still there to be looked at. */
    void (*topic_gone_cb)(void *user, struct topic *t);
    /* New, or with another filter: then with the mark of the one that it replaces. */
    void (*subscribed_cb)(void *user, struct topic *t, struct subscription *s);
    void (*unsubscribed_cb)(void *user, struct topic *t, struct subscription *s);

    /*
     * A message has entered the queue, READY or DELAYED until due_ms. `copies_follow`: the next call is stored_cb again with
     * another copy of the same message for another queue: same body (one struct body), headers, group and dedup id; of the
     * copies of one message the last says false.
     */
    void (*stored_cb)(void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms,
                      bool copies_follow);
    /* So many messages of one publish have entered at once: READY, ids one after the other, the same times, no copies; with
       no ttl, delay, priority or dedup id of their own. */
    void (*stored_run_cb)(void *user, struct queue *q, void *const *messages, uint32_t count);
    /*
     * The messages with the `count` ids from `id` on have left for good; of each cleared_cb has come before. Not told of those
     * that are purged or go with their queue.
     */
    void (*gone_cb)(void *user, struct queue *q, uint64_t id, uint32_t count);
    /* The messages with the `count` ids from `id` on: READY -> INFLIGHT at now_ms; attempts is one more. */
    void (*delivered_cb)(void *user, struct queue *q, uint64_t id, uint32_t count, int64_t now_ms);
    /* INFLIGHT, and the delivery never took place: attempts is one less. ready_cb or gone_cb follows. */
    void (*undelivered_cb)(void *user, struct queue *q, struct message *m);
    /* -> READY, from INFLIGHT or DELAYED; attempts kept. */
    void (*ready_cb)(void *user, struct queue *q, struct message *m);
    /* PARKED -> READY, attempts 0. */
    void (*kicked_cb)(void *user, struct queue *q, struct message *m);
    /* INFLIGHT -> DELAYED; in a fifo queue it holds its group (MESSAGE_HELD). */
    void (*delayed_cb)(void *user, struct queue *q, struct message *m, int64_t until_ms);
    /* -> PARKED; slot has reason, note and since_ms; m->expires_ms is new, MESSAGE_TTL is off. */
    void (*parked_cb)(void *user, struct queue *q, struct message *m, const struct slot *slot);
    /* All messages in the states of the mask are gone (bit n: enum message_state n); they are still there to be looked at. */
    void (*purged_cb)(void *user, struct queue *q, unsigned states);
    /* A message is freed that has left, was purged or went with its queue: only for the sake of the marks. It may have none. */
    void (*cleared_cb)(void *user, struct message *m);

    /* The queue has seen an id: entry->key, first_id, timer.deadline_ms. */
    void (*dedup_cb)(void *user, struct queue *q, struct dedup *entry);
    /* Its window is over, or it went with its queue (in whatever order, later): only for the sake of the mark. */
    void (*dedup_gone_cb)(void *user, struct dedup *entry);

    /* What has been told so far is complete. */
    void (*event_cb)(void *user);
};

#endif
