/*
 * queues: the broker's list of queues. Internal to the broker; its calls are in broker.h.
 */
#ifndef SERVER_BROKER_QUEUES_H
#define SERVER_BROKER_QUEUES_H

#include "server/broker/broker.h"

/* A new queue of that name and number, which no other has; NULL when out of memory. */
struct queue *queues_add(struct broker *b, int64_t now_ms, struct view name, const struct attributes *attributes,
                         uint64_t number);

/* Gives it another name, which no other queue has. */
void queues_rename(struct broker *b, struct queue *q, struct view name);

/* The queue goes with all it has. */
void queues_remove(struct broker *b, int64_t now_ms, struct queue *q);

#endif
