/*
 * topics: the broker's list of topics and their subscriptions. Internal to the broker; its calls are in broker.h.
 */
#ifndef SERVER_BROKER_TOPICS_H
#define SERVER_BROKER_TOPICS_H

#include "server/broker/broker.h"

/* A new topic of that name, which no other has; NULL when out of memory. */
struct topic *topics_add(struct broker *b, struct view name);

/* A new subscription, or one with another filter instead of what was there; NULL when out of memory. */
struct subscription *topics_subscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern,
                                      struct view filter);

/* Ends the subscriptions of the queue to the topic, or the one with that pattern. Returns how many. */
uint32_t topics_unsubscribe(struct broker *b, struct topic *topic, const struct queue *q, const struct view *pattern);

/* The subscriptions of a queue end, because it does. */
void topics_forget(struct broker *b, struct queue *q);

/* The queue has another name: its subscriptions go where they belong now. */
void topics_queue_renamed(struct broker *b, const struct queue *q);

/* Tells the watcher something of each subscription of the queue. */
typedef void subscription_fn(void *user, struct topic *t, struct subscription *s);
void topics_tell(struct broker *b, struct queue *q, subscription_fn *tell);

#endif
