/*
 * topics: what their methods have in common. Internal to the native door.
 */
#ifndef SERVER_DOORS_NATIVE_TOPICS_H
#define SERVER_DOORS_NATIVE_TOPICS_H

#include "server/doors/native/request.h"

/* The topic that argument 0 names; NULL: TOPIC_NOT_FOUND has been answered. */
struct topic *request_topic(struct request *r);

/* True if a message can be published with that key: UTF-8 of at most LIMIT_KEY_BYTES. */
bool topic_key_valid(struct view key);

/* What it costs to find the queues for so many messages, in requests. */
uint32_t topic_work(const struct topic *topic, uint32_t message_count);

#endif
