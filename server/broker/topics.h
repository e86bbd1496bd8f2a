/*
 * topics: the broker's list of topics and their subscriptions. Internal to the broker; its calls are in broker.h.
 */
#ifndef SERVER_BROKER_TOPICS_H
#define SERVER_BROKER_TOPICS_H

#include "server/broker/broker.h"

/* The subscriptions of a queue end, because it does. */
void topics_forget(struct broker *b, struct queue *q);

#endif
