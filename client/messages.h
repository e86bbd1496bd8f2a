/*
 * messages: what is published, on its way into a buffer, in a publish to a queue or a topic and in a commit alike.
 */
#ifndef CLIENT_MESSAGES_H
#define CLIENT_MESSAGES_H

#include "client/ringmq.h"
#include "protocol/buffer.h"

/* What is said of messages for which messages_ok() is false. */
#define MESSAGES_WRONG "a message without its body, above 4 GiB, or with a header that can't be sent"

/* True if all of them can be sent. */
bool messages_ok(const struct ringmq_message *messages, uint32_t count);

/* Appends them as one array. */
void messages_encode(struct buffer *out, const struct ringmq_message *messages, uint32_t count);

#endif
