/*
 * topic: a named fan-out point. It stores nothing: a message published to it goes into every queue with a subscription whose
 * pattern matches the key and whose filter matches the message's headers, once per queue.
 *
 * Subscriptions are kept in the order of queue name, then pattern; a queue's subscriptions end with the queue.
 */
#ifndef SERVER_BROKER_TOPIC_H
#define SERVER_BROKER_TOPIC_H

#include "protocol/limits.h"
#include "server/broker/message.h"

#include <stdint.h>

struct queue;

struct subscription {
    struct queue *queue;
    uint32_t filter_bytes; /* 0: none */
    uint16_t mark;         /* the watcher's */
    uint8_t pattern_bytes;
    char text[]; /* the pattern, then the filter */
};

struct topic {
    struct subscription **subscriptions;
    uint32_t subscription_count, subscription_cap;
    uint64_t pattern_steps, filter_bytes, filter_elements; /* of all of them */
    uint64_t published;                                    /* messages */
    uint64_t routed;                                       /* copies */
    uint16_t mark;                                         /* the watcher's */
    uint8_t name_bytes;
    char name[LIMIT_NAME_BYTES + 1]; /* terminated */
};

static inline struct view subscription_pattern(const struct subscription *s)
{
    return (struct view){s->text, s->pattern_bytes};
}

static inline struct view subscription_filter(const struct subscription *s)
{
    return (struct view){s->text + s->pattern_bytes, s->filter_bytes};
}

#endif
