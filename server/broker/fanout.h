/*
 * fanout: the copies that messages to a topic become, one for each queue with a subscription that matches. Internal to the
 * broker.
 */
#ifndef SERVER_BROKER_FANOUT_H
#define SERVER_BROKER_FANOUT_H

#include "server/broker/publish.h"

struct tally {
    uint64_t copies, cost;
    uint64_t steps; /* that it takes to find out where they go */
    bool durable;   /* one of the copies is for a durable queue */
    uint32_t wrong; /* messages that were wrong on the wire: staged for no queue, to be the call's error */
};

/* Adds a copy for that queue; false if there are too many for one call. */
bool fanout_tally(struct tally *tally, struct queue *q, const struct publication *p);

/* How many copies of the messages there will be, and what they cost. */
enum error_code fanout_count(struct broker *b, const struct topic *topic, struct view key,
                             const struct publications *messages, struct tally *tally);

/* Stages the copies. False if memory ran out. */
bool fanout_stage(struct broker *b, struct batch *batch, const struct topic *topic, struct view key,
                  const struct publications *messages);

#endif
