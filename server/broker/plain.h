/*
 * plain: the short way into a queue, for what nearly all publishes are. Internal to the broker.
 */
#ifndef SERVER_BROKER_PLAIN_H
#define SERVER_BROKER_PLAIN_H

#include "server/broker/broker.h"

/*
 * Stores the messages, all of them, if that is plain: *result then says which. False: it is not, or memory ran out; nothing has
 * happened, and a batch (batch.h) finds out what becomes of them. The queue takes messages at present.
 */
bool plain_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publications *messages,
                   struct publish_result *result);

#endif
